//! Invents trouble for the kernel: small processes, every move that can be made in them, and the laws that hold
//! whatever happens.
//!
//! It promises that equal arguments explore the same states in the same order. It relies on core alone, takes
//! nothing from core's insides, and recomputes what it compares.

pub mod explore;
pub mod law;
pub mod moves;
pub mod process;
pub mod shape;
pub mod simulate;
pub mod walk;
