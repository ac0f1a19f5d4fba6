//! What is damaged or gone for one run locks that run only: it is set aside, and the others are driven on.

use crate::rig::{Notes, asked, code, good, person, request, told};
use loom_bundles::{LoadedBundle, Source, load};
use loom_core::answer::CheckCommand;
use loom_core::commit::{Blob, Head};
use loom_core::event::Envelope;
use loom_core::id::{Digest, Stamp, StreamId};
use loom_core::kind::Event;
use loom_core::state::Amount;
use loom_core::tree::NodeHash;
use loom_core::word::SpawnOutcome;
use loom_host::Engine;
use loom_host::error::HostError;
use loom_host::order::{Message, Order};
use loom_host::request::{Ask, Opening};
use loom_host::world::World;
use loom_store::*;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};

/// A store in memory of which blobs can be gone and streams damaged.
struct Hurt {
    inner: MemoryStore,
    gone: Mutex<BTreeSet<Digest>>,
    damaged: Mutex<BTreeSet<StreamId>>,
}

impl Store for Hurt {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.inner.append(commits)
    }
    fn size(&self) -> u64 {
        self.inner.size()
    }
    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.inner.head(stream)
    }
    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        if self.damaged.lock().unwrap().contains(&stream) {
            let what = "a bit is not what it was".to_string();
            let damage = Damage { position: Some(1), stream: Some(stream), sequence: Some(sequence), what };
            return Err(StoreError::Damaged(damage));
        }
        self.inner.read(stream, sequence, max)
    }
    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.inner.events(position, max)
    }
    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        self.inner.scan(from, visit)
    }
    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.inner.at_time(ms)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if self.gone.lock().unwrap().contains(digest) { Ok(None) } else { self.inner.blob(digest) }
    }
    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.inner.carried(position)
    }
    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.inner.snapshot(stream)
    }
    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.inner.put_snapshot(stream, snapshot);
    }
    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.inner.resolve(prefix)
    }
    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.inner.by_kind(kinds, from, max)
    }
    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        self.inner.request(stream, request)
    }
    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.inner.runs(max)
    }
    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.inner.gates()
    }
    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.inner.tree_node(height, index)
    }
    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        self.inner.tree_head()
    }
    fn health(&self) -> Result<Health, StoreError> {
        self.inner.health()
    }
    fn catch_up(&self) -> Result<(), StoreError> {
        self.inner.catch_up()
    }
    fn tip(&self) -> Arc<Tip> {
        self.inner.tip()
    }
}

/// Time that stands still, and chance that counts.
struct Counting(u64);

impl World for Counting {
    fn now_ms(&self) -> u64 {
        1_000_000
    }
    fn random(&mut self) -> [u8; 16] {
        self.0 += 1;
        u128::from(self.0).to_be_bytes()
    }
}

struct Rig {
    store: Arc<Hurt>,
    notes: Arc<Notes>,
    engine: Engine,
    opened: u64,
}

impl Rig {
    fn new() -> Self {
        let origin = loom_core::origin::create([9; 16], "test", Stamp { ms: 1, counter: 0 });
        let inner = MemoryStore::create(&origin);
        let store = Arc::new(Hurt { inner, gone: Mutex::default(), damaged: Mutex::default() });
        let notes = Arc::new(Notes::default());
        let engine = Engine::open(store.clone(), Box::new(Counting(0)), notes.clone(), channel().0).unwrap();
        Rig { store, notes, engine, opened: 0 }
    }

    /// The process dies and another opens the store.
    fn crash(&mut self) {
        self.opened += 1;
        self.notes = Arc::new(Notes::default());
        let world = Box::new(Counting(self.opened << 32));
        self.engine = Engine::open(self.store.clone(), world, self.notes.clone(), channel().0).unwrap();
    }

