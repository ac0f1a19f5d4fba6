//! The store's own stream: its first event names the store.

use crate::commit::{Checked, Head};
use crate::event::{Envelope, Recorded};
use crate::id::{Actor, EventHasher, EventId, Stamp, StreamId};
use crate::kind::StoreCreated;
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
