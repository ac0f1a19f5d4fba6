//! Keys on record: the commit that adds one, and the texts that keys sign (KEYS-1, KEYS-2, SIGNED-1).
//!
//! Signatures are bytes here: they are made and checked outside of core, which has no cryptography of keys.

use crate::cbor::Encoder;
use crate::commit::{Checked, Head};
use crate::event::{Envelope, Recorded};
use crate::id::{Actor, Digest, EventHasher, Stamp, StreamId};
use crate::kind::{Event, KeyAdded, KeyRetired};
use crate::word::Answer;
use alloc::vec;
use alloc::vec::Vec;

/// What an old key's signature over its successor begins with (KEYS-2).
pub const HANDOVER_CONTEXT: &[u8] = b"loom 2026-11 key handover v1\n";
/// What a person's signature over an answer begins with (SIGNED-1).
pub const ANSWER_CONTEXT: &[u8] = b"loom 2026-11 signed answer v1\n";

/// Returns the commit that puts a key on record behind `head` of the store's own stream, and retires the one before.
pub fn add(added: KeyAdded, head: Head, stamp: Stamp) -> Checked<()> {
    let retired = added.before.map(|key| KeyRetired { key, handed_over: added.signature.is_some() });
    let count = 1 + u64::from(retired.is_some());
    let (hasher, mut events, mut previous) = (EventHasher::default(), vec![], head.last);
    let bodies = core::iter::once(Event::from(added)).chain(retired.map(Event::from));
    for (sequence, body) in (head.next..).zip(bodies) {
        let is_input = sequence == head.next;
        let envelope = Envelope {
            stream: StreamId::STORE,
            sequence,
            previous,
            stamp,
            actor: if is_input { Actor::Host } else { Actor::Kernel },
            input: head.next,
            count: is_input.then_some(count),
            body,
        };
        let event = Recorded::of(&envelope, &hasher);
        previous = event.id;
        events.push(event);
    }
    Checked::new(StreamId::STORE, head, events, Vec::new(), Vec::new(), ())
}

/// Returns what the old key of the store named `origin` signs to hand over to the new one (KEYS-2).
pub fn handover(origin: &[u8; 16], old: &[u8; 32], new: &[u8; 32]) -> Vec<u8> {
    [HANDOVER_CONTEXT, origin, old, new].concat()
}

/// Returns what a person signs to answer a gate of a run (SIGNED-1).
pub fn answer(stream: &StreamId, gate: u64, answer: Answer, artifact: &Digest) -> Vec<u8> {
    let mut encoder = Encoder::default();
    encoder.array(4);
    encoder.bytes(&stream.0);
    encoder.uint(gate);
    encoder.text(answer.word());
    encoder.bytes(&artifact.0);
    [ANSWER_CONTEXT, &encoder.finish()].concat()
}