    fn open(&mut self, id: &str, task: &str, bundle: Arc<LoadedBundle>) -> StreamId {
        let opening = Opening {
            id: id.as_bytes().to_vec(),
            actor: person(),
            task: task.into(),
            bundle,
            rules: Vec::new(),
            base_commit: vec![0xc0; 20],
            base_tree: vec![0x7e; 20],
            flow: Some("trivial".into()),
            policies: vec![("final".into(), "human".into())],
            checks: vec![CheckCommand { check: "test".into(), argv: vec!["true".into()] }],
            checks_waived: vec!["lint".into(), "type-check".into()],
            caps: Amount { spawns: 20, tokens: 4_000_000, money_micro: 20_000_000, time_ms: 14_400_000 },
            owner: "uid:1000".into(),
        };
        let (message, answer) = asked(opening);
        self.engine.turn(vec![message]).unwrap();
        told(&answer).unwrap();
        self.engine.stream_of(id.as_bytes())
    }

    fn ask(&mut self, stream: StreamId, id: &str, ask: Ask) -> Result<(u64, bool), HostError> {
        let (message, answer) = request(stream, id, ask);
        self.engine.turn(vec![message]).unwrap();
        told(&answer)
    }

    /// What all orders so far come to, as messages.
    fn outcomes(&self) -> Vec<Message> {
        let orders = std::mem::take(&mut *self.notes.orders.lock().unwrap());
        orders
            .iter()
            .map(|order| Message::Finished { stream: order.stream, id: order.id, report: Box::new(good(order)) })
            .collect()
    }

    fn aside(&self) -> Vec<(StreamId, String)> {
        self.engine.set_aside().map(|(stream, why)| (stream, why.to_string())).collect()
    }

    fn ordered(&self) -> Vec<StreamId> {
        self.notes.orders.lock().unwrap().iter().map(|order: &Order| order.stream).collect()
    }

    fn events(&self, stream: StreamId) -> Vec<Event> {
        let stored = self.store.inner.read(stream, 0, usize::MAX).unwrap();
        stored.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap().body).collect()
    }

    /// The blobs that a run's opening event names: task and bundle.
    fn named(&self, stream: StreamId) -> (Digest, Digest) {
        match &self.events(stream)[0] {
            Event::RunOpened(opened) => (opened.task, opened.bundle),
            other => panic!("a run begins with {other:?}"),
        }
    }

    fn lose(&self, digest: Digest) {
        self.store.gone.lock().unwrap().insert(digest);
    }

    fn find(&self, digest: Digest) {
        self.store.gone.lock().unwrap().remove(&digest);
    }
}

/// The bundle with another name, so that it is another blob.
fn renamed() -> Arc<LoadedBundle> {
    let mut loaded = load(&Source::builtin("code").unwrap()).unwrap();
    loaded.bundle.name = "other".into();
    loaded.bytes = loaded.bundle.encode();
    let (blob, old) = (Blob::plain(&loaded.bytes), loaded.digest);
    loaded.digest = blob.digest;
    loaded.blobs.retain(|kept| kept.digest != old);
    loaded.blobs.push(blob);
    Arc::new(loaded)
}

#[test]
fn a_run_whose_bundle_is_gone_is_set_aside_and_the_other_is_driven() {
    let mut rig = Rig::new();
    let lame = rig.open("lame", "Do it", renamed());
    let sound = rig.open("sound", "Do it", code());
    let (_, bundle) = rig.named(lame);
    assert_ne!(bundle, rig.named(sound).1);
    rig.lose(bundle);
    rig.crash();
    let why = format!("blob {bundle} is missing: it was erased or lost");
    assert_eq!(rig.aside(), [(lame, why.clone())]);
    assert_eq!(rig.ordered(), [sound], "the other's spawn is tried again");
    rig.engine.turn(rig.outcomes()).unwrap();
    assert_eq!(rig.ordered(), [sound], "and its check follows");
    // Who asks the run hears the reason; the new one is opened.
    assert_eq!(rig.ask(lame, "c", Ask::Cancel { reason: None }).unwrap_err().to_string(), why);
    let third = rig.open("third", "Do it", code());
    assert_eq!(rig.ordered(), [sound, third]);
    // Nothing was recorded of it, so nothing is lost once the blob is back.
    let before = rig.events(lame).len();
    rig.find(bundle);
    rig.crash();
    assert!(rig.aside().is_empty());
    assert!(rig.ordered().contains(&lame) && rig.events(lame).len() > before);
}

