//! A made store with keys, and hands that sign in its name or in another's.

use crate::made::{ORIGIN, Until, made_run, origin};
use ed25519_dalek::{Signer, SigningKey};
use loom_core::commit::Head;
use loom_core::event::Envelope;
use loom_core::id::{EventHasher, Stamp, StreamId};
use loom_core::keys::{add, handover};
use loom_core::kind::{Event, KeyAdded};
use loom_replay::evidence::{About, Receipt, Subject, prove};
use loom_store::{Append, MemoryStore, Store};
use std::collections::BTreeMap;

/// A hand that signs. Equal numbers are equal keys.
pub(super) fn hand(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[number; 32])
}

pub(super) fn public(number: u8) -> [u8; 32] {
    hand(number).verifying_key().to_bytes()
}

pub(super) fn sign(number: u8) -> impl Fn(&[u8]) -> [u8; 64] {
    move |bytes| hand(number).sign(bytes).to_bytes()
}

/// Puts a key on record as the host does.
pub(super) fn add_key(store: &dyn Store, added: KeyAdded) {
    let head: Head = store.head(StreamId::STORE).unwrap();
    let last = store.read(StreamId::STORE, head.next - 1, 1).unwrap().pop().unwrap();
    let stamp = Stamp::after(Envelope::decode(&last.event.bytes).unwrap().stamp, 0);
    assert!(store.append(vec![Append::from(&add(added, head, stamp))]).pop().unwrap().is_ok());
}

/// Hands over from one hand to another, signed by a third.
pub(super) fn rotate(store: &dyn Store, old: u8, new: u8, signed_by: Option<u8>) {
    let text = handover(&ORIGIN, &public(old), &public(new));
    let signature = signed_by.map(|hand| sign(hand)(&text));
    add_key(store, KeyAdded { key: public(new), before: Some(public(old)), signature });
}

/// A store that hand 1 signs for, with a run that has ended and one that has begun.
pub(super) fn store() -> MemoryStore {
    let store = MemoryStore::create(&origin());
    made_run(&store, 1, Until::End);
    add_key(&store, KeyAdded { key: public(1), before: None, signature: None });
    made_run(&store, 2, Until::Spawned);
    store
}

/// Returns a store's events by position, altered and chained anew: what who holds the store's key can write.
pub(super) fn altered(store: &dyn Store, change: impl Fn(&mut Envelope)) -> Vec<Vec<u8>> {
    let (hasher, mut last) = (EventHasher::default(), BTreeMap::new());
    let events = store.events(0, usize::MAX).unwrap();
    let anew = events.iter().map(|stored| {
        let mut event = Envelope::decode(&stored.event.bytes).unwrap();
        change(&mut event);
        event.previous = last.get(&event.stream).copied().unwrap_or(event.previous);
        let bytes = event.encode();
        last.insert(event.stream, hasher.id(&bytes));
        bytes
    });
    anew.collect()
}

/// Returns the runs, the one opened first first.
pub(super) fn runs(store: &dyn Store) -> Vec<StreamId> {
    store.runs(9).unwrap().iter().rev().map(|run| run.stream).collect()
}

/// Returns the last event of a run for which this holds.
pub(super) fn find(store: &dyn Store, stream: StreamId, holds: impl Fn(&Event) -> bool) -> u64 {
    let events = store.read(stream, 0, usize::MAX).unwrap();
    let body = |at: usize| Envelope::decode(&events[at].event.bytes).unwrap().body;
    (0..events.len()).rev().find(|at| holds(&body(*at))).unwrap() as u64
}

pub(super) fn whole_run(store: &dyn Store, stream: StreamId) -> Subject {
    Subject { about: About::Run, stream, sequence: store.head(stream).unwrap().next - 1 }
}

/// Makes a receipt in the name of a hand.
pub(super) fn made(store: &dyn Store, subject: Subject, rules: &[&str], by: u8) -> Receipt {
    let rules = rules.iter().map(|text| text.to_string()).collect();
    prove(store, subject, rules, None, public(by), &sign(by)).unwrap()
}

/// Returns the receipt of the ended run's last gate.
pub(super) fn gate(store: &dyn Store, by: u8) -> Receipt {
    let stream = runs(store)[0];
    let sequence = find(store, stream, |event| matches!(event, Event::GateOpened(_)));
    made(store, Subject { about: About::Gate, stream, sequence }, &[], by)
}
