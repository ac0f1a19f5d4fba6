//! Runs that go every way: outcomes of every sort, people who pause, steer, take risks and give up, deadlines, dead drivers.
//! What holds of asking about runs is held against many of them.

use crate::made::{Until, made_run, origin};
use loom_core::answer::{Change as Changed, Claim, Found, encode_delta};
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::event::Recorded;
use loom_core::id::{Actor, Assurance, Digest, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::rules::{RuleSet, Rules};
use loom_core::run::Run;
use loom_core::schema::List;
use loom_core::state::Asked;
use loom_core::step::Input;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, Recovery, SpawnOutcome};
use loom_replay::cause::{causes, chain};
use loom_replay::diff::diff;
use loom_replay::shrink::{How, shrink};
use loom_replay::what_if::{Cap, Change, WhatIf, what_if};
use loom_replay::{Records, Redriven, ReplayError, StoredRun, Whole, redrive, refold, trace};
use loom_store::{Append, MemoryStore, Store};
use std::collections::BTreeMap;
use std::sync::Arc;

const ADDED: &str = r#"loom rules 1
set added "Added while the run is under way."

fact failed counter
  add spawn.finished if event.outcome == "failed"

rule few-failures on spawn.requested
  require facts.failed < 3
  message "too many failures"
"#;

const LATER: &str = r#"loom rules 1
set later "What was thought of later."

fact failed counter
  add spawn.finished if event.outcome != "ok"

rule nothing-failed on spawn.requested
  require facts.failed < 2
  message "two failures"

rule no-blocker on finding.raised
  require event.severity != "blocking"
  message "a blocker"

rule not-lost on effect.orphaned
  require false
  message "a driver died"
"#;

/// Numbers that depend on a seed alone.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn of<'c, T>(&mut self, choices: &'c [T]) -> &'c T {
        &choices[self.below(choices.len() as u64) as usize]
    }
}

fn ann(descends: Option<u64>) -> Actor {
    Actor::Person { id: "ann".to_string(), assurance: Assurance::Asserted, descends }
}

/// What came about of a request or an outcome: who gives it, what it says, what it names.
type Made = (Actor, Event, Vec<Blob>);

fn salted(dice: &mut Dice, content: &[u8]) -> Blob {
    Blob::salted([dice.below(256) as u8; 16], content)
}

fn spawn_ends(dice: &mut Dice, spawn: u64, agent: &str, tree: Vec<u8>, edits: bool) -> Made {
    use SpawnOutcome::*;
    let outcome = *dice.of(&[Ok, Ok, Ok, Ok, Ok, Unparsable, Failed, TimedOut, Limited, Broken, Cancelled]);
    let blocks = !edits && dice.below(3) == 0;
    let found = Found {
        severity: "blocking".to_string(),
        category: "c".to_string(),
        path: None,
        line: Some(dice.below(2)),
        summary: "s".to_string(),
        evidence: None,
    };
    let claim = Claim {
        flow: None,
        verdict: (!edits).then(|| if blocks { "request-changes" } else { "approve" }.to_string()),
        findings: if blocks { vec![found] } else { Vec::new() },
        summary: "done".to_string(),
    };
    let (output, answer) = (salted(dice, b"output"), salted(dice, &claim.encode()));
    let delta = Blob::plain(&encode_delta(&[Changed { path: b"tests/a".to_vec(), how: "modified".to_string() }]));
    let is_changed = edits && dice.below(6) > 0;
    let has_answer = outcome == Ok;
    let body = SpawnFinished {
        spawn,
        outcome,
        agent: agent.to_string(),
        prompt: None,
        output: Some(output.digest),
        answer: has_answer.then_some(answer.digest),
        delta: is_changed.then_some(delta.digest),
        tree_after: if is_changed { vec![3 + dice.below(200) as u8; 20] } else { tree.clone() },
        tree_before: tree,
        tokens_in: (dice.below(4) > 0).then_some(10),
        tokens_out: Some(5),
        money_micro: Some(3),
        duration_ms: 5,
        model: None,
        session: None,
        detail: None,
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: None,
        fence: None,
        enforced: List::default(),
    };
    let mut blobs = vec![output];
    blobs.extend(has_answer.then_some(answer));
    blobs.extend(is_changed.then_some(delta));
    (Actor::Host, body.into(), blobs)
}

