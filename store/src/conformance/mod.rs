//! What every backend must pass: one suite, run over each.
//!
//! Each check gets a fresh store that holds [`sample::origin`] and nothing else. The suite runs each check three
//! times: with an index that never catches up by itself, that catches up after every append, and after every third.

#![expect(clippy::unwrap_used, reason = "a check that fails panics")]

pub mod platter;
pub mod sample;

use crate::append::{Append, Appended};
use crate::error::AppendError;
use crate::lookup::{Resolution, RunState, Snapshot};
use crate::memory::MemoryStore;
use crate::redaction::redactions;
use crate::store::Store;
use crate::subscription::Subscription;
use loom_core::commit::{Blob, Head};
use loom_core::event::View;
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::kind::KINDS;
use loom_core::tree::{self, Frontier};
use sample::{Author, Dice, redaction};
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A store under test, and after how many appends its index catches up.
pub struct Subject {
    /// The store.
    pub store: Arc<dyn Store>,
    every: Option<u64>,
    appends: u64,
}

impl Subject {
    fn append(&mut self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        let answers = self.store.append(commits);
        self.appends += 1;
        if self.every.is_some_and(|every| self.appends.is_multiple_of(every)) {
            self.store.catch_up().expect("the index catches up");
        }
        answers
    }

    fn put(&mut self, commit: Append) -> Appended {
        self.append(vec![commit]).remove(0).expect("the commit follows its stream")
    }
}

type Check = fn(&mut Subject);

/// The checks by name.
pub const CHECKS: &[(&str, Check)] = &[
    ("every_look_up_answers_as_the_memory_backend_does", every_look_up_answers_as_the_memory_backend_does),
    ("a_moved_head_fails_alone", a_moved_head_fails_alone),
    ("a_scan_shows_every_event_once_in_commit_order", a_scan_shows_every_event_once_in_commit_order),
    ("blobs_come_back_and_are_kept_once", blobs_come_back_and_are_kept_once),
    (
        "what_a_redaction_names_is_erased_and_never_stored_again",
        what_a_redaction_names_is_erased_and_never_stored_again,
    ),
    ("runs_and_gates_tell_where_each_run_stands", runs_and_gates_tell_where_each_run_stands),
    ("the_ledger_finds_the_first_input_of_a_request", the_ledger_finds_the_first_input_of_a_request),
    ("the_tree_proves_every_event_and_every_growth", the_tree_proves_every_event_and_every_growth),
    ("a_time_leads_to_its_position", a_time_leads_to_its_position),
    ("a_snapshot_comes_back_or_is_gone", a_snapshot_comes_back_or_is_gone),
    ("a_subscription_yields_everything_once", a_subscription_yields_everything_once),
    (
        "writers_at_once_are_all_served_and_read_their_own_writes",
        writers_at_once_are_all_served_and_read_their_own_writes,
    ),
];

/// Runs every check over stores that `make` creates.
pub fn suite(make: &dyn Fn() -> Arc<dyn Store>) {
    for (name, check) in CHECKS {
        for every in [None, Some(1), Some(3)] {
            eprintln!("{name}, the index catches up after {every:?} appends");
            check(&mut Subject { store: make(), every, appends: 0 });
        }
    }
}

