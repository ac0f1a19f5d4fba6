//! Asks recorded runs in the language of rules: which events are such, or which runs ended so; with counts and groups.
//!
//! ```text
//! on kinds       each event of these kinds, with the facts before it, as a rule would be asked     (QUERY-1)
//! without        each run, with its facts at the end                                                (QUERY-2)
//! ```
//!
//! Every count says what it is out of. What cannot be known is counted apart, and is neither a yes nor a no (QUERY-3).

mod each;
mod question;

pub use question::{Mode, QueryError, Question, READY_MADE, Ready};

use crate::corpus::{Corpus, Filter, Open};
use crate::error::ReplayError;
use crate::judge::LeftOut;
use loom_core::id::StreamId;
use loom_core::rules::Outcome;
use std::collections::BTreeMap;
use std::path::Path;

/// Most matches of one run that are shown; all are counted.
pub const SHOWN_MAX: usize = 100_000;
/// Most groups.
pub const GROUPS_MAX: usize = 100_000;

/// What was found of a group, or of all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events or runs that were asked about.
    pub asked: u64,
    /// For which it holds.
    pub matched: u64,
    /// For which it cannot be known.
    pub unknowable: u64,
    /// For which it cannot be computed.
    pub failed: u64,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        self.asked += 1;
        match outcome {
            Outcome::True => self.matched += 1,
            Outcome::False => {}
            Outcome::Unknown(_) => self.unknowable += 1,
            Outcome::Error(_) => self.failed += 1,
        }
    }

    fn add(&mut self, other: Tally) {
        self.asked += other.asked;
        self.matched += other.matched;
        self.unknowable += other.unknowable;
        self.failed += other.failed;
    }
}

/// An event or a run for which it holds, or cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The run.
    pub stream: StreamId,
    /// What the run is called after.
    pub slug: String,
    /// Sequence of the event; of a run, of its last one.
    pub sequence: u64,
    /// Time of its commit, milliseconds since the epoch.
    pub at_ms: u64,
    /// The event's kind; of a run, that of its last one.
    pub kind: &'static str,
    /// True, or what is missing or wrong.
    pub outcome: Outcome,
    /// The facts and fields that were read, with their values.
    pub read: Vec<(String, String)>,
    /// Its group, where there are any.
    pub group: Option<String>,
}

/// What was counted over a corpus.
#[derive(Debug, Default)]
pub struct Answer {
    /// Sources that were looked at.
    pub sources: u64,
    /// Runs that were looked at.
    pub runs: u64,
    /// Runs that the filter left aside.
    pub unwanted: u64,
    /// Events of those runs.
    pub events: u64,
    /// Over everything.
    pub total: Tally,
    /// By group, where there are any; in order of the groups' names.
    pub groups: BTreeMap<String, Tally>,
    /// Matches that were not shown, because a run had too many.
    pub unshown: u64,
    /// What could not be looked at.
    pub left_out: Vec<LeftOut>,
}

/// Asks a question of every wanted run of a corpus; shows what it holds for once its run is read to the end and found whole
/// (QUERY-4).
///
/// # Errors
/// [`ReplayError::TooMany`] above [`GROUPS_MAX`] groups. What cannot be read is left out and told.
pub fn query(
    corpus: &Corpus,
    question: &Question,
    filter: &Filter,
    open: &Open<'_>,
    show: &mut dyn FnMut(&Path, &Match),
) -> Result<Answer, ReplayError> {
    each::query(corpus, question, filter, open, show)
}
