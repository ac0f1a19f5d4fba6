//! Judging is what a naive fold of each run gives, for every number of threads and every way to cut the log.

use super::run::Bench;
use super::sources::begin;
use super::*;
use crate::corpus::{Corpus, Kind, Opened};
use loom_core::cbor::Encoder;
use loom_core::event::{Envelope, View};
use loom_core::id::{Actor, EventId, StreamId};
use loom_core::kind::{CheckRequested, Event, Refused, StageEntered, TimerFired, Violation};
use loom_core::rules::{Outcome, RuleSet, Rules, Severity};
use loom_core::schema::Class;
use loom_store::conformance::sample::{Author, Dice, origin};
use loom_store::{MemoryStore, Store};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

const FRESH: &str = r#"loom rules 1
set fresh "What was thought of later."

fact spawns counter
  add spawn.requested

fact tokens sum
  add budget.settled: event.tokens

fact stages set of string
  add stage.entered: event.stage

fact huge sum
  add budget.settled: event.tokens * 2000000000000000
  reset gate.decided

rule few-spawns on spawn.requested
  require facts.spawns < 6
  message "too many spawns"

rule spend on budget.settled, run.steered
  require facts.tokens < 12000
  message "too many tokens"

rule divides on stage.entered
  require 10 / (facts.spawns - 3) != 7
  message "an error at three spawns"
  severity warn

rule known on run.steered, check.requested
  require facts.huge >= 0
  message "nothing overflows"

rule stages on gate.decided, check.requested
  require !("implement" in facts.stages) || event.sequence < 40
  message "late"
"#;

fn rules() -> Rules {
    Rules::new(vec![Arc::new(RuleSet::load(FRESH).unwrap())]).unwrap()
}

/// A commit in which rules refused two decisions, and one in which a recorded rule was broken.
fn ruled(author: &mut Author, dice: &mut Dice) -> loom_store::Append {
    let names = ["fresh/few-spawns", "fresh/stages", "floor/other", "gone/rule"];
    let rule = names[dice.below(4) as usize].to_string();
    let first = author.head.next;
    if dice.below(2) == 0 {
        let violation = Violation { rule, message: "m".to_string(), kind: "timer.fired".to_string(), event: first };
        return author.commit(TimerFired { subject: 0 }.into(), vec![violation.into()], Vec::new());
    }
    let stage = StageEntered { stage: "implement".to_string(), phase: "build".to_string(), round: 1 };
    let check = CheckRequested {
        check: "test".to_string(),
        stage: "implement".to_string(),
        tree: vec![1; 20],
        reserve_time_ms: 1,
    };
    let proposed = [Event::from(stage), Event::from(check)];
    let mut proposal = Encoder::default();
    proposal.array(2);
    for (offset, body) in proposed.into_iter().enumerate() {
        let envelope = Envelope {
            stream: author.stream,
            sequence: first + 1 + offset as u64,
            previous: EventId::default(),
            stamp: loom_core::id::Stamp { ms: 5, counter: 0 },
            actor: Actor::Kernel,
            input: first,
            count: None,
            body,
        };
        proposal.bytes(&envelope.encode());
    }
    let refused = Refused {
        rules: vec![rule].into(),
        messages: vec!["m".to_string()].into(),
        facts: Vec::new().into(),
        kind: "check.requested".to_string(),
        proposal: if dice.below(5) == 0 { Vec::new() } else { proposal.finish() },
    };
    author.commit(TimerFired { subject: 0 }.into(), vec![refused.into()], Vec::new())
}

/// Runs that go on `at_once` beside each other.
fn store(seed: u64, runs: u64, at_once: usize) -> MemoryStore {
    let store = MemoryStore::create(&origin());
    let mut dice = Dice::new(seed);
    let mut open: Vec<(Author, u64)> = Vec::new();
    let mut next = 0;
    while next < runs || !open.is_empty() {
        while open.len() < at_once && next < runs {
            open.push((Author::new(seed * 1_000 + next), 5 + dice.below(25)));
            next += 1;
        }
        let at = dice.below(open.len() as u64) as usize;
        let (author, left) = &mut open[at];
        let append = match author.head.next > 0 && dice.below(6) == 0 {
            true => ruled(author, &mut dice),
            false => author.anything(&mut dice),
        };
        store.append(vec![append]).pop().unwrap().unwrap();
        *left -= 1;
        if *left == 0 {
            open.remove(at);
        }
    }
    store
}

/// What the oracle says of one place: rule, sequence, whether of a proposal, outcome, whether counterfactual.
type Told = (String, u64, bool, Outcome, bool);

