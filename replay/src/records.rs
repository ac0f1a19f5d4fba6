//! One run's events and blobs, wherever they are kept.

use crate::error::ReplayError;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_store::{Redaction, Store, redactions};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// How many events are read at a time.
pub(crate) const BATCH: usize = 1024;

/// A run that can be read back.
pub trait Records {
    /// Returns the run's stream.
    fn stream(&self) -> StreamId;
    /// Returns up to `max` events from `sequence` on, in order.
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError>;
    /// Returns a blob's stored bytes, if they are there.
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError>;
    /// Returns the sequence, in the store's own stream, of the redaction that had a blob erased (ERASE-1). A source that has
    /// no such stream, as a trace, knows of none.
    fn redaction(&self, _: &Digest) -> Result<Option<u64>, ReplayError> {
        Ok(None)
    }
}

/// Says which blob is missing, and which redaction had it erased, where one is on record.
pub(crate) fn missing(records: &dyn Records, digest: &Digest) -> Result<String, ReplayError> {
    Ok(match records.redaction(digest)? {
        Some(sequence) => format!("blob {digest} (erased by store#{sequence})"),
        None => format!("blob {digest}"),
    })
}

impl<R: Records> Records for &R {
    fn stream(&self) -> StreamId {
        (**self).stream()
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        (**self).read(sequence, max)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        (**self).blob(digest)
    }

    fn redaction(&self, digest: &Digest) -> Result<Option<u64>, ReplayError> {
        (**self).redaction(digest)
    }
}

/// A run in a store.
pub struct StoredRun<'s> {
    store: &'s dyn Store,
    stream: StreamId,
    redactions: OnceLock<BTreeMap<Digest, Redaction>>,
}

impl<'s> StoredRun<'s> {
    /// Returns the run of `stream`.
    pub fn new(store: &'s dyn Store, stream: StreamId) -> Self {
        StoredRun { store, stream, redactions: OnceLock::new() }
    }
}

impl Records for StoredRun<'_> {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.store.read(self.stream, sequence, max)?.into_iter().map(|stored| stored.event).collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(self.store.blob(digest)?)
    }

    fn redaction(&self, digest: &Digest) -> Result<Option<u64>, ReplayError> {
        let known = match self.redactions.get() {
            Some(known) => known,
            None => {
                let read = redactions(self.store)?;
                self.redactions.get_or_init(|| read)
            }
        };
        Ok(known.get(digest).map(|redaction| redaction.sequence))
    }
}
