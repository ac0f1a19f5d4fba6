//! Look-ups in memory over a stretch of the log: the part that an index has not caught up with, or all of it.
//!
//! Merging a tail over an index that already holds the same commits changes no answer, so an index may be written
//! first and the tail cut afterwards (STORE-9).

use crate::lookup::{Gate, Run, RunState};
use crate::row::{Change, Facts};
use loom_core::commit::Head;
use loom_core::id::{Digest, EventId, Stamp, StreamId};
use loom_core::word::Verdict;
use std::collections::{BTreeMap, BTreeSet};

/// Where a stretch of a stream lies: `count` events from `sequence` on, at `position` and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) sequence: u64,
    pub(crate) position: u64,
    pub(crate) count: u64,
}

/// Where an inline blob lies: the commit's position and the blob's place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) position: u64,
    pub(crate) slot: u16,
}

/// What the stretch says of one stream.
#[derive(Debug, Clone)]
pub(crate) struct StreamTail {
    pub(crate) head: Head,
    pub(crate) stamp: Stamp,
    pub(crate) spans: Vec<Span>,
    pub(crate) closed: Option<Verdict>,
}

/// The look-ups over positions `from..size`.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    pub(crate) from: u64,
    pub(crate) size: u64,
    pub(crate) commits: u64,
    pub(crate) encoded_bytes: u64,
    pub(crate) streams: BTreeMap<StreamId, StreamTail>,
    pub(crate) ids: BTreeMap<EventId, u64>,
    pub(crate) kinds: BTreeMap<u16, Vec<u64>>,
    pub(crate) requests: BTreeMap<(StreamId, Vec<u8>), Span>,
    pub(crate) runs: Vec<Run>,
    pub(crate) gates: BTreeMap<(StreamId, u64), Gate>,
    pub(crate) ended: BTreeSet<(StreamId, u64)>,
    pub(crate) blobs: BTreeMap<Digest, Slot>,
}

impl Tail {
    /// Returns the empty stretch that begins at `from`.
    pub(crate) fn at(from: u64) -> Self {
        Tail { from, size: from, ..Tail::default() }
    }

    /// Returns how many events it covers.
    pub(crate) fn events(&self) -> u64 {
        self.size - self.from
    }

    /// Takes in the commit at the stretch's end.
    pub(crate) fn push(&mut self, facts: &Facts) {
        let position = self.size;
        let span = Span { sequence: facts.expected.next, position, count: facts.count() };
        self.size += facts.count();
        self.commits += 1;
        self.encoded_bytes += facts.encoded_bytes;
        let stream = self.streams.entry(facts.stream).or_insert(StreamTail {
            head: facts.expected,
            stamp: facts.stamp,
            spans: Vec::new(),
            closed: None,
        });
        stream.head = facts.head();
        stream.stamp = facts.stamp;
        stream.spans.push(span);
        for (offset, (id, kind)) in facts.ids.iter().zip(&facts.kinds).enumerate() {
            self.ids.insert(*id, position + offset as u64);
            self.kinds.entry(*kind).or_default().push(position + offset as u64);
        }
        if let Some(request) = &facts.request {
            self.requests.entry((facts.stream, request.clone())).or_insert(span);
        }
        for change in &facts.changes {
            match change {
                Change::Opened(run) => self.runs.push(Run { position: position + run.position, ..run.clone() }),
                Change::Closed(verdict) => stream.closed = Some(*verdict),
                Change::GateOpened(gate) => {
                    let gate = Gate { position: position + gate.position, ..gate.clone() };
                    self.gates.insert((facts.stream, gate.sequence), gate);
                }
                Change::GateEnded(sequence) => {
                    self.gates.remove(&(facts.stream, *sequence));
                    self.ended.insert((facts.stream, *sequence));
                }
            }
        }
    }

