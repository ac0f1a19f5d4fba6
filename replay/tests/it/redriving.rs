//! `redrive` and `refold`: a log is its own script.

use crate::made::{Until, made_run, origin};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::kind::Event;
use loom_core::rules::Outcome;
use loom_core::schema::Class;
use loom_core::word::Verdict;
use loom_replay::{Judged, Records, Redriven, ReplayError, StoredRun, judged, redrive, refold};
use loom_store::{MemoryStore, Store};
use std::collections::BTreeSet;

/// A run whose events or blobs were changed.
struct Changed {
    stream: StreamId,
    events: Vec<Recorded>,
    store: MemoryStore,
    hidden: Option<Digest>,
}

impl Records for Changed {
    fn stream(&self) -> StreamId {
        self.stream
    }
    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.events.iter().skip(sequence as usize).take(max).cloned().collect())
    }
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(if self.hidden == Some(*digest) { None } else { self.store.blob(digest)? })
    }
}

fn changed(change: impl Fn(&mut Event)) -> Changed {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let hasher = EventHasher::default();
    let events = store.read(stream, 0, usize::MAX).unwrap().into_iter();
    let events = events
        .map(|stored| {
            let mut envelope = Envelope::decode(&stored.event.bytes).unwrap();
            change(&mut envelope.body);
            Recorded::of(&envelope, &hasher)
        })
        .collect();
    Changed { stream, events, store, hidden: None }
}

#[test]
fn a_recorded_run_comes_out_again_byte_by_byte() {
    for until in [Until::Spawned, Until::Gate, Until::End] {
        let store = MemoryStore::create(&origin());
        let stream = made_run(&store, 1, until);
        let records = StoredRun::new(&store, stream);
        let Redriven::Same { events, .. } = redrive(&records).unwrap() else { panic!("{:?}", redrive(&records)) };
        assert_eq!(events, store.head(stream).unwrap().next);
    }
}

#[test]
fn a_record_that_the_kernel_would_not_derive_diverges() {
    let run = changed(|event| {
        if let Event::VerdictGiven(verdict) = event {
            verdict.passed = true;
            verdict.blocking = 0;
        }
    });
    let Redriven::Diverged { sequence, what, recorded, derived } = redrive(&run).unwrap() else { panic!() };
    assert_eq!(what, "verdict.given has another content");
    assert_eq!(recorded.unwrap().sequence, sequence);
    assert!(matches!(derived.unwrap().body, Event::VerdictGiven(verdict) if !verdict.passed));
}

#[test]
fn a_run_whose_answer_was_erased_cannot_be_known() {
    let mut run = changed(|_| {});
    let answers = run.events.iter().filter_map(|event| match Envelope::decode(&event.bytes).unwrap().body {
        Event::SpawnFinished(body) => body.answer,
        _ => None,
    });
    run.hidden = answers.max();
    assert!(matches!(redrive(&run).unwrap(), Redriven::Unknowable { .. }));
}

#[test]
fn the_state_at_an_event_is_that_of_the_time() {
    let run = changed(|_| {});
    let refused = run
        .events
        .iter()
        .position(|event| matches!(Envelope::decode(&event.bytes).unwrap().body, Event::Refused(_)))
        .unwrap() as u64;
    let before = refold(&run, Some(refused - 1)).unwrap();
    assert_eq!(before.state.next, refused);
    assert_eq!(before.state.blockers().count(), 1);
    assert_eq!(before.run.unwrap().facts.get("blockers").map(|value| value.len() > 2), Some(true));
    let end = refold(&run, None).unwrap();
    assert_eq!(end.state.closed, Some(Verdict::Accepted));
    assert_eq!(end.run.as_ref().unwrap().state, end.state);
}

#[test]
fn without_the_rules_there_is_a_state_and_no_facts() {
    let mut run = changed(|_| {});
    run.hidden = match Envelope::decode(&run.events[0].bytes).unwrap().body {
        Event::RunOpened(opened) => Some(opened.rules[0]),
        _ => None,
    };
    let refolded = refold(&run, None).unwrap();
    assert_eq!(refolded.state.closed, Some(Verdict::Accepted));
    assert!(refolded.run.unwrap_err().contains("is missing"));
}

/// Returns what the rules give for every decision of a run, with the kinds of the decisions.
fn asked(run: &Changed) -> Vec<(&'static str, Judged)> {
    let bodies: Vec<Event> = run.events.iter().map(|event| Envelope::decode(&event.bytes).unwrap().body).collect();
    let answers = judged(run, &(0..bodies.len() as u64).collect()).unwrap();
    let decisions = bodies.iter().filter(|body| body.schema().class == Class::Decision).count();
    assert_eq!(answers.len(), decisions, "every decision and nothing else");
    answers.into_iter().map(|(sequence, answer)| (bodies[sequence as usize].schema().name, answer)).collect()
}

#[test]
fn every_decision_on_record_is_one_that_its_rules_let_pass() {
    let answers = asked(&changed(|_| {}));
    let mut kinds = BTreeSet::new();
    for (kind, judged) in &answers {
        match judged {
            Judged::Asked(answers) => {
                assert!(answers.iter().all(|answer| answer.result == Outcome::True), "{kind}: {answers:?}");
                kinds.extend(answers.iter().map(|answer| (*kind, answer.rule.as_str(), answer.facts[0].1.as_str())));
            }
            Judged::Exempt => assert!(matches!(*kind, "gate.opened" | "gate.withdrawn"), "{kind}"),
            Judged::Unknowable(missing) => panic!("{kind}: {missing}"),
        }
    }
    assert_eq!(kinds, [("merge.intended", "floor/no-blocker", "{}")].into());
}

#[test]
fn a_forged_decision_is_told_by_what_its_rules_give() {
    // The log says that the finding was resolved; without that it stands, and the merge with it.
    let answers = asked(&changed(|event| {
        if let Event::FindingResolved(resolved) = event {
            resolved.finding += 1;
        }
    }));
    let merge = answers.iter().find(|(kind, _)| *kind == "merge.intended").unwrap();
    let Judged::Asked(answers) = &merge.1 else { panic!("{merge:?}") };
    assert_eq!((answers.len(), &answers[0].result), (1, &Outcome::False));
}

#[test]
fn without_the_rules_nobody_knows_what_they_gave() {
    let mut run = changed(|_| {});
    run.hidden = match Envelope::decode(&run.events[0].bytes).unwrap().body {
        Event::RunOpened(opened) => Some(opened.rules[0]),
        _ => None,
    };
    let answers = asked(&run);
    assert!(answers.iter().any(|(kind, _)| *kind == "merge.intended"));
    for (kind, judged) in answers {
        assert!(matches!(judged, Judged::Exempt | Judged::Unknowable(_)), "{kind}: {judged:?}");
    }
}
