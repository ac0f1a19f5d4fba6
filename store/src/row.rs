//! One commit as one row: its events with their lengths, and a seal.
//!
//! ```text
//! row = { length of event (LEB128), canonical bytes } * events, first 8 bytes of the last event's id
//! ```
//!
//! Each event names the id of the one before it, so the seal covers every byte of the commit (STORE-7). Events of
//! other streams lie between two commits of a stream, never inside one.

use crate::error::{Damage, StoreError};
use crate::lookup::{Gate, Run, RunState};
use loom_core::commit::Head;
use loom_core::event::{EventError, Recorded, View};
use loom_core::id::{EventHasher, EventId, Stamp, StreamId};
use loom_core::kind::{Event, GateDecided, GateOpened, GateWithdrawn, RunClosed, RunOpened};
use loom_core::schema::{Scalar, Type};
use loom_core::word::Verdict;

const SEAL: usize = 8;

/// What one commit tells the look-ups; positions count from the commit's first event.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) stream: StreamId,
    pub(crate) expected: Head,
    pub(crate) stamp: Stamp,
    pub(crate) ids: Vec<EventId>,
    pub(crate) kinds: Vec<u16>,
    pub(crate) request: Option<Vec<u8>>,
    pub(crate) changes: Vec<Change>,
    pub(crate) encoded_bytes: u64,
}

/// What an event changes about its run.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// The run begins; its position is filled in when it is known.
    Opened(Run),
    Closed(Verdict),
    GateOpened(Gate),
    GateEnded(u64),
}

impl Facts {
    /// Returns the number of events.
    pub(crate) fn count(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Returns where the stream ends after the commit.
    pub(crate) fn head(&self) -> Head {
        Head { next: self.expected.next + self.count(), last: self.ids.last().copied().unwrap_or_default() }
    }
}

/// Why a row is not a commit.
#[derive(Debug)]
pub(crate) enum Unfit {
    Event(EventError),
    Shape(&'static str),
    /// The lengths in a row do not add up.
    Lengths,
}

/// Writes a row.
pub(crate) fn encode(events: &[Recorded]) -> Vec<u8> {
    let mut row = Vec::with_capacity(events.iter().map(|event| event.bytes.len() + 2).sum::<usize>() + SEAL);
    for event in events {
        put_varint(&mut row, event.bytes.len() as u64);
        row.extend_from_slice(&event.bytes);
    }
    if let Some(last) = events.last() {
        row.extend_from_slice(&last.id.0[..SEAL]);
    }
    row
}

/// Returns the events' bytes without looking into them; ends early when the row is cut short.
pub(crate) fn split(row: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = &row[..row.len().saturating_sub(SEAL)];
    std::iter::from_fn(move || {
        let length = usize::try_from(take_varint(&mut rest)?).ok()?;
        let (event, after) = rest.split_at_checked(length)?;
        rest = after;
        Some(event)
    })
}

/// Checks a row against itself: lengths, canonical bytes, the chain inside the commit, the seal (STORE-7).
///
/// Damage is placed at the event whose own bytes were altered, wherever the rest of the commit tells.
pub(crate) fn verify<'r>(
    position: u64,
    row: &'r [u8],
    hasher: &EventHasher,
) -> Result<(Facts, Vec<&'r [u8]>), StoreError> {
    let events: Vec<&[u8]> = split(row).collect();
    let covered = events.iter().map(|event| event.len() + varint_len(event.len() as u64)).sum::<usize>() + SEAL;
    let ids: Vec<EventId> = events.iter().map(|event| hasher.id(event)).collect();
    if covered != row.len() {
        return Err(place(position, &events, Unfit::Lengths));
    }
    let seal = &row[row.len() - SEAL..];
    let found = match ids.last().is_some_and(|last| last.0.starts_with(seal)) {
        true => facts(ids, &events),
        false => Err(Unfit::Shape("the seal of a commit does not match its events")),
    };
    match found {
        Ok(facts) => Ok((facts, events)),
        Err(unfit) => Err(altered(position, &events, seal, hasher).unwrap_or_else(|| place(position, &events, unfit))),
    }
}

/// Finds the first event of a commit whose bytes are not those that what follows it names.
///
/// The seal vouches for the last event, each event that is vouched for by its `previous` for the one before it. Before
/// an altered event that vouching goes on only as far as it still fits: else it cannot be told which side was altered.
fn altered(position: u64, events: &[&[u8]], seal: &[u8], hasher: &EventHasher) -> Option<StoreError> {
    let mut found = None;
    let mut named = seal.to_vec();
    for index in (0..events.len()).rev() {
        if !hasher.id(events[index]).0.starts_with(&named) {
            if found == Some(index + 1) {
                break;
            }
            found = Some(index);
        }
        match View::read(events[index]) {
            Ok(view) => named = view.previous.0.to_vec(),
            Err(_) => break,
        }
    }
    let index = found?;
    let what = match index + 1 == events.len() {
        true => "the event's bytes are not those that its commit's seal names (STORE-7)",
        false => "the event's bytes are not those that the event after it names (CHAIN-1)",
    };
    // What the altered event says of itself may be what was altered: the others say where it belongs.
    let other = (0..events.len()).rev().filter(|other| *other != index).find_map(|other| {
        let view = View::read(events[other]).ok()?;
        Some((view.stream, view.sequence.checked_add(index as u64)?.checked_sub(other as u64)?))
    });
    Some(StoreError::Damaged(Damage {
        position: Some(position + index as u64),
        stream: other.map(|(stream, _)| stream),
        sequence: other.map(|(_, sequence)| sequence),
        what: String::from(what),
    }))
}

/// Reads what a commit tells the look-ups and checks that its events belong together.
pub(crate) fn facts(ids: Vec<EventId>, events: &[&[u8]]) -> Result<Facts, Unfit> {
    let first = events.first().ok_or(Unfit::Shape("a commit without events"))?;
    let input = view(&ids, events, 0, first)?;
    if input.count != Some(events.len() as u64) {
        return Err(Unfit::Shape("the input states another number of events than its commit has (COMMIT-1)"));
    }
    if input.sequence.checked_add(events.len() as u64).is_none() {
        return Err(Unfit::Shape("a sequence is beyond what can be counted"));
    }
    let mut facts = Facts {
        stream: input.stream,
        expected: Head { next: input.sequence, last: input.previous },
        stamp: input.stamp,
        kinds: Vec::with_capacity(ids.len()),
        ids,
        request: None,
        changes: Vec::new(),
        encoded_bytes: events.iter().map(|event| event.len() as u64).sum(),
    };
    for (index, bytes) in events.iter().enumerate() {
        let view = view(&facts.ids, events, index, bytes)?;
        let linked = index == 0
            || (view.stream == input.stream
                && view.sequence == input.sequence + index as u64
                && view.previous == facts.ids[index - 1]
                && view.stamp == input.stamp
                && view.input == input.sequence
                && view.count.is_none());
        if !linked {
            return Err(Unfit::Shape("an event does not follow the one before it (CHAIN-1)"));
        }
        facts.kinds.push(view.schema.code as u16);
        if index == 0 {
            let asked = view.schema.field("request").filter(|field| field.ty == Type::One(Scalar::Bytes));
            if let Some(mut value) = asked.and_then(|field| view.field(field.key)) {
                facts.request = Some(value.bytes().map_err(|error| Unfit::Event(error.into()))?.to_vec());
            }
        }
        facts.changes.extend(change(&view, index as u64)?);
    }
    Ok(facts)
}

/// Reads an event's envelope. What the next event was not written after is changed, whatever it claims to be.
fn view<'e>(ids: &[EventId], events: &[&[u8]], index: usize, bytes: &'e [u8]) -> Result<View<'e>, Unfit> {
    View::read(bytes).map_err(|error| match events.get(index + 1).map(|next| View::read(next)) {
        Some(Ok(next)) if next.previous != ids[index] => {
            Unfit::Shape("an event is not the one that the next was written after (CHAIN-1)")
        }
        _ => Unfit::Event(error),
    })
}

