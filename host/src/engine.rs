//! The engine: takes messages, moves runs by [`loom_core::step()`], appends, and only then tells and acts (PERSIST-1).
//!
//! ```text
//! messages ──► step each ──► one append for all ──► answers, effects
//!                 │                  │
//!                 └ declined: answered and forgotten
//!                                    └ failed: outcomes are kept and tried again, requests are told
//! ```
//!
//! A turn is deterministic: equal store, messages, time and chance give equal events. It never waits (TURN-1).
//!
//! What is wrong with one run stays with that run: it is set aside, with the reason, and the others are driven on
//! (ASIDE-1).

use crate::error::HostError;
use crate::keys::attest;
use crate::loader::Loader;
use crate::order::{Confined, Executor, Message, Order, Outbox, Report, SpawnReport};
use crate::orders::Orders;
use crate::redact::Redactor;
use crate::request::{Answered, Opening, Request, check_task};
use crate::world::World;
use loom_core::answer::{Claim, clip, encode_delta};
use loom_core::commit::{Blob, Checked};
use loom_core::effect::{self, Effect, Nature};
use loom_core::event::Envelope;
use loom_core::id::{Actor, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::run::Run;
use loom_core::schema::List;
use loom_core::snapshot;
use loom_core::state::{Asked, State};
use loom_core::step::{Declined, Input, named_blobs};
use loom_core::word::{CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_core::{open, step};
use loom_store::{Append, AppendError, RunState, Snapshot, Store, StoreError, origin};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Sender;

/// A snapshot is offered each time that a run has grown by so many events.
const SNAPSHOT_EVENTS: u64 = 512;

/// Drives every run of one store.
pub struct Engine {
    store: Arc<dyn Store>,
    world: Box<dyn World>,
    executor: Arc<dyn Executor>,
    outbox: Outbox,
    redactor: Arc<Redactor>,
    origin: [u8; 16],
    runs: BTreeMap<StreamId, Arc<Run>>,
    /// The runs that had not ended at the open, with the next sequence of each then.
    found: BTreeMap<StreamId, u64>,
    loader: Loader,
    orders: Orders,
    /// Outcomes that could not be recorded yet: they are never dropped.
    kept: Vec<Message>,
    /// Runs that have not ended and cannot be driven.
    aside: BTreeMap<StreamId, Aside>,
    /// Effects that the executor has, or whose outcome is not recorded yet.
    begun: BTreeSet<(StreamId, u64)>,
    /// Effects that this engine could not make an order of: nobody has begun them.
    unbegun: BTreeSet<(StreamId, u64)>,
    /// Whether a run that was set aside has come back and left something to do at once.
    returned: bool,
    /// Effects whose driver died, not yet recorded as orphaned.
    orphans: Vec<(StreamId, u64)>,
    /// Streams whose last append failed: a store that failed may have taken it all the same.
    doubtful: BTreeSet<StreamId>,
    /// Why the last append failed, while it does.
    trouble: Option<AppendError>,
}

/// A run that cannot be driven.
struct Aside {
    why: String,
    /// Outcomes that came meanwhile; they are recorded once the run is in the hand again.
    outcomes: Vec<Message>,
}

/// A commit that is ready to be appended, and who waits for it.
struct Staged {
    checked: Checked<Run>,
    from: From,
}

enum From {
    Person(Sender<Answered>),
    World(Message),
    Orphan(u64),
    Timer,
}

/// What a turn is about to append.
#[derive(Default)]
struct Turn {
    staged: Vec<Staged>,
    /// A run takes part in one append as often as it has messages: later ones build on what was staged last.
    last: BTreeMap<StreamId, usize>,
    /// Ids of the requests among it.
    requests: BTreeSet<(StreamId, Vec<u8>)>,
}

impl Turn {
    fn stage(&mut self, staged: Staged) {
        self.last.insert(staged.checked.stream(), self.staged.len());
        self.staged.push(staged);
    }

    /// Returns a run as it will be once what is staged is appended; `None` where nothing of it is staged.
    fn run(&self, stream: StreamId) -> Option<&Run> {
        self.last.get(&stream).map(|index| self.staged[*index].checked.next())
    }
}

/// What became of one message.
enum Prepared {
    Staged(Box<Staged>),
    Done,
}

impl Engine {
    /// Opens the engine over a store: every run that has not ended is folded, and what was under way when its driver
    /// died is done again, looked for, or recorded as orphaned, by its nature (EFFECT-2).
    ///
    /// A run that cannot be folded, or whose pending order cannot be made, is set aside; see [`Engine::set_aside`].
    pub fn open(
        store: Arc<dyn Store>,
        world: Box<dyn World>,
        executor: Arc<dyn Executor>,
        outbox: Outbox,
    ) -> Result<Self, HostError> {
        let origin = origin(store.as_ref())?;
        let mut engine = Engine {
            loader: Loader::new(store.clone()),
            orders: Orders::new(store.clone()),
            store,
            world,
            executor,
            outbox,
            redactor: Arc::default(),
            origin,
            runs: BTreeMap::new(),
            found: BTreeMap::new(),
            kept: Vec::new(),
            aside: BTreeMap::new(),
            begun: BTreeSet::new(),
            unbegun: BTreeSet::new(),
            returned: false,
            orphans: Vec::new(),
            doubtful: BTreeSet::new(),
            trouble: None,
        };
        for listed in engine.store.runs(usize::MAX)? {
            if !matches!(listed.state, RunState::Closed(_)) {
                match engine.load(listed.stream) {
                    Ok(run) => {
                        engine.found.insert(listed.stream, run.state.next);
                        engine.runs.insert(listed.stream, Arc::new(run));
                    }
                    Err(error) if is_passing(&error) => return Err(error),
                    Err(error) => engine.put_aside(listed.stream, &error),
                }
            }
        }
        for stream in engine.runs.keys().copied().collect::<Vec<_>>() {
            engine.recover(stream);
        }
        let mut turn = Turn::default();
        engine.stage_orphans(&mut turn);
        engine.commit(turn.staged);
        Ok(engine)
    }

    /// Keeps these secrets, too, from what is asked from now on; without it, what looks like one is kept (REDACT-1).
    pub fn keep_secret(&mut self, redactor: Arc<Redactor>) {
        self.redactor = redactor;
    }

    /// Returns the runs that have not ended and cannot be driven, and why: what they need is damaged or gone.
    ///
    /// Nothing of them is lost. A request to one of them, or the next open, tries again.
    pub fn set_aside(&self) -> impl Iterator<Item = (StreamId, &str)> {
        self.aside.iter().map(|(stream, aside)| (*stream, aside.why.as_str()))
    }

    /// Returns the stream that a run opened by this request has.
    pub fn stream_of(&self, request: &[u8]) -> StreamId {
        StreamId::of_run(&self.origin, request)
    }

    /// Returns a run that has not ended, as it is on record.
    pub fn run(&self, stream: StreamId) -> Option<&Run> {
        self.runs.get(&stream).map(Arc::as_ref)
    }

    /// Returns the runs that have not ended.
    pub fn runs(&self) -> impl Iterator<Item = (&StreamId, &Run)> {
        self.runs.iter().map(|(stream, run)| (stream, run.as_ref()))
    }

    /// Returns the runs that had not ended when the engine was opened, with the sequence from which on everything is
    /// this engine's doing; recovery may have ended some of them.
    pub fn found(&self) -> &BTreeMap<StreamId, u64> {
        &self.found
    }

    /// Returns the store.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// Returns why nothing can be recorded at present, if so.
    pub fn trouble(&self) -> Option<&AppendError> {
        self.trouble.as_ref()
    }

    /// Returns when the next deadline passes, milliseconds since the epoch.
    pub fn next_deadline_ms(&self) -> Option<u64> {
        self.runs.values().flat_map(|run| run.state.deadlines()).map(|(due_ms, _)| due_ms).min()
    }

    /// Returns the present time as the engine's world has it.
    pub fn now_ms(&self) -> u64 {
        self.world.now_ms()
    }

    /// Whether something is under way or waits for a time of its own (gates apart).
    pub fn is_busy(&self) -> bool {
        !self.kept.is_empty() || self.runs.values().any(|run| run.state.is_busy())
    }

    /// Takes messages and due deadlines, records what follows, tells and acts.
    ///
    /// What fails for one run sets that run aside and does not fail the turn.
    pub fn turn(&mut self, messages: Vec<Message>) -> Result<(), HostError> {
        self.take(messages);
        while std::mem::take(&mut self.returned) {
            self.take(Vec::new());
        }
        Ok(())
    }

    fn take(&mut self, messages: Vec<Message>) {
        self.settle_doubts();
        let mut turn = Turn::default();
        self.stage_orphans(&mut turn);
        let messages: Vec<Message> = self.kept.drain(..).chain(messages).collect();
        for message in messages {
            if let Some(request) = self.request_of(&message)
                && !turn.requests.insert(request.clone())
            {
                // The ledger knows what is appended only: the same request again waits for the first to be (LEDGER-1).
                self.commit(std::mem::take(&mut turn).staged);
                turn.requests.insert(request);
            }
            if let Prepared::Staged(ready) = self.prepare(message, &turn) {
                turn.stage(*ready);
            }
        }
        self.stage_timers(&mut turn);
        self.commit(turn.staged);
        if self.doubtful.is_empty() && self.kept.is_empty() {
            self.trouble = None;
        }
    }

    /// Returns what names a request for ever; `None` for what is none.
    fn request_of(&self, message: &Message) -> Option<(StreamId, Vec<u8>)> {
        match message {
            Message::Open(opening, _) => Some((self.stream_of(&opening.id), opening.id.clone())),
            Message::Request(request, _) => Some((request.stream, request.id.clone())),
            Message::Finished { .. } | Message::Look => None,
        }
    }

    /// A commit that the store said to have failed may be on record all the same: then it is taken up from there.
    fn settle_doubts(&mut self) {
        for stream in std::mem::take(&mut self.doubtful) {
            if self.aside.contains_key(&stream) {
                // It is read anew before anything else is done with it.
                continue;
            }
            let known = self.runs.get(&stream).map(|run| run.state.head()).unwrap_or_default();
            match self.store.head(stream) {
                Ok(head) if head == known => {}
                Ok(_) => match self.take_up(stream) {
                    Ok(()) => {}
                    Err(error) if is_passing(&error) => drop(self.doubtful.insert(stream)),
                    Err(error) => self.put_aside(stream, &error),
                },
                // It cannot even be read at present.
                Err(_) => drop(self.doubtful.insert(stream)),
            }
        }
    }

    /// Takes a run out of the hand, with the reason. What is under way of it goes on, and its outcomes are kept.
    fn put_aside(&mut self, stream: StreamId, error: &HostError) {
        self.runs.remove(&stream);
        self.orphans.retain(|(found, _)| *found != stream);
        self.aside.entry(stream).or_insert(Aside { why: String::new(), outcomes: Vec::new() }).why = why(error);
    }

    /// Loads a run that has moved without this engine and does what that asks for.
    fn take_up(&mut self, stream: StreamId) -> Result<(), HostError> {
        let run = self.load(stream)?;
        let none = State::default();
        let before = self.runs.get(&stream).map_or(&none, |run| &run.state);
        let stopped: Vec<u64> =
            before.pending.keys().filter(|id| !run.state.pending.contains_key(id)).copied().collect();
        let started: Vec<Effect> = effect::pending(&run.state)
            .into_iter()
            .filter(|effect| match effect {
                Effect::Start { id, .. } => !before.pending.contains_key(id) || before.is_held(*id),
                Effect::Stop { .. } => false,
            })
            .collect();
        let closed = run.state.closed.is_some();
        let was_known = self.runs.insert(stream, Arc::new(run)).is_some();
        for id in stopped {
            self.executor.stop(stream, id);
        }
        for effect in started {
            self.act(stream, effect);
        }
        if closed {
            self.runs.remove(&stream);
            if was_known {
                self.executor.forget(stream);
            }
        }
        Ok(())
    }

    fn commit(&mut self, staged: Vec<Staged>) {
        if staged.is_empty() {
            return;
        }
        let results = self.store.append(staged.iter().map(|staged| Append::from(&staged.checked)).collect());
        for (staged, result) in staged.into_iter().zip(results) {
            match result {
                Ok(_) => self.acknowledge(staged),
                Err(error) => self.append_failed(staged, error),
            }
        }
    }

    /// It is durable: remember, tell, act, in this order.
    fn acknowledge(&mut self, staged: Staged) {
        let Staged { checked, from } = staged;
        if let From::World(Message::Finished { stream, id, .. }) = &from {
            self.begun.remove(&(*stream, *id));
        }
        let stream = checked.stream();
        let sequence = checked.expected().next;
        let effects = checked.effects().to_vec();
        let run = checked.into_next();
        self.offer_snapshot(sequence, &run);
        let closed = run.state.closed.is_some();
        self.runs.insert(stream, Arc::new(run));
        let aside = self.aside.remove(&stream);
        if let From::Person(reply) = from {
            // Whoever asked may have gone; what they asked is on record all the same.
            let _gone = reply.send(Answered::Recorded { stream, sequence, again: false });
        }
        for effect in effects {
            self.act(stream, effect);
        }
        if let Some(aside) = aside {
            // It is in the hand again: what nobody has begun goes by its nature.
            self.kept.extend(aside.outcomes);
            self.recover(stream);
            self.returned = true;
        }
        if closed {
            self.runs.remove(&stream);
            self.executor.forget(stream);
        }
    }

    /// Offers a snapshot each time that a run has grown by so many events.
    fn offer_snapshot(&self, before: u64, run: &Run) {
        let head = run.state.head();
        if before / SNAPSHOT_EVENTS != head.next / SNAPSHOT_EVENTS
            && let Some(bytes) = snapshot::encode(run)
        {
            let snapshot = Snapshot { version: snapshot::VERSION, next: head.next, last: head.last, bytes };
            self.store.put_snapshot(run.state.stream, snapshot);
        }
    }

    fn append_failed(&mut self, staged: Staged, error: AppendError) {
        self.trouble = Some(error.clone());
        let stream = staged.checked.stream();
        self.doubtful.insert(stream);
        match staged.from {
            From::Person(reply) => {
                // Whoever asked may have gone.
                let _gone = reply.send(Answered::Not(HostError::Append(error)));
            }
            From::World(message) => self.kept.push(message),
            From::Orphan(effect) => self.orphans.push((stream, effect)),
            From::Timer => {}
        }
    }

    fn prepare(&mut self, message: Message, turn: &Turn) -> Prepared {
        match message {
            Message::Open(mut opening, reply) => {
                let answer = match self.redactor.opening(&mut opening) {
                    None => self.prepare_opening(&opening),
                    Some((check, secret)) => Err(HostError::SecretInCheck { check, secret }),
                };
                stage_or_answer(answer, reply)
            }
            Message::Request(mut request, reply) => {
                self.redactor.ask(&mut request.ask);
                let answer = attest(&mut request).and_then(|()| self.prepare_request(&request, turn));
                stage_or_answer(answer, reply)
            }
            Message::Look => Prepared::Done,
            Message::Finished { stream, id, report } => {
                if let Some(aside) = self.aside.get_mut(&stream) {
                    aside.outcomes.push(Message::Finished { stream, id, report });
                    return Prepared::Done;
                }
                let known = self.runs.get(&stream).cloned();
                let checked = match turn.run(stream).or(known.as_deref()) {
                    Some(run) => self.prepare_outcome(run, id, &report),
                    // The run has ended and is not in the hand any more: the outcome of what it gave up comes late.
                    None => self.prepare_late(stream, id, &report),
                };
                let message = Message::Finished { stream, id, report };
                match checked {
                    Ok(Some(checked)) => Prepared::Staged(Box::new(Staged { checked, from: From::World(message) })),
                    Ok(None) => {
                        self.begun.remove(&(stream, id));
                        Prepared::Done
                    }
                    Err(error) => {
                        self.keep(stream, message, &error);
                        Prepared::Done
                    }
                }
            }
        }
    }

    /// Keeps an outcome that cannot be recorded now: until the store works again, or with its run, which is set aside.
    fn keep(&mut self, stream: StreamId, message: Message, error: &HostError) {
        if let HostError::Store(store) = error
            && is_passing(error)
        {
            self.trouble = Some(AppendError::Store(store.clone()));
            self.kept.push(message);
            return;
        }
        self.put_aside(stream, error);
        if let Some(aside) = self.aside.get_mut(&stream) {
            aside.outcomes.push(message);
        }
    }

    fn prepare_late(&mut self, stream: StreamId, id: u64, report: &Report) -> Result<Option<Checked<Run>>, HostError> {
        let run = self.load(stream)?;
        if run.state.given_up.contains(&id) { self.prepare_outcome(&run, id, report) } else { Ok(None) }
    }

    /// Returns the commit of an outcome, or nothing where it is on record already.
    fn prepare_outcome(&mut self, run: &Run, id: u64, report: &Report) -> Result<Option<Checked<Run>>, HostError> {
        let asked = self.asked(run, id)?;
        let (body, blobs) = self.observation(id, &asked, report);
        let told = step(run, self.input(run, Actor::Host, body, blobs));
        let told = match told {
            // Whatever an agent did, it does not end the drive loop: that it cannot be recorded is what is recorded.
            Err(Declined::Malformed(why)) => {
                let (body, blobs) = self.observation(id, &asked, &unrecordable(report, &asked, &why));
                step(run, self.input(run, Actor::Host, body, blobs))
            }
            told => told,
        };
        match told {
            Ok(checked) => Ok(Some(checked)),
            Err(Declined::Duplicate(_)) => Ok(None),
            Err(declined @ (Declined::Malformed(_) | Declined::Terms(_))) => Err(HostError::Declined(declined)),
        }
    }

    /// Returns the name and the tree that an effect was asked for with, as the record has them.
    fn asked(&self, run: &Run, id: u64) -> Result<(String, Vec<u8>), HostError> {
        Ok(match run.state.pending.get(&id).map(|pending| &pending.what) {
            Some(Asked::Spawn { agent, tree, .. }) => (agent.clone(), tree.clone()),
            Some(Asked::Check { check, tree }) => (check.clone(), tree.clone()),
            Some(Asked::Merge { .. }) => Default::default(),
            // It was given up: the log still says what it was.
            None => match self.orders.event(run.state.stream, id)?.body {
                Event::SpawnRequested(body) => (body.agent, body.tree),
                Event::CheckRequested(body) => (body.check, body.tree),
                _ => Default::default(),
            },
        })
    }

    /// Returns the first answer where the request is on record, a commit to be appended where it is not.
    fn prepare_request(&mut self, request: &Request, turn: &Turn) -> Result<Result<Checked<Run>, Answered>, HostError> {
        request.ask.check()?;
        let stream = request.stream;
        let known = self.runs.get(&stream).cloned();
        let loaded;
        let run = match turn.run(stream).or(known.as_deref()) {
            Some(run) => run,
            None => {
                loaded = self.load(stream)?;
                &loaded
            }
        };
        if let Some(found) = self.store.request(stream, &request.id)? {
            let sequence = found.sequence;
            let recorded = self.orders.event(stream, sequence)?;
            let mut salts = self.salts_of(&recorded.body)?.into_iter();
            let (again, _) = request.ask.event(&request.id, || salts.next().unwrap_or_default());
            // What a descendant of a spawn asked is not on record, only that it was refused: to nobody but the same.
            let refused_before = matches!(&recorded.body, Event::RequestRefused(refused)
                if recorded.actor == request.actor && refused.what == again.schema().name);
            return if recorded.body == again || refused_before {
                Ok(Err(Answered::Recorded { stream, sequence, again: true }))
            } else {
                Err(HostError::RequestReused { sequence })
            };
        }
        let world = &mut self.world;
        let (body, blobs) = request.ask.event(&request.id, || world.random());
        let input = self.input(run, request.actor.clone(), body, blobs);
        Ok(Ok(step(run, input)?))
    }

    fn prepare_opening(&mut self, opening: &Opening) -> Result<Result<Checked<Run>, Answered>, HostError> {
        check_task(&opening.task)?;
        let stream = self.stream_of(&opening.id);
        if let Some(recorded) = self.store.read(stream, 0, 1)?.first() {
            let recorded = Envelope::decode(&recorded.event.bytes)?;
            let mut salts = self.salts_of(&recorded.body)?.into_iter();
            let (again, _) = opening.event(|| salts.next().unwrap_or_default());
            return if same_opening(&recorded.body, &again) {
                Ok(Err(Answered::Recorded { stream, sequence: 0, again: true }))
            } else {
                Err(HostError::RequestReused { sequence: 0 })
            };
        }
        let bundle = Blob::plain(&opening.bundle.bytes);
        let rules = opening.rule_blobs();
        let terms = self.loader.terms(&bundle, &rules)?;
        let world = &mut self.world;
        let (body, blobs) = opening.event(|| world.random());
        let stamp = Stamp::after(Stamp::default(), self.world.now_ms());
        let input = Input { stamp, actor: opening.actor.clone(), body, blobs };
        Ok(Ok(open(terms, stream, input)?))
    }

    fn stage_timers(&mut self, turn: &mut Turn) {
        let now_ms = self.world.now_ms();
        let due: Vec<(StreamId, u64)> = self
            .runs
            .iter()
            .flat_map(|(stream, run)| {
                let run = turn.run(*stream).unwrap_or(run);
                run.state.deadlines().filter(|(due_ms, _)| *due_ms <= now_ms).map(|(_, subject)| (*stream, subject))
            })
            .collect();
        for (stream, subject) in due {
            let Some(run) = turn.run(stream).or(self.runs.get(&stream).map(Arc::as_ref)) else { continue };
            let input = self.input(run, Actor::Host, TimerFired { subject }.into(), Vec::new());
            // An earlier timer of the same turn may have made this one pointless: then it is declined.
            if let Ok(checked) = step(run, input) {
                turn.stage(Staged { checked, from: From::Timer });
            }
        }
    }

    fn stage_orphans(&mut self, turn: &mut Turn) {
        for (stream, effect) in std::mem::take(&mut self.orphans) {
            let Some(run) = turn.run(stream).or(self.runs.get(&stream).map(Arc::as_ref)) else { continue };
            let input = self.input(run, Actor::Host, EffectOrphaned { effect }.into(), Vec::new());
            match step(run, input) {
                Ok(checked) => turn.stage(Staged { checked, from: From::Orphan(effect) }),
                // What followed from the orphan before it has given this one up as well.
                Err(Declined::Duplicate(_)) => {}
                Err(declined @ (Declined::Malformed(_) | Declined::Terms(_))) => {
                    self.put_aside(stream, &declined.into())
                }
            }
        }
    }

    fn input(&self, run: &Run, actor: Actor, body: Event, blobs: Vec<Blob>) -> Input {
        Input { stamp: Stamp::after(run.state.stamp, self.world.now_ms()), actor, body, blobs }
    }

    /// Turns a report into the observation that core reads, with its blobs.
    fn observation(&mut self, id: u64, asked: &(String, Vec<u8>), report: &Report) -> (Event, Vec<Blob>) {
        let mut blobs = Vec::new();
        let event = match report {
            Report::Spawn(report) => self.spawn_observation(id, asked, report, &mut blobs).into(),
            Report::Check { outcome, exit_code, output, duration_ms, fence } => {
                let (check, tree) = asked.clone();
                let output = (!output.is_empty()).then(|| {
                    let blob = Blob::salted(self.world.random(), output);
                    let digest = blob.digest;
                    blobs.push(blob);
                    digest
                });
                CheckFinished {
                    request: id,
                    check,
                    outcome: *outcome,
                    exit_code: *exit_code,
                    tree,
                    output,
                    duration_ms: *duration_ms,
                    fence: fence.as_ref().map(|fence| clip(&fence.name, 40)),
                    enforced: enforced(fence.as_ref()),
                }
                .into()
            }
            Report::Merge { outcome, commit, detail } => MergeFinished {
                merge: id,
                outcome: *outcome,
                commit: commit.clone(),
                detail: detail.as_deref().map(|text| clip(text, 2000)),
            }
            .into(),
        };
        (event, blobs)
    }

    fn spawn_observation(
        &mut self,
        id: u64,
        asked: &(String, Vec<u8>),
        report: &SpawnReport,
        blobs: &mut Vec<Blob>,
    ) -> SpawnFinished {
        let (agent, tree) = asked.clone();
        let mut keep = |blob: Blob| {
            let digest = blob.digest;
            blobs.push(blob);
            digest
        };
        let claim = report.claim.as_ref().map(Claim::encode);
        // A claim that core could not read back would be named by later prompts all the same.
        let unreadable = claim.as_deref().and_then(|bytes| Claim::decode(bytes).err());
        let claim = claim.filter(|_| unreadable.is_none());
        let outcome = match (report.outcome, &unreadable) {
            (SpawnOutcome::Ok, Some(_)) => SpawnOutcome::Unparsable,
            (outcome, _) => outcome,
        };
        let unreadable = unreadable.map(|error| format!("its answer cannot be read: {error}"));
        let world = &mut self.world;
        let prompt = (!report.prompt.is_empty()).then(|| keep(Blob::salted(world.random(), &report.prompt)));
        let output = (!report.output.is_empty()).then(|| keep(Blob::salted(world.random(), &report.output)));
        let answer = claim.map(|claim| keep(Blob::salted(world.random(), &claim)));
        let delta = (!report.delta.is_empty()).then(|| keep(Blob::plain(&encode_delta(&report.delta))));
        let transcript =
            (!report.transcript.is_empty()).then(|| keep(Blob::salted(world.random(), &report.transcript)));
        let told = |text: &Option<String>, max| text.as_deref().map(|text| clip(text, max));
        SpawnFinished {
            spawn: id,
            outcome,
            agent,
            prompt,
            output,
            answer,
            delta,
            tree_before: tree,
            tree_after: report.tree_after.clone(),
            tokens_in: report.tokens_in,
            tokens_out: report.tokens_out,
            money_micro: report.money_micro,
            duration_ms: report.duration_ms,
            model: told(&report.model, 120),
            session: told(&report.session, 120),
            detail: told(&unreadable.or(report.detail.clone()), 2000),
            wake_ms: report.wake_ms,
            provider: told(&report.provider, 120),
            chosen: told(&report.chosen, 400),
            requests: report.requests,
            transcript,
            fence: report.fence.as_ref().map(|fence| clip(&fence.name, 40)),
            enforced: enforced(report.fence.as_ref()),
        }
    }

    /// Hands an effect to the executor; only ever called for what is durable.
    ///
    /// A run whose order cannot be made is set aside: nothing else would tell that it waits for what never began.
    fn act(&mut self, stream: StreamId, effect: Effect) {
        match effect {
            Effect::Stop { id } => self.executor.stop(stream, id),
            Effect::Start { id, .. } if !self.runs.contains_key(&stream) => drop(self.unbegun.insert((stream, id))),
            Effect::Start { id, what, time_ms } => match self.order(stream, id, what, time_ms) {
                Ok(order) => {
                    self.unbegun.remove(&(stream, id));
                    self.begun.insert((stream, id));
                    self.executor.start(order, self.outbox.clone());
                }
                Err(error) => {
                    self.unbegun.insert((stream, id));
                    self.put_aside(stream, &error);
                }
            },
        }
    }

    fn order(&mut self, stream: StreamId, id: u64, what: Asked, time_ms: u64) -> Result<Order, HostError> {
        let run = self.runs.get(&stream).ok_or(HostError::RunUnknown)?;
        self.orders.order(run, id, what, time_ms)
    }

    fn salts_of(&self, body: &Event) -> Result<Vec<[u8; 16]>, HostError> {
        let mut salts = Vec::new();
        for digest in named_blobs(body) {
            let bytes = self.loader.blob(digest)?;
            if let Some((1, rest)) = bytes.split_first()
                && let Some(salt) = rest.first_chunk()
            {
                salts.push(*salt);
            }
        }
        Ok(salts)
    }

    /// Folds a run from its newest snapshot and the log.
    pub fn load(&mut self, stream: StreamId) -> Result<Run, HostError> {
        self.loader.load(stream)
    }

    /// What was under way of a run when its last driver died.
    fn recover(&mut self, stream: StreamId) {
        let Some(run) = self.runs.get(&stream) else { return };
        let pending: Vec<Effect> = effect::pending(&run.state).into_iter().collect();
        for effect in pending {
            let Effect::Start { id, what, .. } = &effect else { continue };
            if self.begun.contains(&(stream, *id)) {
                continue;
            }
            match what.nature() {
                _ if self.unbegun.contains(&(stream, *id)) => self.act(stream, effect),
                // A check is done again; a merge is made again, which finds what was made before.
                Nature::Idempotent | Nature::Checkable => self.act(stream, effect),
                Nature::Ask => self.orphans.push((stream, *id)),
            }
        }
        if !self.runs.contains_key(&stream) {
            self.orphans.retain(|(found, _)| *found != stream);
        }
    }
}

/// Whether an error is the store's as a whole and may pass, rather than one run's.
fn is_passing(error: &HostError) -> bool {
    match error {
        HostError::Store(error) => match error {
            StoreError::Full | StoreError::Broken | StoreError::ReadOnly | StoreError::Held { .. } => true,
            StoreError::Io { .. }
            | StoreError::Damaged(_)
            | StoreError::NewerEvent { .. }
            | StoreError::Newer { .. }
            | StoreError::Missing(_)
            | StoreError::Exists(_) => false,
        },
        _ => false,
    }
}

/// Returns an error and what caused it as one line.
fn why(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

fn stage_or_answer(answer: Result<Result<Checked<Run>, Answered>, HostError>, reply: Sender<Answered>) -> Prepared {
    let answered = match answer {
        Ok(Ok(checked)) => return Prepared::Staged(Box::new(Staged { checked, from: From::Person(reply) })),
        Ok(Err(answered)) => answered,
        Err(error) => Answered::Not(error),
    };
    // Whoever asked may have gone.
    let _gone = reply.send(answered);
    Prepared::Done
}

/// A run that is opened again asks the same of the same commit; which Loom asked does not matter.
fn same_opening(recorded: &Event, again: &Event) -> bool {
    match (recorded, again) {
        (Event::RunOpened(recorded), Event::RunOpened(again)) => {
            let mut again = again.clone();
            again.loom.clone_from(&recorded.loom);
            *recorded == again
        }
        _ => false,
    }
}

/// Returns what a fence was measured to enforce, as the event holds it: some 30 words at most.
fn enforced(fence: Option<&Confined>) -> List<String> {
    fence.iter().flat_map(|fence| &fence.enforced).take(32).map(|word| clip(word, 40)).collect()
}

/// Says in place of a report that it cannot be recorded, and why; what it used counts all the same.
fn unrecordable(report: &Report, (_, tree): &(String, Vec<u8>), why: &str) -> Report {
    let detail = format!("what it reported cannot be recorded: {why}");
    match report {
        Report::Spawn(report) => Report::Spawn(SpawnReport {
            outcome: SpawnOutcome::Broken,
            claim: None,
            delta: Vec::new(),
            tree_after: tree.clone(),
            detail: Some(detail),
            ..report.clone()
        }),
        Report::Check { output, duration_ms, .. } => Report::Check {
            outcome: CheckOutcome::Unusable,
            exit_code: None,
            output: output.clone(),
            duration_ms: *duration_ms,
            fence: None,
        },
        Report::Merge { .. } => merge_failed(detail),
    }
}

/// A report of a merge that could not even be tried.
pub fn merge_failed(detail: String) -> Report {
    Report::Merge { outcome: MergeOutcome::Failed, commit: None, detail: Some(detail) }
}

/// A report of a spawn that could not be started.
pub fn spawn_failed(outcome: SpawnOutcome, tree: Vec<u8>, detail: String) -> Report {
    Report::Spawn(SpawnReport {
        outcome,
        prompt: Vec::new(),
        output: Vec::new(),
        claim: None,
        delta: Vec::new(),
        tree_after: tree,
        tokens_in: Some(0),
        tokens_out: Some(0),
        money_micro: Some(0),
        duration_ms: 0,
        model: None,
        session: None,
        detail: Some(detail),
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: Vec::new(),
        fence: None,
    })
}