/// Folds a run from its first event and asks about everything, one event after the other.
fn naive(store: &dyn Store, stream: StreamId, rules: &Rules) -> (Vec<Told>, Option<u64>, u64) {
    let mut facts = rules.facts();
    let (mut told, mut turn, mut asked) = (Vec::new(), None, 0);
    for stored in store.read(stream, 0, usize::MAX).unwrap() {
        let view = View::read(&stored.event.bytes).unwrap();
        let later = turn.is_some();
        if !loom_core::exempt::is_exempt(&view) {
            let answers = rules.answers(&facts, &view);
            asked += u64::from(!answers.is_empty());
            for answer in answers {
                let refuses = view.schema.class == Class::Decision
                    && answer.severity == Severity::Error
                    && matches!(answer.result, Outcome::False | Outcome::Error(_));
                if refuses {
                    turn = turn.or(Some(view.sequence));
                }
                if answer.result != Outcome::True {
                    told.push((answer.rule, view.sequence, false, answer.result, later));
                }
            }
        }
        if let Event::Refused(refused) = Envelope::decode(&stored.event.bytes).unwrap().body {
            let mut decoder = loom_core::cbor::Decoder::new(&refused.proposal);
            let mut copy = facts.clone();
            let mut passes = !refused.proposal.is_empty();
            if !passes {
                let missing = "the dropped decisions, which are too large to be on record (BLOB-3)".to_string();
                for rule in ["fresh/known", "fresh/stages"] {
                    told.push((rule.to_string(), view.sequence, true, Outcome::Unknown(missing.clone()), later));
                }
            }
            let count = if passes { decoder.array().unwrap() } else { 0 };
            for _ in 0..count {
                let bytes = decoder.bytes().unwrap();
                let proposed = View::read(bytes).unwrap();
                if !passes {
                    continue;
                }
                let answers = rules.answers(&copy, &proposed);
                asked += u64::from(!answers.is_empty());
                for answer in answers.into_iter().filter(|answer| answer.result != Outcome::True) {
                    passes &= answer.severity != Severity::Error;
                    told.push((answer.rule, view.sequence, true, answer.result, later));
                }
                rules.fold(&mut copy, &proposed);
            }
            if passes && refused.rules.iter().all(|rule| rule.starts_with("fresh/")) {
                turn = turn.or(Some(view.sequence));
            }
        }
        rules.fold(&mut facts, &view);
    }
    (told, turn, asked)
}

fn judged(store: &dyn Store, rules: &Rules, threads: usize, chunk: u64, past: u64) -> Judgement {
    let options = Options { threads, verify: true, filter: Filter::default() };
    let mut judgement = begin(rules, &options);
    let source = judgement.source(Path::new("store"), Kind::Store);
    let bench = Bench::new(rules, true);
    let scanned = scan::in_chunks(&bench, store, &options.filter, threads, scan::Reach { chunk, past }).unwrap();
    assert_eq!(scanned.bad, None);
    scanned.runs.into_iter().for_each(|run| judgement.add(source, run));
    judgement
}

#[test]
fn judging_is_what_a_naive_fold_of_each_run_gives() {
    let rules = rules();
    let (mut outcomes, mut turns, mut proposals) = (BTreeSet::new(), 0, 0);
    for seed in 1..12 {
        let store = store(seed, 12, 5);
        let judgement = judged(&store, &rules, 1, u64::MAX >> 1, 0);
        assert_eq!(judgement.left_out, Vec::new());
        let mut streams: Vec<StreamId> = store.runs(99).unwrap().iter().map(|run| run.stream).collect();
        streams.reverse();
        assert_eq!(judgement.runs.iter().map(|run| run.stream).collect::<Vec<_>>(), streams);
        for (index, run) in judgement.runs.iter().enumerate() {
            let (wanted, turn, asked) = naive(&store, run.stream, &rules);
            let findings = judgement.findings.iter().filter(|finding| finding.run == index);
            let found: Vec<Told> = findings
                .map(|finding| {
                    let rule = judgement.rules[finding.rule].name.clone();
                    let is_proposal = finding.place == Place::Proposal;
                    (rule, finding.sequence, is_proposal, finding.outcome.clone(), finding.is_counterfactual)
                })
                .collect();
            assert_eq!(found, wanted, "seed {seed}, run {index}");
            assert_eq!(run.turn.map(|turn| turn.sequence), turn, "seed {seed}, run {index}");
            assert_eq!(run.decisions + run.observations + run.proposals, asked, "seed {seed}, run {index}");
            assert_eq!(run.events, store.head(run.stream).unwrap().next);
            for (rule, tally) in run.tallies.iter().enumerate() {
                let name = &judgement.rules[rule].name;
                let of = |is_violation: bool, is_later: bool| {
                    let is = |told: &&Told| {
                        told.0 == *name && told.4 == is_later && matches!(told.3, Outcome::Unknown(_)) != is_violation
                    };
                    wanted.iter().filter(is).count() as u32
                };
                assert_eq!((tally.violated, tally.unknowable), (of(true, false), of(false, false)), "{name}");
                assert_eq!((tally.later_violated, tally.later_unknowable), (of(true, true), of(false, true)), "{name}");
            }
            turns += usize::from(turn.is_some());
            proposals += wanted.iter().filter(|told| told.2).count();
            outcomes.extend(wanted.iter().map(|told| std::mem::discriminant(&told.3)).map(|kind| format!("{kind:?}")));
        }
    }
    // What was compared had something of everything.
    assert!(outcomes.len() == 3 && turns > 20 && proposals > 20, "{outcomes:?} {turns} {proposals}");
}