#[test]
fn a_run_whose_stream_is_damaged_is_set_aside_and_the_other_is_driven() {
    let mut rig = Rig::new();
    let lame = rig.open("lame", "Do it", code());
    let sound = rig.open("sound", "Do it", code());
    rig.store.damaged.lock().unwrap().insert(lame);
    rig.crash();
    let aside = rig.aside();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].0 == lame && aside[0].1.contains("a bit is not what it was"), "{aside:?}");
    assert_eq!(rig.ordered(), [sound]);
    assert!(!rig.engine.runs().any(|(stream, _)| *stream == lame));
}

#[test]
fn an_order_that_cannot_be_made_ends_neither_the_loop_nor_the_messages_beside_it() {
    let mut rig = Rig::new();
    let lame = rig.open("lame", "Lose this", code());
    let sound = rig.open("sound", "Keep this", code());
    // The spawn fails and is tried again, which needs the task, which is gone by then.
    let (task, _) = rig.named(lame);
    rig.lose(task);
    let mut messages = rig.outcomes();
    let failed = rig_failed(&messages[0]);
    messages[0] = failed;
    rig.engine.turn(messages).unwrap();
    assert_eq!(rig.aside(), [(lame, format!("blob {task} is missing: it was erased or lost"))]);
    assert!(rig.events(lame).iter().any(|event| matches!(event, Event::SpawnFinished(_))), "its outcome is on record");
    assert_eq!(rig.ordered(), [sound], "the outcome beside it was taken, and its check is under way");
    assert!(rig.engine.is_busy());
    // A request brings it back as soon as it can be driven: what never began is begun.
    rig.find(task);
    rig.ask(lame, "s", Ask::Steer { note: "go on".into() }).unwrap();
    assert!(rig.aside().is_empty());
    assert_eq!(rig.ordered(), [sound, lame]);
}

#[test]
fn a_run_that_was_set_aside_can_be_cancelled() {
    let mut rig = Rig::new();
    let lame = rig.open("lame", "Lose this", code());
    rig.lose(rig.named(lame).0);
    let failed = rig.outcomes().iter().map(rig_failed).collect();
    rig.engine.turn(failed).unwrap();
    assert_eq!(rig.aside().len(), 1);
    rig.ask(lame, "c", Ask::Cancel { reason: None }).unwrap();
    assert!(rig.aside().is_empty() && rig.ordered().is_empty());
    assert!(rig.events(lame).iter().any(|event| matches!(event, Event::RunClosed(_))));
}

#[test]
fn outcomes_of_a_run_that_was_set_aside_are_recorded_once_it_is_back() {
    let mut rig = Rig::new();
    let lame = rig.open("lame", "Do it", code());
    let ended = rig.outcomes();
    // A check that began before goes on; what the record cannot answer for now is kept.
    rig.engine.turn(ended).unwrap();
    let check = rig.outcomes();
    rig.crash();
    rig.store.damaged.lock().unwrap().insert(lame);
    rig.crash();
    rig.engine.turn(check).unwrap();
    let before = rig.events(lame).len();
    rig.store.damaged.lock().unwrap().clear();
    rig.ask(lame, "s", Ask::Steer { note: "go on".into() }).unwrap();
    assert!(rig.aside().is_empty());
    let finished = rig.events(lame)[before..].iter().any(|event| matches!(event, Event::CheckFinished(_)));
    assert!(finished, "the kept outcome is on record");
}

/// The same outcome, but the agent failed.
fn rig_failed(message: &Message) -> Message {
    let Message::Finished { stream, id, report } = message else { panic!("{message:?} is no outcome") };
    let mut report = report.clone();
    if let loom_host::order::Report::Spawn(spawn) = report.as_mut() {
        spawn.outcome = SpawnOutcome::Failed;
        spawn.claim = None;
    }
    Message::Finished { stream: *stream, id: *id, report }
}
