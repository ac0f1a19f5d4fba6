//! Proves: verifies stores and traces, refolds and re-drives recorded runs, exports them as files.
//!
//! It trusts no byte that it has not checked, and never acts on the world. [`verify`] checks a whole store in
//! parallel; [`trace`] is one run as a portable file; [`corpus`] finds stores and traces; [`evidence`] is what a store signs,
//! and receipts; [`refold`] gives the state at any event; [`judged`] asks the rules again about a decision, [`judge`] asks
//! new ones about many runs; [`redrive`] feeds a run's inputs to core again and compares what follows with what is on record,
//! [`redrive_today`] under a bundle as it is now.
//! [`what_if`] changes one thing and drives on, [`diff`] aligns two runs, [`shrink`] leaves inputs out, [`query`] asks events and runs.

pub mod cause;
mod chunk;
pub mod corpus;
mod dependents;
pub mod diff;
mod drift;
mod each;
mod error;
pub mod evidence;
mod field;
mod inspect;
pub mod judge;
mod judged;
pub mod moves;
pub mod query;
pub mod reach;
mod records;
mod redrive;
mod refold;
mod resumed;
pub mod shrink;
mod spot;
mod stretch;
mod timeline;
mod today;
pub mod trace;
mod verify;
pub mod what_if;
mod whole;

pub use dependents::{Dependents, dependents};
pub use drift::{Drift, drift};
pub use error::{Bad, ReplayError};
pub use inspect::{Inspected, Standing, inspect};
pub use judged::{Judged, judged};
pub use loom_core::naming::{named, within_bundle};
pub use records::{Records, StoredRun};
pub use redrive::{Redriven, Redriver, redrive};
pub use refold::{Refolded, refold};
pub use resumed::{Resumed, resumed};
pub use spot::Spot;
pub use today::{Today, redrive_today};
pub use trace::Trace;
pub use verify::{Options, Report, verify, verify_run};
pub use whole::Whole;