fn outcome(dice: &mut Dice, run: &Run) -> Option<Made> {
    let pending: Vec<_> = run.state.pending.iter().map(|(id, pending)| (*id, pending.what.clone())).collect();
    if pending.is_empty() {
        return None;
    }
    Some(match dice.of(&pending).clone() {
        (id, Asked::Spawn { .. }) if dice.below(12) == 0 => {
            (Actor::Host, EffectOrphaned { effect: id }.into(), Vec::new())
        }
        (id, Asked::Spawn { agent, tree, edits, .. }) => spawn_ends(dice, id, &agent, tree, edits),
        (id, Asked::Check { check, tree }) => {
            use CheckOutcome::*;
            let outcome = *dice.of(&[Pass, Pass, Pass, Fail, TimedOut, Absent]);
            let body = CheckFinished {
                request: id,
                check,
                outcome,
                exit_code: (outcome == Pass).then_some(0),
                tree,
                output: None,
                duration_ms: 4,
                fence: None,
                enforced: List::default(),
            };
            (Actor::Host, body.into(), Vec::new())
        }
        (id, Asked::Merge { .. }) => {
            let outcome = *dice.of(&[MergeOutcome::Done, MergeOutcome::Failed]);
            let body = MergeFinished { merge: id, outcome, commit: None, detail: None };
            (Actor::Host, body.into(), Vec::new())
        }
    })
}

fn request(dice: &mut Dice, run: &Run, number: u64) -> Made {
    let id = format!("wild {number}").into_bytes();
    let note = salted(dice, b"a note");
    let finding = run.state.findings.keys().next().copied().unwrap_or(3);
    let (body, blobs): (Event, Vec<Blob>) = match dice.below(10) {
        0 | 1 => (RunSteered { request: id, note: note.digest }.into(), vec![note]),
        2 => (RunPaused { request: id }.into(), Vec::new()),
        3 | 4 => (RunResumed { request: id }.into(), Vec::new()),
        5 => (RiskAccepted { request: id, finding, reason: note.digest }.into(), vec![note]),
        6 => {
            use Recovery::*;
            let choice = *dice.of(&[Retry, Retry, Retry, RetryFailed, RetryFailed, CancelPending, ForceClose]);
            let spawns: Vec<u64> = run.state.pending.keys().copied().take(1).collect();
            let spawns = if choice == RetryFailed { spawns } else { Vec::new() };
            (RecoveryRequested { request: id, choice, spawns: spawns.into() }.into(), Vec::new())
        }
        7 => {
            let added = Blob::plain(ADDED.as_bytes());
            (RulesAdded { request: id, rules: added.digest }.into(), vec![added])
        }
        8 if dice.below(15) == 0 => (RunCancelled { request: id, reason: None }.into(), Vec::new()),
        _ => {
            let (gate, artifact) = (run.state.gate.as_ref().map_or(2, |gate| gate.sequence), None);
            let (answer, signature, signer) = (answer(dice), None, None);
            let body = GateAnswered { request: id, gate, answer, note: None, artifact, signature, signer };
            (body.into(), Vec::new())
        }
    };
    let descends = (dice.below(15) == 0).then_some(3);
    (ann(descends), body, blobs)
}

/// People mostly go on.
fn answer(dice: &mut Dice) -> Answer {
    use Answer::*;
    *dice.of(&[Accept, Accept, Accept, Accept, Accept, Accept, Revise, Revise, Reject, Abandon])
}

