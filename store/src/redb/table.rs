//! The tables, and how their keys and values are laid out.
//!
//! The log's tables are written by appends only, always behind their last key. The others are the index: written
//! in batches, dropped and rebuilt at will.

use crate::lookup::{Gate, Run, RunState, Snapshot};
use crate::tail::{Slot, Span, StreamTail};
use loom_core::cbor::{CborError, Decoder, Encoder};
use loom_core::commit::Head;
use loom_core::id::{Digest, EventId, Stamp, StreamId};
use loom_core::word::Verdict;
use redb::TableDefinition;
use std::collections::BTreeMap;

/// `"format"`: version of the tables, read before anything else.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Position of a commit's first event: its row.
pub(super) const COMMITS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("commits");
/// Position of the commit, place in it, part: the blob's head and first bytes, then the rest.
pub(super) const BLOBS: TableDefinition<'_, (u64, u16, u16), &[u8]> = TableDefinition::new("blobs");
/// Position after its last leaf, level: hash of the perfect subtree over `256^level` leaves.
pub(super) const TREE: TableDefinition<'_, (u64, u8), &[u8; 32]> = TableDefinition::new("tree");

/// `"version"`, `"upto"` and totals of the index.
pub(super) const INDEX: TableDefinition<'_, &str, u64> = TableDefinition::new("index");
/// Stream: where it ends, its last stamp, how its run was closed.
pub(super) const HEADS: TableDefinition<'_, &[u8; 16], &[u8; 57]> = TableDefinition::new("index heads");
/// Stream, sequence: where the commits from there on lie.
pub(super) const STREAMS: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("index streams");
/// Position that a batch began at, first 6 bytes of an event id: the ids of that batch from there on, ascending.
///
/// One tree over all ids would be written at random: at a million events each id of a batch dirties a page of its
/// own (112 ms for 4096 ids). A sorted run per batch is written in order, and a look-up asks each run.
pub(super) const IDS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("index ids");
/// Kind, position: the positions from there on.
pub(super) const KINDS: TableDefinition<'_, (u16, u64), &[u8]> = TableDefinition::new("index kinds");
/// Stream and request id: position and sequence of the input.
pub(super) const REQUESTS: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("index requests");
/// Position of `run.opened`: the run as it began.
pub(super) const RUNS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("index runs");
/// Stream, sequence of `gate.opened`: the gate, while it waits.
pub(super) const GATES: TableDefinition<'_, (&[u8; 16], u64), &[u8]> = TableDefinition::new("index gates");
/// Digest: where the blob lies.
pub(super) const PLACES: TableDefinition<'_, &[u8; 32], (u64, u16)> = TableDefinition::new("index blobs");
/// Stream: its newest snapshot.
pub(super) const SNAPSHOTS: TableDefinition<'_, &[u8; 16], &[u8]> = TableDefinition::new("index snapshots");

/// Version of the index tables; another one found is dropped and rebuilt.
///
/// 1: first.
pub(super) const INDEX_VERSION: u64 = 1;

/// Most items of one row of a list.
pub(super) const LIST_MAX: usize = 256;

/// Ids in one row: four rows fill a page.
const ID_LIST: usize = 100;
/// First 6 bytes of an id, offset of its position from the batch's in 4.
const ID_ENTRY: usize = 10;

/// A blob's bytes in one part: with its key and the leaf's own bytes, one page of 4096.
const PART: usize = 4064;
/// Mark, digest and length of a blob's first part.
const BLOB_HEAD: usize = 37;

/// Where a blob's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    Inline,
    File,
}

/// Cuts an inline blob into parts, or writes the single part that stands for a blob in a file.
pub(super) fn blob_parts(kept: Kept, digest: &Digest, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut whole = Vec::with_capacity(BLOB_HEAD + bytes.len());
    whole.push(match kept {
        Kept::Inline => 0,
        Kept::File => 1,
    });
    whole.extend_from_slice(&digest.0);
    whole.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
    if kept == Kept::Inline {
        whole.extend_from_slice(bytes);
    }
    whole.chunks(PART).map(<[u8]>::to_vec).collect()
}

