//! Which store it is, as its first event says.

use crate::error::{Damage, StoreError};
use crate::store::Store;
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::Event;

/// Returns the name of a store: 16 random bytes in its first event.
///
/// # Errors
/// The event cannot be read, or is another one.
pub fn origin(store: &dyn Store) -> Result<[u8; 16], StoreError> {
    let nameless = || Damage {
        position: Some(0),
        stream: Some(StreamId::STORE),
        sequence: Some(0),
        what: "the log does not begin with the event that names the store".to_string(),
    };
    let first = store.read(StreamId::STORE, 0, 1)?.pop().ok_or_else(nameless)?;
    match Envelope::decode(&first.event.bytes).map(|first| first.body) {
        Ok(Event::StoreCreated(created)) => Ok(created.origin),
        Err(source) if source.is_newer() => Err(StoreError::NewerEvent { position: 0, source }),
        Ok(_) | Err(_) => Err(nameless().into()),
    }
}
