//! `verify`: a whole store is whole with any number of threads; one that lies is found out.

use crate::made::{ORIGIN, Until, made_run, origin};
use loom_core::commit::{Blob, Head};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Assurance, Digest, EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::origin::End;
use loom_core::redaction::redact;
use loom_core::tree::NodeHash;
use loom_replay::{Bad, Options, Redriven, Report, StoredRun, dependents, redrive, verify, verify_run};
use loom_store::*;
use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

fn store() -> MemoryStore {
    let store = MemoryStore::create(&origin());
    made_run(&store, 1, Until::End);
    made_run(&store, 2, Until::Gate);
    made_run(&store, 3, Until::Spawned);
    store
}

fn look(store: &dyn Store) -> Report {
    let reports = [0, 1, 2, 5, usize::MAX].map(|threads| verify(store, Options { threads, blobs: true }).unwrap());
    assert_eq!(reports[0], reports[1]);
    assert_eq!(reports[0], reports[2]);
    reports[0].clone()
}

#[test]
fn a_whole_store_is_whole() {
    let store = store();
    let report = look(&store);
    assert!(report.is_whole(), "{:?}", report.first_bad);
    assert_eq!((report.events, report.streams), (store.size(), 4));
    assert_eq!(report.root, Some(store.tree_head().unwrap().1));
    for run in store.runs(9).unwrap() {
        assert!(verify_run(&StoredRun::new(&store, run.stream), true).unwrap().is_whole());
    }
}

#[test]
fn many_chunks_are_joined_in_order() {
    let store = MemoryStore::create(&origin());
    for number in 0..1_200 {
        made_run(&store, number, Until::End);
    }
    assert!(store.size() > 3 * 16_384, "{} events are too few for several chunks", store.size());
    let report = look(&store);
    assert!(report.is_whole(), "{:?}", report.first_bad);
    assert_eq!(report.events, store.size());
}

/// A store that shows the events of another one changed.
struct Liar {
    truth: MemoryStore,
    events: Vec<Vec<u8>>,
    /// A blob that it says it does not have.
    without: Option<Digest>,
}

impl Store for Liar {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.truth.append(commits)
    }
    fn size(&self) -> u64 {
        self.events.len() as u64
    }
    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.truth.head(stream)
    }
    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.truth.read(stream, sequence, max)
    }
    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.truth.events(position, max)
    }
    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        for (position, bytes) in self.events.iter().enumerate().skip(from as usize) {
            if visit(position as u64, bytes).is_break() {
                return Ok(position as u64 + 1);
            }
        }
        Ok(self.events.len() as u64)
    }
    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.truth.at_time(ms)
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        if self.without == Some(*digest) { Ok(None) } else { self.truth.blob(digest) }
    }
    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.truth.carried(position)
    }
    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.truth.snapshot(stream)
    }
    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.truth.put_snapshot(stream, snapshot);
    }
    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.truth.resolve(prefix)
    }
    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.truth.by_kind(kinds, from, max)
    }
    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        self.truth.request(stream, request)
    }
    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.truth.runs(max)
    }
    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.truth.gates()
    }
    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.truth.tree_node(height, index)
    }
    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        self.truth.tree_head()
    }
    fn health(&self) -> Result<Health, StoreError> {
        self.truth.health()
    }
    fn catch_up(&self) -> Result<(), StoreError> {
        self.truth.catch_up()
    }
    fn tip(&self) -> Arc<Tip> {
        self.truth.tip()
    }
}

fn liar() -> Liar {
    let truth = store();
    let events = truth.events(0, usize::MAX).unwrap().into_iter().map(|stored| stored.event.bytes).collect();
    Liar { truth, events, without: None }
}

/// Changes the event at `position`, names and links everything anew, and says what is found.
fn check(position: u64, change: impl Fn(&mut Envelope), wanted: &str) {
    let mut liar = liar();
    let hasher = EventHasher::default();
    let mut last: BTreeMap<StreamId, Digest> = BTreeMap::new();
    for (index, bytes) in liar.events.iter_mut().enumerate() {
        let mut envelope = Envelope::decode(bytes).unwrap();
        envelope.previous = last.get(&envelope.stream).copied().unwrap_or_default();
        if index as u64 == position {
            change(&mut envelope);
        }
        *bytes = envelope.encode();
        last.insert(envelope.stream, hasher.id(bytes));
    }
    let bad = look(&liar).first_bad.expect("a changed event is found");
    assert_eq!(bad.what, wanted, "{bad}");
    assert!(bad.position.is_some_and(|found| found >= position), "{bad}");
}

/// Opens a store as `loom verify` does: around the damage where its end is damaged.
fn open(dir: &Path) -> RedbStore {
    RedbStore::open_to_read(dir).unwrap_or_else(|_| RedbStore::open_damaged(dir).unwrap())
}

