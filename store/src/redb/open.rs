//! Creating, opening and reopening a store; what is checked before anything is answered.
//!
//! An open reads the format first (STORE-13), then verifies the tail: every commit that the index has not caught up
//! with, and the last one in any case, against its seal, the chain of its stream and the tree (STORE-8). That is bounded by
//! the index batch, so it takes the same time at any size.

use super::append::Writer;
use super::database::{Db, Medium, fault, guarded};
use super::file::{BLOBS, sync_folder};
use super::index::{reset, write_batch};
use super::read::Reader;
use super::table::{self, COMMITS, INDEX, INDEX_VERSION, META, TREE};
use super::{RedbStore, TAIL_MAX};
use crate::append::Append;
use crate::error::{Damage, StoreError};
use crate::store::Store;
use crate::subscription::Tip;
use crate::tail::Tail;
use loom_core::commit::{Checked, Head};
use loom_core::id::EventHasher;
use loom_core::tree::{Frontier, NodeHash};
use redb::{ReadableTable, TableError};
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

/// Name of the file that tells people who holds the store.
pub(super) const HOLDER: &str = "holder";
/// Name of the file that keeps git out of the store's folder.
pub(super) const IGNORE: &str = ".gitignore";
const FILE: &str = "store.redb";
const NEW: &str = "store.redb.new";
/// How long a lock may outlive its holder.
const LINGER_MAX: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(1);
/// Events of one batch when the index is rebuilt.
const REBUILD_MAX: u64 = 32 << 10;

/// What to do about damage at the end of the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Tolerance {
    Refuse,
    ReadAround,
}

