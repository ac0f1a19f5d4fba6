//! A commit on its way into the log.

use crate::row::{self, Facts};
use loom_core::commit::{Blob, Checked, Head};
use loom_core::event::Recorded;
use loom_core::id::StreamId;

/// A judged commit, encoded for the log. Nothing but a [`Checked`] becomes one (STORE-1).
#[derive(Debug, Clone)]
pub struct Append {
    pub(crate) facts: Facts,
    pub(crate) row: Vec<u8>,
    pub(crate) blobs: Vec<Blob>,
}

impl Append {
    /// Returns the stream that the commit belongs to.
    pub fn stream(&self) -> StreamId {
        self.facts.stream
    }

    /// Returns where the stream must end.
    pub fn expected(&self) -> Head {
        self.facts.expected
    }

    /// Encodes events that were judged elsewhere: history that is restored, and the tests' own.
    pub(crate) fn of(events: &[Recorded], blobs: Vec<Blob>) -> Result<Self, row::Unfit> {
        let bytes: Vec<&[u8]> = events.iter().map(|event| event.bytes.as_slice()).collect();
        let facts = row::facts(events.iter().map(|event| event.id).collect(), &bytes)?;
        Ok(Append { facts, row: row::encode(events), blobs })
    }
}

impl<T> From<&Checked<T>> for Append {
    fn from(checked: &Checked<T>) -> Self {
        let append = Append::of(checked.events(), checked.blobs().to_vec());
        let append = append.expect("core writes events that follow each other (COMMIT-1, CHAIN-1)");
        assert_eq!(append.expected(), checked.expected(), "a commit begins where it expects its stream to end");
        append
    }
}

/// Where a commit went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of its first event; the others follow.
    pub position: u64,
    /// Where the stream ends now.
    pub head: Head,
}
