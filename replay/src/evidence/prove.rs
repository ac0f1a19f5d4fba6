//! Making a receipt from a store: what it covers, where that stands in the tree, and what is signed.
//!
//! What was made is checked as a reader would, before it is handed out.

use super::check::place;
use super::checkpoint::{Checkpoint, sign_checkpoint};
use super::cover::{Covered, Part, wanted};
use super::error::EvidenceError;
use super::history::History;
use super::note::{PublicKey, Sign};
use super::receipt::{About, Receipt};
use super::statement::seal;
use crate::refold::envelope;
use loom_core::id::StreamId;
use loom_core::kind::{Event, GateDecided};
use loom_core::multiproof::nodes_beside;
use loom_core::word::GateOutcome;
use loom_store::{Store, Stored};
use std::collections::{BTreeMap, BTreeSet};

/// How many events are read at a time.
const BATCH: usize = 256;

/// What is to be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject {
    /// As what.
    pub about: About,
    /// The stream.
    pub stream: StreamId,
    /// Sequence of the event; of a run, its last one.
    pub sequence: u64,
}

/// Returns what an event is to be proven as: a gate where it opens or decides one without opening it, else an event.
pub fn subject_of(stream: StreamId, sequence: u64, body: &Event) -> Subject {
    let about = match body {
        Event::GateOpened(_) | Event::GateDecided(GateDecided { gate: None, .. }) => About::Gate,
        _ => About::Event,
    };
    Subject { about, stream, sequence }
}

/// Makes a receipt, under a new checkpoint of the whole store, or under one that was witnessed.
///
/// # Errors
/// [`EvidenceError::Unprovable`] where the subject is not covered by the checkpoint, or the key did not sign that;
/// those of reading the store; and every law that the result would break.
pub fn prove(
    store: &dyn Store,
    subject: Subject,
    rules: Vec<String>,
    witnessed: Option<String>,
    key: PublicKey,
    sign: &Sign<'_>,
) -> Result<Receipt, EvidenceError> {
    let history = History::of_store(store)?;
    let checkpoint = match witnessed {
        Some(text) => text,
        None => {
            let (size, root) = store.tree_head()?;
            sign_checkpoint(&history.origin, size, &root, key, sign)
        }
    };
    let read = Checkpoint::parse(&checkpoint)?;
    if read.signer(&history)?.key != key {
        return Err(EvidenceError::Unprovable(
            "the checkpoint is signed with a key that the store has no more; prove under a newer one".to_string(),
        ));
    }
    super::witness::hold_against(store, &read)?;
    let mut events: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
    for stored in stream_of(store, StreamId::STORE, 0, u64::MAX)? {
        if stored.position < read.size {
            events.insert(stored.position, stored.event.bytes);
        }
    }
    let position = match subject.about {
        _ if subject.stream == StreamId::STORE => {
            let found = store.read(StreamId::STORE, subject.sequence, 1)?.pop();
            found.map(|stored| stored.position)
        }
        About::Run => of_run(store, &subject, &mut events)?,
        About::Event | About::Gate => of_gate(store, &subject, read.size, &mut events)?,
    };
    let position = position.filter(|position| *position < read.size).ok_or_else(|| {
        EvidenceError::Unprovable(format!(
            "the checkpoint's {} events do not have it; prove under a newer one",
            read.size
        ))
    })?;
    let positions: Vec<u64> = events.keys().copied().collect();
    let nodes = nodes_beside(&positions, read.size, &mut |height, index| store.tree_node(height, index))?;
    let mut receipt = Receipt {
        about: subject.about,
        origin: history.origin,
        subject: position,
        checkpoint,
        events: events.into_iter().collect(),
        nodes,
        rules,
        envelope: String::new(),
    };
    let payload = place(&receipt)?.payload(subject.about)?;
    receipt.envelope = seal(&payload, &key, sign);
    Ok(receipt)
}

