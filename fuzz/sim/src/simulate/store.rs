//! A store that crashes around its writes, is full at times, and, where it is told to, lies.
//!
//! In memory, what it holds is durable as soon as it is appended: a crash takes the engine, never the log. On a disk
//! the power goes with the process, and what comes back is whatever redb can make of what was synced.

use super::chance::Chance;
use super::disk::Disk;
use super::point::{Points, crash};
use loom_core::commit::{Checked, Head};
use loom_core::id::{Digest, StreamId};
use loom_core::tree::NodeHash;
use loom_store::{
    Answered, Append, AppendError, Appended, Gate, Health, MemoryStore, Resolution, Run, Snapshot, Store, StoreError,
    Stored, Tip,
};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

/// How a store can betray those who rely on it; each must be found out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    /// Says that a commit is appended and does not write it.
    Acknowledges,
    /// Drops a blob of a commit.
    DropsBlobs,
    /// Forgets requests: the ledger has holes.
    ForgetsRequests,
    /// Its disk answers a sync and makes nothing durable.
    ForgetsSyncs,
    /// Panics in an append, as any code may that the engine calls.
    Panics,
}

impl Lie {
    /// Returns the word that the command line has for it.
    pub fn word(self) -> &'static str {
        match self {
            Lie::Acknowledges => "acknowledges",
            Lie::DropsBlobs => "drops-blobs",
            Lie::ForgetsRequests => "forgets-requests",
            Lie::ForgetsSyncs => "forgets-syncs",
            Lie::Panics => "panics",
        }
    }

    /// Returns the lie of a word.
    pub fn of(word: &str) -> Option<Self> {
        [Lie::Acknowledges, Lie::DropsBlobs, Lie::ForgetsRequests, Lie::ForgetsSyncs, Lie::Panics]
            .into_iter()
            .find(|lie| lie.word() == word)
    }
}

/// A store behind troubles.
pub(crate) struct TroubledStore {
    inner: RwLock<Arc<dyn Store>>,
    disk: Option<Mutex<Disk>>,
    pub(crate) points: Points,
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
    pub(crate) fn in_memory(origin: &Checked<()>, points: Points, chance: Chance, lie: Option<Lie>) -> Self {
        Self::new(Arc::new(MemoryStore::create(origin)), None, points, chance, lie)
    }

    pub(crate) fn on_disk(origin: Checked<()>, points: Points, chance: Chance, lie: Option<Lie>) -> Self {
        let (disk, store) = Disk::create(origin, lie == Some(Lie::ForgetsSyncs));
        Self::new(Arc::new(store), Some(Mutex::new(disk)), points, chance, lie)
    }

    fn new(inner: Arc<dyn Store>, disk: Option<Mutex<Disk>>, points: Points, chance: Chance, lie: Option<Lie>) -> Self {
        TroubledStore {
            inner: RwLock::new(inner),
            disk,
            points,
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

    fn inner(&self) -> Arc<dyn Store> {
        self.inner.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The power goes with the process: the store is what its disk brings back.
    pub(crate) fn lose_power(&self) -> Result<(), StoreError> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let mut disk = locked(disk);
        disk.switch_off();
        let seed = locked(&self.chance).draw();
        let back = disk.come_back(&self.points, seed)?;
        *self.inner.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(back);
        Ok(())
    }

    /// Appends; on a disk the index catches up before it at times, and the power may go at any of its operations.
    fn write(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let inner = self.inner();
        let Some(disk) = &self.disk else { return inner.append(commits) };
        let catches_up = locked(&self.chance).happens(100);
        let answers = locked(disk).within(&self.points, || {
            if catches_up {
                // Best effort, as in an append to a store whose index is far behind.
                let _ = inner.catch_up();
            }
            inner.append(commits)
        });
        answers.unwrap_or_else(|_off| crash("in a write"))
    }

    /// The process dies here by chance, or where it was chosen.
    fn may_die(&self, per_mille: u64, place: &'static str) {
        match self.points.by_chance() {
            true if self.happens(per_mille) => crash(place),
            true => {}
            false => self.points.pass(place),
        }
    }

    fn reading(&self) -> Arc<dyn Store> {
        self.points.pass("before a read");
        self.inner()
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
        self.may_die(12, "before a write");
        if self.happens(30) {
            locked(&self.counts).full += 1;
            return fail(&commits, &StoreError::Full);
        }
        if self.lies(Lie::Panics, 40) {
            // Not `panic!`: no hook prints what is meant to happen.
            resume_unwind(Box::new("the store panics"));
        }
        if self.lies(Lie::Acknowledges, 40) {
            let position = self.size();
            return commits.iter().map(|commit| Ok(Appended { position, head: commit.expected() })).collect();
        }
        if self.happens(10) {
            // The disk took it and then said that it had not: a failed sync says no more than that.
            locked(&self.counts).ambiguous += 1;
            let error = StoreError::Broken;
            let answers = fail(&commits, &error);
            self.write(commits);
            return answers;
        }
        let before = self.size();
        let answers = self.write(commits);
        if self.lies(Lie::DropsBlobs, 60) {
            let inner = self.inner();
            locked(&self.dropped).extend((before..inner.size()).flat_map(|at| inner.carried(at)).flatten());
        }
        self.may_die(12, "after a write");
        answers
    }

    fn size(&self) -> u64 {
        self.inner().size()
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.reading().head(stream)
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.reading().read(stream, sequence, max)
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.reading().events(position, max)
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        self.inner().scan(from, visit)
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.inner().at_time(ms)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if locked(&self.dropped).contains(digest) {
            return Ok(None);
        }
        self.reading().blob(digest)
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.inner().carried(position)
    }

    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.reading().snapshot(stream)
    }

    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.points.pass("before a snapshot");
        self.inner().put_snapshot(stream, snapshot);
    }

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.inner().resolve(prefix)
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.inner().by_kind(kinds, from, max)
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        if self.lies(Lie::ForgetsRequests, 300) {
            return Ok(None);
        }
        self.reading().request(stream, request)
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.reading().runs(max)
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.inner().gates()
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.inner().tree_node(height, index)
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        self.inner().tree_head()
    }

    fn health(&self) -> Result<Health, StoreError> {
        self.inner().health()
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        self.inner().catch_up()
    }

    fn tip(&self) -> Arc<Tip> {
        self.inner().tip()
    }
}
