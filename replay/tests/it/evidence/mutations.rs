//! Every kind of receipt, with single bytes altered: refused, wherever the byte is.

use super::forge::{find, gate, made, public, runs, store, whole_run};
use loom_core::kind::Event;
use loom_replay::evidence::{About, Checked, EvidenceError, Pins, Receipt, Subject, verify};

fn checked(bytes: &[u8]) -> Result<Checked, EvidenceError> {
    verify(&Receipt::read(bytes)?, &Pins::default())
}

/// Alters one byte in `step`, in three ways, and every length near the end.
fn sampled(receipt: &Receipt, step: usize) {
    let bytes = receipt.write();
    assert_eq!(Receipt::read(&bytes).unwrap(), *receipt);
    checked(&bytes).unwrap();
    for at in (0..bytes.len()).step_by(step).chain(bytes.len() - 3..bytes.len()) {
        for change in [0x01, 0x20, 0x80] {
            let mut altered = bytes.clone();
            altered[at] ^= change;
            assert!(checked(&altered).is_err(), "byte {at} of {} is altered by {change:#x} unseen", bytes.len());
        }
    }
    for length in [0, 1, 12, 13, 14, bytes.len() / 2, bytes.len() - 1] {
        assert!(checked(&bytes[..length]).is_err(), "{length} bytes of it");
    }
    assert!(checked(&[&bytes[..], &[0]].concat()).is_err());
}

#[test]
fn no_byte_of_a_gates_receipt_can_be_another() {
    sampled(&gate(&store(), 1), 17);
}

#[test]
fn no_byte_of_an_events_receipt_can_be_another() {
    let store = store();
    let stream = runs(&store)[0];
    let sequence = find(&store, stream, |event| matches!(event, Event::CheckFinished(_)));
    sampled(&made(&store, Subject { about: About::Event, stream, sequence }, &[], 1), 17);
    let own = Subject { about: About::Event, stream: loom_core::id::StreamId::STORE, sequence: 1 };
    sampled(&made(&store, own, &[], 1), 17);
}

#[test]
fn no_byte_of_a_runs_receipt_can_be_another() {
    let store = store();
    let rules =
        "loom rules 1\nset s \"s\"\n\nrule r on run.cancelled\n  require false\n  message \"m\"\n  origin \"o\"\n";
    sampled(&made(&store, whole_run(&store, runs(&store)[1]), &[rules], 1), 17);
    sampled(&made(&store, whole_run(&store, runs(&store)[0]), &[], 1), 701);
}

#[test]
fn every_event_of_a_store_is_proven_at_its_place() {
    let store = store();
    for stream in runs(&store) {
        for sequence in 0..store_head(&store, stream) {
            let receipt = made(&store, Subject { about: About::Event, stream, sequence }, &[], 1);
            let found = verify(&receipt, &Pins { key: Some(public(1)), ..Pins::default() }).unwrap();
            assert_eq!((found.stream, found.subject, found.is_pinned), (stream, sequence, true));
            assert!(found.level.number == 2 && receipt.write().len() < 16 * 1024);
        }
    }
}

fn store_head(store: &dyn loom_store::Store, stream: loom_core::id::StreamId) -> u64 {
    store.head(stream).unwrap().next
}
