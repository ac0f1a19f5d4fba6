//! Names of things: digests, event ids, stream ids, stamps, actors.
//!
//! Every hash is BLAKE3 in derive-key mode with a context of its own, so that bytes of one sort never hash to the
//! name of another (ID-1). Contexts are part of the format and never change.

use crate::cbor::{CborError, Decoder, Encoder, Problem};
use crate::planted::planted;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use rkyv::{Archive, Deserialize, Serialize};

/// Context of event ids (ID-2).
pub const EVENT_CONTEXT: &str = "loom 2026-11 event id v1";
/// Context of blob digests (ID-3).
pub const BLOB_CONTEXT: &str = "loom 2026-11 blob digest v1";
/// Context of run stream ids (ID-4).
pub const RUN_CONTEXT: &str = "loom 2026-11 run stream v1";
/// Context of artifact digests: what a gate approves (ID-5).
pub const ARTIFACT_CONTEXT: &str = "loom 2026-11 artifact v1";
/// Context of finding fingerprints (ID-6).
pub const FINGERPRINT_CONTEXT: &str = "loom 2026-11 finding fingerprint v1";

/// A 32-byte BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(PartialEq, Eq, PartialOrd, Ord))]
pub struct Digest(pub [u8; 32]);

/// The name of an event: the digest of its canonical bytes (ID-2).
pub type EventId = Digest;

/// The name of a stream: a run, or the store itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Archive, Serialize, Deserialize)]
pub struct StreamId(pub [u8; 16]);

impl StreamId {
    /// The stream that speaks of the store itself.
    pub const STORE: StreamId = StreamId([0; 16]);

    /// Returns the stream of the run that `request` opens in the store named `origin` (ID-4).
    pub fn of_run(origin: &[u8], request: &[u8]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(RUN_CONTEXT);
        hasher.update(&(origin.len() as u64).to_be_bytes());
        hasher.update(origin);
        hasher.update(request);
        let mut id = [0; 16];
        id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        StreamId(id)
    }
}

/// Returns the digest of the concatenated `parts` under `context`.
pub fn digest(context: &str, parts: &[&[u8]]) -> Digest {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for part in parts {
        hasher.update(part);
    }
    Digest(*hasher.finalize().as_bytes())
}

/// Hashes many events without deriving the key each time.
#[derive(Clone)]
pub struct EventHasher(blake3::Hasher);

impl Default for EventHasher {
    fn default() -> Self {
        Self(blake3::Hasher::new_derive_key(EVENT_CONTEXT))
    }
}

impl EventHasher {
    /// Returns the id of the event with these canonical bytes (ID-2).
    pub fn id(&self, event: &[u8]) -> EventId {
        let mut hasher = self.0.clone();
        hasher.update(event);
        Digest(*hasher.finalize().as_bytes())
    }
}

/// Writes `bytes` as lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)] as char);
        out.push(DIGITS[usize::from(byte & 15)] as char);
    }
    out
}

/// Reads hexadecimal; `None` when a digit is foreign or the count is odd.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    if !digits.len().is_multiple_of(2) {
        return None;
    }
    digits
        .chunks(2)
        .map(|pair| {
            let high = (pair[0] as char).to_digit(16)?;
            let low = (pair[1] as char).to_digit(16)?;
            u8::try_from(high * 16 + low).ok()
        })
        .collect()
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..6]))
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0))
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex(&self.0[..4]))
    }
}

/// The threaded timestamp token: milliseconds since the Unix epoch (UTC) and a counter that tells equal ones apart.
///
/// Stamps of one stream strictly grow, also when the clock goes back (STAMP-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Archive, Serialize, Deserialize)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub ms: u64,
    /// Tells stamps of the same millisecond apart.
    pub counter: u64,
}

impl Stamp {
    /// Returns the least stamp after `last` that is not before `now_ms` (STAMP-1).
    pub fn after(last: Stamp, now_ms: u64) -> Stamp {
        if planted(10) {
            Stamp { ms: now_ms, counter: last.counter + 1 }
        } else if now_ms > last.ms {
            Stamp { ms: now_ms, counter: 0 }
        } else {
            Stamp { ms: last.ms, counter: last.counter + 1 }
        }
    }
}

/// Who caused an input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// Loom's own kernel: everything that it derives.
    Kernel,
    /// The host: what it observed.
    Host,
    /// A person, by the identity of the channel that the request came through.
    Person {
        /// Name within the channel, e.g. `uid:1000`.
        id: String,
        /// How sure the channel is.
        assurance: Assurance,
        /// The spawn that the peer descends from, where the channel found one.
        descends: Option<u64>,
    },
}

/// How sure a channel is of the identity it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// Somebody on this machine says so.
    Asserted = 0,
    /// A session that was authenticated.
    Session = 1,
    /// A signature over the answer.
    Signed = 2,
}

impl Assurance {
    /// Returns the word that rules and people read.
    pub fn word(self) -> &'static str {
        match self {
            Assurance::Asserted => "asserted",
            Assurance::Session => "session",
            Assurance::Signed => "signed",
        }
    }
}

impl Actor {
    /// Returns the class that rules read as `event.actor_class`.
    pub fn class(&self) -> &'static str {
        match self {
            Actor::Kernel => "kernel",
            Actor::Host => "host",
            Actor::Person { descends: None, .. } => "person",
            Actor::Person { descends: Some(_), .. } => "spawn",
        }
    }

    /// Returns the name that rules read as `event.actor`; empty for kernel and host.
    pub fn id(&self) -> &str {
        match self {
            Actor::Kernel | Actor::Host => "",
            Actor::Person { id, .. } => id,
        }
    }

    pub(crate) fn encode(&self, encoder: &mut Encoder) {
        match self {
            Actor::Kernel => {
                encoder.array(1);
                encoder.uint(0);
            }
            Actor::Host => {
                encoder.array(1);
                encoder.uint(1);
            }
            Actor::Person { id, assurance, descends } => {
                encoder.array(if descends.is_some() { 4 } else { 3 });
                encoder.uint(2);
                encoder.text(id);
                encoder.uint(*assurance as u64);
                if let Some(spawn) = descends {
                    encoder.uint(*spawn);
                }
            }
        }
    }

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        let offset = decoder.offset();
        let fail = CborError { offset, problem: Problem::Expected("actor") };
        let items = decoder.array()?;
        match (decoder.uint()?, items) {
            (0, 1) => Ok(Actor::Kernel),
            (1, 1) => Ok(Actor::Host),
            (2, 3 | 4) => {
                let id = String::from(decoder.text()?);
                let assurance = match decoder.uint()? {
                    0 => Assurance::Asserted,
                    1 => Assurance::Session,
                    2 => Assurance::Signed,
                    _ => return Err(fail),
                };
                let descends = if items == 4 { Some(decoder.uint()?) } else { None };
                Ok(Actor::Person { id, assurance, descends })
            }
            _ => Err(fail),
        }
    }
}
