//! An engine over a store in memory, with a clock that stands still and an executor that only takes notes.

use loom_bundles::{LoadedBundle, Source, load};
use loom_core::answer::{Change, CheckCommand, Claim};
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Digest, Stamp, StreamId};
use loom_core::kind::Event;
use loom_core::state::{Amount, State};
use loom_core::tree::NodeHash;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_host::Engine;
use loom_host::error::HostError;
use loom_host::order::{Executor, Message, Order, Outbox, Report, SpawnReport, Work};
use loom_host::request::{Answered, Ask, Opening, Request};
use loom_host::world::World;
use loom_store::{
    Append, AppendError, Appended, Gate, Health, MemoryStore, Resolution, Run, Snapshot, Store, StoreError, Stored, Tip,
};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};

/// Time that the test sets, and chance that counts.
#[derive(Clone)]
pub(crate) struct Still {
    now_ms: Arc<AtomicU64>,
    drawn: u64,
}

impl World for Still {
    fn now_ms(&self) -> u64 {
        self.now_ms.load(Ordering::Relaxed)
    }

    fn random(&mut self) -> [u8; 16] {
        self.drawn += 1;
        u128::from(self.drawn).to_be_bytes()
    }
}

impl Still {
    pub(crate) fn at(now_ms: u64) -> Self {
        Still { now_ms: Arc::new(AtomicU64::new(now_ms)), drawn: 0 }
    }

    /// Somebody sets the clock back.
    pub(crate) fn set_back(&self, ms: u64) {
        self.now_ms.fetch_sub(ms, Ordering::Relaxed);
    }

    /// Time passes while nobody looks.
    pub(crate) fn skip(&self, ms: u64) {
        self.now_ms.fetch_add(ms, Ordering::Relaxed);
    }
}

/// Takes notes of what it is asked and does nothing.
#[derive(Default)]
pub(crate) struct Notes {
    pub(crate) orders: Mutex<Vec<Order>>,
    pub(crate) stopped: Mutex<Vec<u64>>,
}

impl Executor for Notes {
    fn start(&self, order: Order, _: Outbox) {
        self.orders.lock().unwrap().push(order);
    }

    fn stop(&self, _: StreamId, id: u64) {
        self.stopped.lock().unwrap().push(id);
    }

    fn forget(&self, _: StreamId) {}
}

/// What the next append does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Works,
    Full,
    /// Written, and then said to have failed.
    Ambiguous,
}

/// A store in memory whose next append can be made to fail.
pub(crate) struct Moody {
    inner: MemoryStore,
    pub(crate) next: Mutex<Next>,
}

