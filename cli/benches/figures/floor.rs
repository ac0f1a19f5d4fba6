//! The engine's figures and their floors: the same bytes in plain ascending redb tables.

use crate::instant::{Instant, bundle, opening, person};
use crate::prefill::{Bench, open};
use loom_bundles::LoadedBundle;
use loom_core::event::Envelope;
use loom_core::id::{Digest, EventHasher};
use loom_core::kind::Event;
use loom_core::word::Answer;
use loom_host::order::Message;
use loom_host::request::{Ask, Request};
use loom_replay::{Options, named, verify as verify_store};
use loom_store::{RedbStore, Store};
use redb::{Database, Durability, TableDefinition};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel, sync_channel};
use std::time::Instant as Clock;

const EVENTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("floor events");
const BLOBS: TableDefinition<'_, (u64, u64), &[u8]> = TableDefinition::new("floor blobs");

/// One commit's bytes.
#[derive(Clone, Default)]
struct Bytes {
    events: Vec<Vec<u8>>,
    blobs: Vec<Vec<u8>>,
}

/// What spawn steps cost.
pub(crate) struct SpawnSteps {
    /// Durable commits of whole runs, file syncs counted, divided by their spawns.
    pub commits_per_step: f64,
    /// Median time of a turn that records a spawn's outcome.
    pub engine_us: f64,
    /// Median time of the same commits in plain tables.
    pub floor_us: f64,
    /// Median time of the same commits in plain tables within a copy of the store's own file: what redb takes for a
    /// commit grows with its file, because quick repair writes the state of the whole file's allocator.
    pub grown_us: f64,
    /// Encoded bytes of the events that a spawn causes, from its request to its outcome.
    pub bytes_per_step: f64,
}

/// Measures spawn steps at the end of the stores in `folders`, one at a time. The stores and their floors take turns, so
/// that what the disk does meanwhile is felt by all of them alike.
pub(crate) fn spawn_steps<const STORES: usize>(folders: [&Path; STORES], steps: usize) -> [SpawnSteps; STORES] {
    let mut pairs = folders.map(Pair::new);
    while pairs.iter().any(|pair| pair.times.len() < steps) {
        pairs.iter_mut().for_each(Pair::run);
    }
    pairs.map(Pair::figures)
}

/// A store, and plain tables that get the same commits.
struct Pair {
    bench: Bench,
    bundle: Arc<LoadedBundle>,
    plain: Plain,
    /// Plain tables within a copy of the store's file.
    grown: Plain,
    /// Position up to which the tables have what the store has.
    until: u64,
    /// Durable commits of the store before the first step.
    durable: u64,
    times: Vec<f64>,
    plain_times: Vec<f64>,
    grown_times: Vec<f64>,
    bytes: usize,
}

impl Pair {
    fn new(folder: &Path) -> Self {
        let copy = folder.join("grown.redb");
        std::fs::copy(folder.join(".loom/store.redb"), &copy).expect("a copy");
        let grown = Plain::within(&copy);
        let bench = open(folder, Instant::default());
        let store = bench.engine.store();
        let (until, durable) = (store.size(), store.health().expect("health").durable_commits);
        let plain = Plain::new(folder, "floor");
        let (times, plain_times, grown_times) = (Vec::new(), Vec::new(), Vec::new());
        Pair { bench, bundle: bundle(), plain, grown, until, durable, times, plain_times, grown_times, bytes: 0 }
    }

    /// Drives one run to its end.
    fn run(&mut self) {
        let opening = opening(&self.bundle, self.until << 20, "standard", "on-blockers");
        self.turn(Message::Open(Box::new(opening), channel().0));
        while let Ok(message) = self.bench.inbox.try_recv() {
            self.turn(message);
        }
    }

    fn turn(&mut self, message: Message) {
        let is_spawn = is_spawn(&message);
        let began = Clock::now();
        self.bench.engine.turn(vec![message]).expect("a turn");
        let took = began.elapsed().as_secs_f64() * 1e6;
        let store = self.bench.engine.store();
        let commits = commits(store.as_ref(), self.until);
        self.until = store.size();
        let plain = self.plain.timed_put(&commits);
        let grown = self.grown.timed_put(&commits);
        if is_spawn {
            self.times.push(took);
            self.plain_times.push(plain);
            self.grown_times.push(grown);
        }
        let events = commits.iter().flat_map(|commit| &commit.events);
        self.bytes += events.filter(|event| is_of_spawn(event)).map(Vec::len).sum::<usize>();
    }

