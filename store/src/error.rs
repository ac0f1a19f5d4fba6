//! What can go wrong in a store, one variant per thing that a caller treats differently.

use loom_core::commit::Head;
use loom_core::event::EventError;
use loom_core::id::StreamId;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Where the first bad record is and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// Position of the first bad event in the store, where it is known.
    pub position: Option<u64>,
    /// Its stream, where it is known.
    pub stream: Option<StreamId>,
    /// Its sequence in that stream, where it is known.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Damage {
    pub(crate) fn at(position: u64, what: impl Into<String>) -> Self {
        Damage { position: Some(position), stream: None, sequence: None, what: what.into() }
    }

    pub(crate) fn of(what: impl Into<String>) -> Self {
        Damage { position: None, stream: None, sequence: None, what: what.into() }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store is damaged")?;
        if let Some(position) = self.position {
            write!(f, " at position {position}")?;
        }
        if let Some(stream) = self.stream {
            write!(f, ", stream {stream}")?;
        }
        if let Some(sequence) = self.sequence {
            write!(f, ", sequence {sequence}")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// Why a store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no store in that folder.
    #[error("there is no store in {0}")]
    Missing(PathBuf),
    /// There is a store or file already.
    #[error("{0} exists already")]
    Exists(PathBuf),
    /// Another process holds the store.
    #[error("the store in {dir} is held by {}", holder(.pid))]
    Held {
        /// Folder of the store.
        dir: PathBuf,
        /// The holder, where it left its process id.
        pid: Option<u32>,
    },
    /// A newer Loom wrote this store or backup.
    #[error("the format {found} is newer than this loom reads (format {known}); a newer loom can read it")]
    Newer {
        /// Version found.
        found: u64,
        /// Newest version known.
        known: u64,
    },
    /// A newer Loom wrote this event.
    #[error("the event at position {position} cannot be read")]
    NewerEvent {
        /// Its position.
        position: u64,
        /// What this Loom does not know.
        #[source]
        source: EventError,
    },
    /// Bytes are not what was written.
    #[error("{0}")]
    Damaged(Damage),
    /// The disk is full. Nothing acknowledged is lost; the same append works once there is room.
    #[error("the disk is full; nothing is lost, and the store goes on when there is room")]
    Full,
    /// The operating system refused.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the operating system said.
        #[source]
        source: Arc<io::Error>,
    },
    /// An earlier write failed and the store could not be opened again yet.
    #[error("an earlier write failed and the store could not be opened again")]
    Broken,
    /// The store was opened for reading only.
    #[error("the store is open for reading only")]
    ReadOnly,
}

impl StoreError {
    /// Names an error of the operating system; a full disk becomes [`StoreError::Full`].
    pub(crate) fn io(what: impl Into<String>, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => StoreError::Full,
            _ => StoreError::Io { what: what.into(), source: Arc::new(source) },
        }
    }
}

impl From<Damage> for StoreError {
    fn from(damage: Damage) -> Self {
        StoreError::Damaged(damage)
    }
}

fn holder(pid: &Option<u32>) -> String {
    match pid {
        Some(pid) => format!("process {pid}"),
        None => String::from("another process"),
    }
}

/// Why a commit was not appended.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The stream does not end where the commit expects it; other commits of the same call stand (STORE-3).
    #[error("stream {stream} ends before sequence {}, not {} as expected", found.next, expected.next)]
    HeadMoved {
        /// The stream.
        stream: StreamId,
        /// Where the commit expects its end.
        expected: Head,
        /// Where it ends.
        found: Head,
    },
    /// The store failed; the commit is not in it.
    #[error(transparent)]
    Store(#[from] StoreError),
}
