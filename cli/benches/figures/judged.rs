//! Judging a large store by new rules: wall time, memory, and what each part takes of the processor.

use crate::instant::{Instant, bundle, opening, person};
use crate::prefill::open;
use loom_core::event::{Sight, View};
use loom_core::id::StreamId;
use loom_core::rules::{Facts, RuleSet, Rules};
use loom_core::word::Answer;
use loom_host::order::Message;
use loom_host::request::{Ask, Request};
use loom_replay::corpus::Filter;
use loom_replay::judge::{Judgement, Options, judge_store};
use loom_store::{RedbStore, Store};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant as Clock;

/// Runs that go on at once.
const AT_ONCE: usize = 64;
/// Events from which on a run's gate is accepted.
const LONG: u64 = 470;

/// Fills a store with runs of about 500 events, 64 at once.
pub(crate) fn fill(folder: &Path, events: u64) {
    fill_with(folder, events, AT_ONCE, LONG);
}

/// Fills a store with one run of a little over so many events, which waits for a person.
pub(crate) fn fill_one(folder: &Path, events: u64) {
    fill_with(folder, events + 1, 1, u64::MAX);
}

/// Fills a store: people send each run back to work until it is so long.
fn fill_with(folder: &Path, events: u64, at_once: usize, long: u64) {
    let mut bench = open(folder, Instant { is_terse: true, ..Instant::default() });
    let bundle = bundle();
    let (mut number, mut answers) = (0u64, 0u64);
    while bench.engine.store().size() < events || bench.engine.is_busy() {
        let mut messages: Vec<Message> = bench.inbox.try_iter().take(256).collect();
        let waiting: Vec<(StreamId, u64, u64)> = bench
            .engine
            .runs()
            .filter_map(|(_, run)| Some((run.state.stream, run.state.gate.as_ref()?.sequence, run.state.next)))
            .collect();
        for (stream, gate, next) in waiting {
            answers += 1;
            let answer = if next < long { Answer::Revise } else { Answer::Accept };
            let ask = Ask::Answer { gate, answer, note: None, artifact: None, signed: None };
            let id = [&[1][..], &answers.to_be_bytes()].concat();
            messages.push(Message::Request(Request { stream, id, actor: person(), ask }, channel().0));
        }
        let opening_now = messages.iter().filter(|message| matches!(message, Message::Open(..))).count();
        let under_way = bench.engine.runs().count() + opening_now;
        if bench.engine.store().size() < events {
            for _ in under_way..at_once {
                number += 1;
                let opening = opening(&bundle, number, "standard", "human");
                messages.push(Message::Open(Box::new(opening), channel().0));
            }
        }
        bench.engine.turn(messages).expect("a turn");
    }
    bench.engine.store().catch_up().expect("the index catches up");
}

/// What judging took.
pub(crate) struct Figures {
    pub judgement: Judgement,
    pub evaluations_per_event: f64,
    /// Wall time on two threads, the best of three; without verifying, and with all that `verify` looks at but blobs.
    pub judge_ms: f64,
    pub verified_ms: f64,
    /// The same by ten times as many rules.
    pub many_rules_ms: f64,
    /// Wall time on two threads with an emptied page cache, and of reading the file in order likewise, the best of three.
    pub cold_ms: f64,
    pub read_ms: f64,
    /// Processor time an event on one thread: read; read and index; and fold; and evaluate.
    pub parts_ns: [f64; 4],
    /// Processor time of BLAKE3 of every event, in memory, one by one.
    pub hash_ms: f64,
    /// Peak of anonymous memory while judging, in megabytes.
    pub anonymous_mb: f64,
}

/// Judges the store in `folder`.
pub(crate) fn figures(folder: &Path) -> Figures {
    let store = RedbStore::open_to_read(&folder.join(".loom")).expect("the store opens");
    let rules = rules(1);
    let timed = |rules: &Rules, verify: bool| {
        let options = Options { threads: 2, verify, filter: Filter::default() };
        let mut best = f64::MAX;
        let mut judgement = Judgement::default();
        for _ in 0..3 {
            let began = Clock::now();
            judgement = judge_store(folder, &store, rules, &options).expect("judged");
            best = best.min(began.elapsed().as_secs_f64() * 1e3);
        }
        assert!(judgement.left_out.is_empty(), "{:?}", judgement.left_out);
        (best, judgement)
    };
    let (judge_ms, judgement) = timed(&rules, false);
    let (verified_ms, _) = timed(&rules, true);
    let anonymous_mb = anonymous();
    let (many_rules_ms, _) = timed(&self::rules(10), false);
    let (cold_ms, read_ms) = cold(folder, &rules);
    let events = judgement.totals().events.max(1) as f64;
    let evaluations: u64 = (0..judgement.rules.len()).map(|rule| judgement.rule_totals(rule).judged).sum();
    let parts_ns = [0, 1, 2, 3].map(|depth| part(&store, &rules, depth));
    let hash_ms = hashed(&store);
    Figures {
        judgement,
        evaluations_per_event: evaluations as f64 / events,
        judge_ms,
        verified_ms,
        many_rules_ms,
        cold_ms,
        read_ms,
        parts_ns,
        hash_ms,
        anonymous_mb,
    }
}

