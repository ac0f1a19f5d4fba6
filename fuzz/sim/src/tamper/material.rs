//! What is tampered with: a store with two keys and three runs, its checkpoints, traces of its runs, and receipts.
//!
//! It is made by the kernel alone, so equal programs make equal bytes.

use ed25519_dalek::{Signer, SigningKey};
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Digest, Stamp, StreamId};
use loom_core::keys::{add, answer, handover};
use loom_core::kind::{Event, GateAnswered, KeyAdded};
use loom_replay::evidence::{About, Receipt, Subject, prove, sign_checkpoint};
use loom_replay::{StoredRun, trace};
use loom_store::{Append, MemoryStore, Store};
use made::{ORIGIN as MADE_ORIGIN, Until, made_answered_run, made_run, origin};
use std::collections::BTreeMap;
use std::error::Error;

#[path = "../../../../replay/tests/it/made.rs"]
mod made;

/// Name of the store.
pub(super) const ORIGIN: [u8; 16] = MADE_ORIGIN;
/// The store's first key, the one it hands over to, and one of a stranger.
pub(super) const FIRST: u8 = 1;
/// The key that signs at the end.
pub(super) const PRESENT: u8 = 2;
/// A key that the attacker has.
pub(super) const STRANGER: u8 = 9;
/// The key of the person who answers; the attacker has what it signed, and not the key.
pub(super) const PERSON: u8 = 5;

/// Rules that the receipts of whole runs are judged by.
const RULES: &str = "loom rules 1\nset told \"What receipts tell.\"\n\nfact spawns counter\n  add spawn.requested\n\n\
    rule few on spawn.requested\n  require facts.spawns < 3\n  message \"many\"\n\n\
    rule not-cancelled on run.cancelled\n  require false\n  message \"cancelled\"\n";

/// Everything that stands before anybody tampers with it.
pub(super) struct Material {
    pub(super) store: MemoryStore,
    /// The events by position.
    pub(super) log: Vec<Vec<u8>>,
    /// Stored bytes by digest.
    pub(super) blobs: BTreeMap<Digest, Vec<u8>>,
    /// What a witness has: checkpoints by ascending size, the last one over everything.
    pub(super) checkpoints: Vec<String>,
    pub(super) runs: Vec<StreamId>,
    /// Whole traces, of the runs in order, the first one with all of its blobs.
    pub(super) traces: Vec<Vec<u8>>,
    /// A receipt of each kind.
    pub(super) receipts: Vec<Receipt>,
    /// A receipt of each run, which the reader has from elsewhere, by the runs' order.
    pub(super) kept: Vec<Receipt>,
    /// A store of one run whose answers the person signed.
    pub(super) signed: MemoryStore,
}

/// Returns the public half of a key.
pub(super) fn public(number: u8) -> [u8; 32] {
    SigningKey::from_bytes(&[number; 32]).verifying_key().to_bytes()
}

/// Returns a hand that signs with a key.
pub(super) fn sign(number: u8) -> impl Fn(&[u8]) -> [u8; 64] {
    move |bytes| SigningKey::from_bytes(&[number; 32]).sign(bytes).to_bytes()
}

/// Signs an answer as the person does.
pub(super) fn sign_answer(stream: &StreamId, body: &mut GateAnswered) {
    if let Some(artifact) = &body.artifact {
        let message = answer(stream, body.gate, body.answer, artifact);
        (body.signature, body.signer) = (Some(sign(PERSON)(&message)), Some(public(PERSON)));
    }
}

fn signed_store() -> Result<MemoryStore, Box<dyn Error>> {
    let store = MemoryStore::create(&origin());
    add_key(&store, KeyAdded { key: public(PRESENT), before: None, signature: None })?;
    made_answered_run(&store, 1, Until::End, &|stream, body| {
        sign_answer(&stream, body);
        Actor::Person { id: "ann".to_string(), assurance: Assurance::Signed, descends: None }
    });
    Ok(store)
}

