//! How a run stands, in one word, the same in every list.

use crate::line::verdict_style;
use crate::output::{STRONG, WARN};
use anstyle::Style;
use loom_core::word::Verdict;
use loom_replay::{StoredRun, refold};
use loom_store::{Run, RunState, Store};

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Somebody drives it.
    Running,
    /// It has something to do, and nobody drives.
    Interrupted,
    /// It waits at a gate.
    Waiting,
    /// A person holds it (PAUSE-1), at a gate or not.
    Paused,
    /// It has ended.
    Ended(Verdict),
}

impl Standing {
    /// Returns how a listed run stands; `is_driven` says whether somebody has the store, and so drives.
    pub(crate) fn of(store: &dyn Store, run: &Run, is_driven: bool) -> Self {
        let is_held = || {
            // What cannot be read stands as it is listed; the damage is told elsewhere.
            refold(&StoredRun::new(store, run.stream), None).is_ok_and(|found| found.state.hold.is_some())
        };
        match run.state {
            RunState::Closed(verdict) => Standing::Ended(verdict),
            RunState::Open | RunState::Waiting if is_held() => Standing::Paused,
            RunState::Waiting => Standing::Waiting,
            RunState::Open if is_driven => Standing::Running,
            RunState::Open => Standing::Interrupted,
        }
    }

    /// Returns the word: of a run that has ended its verdict.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Standing::Running => "running",
            Standing::Interrupted => "interrupted",
            Standing::Waiting => "waiting",
            Standing::Paused => "paused",
            Standing::Ended(verdict) => verdict.word(),
        }
    }

    /// Returns the colour of the word.
    pub(crate) fn style(self) -> Style {
        match self {
            Standing::Running => STRONG,
            Standing::Interrupted | Standing::Waiting | Standing::Paused => WARN,
            Standing::Ended(verdict) => verdict_style(verdict),
        }
    }
}