/// Returns the wall time of judging a store whose file is not in memory, and of reading that file, the best of three each.
fn cold(folder: &Path, rules: &Rules) -> (f64, f64) {
    let (mut judge_ms, mut read_ms) = (f64::MAX, f64::MAX);
    for _ in 0..3 {
        let mut file = forgotten(folder);
        let mut buffer = vec![0; 1 << 20];
        let began = Clock::now();
        while file.read(&mut buffer).expect("read") > 0 {}
        read_ms = read_ms.min(began.elapsed().as_secs_f64() * 1e3);
        forgotten(folder);
        let began = Clock::now();
        let store = RedbStore::open_to_read(&folder.join(".loom")).expect("the store opens");
        let options = Options { threads: 2, verify: false, filter: Filter::default() };
        judge_store(folder, &store, rules, &options).expect("judged");
        judge_ms = judge_ms.min(began.elapsed().as_secs_f64() * 1e3);
    }
    (judge_ms, read_ms)
}

/// Opens the file of a store of which the system keeps nothing in memory.
fn forgotten(folder: &Path) -> File {
    let file = File::open(folder.join(".loom/store.redb")).expect("the store's file");
    file.sync_all().expect("synced");
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).expect("told");
    file
}

/// Returns the rules, so many times over under other names.
fn rules(times: usize) -> Rules {
    let text = include_str!("bench.rules");
    let set = |time: usize| {
        let text = text.replacen("set bench ", &format!("set bench-{time} "), 1);
        Arc::new(RuleSet::load(&text).expect("the rules load"))
    };
    Rules::new((0..times).map(set).collect()).expect("their names differ")
}

/// Returns the processor time an event on this thread of going through the log so deep, in nanoseconds.
fn part(store: &dyn Store, rules: &Rules, depth: u8) -> f64 {
    let mut places: BTreeMap<StreamId, usize> = BTreeMap::new();
    let mut runs: Vec<Facts> = Vec::new();
    let mut at = (StreamId::STORE, usize::MAX);
    let (mut events, mut found) = (0u64, 0usize);
    let began = spent_ns();
    store
        .scan(0, &mut |_, bytes| {
            events += 1;
            found += bytes.len();
            if depth > 0
                && let Sight::View(view) = View::read_if(bytes, |kind| rules.names(kind)).expect("an event")
            {
                found += view.body.len();
                if depth > 1 {
                    // Events of a commit follow each other.
                    if at.0 != view.stream {
                        let place = *places.entry(view.stream).or_insert(runs.len());
                        if place == runs.len() {
                            runs.push(rules.facts());
                        }
                        at = (view.stream, place);
                    }
                    let facts = &mut runs[at.1];
                    if depth > 2 {
                        found += rules.judge(facts, &view).len();
                    }
                    rules.fold(facts, &view);
                }
            }
            ControlFlow::Continue(())
        })
        .expect("a scan");
    std::hint::black_box(found);
    (spent_ns() - began) / events.max(1) as f64
}

/// Returns the processor time of this thread so far, in nanoseconds.
pub(crate) fn spent_ns() -> f64 {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    text.split_whitespace().next().and_then(|spent| spent.parse().ok()).expect("a figure")
}

fn hashed(store: &dyn Store) -> f64 {
    let hasher = loom_core::id::EventHasher::default();
    let (mut batch, mut ends, mut took) = (Vec::new(), Vec::new(), 0.0);
    let mut hash = |batch: &mut Vec<u8>, ends: &mut Vec<usize>| {
        let began = spent_ns();
        let mut start = 0;
        for end in ends.iter() {
            std::hint::black_box(hasher.id(&batch[start..*end]));
            start = *end;
        }
        took += (spent_ns() - began) / 1e6;
        batch.clear();
        ends.clear();
    };
    store
        .scan(0, &mut |_, bytes| {
            batch.extend_from_slice(bytes);
            ends.push(batch.len());
            if ends.len() == 65_536 {
                hash(&mut batch, &mut ends);
            }
            ControlFlow::Continue(())
        })
        .expect("a scan");
    hash(&mut batch, &mut ends);
    took
}

/// Returns this process' anonymous memory now, which is what its allocator holds at its peak.
fn anonymous() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).expect("a figure");
    line.trim().trim_end_matches("kB").trim().parse::<f64>().expect("a number") / 1_000.0
}

/// Returns the wall time of judging the one run in `folder` and writing the report as HTML, the best of five, in
/// milliseconds; the events of the run; and the bytes of the report.
pub(crate) fn report(folder: &Path) -> (f64, u64, u64) {
    let (rules, file) = (folder.join("bench.rules"), folder.join("report.html"));
    std::fs::write(&rules, include_str!("bench.rules")).expect("written");
    let mut best = f64::MAX;
    for _ in 0..5 {
        let began = Clock::now();
        let done = Command::new(env!("CARGO_BIN_EXE_loom-replay"))
            .args(["judge", "--fail-on", "never", "--format", "html", "--force", "--output"])
            .args([&file, Path::new("--rules"), &rules, &folder.join(".loom")])
            .output()
            .expect("loom-replay starts");
        best = best.min(began.elapsed().as_secs_f64() * 1e3);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let events = RedbStore::open_to_read(&folder.join(".loom")).expect("the store opens").size() - 1;
    (best, events, std::fs::metadata(&file).expect("the report").len())
}