/// The first part of a blob, read.
#[derive(Debug)]
pub(super) struct BlobHead<'a> {
    pub(super) kept: Kept,
    pub(super) digest: Digest,
    pub(super) length: usize,
    pub(super) bytes: &'a [u8],
}

/// Reads the first part of a blob.
pub(super) fn blob_head(part: &[u8]) -> Option<BlobHead<'_>> {
    let (head, bytes) = part.split_first_chunk::<BLOB_HEAD>()?;
    let kept = match head[0] {
        0 => Kept::Inline,
        1 => Kept::File,
        _ => return None,
    };
    let length = u32::from_le_bytes(*head[33..].first_chunk()?) as usize;
    Some(BlobHead { kept, digest: Digest(*head[1..33].first_chunk()?), length, bytes })
}

/// First 6 bytes of an event id as a number.
pub(super) fn id_head(id: &EventId) -> u64 {
    id.0[..6].iter().fold(0, |head, byte| head << 8 | u64::from(*byte))
}

/// Cuts the ids of one batch, in ascending order, into the rows of [`IDS`]: the key's second half and the value.
pub(super) fn id_rows(batch: u64, ids: &BTreeMap<EventId, u64>) -> Vec<(u64, Vec<u8>)> {
    let ids: Vec<_> = ids.iter().collect();
    let row = |list: &[(&EventId, &u64)]| {
        let entry = |(id, position): &(&EventId, &u64)| {
            let mut entry = [0; ID_ENTRY];
            entry[..6].copy_from_slice(&id.0[..6]);
            entry[6..].copy_from_slice(&((**position - batch) as u32).to_le_bytes());
            entry
        };
        (id_head(list[0].0), list.iter().flat_map(entry).collect())
    };
    ids.chunks(ID_LIST).map(row).collect()
}

/// Returns the first 6 bytes and the position of each id of a row.
pub(super) fn id_entries(batch: u64, row: &[u8]) -> impl Iterator<Item = ([u8; 6], u64)> {
    row.as_chunks::<ID_ENTRY>().0.iter().map(move |[a, b, c, d, e, f, offset @ ..]| {
        ([*a, *b, *c, *d, *e, *f], batch + u64::from(u32::from_le_bytes(*offset)))
    })
}

/// Key of a request in [`REQUESTS`].
pub(super) fn request_key(stream: StreamId, request: &[u8]) -> Vec<u8> {
    [&stream.0[..], request].concat()
}

/// What [`HEADS`] says of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct HeadRow {
    pub(super) head: Head,
    pub(super) stamp: Stamp,
    pub(super) closed: Option<Verdict>,
}

impl HeadRow {
    pub(super) fn of(stream: &StreamTail) -> Self {
        HeadRow { head: stream.head, stamp: stream.stamp, closed: stream.closed }
    }

    pub(super) fn encode(&self) -> [u8; 57] {
        let mut row = [0; 57];
        row[..8].copy_from_slice(&self.head.next.to_le_bytes());
        row[8..40].copy_from_slice(&self.head.last.0);
        row[40..48].copy_from_slice(&self.stamp.ms.to_le_bytes());
        row[48..56].copy_from_slice(&self.stamp.counter.to_le_bytes());
        let closed = self.closed.and_then(|verdict| Verdict::ALL.iter().position(|known| *known == verdict));
        row[56] = closed.map_or(0, |index| index as u8 + 1);
        row
    }

