//! Changes one thing at an event of a recorded run and drives on with what is on record, as long as that applies.
//!
//! ```text
//! record   0 ─────── at ──────────────────────► end
//! changed  the same ─ change ─ step ─ step ─ … ─► ended, or an effect that nobody ever answered (WHATIF-3)
//! ```
//!
//! Nothing is invented: what is given to core is an input on record, whose references are those of the changed timeline, or the
//! change itself (WHATIF-2). From where the two differ everything is counterfactual (WHATIF-4).

mod change;
mod drive;
mod effects;

pub use change::{Cap, Change};

use crate::error::ReplayError;
use crate::records::Records;
use crate::redrive::{Redriven, redrive};
use crate::whole::Whole;
use loom_core::step::Declined;
use loom_core::word::Verdict;

/// Two timelines of one run.
#[derive(Debug, Clone)]
pub struct WhatIf {
    /// What is on record.
    pub recorded: Whole,
    /// What core derives with the change.
    pub changed: Whole,
    /// Sequence of the first event that is not the recorded one; `None` where the two are the same, byte for byte.
    pub turn: Option<u64>,
    /// Recorded inputs that were given to core after the change, in order.
    pub given: Vec<Given>,
    /// Recorded inputs that were not: by sequence, with the reason.
    pub passed_over: Vec<(u64, String)>,
    /// Where the changed timeline ends.
    pub end: End,
}

/// A recorded input in the changed timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Given {
    /// Its sequence on record.
    pub recorded: u64,
    /// Its sequence in the changed timeline.
    pub changed: u64,
    /// Whether it is the outcome of a spawn whose prompt would have said something else (WHATIF-5).
    pub is_otherwise_asked: bool,
}

/// Where a changed timeline ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The run has ended.
    Closed(Verdict),
    /// Every recorded input was given or passed over; what is waited for got no outcome on record either.
    OutOfRecord,
    /// It asks for something that was never asked for on record: nobody knows what would have come of it.
    Unanswered {
        /// Sequence of the event that asks for it, in the changed timeline.
        sequence: u64,
        /// What it is, by its spot.
        what: String,
    },
}

/// Why there is no changed timeline.
#[derive(Debug, thiserror::Error)]
pub enum WhatIfError {
    /// The run could not be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// There is no such event.
    #[error("there is no event {at}: the run has {len} events, and what comes after them is --at {len}")]
    NoEvent {
        /// The sequence that was named.
        at: u64,
        /// How many events the run has.
        len: u64,
    },
    /// The change is not possible there.
    #[error("{change} is not possible at event {at}, {kind}: {why}")]
    NotHere {
        /// The change, as the command line has it.
        change: String,
        /// The sequence that was named.
        at: u64,
        /// What is there.
        kind: &'static str,
        /// Why not, and where it is.
        why: String,
    },
    /// Core does not take the change.
    #[error("{change} at event {at} is declined: {source}")]
    Declined {
        /// The change, as the command line has it.
        change: String,
        /// The sequence that was named.
        at: u64,
        /// Why.
        source: Declined,
    },
    /// The record itself comes out otherwise: what would differ is not of the change alone.
    #[error("the run comes out otherwise without any change, at event {sequence}: {what}")]
    Diverged {
        /// Sequence of the first event that differs.
        sequence: u64,
        /// What differs.
        what: String,
    },
    /// What the run was driven by is missing.
    #[error("what comes of event {sequence} cannot be known: {missing} is missing")]
    Unknowable {
        /// Sequence of the input.
        sequence: u64,
        /// What is missing.
        missing: String,
    },
}

/// Changes one thing at event `at` and drives on; `at` may be one past the last event.
///
/// # Errors
/// [`WhatIfError`]. The run as it is on record must come out again first (REDRIVE-1).
pub fn what_if(records: &dyn Records, at: u64, change: &Change) -> Result<WhatIf, WhatIfError> {
    match redrive(records)? {
        Redriven::Same { .. } => {}
        Redriven::Diverged { sequence, what, .. } => return Err(WhatIfError::Diverged { sequence, what }),
        Redriven::Unknowable { sequence, missing } => return Err(WhatIfError::Unknowable { sequence, missing }),
    }
    changed(records, at, change)
}

/// Changes one thing in a run that comes out again without the change.
pub(crate) fn changed(records: &dyn Records, at: u64, change: &Change) -> Result<WhatIf, WhatIfError> {
    let recorded = Whole::read(records)?;
    let planned = change::plan(records, &recorded, at, change)?;
    drive::drive(records, recorded, planned, at, change)
}
