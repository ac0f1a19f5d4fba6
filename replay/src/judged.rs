//! What the rules of a run gave for its decisions, asked again from the log alone.
//!
//! Each decision is judged with the facts folded from the events before it, as core judged it when it was made
//! (COMMIT-3): equal text, events and order give equal results (RULE-1). Nothing is guessed: where the terms are
//! missing there is no answer, and why.

use crate::error::ReplayError;
use crate::records::Records;
use crate::refold::{broken, walk};
use loom_core::event::View;
use loom_core::exempt::is_exempt;
use loom_core::rules::Judgement;
use loom_core::schema::Class;
use std::collections::{BTreeMap, BTreeSet};

/// What became of asking the rules about a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// Every rule that names its kind was asked; they stand in order of sets and files. One of severity `error` that
    /// did not give true is a decision that core would not have made.
    Asked(Vec<Judgement>),
    /// Decisions of this sort are never judged (COMMIT-5): no rule can wedge a run.
    Exempt,
    /// It cannot be known; says what is missing.
    Unknowable(String),
}

/// Asks the rules again about those of these events that are decisions, by sequence.
pub fn judged(records: &dyn Records, sequences: &BTreeSet<u64>) -> Result<BTreeMap<u64, Judged>, ReplayError> {
    let mut found = BTreeMap::new();
    let Some(last) = sequences.last() else { return Ok(found) };
    walk(records, Some(*last), &mut |sequence, event, run| {
        if !sequences.contains(&sequence) {
            return Ok(());
        }
        let failed = |error| broken(sequence, error);
        let view = View::read(&event.bytes).map_err(failed)?;
        if view.schema.class != Class::Decision {
            return Ok(());
        }
        let judged = match run {
            _ if is_exempt(&view) => Judged::Exempt,
            Err(missing) => Judged::Unknowable(missing.to_string()),
            Ok(run) => Judged::Asked(run.terms.rules().answers(&run.facts, &view)),
        };
        found.insert(sequence, judged);
        Ok(())
    })?;
    Ok(found)
}