    pub(super) fn decode(row: &[u8; 57]) -> Self {
        let number = |at: usize| row[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let mut last = [0; 32];
        last.copy_from_slice(&row[8..40]);
        HeadRow {
            head: Head { next: number(0), last: Digest(last) },
            stamp: Stamp { ms: number(40), counter: number(48) },
            closed: usize::from(row[56]).checked_sub(1).and_then(|index| Verdict::ALL.get(index)).copied(),
        }
    }
}

/// Writes commits of one stream that follow each other; the first one's sequence is the key's.
pub(super) fn encode_spans(spans: &[Span]) -> Vec<u8> {
    let mut row = Vec::new();
    let mut last = 0;
    for span in spans {
        crate::row::put_varint(&mut row, span.position - last);
        crate::row::put_varint(&mut row, span.count);
        last = span.position;
    }
    row
}

/// Reads commits of one stream.
pub(super) fn decode_spans(mut sequence: u64, row: &[u8]) -> Vec<Span> {
    let (mut rest, mut position, mut spans) = (row, 0, Vec::new());
    while let (Some(step), Some(count)) = (crate::row::take_varint(&mut rest), crate::row::take_varint(&mut rest)) {
        position += step;
        spans.push(Span { sequence, position, count });
        sequence += count;
    }
    spans
}

/// Writes ascending positions; the first is the key's.
pub(super) fn encode_positions(positions: &[u64]) -> Vec<u8> {
    let mut row = Vec::new();
    positions.windows(2).for_each(|pair| crate::row::put_varint(&mut row, pair[1] - pair[0]));
    row
}

/// Reads ascending positions.
pub(super) fn decode_positions(first: u64, row: &[u8]) -> Vec<u64> {
    let (mut rest, mut positions) = (row, vec![first]);
    let mut last = first;
    while let Some(step) = crate::row::take_varint(&mut rest) {
        last += step;
        positions.push(last);
    }
    positions
}

pub(super) fn encode_run(run: &Run) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.bytes(&run.stream.0);
    encoder.text(&run.slug);
    encoder.uint(run.opened.ms);
    encoder.uint(run.opened.counter);
    encoder.finish()
}

pub(super) fn decode_run(position: u64, row: &[u8]) -> Result<Run, CborError> {
    let mut decoder = Decoder::new(row);
    let stream = StreamId(decoder.array_of()?);
    let slug = String::from(decoder.text()?);
    let opened = Stamp { ms: decoder.uint()?, counter: decoder.uint()? };
    Ok(Run { stream, position, slug, state: RunState::Open, opened, last: opened, events: 0 })
}

pub(super) fn encode_gate(gate: &Gate) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.uint(gate.position);
    encoder.uint(gate.opened.ms);
    encoder.uint(gate.opened.counter);
    encoder.text(&gate.role);
    encoder.text(&gate.owner);
    encoder.uint(gate.deadline_ms);
    encoder.finish()
}

pub(super) fn decode_gate(stream: StreamId, sequence: u64, row: &[u8]) -> Result<Gate, CborError> {
    let mut decoder = Decoder::new(row);
    Ok(Gate {
        stream,
        sequence,
        position: decoder.uint()?,
        opened: Stamp { ms: decoder.uint()?, counter: decoder.uint()? },
        role: String::from(decoder.text()?),
        owner: String::from(decoder.text()?),
        deadline_ms: decoder.uint()?,
    })
}

pub(super) fn encode_snapshot(snapshot: &Snapshot) -> Vec<u8> {
    let mut row = Vec::with_capacity(44 + snapshot.bytes.len());
    row.extend_from_slice(&snapshot.version.to_le_bytes());
    row.extend_from_slice(&snapshot.next.to_le_bytes());
    row.extend_from_slice(&snapshot.last.0);
    row.extend_from_slice(&snapshot.bytes);
    row
}

pub(super) fn decode_snapshot(row: &[u8]) -> Option<Snapshot> {
    let (version, rest) = row.split_first_chunk()?;
    let (next, rest) = rest.split_first_chunk()?;
    let (last, bytes) = rest.split_first_chunk()?;
    Some(Snapshot {
        version: u32::from_le_bytes(*version),
        next: u64::from_le_bytes(*next),
        last: Digest(*last),
        bytes: bytes.to_vec(),
    })
}

/// The place of an inline blob as [`PLACES`] keeps it.
pub(super) fn slot((position, slot): (u64, u16)) -> Slot {
    Slot { position, slot }
}
