//! One run's events and blobs, wherever they are kept.

use crate::error::ReplayError;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_store::Store;

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
}

/// A run in a store.
pub struct StoredRun<'s> {
    store: &'s dyn Store,
    stream: StreamId,
}

impl<'s> StoredRun<'s> {
    /// Returns the run of `stream`.
    pub fn new(store: &'s dyn Store, stream: StreamId) -> Self {
        StoredRun { store, stream }
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
}
