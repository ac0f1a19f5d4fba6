//! `what_if`: one thing is changed, and everything else is what is on record (WHATIF-1 to WHATIF-5).

use crate::made::{RULES, Until, made_run, origin};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, StreamId};
use loom_core::kind::*;
use loom_core::process::Policy;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, SpawnOutcome, Verdict};
use loom_replay::what_if::{Cap, Change, End, WhatIf, WhatIfError, what_if};
use loom_replay::{Records, Redriven, ReplayError, StoredRun, redrive};
use loom_store::{MemoryStore, Store};

const NEVER_BLOCKED: &str = r#"loom rules 1
set later "What was thought of after the incident."

fact ever_blocked flag
  add finding.raised if event.severity == "blocking"

rule never-over-a-blocker on merge.intended
  require !facts.ever_blocked
  message "a blocking finding was raised in this run"
"#;

fn made(until: Until) -> (MemoryStore, StreamId) {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, until);
    (store, stream)
}

fn bodies(store: &MemoryStore, stream: StreamId) -> Vec<Event> {
    let events = store.read(stream, 0, usize::MAX).unwrap();
    events.into_iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap().body).collect()
}

fn places(bodies: &[Event], is_one: impl Fn(&Event) -> bool) -> Vec<u64> {
    bodies.iter().zip(0..).filter(|(body, _)| is_one(body)).map(|(_, at)| at).collect()
}

/// Every change that leaves a run as it is.
fn idle(bodies: &[Event]) -> Vec<(u64, Change)> {
    let mut found = vec![
        (0, Change::Rules(RULES.to_string())),
        (0, Change::Policy { role: "final".to_string(), policy: Policy::Human }),
    ];
    for (of, value) in [(Cap::Spawns, 40), (Cap::Tokens, 1_000_000), (Cap::Money, 1_000_000), (Cap::Time, 86_400_000)] {
        found.push((0, Change::Cap { of, value }));
    }
    for (body, at) in bodies.iter().zip(0..) {
        found.extend(match body {
            Event::GateAnswered(body) => Some((at, Change::Answer(body.answer))),
            Event::SpawnFinished(body) => Some((at, Change::Outcome(body.outcome.word().to_string()))),
            Event::CheckFinished(body) => Some((at, Change::Outcome(body.outcome.word().to_string()))),
            Event::MergeFinished(body) => Some((at, Change::Outcome(body.outcome.word().to_string()))),
            _ => None,
        });
    }
    found
}

/// Every other change that is possible somewhere.
fn changes(bodies: &[Event]) -> Vec<(u64, Change)> {
    let mut found = vec![
        (0, Change::Rules(RULES.replace("== 0", "== 1"))),
        (0, Change::Rules(NEVER_BLOCKED.to_string())),
        (0, Change::Policy { role: "final".to_string(), policy: Policy::OnBlockers }),
    ];
    found.extend([1, 3, 5, 7].map(|value| (0, Change::Cap { of: Cap::Spawns, value })));
    found.extend([500, 2_500].map(|value| (0, Change::Cap { of: Cap::Tokens, value })));
    found.extend([Cap::Money, Cap::Time].map(|of| (0, Change::Cap { of, value: 9_000 })));
    for (body, at) in bodies.iter().zip(0..) {
        if body.schema().class == loom_core::schema::Class::Input && at > 0 {
            found.push((at, Change::Rules(NEVER_BLOCKED.to_string())));
        }
        let words: Vec<&str> = match body {
            Event::SpawnFinished(_) => SpawnOutcome::ALL.iter().map(|word| word.word()).collect(),
            Event::CheckFinished(_) => CheckOutcome::ALL.iter().map(|word| word.word()).collect(),
            Event::MergeFinished(_) => MergeOutcome::ALL.iter().map(|word| word.word()).collect(),
            Event::GateAnswered(_) => {
                found.extend(Answer::ALL.iter().map(|answer| (at, Change::Answer(*answer))));
                Vec::new()
            }
            _ => Vec::new(),
        };
        found.extend(words.into_iter().map(|word| (at, Change::Outcome(word.to_string()))));
    }
    found
}