/// Makes a run that goes where the dice fall.
fn wild(seed: u64) -> (MemoryStore, StreamId) {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::Spawned);
    let mut run = refold(&StoredRun::new(&store, stream), None).unwrap().run.unwrap();
    let mut dice = Dice(seed);
    let mut after = 0;
    for number in 0..90 {
        after += u64::from(run.state.closed.is_some());
        if after > 4 {
            break;
        }
        let is_request = dice.below(6) == 0 || run.state.gate.is_some() && dice.below(2) == 0;
        let made = if is_request { None } else { outcome(&mut dice, &run) };
        let due = run.state.deadlines().min();
        let (at_ms, (actor, body, blobs)) = match (made, due) {
            (Some(made), _) => (run.state.stamp.ms, made),
            (None, Some((due_ms, subject))) if !is_request => {
                (due_ms, (Actor::Host, TimerFired { subject }.into(), Vec::new()))
            }
            (None, _) => (run.state.stamp.ms, request(&mut dice, &run, number)),
        };
        let stamp = Stamp::after(run.state.stamp, at_ms + dice.below(3));
        // What is not well formed is forgotten.
        let Ok(checked) = loom_core::step(&run, Input { stamp, actor, body, blobs }) else { continue };
        store.append(vec![Append::from(&checked)]).pop().unwrap().unwrap();
        run = checked.into_next();
    }
    (store, stream)
}

fn idle(whole: &Whole) -> Vec<(u64, Change)> {
    let mut found = vec![(0, Change::Cap { of: Cap::Spawns, value: 40 })];
    for event in whole.envelopes() {
        let change = match &event.body {
            Event::GateAnswered(body) => Change::Answer(body.answer),
            Event::SpawnFinished(body) => Change::Outcome(body.outcome.word().to_string()),
            Event::CheckFinished(body) => Change::Outcome(body.outcome.word().to_string()),
            Event::MergeFinished(body) => Change::Outcome(body.outcome.word().to_string()),
            Event::RulesAdded(_) => Change::Rules(ADDED.to_string()),
            _ => continue,
        };
        found.push((event.sequence, change));
    }
    found
}

fn other(dice: &mut Dice, event: &Event) -> Change {
    let later = || Change::Rules(LATER.to_string());
    match event {
        Event::RunOpened(_) => dice
            .of(&[later(), Change::Cap { of: Cap::Spawns, value: 4 }, Change::Cap { of: Cap::Tokens, value: 2100 }])
            .clone(),
        Event::GateAnswered(_) => Change::Answer(*dice.of(Answer::ALL)),
        Event::SpawnFinished(_) => Change::Outcome(dice.of(SpawnOutcome::ALL).word().to_string()),
        Event::CheckFinished(_) => Change::Outcome(dice.of(CheckOutcome::ALL).word().to_string()),
        Event::MergeFinished(_) => Change::Outcome(dice.of(MergeOutcome::ALL).word().to_string()),
        _ => later(),
    }
}

/// A changed timeline, read as a run.
struct Derived<'f>(&'f WhatIf, &'f MemoryStore);

impl Records for Derived<'_> {
    fn stream(&self) -> StreamId {
        self.0.changed.stream()
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.0.changed.events().iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        let later = Blob::plain(LATER.as_bytes());
        Ok(if later.digest == *digest { Some(later.bytes) } else { self.1.blob(digest)? })
    }
}

/// What came back from the world or from a person, whatever it names.
fn came_back(event: &Event) -> Event {
    match event.clone() {
        Event::SpawnFinished(body) => SpawnFinished { spawn: 0, ..body }.into(),
        Event::CheckFinished(body) => CheckFinished { request: 0, ..body }.into(),
        Event::MergeFinished(body) => MergeFinished { merge: 0, ..body }.into(),
        Event::GateAnswered(body) => GateAnswered { gate: 0, artifact: None, ..body }.into(),
        Event::EffectOrphaned(_) => EffectOrphaned { effect: 0 }.into(),
        Event::TimerFired(_) => TimerFired { subject: 0 }.into(),
        Event::RiskAccepted(body) => RiskAccepted { finding: 0, ..body }.into(),
        Event::RecoveryRequested(body) => RecoveryRequested { spawns: List::default(), ..body }.into(),
        other => other,
    }
}

