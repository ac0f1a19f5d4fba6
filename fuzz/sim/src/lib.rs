//! Invents trouble for the kernel: small processes, every move that can be made in them, and the laws that hold
//! whatever happens.
//!
//! It promises that equal arguments explore the same states in the same order. [`explore`] and [`walk`] rely on core
//! and on the moves that replay knows, [`simulate`] on the host, the store and the shipped bundle as well, [`tamper`] on
//! what replay verifies and on the second verifier. It takes nothing from their insides, recomputes what it compares,
//! and must never ship.

pub mod explore;
pub mod law;
pub mod process;
pub mod shape;
#[cfg(feature = "host")]
pub mod simulate;
pub mod tamper;
pub mod walk;

pub use loom_replay::moves;