fn add_key(store: &MemoryStore, added: KeyAdded) -> Result<(), Box<dyn Error>> {
    let head = store.head(StreamId::STORE)?;
    let last = store.read(StreamId::STORE, head.next - 1, 1)?.pop().ok_or("the store is empty")?;
    let stamp = Stamp::after(Envelope::decode(&last.event.bytes)?.stamp, 0);
    for appended in store.append(vec![Append::from(&add(added, head, stamp))]) {
        appended?;
    }
    Ok(())
}

/// Returns a checkpoint of the whole store.
pub(super) fn checkpoint(store: &dyn Store, by: u8) -> Result<String, Box<dyn Error>> {
    let (size, root) = store.tree_head()?;
    Ok(sign_checkpoint(&ORIGIN, size, &root, public(by), &sign(by)))
}

fn find(store: &MemoryStore, stream: StreamId, holds: fn(&Event) -> bool) -> Result<u64, Box<dyn Error>> {
    for stored in store.read(stream, 0, usize::MAX)?.iter().rev() {
        let envelope = Envelope::decode(&stored.event.bytes)?;
        if holds(&envelope.body) {
            return Ok(envelope.sequence);
        }
    }
    Err("the run has no such event".into())
}

impl Material {
    /// Makes all of it.
    pub(super) fn make() -> Result<Self, Box<dyn Error>> {
        let store = MemoryStore::create(&origin());
        let mut runs = vec![made_run(&store, 1, Until::End)];
        add_key(&store, KeyAdded { key: public(FIRST), before: None, signature: None })?;
        runs.push(made_run(&store, 2, Until::Gate));
        let mut checkpoints = vec![checkpoint(&store, FIRST)?];
        let text = handover(&ORIGIN, &public(FIRST), &public(PRESENT));
        let signature = Some(sign(FIRST)(&text));
        add_key(&store, KeyAdded { key: public(PRESENT), before: Some(public(FIRST)), signature })?;
        runs.push(made_run(&store, 3, Until::Spawned));
        checkpoints.push(checkpoint(&store, PRESENT)?);
        let log: Vec<_> = store.events(0, usize::MAX)?.into_iter().map(|stored| stored.event.bytes).collect();
        let mut blobs = BTreeMap::new();
        for position in 0..log.len() as u64 {
            for digest in store.carried(position)? {
                blobs.extend(store.blob(&digest)?.map(|bytes| (digest, bytes)));
            }
        }
        let mut traces = Vec::new();
        for (index, stream) in runs.iter().enumerate() {
            let mut out = Vec::new();
            trace::write(&StoredRun::new(&store, *stream), ORIGIN, index > 0, &mut out)?;
            traces.push(out);
        }
        let made = |subject, rules: &[&str]| {
            let rules = rules.iter().map(ToString::to_string).collect();
            prove(&store, subject, rules, checkpoints.last().cloned(), public(PRESENT), &sign(PRESENT))
        };
        let whole = |stream| -> Result<Subject, Box<dyn Error>> {
            Ok(Subject { about: About::Run, stream, sequence: store.head(stream)?.next - 1 })
        };
        let gate = find(&store, runs[0], |event| matches!(event, Event::GateOpened(_)))?;
        let check = find(&store, runs[0], |event| matches!(event, Event::CheckFinished(_)))?;
        let receipts = vec![
            made(Subject { about: About::Gate, stream: runs[0], sequence: gate }, &[])?,
            made(Subject { about: About::Event, stream: runs[0], sequence: check }, &[])?,
            made(Subject { about: About::Event, stream: StreamId::STORE, sequence: 1 }, &[])?,
            made(whole(runs[1])?, &[RULES])?,
        ];
        let mut kept = Vec::new();
        for stream in &runs {
            kept.push(made(whole(*stream)?, &[])?);
        }
        Ok(Material { log, blobs, checkpoints, traces, receipts, kept, runs, store, signed: signed_store()? })
    }
}
