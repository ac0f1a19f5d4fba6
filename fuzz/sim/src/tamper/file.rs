//! A trace in parts, to be put together anew.

use super::material::ORIGIN;
use loom_core::cbor::{Decoder, Encoder};
use loom_core::id::{EventHasher, StreamId};

const MAGIC: &[u8] = b"loom-trace\n";

/// An item between header and end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    Blob(Vec<u8>),
    Event(Vec<u8>),
}

/// A trace in parts.
#[derive(Debug, Clone)]
pub(super) struct Parts {
    pub(super) stream: StreamId,
    is_slim: bool,
    pub(super) items: Vec<Item>,
    /// The end item as it was.
    end: Vec<u8>,
}

impl Parts {
    /// Reads a whole trace.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut decoder = Decoder::new(bytes.strip_prefix(MAGIC)?);
        decoder.array().ok()?;
        decoder.uint().ok()?;
        decoder.uint().ok()?;
        decoder.bytes().ok()?;
        let stream = StreamId(decoder.array_of().ok()?);
        let is_slim = decoder.bool().ok()?;
        let mut items = Vec::new();
        loop {
            let rest = &bytes[MAGIC.len() + decoder.offset()..];
            decoder.array().ok()?;
            match decoder.uint().ok()? {
                1 => items.push(Item::Blob(decoder.bytes().ok()?.to_vec())),
                2 => items.push(Item::Event(decoder.bytes().ok()?.to_vec())),
                _ => return Some(Parts { stream, is_slim, items, end: rest.to_vec() }),
            }
        }
    }

    /// Returns the events.
    pub(super) fn events(&self) -> Vec<Vec<u8>> {
        self.items
            .iter()
            .filter_map(|item| if let Item::Event(bytes) = item { Some(bytes.clone()) } else { None })
            .collect()
    }

    /// Puts events in the place of those that are there; more of them follow at the end, fewer leave items out.
    pub(super) fn set_events(&mut self, events: Vec<Vec<u8>>) {
        let mut events = events.into_iter();
        let items = std::mem::take(&mut self.items);
        for item in items {
            match item {
                Item::Blob(bytes) => self.items.push(Item::Blob(bytes)),
                Item::Event(_) => self.items.extend(events.next().map(Item::Event)),
            }
        }
        self.items.extend(events.map(Item::Event));
    }

    /// Writes the parts, with the end as it was, or as it belongs to them.
    pub(super) fn write(&self, is_anew: bool) -> Vec<u8> {
        let mut out = Encoder::default();
        out.array(5);
        out.uint(0);
        out.uint(1);
        out.bytes(&ORIGIN);
        out.bytes(&self.stream.0);
        out.bool(self.is_slim);
        let (mut events, mut blobs, mut last) = (0, 0, Default::default());
        for item in &self.items {
            out.array(2);
            match item {
                Item::Blob(bytes) => {
                    blobs += 1;
                    out.uint(1);
                    out.bytes(bytes);
                }
                Item::Event(bytes) => {
                    events += 1;
                    last = EventHasher::default().id(bytes);
                    out.uint(2);
                    out.bytes(bytes);
                }
            }
        }
        let before = [MAGIC, &out.finish()].concat();
        if !is_anew {
            return [&before[..], &self.end].concat();
        }
        let mut hasher = blake3::Hasher::new_derive_key("loom 2026-11 trace v1");
        hasher.update(&before);
        let mut end = Encoder::default();
        end.array(5);
        end.uint(3);
        end.uint(events);
        end.uint(blobs);
        end.bytes(&last.0);
        end.bytes(hasher.finalize().as_bytes());
        [&before[..], &end.finish()].concat()
    }
}