/// Compares every answer of two stores that were given the same commits.
pub fn assert_equal(left: &dyn Store, right: &dyn Store) {
    assert_eq!(left.size(), right.size());
    assert_eq!(left.tree_head().unwrap(), right.tree_head().unwrap());
    let events = left.events(0, usize::MAX).unwrap();
    assert_eq!(events, right.events(0, usize::MAX).unwrap());
    let mut streams = BTreeSet::new();
    for (number, stored) in events.iter().enumerate() {
        let view = View::read(&stored.event.bytes).unwrap();
        streams.insert(view.stream);
        // Enough of them; all of them takes minutes.
        if number % (1 + events.len() / 50) > 0 {
            continue;
        }
        let id = stored.event.id.to_string();
        for digits in [1, 5, 12, 13, 64] {
            let (left, right) = (left.resolve(&id[..digits]).unwrap(), right.resolve(&id[..digits]).unwrap());
            match (&left, &right) {
                // Which of many are shown may differ; that they are many may not.
                (Resolution::Many(left), Resolution::Many(right)) => assert_eq!(left.len(), right.len()),
                _ => assert_eq!(left, right),
            }
        }
        if let Some(mut request) = view.schema.field("request").and_then(|field| view.field(field.key)) {
            let request = request.bytes().unwrap_or_default();
            assert_eq!(left.request(view.stream, request).unwrap(), right.request(view.stream, request).unwrap());
        }
        assert_eq!(left.carried(stored.position).unwrap(), right.carried(stored.position).unwrap());
        for digest in left.carried(stored.position).unwrap() {
            assert_eq!(left.blob(&digest).unwrap(), right.blob(&digest).unwrap());
        }
    }
    for stream in streams {
        let head = left.head(stream).unwrap();
        assert_eq!(head, right.head(stream).unwrap());
        for from in [0, 1, head.next / 2, head.next.saturating_sub(1), head.next, head.next + 5] {
            for max in [0, 1, 3, usize::MAX] {
                assert_eq!(left.read(stream, from, max).unwrap(), right.read(stream, from, max).unwrap());
            }
        }
    }
    for kind in KINDS {
        for (from, max) in [(0, usize::MAX), (left.size() / 2, 4), (left.size(), 1)] {
            assert_eq!(left.by_kind(&[kind.code], from, max).unwrap(), right.by_kind(&[kind.code], from, max).unwrap());
        }
    }
    let all: Vec<u64> = KINDS.iter().map(|kind| kind.code).collect();
    assert_eq!(left.by_kind(&all, 3, 100).unwrap(), right.by_kind(&all, 3, 100).unwrap());
    for max in [0, 1, 5, usize::MAX] {
        assert_eq!(left.runs(max).unwrap(), right.runs(max).unwrap());
    }
    assert_eq!(left.gates().unwrap(), right.gates().unwrap());
    let (left, right) = (left.health().unwrap(), right.health().unwrap());
    assert_eq!(
        (left.events, left.commits, left.streams, left.encoded_bytes),
        (right.events, right.commits, right.streams, right.encoded_bytes)
    );
}

fn every_look_up_answers_as_the_memory_backend_does(subject: &mut Subject) {
    let oracle = MemoryStore::create(&sample::origin());
    let mut dice = Dice::new(7);
    let mut authors: Vec<Author> = (0..9).map(Author::new).collect();
    for _ in 0..150 {
        let author = dice.below(9) as usize;
        let commit = authors[author].anything(&mut dice);
        let expected = oracle.append(vec![commit.clone()]).remove(0).unwrap();
        assert_eq!(subject.put(commit), expected);
    }
    assert_equal(&*subject.store, &oracle);
    subject.store.catch_up().unwrap();
    assert_equal(&*subject.store, &oracle);
    for nonsense in ["", "g", "é", "0x", &"0".repeat(65)] {
        assert_eq!(subject.store.resolve(nonsense).unwrap(), Resolution::None);
    }
    assert_eq!(subject.store.head(StreamId([9; 16])).unwrap(), Head::default());
}

