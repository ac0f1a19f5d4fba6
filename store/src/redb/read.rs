//! Reading: the log by position, stream and time, and the look-ups as index and tail merged.
//!
//! A [`Reader`] is one moment of the store: a snapshot of the tables and the tail as it was when the snapshot was
//! taken. The tail is read-locked for that long, so a reader does a bounded piece of work.

use super::RedbStore;
use super::database::fault;
use super::table::{
    self, BLOBS, BlobHead, COMMITS, GATES, HEADS, HeadRow, IDS, INDEX, KINDS, Kept, META, PLACES, REQUESTS, RUNS,
    SNAPSHOTS, STREAMS, TREE,
};
use crate::error::{Damage, StoreError};
use crate::lookup::{Answered, Gate, Health, Resolution, Run, RunState, Snapshot, Stored};
use crate::proof::join;
use crate::row::{self, Facts};
use crate::tail::{Prefix, Slot, Span, Tail, mark_waiting};
use loom_core::commit::{Blob, Head};
use loom_core::event::{Recorded, View};
use loom_core::id::{Digest, EventHasher, EventId, StreamId};
use loom_core::tree::{self, NodeHash};
use redb::{Key, ReadOnlyTable, ReadTransaction, ReadableTable, ReadableTableMetadata, TableDefinition, Value};
use std::collections::BTreeMap;

/// Bytes of events that one chunk of a scan holds, give or take a commit.
const CHUNK_BYTES: usize = 256 << 10;

/// Levels of the tree table: 256^7 leaves are more than positions have bits for in the id index.
const LEVELS: u8 = 6;

/// One moment of the store.
pub(super) struct Reader<'s> {
    pub(super) transaction: &'s ReadTransaction,
    pub(super) tail: &'s Tail,
    pub(super) hasher: &'s EventHasher,
}

/// A stretch of the log, copied out so that nothing is held while it is looked at.
#[derive(Default)]
pub(super) struct Chunk {
    bytes: Vec<u8>,
    events: Vec<(u64, usize)>,
}

impl Chunk {
    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns the events with their positions.
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.events.iter().map(|(_, end)| *end));
        self.events.iter().zip(starts).map(|((position, end), start)| (*position, &self.bytes[start..*end]))
    }
}

impl RedbStore {
    /// Runs `work` on this moment of the store; mends a store that an earlier write broke, once.
    pub(super) fn reading<T>(
        &self,
        mut work: impl FnMut(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        match self.reading_once(&mut work) {
            Err(StoreError::Broken) => {
                let mut writer = self.lock_writer();
                writer.healthy = false;
                self.mend(&mut writer)?;
                drop(writer);
                self.reading_once(&mut work)
            }
            answer => answer,
        }
    }

    pub(super) fn reading_once<T>(
        &self,
        work: &mut impl FnMut(&Reader<'_>) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.with_db(|db| {
            let tail = self.tail();
            let transaction = db.begin_read()?;
            work(&Reader { transaction: &transaction, tail: &tail, hasher: &self.hasher })
        })
    }
}