impl Store for Moody {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let next = std::mem::replace(&mut *self.next.lock().unwrap(), Next::Works);
        let count = commits.len();
        if next != Next::Full {
            let answers = self.inner.append(commits);
            if next == Next::Works {
                return answers;
            }
        }
        (0..count).map(|_| Err(AppendError::Store(StoreError::Full))).collect()
    }

    fn size(&self) -> u64 {
        self.inner.size()
    }

    fn head(&self, stream: StreamId) -> Result<loom_core::commit::Head, StoreError> {
        self.inner.head(stream)
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
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
        self.inner.blob(digest)
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

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<loom_store::Answered>, StoreError> {
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

pub(crate) struct Rig {
    pub(crate) store: Arc<Moody>,
    pub(crate) notes: Arc<Notes>,
    pub(crate) engine: Engine,
    pub(crate) world: Still,
    pub(crate) bundle: Arc<LoadedBundle>,
}

pub(crate) fn person() -> Actor {
    Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: None }
}

pub(crate) fn code() -> Arc<LoadedBundle> {
    Arc::new(load(&Source::builtin("code").unwrap()).unwrap())
}

impl Rig {
    pub(crate) fn new() -> Self {
        let origin = loom_core::origin::create([9; 16], "test", Stamp { ms: 1, counter: 0 });
        let store = Arc::new(Moody { inner: MemoryStore::create(&origin), next: Mutex::new(Next::Works) });
        let world = Still::at(1_000_000);
        let notes = Arc::new(Notes::default());
        let engine = Engine::open(store.clone(), Box::new(world.clone()), notes.clone(), channel().0).unwrap();
        Rig { store, notes, engine, world, bundle: code() }
    }

    /// The process dies and another opens the store.
    pub(crate) fn crash(&mut self) -> Result<(), HostError> {
        self.notes = Arc::new(Notes::default());
        self.world.drawn += 1 << 32;
        let world = Box::new(self.world.clone());
        self.engine = Engine::open(self.store.clone(), world, self.notes.clone(), channel().0)?;
        Ok(())
    }

    pub(crate) fn pass(&mut self, ms: u64) {
        self.world.skip(ms);
        self.engine.turn(Vec::new()).unwrap();
    }

    pub(crate) fn opening(&self, id: &str, flow: &str) -> Opening {
        Opening {
            id: id.as_bytes().to_vec(),
            actor: person(),
            task: "Do it".into(),
            bundle: self.bundle.clone(),
            rules: Vec::new(),
            base_commit: vec![0xc0; 20],
            base_tree: vec![0x7e; 20],
            flow: Some(flow.into()),
            policies: vec![("final".into(), "human".into())],
            checks: vec![CheckCommand { check: "test".into(), argv: vec!["true".into()] }],
            checks_waived: vec!["lint".into(), "type-check".into()],
            caps: Amount { spawns: 20, tokens: 4_000_000, money_micro: 20_000_000, time_ms: 14_400_000 },
            owner: "uid:1000".into(),
        }
    }

    /// Opens a run of this flow.
    pub(crate) fn open(&mut self, flow: &str) -> StreamId {
        let opening = self.opening("open", flow);
        self.open_as(opening).unwrap()
    }

    pub(crate) fn open_as(&mut self, opening: Opening) -> Result<StreamId, HostError> {
        let (message, answer) = asked(opening);
        self.engine.turn(vec![message]).unwrap();
        match answer.try_recv().unwrap() {
            Answered::Recorded { stream, .. } => Ok(stream),
            Answered::Not(error) => Err(error),
        }
    }

    pub(crate) fn request(&mut self, stream: StreamId, id: &str, ask: Ask) -> Result<(u64, bool), HostError> {
        let (message, answer) = request(stream, id, ask);
        self.engine.turn(vec![message]).unwrap();
        told(&answer)
    }

    /// Every order so far ends, in one turn.
    pub(crate) fn finish_all(&mut self, report: impl Fn(&Order) -> Report) {
        let orders = std::mem::take(&mut *self.notes.orders.lock().unwrap());
        let messages = orders
            .iter()
            .map(|order| Message::Finished { stream: order.stream, id: order.id, report: Box::new(report(order)) })
            .collect();
        self.engine.turn(messages).unwrap();
    }

    pub(crate) fn accept(&mut self, stream: StreamId, id: &str) -> Result<(u64, bool), HostError> {
        let gate = self.engine.run(stream).unwrap().state.gate.clone().expect("a gate waits");
        let ask = Ask::Answer {
            gate: gate.sequence,
            answer: Answer::Accept,
            note: None,
            artifact: Some(gate.artifact),
            signed: None,
        };
        self.request(stream, id, ask)
    }

    /// Says again what was said before a gate was decided.
    pub(crate) fn accept_again(&mut self, stream: StreamId, id: &str) -> (u64, bool) {
        let answered = self.events(stream).into_iter().find_map(|event| match event.body {
            Event::GateAnswered(body) => Some(body),
            _ => None,
        });
        let body = answered.expect("the answer is on record");
        let ask =
            Ask::Answer { gate: body.gate, answer: body.answer, note: None, artifact: body.artifact, signed: None };
        self.request(stream, id, ask).unwrap()
    }

    /// The events of a run by name.
    pub(crate) fn names(&self, stream: StreamId) -> Vec<&'static str> {
        self.events(stream).iter().map(|event| event.body.schema().name).collect()
    }

    pub(crate) fn events(&self, stream: StreamId) -> Vec<Envelope> {
        let stored = self.store.read(stream, 0, usize::MAX).unwrap();
        stored.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap()).collect()
    }

    pub(crate) fn count(&self, stream: StreamId, name: &str) -> usize {
        self.names(stream).iter().filter(|found| **found == name).count()
    }

    /// The run as the record alone has it.
    pub(crate) fn state(&mut self, stream: StreamId) -> State {
        self.engine.load(stream).unwrap().state
    }

    pub(crate) fn ordered(&self) -> Vec<(u64, &'static str)> {
        let orders = self.notes.orders.lock().unwrap();
        orders
            .iter()
            .map(|order| match &order.work {
                Work::Spawn(_) => (order.id, "spawn"),
                Work::Check { .. } => (order.id, "check"),
                Work::Merge { .. } => (order.id, "merge"),
            })
            .collect()
    }

    pub(crate) fn closing(&self, stream: StreamId) -> Option<&'static str> {
        self.events(stream).iter().find_map(|event| match &event.body {
            Event::RunClosed(closed) => Some(closed.verdict.word()),
            _ => None,
        })
    }
}

