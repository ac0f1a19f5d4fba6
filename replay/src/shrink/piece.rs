//! The smaller run as it is read and written: its events, and of its blobs those that judging and driving again read.

use crate::error::ReplayError;
use crate::records::Records;
use crate::timeline::Timeline;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use std::collections::BTreeSet;

/// A run in memory whose blobs lie elsewhere.
pub struct Piece<'r> {
    blobs: Blobs<'r>,
    stream: StreamId,
    events: Vec<Recorded>,
    needed: BTreeSet<Digest>,
}

/// Where its blobs lie.
pub(super) enum Blobs<'r> {
    Recorded(&'r dyn Records),
    Derived(Box<Timeline<'r>>),
}

impl<'r> Piece<'r> {
    pub(super) fn new(blobs: Blobs<'r>, stream: StreamId, events: Vec<Recorded>) -> Result<Self, ReplayError> {
        let mut needed = BTreeSet::new();
        for (event, sequence) in events.iter().zip(0..) {
            let body = crate::refold::envelope(event, sequence)?.body;
            needed.extend(loom_core::naming::terms(&body));
            if let Event::SpawnFinished(body) = &body {
                needed.extend(body.answer.into_iter().chain(body.delta));
            }
        }
        Ok(Piece { blobs, stream, events, needed })
    }
}

impl Records for Piece<'_> {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let from = usize::try_from(sequence).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(from).take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        match &self.blobs {
            _ if !self.needed.contains(digest) => Ok(None),
            Blobs::Recorded(records) => records.blob(digest),
            Blobs::Derived(timeline) => timeline.blob(digest),
        }
    }

    fn redaction(&self, digest: &Digest) -> Result<Option<u64>, ReplayError> {
        match &self.blobs {
            Blobs::Recorded(records) => records.redaction(digest),
            Blobs::Derived(timeline) => timeline.redaction(digest),
        }
    }
}
