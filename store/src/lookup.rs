//! What stores answer with.

use crate::tail::Prefix;
use loom_core::event::Recorded;
use loom_core::id::{EventId, Stamp, StreamId};
use loom_core::word::Verdict;
use std::collections::BTreeMap;

/// An event and its place in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Position in the store's commit order: its leaf in the tree.
    pub position: u64,
    /// The event; its id was computed from its bytes when it was read.
    pub event: Recorded,
}

/// What a prefix of an event id names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolution {
    /// No event.
    None,
    /// One event.
    One {
        /// Its position.
        position: u64,
        /// Its id.
        id: EventId,
    },
    /// Several events: their ids in ascending order, at most 16 of them.
    Many(Vec<EventId>),
}

/// The input that a request became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered {
    /// Position of the input.
    pub position: u64,
    /// Its sequence in the stream.
    pub sequence: u64,
    /// Its id.
    pub id: EventId,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It goes on by itself.
    Open,
    /// A person is to answer a gate.
    Waiting,
    /// It has ended.
    Closed(Verdict),
}

/// One line of the list of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its stream.
    pub stream: StreamId,
    /// Position of its `run.opened`.
    pub position: u64,
    /// Its slug.
    pub slug: String,
    /// Where it stands.
    pub state: RunState,
    /// Stamp of its first commit.
    pub opened: Stamp,
    /// Stamp of its last commit.
    pub last: Stamp,
    /// Number of its events.
    pub events: u64,
}

/// A gate that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gate {
    /// The run.
    pub stream: StreamId,
    /// Sequence of its `gate.opened`.
    pub sequence: u64,
    /// Position of its `gate.opened`.
    pub position: u64,
    /// Stamp of its `gate.opened`.
    pub opened: Stamp,
    /// Its role.
    pub role: String,
    /// Who is to answer.
    pub owner: String,
    /// When its default applies, milliseconds since the epoch.
    pub deadline_ms: u64,
}

/// Folded state that saves a reader the events before it; may be missing or stale, never wrong by contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Version of the bytes' layout, the writer's affair.
    pub version: u32,
    /// Sequence of the first event that is not folded in.
    pub next: u64,
    /// Id of the last event that is.
    pub last: EventId,
    /// The state.
    pub bytes: Vec<u8>,
}

/// How a store is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Health {
    /// Events acknowledged.
    pub events: u64,
    /// Commits they came in.
    pub commits: u64,
    /// Streams they belong to.
    pub streams: u64,
    /// Bytes of the events alone, canonically encoded.
    pub encoded_bytes: u64,
    /// Bytes of the store's file; 0 where there is none.
    pub file_bytes: u64,
    /// Events that look-ups read from memory because the index has not caught up.
    pub index_lag: u64,
    /// Durable transactions and syncs of blob files since this process opened the store.
    pub durable_commits: u64,
    /// Version of the tables.
    pub format: u64,
}

impl Resolution {
    /// Returns what a set of matching events amounts to.
    pub(crate) fn of(found: BTreeMap<EventId, u64>) -> Self {
        let mut ids = found.iter();
        match (ids.next(), ids.next()) {
            (None, _) => Resolution::None,
            (Some((id, position)), None) => Resolution::One { position: *position, id: *id },
            (Some(_), Some(_)) => Resolution::Many(found.into_keys().take(Prefix::SHOWN).collect()),
        }
    }
}