#[test]
fn whatever_a_run_went_through_what_is_on_record_changes_nothing() {
    let mut kinds = BTreeMap::new();
    for seed in 0..40 {
        let (store, stream) = wild(seed);
        let records = StoredRun::new(&store, stream);
        assert!(matches!(redrive(&records).unwrap(), Redriven::Same { .. }), "seed {seed}");
        let whole = Whole::read(&records).unwrap();
        assert!(diff(&whole, &whole).iter().all(|row| row.is_alike() && row.left == row.right), "seed {seed}");
        whole.envelopes().iter().for_each(|event| *kinds.entry(event.body.schema().name).or_insert(0u32) += 1);
        for (at, change) in idle(&whole) {
            let found =
                what_if(&records, at, &change).unwrap_or_else(|error| panic!("seed {seed}, {change} at {at}: {error}"));
            assert!(found.changed.events() == whole.events(), "seed {seed}: {change} at {at} turned {:?}", found.turn);
            assert_eq!((found.turn, found.passed_over.len()), (None, 0), "seed {seed}: {change} at {at}");
        }
    }
    // The dice fell on everything that is to be thought of.
    for kind in [
        "timer.fired",
        "timer.set",
        "effect.orphaned",
        "run.paused",
        "run.resumed",
        "risk.accepted",
        "recovery.requested",
        "rules.added",
        "request.refused",
        "request.declined",
        "refused",
        "walked.back",
        "finding.waived",
        "gate.withdrawn",
        "run.closed",
    ] {
        assert!(kinds.contains_key(kind), "{kind} came nowhere: {kinds:?}");
    }
}

/// Sequences from an event back to what it rests on; `None` where no chain leads there.
type Chain = Option<Vec<u64>>;

/// Returns the shortest chain of causes of every event of a run, made from those of the events before it (JUDGE-6).
fn shortest(events: &[Envelope]) -> Vec<Vec<u64>> {
    // To a person's request, and to an input that rests on nothing.
    let (mut persons, mut inputs): (Vec<Chain>, Vec<Chain>) = Default::default();
    let better = |a: &Vec<u64>, b: &Vec<u64>| (a.len(), b).cmp(&(b.len(), a));
    for event in events {
        let causes = causes(event);
        let through = |known: &[Chain]| {
            let chains = causes.iter().filter_map(|cause| known[cause.sequence as usize].as_ref());
            chains.map(|chain| [&[event.sequence][..], chain].concat()).min_by(better)
        };
        let own = Some(vec![event.sequence]);
        let is_person = matches!(event.actor, Actor::Person { .. });
        let person = if is_person { own.clone() } else { through(&persons) };
        let input = if causes.is_empty() { own } else { through(&inputs) };
        persons.push(person);
        inputs.push(input);
    }
    persons.into_iter().zip(inputs).map(|(person, input)| person.or(input).unwrap_or_default()).collect()
}

#[test]
fn a_chain_of_causes_is_the_shortest_and_of_those_the_one_over_the_later_events() {
    let (mut longest, mut inputs) = (0, 0);
    for seed in 0..40 {
        let (store, stream) = wild(seed);
        let whole = Whole::read(&StoredRun::new(&store, stream)).unwrap();
        let mut events = whole.envelopes().to_vec();
        // Where nobody is a person, chains lead to inputs.
        if seed % 2 == 1 {
            events.iter_mut().filter(|event| event.actor != Actor::Kernel).for_each(|event| event.actor = Actor::Host);
        }
        for (event, wanted) in events.iter().zip(shortest(&events)) {
            let mut read = |at: u64| Ok::<_, ReplayError>(events.get(at as usize).cloned());
            let steps = chain(event.sequence, &mut read).unwrap();
            let found: Vec<u64> = steps.iter().map(|step| step.sequence).collect();
            assert_eq!(found, wanted, "seed {seed}, event {}", event.sequence);
            longest = longest.max(found.len());
            inputs += u64::from(steps.last().is_some_and(|last| last.person.is_none()));
        }
    }
    assert!(longest > 4 && inputs > 0, "{longest} {inputs}");
}

