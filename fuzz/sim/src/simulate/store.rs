//! A store that crashes around its writes, is full at times, and, where it is told to, lies.
//!
//! What it holds is durable as soon as it is appended: a crash takes the engine, never the log.

use super::chance::Chance;
use loom_core::commit::Head;
use loom_core::id::{Digest, StreamId};
use loom_core::tree::NodeHash;
use loom_store::{
    Answered, Append, AppendError, Appended, Gate, Health, MemoryStore, Resolution, Run, Snapshot, Store, StoreError,
    Stored, Tip,
};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What unwinds when the simulated process dies.
#[derive(Debug)]
pub(crate) struct Crash(pub(crate) &'static str);

/// Ends the simulated process here; whoever drives the simulation catches it.
pub(crate) fn crash(place: &'static str) -> ! {
    // Not `panic!`: no hook prints what is meant to happen.
    resume_unwind(Box::new(Crash(place)))
}

/// How a store can betray those who rely on it; each must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says that a commit is appended and does not write it.
    Acknowledges,
    /// Drops a blob of a commit.
    DropsBlobs,
    /// Forgets requests: the ledger has holes.
    ForgetsRequests,
}

/// A store in memory behind troubles.
pub(crate) struct TroubledStore {
    inner: MemoryStore,
    chance: Mutex<Chance>,
    lie: Option<Lie>,
    calm: AtomicBool,
    counts: Mutex<Counts>,
    dropped: Mutex<Vec<Digest>>,
}

/// How often each trouble struck.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) full: u64,
    pub(crate) ambiguous: u64,
    pub(crate) lies: u64,
}

impl TroubledStore {
    pub(crate) fn new(inner: MemoryStore, chance: Chance, lie: Option<Lie>) -> Self {
        TroubledStore {
            inner,
            chance: Mutex::new(chance),
            lie,
            calm: AtomicBool::new(false),
            counts: Mutex::default(),
            dropped: Mutex::default(),
        }
    }

    /// No trouble from here on.
    pub(crate) fn calm(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(crate) fn counts(&self) -> Counts {
        *locked(&self.counts)
    }

    fn happens(&self, per_mille: u64) -> bool {
        !self.calm.load(Ordering::Relaxed) && locked(&self.chance).happens(per_mille)
    }

    fn lies(&self, lie: Lie, per_mille: u64) -> bool {
        let lies = self.lie == Some(lie) && self.happens(per_mille);
        locked(&self.counts).lies += u64::from(lies);
        lies
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn fail(commits: &[Append], error: &StoreError) -> Vec<Result<Appended, AppendError>> {
    commits.iter().map(|_| Err(AppendError::Store(error.clone()))).collect()
}

impl Store for TroubledStore {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        if self.happens(12) {
            crash("before a write");
        }
        if self.happens(30) {
            locked(&self.counts).full += 1;
            return fail(&commits, &StoreError::Full);
        }
        if self.lies(Lie::Acknowledges, 40) {
            let position = self.inner.size();
            return commits.iter().map(|commit| Ok(Appended { position, head: commit.expected() })).collect();
        }
        if self.happens(10) {
            // The disk took it and then said that it had not: a failed sync says no more than that.
            locked(&self.counts).ambiguous += 1;
            let error = StoreError::Broken;
            let answers = fail(&commits, &error);
            self.inner.append(commits);
            return answers;
        }
        let before = self.inner.size();
        let answers = self.inner.append(commits);
        if self.lies(Lie::DropsBlobs, 60) {
            locked(&self.dropped).extend((before..self.inner.size()).flat_map(|at| self.inner.carried(at)).flatten());
        }
        if self.happens(12) {
            crash("after a write");
        }
        answers
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.inner.head(stream)
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.read(stream, sequence, max)
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.events(position, max)
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        self.inner.scan(from, visit)
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.inner.at_time(ms)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if locked(&self.dropped).contains(digest) {
            return Ok(None);
        }
        self.inner.blob(digest)
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.inner.carried(position)
    }

    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(stream)
    }

    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.inner.put_snapshot(stream, snapshot);
    }

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.inner.resolve(prefix)
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.inner.by_kind(kinds, from, max)
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        if self.lies(Lie::ForgetsRequests, 300) {
            return Ok(None);
        }
        self.inner.request(stream, request)
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.inner.runs(max)
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.inner.gates()
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.inner.tree_node(height, index)
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        self.inner.tree_head()
    }

    fn health(&self) -> Result<Health, StoreError> {
        self.inner.health()
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        self.inner.catch_up()
    }

    fn tip(&self) -> Arc<Tip> {
        self.inner.tip()
    }
}
