//! `loom-tools` from the outside, on real processes and real git.

#![expect(clippy::unwrap_used, reason = "clippy takes only the test functions themselves for tests, not their helpers")]

#[macro_use]
mod missing;
#[cfg(target_os = "linux")]
mod escape;
#[cfg(target_os = "linux")]
mod fence;
mod process;
mod repository;
mod rig;
mod settings;
mod skipping;
mod snapshot;
mod workspace;
