//! A whole Loom in one thread: the real engine between a store that crashes, a clock that jumps, an executor that
//! lies and people who change their minds. Everything comes from one seed.
//!
//! ```text
//! people ──► messages ──► Engine::turn ──► store that crashes, is full, or takes a commit and says that it failed
//!               ▲               │
//!     deliveries: on time,      └──► orders ──► executor: outcomes good, bad, late, twice, never
//!     out of order, by the clock
//! witness: reads what is on record, drives core again from the inputs, and says which law is broken
//! ```
//!
//! It promises that equal seeds give equal runs, byte for byte. It never looks at a wall clock and never waits.

mod chance;
mod clock;
mod command;
mod crashes;
mod disk;
mod executor;
mod outcome;
mod people;
mod play;
mod point;
mod store;
mod witness;

pub use chance::Chance;
pub use command::{command, command_crashes};
pub use crashes::{Crashes, crashes};
pub use play::{Failure, Report, Setup, simulate};
pub use store::Lie;