pub(crate) fn asked(opening: Opening) -> (Message, Receiver<Answered>) {
    let (reply, answer) = channel();
    (Message::Open(Box::new(opening), reply), answer)
}

pub(crate) fn request(stream: StreamId, id: &str, ask: Ask) -> (Message, Receiver<Answered>) {
    let (reply, answer) = channel();
    (Message::Request(Request { stream, id: id.as_bytes().to_vec(), actor: person(), ask }, reply), answer)
}

pub(crate) fn told(answer: &Receiver<Answered>) -> Result<(u64, bool), HostError> {
    match answer.try_recv().expect("every request is answered") {
        Answered::Recorded { sequence, again, .. } => Ok((sequence, again)),
        Answered::Not(error) => Err(error),
    }
}

/// What an honest agent, check or merge reports.
pub(crate) fn good(order: &Order) -> Report {
    match &order.work {
        Work::Spawn(work) => {
            let mut report = spawned(order, SpawnOutcome::Ok);
            if work.edits {
                report.tree_after = vec![0xed; 20];
                report.delta = vec![Change { path: b"src/lib.rs".to_vec(), how: "modified".into() }];
            }
            let verdict = Some(if work.agent == "acceptance" { "pass" } else { "approve" }.to_string());
            report.claim = Some(Claim { verdict, summary: "done".into(), ..Claim::default() });
            Report::Spawn(report)
        }
        Work::Check { .. } => Report::Check {
            outcome: CheckOutcome::Pass,
            exit_code: Some(0),
            output: Vec::new(),
            duration_ms: 1,
            fence: None,
        },
        Work::Merge { .. } => Report::Merge { outcome: MergeOutcome::Done, commit: Some(vec![0xcc; 20]), detail: None },
    }
}

/// A spawn that ended so and left nothing.
pub(crate) fn spawned(order: &Order, outcome: SpawnOutcome) -> SpawnReport {
    let Work::Spawn(work) = &order.work else { panic!("order {} is no spawn", order.id) };
    SpawnReport {
        outcome,
        prompt: b"prompt".to_vec(),
        output: b"output".to_vec(),
        claim: None,
        delta: Vec::new(),
        tree_after: work.tree.clone(),
        tokens_in: Some(1),
        tokens_out: Some(1),
        money_micro: Some(1),
        duration_ms: 1,
        model: None,
        session: None,
        detail: None,
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: Vec::new(),
        fence: None,
    }
}