    fn figures(mut self) -> SpawnSteps {
        let durable = self.bench.engine.store().health().expect("health").durable_commits - self.durable;
        let spawns = self.times.len() as f64;
        SpawnSteps {
            commits_per_step: durable as f64 / spawns,
            engine_us: median(&mut self.times),
            floor_us: median(&mut self.plain_times),
            grown_us: median(&mut self.grown_times),
            bytes_per_step: self.bytes as f64 / spawns,
        }
    }
}

fn is_spawn(message: &Message) -> bool {
    matches!(message, Message::Finished { report, .. } if matches!(**report, loom_host::order::Report::Spawn(_)))
}

fn is_of_spawn(event: &[u8]) -> bool {
    matches!(
        Envelope::decode(event).expect("an event").body,
        Event::SpawnRequested(_)
            | Event::SpawnFinished(_)
            | Event::BudgetSettled(_)
            | Event::PathsChanged(_)
            | Event::FindingRaised(_)
            | Event::VerdictGiven(_)
            | Event::StageEntered(_)
    )
}

/// Reads the commits from a position on, each with the blobs that it was the first to name.
fn commits(store: &dyn Store, from: u64) -> Vec<Bytes> {
    let mut commits: Vec<Bytes> = Vec::new();
    let mut seen: BTreeSet<Digest> = BTreeSet::new();
    store
        .scan(from, &mut |_, bytes| {
            let envelope = Envelope::decode(bytes).expect("an event");
            if envelope.count.is_some() {
                commits.push(Bytes::default());
            }
            let commit = commits.last_mut().expect("a commit begins with its input");
            commit.events.push(bytes.to_vec());
            for digest in named(&envelope.body).into_iter().filter(|digest| seen.insert(*digest)) {
                commit.blobs.extend(store.blob(&digest).expect("a blob"));
            }
            ControlFlow::Continue(())
        })
        .expect("a scan");
    commits
}

/// Plain ascending tables.
struct Plain {
    database: Database,
    next: u64,
}

impl Plain {
    fn new(folder: &Path, name: &str) -> Self {
        let path = folder.join(format!("{name}.redb"));
        let _absent = std::fs::remove_file(&path);
        Self::within(&path)
    }

    /// Opens tables of their own within a database, which is made where there is none.
    fn within(path: &Path) -> Self {
        let mut plain = Plain { database: Database::create(path).expect("a database"), next: 0 };
        plain.put(&[]);
        plain
    }

    /// Puts commits and returns how long that took, in microseconds.
    fn timed_put(&mut self, commits: &[Bytes]) -> f64 {
        let began = Clock::now();
        self.put(commits);
        began.elapsed().as_secs_f64() * 1e6
    }

    fn put(&mut self, commits: &[Bytes]) {
        let mut transaction = self.database.begin_write().expect("a transaction");
        transaction.set_durability(Durability::Immediate).expect("durable");
        transaction.set_quick_repair(true);
        {
            let mut events = transaction.open_table(EVENTS).expect("a table");
            let mut blobs = transaction.open_table(BLOBS).expect("a table");
            for commit in commits {
                for (slot, blob) in commit.blobs.iter().enumerate() {
                    blobs.insert((self.next, slot as u64), blob.as_slice()).expect("inserted");
                }
                for event in &commit.events {
                    events.insert(self.next, event.as_slice()).expect("inserted");
                    self.next += 1;
                }
            }
        }
        transaction.commit().expect("committed");
    }
}

/// Median times of a tenth of a long run's steps, in microseconds.
pub(crate) struct Tenth {
    pub engine_us: f64,
    /// Of the same commits in plain tables, each right after its step: what the disk took at that time.
    pub floor_us: f64,
}

/// Drives one run through so many inputs (notes, timers, outcomes, answers); returns the first and the last tenth.
pub(crate) fn long_run(folder: &Path, inputs: usize) -> [Tenth; 2] {
    let mut bench = open(folder, Instant { limits: true, ..Instant::default() });
    let (reply, answer) = channel();
    let message = Message::Open(Box::new(opening(&bundle(), 1, "trivial", "human")), reply);
    bench.engine.turn(vec![message]).expect("a turn");
    let stream = match answer.recv().expect("an answer") {
        loom_host::request::Answered::Recorded { stream, .. } => stream,
        loom_host::request::Answered::Not(error) => panic!("{error}"),
    };
    let mut plain = Plain::new(folder, "floor");
    let store = bench.engine.store().clone();
    let tenth = inputs / 10;
    let mut times = [const { (Vec::new(), Vec::new()) }; 2];
    let mut number: u64 = 0;
    for step in 0..inputs {
        let mut messages: Vec<Message> = bench.inbox.try_recv().into_iter().collect();
        let gate = bench.engine.run(stream).expect("the run goes on").state.gate.as_ref().map(|gate| gate.sequence);
        if let (true, Some(gate)) = (messages.is_empty(), gate) {
            number += 1;
            let ask = if number.is_multiple_of(4) {
                Ask::Answer { gate, answer: Answer::Revise, note: None, artifact: None, signed: None }
            } else {
                Ask::Steer { note: format!("note {number}: mind the edge cases") }
            };
            let request = Request { stream, id: number.to_be_bytes().to_vec(), actor: person(), ask };
            messages.push(Message::Request(request, channel().0));
        }
        let before = store.size();
        let began = Clock::now();
        bench.engine.turn(messages).expect("a turn");
        let took = began.elapsed().as_secs_f64() * 1e6;
        if step < tenth || step >= inputs - tenth {
            let (engine, floor) = &mut times[usize::from(step >= tenth)];
            engine.push(took);
            floor.push(plain.timed_put(&commits(store.as_ref(), before)));
        }
    }
    times.map(|(mut engine, mut floor)| Tenth { engine_us: median(&mut engine), floor_us: median(&mut floor) })
}