fn a_moved_head_fails_alone(subject: &mut Subject) {
    let (mut one, mut two) = (Author::new(1), Author::new(2));
    subject.put(one.open());
    let mut rival = one.clone();
    let (lost, won) = (one.spawn(Vec::new()), rival.steer(Blob::plain(b"first")));
    let follows = rival.spawn(Vec::new());
    let answers = subject.append(vec![won, lost.clone(), follows, two.open()]);
    let found = Head { next: 3, last: rival.events[2].id };
    match &answers[1] {
        Err(AppendError::HeadMoved { stream, expected, found: seen }) => {
            assert_eq!((*stream, *expected, *seen), (one.stream, lost.expected(), found));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(answers[0].as_ref().unwrap().position, 3);
    assert_eq!(answers[2].as_ref().unwrap(), &Appended { position: 4, head: rival.head });
    assert_eq!(answers[3].as_ref().unwrap().position, 8);
    assert_eq!(subject.store.size(), 10);
    assert_eq!(subject.store.head(one.stream).unwrap(), rival.head);
    assert!(subject.append(vec![lost]).remove(0).is_err());
    assert_eq!(subject.store.size(), 10);
}

fn a_scan_shows_every_event_once_in_commit_order(subject: &mut Subject) {
    let mut authors = [Author::new(1), Author::new(2)];
    for round in 0..40 {
        let author = &mut authors[round % 2];
        let commit = if author.head.next == 0 { author.open() } else { author.spawn(Vec::new()) };
        subject.put(commit);
    }
    let store = &subject.store;
    let events = store.events(0, usize::MAX).unwrap();
    for from in [0, 1, 2, 6, 7, 50, store.size() - 1, store.size(), store.size() + 9] {
        let mut shown = Vec::new();
        let next = store.scan(from, &mut |position, bytes| {
            shown.push((position, bytes.to_vec()));
            // What is shown may be asked about at once.
            assert!(store.size() > position);
            ControlFlow::Continue(())
        });
        let due: Vec<_> = events.iter().skip(from as usize).map(|e| (e.position, e.event.bytes.clone())).collect();
        assert_eq!(shown, due);
        assert_eq!(next.unwrap(), from.max(store.size()));
    }
    let next = store
        .scan(3, &mut |position, _| if position == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) });
    assert_eq!(next.unwrap(), 6);
}

fn blobs_come_back_and_are_kept_once(subject: &mut Subject) {
    let mut author = Author::new(1);
    subject.put(author.open());
    let mut dice = Dice::new(3);
    let sizes = [0, 1, 4000, 4063, 4064, 4065, 65_535, 65_536, 65_537, 300_000];
    let blobs: Vec<Blob> = sizes.iter().map(|size| Blob::plain(&dice.bytes(*size))).collect();
    let first = subject.put(author.spawn(blobs.clone()));
    let second = subject.put(author.spawn(blobs.clone()));
    let digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    assert_eq!(subject.store.carried(first.position).unwrap(), digests);
    assert_eq!(subject.store.carried(second.position).unwrap(), []);
    for blob in &blobs {
        assert_eq!(subject.store.blob(&blob.digest).unwrap().as_ref(), Some(&blob.bytes));
    }
    assert_eq!(subject.store.blob(&Digest([1; 32])).unwrap(), None);
}

fn what_a_redaction_names_is_erased_and_never_stored_again(subject: &mut Subject) {
    assert_eq!(subject.store.erase().unwrap(), [], "nothing is on record");
    let mut author = Author::new(1);
    subject.put(author.open());
    let mut dice = Dice::new(4);
    let mut blobs: Vec<Blob> = [3, 5_000, 70_000, 9].map(|size| Blob::plain(&dice.bytes(size))).to_vec();
    let first = subject.put(author.spawn(blobs.clone()));
    let stays = blobs.pop().unwrap();
    let commit = redaction(subject.store.as_ref(), b"erase", &blobs.iter().collect::<Vec<_>>());
    let redacted = subject.put(commit);
    assert_eq!(subject.store.blob(&blobs[0].digest).unwrap().as_ref(), Some(&blobs[0].bytes), "the event goes first");
    let mut digests: Vec<Digest> = blobs.iter().map(|blob| blob.digest).collect();
    digests.sort_unstable();
    assert_eq!(subject.store.erase().unwrap(), digests);
    assert_eq!(subject.store.erase().unwrap(), [], "once is enough");
    let again = subject.put(author.spawn(blobs.clone()));
    for blob in &blobs {
        assert_eq!(subject.store.blob(&blob.digest).unwrap(), None);
    }
    assert_eq!(subject.store.blob(&stays.digest).unwrap().as_ref(), Some(&stays.bytes));
    assert_eq!(subject.store.carried(first.position).unwrap(), [stays.digest]);
    assert_eq!(subject.store.carried(again.position).unwrap(), []);
    let recorded = redactions(subject.store.as_ref()).unwrap();
    assert_eq!(recorded.keys().copied().collect::<Vec<_>>(), digests);
    let found = &recorded[&blobs[1].digest];
    assert_eq!((found.sequence, found.position, found.length), (1, redacted.position, 5_001));
    assert_eq!(found.by, "uid:1000");
    let why = subject.store.blob(&found.why).unwrap().unwrap();
    assert_eq!(Blob::content(&why), Some(&b"it was a secret"[..]));
}

