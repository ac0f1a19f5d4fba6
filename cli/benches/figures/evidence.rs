//! A receipt for one gate of a large store: made, checked, weighed.

use ed25519_dalek::{Signer, SigningKey};
use loom_core::event::Envelope;
use loom_core::id::{Stamp, StreamId};
use loom_core::keys::add;
use loom_core::kind::{GateDecided, KeyAdded};
use loom_replay::evidence::{History, Pins, Receipt, prove, subject_of, verify};
use loom_store::{Append, RedbStore, Store};
use std::path::Path;
use std::time::Instant;

/// What one receipt costs.
pub(crate) struct Cost {
    /// Events of the store.
    pub events: u64,
    /// Median time to make it, in milliseconds; the store is open.
    pub make_ms: f64,
    /// Median time to read and check its bytes, in milliseconds.
    pub check_ms: f64,
    /// Its size in bytes.
    pub bytes: usize,
}

/// Measures receipts of gates all over the store in `folder`.
pub(crate) fn receipts(folder: &Path, count: usize) -> Cost {
    let hand = SigningKey::from_bytes(&[1; 32]);
    let public = hand.verifying_key().to_bytes();
    let store = RedbStore::open(&folder.join(".loom")).expect("the store");
    if History::of_store(&store).expect("keys").keys.is_empty() {
        let head = store.head(StreamId::STORE).expect("a head");
        let last = store.read(StreamId::STORE, head.next - 1, 1).expect("an event").remove(0);
        let stamp = Stamp::after(Envelope::decode(&last.event.bytes).expect("an event").stamp, 0);
        let added = add(KeyAdded { key: public, before: None, signature: None }, head, stamp);
        store.append(vec![Append::from(&added)]).remove(0).expect("a key on record");
    }
    let gates = store.by_kind(&[GateDecided::SCHEMA.code], 0, usize::MAX).expect("gates");
    let (mut make, mut check, mut bytes) = (Vec::new(), Vec::new(), 0);
    for number in 0..count {
        let position = gates[number * (gates.len() - 1) / (count - 1)];
        let event = store.events(position, 1).expect("an event").remove(0);
        let envelope = Envelope::decode(&event.event.bytes).expect("an event");
        // Of a gate that a person answered, what opened it; else the decision itself.
        let (sequence, body) = match &envelope.body {
            loom_core::kind::Event::GateDecided(GateDecided { gate: Some(gate), .. }) => {
                let opened = store.read(envelope.stream, *gate, 1).expect("an event").remove(0);
                (*gate, Envelope::decode(&opened.event.bytes).expect("an event").body)
            }
            _ => (envelope.sequence, envelope.body),
        };
        let subject = subject_of(envelope.stream, sequence, &body);
        let began = Instant::now();
        let sign = |message: &[u8]| hand.sign(message).to_bytes();
        let file = prove(&store, subject, Vec::new(), None, public, &sign).expect("a receipt").write();
        make.push(began.elapsed().as_secs_f64() * 1e3);
        let began = Instant::now();
        let pins = Pins { key: Some(public), ..Pins::default() };
        let checked = verify(&Receipt::read(&file).expect("a receipt"), &pins).expect("a receipt that holds");
        check.push(began.elapsed().as_secs_f64() * 1e3);
        assert_eq!(checked.subject, sequence);
        bytes = bytes.max(file.len());
    }
    Cost { events: store.size(), make_ms: median(make), check_ms: median(check), bytes }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