impl Reader<'_> {
    fn table<K: Key, V: Value>(
        &self,
        definition: TableDefinition<'_, K, V>,
    ) -> Result<ReadOnlyTable<K, V>, StoreError> {
        self.transaction.open_table(definition).map_err(fault)
    }

    /// Calls `visit` with the rows from the commit that holds `position` on, until it says stop.
    pub(super) fn rows(
        &self,
        position: u64,
        mut visit: impl FnMut(u64, &[u8]) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        if position >= self.tail.size {
            return Ok(());
        }
        let commits = self.table(COMMITS)?;
        let start = commits.range(..=position).map_err(fault)?.next_back().transpose().map_err(fault)?;
        let start = start.map_or(position, |(key, _)| key.value());
        for row in commits.range(start..self.tail.size).map_err(fault)? {
            let (key, row) = row.map_err(fault)?;
            if !visit(key.value(), row.value())? {
                break;
            }
        }
        Ok(())
    }

    fn row<T>(&self, position: u64, read: impl FnOnce(&[u8]) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let row = self.table(COMMITS)?.get(position).map_err(fault)?;
        read(row.ok_or_else(|| Damage::at(position, "the commit that should begin here is missing"))?.value())
    }

    pub(super) fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        match self.tail.head(stream) {
            Some(head) => Ok(head),
            None => Ok(self.head_row(stream)?.map(|row| row.head).unwrap_or_default()),
        }
    }

    pub(super) fn head_row(&self, stream: StreamId) -> Result<Option<HeadRow>, StoreError> {
        Ok(self.table(HEADS)?.get(&stream.0).map_err(fault)?.map(|row| HeadRow::decode(row.value())))
    }

    /// Returns the commits of a stream from the one that holds `sequence` on, until they have `max` events.
    fn spans(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Span>, StoreError> {
        let mut spans: Vec<Span> = Vec::new();
        let enough =
            |spans: &[Span]| spans.last().is_some_and(|s| s.sequence + s.count >= sequence.saturating_add(max as u64));
        let table = self.table(STREAMS)?;
        let start = table.range((&stream.0, 0)..=(&stream.0, sequence)).map_err(fault)?.next_back();
        let start = start.transpose().map_err(fault)?.map_or(0, |(key, _)| key.value().1);
        for row in table.range((&stream.0, start)..=(&stream.0, u64::MAX)).map_err(fault)? {
            let (key, row) = row.map_err(fault)?;
            let found = table::decode_spans(key.value().1, row.value());
            spans.extend(found.into_iter().filter(|span| span.sequence + span.count > sequence));
            if enough(&spans) {
                break;
            }
        }
        let next = spans.last().map_or(sequence, |span| span.sequence + span.count);
        for span in self.tail.spans(stream, next) {
            if enough(&spans) {
                break;
            }
            spans.push(*span);
        }
        spans.truncate(spans.partition_point(|span| span.sequence < sequence.saturating_add(max as u64)));
        Ok(spans)
    }

    pub(super) fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let (head, mut events, mut previous) = (self.head(stream)?, Vec::new(), None);
        for span in self.spans(stream, sequence, max)? {
            let misplaced_at = |offset: u64, what: &str| Damage {
                position: Some(span.position + offset),
                stream: Some(stream),
                sequence: Some(span.sequence + offset),
                what: String::from(what),
            };
            let misplaced = |what: &str| misplaced_at(0, what);
            self.row(span.position, |row| {
                let (facts, bytes) = row::verify(span.position, row, self.hasher).map_err(|error| match error {
                    StoreError::Damaged(damage) => {
                        let offset = damage.position.map_or(0, |position| position.saturating_sub(span.position));
                        misplaced_at(offset, &damage.what).into()
                    }
                    error => error,
                })?;
                let expected = facts.expected;
                if (facts.stream, expected.next, facts.count()) != (stream, span.sequence, span.count) {
                    return Err(misplaced("another commit lies where this one should").into());
                }
                if previous.is_some_and(|last| last != expected.last) {
                    return Err(misplaced("the commit does not follow the one before it (CHAIN-1)").into());
                }
                if facts.head().next == head.next && facts.head() != head {
                    return Err(misplaced("the stream does not end where its head says").into());
                }
                previous = Some(facts.head().last);
                let stored = facts.ids.iter().zip(bytes).enumerate().map(|(offset, (id, bytes))| Stored {
                    position: span.position + offset as u64,
                    event: Recorded { id: *id, bytes: bytes.to_vec() },
                });
                events.extend(stored.skip(sequence.saturating_sub(span.sequence) as usize));
                Ok(())
            })?;
        }
        events.truncate(max);
        let due = head.next.saturating_sub(sequence).min(max as u64);
        let found = events.len() as u64;
        if found != due {
            let what = match found < due {
                true => "the stream's head says that there is an event here, and the index has none",
                false => "there is an event here, and the stream's head says that there is none",
            };
            let missing = sequence + found.min(due);
            let (stream, sequence) = (Some(stream), Some(missing));
            return Err(Damage { position: None, stream, sequence, what: String::from(what) }.into());
        }
        Ok(events)
    }

    pub(super) fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let mut events = Vec::new();
        if max == 0 {
            return Ok(events);
        }
        self.verified(position, |start, facts, bytes| {
            for (offset, (id, bytes)) in facts.ids.iter().zip(bytes).enumerate() {
                let at = start + offset as u64;
                if at >= position && events.len() < max {
                    events.push(Stored { position: at, event: Recorded { id: *id, bytes: bytes.to_vec() } });
                }
            }
            Ok(events.len() < max)
        })?;
        Ok(events)
    }

    /// Calls `visit` with the verified commits from the one that holds `position` on, until it says stop.
    pub(super) fn verified(
        &self,
        position: u64,
        mut visit: impl FnMut(u64, Facts, Vec<&[u8]>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        self.rows(position, |start, row| {
            let (facts, bytes) = row::verify(start, row, self.hasher)?;
            visit(start, facts, bytes)
        })
    }

    pub(super) fn chunk(&self, from: u64, chunk: &mut Chunk) -> Result<(), StoreError> {
        chunk.bytes.clear();
        chunk.events.clear();
        let mut next = None;
        self.rows(from, |start, row| {
            if next.is_some_and(|next| next != start) {
                return Err(Damage::at(next.unwrap_or(start), "the commit that should begin here is missing").into());
            }
            let mut at = start;
            for event in row::split(row) {
                if at >= from {
                    chunk.bytes.extend_from_slice(event);
                    chunk.events.push((at, chunk.bytes.len()));
                }
                at += 1;
            }
            next = Some(at);
            Ok(chunk.bytes.len() < CHUNK_BYTES)
        })
    }

    pub(super) fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        let (mut low, mut high) = (0, self.tail.size);
        while low < high {
            let mut probe = None;
            self.rows(low + (high - low) / 2, |start, row| {
                let first = row::split(row).next().and_then(|first| View::read(first).ok());
                let view = first.ok_or_else(|| Damage::at(start, "the commit cannot be read"))?;
                probe = Some((start, view.count.unwrap_or(1), view.stamp.ms));
                Ok(false)
            })?;
            let Some((start, count, stamp)) = probe else { break };
            if stamp < ms {
                low = start + count;
            } else {
                high = start.max(low);
                if start < low {
                    break;
                }
            }
        }
        Ok(low)
    }

    /// Returns where a blob lies, from the tail or the index.
    pub(super) fn place(&self, digest: &Digest) -> Result<Option<Slot>, StoreError> {
        match self.tail.blobs.get(digest) {
            Some(slot) => Ok(Some(*slot)),
            None => Ok(self.table(PLACES)?.get(&digest.0).map_err(fault)?.map(|place| table::slot(place.value()))),
        }
    }

    /// Returns an inline blob's bytes, or `None` when it is a file.
    pub(super) fn inline(&self, digest: &Digest, slot: Slot) -> Result<Option<Vec<u8>>, StoreError> {
        let bad = |what: &str| StoreError::from(Damage::at(slot.position, format!("blob {digest}: {what}")));
        let table = self.table(BLOBS)?;
        let mut bytes: Vec<u8> = Vec::new();
        let mut length = None;
        for part in table.range((slot.position, slot.slot, 0)..=(slot.position, slot.slot, u16::MAX)).map_err(fault)? {
            let (_, part) = part.map_err(fault)?;
            match length {
                None => {
                    let head = table::blob_head(part.value()).ok_or_else(|| bad("its head cannot be read"))?;
                    if head.kept == Kept::File {
                        return Ok(None);
                    }
                    length = Some(head.length);
                    bytes.extend_from_slice(head.bytes);
                }
                Some(_) => bytes.extend_from_slice(part.value()),
            }
        }
        let blob = Blob::stored(bytes);
        if length != Some(blob.bytes.len()) || blob.digest != *digest {
            return Err(bad("its bytes do not match its digest"));
        }
        Ok(Some(blob.bytes))
    }

    /// Calls `visit` with the heads of the blobs that came with commits at `from..to`.
    pub(super) fn blobs(
        &self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(Slot, BlobHead<'_>),
    ) -> Result<(), StoreError> {
        for row in self.table(BLOBS)?.range((from, 0, 0)..(to, 0, 0)).map_err(fault)? {
            let (key, part) = row.map_err(fault)?;
            let (position, slot, part_number) = key.value();
            if part_number == 0 {
                let head = table::blob_head(part.value())
                    .ok_or_else(|| Damage::at(position, "the head of a blob cannot be read"))?;
                visit(Slot { position, slot }, head);
            }
        }
        Ok(())
    }

    pub(super) fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        let mut digests = Vec::new();
        self.blobs(position, position + 1, |_, head| digests.push(head.digest))?;
        Ok(digests)
    }

    pub(super) fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        let row = self.table(SNAPSHOTS)?.get(&stream.0).map_err(fault)?;
        Ok(row.and_then(|row| table::decode_snapshot(row.value())))
    }

    /// Returns the ids of the events at `start..end`.
    pub(super) fn ids(&self, start: u64, end: u64) -> Result<Vec<EventId>, StoreError> {
        let mut ids = Vec::with_capacity((end - start) as usize);
        if start < end {
            self.verified(start, |at, facts, _| {
                let skip = start.saturating_sub(at) as usize;
                ids.extend(facts.ids.iter().skip(skip).take((end - start) as usize - ids.len()));
                Ok(at + facts.count() < end)
            })?;
        }
        match ids.len() as u64 == end - start {
            true => Ok(ids),
            false => Err(Damage::at(start + ids.len() as u64, "events are missing").into()),
        }
    }

    pub(super) fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        let Some(prefix) = Prefix::parse(prefix) else { return Ok(Resolution::None) };
        let mut found = BTreeMap::new();
        let (table, least) = (self.table(IDS)?, table::id_head(&prefix.least()));
        let mut from = 0;
        while let Some(first) = table.range((from, 0)..).map_err(fault)?.next() {
            let batch = first.map_err(fault)?.0.value().0;
            // Strictly before: ids with equal first bytes may lie on both sides of a row's border.
            let start = table.range((batch, 0)..(batch, least)).map_err(fault)?.next_back();
            let start = start.transpose().map_err(fault)?.map_or(least, |(key, _)| key.value().1);
            'batch: for row in table.range((batch, start)..=(batch, u64::MAX)).map_err(fault)? {
                let (_, row) = row.map_err(fault)?;
                for (head, position) in table::id_entries(batch, row.value()) {
                    if found.len() >= Prefix::SHOWN || (!prefix.covers_bytes(&head) && head[..] > prefix.least().0[..6])
                    {
                        break 'batch;
                    }
                    if prefix.covers_bytes(&head) {
                        let id = self.ids(position, position + 1)?[0];
                        found.extend(prefix.covers(&id).then_some((id, position)));
                    }
                }
            }
            from = batch + 1;
        }
        self.tail.resolve(&prefix, &mut found);
        Ok(Resolution::of(found))
    }

    pub(super) fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let table = self.table(KINDS)?;
        let mut positions = Vec::new();
        for kind in kinds.iter().filter_map(|kind| u16::try_from(*kind).ok()) {
            let mut found: Vec<u64> = Vec::new();
            let start = table.range((kind, 0)..=(kind, from)).map_err(fault)?.next_back();
            let start = start.transpose().map_err(fault)?.map_or(from, |(key, _)| key.value().1);
            for row in table.range((kind, start)..=(kind, u64::MAX)).map_err(fault)? {
                if found.len() >= max {
                    break;
                }
                let (key, row) = row.map_err(fault)?;
                let list = table::decode_positions(key.value().1, row.value());
                found.extend(list.into_iter().filter(|position| *position >= from));
            }
            found.extend(self.tail.positions(kind, from).iter().take(max));
            positions.append(&mut found);
        }
        positions.sort_unstable();
        positions.dedup();
        positions.truncate(max);
        Ok(positions)
    }

    pub(super) fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        let key = table::request_key(stream, request);
        let indexed = self.table(REQUESTS)?.get(key.as_slice()).map_err(fault)?.map(|place| place.value());
        let recent = self.tail.requests.get(&(stream, request.to_vec())).map(|span| (span.position, span.sequence));
        match indexed.or(recent) {
            None => Ok(None),
            Some((position, sequence)) => {
                let id = self.ids(position, position + 1)?[0];
                Ok(Some(Answered { position, sequence, id }))
            }
        }
    }

    pub(super) fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        let mut runs: Vec<Run> = self.tail.runs.iter().rev().take(max).cloned().collect();
        for row in self.table(RUNS)?.range(..self.tail.from).map_err(fault)?.rev() {
            if runs.len() >= max {
                break;
            }
            let (key, row) = row.map_err(fault)?;
            let run = table::decode_run(key.value(), row.value());
            runs.push(run.map_err(|error| Damage::at(key.value(), format!("index of runs: {error}")))?);
        }
        for run in &mut runs {
            if let Some(row) = self.head_row(run.stream)? {
                run.last = row.stamp;
                run.events = row.head.next;
                run.state = row.closed.map_or(RunState::Open, RunState::Closed);
            }
            self.tail.refresh(run);
        }
        mark_waiting(&mut runs, &self.gates()?);
        Ok(runs)
    }

    pub(super) fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        let mut gates = Vec::new();
        for row in self.table(GATES)?.iter().map_err(fault)? {
            let (key, row) = row.map_err(fault)?;
            let (stream, sequence) = key.value();
            let gate = table::decode_gate(StreamId(*stream), sequence, row.value());
            gates.push(gate.map_err(|error| Damage::of(format!("index of gates: {error}")))?);
        }
        let mut waiting = Vec::new();
        for gate in self.tail.waiting(gates) {
            // A closed run waits for nobody, whatever its log says afterwards.
            if self.head_row(gate.stream)?.is_none_or(|row| row.closed.is_none()) {
                waiting.push(gate);
            }
        }
        Ok(waiting)
    }

    pub(super) fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        let level = (height / 8).min(LEVELS);
        if level == 0 {
            let ids = self.ids(index << height, (index + 1) << height)?;
            return Ok(join(ids.iter().map(tree::leaf).collect()));
        }
        let (above, width) = (height - level * 8, u32::from(level) * 8);
        let table = self.table(TREE)?;
        let nodes = (index << above..(index + 1) << above).map(|node| {
            let end = (node + 1) << width;
            let hash = table.get((end, level)).map_err(fault)?;
            Ok(*hash.ok_or_else(|| Damage::at(end - 1, "a node of the tree is missing"))?.value())
        });
        Ok(join(nodes.collect::<Result<_, StoreError>>()?))
    }

    pub(super) fn health(&self) -> Result<Health, StoreError> {
        let index = self.table(INDEX)?;
        let total = |name: &str| Ok::<u64, StoreError>(index.get(name).map_err(fault)?.map_or(0, |row| row.value()));
        // A batch may be in the index already and in the tail still.
        let merged = total("upto")? > self.tail.from;
        let heads = self.table(HEADS)?;
        let mut streams = heads.len().map_err(fault)?;
        for stream in self.tail.streams.keys() {
            streams += u64::from(heads.get(&stream.0).map_err(fault)?.is_none());
        }
        Ok(Health {
            events: self.tail.size,
            commits: total("commits")? + if merged { 0 } else { self.tail.commits },
            streams,
            encoded_bytes: total("encoded bytes")? + if merged { 0 } else { self.tail.encoded_bytes },
            index_lag: self.tail.events(),
            format: self.table(META)?.get("format").map_err(fault)?.map_or(0, |row| row.value()),
            ..Health::default()
        })
    }
}
