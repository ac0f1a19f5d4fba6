//! The store's own stream: its first event names the store; what persons ask of the store are its further commits.

use crate::commit::{Blob, Checked, Head};
use crate::event::{Envelope, Recorded};
use crate::id::{Actor, EventHasher, EventId, Stamp, StreamId};
use crate::kind::{Event, StoreCreated};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// Returns the commit that begins a store named `origin` (16 random bytes).
pub fn create(origin: [u8; 16], loom: &str, stamp: Stamp) -> Checked<()> {
    let envelope = Envelope {
        stream: StreamId::STORE,
        sequence: 0,
        previous: EventId::default(),
        stamp,
        actor: Actor::Host,
        input: 0,
        count: Some(1),
        body: StoreCreated { origin, loom: String::from(loom) }.into(),
    };
    let event = Recorded::of(&envelope, &EventHasher::default());
    Checked::new(StreamId::STORE, Head::default(), vec![event], Vec::new(), Vec::new(), ())
}

/// Where the store's own stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct End {
    /// Its head.
    pub head: Head,
    /// The stamp of its last commit.
    pub stamp: Stamp,
}

/// Returns the commit of one input behind `end`. `now_ms` is the host's clock.
pub(crate) fn asked(end: End, actor: Actor, now_ms: u64, body: Event, blobs: Vec<Blob>) -> Checked<()> {
    let End { head, stamp } = end;
    let envelope = Envelope {
        stream: StreamId::STORE,
        sequence: head.next,
        previous: head.last,
        stamp: Stamp::after(stamp, now_ms),
        actor,
        input: head.next,
        count: Some(1),
        body,
    };
    let event = Recorded::of(&envelope, &EventHasher::default());
    Checked::new(StreamId::STORE, head, vec![event], blobs, Vec::new(), ())
}
