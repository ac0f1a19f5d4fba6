//! Why a run, driven again, comes out otherwise.
//!
//! A run is driven again under the very terms that it names, by digest (REDRIVE-1). So what differs is either in what
//! reads those terms, or in the record itself (REDRIVE-3). Where it comes out, it may be driven under other terms: what differs
//! then is in those (REDRIVE-4).

use crate::error::ReplayError;
use crate::records::Records;
use crate::redrive::Redriven;
use crate::refold::{envelope, load};
use loom_core::event::Envelope;
use loom_core::kind::Event;
use std::fmt;

/// What has changed between then and now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// The rules that the run names give something else than they gave.
    Rule {
        /// Version of the Loom that opened the run.
        then: String,
    },
    /// The bundle or a rule set that the run names cannot be used any more.
    Bundle {
        /// What is wrong with it today.
        what: String,
    },
    /// The kernel derives something else: another version of it made the record.
    Kernel {
        /// Version of the Loom that opened the run.
        then: String,
    },
    /// Under the bundle of today the process goes another way.
    Process {
        /// Name and version of the bundle that the run was opened under.
        then: String,
        /// Name and version of today's.
        now: String,
    },
    /// Under the rule sets of today something else is refused or reported.
    Ruling {
        /// Names of the sets that are not the recorded ones.
        sets: Vec<String>,
    },
    /// The same version made the record, and derives something else: the record is not what that version wrote.
    Record,
}

impl Drift {
    /// Returns the word that documents use.
    pub fn word(&self) -> &'static str {
        match self {
            Drift::Rule { .. } | Drift::Ruling { .. } => "rule",
            Drift::Bundle { .. } | Drift::Process { .. } => "bundle",
            Drift::Kernel { .. } => "kernel",
            Drift::Record => "record",
        }
    }
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Drift::Rule { then } => {
                write!(f, "the rules that the run names give something else than under loom {then}")
            }
            Drift::Bundle { what } => write!(f, "the terms that the run names cannot be used: {what}"),
            Drift::Kernel { then } => write!(f, "loom {then} opened the run, and this one derives something else"),
            Drift::Process { then, now } if then == now => {
                write!(f, "the run was opened under {then}, and what {now} is now leads elsewhere")
            }
            Drift::Process { then, now } => write!(f, "the run was opened under {then}, and {now} leads elsewhere"),
            Drift::Ruling { sets } => write!(f, "rule sets are not those of the run: {}", sets.join(", ")),
            Drift::Record => f.write_str("this very version opened the run, so the record is not what it derived"),
        }
    }
}

/// Explains a divergence; `None` where there is none. `version` is that of this Loom.
pub fn drift(records: &dyn Records, redriven: &Redriven, version: &str) -> Result<Option<Drift>, ReplayError> {
    let (recorded, derived) = match redriven {
        Redriven::Same { .. } => return Ok(None),
        Redriven::Diverged { recorded, derived, .. } => (recorded.as_deref(), derived.as_deref()),
        Redriven::Unknowable { sequence: 0, .. } => (None, None),
        Redriven::Unknowable { .. } => return Ok(None),
    };
    let Some(first) = records.read(0, 1)?.pop() else { return Ok(None) };
    let Event::RunOpened(opened) = envelope(&first, 0)?.body else { return Ok(None) };
    if let Redriven::Unknowable { .. } = redriven {
        // A blob that is gone is no drift; one that is there and cannot be used is.
        let mut there = vec![opened.bundle];
        there.extend(opened.rules.iter());
        for digest in there {
            if records.blob(&digest)?.is_none() {
                return Ok(None);
            }
        }
        return Ok(load(records, opened.bundle, &opened.rules)?.err().map(|what| Drift::Bundle { what }));
    }
    let is_same_version = opened.loom == version;
    Ok(Some(match (is_same_version, is_ruling(recorded) || is_ruling(derived)) {
        (true, _) => Drift::Record,
        (false, true) => Drift::Rule { then: opened.loom },
        (false, false) => Drift::Kernel { then: opened.loom },
    }))
}

/// Whether a rule says so: that it refused decisions, or that an event breaks it.
pub(crate) fn is_ruling(event: Option<&Envelope>) -> bool {
    event.is_some_and(|event| matches!(event.body, Event::Refused(_) | Event::Violation(_)))
}