fn change(view: &View<'_>, offset: u64) -> Result<Option<Change>, Unfit> {
    const WATCHED: [u64; 5] = [
        RunOpened::SCHEMA.code,
        RunClosed::SCHEMA.code,
        GateOpened::SCHEMA.code,
        GateDecided::SCHEMA.code,
        GateWithdrawn::SCHEMA.code,
    ];
    if !WATCHED.contains(&view.schema.code) {
        return Ok(None);
    }
    let mut decoder = loom_core::cbor::Decoder::new(view.body);
    let event = Event::decode(view.schema.code, &mut decoder)
        .ok_or(Unfit::Event(EventError::Kind(view.schema.code)))?
        .map_err(|error| Unfit::Event(error.into()))?;
    Ok(match event {
        Event::RunOpened(body) => Some(Change::Opened(Run {
            stream: view.stream,
            position: offset,
            slug: body.slug,
            state: RunState::Open,
            opened: view.stamp,
            last: view.stamp,
            events: 0,
        })),
        Event::RunClosed(body) => Some(Change::Closed(body.verdict)),
        Event::GateOpened(body) => Some(Change::GateOpened(Gate {
            stream: view.stream,
            sequence: view.sequence,
            position: offset,
            opened: view.stamp,
            role: body.role,
            owner: body.owner,
            deadline_ms: body.deadline_ms,
        })),
        Event::GateDecided(body) => body.gate.map(Change::GateEnded),
        Event::GateWithdrawn(body) => Some(Change::GateEnded(body.gate)),
        _ => None,
    })
}

/// Tells where a bad commit is, as far as its bytes still say: at its first event that cannot be read, else at its input.
pub(crate) fn place(position: u64, events: &[&[u8]], unfit: Unfit) -> StoreError {
    let input = match &unfit {
        // Where the lengths go wrong, the row ends too early or too late for what comes next.
        Unfit::Lengths => events.len(),
        Unfit::Event(_) | Unfit::Shape(_) => 0,
    };
    let offset = events.iter().position(|event| View::read(event).is_err()).unwrap_or(input) as u64;
    let position = position + offset;
    let what = match unfit {
        Unfit::Event(source) if source.is_newer() => {
            return StoreError::NewerEvent { position, source };
        }
        Unfit::Event(error) => error.to_string(),
        Unfit::Shape(what) => String::from(what),
        Unfit::Lengths => String::from("the lengths of a commit's events do not add up"),
    };
    let view = events.first().and_then(|first| View::read(first).ok());
    StoreError::Damaged(Damage {
        position: Some(position),
        stream: view.as_ref().map(|view| view.stream),
        sequence: view.as_ref().and_then(|view| view.sequence.checked_add(offset)),
        what,
    })
}

/// Writes an unsigned LEB128 integer.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Reads an unsigned LEB128 integer; `None` when it is cut short or too long.
pub(crate) fn take_varint(input: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn varint_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_read_back_as_written() {
        for value in (0..64).flat_map(|shift| [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift]) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len(), varint_len(value));
            assert_eq!(take_varint(&mut out.as_slice()), Some(value));
            assert_eq!(take_varint(&mut &out[..out.len() - 1]), None);
        }
    }
}
