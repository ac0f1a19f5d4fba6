//! The keys of a store as its own stream has them (KEYS-1, KEYS-2, KEYS-4).

use super::error::{EvidenceError, broken};
use super::note::{PublicKey, is_signed};
use crate::error::{Bad, ReplayError};
use crate::records::{BATCH, Records};
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::keys::handover;
use loom_core::kind::Event;
use loom_store::Store;

/// A key that a store has, or had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOnRecord {
    /// The public key.
    pub key: PublicKey,
    /// Position of its `key.added`.
    pub position: u64,
    /// Whether the key before it signed it; true for the first, which has none before it.
    pub is_handed_over: bool,
    /// Position of its `key.retired`.
    pub retired: Option<u64>,
}

/// A store's name and its keys, the first one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct History {
    /// The store's name.
    pub origin: [u8; 16],
    /// Its keys.
    pub keys: Vec<KeyOnRecord>,
}

impl History {
    /// Reads the events of a store's own stream, from its beginning, with their positions.
    ///
    /// # Errors
    /// [`EvidenceError::Broken`] where keys do not follow each other (KEYS-1) or a hand-over does not fit (KEYS-2).
    pub fn of<'e>(events: impl Iterator<Item = (u64, &'e Envelope)>) -> Result<Self, EvidenceError> {
        History::up_to(events, &mut 0)
    }

    /// Returns the first event of a store's stream at which its keys do not hold, by its sequence.
    pub(crate) fn first_bad(records: &dyn Records) -> Result<Option<Bad>, ReplayError> {
        let mut events = Vec::new();
        loop {
            let more = records.read(events.len() as u64, BATCH)?;
            if more.is_empty() {
                break;
            }
            for event in more {
                events.push(crate::refold::envelope(&event, events.len() as u64)?);
            }
        }
        let mut last = 0;
        let read = History::up_to(events.iter().map(|envelope| (envelope.sequence, envelope)), &mut last);
        let bad = |error: EvidenceError| Bad {
            stream: Some(StreamId::STORE),
            sequence: Some(last),
            ..Bad::of(error.to_string())
        };
        Ok(read.err().map(bad))
    }

    /// Reads keys; `last` becomes the position of the event that was looked at last.
    fn up_to<'e>(events: impl Iterator<Item = (u64, &'e Envelope)>, last: &mut u64) -> Result<Self, EvidenceError> {
        let mut origin = None;
        let mut keys: Vec<KeyOnRecord> = Vec::new();
        // The key that the next event has to retire.
        let mut leaving: Option<(PublicKey, bool)> = None;
        for (position, envelope) in events {
            *last = position;
            let expected = leaving.take();
            match (&envelope.body, origin) {
                (Event::StoreCreated(created), None) => origin = Some(created.origin),
                (Event::KeyAdded(added), Some(origin)) => {
                    if expected.is_some() || keys.iter().any(|known| known.key == added.key) {
                        return Err(broken("KEYS-1", "a key is added twice, or the one before it does not leave"));
                    }
                    if added.before != keys.last().map(|last| last.key)
                        || envelope.count != Some(1 + u64::from(added.before.is_some()))
                    {
                        return Err(broken("KEYS-1", "a key does not follow the one on record before it"));
                    }
                    match (added.before, added.signature) {
                        (None, Some(_)) => return Err(broken("KEYS-1", "the first key has none before it to sign it")),
                        (Some(old), Some(signature))
                            if !is_signed(&old, &handover(&origin, &old, &added.key), &signature) =>
                        {
                            return Err(broken("KEYS-2", "the signature of a hand-over does not fit"));
                        }
                        _ => {}
                    }
                    leaving = added.before.map(|old| (old, added.signature.is_some()));
                    let is_handed_over = added.before.is_none() || added.signature.is_some();
                    keys.push(KeyOnRecord { key: added.key, position, is_handed_over, retired: None });
                }
                (Event::KeyRetired(retired), Some(_)) if expected == Some((retired.key, retired.handed_over)) => {
                    keys.iter_mut()
                        .filter(|known| known.key == retired.key)
                        .for_each(|known| known.retired = Some(position));
                }
                (Event::KeyRetired(_), Some(_)) => {
                    return Err(broken("KEYS-1", "a key is retired that has no successor"));
                }
                // Rules come and go in the same stream (ARM-1), and blobs go (ERASE-1): that says nothing of keys.
                (Event::RulesArmed(_) | Event::RulesRetired(_) | Event::BlobsRedacted(_), Some(_))
                    if expected.is_none() => {}
                _ => return Err(broken("RECEIPT-4", "the store's stream does not begin with its origin")),
            }
        }
        if leaving.is_some() {
            return Err(broken("KEYS-1", "a key is followed by another one and not retired"));
        }
        let origin = origin.ok_or_else(|| broken("RECEIPT-4", "the store's origin is missing"))?;
        Ok(History { origin, keys })
    }

    /// Reads the keys of a store.
    ///
    /// # Errors
    /// Those of [`History::of`], and what keeps the store from being read.
    pub fn of_store(store: &dyn Store) -> Result<Self, EvidenceError> {
        let mut events = Vec::new();
        loop {
            let more = store.read(StreamId::STORE, events.len() as u64, 256)?;
            if more.is_empty() {
                break;
            }
            for stored in more {
                let sequence = events.len() as u64;
                events.push((stored.position, crate::refold::envelope(&stored.event, sequence)?));
            }
        }
        History::of(events.iter().map(|(position, envelope)| (*position, envelope)))
    }

    /// Whether what `signer` signed is what a reader accepts who pinned `pinned` (KEYS-4).
    pub fn leads(&self, pinned: &PublicKey, signer: &PublicKey) -> bool {
        let place = |wanted: &PublicKey| self.keys.iter().position(|known| known.key == *wanted);
        match (place(pinned), place(signer)) {
            (Some(from), Some(to)) if from <= to => self.keys[from + 1..=to].iter().all(|key| key.is_handed_over),
            _ => false,
        }
    }
}