#[test]
fn every_flipped_bit_is_found_in_the_event_that_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::create(folder.path(), &origin()).unwrap();
    made_run(&store, 1, Until::End);
    made_run(&store, 2, Until::Spawned);
    store.catch_up().unwrap();
    let events: Vec<Vec<u8>> =
        store.events(0, usize::MAX).unwrap().into_iter().map(|found| found.event.bytes).collect();
    drop(store);
    let file = folder.path().join("store.redb");
    let whole = fs::read(&file).unwrap();
    for (position, event) in events.iter().enumerate() {
        let places: Vec<usize> =
            whole.windows(event.len()).enumerate().filter(|(_, part)| part == event).map(|(at, _)| at).collect();
        assert!(!places.is_empty(), "event {position} lies in the file as it is");
        for byte in (position % 7..event.len()).step_by(31) {
            let mut flipped = whole.clone();
            places.iter().for_each(|at| flipped[at + byte] ^= 1 << (byte % 8));
            fs::write(&file, flipped).unwrap();
            let store = open(folder.path());
            for threads in [1, 3] {
                let report = verify(&store, Options { threads, blobs: false }).unwrap();
                let bad = report.first_bad.expect("a flipped bit is found");
                assert_eq!(bad.position, Some(position as u64), "byte {byte} of event {position}: {bad}");
                assert!(report.events <= position as u64, "the altered event does not count as whole");
            }
        }
    }
}

#[test]
fn a_commit_keeps_its_shape() {
    check(1, |event| event.count = Some(9), "a commit has fewer events than its input states (COMMIT-1)");
    check(1, |event| event.count = Some(1), "a commit does not begin with its input (COMMIT-1)");
    check(2, |event| event.stamp.counter = 7, "the events of a commit do not share its stamp (STAMP-1)");
    check(
        5,
        |event| event.stamp = loom_core::id::Stamp::default(),
        "a stamp is not after the one before it in its stream (STAMP-1)",
    );
    check(2, |event| event.sequence = 9, "an event does not follow the one before it (CHAIN-1)");
    check(
        3,
        |event| event.previous = Digest::default(),
        "the previous id is not that of the event before it (CHAIN-1)",
    );
    check(2, |event| event.actor = Actor::Host, "the actor may not have caused an event of this kind (COMMIT-1)");
    check(
        1,
        |event| {
            if let Event::RunOpened(opened) = &mut event.body {
                opened.request = b"another".to_vec();
            }
        },
        "the stream's name does not derive from its opening request (ID-4)",
    );
}

#[test]
fn a_log_cut_short_is_found() {
    let mut liar = liar();
    liar.events.pop();
    let bad = look(&liar).first_bad.unwrap();
    assert_eq!(bad.what, "the log ends inside a commit (COMMIT-1)");
}

#[test]
fn events_of_another_store_are_found() {
    let mut liar = liar();
    let foreign = loom_core::origin::create([9; 16], "0.1.0", loom_core::id::Stamp { ms: 1, counter: 0 });
    liar.events[0] = foreign.events()[0].bytes.clone();
    let bad = look(&liar).first_bad.unwrap();
    assert_eq!(bad.what, "the stream's name does not derive from its opening request (ID-4)");
    assert_ne!(ORIGIN, [9; 16]);
}

#[test]
fn a_tree_that_belongs_to_other_events_is_found() {
    let mut liar = liar();
    let other = MemoryStore::create(&origin());
    made_run(&other, 7, Until::End);
    made_run(&other, 8, Until::End);
    liar.truth = other;
    let bad = look(&liar).first_bad.unwrap();
    assert!(
        bad.what.starts_with("the tree's ") && bad.what.ends_with("does not belong to its events (TREE-1)"),
        "{bad}"
    );
}

#[test]
fn a_missing_blob_is_found() {
    let store = NoBlobs(store());
    let run = store.0.runs(9).unwrap()[2].stream;
    let bad = verify_run(&store.of(run), true).unwrap().first_bad.unwrap();
    assert!(bad.what.ends_with("is missing") && bad.sequence == Some(0), "{bad}");
}

/// Puts a redaction of a blob on record.
fn redacted(store: &MemoryStore, digest: Digest) {
    let head = store.head(StreamId::STORE).unwrap();
    let last = store.read(StreamId::STORE, head.next - 1, 1).unwrap().remove(0);
    let stamp = Envelope::decode(&last.event.bytes).unwrap().stamp;
    let actor = Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: None };
    let why = Blob::salted([5; 16], b"a secret");
    let length = store.blob(&digest).unwrap().unwrap().len() as u64;
    let blobs = BTreeMap::from([(digest, length)]);
    let commit = redact(End { head, stamp }, b"erase", actor, stamp.ms + 1, &blobs, why).unwrap();
    store.append(vec![Append::from(&commit)]).remove(0).unwrap();
}