fn runs_and_gates_tell_where_each_run_stands(subject: &mut Subject) {
    let mut authors: Vec<Author> = (0..4).map(Author::new).collect();
    for author in &mut authors {
        subject.put(author.open());
    }
    subject.put(authors[1].ask());
    subject.put(authors[2].ask());
    subject.put(authors[3].ask());
    subject.put(authors[0].spawn(Vec::new()));
    subject.put(authors[2].decide());
    subject.put(authors[3].close());
    let runs = subject.store.runs(10).unwrap();
    let states: Vec<_> = runs.iter().map(|run| run.state).collect();
    let closed = RunState::Closed(loom_core::word::Verdict::Rejected);
    assert_eq!(states, [closed, RunState::Open, RunState::Waiting, RunState::Open]);
    let streams: Vec<_> = runs.iter().rev().map(|run| run.stream).collect();
    assert_eq!(streams, authors.iter().map(|author| author.stream).collect::<Vec<_>>());
    assert_eq!(runs[3].events, authors[0].head.next);
    assert!(runs[3].last > runs[3].opened);
    let gates = subject.store.gates().unwrap();
    assert_eq!(gates.len(), 1);
    assert_eq!((gates[0].stream, Some(gates[0].sequence)), (authors[1].stream, authors[1].gate));
    let event = subject.store.events(gates[0].position, 1).unwrap().remove(0);
    assert_eq!(View::read(&event.event.bytes).unwrap().schema.name, "gate.opened");
}

fn the_ledger_finds_the_first_input_of_a_request(subject: &mut Subject) {
    let (mut one, mut two) = (Author::new(1), Author::new(2));
    subject.put(one.open());
    let appended = subject.put(one.steer(Blob::plain(b"faster")));
    subject.put(two.open());
    let answered = subject.store.request(one.stream, b"request 1").unwrap().unwrap();
    assert_eq!((answered.position, answered.sequence, answered.id), (appended.position, 2, one.last()));
    assert_eq!(subject.store.request(two.stream, b"request 1").unwrap(), None);
    assert_eq!(subject.store.request(one.stream, b"request").unwrap(), None);
}

fn the_tree_proves_every_event_and_every_growth(subject: &mut Subject) {
    let mut author = Author::new(1);
    subject.put(author.open());
    let mut frontier = Frontier::default();
    let mut roots = vec![frontier.root()];
    for _ in 0..17 {
        let commits = (0..10).map(|_| author.spawn(Vec::new())).collect();
        assert!(subject.append(commits).iter().all(Result::is_ok));
    }
    let store = &*subject.store;
    let hasher = EventHasher::default();
    let mut leaves = Vec::new();
    store
        .scan(0, &mut |_, bytes| {
            leaves.push(tree::leaf(&hasher.id(bytes)));
            frontier.push_subtree(0, leaves[leaves.len() - 1]);
            roots.push(frontier.root());
            ControlFlow::Continue(())
        })
        .unwrap();
    let (size, root) = store.tree_head().unwrap();
    assert_eq!((size, root), (frontier.size(), frontier.root()));
    for position in (0..size).step_by(37).chain([255, 256, 257, 511, 512, size - 1]) {
        assert_eq!(store.tree_root(position + 1).unwrap(), roots[position as usize + 1]);
        let proof = store.inclusion(position, size).unwrap().unwrap();
        assert!(tree::verify_inclusion(&leaves[position as usize], position, size, &proof, &root));
        let proof = store.consistency(position + 1, size).unwrap().unwrap();
        assert!(tree::verify_consistency(position + 1, size, &proof, &roots[position as usize + 1], &root));
    }
    assert_eq!(store.inclusion(0, size + 1).unwrap(), None);
    assert_eq!(store.consistency(1, size + 1).unwrap(), None);
}