impl RedbStore {
    /// Opens the store in a folder for appending.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let medium = Medium::File(existing(dir)?);
        let db = patiently(dir, || Db::open(&medium))?;
        Self::assemble(dir, medium, db, Tolerance::Refuse).map(RedbStore::erased)
    }

    /// Finishes what was being erased when the last holder ended. What cannot be erased now keeps nobody from the store: it
    /// is told by whoever verifies, and tried again at the next opening.
    fn erased(self) -> Self {
        let _ = self.erase();
        self
    }

    /// Opens the store in a folder for reading; several processes may, while nobody holds it for appending.
    ///
    /// A store whose last holder was killed is read as it would be repaired. One without its index gets it again, which
    /// takes it for a moment.
    pub fn open_to_read(dir: &Path) -> Result<Self, StoreError> {
        match Self::read_only(dir) {
            Err(StoreError::ReadOnly) => {
                drop(Self::open(dir)?);
                Self::read_only(dir)
            }
            opened => opened,
        }
    }

    fn read_only(dir: &Path) -> Result<Self, StoreError> {
        let file = existing(dir)?;
        let db = patiently(dir, || Db::open_to_read(&file))?;
        Self::assemble(dir, Medium::File(file), db, Tolerance::Refuse)
    }

    /// Opens a store whose log ends in damage, for reading what is whole; [`RedbStore::damage`] says what is not.
    pub fn open_damaged(dir: &Path) -> Result<Self, StoreError> {
        let file = existing(dir)?;
        let db = patiently(dir, || Db::open_to_read(&file))?;
        Self::assemble(dir, Medium::File(file), db, Tolerance::ReadAround)
    }

    /// Creates a store in a folder; its log begins with `origin`, from [`loom_core::origin::create`].
    pub fn create(dir: &Path, origin: &Checked<()>) -> Result<Self, StoreError> {
        let store = Self::begin(dir)?;
        if let Some(Err(error)) = store.append(vec![Append::from(origin)]).pop() {
            return Err(match error {
                crate::AppendError::Store(error) => error,
                moved @ crate::AppendError::HeadMoved { .. } => Damage::of(moved.to_string()).into(),
            });
        }
        store.finish()
    }

    /// Opens the store in a folder, or creates it with the origin that `origin` makes.
    pub fn open_or_create(dir: &Path, origin: impl FnOnce() -> Checked<()>) -> Result<Self, StoreError> {
        match Self::open(dir) {
            Err(StoreError::Missing(_)) => match Self::create(dir, &origin()) {
                Err(StoreError::Exists(_)) => Self::open(dir),
                created => created,
            },
            opened => opened,
        }
    }

    /// Begins a store under another name, so that a crash on the way leaves no half store behind.
    pub(crate) fn begin(dir: &Path) -> Result<Self, StoreError> {
        if dir.join(FILE).exists() {
            return Err(StoreError::Exists(dir.join(FILE)));
        }
        let failed = |error| StoreError::io(format!("{} cannot be prepared", dir.display()), error);
        fs::create_dir_all(dir.join(BLOBS)).map_err(failed)?;
        fs::write(dir.join(IGNORE), "*\n").map_err(failed)?;
        // What a crash left under this name was never a store. A live creator holds its lock, which shows here.
        let medium = Medium::File(dir.join(NEW));
        let db = match Db::create(&medium).and_then(|db| guarded(|| clear(&db)).map(|()| db)) {
            Err(StoreError::Damaged(_)) => {
                fs::remove_file(dir.join(NEW)).map_err(failed)?;
                let db = Db::create(&medium).map_err(|error| named(dir, error))?;
                guarded(|| clear(&db))?;
                db
            }
            created => created.map_err(|error| named(dir, error))?,
        };
        Self::assemble(dir, medium, db, Tolerance::Refuse)
    }

    /// Gives a store that was begun its name.
    pub(crate) fn finish(self) -> Result<Self, StoreError> {
        let dir = self.dir.clone();
        drop(self);
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => StoreError::Exists(dir.join(FILE)),
            _ => StoreError::io(format!("{} cannot be created", dir.join(FILE).display()), error),
        };
        // A link fails where a rename would replace what another process just created.
        fs::hard_link(dir.join(NEW), dir.join(FILE)).map_err(failed)?;
        fs::remove_file(dir.join(NEW)).map_err(failed)?;
        sync_folder(&dir)?;
        Self::open(&dir)
    }

    /// Opens or begins a store on a storage of the caller's; `dir` takes its large blobs.
    #[cfg(feature = "conformance")]
    pub fn open_on(
        dir: &Path,
        origin: &Checked<()>,
        storage: impl Fn() -> std::io::Result<Box<dyn redb::StorageBackend>> + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        fs::create_dir_all(dir.join(BLOBS)).map_err(|error| StoreError::io("no folder for blobs", error))?;
        let medium = Medium::Given(Box::new(storage));
        let db = Db::open(&medium)?;
        if guarded(|| is_blank(&db))? {
            guarded(|| clear(&db))?;
        }
        let store = Self::assemble(dir, medium, db, Tolerance::Refuse)?;
        if store.size() == 0 {
            match store.append(vec![Append::from(origin)]).pop() {
                Some(Err(crate::AppendError::Store(error))) => return Err(error),
                _ => return Ok(store),
            }
        }
        Ok(store.erased())
    }

    fn assemble(dir: &Path, medium: Medium, db: Db, tolerance: Tolerance) -> Result<Self, StoreError> {
        guarded(|| check_format(&db))?;
        let holds = matches!((&medium, &db), (Medium::File(_), Db::Write(_)));
        if holds {
            // Best effort: the lock is redb's, this only names its owner.
            let _ = fs::write(dir.join(HOLDER), std::process::id().to_string());
        }
        let mut store = RedbStore {
            dir: dir.to_path_buf(),
            medium,
            db: RwLock::new(Some(db)),
            writer: Mutex::new(Writer { frontier: Frontier::default(), healthy: true }),
            queue: Mutex::new(VecDeque::new()),
            tail: RwLock::default(),
            snapshots: Mutex::default(),
            redacted: RwLock::default(),
            tip: Arc::new(Tip::new(0)),
            hasher: EventHasher::default(),
            durable_commits: AtomicU64::new(0),
            damage: None,
            holds,
        };
        let (tail, frontier, damage) = store.with_db(|db| load(db, &store.hasher, tolerance))?;
        store.tip.raise(tail.size);
        *store.tail.get_mut().unwrap_or_else(PoisonError::into_inner) = tail;
        store.writer.get_mut().unwrap_or_else(PoisonError::into_inner).frontier = frontier;
        store.damage = damage;
        Ok(store)
    }

    /// Opens the database again after a failed write and takes back what nobody was told of (STORE-14).
    pub(super) fn mend(&self, writer: &mut Writer) -> Result<(), StoreError> {
        if writer.healthy {
            return Ok(());
        }
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let old = slot.take();
        // The broken database fails to close cleanly too; the next open repairs it.
        let _ = guarded(|| {
            drop(old);
            Ok(())
        });
        let db = Db::open(&self.medium).map_err(|error| named(&self.dir, error))?;
        let acknowledged = self.tail().size;
        guarded(|| cut(&db, acknowledged))?;
        let (tail, frontier, _) = guarded(|| load(&db, &self.hasher, Tolerance::Refuse))?;
        if tail.size != acknowledged {
            return Err(Damage::at(tail.size.min(acknowledged), "the log is not as long as it was").into());
        }
        *self.tail.write().unwrap_or_else(PoisonError::into_inner) = tail;
        *slot = Some(db);
        writer.frontier = frontier;
        writer.healthy = true;
        Ok(())
    }
}