#[test]
fn a_blob_that_is_gone_is_redacted_where_that_is_on_record_and_missing_where_it_is_not() {
    let store = store();
    let stream = store.runs(9).unwrap()[2].stream;
    let events = store.read(stream, 0, usize::MAX).unwrap();
    let bodies = events.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap().body);
    let answers: Vec<Digest> = bodies
        .filter_map(|body| match body {
            Event::SpawnFinished(body) => body.answer,
            _ => None,
        })
        .collect();
    let (answer, other) = (answers[0], answers[1]);
    redacted(&store, answer);
    let report = look(&store);
    assert!(report.is_whole() && (report.redacted, report.unerased) == (0, 1), "its bytes are still there");
    assert_eq!(store.erase().unwrap(), [answer]);
    let all = report.blobs + 1;
    let report = look(&store);
    assert!(report.is_whole(), "{:?}", report.first_bad);
    assert_eq!((report.redacted, report.unerased, report.blobs), (1, 0, all - 1));
    let run = StoredRun::new(&store, stream);
    let of_run = verify_run(&run, true).unwrap();
    assert!(of_run.is_whole() && of_run.redacted == 1);
    let missing = match redrive(&run).unwrap() {
        Redriven::Unknowable { missing, .. } => missing,
        other => panic!("{other:?}"),
    };
    assert_eq!(missing, format!("blob {answer} (erased by store#1)"));

    let mut file = Vec::new();
    let written = loom_replay::trace::write(&run, ORIGIN, false, &mut file).unwrap();
    assert_eq!((written.absent, written.redacted), (1, 1));
    let trace = loom_replay::trace::read(&mut file.as_slice()).unwrap();
    assert_eq!(trace.absent.into_iter().collect::<Vec<_>>(), [answer]);

    let events = store.events(0, usize::MAX).unwrap().into_iter().map(|stored| stored.event.bytes).collect();
    let liar = Liar { truth: store, events, without: Some(other) };
    let bad = look(&liar).first_bad.unwrap();
    assert_eq!(bad.what, format!("blob {other} is missing"));
    let bad = verify_run(&StoredRun::new(&liar, stream), true).unwrap().first_bad.unwrap();
    assert_eq!(bad.what, format!("blob {other} is missing"));
}

struct NoBlobs(MemoryStore);

impl NoBlobs {
    fn of(&self, stream: StreamId) -> NoBlobsRun<'_> {
        NoBlobsRun(StoredRun::new(&self.0, stream))
    }
}

struct NoBlobsRun<'s>(StoredRun<'s>);

impl loom_replay::Records for NoBlobsRun<'_> {
    fn stream(&self) -> StreamId {
        self.0.stream()
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, loom_replay::ReplayError> {
        self.0.read(sequence, max)
    }
    fn blob(&self, _: &Digest) -> Result<Option<Vec<u8>>, loom_replay::ReplayError> {
        Ok(None)
    }
}

#[test]
fn what_depends_on_a_bad_record_is_what_follows_it_and_what_names_it() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    made_run(&store, 2, Until::Gate);
    let all = store.events(0, usize::MAX).unwrap();
    let all: Vec<Envelope> = all.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap()).collect();
    let is_gate = |event: &Envelope| event.stream == stream && matches!(event.body, Event::GateOpened(_));
    let position = all.iter().position(is_gate).unwrap() as u64;
    let gate = all.iter().find(|event| is_gate(event)).unwrap().sequence;
    let bad = Bad { position: Some(position), stream: Some(stream), sequence: Some(gate), ..Bad::default() };
    let found = dependents(&store, &bad).unwrap().unwrap();
    let chained = all.iter().filter(|event| event.stream == stream && event.sequence > gate);
    assert_eq!((found.later, found.chained), (store.size() - position - 1, chained.clone().count() as u64));
    assert!(found.is_complete);
    // The answer names the gate; what follows from the answer rests on it.
    let answer = chained.clone().find(|event| matches!(event.body, Event::GateAnswered(_))).unwrap().sequence;
    let follows: Vec<u64> = chained.filter(|event| event.input == answer).map(|event| event.sequence).collect();
    assert!(follows.len() > 1 && follows.iter().all(|sequence| found.resting.contains(sequence)), "{found:?}");
    // What the answer is to was opened by an input before it: nothing before the answer rests on the gate.
    assert_eq!(found.resting.first(), Some(&answer));
    assert_eq!(dependents(&store, &Bad::default()).unwrap(), None);
}