#[test]
fn what_is_on_record_already_changes_nothing() {
    for until in [Until::Spawned, Until::Gate, Until::End] {
        let (store, stream) = made(until);
        let records = StoredRun::new(&store, stream);
        let idle = idle(&bodies(&store, stream));
        assert!(until == Until::Spawned || idle.len() > 8);
        for (at, change) in idle {
            let found = what_if(&records, at, &change).unwrap_or_else(|error| panic!("{change} at {at}: {error}"));
            assert_eq!(found.turn, None, "{change} at {at}");
            assert!(found.changed.events() == found.recorded.events(), "{change} at {at}");
            assert!(found.passed_over.is_empty(), "{change} at {at}: {:?}", found.passed_over);
            let end = if until == Until::End { End::Closed(Verdict::Accepted) } else { End::OutOfRecord };
            assert_eq!(found.end, end, "{change} at {at}");
        }
    }
}

/// A changed timeline, read as a run.
struct Derived<'f> {
    found: &'f WhatIf,
    store: &'f MemoryStore,
    extra: Vec<loom_core::commit::Blob>,
}

impl Records for Derived<'_> {
    fn stream(&self) -> StreamId {
        self.found.changed.stream()
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.found.changed.events().iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        let extra = self.extra.iter().find(|blob| blob.digest == *digest).map(|blob| blob.bytes.clone());
        Ok(extra.or(self.store.blob(digest)?))
    }
}

/// Takes the references out of an outcome or answer: what is left is what came back.
fn without_references(body: &Event) -> Event {
    match body.clone() {
        Event::SpawnFinished(body) => SpawnFinished { spawn: 0, ..body }.into(),
        Event::CheckFinished(body) => CheckFinished { request: 0, ..body }.into(),
        Event::MergeFinished(body) => MergeFinished { merge: 0, ..body }.into(),
        Event::GateAnswered(body) => GateAnswered { gate: 0, artifact: None, ..body }.into(),
        other => other,
    }
}

#[test]
fn a_changed_run_is_one_that_core_derives_and_has_no_outcome_that_is_not_on_record() {
    let (store, stream) = made(Until::End);
    let records = StoredRun::new(&store, stream);
    let bodies = bodies(&store, stream);
    let (mut turned, mut stopped, mut closed) = (0, 0, 0);
    for (at, change) in changes(&bodies) {
        let found = what_if(&records, at, &change).unwrap_or_else(|error| panic!("{change} at {at}: {error}"));
        let again = what_if(&records, at, &change).unwrap();
        assert!(found.changed.events() == again.changed.events() && found.end == again.end, "{change} at {at}");
        let extra = match &change {
            Change::Rules(text) => vec![loom_core::commit::Blob::plain(text.as_bytes())],
            _ => Vec::new(),
        };
        let derived = Derived { found: &found, store: &store, extra };
        assert!(matches!(redrive(&derived).unwrap(), Redriven::Same { .. }), "{change} at {at}");
        let first = found.turn.unwrap_or(found.changed.len());
        let inputs = found.changed.envelopes().iter().filter(|event| event.count.is_some() && event.sequence >= first);
        for input in inputs {
            let Some(given) = found.given.iter().find(|given| given.changed == input.sequence) else {
                assert_eq!(input.sequence, at, "{change} at {at}: only the change itself is not on record");
                continue;
            };
            let recorded = &bodies[given.recorded as usize];
            assert_eq!(without_references(&input.body), without_references(recorded), "{change} at {at}");
        }
        assert!(first >= at, "{change} at {at}: nothing changes before");
        turned += usize::from(found.turn.is_some());
        stopped += usize::from(matches!(found.end, End::Unanswered { .. }));
        closed += usize::from(matches!(found.end, End::Closed(_)));
    }
    assert!(turned > 40 && stopped > 20 && closed > 10, "{turned} turned, {stopped} stopped, {closed} closed");
}