fn existing(dir: &Path) -> Result<PathBuf, StoreError> {
    let file = dir.join(FILE);
    if file.exists() { Ok(file) } else { Err(StoreError::Missing(dir.to_path_buf())) }
}

/// Opens a database, and waits for a lock that has outlived its holder.
///
/// A process that was killed while it started another one leaves a child that is still a copy of it, lock included,
/// until it has become the other program.
fn patiently(dir: &Path, open: impl Fn() -> Result<Db, StoreError>) -> Result<Db, StoreError> {
    let began = Instant::now();
    loop {
        let file = inode(dir);
        match open().map_err(|error| named(dir, error)) {
            // The file had another one's name when it was opened: it was being written anew (ERASE-2).
            Ok(_) if inode(dir) != file => {}
            Err(StoreError::Held { pid: Some(pid), .. }) if is_dead(pid) && began.elapsed() < LINGER_MAX => {
                thread::sleep(LOOK);
            }
            opened => return opened,
        }
    }
}

/// Returns the file that has the store's name.
fn inode(dir: &Path) -> Option<(u64, u64)> {
    let found = fs::metadata(dir.join(FILE)).ok()?;
    Some((found.dev(), found.ino()))
}

/// Whether a process is known to have ended, waited for or not.
fn is_dead(pid: u32) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    match fs::read(format!("/proc/{pid}/stat")) {
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
        // "PID (NAME) STATE …", and the name may hold anything.
        Ok(stat) => stat.iter().rposition(|byte| *byte == b')').is_some_and(|end| stat[end..].starts_with(b") Z")),
    }
}

/// Adds the holder's process id where the store is held.
fn named(dir: &Path, error: StoreError) -> StoreError {
    match error {
        StoreError::Held { .. } => {
            let pid = fs::read_to_string(dir.join(HOLDER)).ok().and_then(|pid| pid.trim().parse().ok());
            StoreError::Held { dir: dir.to_path_buf(), pid }
        }
        error => error,
    }
}

#[cfg(feature = "conformance")]
fn is_blank(db: &Db) -> Result<bool, StoreError> {
    Ok(db.begin_read()?.list_tables().map_err(fault)?.next().is_none())
}

/// Empties every table and writes the format.
fn clear(db: &Db) -> Result<(), StoreError> {
    let transaction = db.begin_write()?;
    transaction.delete_table(COMMITS).map_err(fault)?;
    transaction.delete_table(table::BLOBS).map_err(fault)?;
    transaction.delete_table(TREE).map_err(fault)?;
    transaction.open_table(COMMITS).map_err(fault)?;
    transaction.open_table(table::BLOBS).map_err(fault)?;
    transaction.open_table(TREE).map_err(fault)?;
    reset(&transaction)?;
    transaction.open_table(META).map_err(fault)?.insert("format", crate::FORMAT).map_err(fault)?;
    transaction.commit().map_err(fault)
}