/// Reads a stream from one sequence up to another, both included.
fn stream_of(store: &dyn Store, stream: StreamId, from: u64, to: u64) -> Result<Vec<Stored>, EvidenceError> {
    let mut found: Vec<Stored> = Vec::new();
    loop {
        let left = to.saturating_sub(from).saturating_add(1) - found.len() as u64;
        let more = store.read(stream, from + found.len() as u64, left.min(BATCH as u64) as usize)?;
        if more.is_empty() {
            return Ok(found);
        }
        found.extend(more);
        if found.len() as u64 > to.saturating_sub(from) {
            return Ok(found);
        }
    }
}

fn of_run(
    store: &dyn Store,
    subject: &Subject,
    events: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<Option<u64>, EvidenceError> {
    let mut last = None;
    let events_of = stream_of(store, subject.stream, 0, subject.sequence)?;
    if events_of.len() as u64 != subject.sequence.saturating_add(1) {
        return Err(EvidenceError::Unprovable("the run does not have that event".to_string()));
    }
    for stored in events_of {
        last = Some(stored.position);
        events.insert(stored.position, stored.event.bytes);
    }
    Ok(last)
}

/// Reads what an event's or a gate's receipt has of the run, as far as the checkpoint has it.
fn of_gate(
    store: &dyn Store,
    subject: &Subject,
    size: u64,
    events: &mut BTreeMap<u64, Vec<u8>>,
) -> Result<Option<u64>, EvidenceError> {
    let missing = || EvidenceError::Unprovable("there is no such event".to_string());
    let own = store.read(subject.stream, subject.sequence, 1)?.pop().ok_or_else(missing)?;
    let mut sequences = BTreeSet::from([0, subject.sequence, envelope(&own.event, subject.sequence)?.input]);
    if subject.about == About::Gate {
        sequences.extend(after_gate(store, subject)?);
    }
    let mut read = Vec::new();
    for sequence in sequences {
        read.extend(store.read(subject.stream, sequence, 1)?.pop().filter(|stored| stored.position < size));
    }
    let part = part_of(&read)?;
    let wanted = wanted(subject.about, &part, subject.sequence)?;
    for (_, covered) in part.iter().filter(|(sequence, _)| wanted.contains(sequence)) {
        events.insert(covered.position, covered.bytes.to_vec());
    }
    Ok(part.get(&subject.sequence).map(|covered| covered.position))
}

fn part_of(read: &[Stored]) -> Result<Part<'_>, EvidenceError> {
    let mut part = Part::new();
    for stored in read {
        let envelope = envelope(&stored.event, 0)?;
        let (position, id) = (stored.position, stored.event.id);
        part.insert(envelope.sequence, Covered { position, id, envelope, bytes: &stored.event.bytes });
    }
    Ok(part)
}

/// Returns the sequences of what was decided at a gate and of the merge that rests on it, with their inputs. Reads on
/// until nothing more can belong to it.
fn after_gate(store: &dyn Store, subject: &Subject) -> Result<Vec<u64>, EvidenceError> {
    let (mut found, mut decision, mut merge) = (Vec::new(), None, None);
    let mut next = subject.sequence;
    loop {
        let events = store.read(subject.stream, next, BATCH)?;
        if events.is_empty() {
            return Ok(found);
        }
        for stored in events {
            let envelope = envelope(&stored.event, next)?;
            let sequence = next;
            next += 1;
            match envelope.body {
                Event::GateDecided(decided)
                    if sequence == subject.sequence || decided.gate == Some(subject.sequence) =>
                {
                    found.extend([sequence, envelope.input]);
                    if decided.outcome != GateOutcome::Accepted {
                        return Ok(found);
                    }
                    decision = Some((sequence, envelope.input));
                }
                Event::MergeIntended(intended) if decision.is_some_and(|(of, _)| of == intended.decision) => {
                    found.extend([sequence, envelope.input]);
                    merge = Some(sequence);
                }
                Event::MergeFinished(finished) if merge == Some(finished.merge) => {
                    found.push(sequence);
                    return Ok(found);
                }
                Event::GateWithdrawn(withdrawn) if withdrawn.gate == subject.sequence => return Ok(found),
                // The run has gone on: what merges later rests on another gate.
                Event::StageEntered(_) if decision.is_some_and(|(_, input)| input < envelope.input) => {
                    return Ok(found);
                }
                Event::RunClosed(_) => return Ok(found),
                _ => {}
            }
        }
    }
}
