//! What can go wrong when history is read back, one variant per thing that a caller treats differently.

use loom_core::event::EventError;
use loom_core::id::StreamId;
use loom_store::{Damage, StoreError};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// The first record that is not what was written, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bad {
    /// Position in the store, where it is one and the position is known.
    pub position: Option<u64>,
    /// Byte in the file, for a trace.
    pub offset: Option<u64>,
    /// The stream, where it is known.
    pub stream: Option<StreamId>,
    /// The sequence in that stream, where it is known.
    pub sequence: Option<u64>,
    /// What is wrong.
    pub what: String,
    /// Whether the end is missing, rather than something altered.
    pub is_cut: bool,
}

impl Bad {
    pub(crate) fn of(what: impl Into<String>) -> Self {
        Bad { what: what.into(), ..Bad::default() }
    }

    /// Says that the end is missing.
    pub(crate) fn cut(self) -> Self {
        Bad { is_cut: true, ..self }
    }

    pub(crate) fn at(position: u64, what: impl Into<String>) -> Self {
        Bad { position: Some(position), ..Bad::of(what) }
    }
}

impl From<Damage> for Bad {
    fn from(damage: Damage) -> Self {
        let Damage { position, stream, sequence, what } = damage;
        Bad { position, offset: None, stream, sequence, what, is_cut: false }
    }
}

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut places = Vec::new();
        places.extend(self.position.map(|position| format!("position {position}")));
        places.extend(self.offset.map(|offset| format!("byte {offset}")));
        places.extend(self.stream.map(|stream| format!("stream {stream}")));
        places.extend(self.sequence.map(|sequence| format!("sequence {sequence}")));
        if !places.is_empty() {
            write!(f, "{}: ", places.join(", "))?;
        }
        f.write_str(&self.what)
    }
}

/// Why history could not be read back.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such run.
    #[error("there is no run {0}")]
    NoRun(StreamId),
    /// A trace is not what was written.
    #[error("the trace is damaged at {0}")]
    Damaged(Bad),
    /// The file is no trace.
    #[error("the file is not a trace of a loom run (TRACE-8)")]
    NotATrace,
    /// A newer Loom wrote the trace.
    #[error("trace format {found} is newer than this loom reads (format {known}); a newer loom can read it")]
    Newer {
        /// Version found.
        found: u64,
        /// Newest version known.
        known: u64,
    },
    /// A newer Loom wrote an event.
    #[error("event {sequence} cannot be read")]
    NewerEvent {
        /// Its sequence.
        sequence: u64,
        /// What this Loom does not know.
        #[source]
        source: EventError,
    },
    /// What was named as a source is not there.
    #[error("cannot find {}", .path.display())]
    Source {
        /// What was named.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// There is more of something than is held in memory.
    #[error("there are more than {max} {what}, which is more than is looked at in one piece")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How much may be there.
        max: u64,
    },
    /// The file could not be read or written.
    #[error("cannot {doing} the trace")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
}