fn check_format(db: &Db) -> Result<(), StoreError> {
    let table = match db.begin_read()?.open_table(META) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Err(Damage::of("the file is not a store's").into()),
        Err(error) => return Err(fault(error)),
    };
    match table.get("format").map_err(fault)?.map(|row| row.value()) {
        Some(crate::FORMAT) => Ok(()),
        Some(found) if found > crate::FORMAT => Err(StoreError::Newer { found, known: crate::FORMAT }),
        _ => Err(Damage::of("the format is missing").into()),
    }
}

/// Removes the commits from a position on: those of a failed append that reached the disk nevertheless.
fn cut(db: &Db, size: u64) -> Result<(), StoreError> {
    let commits = db.begin_read()?.open_table(COMMITS).map_err(fault)?;
    let last = commits.last().map_err(fault)?.map(|(key, _)| key.value());
    drop(commits);
    if last.is_none_or(|last| last < size) {
        return Ok(());
    }
    let transaction = db.begin_write()?;
    let mut commits = transaction.open_table(COMMITS).map_err(fault)?;
    commits.retain_in(size.., |_, _| false).map_err(fault)?;
    drop(commits);
    let mut blobs = transaction.open_table(table::BLOBS).map_err(fault)?;
    blobs.retain_in((size, 0, 0).., |_, _| false).map_err(fault)?;
    drop(blobs);
    let mut tree = transaction.open_table(TREE).map_err(fault)?;
    tree.retain_in((size + 1, 0).., |_, _| false).map_err(fault)?;
    drop(tree);
    transaction.commit().map_err(fault)
}

/// Verifies the log's end, rebuilds a missing index (STORE-10), and returns what is held in memory of them.
fn load(db: &Db, hasher: &EventHasher, tolerance: Tolerance) -> Result<(Tail, Frontier, Option<Damage>), StoreError> {
    let indexed = indexed(db)?;
    let end = last_row(db)?.map_or(0, |(position, count)| position + count);
    let indexed = match indexed {
        Some(upto) if upto <= end => upto,
        _ => {
            let transaction = db.begin_write()?;
            reset(&transaction)?;
            transaction.commit().map_err(fault)?;
            0
        }
    };
    let mut damage = None;
    let mut tail = Tail::at(indexed);
    loop {
        tail = read_tail(db, hasher, tail, end, tolerance, &mut damage)?;
        if tail.size >= end || tail.events() < REBUILD_MAX {
            break;
        }
        write_batch(db, &tail, &BTreeMap::new())?;
        tail = Tail::at(tail.size);
    }
    if tail.events() > 2 * TAIL_MAX && matches!(db, Db::Write(_)) {
        write_batch(db, &tail, &BTreeMap::new())?;
        tail = Tail::at(tail.size);
    }
    if damage.is_some() {
        return Ok((tail, Frontier::default(), damage));
    }
    match frontier(db, hasher, &tail) {
        Ok(frontier) => Ok((tail, frontier, None)),
        Err(StoreError::Damaged(damage)) if tolerance == Tolerance::ReadAround => {
            Ok((tail, Frontier::default(), Some(damage)))
        }
        Err(error) => Err(error),
    }
}

/// Returns up to which position the index has caught up, or `None` when it is missing or of another version.
fn indexed(db: &Db) -> Result<Option<u64>, StoreError> {
    let table = match db.begin_read()?.open_table(INDEX) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(None),
        Err(error) => return Err(fault(error)),
    };
    let read = |name: &str| Ok::<_, StoreError>(table.get(name).map_err(fault)?.map(|row| row.value()));
    Ok(if read("version")? == Some(INDEX_VERSION) { read("upto")? } else { None })
}

