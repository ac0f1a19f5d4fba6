//! Feeds the inputs of a run to core again and compares what follows with what is on record, byte by byte.
//!
//! A log is its own script: inputs are given, everything else must come out again (REDRIVE-1). Nothing is executed;
//! outcomes are taken from the log.

use crate::error::ReplayError;
use crate::records::{BATCH, Records, missing};
use crate::refold::{broken, envelope, extend, load};
use loom_core::commit::Blob;
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Digest};
use loom_core::kind::Event;
use loom_core::run::{Run, Terms};
use loom_core::step::{Input, named_blobs};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// What came of feeding a run's inputs to core again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redriven {
    /// Everything came out as it is on record.
    Same {
        /// Commits that were derived again.
        commits: u64,
        /// Events of them.
        events: u64,
    },
    /// Something else came out.
    Diverged {
        /// Sequence of the first event that differs.
        sequence: u64,
        /// The event on record, if there is one at that place.
        recorded: Option<Box<Envelope>>,
        /// The event that core derives, if there is one at that place.
        derived: Option<Box<Envelope>>,
        /// What differs, in words.
        what: String,
    },
    /// It cannot be known: something that the run was driven by is missing (REDRIVE-2).
    Unknowable {
        /// Sequence of the input that could not be fed.
        sequence: u64,
        /// What is missing.
        missing: String,
    },
}

/// Most terms that are kept between runs.
const KEPT_MAX: usize = 64;

/// Drives the runs of one store or trace again. What the runs name alike, bundle and rules, is loaded once.
#[derive(Default)]
pub struct Redriver {
    kept: BTreeMap<(Digest, Vec<Digest>), Arc<Terms>>,
}

impl Redriver {
    /// Drives a run again from its inputs.
    ///
    /// # Errors
    /// What keeps the run from being read.
    pub fn redrive(&mut self, records: &dyn Records) -> Result<Redriven, ReplayError> {
        drive(records, self)
    }

    fn terms(
        &mut self,
        records: &dyn Records,
        bundle: Digest,
        rules: &[Digest],
    ) -> Result<Result<Arc<Terms>, String>, ReplayError> {
        let named = (bundle, rules.to_vec());
        if let Some(terms) = self.kept.get(&named) {
            return Ok(Ok(terms.clone()));
        }
        Ok(load(records, bundle, rules)?.map(|terms| {
            if self.kept.len() == KEPT_MAX {
                self.kept.clear();
            }
            self.kept.entry(named).or_insert(Arc::new(terms)).clone()
        }))
    }
}

/// Drives a run again from its inputs.
///
/// # Errors
/// What keeps the run from being read.
pub fn redrive(records: &dyn Records) -> Result<Redriven, ReplayError> {
    Redriver::default().redrive(records)
}

fn drive(records: &dyn Records, redriver: &mut Redriver) -> Result<Redriven, ReplayError> {
    let mut run: Option<Run> = None;
    let (mut next, mut commits) = (0, 0);
    let mut batch = VecDeque::new();
    loop {
        let (input, commit) = match take_commit(records, &mut batch, next)? {
            Some(taken) => taken,
            None if next == 0 => return Err(ReplayError::NoRun(records.stream())),
            None => return Ok(Redriven::Same { commits, events: next }),
        };
        let unknowable = |missing| Ok(Redriven::Unknowable { sequence: next, missing });
        // The request that a descendant of a spawn made is not on record, only that it was refused: taken as it is.
        let is_refused_request =
            matches!((&input.body, &input.actor), (Event::RequestRefused(_), Actor::Person { descends: Some(_), .. }));
        let derived = match (&mut run, &input.body) {
            (None, Event::RunOpened(opened)) => {
                let terms = match redriver.terms(records, opened.bundle, &opened.rules)? {
                    Ok(terms) => terms,
                    Err(missing) => return unknowable(missing),
                };
                match fed(records, input, false)? {
                    Ok(input) => loom_core::open(terms, records.stream(), input),
                    Err(missing) => return unknowable(missing),
                }
            }
            (None, _) => return Err(ReplayError::NoRun(records.stream())),
            (Some(known), _) if is_refused_request => {
                for (index, event) in commit.iter().enumerate() {
                    known.apply(event, None).map_err(|error| broken(next + index as u64, error))?;
                }
                next += commit.len() as u64;
                commits += 1;
                continue;
            }
            (Some(known), body) => {
                if let Event::RulesAdded(added) = body
                    && let Err(missing) = extend(records, &known.terms, added.rules)?
                {
                    return unknowable(missing);
                }
                match fed(records, input, false)? {
                    Ok(input) => loom_core::step(known, input),
                    Err(missing) => return unknowable(missing),
                }
            }
        };
        let checked = match derived {
            Ok(checked) => checked,
            Err(declined) => {
                return Ok(Redriven::Diverged {
                    sequence: next,
                    recorded: Some(Box::new(envelope(&commit[0], next)?)),
                    derived: None,
                    what: format!("core declines the input: {declined}"),
                });
            }
        };
        if let Some(diverged) = compare(&commit, checked.events(), next)? {
            return Ok(diverged);
        }
        next += commit.len() as u64;
        commits += 1;
        run = Some(checked.into_next());
    }
}