/// Drives 64 runs at once, then hands the same commits of 64 threads to one writer; returns commits a second of both.
pub(crate) fn many_runs(folder: &Path, runs: u64) -> (f64, f64) {
    let mut bench = open(folder, Instant::default());
    let bundle = bundle();
    let store = bench.engine.store().clone();
    let from = store.size();
    let mut messages: Vec<Message> = (0..runs * 8)
        .map(|number| Message::Open(Box::new(opening(&bundle, number, "standard", "on-blockers")), channel().0))
        .collect();
    let mut waiting = messages.split_off(runs as usize);
    let began = Clock::now();
    while !messages.is_empty() || bench.engine.is_busy() {
        bench.engine.turn(messages).expect("a turn");
        messages = bench.inbox.try_iter().take(256).collect();
        let free = (runs as usize).saturating_sub(bench.engine.runs().count());
        messages.extend(waiting.drain(..free.min(waiting.len())));
    }
    let took = began.elapsed().as_secs_f64();
    let commits = commits(store.as_ref(), from);
    let count = commits.len() as f64;
    (count / took, count / plain_writer(folder, commits, runs as usize))
}

/// Each thread hands over one commit and waits until it is durable, then the next; one writer takes what waits.
fn plain_writer(folder: &Path, commits: Vec<Bytes>, threads: usize) -> f64 {
    let mut plain = Plain::new(folder, "writer");
    let mut shares: Vec<Vec<Bytes>> = vec![Vec::new(); threads];
    for (index, commit) in commits.into_iter().enumerate() {
        shares[index % threads].push(commit);
    }
    let (to_writer, from_threads) = sync_channel::<(Bytes, Sender<()>)>(threads);
    let began = Clock::now();
    std::thread::scope(|scope| {
        for share in shares {
            let to_writer = to_writer.clone();
            scope.spawn(move || {
                for commit in share {
                    let (durable, wait) = channel();
                    to_writer.send((commit, durable)).expect("the writer listens");
                    wait.recv().expect("the writer answers");
                }
            });
        }
        drop(to_writer);
        while let Ok(first) = from_threads.recv() {
            let (group, answers): (Vec<Bytes>, Vec<Sender<()>>) =
                std::iter::once(first).chain(from_threads.try_iter()).unzip();
            plain.put(&group);
            for answer in answers {
                answer.send(()).expect("the thread waits");
            }
        }
    });
    began.elapsed().as_secs_f64()
}

/// Returns the wall time of verifying the store without blobs on two threads, and of hashing the same events one by
/// one in memory on one thread, in milliseconds; each the best of three.
pub(crate) fn verify(folder: &Path) -> (f64, f64) {
    let store = RedbStore::open_to_read(&folder.join(".loom")).expect("the store opens");
    let mut verified = f64::MAX;
    for _ in 0..3 {
        let began = Clock::now();
        let report = verify_store(&store, Options { threads: 2, blobs: false }).expect("verified");
        assert!(report.is_whole(), "{:?}", report.first_bad);
        verified = verified.min(began.elapsed().as_secs_f64() * 1e3);
    }
    let (mut bytes, mut ends) = (Vec::new(), Vec::new());
    store
        .scan(0, &mut |_, event| {
            bytes.extend_from_slice(event);
            ends.push(bytes.len());
            ControlFlow::Continue(())
        })
        .expect("a scan");
    let hasher = EventHasher::default();
    let mut hashed = f64::MAX;
    for _ in 0..3 {
        let began = Clock::now();
        let mut start = 0;
        for end in &ends {
            std::hint::black_box(hasher.id(&bytes[start..*end]));
            start = *end;
        }
        hashed = hashed.min(began.elapsed().as_secs_f64() * 1e3);
    }
    (verified, hashed)
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
