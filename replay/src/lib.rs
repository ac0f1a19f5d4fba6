//! Proves: verifies stores and traces, refolds and re-drives recorded runs, exports them as files.
//!
//! It trusts no byte that it has not checked, and never acts on the world. [`verify`] checks a whole store in
//! parallel; [`trace`] is one run as a portable file; [`evidence`] is what a store signs, and receipts; [`refold`] gives the state at any event; [`judged`] asks the
//! rules again about a decision; [`redrive`] feeds a run's inputs to core again and compares what follows with what is on
//! record.

mod blobs;
mod error;
pub mod evidence;
mod judged;
mod records;
mod redrive;
mod refold;
mod stretch;
pub mod trace;
mod verify;

pub use blobs::{named, within_bundle};
pub use error::{Bad, ReplayError};
pub use judged::{Judged, judged};
pub use records::{Records, StoredRun};
pub use redrive::{Redriven, redrive};
pub use refold::{Refolded, refold};
pub use trace::Trace;
pub use verify::{Options, Report, verify, verify_run};
