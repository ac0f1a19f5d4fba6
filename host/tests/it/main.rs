//! The host from outside: the engine over a store in memory, and whole projects with real git and a scripted model or a real
//! agent's program.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

#[macro_use]
#[path = "../../../tools/tests/it/missing.rs"]
mod missing;

mod agent;
mod aside;
mod backends;
mod clock;
mod descent;
mod engine;
#[cfg(target_os = "linux")]
mod fenced;
mod hostile;
mod misbehave;
mod place;
mod project;
mod prompts;
mod recovery;
mod redact;
mod request;
mod rig;
mod samples;
mod secrets;
mod settings;
