//! The state of a run at any of its events, folded from the events alone.
//!
//! The facts need the run's terms, which are blobs; where one is missing the state is given without facts, and why.

use crate::error::{Bad, ReplayError};
use crate::records::{BATCH, Records, missing};
use loom_core::commit::Blob;
use loom_core::event::{Envelope, EventError, Recorded};
use loom_core::id::Digest;
use loom_core::kind::Event;
use loom_core::run::{Run, Terms};
use loom_core::state::State;
use std::sync::Arc;

/// What held in a run once an event was folded in.
#[derive(Debug, Clone)]
pub struct Refolded {
    /// The state.
    pub state: State,
    /// The facts and the terms they belong to, or why they cannot be known.
    pub run: Result<Run, String>,
}

/// Folds a run up to and including the event `until`, or to its end.
pub fn refold(records: &dyn Records, until: Option<u64>) -> Result<Refolded, ReplayError> {
    walk(records, until, &mut |_, _, _| Ok(()))
}

/// What is done with an event: its sequence, the event, and the run before it or why its facts cannot be known.
pub(crate) type Visit<'v> = dyn FnMut(u64, &Recorded, Result<&Run, &str>) -> Result<(), ReplayError> + 'v;

/// Folds a run as [`refold`] does, and shows each event with its sequence and the run as it was before it.
pub(crate) fn walk(records: &dyn Records, until: Option<u64>, visit: &mut Visit<'_>) -> Result<Refolded, ReplayError> {
    let first = records.read(0, 1)?.pop().ok_or(ReplayError::NoRun(records.stream()))?;
    let terms = match envelope(&first, 0)?.body {
        Event::RunOpened(opened) => load(records, opened.bundle, &opened.rules)?,
        _ => return Err(ReplayError::NoRun(records.stream())),
    };
    let mut state = State::default();
    let mut run = terms.map(|terms| Run::new(Arc::new(terms)));
    let mut next = 0;
    loop {
        let left = until.map_or(usize::MAX, |until| usize::try_from((until + 1).saturating_sub(next)).unwrap_or(BATCH));
        let events = records.read(next, BATCH.min(left))?;
        if left == 0 || events.is_empty() {
            return Ok(Refolded { state, run });
        }
        for event in &events {
            let envelope = envelope(event, next)?;
            visit(next, event, run.as_ref().map_err(String::as_str))?;
            if let Ok(known) = &mut run {
                let extended = match &envelope.body {
                    Event::RulesAdded(added) => Some(extend(records, &known.terms, added.rules)?),
                    _ => None,
                };
                match extended.transpose() {
                    Ok(extended) => known.apply(event, extended.map(Arc::new)).map_err(|error| broken(next, error))?,
                    Err(why) => run = Err(why),
                }
            }
            loom_core::fold(&mut state, &envelope);
            state.last = event.id;
            next += 1;
        }
    }
}

/// Loads the terms that a run names, or says which blob keeps from it.
pub(crate) fn load(
    records: &dyn Records,
    bundle: Digest,
    rules: &[Digest],
) -> Result<Result<Terms, String>, ReplayError> {
    let Some(bytes) = records.blob(&bundle)? else { return Ok(Err(gone(records, "bundle", bundle)?)) };
    let mut texts = Vec::new();
    for digest in rules {
        match records.blob(digest)? {
            Some(bytes) => texts.push(Blob::stored(bytes)),
            None => return Ok(Err(gone(records, "rule set", *digest)?)),
        }
    }
    Ok(Terms::load(&Blob::stored(bytes), &texts).map_err(|error| error.to_string()))
}

/// Adds a rule set to terms, or says what keeps from it.
pub(crate) fn extend(
    records: &dyn Records,
    terms: &Terms,
    rules: Digest,
) -> Result<Result<Terms, String>, ReplayError> {
    Ok(match records.blob(&rules)? {
        Some(bytes) => terms.extended(&Blob::stored(bytes)).map_err(|error| error.to_string()),
        None => Err(gone(records, "rule set", rules)?),
    })
}

fn gone(records: &dyn Records, what: &str, digest: Digest) -> Result<String, ReplayError> {
    Ok(format!("the blob of a {what}, {}, is missing", missing(records, &digest)?.trim_start_matches("blob ")))
}

/// Decodes a recorded event.
pub(crate) fn envelope(event: &Recorded, sequence: u64) -> Result<Envelope, ReplayError> {
    Envelope::decode(&event.bytes).map_err(|error| broken(sequence, error))
}

pub(crate) fn broken(sequence: u64, error: EventError) -> ReplayError {
    match error {
        source if source.is_newer() => ReplayError::NewerEvent { sequence, source },
        error => ReplayError::Damaged(Bad { sequence: Some(sequence), ..Bad::of(error.to_string()) }),
    }
}