#[test]
fn whatever_is_changed_core_derives_it_and_nothing_is_invented() {
    let mut given = 0;
    for seed in 0..40 {
        let (store, stream) = wild(seed);
        let records = StoredRun::new(&store, stream);
        let whole = Whole::read(&records).unwrap();
        let mut dice = Dice(seed + 1000);
        let inputs = whole.envelopes().iter().filter(|event| event.count.is_some());
        for event in inputs {
            let (at, change) = (event.sequence, other(&mut dice, &event.body));
            // Where a set is named that judges already, or the run has ended, nothing can be changed.
            let Ok(found) = what_if(&records, at, &change) else { continue };
            let told = || format!("seed {seed}: {change} at {at}");
            assert!(matches!(redrive(&Derived(&found, &store)).unwrap(), Redriven::Same { .. }), "{}", told());
            assert!(found.turn.is_none_or(|turn| turn >= at), "{}", told());
            for input in found.changed.envelopes().iter().filter(|event| event.count.is_some() && event.sequence > at) {
                let Some(one) = found.given.iter().find(|given| given.changed == input.sequence) else {
                    let is_refused = matches!(input.body, Event::RequestRefused(_));
                    assert!(is_refused || found.turn.is_none(), "{}: #{} is invented", told(), input.sequence);
                    continue;
                };
                let recorded = whole.at(one.recorded).unwrap();
                assert_eq!(came_back(&input.body), came_back(&recorded.body), "{}", told());
                given += usize::from(found.turn.is_some_and(|turn| input.sequence > turn));
            }
            let mut once: Vec<u64> = found.given.iter().map(|given| given.recorded).collect();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), found.given.len(), "{}: each recorded input at most once", told());
        }
    }
    assert!(given > 300, "only {given} recorded inputs were given after a turn");
}

#[test]
fn whatever_a_run_went_through_its_smallest_is_a_run_that_breaks_the_same() {
    let rules = Rules::new(vec![Arc::new(RuleSet::load(LATER).unwrap())]).unwrap();
    let (mut shrunk, mut cut) = (0, 0);
    for seed in 0..40 {
        let (store, stream) = wild(seed);
        let records = StoredRun::new(&store, stream);
        for rule in ["nothing-failed", "no-blocker", "not-lost"] {
            let Some(found) = shrink(&records, *b"a store for test", &rules, Some(rule), 300).unwrap() else {
                continue;
            };
            let mut bytes = Vec::new();
            trace::write(&found.run, found.origin, false, &mut bytes).unwrap();
            let read = trace::read(&mut &bytes[..]).unwrap_or_else(|error| panic!("seed {seed}, {rule}: {error}"));
            assert!(matches!(redrive(&read).unwrap(), Redriven::Same { .. }), "seed {seed}, {rule}");
            // The smaller one breaks the same rule, and is itself as small as it can be.
            let again = shrink(&read, read.origin, &rules, Some(rule), 300).unwrap().unwrap();
            assert_eq!(again.target, found.target, "seed {seed}, {rule}");
            if found.how == How::Derived && found.is_smallest {
                assert_eq!(again.after, found.after, "seed {seed}, {rule}");
            }
            shrunk += 1;
            cut += usize::from(found.how == How::Cut);
        }
    }
    assert!(shrunk > 30 && cut * 5 < shrunk, "{shrunk} shrunk, {cut} of them cut");
}
