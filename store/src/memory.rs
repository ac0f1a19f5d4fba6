//! The backend that forgets: everything in memory, for tests and dry runs.

use crate::append::{Append, Appended};
use crate::error::{AppendError, StoreError};
use crate::lookup::{Answered, Gate, Health, Resolution, Run, Snapshot, Stored};
use crate::proof::join;
use crate::redaction::redactions;
use crate::row;
use crate::store::Store;
use crate::subscription::Tip;
use crate::tail::{Prefix, Tail, mark_waiting};
use loom_core::commit::{Checked, Head};
use loom_core::event::{Recorded, View};
use loom_core::id::{Digest, StreamId};
use loom_core::tree::{self, Frontier, NodeHash};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

/// A store in memory.
pub struct MemoryStore {
    log: RwLock<Log>,
    tip: Arc<Tip>,
}

#[derive(Default)]
struct Log {
    events: Vec<Recorded>,
    leaves: Vec<NodeHash>,
    frontier: Frontier,
    blobs: BTreeMap<Digest, Vec<u8>>,
    redacted: BTreeSet<Digest>,
    carried: BTreeMap<u64, Vec<Digest>>,
    snapshots: BTreeMap<StreamId, Snapshot>,
    tail: Tail,
}

impl MemoryStore {
    /// Returns a store that holds its origin.
    pub fn create(origin: &Checked<()>) -> Self {
        let store = MemoryStore { log: RwLock::default(), tip: Arc::new(Tip::new(0)) };
        let _ = store.append(vec![Append::from(origin)]);
        store
    }

    fn log(&self) -> RwLockReadGuard<'_, Log> {
        self.log.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn stored(&self, position: u64) -> Stored {
        Stored { position, event: self.events[position as usize].clone() }
    }
}

impl Store for MemoryStore {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        let answers = commits
            .into_iter()
            .map(|commit| {
                let (stream, expected) = (commit.stream(), commit.expected());
                let found = log.tail.head(stream).unwrap_or_default();
                if found != expected {
                    return Err(AppendError::HeadMoved { stream, expected, found });
                }
                let position = log.tail.size;
                for (id, bytes) in commit.facts.ids.iter().zip(row::split(&commit.row)) {
                    log.events.push(Recorded { id: *id, bytes: bytes.to_vec() });
                    log.leaves.push(tree::leaf(id));
                    log.frontier.push_subtree(0, tree::leaf(id));
                }
                log.tail.push(&commit.facts);
                for blob in commit.blobs {
                    if log.redacted.contains(&blob.digest) {
                        continue;
                    }
                    if log.blobs.insert(blob.digest, blob.bytes).is_none() {
                        log.carried.entry(position).or_default().push(blob.digest);
                    }
                }
                Ok(Appended { position, head: commit.facts.head() })
            })
            .collect();
        let size = log.tail.size;
        drop(log);
        self.tip.raise(size);
        answers
    }

    fn size(&self) -> u64 {
        self.log().tail.size
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        Ok(self.log().tail.head(stream).unwrap_or_default())
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let log = self.log();
        let spans = log.tail.spans(stream, sequence).iter();
        let positions = spans.flat_map(|span| {
            (span.sequence.max(sequence)..span.sequence + span.count).map(|at| span.position + (at - span.sequence))
        });
        Ok(positions.take(max).map(|position| log.stored(position)).collect())
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let log = self.log();
        Ok((position..log.tail.size).take(max).map(|position| log.stored(position)).collect())
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        const CHUNK: usize = 1024;
        let mut next = from;
        loop {
            let events = self.events(next, CHUNK)?;
            if events.is_empty() {
                return Ok(next);
            }
            for event in events {
                next = event.position + 1;
                if visit(event.position, &event.event.bytes).is_break() {
                    return Ok(next);
                }
            }
        }
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        let log = self.log();
        let before = |event: &Recorded| View::read(&event.bytes).is_ok_and(|view| view.stamp.ms < ms);
        Ok(log.events.partition_point(before) as u64)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.log().blobs.get(digest).cloned())
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        Ok(self.log().carried.get(&position).cloned().unwrap_or_default())
    }

    fn erase(&self) -> Result<Vec<Digest>, StoreError> {
        let recorded = redactions(self)?;
        let mut log = self.log.write().unwrap_or_else(PoisonError::into_inner);
        log.redacted = recorded.into_keys().collect();
        let Log { blobs, carried, redacted, .. } = &mut *log;
        carried.values_mut().for_each(|digests| digests.retain(|digest| !redacted.contains(digest)));
        Ok(redacted.iter().filter(|digest| blobs.remove(digest).is_some()).copied().collect())
    }

    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.log().snapshots.get(&stream).cloned())
    }

    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.log.write().unwrap_or_else(PoisonError::into_inner).snapshots.insert(stream, snapshot);
    }

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        let Some(prefix) = Prefix::parse(prefix) else { return Ok(Resolution::None) };
        let mut found = BTreeMap::new();
        self.log().tail.resolve(&prefix, &mut found);
        Ok(Resolution::of(found))
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let log = self.log();
        let kinds = kinds.iter().filter_map(|kind| u16::try_from(*kind).ok());
        let mut positions: Vec<u64> =
            kinds.flat_map(|kind| log.tail.positions(kind, from).iter().take(max)).copied().collect();
        positions.sort_unstable();
        positions.dedup();
        positions.truncate(max);
        Ok(positions)
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        let log = self.log();
        let span = log.tail.requests.get(&(stream, request.to_vec()));
        Ok(span.map(|span| Answered {
            position: span.position,
            sequence: span.sequence,
            id: log.events[span.position as usize].id,
        }))
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        let log = self.log();
        let mut runs: Vec<Run> = log.tail.runs.iter().rev().take(max).cloned().collect();
        runs.iter_mut().for_each(|run| log.tail.refresh(run));
        mark_waiting(&mut runs, &log.tail.waiting([]));
        Ok(runs)
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        Ok(self.log().tail.waiting([]))
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        let log = self.log();
        let start = (index << height) as usize;
        Ok(join(log.leaves[start..start + (1 << height)].to_vec()))
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        let log = self.log();
        Ok((log.frontier.size(), log.frontier.root()))
    }

    fn health(&self) -> Result<Health, StoreError> {
        let log = self.log();
        Ok(Health {
            events: log.tail.size,
            commits: log.tail.commits,
            streams: log.tail.streams.len() as u64,
            encoded_bytes: log.tail.encoded_bytes,
            format: crate::FORMAT,
            ..Health::default()
        })
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn tip(&self) -> Arc<Tip> {
        self.tip.clone()
    }
}
