//! Which blobs a person has had erased, as the store's own stream says (ERASE-1).

use crate::error::{Damage, StoreError};
use crate::store::Store;
use loom_core::event::Envelope;
use loom_core::id::Digest;
use loom_core::kind::{BlobsRedacted, Event};
use std::collections::BTreeMap;

/// A blob's redaction on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redaction {
    /// Sequence of its event in the store's own stream.
    pub sequence: u64,
    /// Position of its event.
    pub position: u64,
    /// How many bytes were stored of the blob.
    pub length: u64,
    /// Why (a blob).
    pub why: Digest,
    /// Who asked for it.
    pub by: String,
    /// When, milliseconds since the epoch.
    pub at_ms: u64,
}

/// Returns every blob that a redaction on record names, with the first one that does.
///
/// # Errors
/// The events cannot be read.
pub fn redactions(store: &dyn Store) -> Result<BTreeMap<Digest, Redaction>, StoreError> {
    let mut found = BTreeMap::new();
    for position in store.by_kind(&[BlobsRedacted::SCHEMA.code], 0, usize::MAX)? {
        for stored in store.events(position, 1)? {
            let envelope = Envelope::decode(&stored.event.bytes).map_err(|source| match source.is_newer() {
                true => StoreError::NewerEvent { position, source },
                false => Damage::at(position, source.to_string()).into(),
            })?;
            let Event::BlobsRedacted(body) = envelope.body else { continue };
            for (digest, length) in body.erased.iter().zip(body.lengths.iter()) {
                let by = envelope.actor.id().to_string();
                let (sequence, length, why, at_ms) = (envelope.sequence, *length, body.why, envelope.stamp.ms);
                found.entry(*digest).or_insert(Redaction { sequence, position, length, why, by, at_ms });
            }
        }
    }
    Ok(found)
}
