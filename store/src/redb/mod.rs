//! The backend on disk: one redb file, and a folder of large blobs.
//!
//! ```text
//! DIR/.gitignore    "*"
//! DIR/store.redb    the log, small blobs, tree, index
//! DIR/store.redb.anew  the same without what is being erased, until it takes the name
//! DIR/blobs/        one file per large blob, named by its digest
//! DIR/holder        process id of who holds the store, for people to read
//! ```
//!
//! Locks are taken in the order writer, database, tail. Nothing is held while a caller's code runs.

mod append;
mod database;
mod erase;
mod file;
mod index;
mod open;
mod overlay;
mod read;
mod table;

pub use database::is_guarded;
pub use file::Garbage;
pub(crate) use file::{blobs_in, sync_folder};

use crate::append::{Append, Appended};
use crate::error::{AppendError, Damage, StoreError};
use crate::lookup::{Answered, Gate, Health, Resolution, Run, Snapshot, Stored};
use crate::store::Store;
use crate::subscription::Tip;
use crate::tail::Tail;
use append::{Ticket, Writer};
use database::{Db, Medium};
use loom_core::commit::Head;
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::tree::NodeHash;
use redb::{ReadableTableMetadata, TableStats};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// Unindexed events at which an append lets the index catch up first.
const TAIL_MAX: u64 = 4096;
/// Blobs longer than this are files.
const INLINE_MAX: usize = 64 << 10;

/// A store on disk.
pub struct RedbStore {
    dir: PathBuf,
    medium: Medium,
    db: RwLock<Option<Db>>,
    writer: Mutex<Writer>,
    queue: Mutex<VecDeque<Arc<Ticket>>>,
    tail: RwLock<Tail>,
    snapshots: Mutex<BTreeMap<StreamId, Snapshot>>,
    /// Blobs that are not stored again (ERASE-4).
    redacted: RwLock<BTreeSet<Digest>>,
    tip: Arc<Tip>,
    hasher: EventHasher,
    durable_commits: AtomicU64,
    damage: Option<Damage>,
    holds: bool,
}

impl RedbStore {
    fn tail(&self) -> RwLockReadGuard<'_, Tail> {
        self.tail.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is wrong with the log's end, for a store opened by [`RedbStore::open_damaged`].
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Returns the bytes that the database's pages take; reads every page's header, so not for hot paths.
    pub fn allocated(&self) -> Result<Allocated, StoreError> {
        let _writer = self.lock_writer();
        self.with_db(|db| {
            let transaction = db.begin_write()?;
            let stats = transaction.stats().map_err(database::fault)?;
            let bytes = |of: TableStats| of.stored_bytes() + of.metadata_bytes() + of.fragmented_bytes();
            let blobs = transaction.open_table(table::BLOBS).map_err(database::fault)?.stats();
            let places = transaction.open_table(table::PLACES).map_err(database::fault)?.stats();
            let blobs = bytes(blobs.map_err(database::fault)?) + bytes(places.map_err(database::fault)?);
            transaction.abort().map_err(database::fault)?;
            Ok(Allocated { total: stats.allocated_pages() * stats.page_size() as u64, blobs })
        })
    }

    /// Runs `work` on the open database.
    fn with_db<T>(&self, work: impl FnOnce(&Db) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db.read().unwrap_or_else(PoisonError::into_inner);
        let db = db.as_ref().ok_or(StoreError::Broken)?;
        database::guarded(|| work(db))
    }
}

/// Bytes of a database's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocated {
    /// All pages in use, the index among them.
    pub total: u64,
    /// Those of blobs and of the index that says where each lies.
    pub blobs: u64,
}

impl Drop for RedbStore {
    fn drop(&mut self) {
        // Best effort: what is not indexed now is read again at the next open.
        let _ = self.catch_up();
        let db = self.db.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let _ = database::guarded(|| {
            drop(db);
            Ok(())
        });
        if self.holds {
            let _ = std::fs::remove_file(self.dir.join(open::HOLDER));
        }
    }
}

impl Store for RedbStore {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.append_group(commits)
    }

    fn size(&self) -> u64 {
        self.tail().size
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.reading(|reader| reader.head(stream))
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.reading(|reader| reader.read(stream, sequence, max))
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.reading(|reader| reader.events(position, max))
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        let mut chunk = read::Chunk::default();
        let mut next = from;
        loop {
            self.reading(|reader| reader.chunk(next, &mut chunk))?;
            if chunk.is_empty() {
                return Ok(next);
            }
            for (position, event) in chunk.events() {
                next = position + 1;
                if visit(position, event).is_break() {
                    return Ok(next);
                }
            }
        }
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.reading(|reader| reader.at_time(ms))
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_blob(digest)
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.reading(|reader| reader.carried(position))
    }

    fn erase(&self) -> Result<Vec<Digest>, StoreError> {
        self.erase_redacted()
    }

    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        let pending = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).get(&stream).cloned();
        match pending {
            Some(snapshot) => Ok(Some(snapshot)),
            None => self.reading(|reader| reader.snapshot(stream)),
        }
    }

    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).insert(stream, snapshot);
    }

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.reading(|reader| reader.resolve(prefix))
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.reading(|reader| reader.by_kind(kinds, from, max))
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        self.reading(|reader| reader.request(stream, request))
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.reading(|reader| reader.runs(max))
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.reading(|reader| reader.gates())
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.reading(|reader| reader.tree_node(height, index))
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        match &self.damage {
            Some(damage) => Err(damage.clone().into()),
            None => {
                let writer = self.lock_writer();
                Ok((writer.frontier.size(), writer.frontier.root()))
            }
        }
    }

    fn health(&self) -> Result<Health, StoreError> {
        let mut health = self.reading(|reader| reader.health())?;
        health.durable_commits = self.durable_commits.load(Ordering::Relaxed);
        if let Medium::File(path) = &self.medium {
            let file = path.metadata().map_err(|error| StoreError::io("the store's file cannot be seen", error))?;
            health.file_bytes = file.len();
        }
        Ok(health)
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        let mut writer = self.lock_writer();
        self.mend(&mut writer)?;
        self.index_tail(&mut writer)
    }

    fn tip(&self) -> Arc<Tip> {
        self.tip.clone()
    }
}