/// Returns the position of the last commit and the number of its events.
fn last_row(db: &Db) -> Result<Option<(u64, u64)>, StoreError> {
    let commits = db.begin_read()?.open_table(COMMITS).map_err(fault)?;
    let last = commits.last().map_err(fault)?;
    Ok(last.map(|(key, row)| (key.value(), crate::row::split(row.value()).count() as u64)))
}

/// Extends a tail to the log's end or to [`REBUILD_MAX`] events, verifying each commit and its place in its chain.
fn read_tail(
    db: &Db,
    hasher: &EventHasher,
    mut tail: Tail,
    end: u64,
    tolerance: Tolerance,
    damage: &mut Option<Damage>,
) -> Result<Tail, StoreError> {
    let transaction = db.begin_read()?;
    // The log as a whole is visible here; the heads come from the index, which ends where the tail began.
    let visible = Tail { from: end, size: end, ..Tail::default() };
    let reader = Reader { transaction: &transaction, tail: &visible, hasher };
    let start = tail.size;
    reader.rows(start, |position, row| {
        let checked = crate::row::verify(position, row, hasher).and_then(|(facts, _)| {
            let expected = match tail.head(facts.stream) {
                Some(head) => head,
                None => reader.head(facts.stream)?,
            };
            match position == tail.size && facts.expected == expected {
                true => Ok(facts),
                false => Err(misplaced(position, tail.size, &facts.expected, facts.stream).into()),
            }
        });
        match checked {
            Ok(facts) => tail.push(&facts),
            Err(StoreError::Damaged(found)) if tolerance == Tolerance::ReadAround => {
                damage.get_or_insert(found);
                tail.size = position + crate::row::split(row).count().max(1) as u64;
            }
            Err(error) => return Err(error),
        }
        Ok(tail.events() < REBUILD_MAX)
    })?;
    let (from, to) = (start, tail.size);
    reader.blobs(from, to, |slot, head| {
        tail.push_blobs(slot.position, std::iter::once((slot.slot, &head.digest)));
    })?;
    if start == end && end > 0 {
        // Nothing is unindexed: the last commit is verified all the same.
        let last = reader.ids(end - 1, end);
        match last {
            Err(StoreError::Damaged(found)) if tolerance == Tolerance::ReadAround => {
                damage.get_or_insert(found);
            }
            Err(error) => return Err(error),
            Ok(_) => {}
        }
    }
    Ok(tail)
}

fn misplaced(position: u64, due: u64, expected: &Head, stream: loom_core::id::StreamId) -> Damage {
    Damage {
        position: Some(position.min(due)),
        stream: Some(stream),
        sequence: Some(expected.next),
        what: String::from("the commit does not follow the one before it (CHAIN-1)"),
    }
}

/// Puts the right edge of the tree together from its stored nodes and the last events, and checks the last node.
fn frontier(db: &Db, hasher: &EventHasher, tail: &Tail) -> Result<Frontier, StoreError> {
    let transaction = db.begin_read()?;
    let reader = Reader { transaction: &transaction, tail, hasher };
    let (size, mut frontier) = (tail.size, Frontier::default());
    for height in (1..64).rev() {
        // The perfect subtrees of a tree are the set bits of its size.
        if height >= 8 && size >> height & 1 == 1 {
            let node = reader.tree_node(height, frontier.size() >> height)?;
            frontier.push_subtree(height, node);
        }
    }
    for id in reader.ids(frontier.size(), size)? {
        frontier.push_subtree(0, loom_core::tree::leaf(&id));
    }
    if let Some(tile) = (size >> 8).checked_sub(1) {
        let stored: NodeHash = reader.tree_node(8, tile)?;
        let ids = reader.ids(tile << 8, (tile + 1) << 8)?;
        if stored != crate::proof::join(ids.iter().map(loom_core::tree::leaf).collect()) {
            return Err(Damage::at(tile << 8, "a node of the tree does not match its events").into());
        }
    }
    Ok(frontier)
}
