//! The redb database: opened so that neither damage nor a full disk brings the process down.
//!
//! redb has panicked on damaged files, so everything that touches it runs inside [`guarded`]. After a failed write
//! redb refuses all work until it is opened again; that comes out as [`StoreError::Broken`].

use super::overlay::Overlay;
use crate::error::{Damage, StoreError};
use redb::{
    Builder, Database, DatabaseError, Durability, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, StorageBackend,
    WriteTransaction,
};
use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Page cache of the writer; 4 MiB keep the upper levels of every table at a million events.
const CACHE_BYTES: usize = 4 << 20;

/// Makes a storage for each opening.
pub(crate) type Storage = Box<dyn Fn() -> io::Result<Box<dyn StorageBackend>> + Send + Sync>;

/// What the database lies on.
pub(super) enum Medium {
    File(PathBuf),
    #[cfg_attr(not(feature = "conformance"), expect(dead_code, reason = "for fault injection"))]
    Given(Storage),
}

/// An open database.
pub(super) enum Db {
    Write(Database),
    Read(ReadOnlyDatabase),
    /// Was not closed; repaired in memory, to be read.
    Mended(Database),
}

impl Db {
    pub(super) fn create(medium: &Medium) -> Result<Self, StoreError> {
        guarded(|| match medium {
            Medium::File(path) => builder().create(path).map(Db::Write).map_err(|error| refused(path, error)),
            Medium::Given(storage) => given(storage).map(Db::Write),
        })
    }

    pub(super) fn open(medium: &Medium) -> Result<Self, StoreError> {
        guarded(|| match medium {
            Medium::File(path) => builder().open(path).map(Db::Write).map_err(|error| refused(path, error)),
            Medium::Given(storage) => given(storage).map(Db::Write),
        })
    }

    /// Opens for reading beside other readers. A database that was not closed is repaired in memory: its file stays as
    /// it is, for whoever may not write it, and for whoever looks at it next.
    pub(super) fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        guarded(|| match builder().open_read_only(path) {
            Ok(database) => Ok(Db::Read(database)),
            Err(DatabaseError::RepairAborted) => {
                let file = Overlay::over(path).map_err(|error| refused(path, error))?;
                builder().create_with_backend(file).map(Db::Mended).map_err(|error| refused(path, error))
            }
            Err(error) => Err(refused(path, error)),
        })
    }

    pub(super) fn begin_read(&self) -> Result<ReadTransaction, StoreError> {
        match self {
            Db::Write(database) | Db::Mended(database) => database.begin_read(),
            Db::Read(database) => database.begin_read(),
        }
        .map_err(fault)
    }

    /// Begins a transaction that is durable when its commit returns and needs no repair after a crash.
    pub(super) fn begin_write(&self) -> Result<WriteTransaction, StoreError> {
        let Db::Write(database) = self else { return Err(StoreError::ReadOnly) };
        let mut transaction = database.begin_write().map_err(fault)?;
        transaction.set_durability(Durability::Immediate).map_err(fault)?;
        transaction.set_quick_repair(true);
        Ok(transaction)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

fn given(storage: &Storage) -> Result<Database, StoreError> {
    let storage = storage().map_err(|error| StoreError::io("the storage cannot be opened", error))?;
    builder().create_with_backend(Given(storage)).map_err(fault)
}

fn refused(path: &Path, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => {
            StoreError::Held { dir: path.parent().unwrap_or(path).to_path_buf(), pid: None }
        }
        DatabaseError::Storage(redb::StorageError::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
            StoreError::Missing(path.parent().unwrap_or(path).to_path_buf())
        }
        DatabaseError::Storage(redb::StorageError::Io(error))
            if matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem) =>
        {
            StoreError::io(format!("{} cannot be opened", path.display()), error)
        }
        error => fault(error),
    }
}

thread_local! {
    /// How many calls of [`guarded`] this thread is in.
    static GUARDS: Cell<u64> = const { Cell::new(0) };
}

/// Whether a panic of this thread becomes [`StoreError::Damaged`], so that nobody else need hear of it.
pub fn is_guarded() -> bool {
    GUARDS.get() > 0
}

/// Runs what touches redb; a panic in it is damage, not the end of the process.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    GUARDS.set(GUARDS.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDS.set(GUARDS.get() - 1);
    // The words of a panic are for who knows redb's source; where the damage is they do not say.
    done.unwrap_or_else(|_panic| Err(Damage::of("the database cannot make sense of its file").into()))
}

/// Maps redb's errors to ours.
pub(super) fn fault(error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Io(error) if matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) => {
            Damage::of(error.to_string()).into()
        }
        redb::Error::Io(error) => StoreError::io("the store's file cannot be read or written", error),
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => StoreError::Broken,
        other => Damage::of(other.to_string()).into(),
    }
}

#[derive(Debug)]
struct Given(Box<dyn StorageBackend>);

impl StorageBackend for Given {
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read(offset, out)
    }
    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write(offset, data)
    }
    fn close(&self) -> io::Result<()> {
        self.0.close()
    }
}