/// Takes the next commit's input and events, the input among them; `None` at the end of the run.
fn take_commit(
    records: &dyn Records,
    batch: &mut VecDeque<Recorded>,
    next: u64,
) -> Result<Option<(Envelope, Vec<Recorded>)>, ReplayError> {
    if batch.is_empty() {
        *batch = records.read(next, BATCH)?.into();
    }
    let Some(first) = batch.front() else { return Ok(None) };
    let input = envelope(first, next)?;
    let count = usize::try_from(input.count.unwrap_or(1)).unwrap_or(usize::MAX);
    while batch.len() < count {
        let more = records.read(next + batch.len() as u64, BATCH)?;
        if more.is_empty() {
            break;
        }
        batch.extend(more);
    }
    Ok(Some((input, batch.drain(..count.min(batch.len())).collect())))
}

/// Returns a recorded input as it was given to core, with the blobs that are there, or the one that core reads and that is missing.
pub(crate) fn given(records: &dyn Records, envelope: Envelope) -> Result<Result<Input, String>, ReplayError> {
    fed(records, envelope, true)
}

/// The same; without the blobs that core does not read, unless they are wanted.
fn fed(records: &dyn Records, envelope: Envelope, with_unread: bool) -> Result<Result<Input, String>, ReplayError> {
    let mut blobs = Vec::new();
    for digest in named_blobs(&envelope.body) {
        let is_read = reads(&envelope.body, &digest);
        if !is_read && !with_unread {
            continue;
        }
        match records.blob(&digest)? {
            Some(bytes) => blobs.push(Blob::stored(bytes)),
            None if is_read => return Ok(Err(missing(records, &digest)?)),
            None => {}
        }
    }
    Ok(Ok(Input { stamp: envelope.stamp, actor: envelope.actor, body: envelope.body, blobs }))
}

/// Whether core looks into the blob, rather than only naming it.
fn reads(body: &Event, digest: &Digest) -> bool {
    match body {
        Event::SpawnFinished(body) => body.answer.as_ref() == Some(digest) || body.delta.as_ref() == Some(digest),
        Event::RulesAdded(_) => true,
        _ => false,
    }
}

fn compare(recorded: &[Recorded], derived: &[Recorded], next: u64) -> Result<Option<Redriven>, ReplayError> {
    let same = recorded.iter().zip(derived).take_while(|(recorded, derived)| recorded.bytes == derived.bytes).count();
    if same == recorded.len() && same == derived.len() {
        return Ok(None);
    }
    let at = |events: &[Recorded]| events.get(same).map(|event| envelope(event, next + same as u64).map(Box::new));
    let (recorded, derived) = (at(recorded).transpose()?, at(derived).transpose()?);
    let told = |event: &Option<Box<Envelope>>| event.as_ref().map_or("nothing", |event| event.body.schema().name);
    let what = match (told(&recorded), told(&derived)) {
        (on_record, again) if on_record == again && same == 0 => {
            format!("{on_record} states another number of events")
        }
        (on_record, again) if on_record == again => format!("{on_record} has another content"),
        (on_record, again) => format!("{on_record} is on record, {again} comes out"),
    };
    Ok(Some(Redriven::Diverged { sequence: next + same as u64, recorded, derived, what }))
}