#[test]
fn the_judgement_is_the_same_for_every_number_of_threads_and_every_chunk() {
    let rules = rules();
    for seed in 20..26 {
        let store = store(seed, 40, 9);
        let wanted = judged(&store, &rules, 1, u64::MAX >> 1, 0);
        assert!(wanted.runs.len() == 40 && !wanted.findings.is_empty() && !wanted.cleared.is_empty());
        for (threads, chunk, past) in
            [(1, 10, 0), (2, 64, 16), (3, 7, 1_000), (4, 200, 50), (5, 1, 3), (6, 333, 0), (7, 90, 90), (8, 17, 1)]
        {
            assert_eq!(judged(&store, &rules, threads, chunk, past), wanted, "{threads} threads, {chunk} and {past}");
        }
    }
}

/// What two judgements of one store say otherwise, of what was found: run, rule, sequence, whether of a proposal.
fn parted(one: &Judgement, other: &Judgement) -> BTreeSet<(StreamId, String, u64, bool, bool)> {
    let said = |judgement: &Judgement| -> BTreeSet<(StreamId, String, u64, bool, bool)> {
        let rule = |finding: &Finding| judgement.rules[finding.rule].name.rsplit('/').next().unwrap().to_string();
        let key = |finding: &Finding| {
            let is_proposal = finding.place == Place::Proposal;
            let stream = judgement.runs[finding.run].stream;
            (stream, rule(finding), finding.sequence, is_proposal, finding.is_violation())
        };
        judgement.findings.iter().map(key).collect()
    };
    said(one).symmetric_difference(&said(other)).cloned().collect()
}

#[test]
fn two_sets_part_where_two_judgements_say_otherwise() {
    let load = |text: &str| Rules::new(vec![Arc::new(RuleSet::load(text).unwrap())]).unwrap();
    let changed = FRESH
        .replace("set fresh", "set later")
        .replace("facts.spawns < 6", "facts.spawns < 4")
        .replace("facts.tokens < 12000", "facts.tokens < 20000")
        .replace("event.tokens * 2000000000000000", "event.tokens")
        .replace("rule divides", "rule divided");
    let (one, other) = (load(FRESH), load(&changed));
    let (mut kinds, mut later) = ([0, 0, 0], 0);
    for seed in 30..38 {
        let store = Arc::new(store(seed, 12, 5));
        let judgements = [&one, &other].map(|rules| judged(store.as_ref(), rules, 1, u64::MAX >> 1, 0));
        let source = crate::corpus::Source { path: "store".into(), kind: Kind::Store };
        let corpus = Corpus { sources: vec![source], ..Corpus::default() };
        let open = |_: &Path| Ok(Opened { store: store.clone(), damage: None });
        let found = differ(&corpus, [&one, &other], &Filter::default(), &open).unwrap();
        assert_eq!((found.runs, &found.left_out), (12, &Vec::new()));
        let events: u64 = judgements[0].runs.iter().map(|run| run.events).sum();
        assert_eq!(found.events, events);
        let told: BTreeSet<_> = found
            .findings
            .iter()
            .flat_map(|parting| {
                let Parting { stream, sequence, place, says, .. } = parting;
                let name = found.rules[parting.rule].name.clone();
                // Each side that objects is one of what the two judgements say.
                let sides = says.iter().filter(|says| says.said().is_some());
                sides.map(move |says| {
                    let is_violation = matches!(says, Says::Violated(_));
                    (*stream, name.clone(), *sequence, *place == Place::Proposal, is_violation)
                })
            })
            .collect();
        assert_eq!(told, parted(&judgements[0], &judgements[1]), "seed {seed}");
        assert_eq!(found.partings().total(), found.findings.len() as u64);
        for (side, judgement) in judgements.iter().enumerate() {
            let names = judgement.rules.iter().map(|rule| rule.name.rsplit('/').next().unwrap());
            for (index, name) in names.enumerate() {
                let both = found.rules.iter().find(|both| both.name == name).unwrap();
                let totals = judgement.rule_totals(index);
                assert_eq!((both.is_there[side], both.asked[side]), (true, totals.judged + totals.later_judged));
            }
        }
        for parting in &found.findings {
            let turns = judgements.iter().filter_map(|judgement| {
                judgement.runs.iter().find(|run| run.stream == parting.stream).and_then(|run| run.turn)
            });
            let is_later = turns.into_iter().any(|turn| turn.sequence < parting.sequence);
            assert_eq!(parting.is_counterfactual, is_later, "seed {seed}, {parting:?}");
        }
        let sum = found.partings();
        later += sum.counterfactual;
        kinds = [kinds[0] + sum.gained, kinds[1] + sum.lost, kinds[2] + sum.unknowable];
        let same = differ(&corpus, [&one, &one], &Filter::default(), &open).unwrap();
        assert!(same.is_equal() && same.findings.is_empty() && same.asked[0] == same.asked[1] && same.asked[0] > 0);
    }
    assert!(kinds.iter().all(|count| *count > 3) && later > 20, "{kinds:?} {later}");
}