fn a_time_leads_to_its_position(subject: &mut Subject) {
    let mut authors = [Author::new(1), Author::new(2), Author::new(3)];
    for round in 0..30u64 {
        let author = &mut authors[round as usize % 3];
        author.at(2_000 + round * 10);
        let commit = if author.head.next == 0 { author.open() } else { author.spawn(Vec::new()) };
        subject.put(commit);
    }
    let events = subject.store.events(0, usize::MAX).unwrap();
    for ms in (1_990..2_310).chain([0, 1, u64::MAX]) {
        let due = events.iter().find(|event| View::read(&event.event.bytes).unwrap().stamp.ms >= ms);
        assert_eq!(subject.store.at_time(ms).unwrap(), due.map_or(subject.store.size(), |event| event.position));
    }
}

fn a_snapshot_comes_back_or_is_gone(subject: &mut Subject) {
    let mut author = Author::new(1);
    subject.put(author.open());
    assert_eq!(subject.store.snapshot(author.stream).unwrap(), None);
    for version in 1..4 {
        let snapshot =
            Snapshot { version, next: author.head.next, last: author.head.last, bytes: vec![version as u8; 5000] };
        subject.store.put_snapshot(author.stream, snapshot.clone());
        assert_eq!(subject.store.snapshot(author.stream).unwrap().as_ref(), Some(&snapshot));
        subject.put(author.spawn(Vec::new()));
        let kept = subject.store.snapshot(author.stream).unwrap();
        assert!(kept.is_none_or(|kept| kept == snapshot));
    }
}

fn a_subscription_yields_everything_once(subject: &mut Subject) {
    let patience = Duration::from_secs(20);
    let mut author = Author::new(1);
    subject.put(author.open());
    let mut early = Subscription::new(subject.store.clone(), 0);
    let mut late = Subscription::new(subject.store.clone(), 2);
    let total = 3 + 4 * 50;
    let seen = thread::scope(|scope| {
        let reader = scope.spawn(move || {
            let mut seen = Vec::new();
            while seen.len() < total {
                let events = early.next(7, patience).expect("the store can be read");
                assert!(!events.is_empty(), "the writer stopped");
                seen.extend(events);
            }
            seen
        });
        for _ in 0..50 {
            subject.put(author.spawn(Vec::new()));
        }
        reader.join().expect("the reader saw everything")
    });
    assert_eq!(seen, subject.store.events(0, usize::MAX).unwrap());
    let mut rest = Vec::new();
    while rest.len() < total - 2 {
        rest.extend(late.next(usize::MAX, patience).unwrap());
    }
    assert_eq!(rest, seen[2..]);
    assert_eq!(late.next(1, Duration::ZERO).unwrap(), []);
}

fn writers_at_once_are_all_served_and_read_their_own_writes(subject: &mut Subject) {
    let store = &subject.store;
    thread::scope(|scope| {
        for run in 0..8 {
            scope.spawn(move || {
                let mut author = Author::new(run);
                for round in 0..12 {
                    let commit = if round == 0 { author.open() } else { author.spawn(Vec::new()) };
                    let appended = store.append(vec![commit]).remove(0).expect("nobody else writes this stream");
                    assert_eq!(store.head(author.stream).unwrap(), author.head);
                    let read = store.read(author.stream, 0, usize::MAX).unwrap();
                    assert!(read.iter().map(|stored| &stored.event).eq(&author.events));
                    let id = author.last().to_string();
                    assert!(matches!(store.resolve(&id).unwrap(), Resolution::One { .. }));
                    assert!(store.size() > appended.position);
                }
            });
        }
    });
    assert_eq!(store.size(), 1 + 8 * (2 + 11 * 4));
    let (size, root) = store.tree_head().unwrap();
    assert_eq!(store.tree_root(size).unwrap(), root);
}