#[test]
fn a_check_that_had_failed_leads_through_the_recorded_second_round_until_nobody_knows() {
    let (store, stream) = made(Until::End);
    let records = StoredRun::new(&store, stream);
    let check = places(&bodies(&store, stream), |body| matches!(body, Event::CheckFinished(_)))[0];
    let found = what_if(&records, check, &Change::Outcome("fail".to_string())).unwrap();
    assert_eq!(found.turn, Some(check));
    // The coder of the second round worked from the same tree, asked to mend something else; the check of its tree is on record.
    let given: Vec<(&str, bool)> = found
        .given
        .iter()
        .map(|given| (found.changed.at(given.changed).unwrap().body.schema().name, given.is_otherwise_asked))
        .collect();
    assert_eq!(given, [("spawn.finished", true), ("check.finished", false)]);
    // On record the reviewers' first round was on another tree.
    let End::Unanswered { what, .. } = &found.end else { panic!("{:?}", found.end) };
    assert_eq!(what, "spawn.requested of logic at review, round 1");
    assert!(
        found.passed_over.iter().any(|(_, why)| why == "nobody asks for it" || why.starts_with("nothing is there"))
    );
}

#[test]
fn a_new_rule_stops_at_the_first_question_that_nobody_answered() {
    let (store, stream) = made(Until::End);
    let found = what_if(&StoredRun::new(&store, stream), 0, &Change::Rules(NEVER_BLOCKED.to_string())).unwrap();
    assert_eq!(found.turn, Some(0));
    let End::Unanswered { sequence, what } = &found.end else { panic!("{:?}", found.end) };
    let last = found.changed.at(*sequence).unwrap();
    assert!(matches!(last.body, Event::SpawnRequested(_)), "{what}");
    assert!(what.contains("implement, round 3"), "{what}");
    let refused = found.changed.envelopes().iter().filter(|event| matches!(event.body, Event::Refused(_))).count();
    assert_eq!(refused, 2, "as on record, and once more by the new rule");
}

#[test]
fn a_waiting_gate_is_answered_at_the_end() {
    let (store, stream) = made(Until::Gate);
    let records = StoredRun::new(&store, stream);
    let len = bodies(&store, stream).len() as u64;
    let found = what_if(&records, len, &Change::Answer(Answer::Reject)).unwrap();
    assert_eq!((found.turn, found.end), (Some(len), End::Closed(Verdict::Rejected)));
    assert!(matches!(what_if(&records, len + 1, &Change::Answer(Answer::Reject)), Err(WhatIfError::NoEvent { .. })));
}

#[test]
fn what_is_not_possible_is_told_with_the_place_where_it_is() {
    let (store, stream) = made(Until::End);
    let records = StoredRun::new(&store, stream);
    let bodies = bodies(&store, stream);
    let told = |at: u64, change: Change| what_if(&records, at, &change).unwrap_err().to_string();
    let spawn = places(&bodies, |body| matches!(body, Event::SpawnRequested(_)))[0];
    let finished = places(&bodies, |body| matches!(body, Event::SpawnFinished(_)))[0];
    let answer = places(&bodies, |body| matches!(body, Event::GateAnswered(_)))[0];
    let outcome = |word: &str| Change::Outcome(word.to_string());
    assert!(told(spawn, outcome("failed")).contains(&format!("it is answered at {finished} (--at {finished})")));
    assert!(told(finished, outcome("pass")).contains("`pass` is none of its outcomes: ok, unparsable, failed"));
    assert!(told(answer, outcome("ok")).contains("spawns, checks and merges end at"));
    assert!(told(finished, Change::Answer(Answer::Accept)).contains(&format!("gates are answered at {answer}")));
    assert!(told(finished, Change::Cap { of: Cap::Spawns, value: 3 }).contains("--at 0"));
    assert!(told(finished, Change::Rules(RULES.to_string())).contains("none is replaced later: --at 0"));
    let policy = Change::Policy { role: "fnal".to_string(), policy: Policy::Auto };
    assert!(told(0, policy).contains("no gate role `fnal`; it has final"));
    assert!(told(0, Change::Cap { of: Cap::Spawns, value: 0 }).contains("every cap is at least 1"));
    let end = bodies.len() as u64;
    assert!(told(end, Change::Rules(NEVER_BLOCKED.to_string())).contains("the run has ended there"));
}