    /// Takes in the blobs of the commit at `position`; those known already keep their place.
    pub(crate) fn push_blobs<'b>(&mut self, position: u64, blobs: impl Iterator<Item = (u16, &'b Digest)>) {
        for (slot, digest) in blobs {
            self.blobs.entry(*digest).or_insert(Slot { position, slot });
        }
    }

    /// Returns where a stream ends, if the stretch has events of it.
    pub(crate) fn head(&self, stream: StreamId) -> Option<Head> {
        self.streams.get(&stream).map(|stream| stream.head)
    }

    /// Returns the stretches of a stream that end after sequence `from`.
    pub(crate) fn spans(&self, stream: StreamId, from: u64) -> &[Span] {
        let spans = self.streams.get(&stream).map_or(&[][..], |stream| &stream.spans);
        &spans[spans.partition_point(|span| span.sequence + span.count <= from)..]
    }

    /// Adds the events whose id begins with `prefix`, an even or odd number of hexadecimal digits.
    pub(crate) fn resolve(&self, prefix: &Prefix, found: &mut BTreeMap<EventId, u64>) {
        found.extend(self.ids.range(prefix.least()..).take_while(|(id, _)| prefix.covers(id)).take(Prefix::SHOWN));
    }

    /// Returns the positions of a kind that are not before `from`.
    pub(crate) fn positions(&self, kind: u16, from: u64) -> &[u64] {
        let positions = self.kinds.get(&kind).map_or(&[][..], Vec::as_slice);
        &positions[positions.partition_point(|position| *position < from)..]
    }

    /// Brings a run up to what the stretch says of it.
    pub(crate) fn refresh(&self, run: &mut Run) {
        if let Some(stream) = self.streams.get(&run.stream) {
            run.last = stream.stamp;
            run.events = stream.head.next;
            if let Some(verdict) = stream.closed {
                run.state = RunState::Closed(verdict);
            }
        }
    }

    /// Brings the list of gates that waited before the stretch up to its end, in order of opening.
    pub(crate) fn waiting(&self, before: impl IntoIterator<Item = Gate>) -> Vec<Gate> {
        let mut gates: BTreeMap<(StreamId, u64), Gate> =
            before.into_iter().map(|gate| ((gate.stream, gate.sequence), gate)).collect();
        gates.extend(self.gates.iter().map(|(key, gate)| (*key, gate.clone())));
        let closed = |stream: &StreamId| self.streams.get(stream).is_some_and(|stream| stream.closed.is_some());
        gates.retain(|key, _| !self.ended.contains(key) && !closed(&key.0));
        let mut gates: Vec<Gate> = gates.into_values().collect();
        gates.sort_by_key(|gate| gate.position);
        gates
    }
}

/// Marks the runs of `gates` as waiting, those of the others as going on.
pub(crate) fn mark_waiting(runs: &mut [Run], gates: &[Gate]) {
    let waiting: BTreeSet<StreamId> = gates.iter().map(|gate| gate.stream).collect();
    for run in runs {
        run.state = match run.state {
            RunState::Closed(verdict) => RunState::Closed(verdict),
            RunState::Open | RunState::Waiting if waiting.contains(&run.stream) => RunState::Waiting,
            RunState::Open | RunState::Waiting => RunState::Open,
        };
    }
}

/// The first hexadecimal digits of an event id.
#[derive(Debug)]
pub(crate) struct Prefix {
    bytes: [u8; 32],
    digits: usize,
}

impl Prefix {
    /// Most ids that an ambiguous prefix is answered with.
    pub(crate) const SHOWN: usize = 16;

    /// Reads 1 to 64 hexadecimal digits; `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.len() > 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (index, digit) in text.chars().enumerate() {
            let value = digit.to_digit(16)? as u8;
            *bytes.get_mut(index / 2)? |= if index % 2 == 0 { value << 4 } else { value };
        }
        Some(Prefix { bytes, digits: text.len() })
    }

    /// Returns the least id that has the prefix.
    pub(crate) fn least(&self) -> EventId {
        Digest(self.bytes)
    }

    /// Whether the first bytes of an id, as many as are given, agree with the prefix.
    pub(crate) fn covers_bytes(&self, id: &[u8]) -> bool {
        let whole = (self.digits / 2).min(id.len());
        id[..whole] == self.bytes[..whole]
            && (self.digits.is_multiple_of(2) || id.get(whole).is_none_or(|byte| byte >> 4 == self.bytes[whole] >> 4))
    }

    /// Whether an id has the prefix.
    pub(crate) fn covers(&self, id: &EventId) -> bool {
        self.covers_bytes(&id.0)
    }
}
