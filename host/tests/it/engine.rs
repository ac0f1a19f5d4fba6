//! A run from its opening to its end, and what the engine makes of reports that are late, double or cannot be true.

use crate::rig::{Next, Notes, Rig, asked, good, request, spawned, told};
use loom_core::answer::{Change, Claim, FINDINGS_MAX, Found};
use loom_core::id::Stamp;
use loom_core::kind::Event;
use loom_core::word::{CheckOutcome, Recovery, SpawnOutcome};
use loom_host::Engine;
use loom_host::order::{Message, Order, Report};
use loom_host::request::Ask;
use loom_store::{RedbStore, Store};
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Drives an honest run to its final gate.
fn to_the_gate(rig: &mut Rig) -> loom_core::id::StreamId {
    let stream = rig.open("trivial");
    rig.finish_all(good);
    rig.finish_all(good);
    assert!(rig.engine.run(stream).unwrap().state.is_parked());
    stream
}

#[test]
fn an_honest_run_waits_for_its_person_and_ends_accepted() {
    let mut rig = Rig::new();
    let stream = to_the_gate(&mut rig);
    assert!(!rig.engine.is_busy());
    rig.accept(stream, "a").unwrap();
    assert_eq!(rig.ordered().last().unwrap().1, "merge");
    rig.finish_all(good);
    let names = rig.names(stream);
    let place = |name| names.iter().position(|found| *found == name).unwrap();
    assert!(place("merge.intended") < place("merge.finished") && place("merge.finished") < place("run.closed"));
    assert_eq!(rig.closing(stream), Some("accepted"));
    assert!(rig.engine.run(stream).is_none(), "a run that has ended is not kept in the hand");
}

#[test]
fn an_outcome_is_recorded_once_however_often_it_comes() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let order = rig.notes.orders.lock().unwrap()[0].clone();
    let finished = || Message::Finished { stream, id: order.id, report: Box::new(good(&order)) };
    rig.engine.turn(vec![finished(), finished()]).unwrap();
    rig.engine.turn(vec![finished()]).unwrap();
    assert_eq!(rig.count(stream, "spawn.finished"), 1);
}

/// PERSIST-1.
#[test]
fn a_turn_with_many_messages_is_one_durable_commit() {
    const RUNS: u64 = 16;
    let folder = tempfile::tempdir().unwrap();
    let origin = loom_core::origin::create([9; 16], "test", Stamp { ms: 1, counter: 0 });
    let store = Arc::new(RedbStore::create(folder.path(), &origin).unwrap());
    let rig = Rig::new();
    let notes = Arc::new(Notes::default());
    let mut engine = Engine::open(store.clone(), Box::new(rig.world.clone()), notes.clone(), channel().0).unwrap();
    let kept = || {
        let health = store.health().unwrap();
        (health.durable_commits, health.commits)
    };

    let (messages, answers): (Vec<_>, Vec<_>) =
        (0..RUNS).map(|run| asked(rig.opening(&format!("run {run}"), "trivial"))).unzip();
    let (durable, commits) = kept();
    engine.turn(messages).unwrap();
    for answer in answers {
        told(&answer).unwrap();
    }
    assert_eq!(kept(), (durable + 1, commits + RUNS), "openings");

    let finished =
        |order: Order| Message::Finished { stream: order.stream, id: order.id, report: Box::new(good(&order)) };
    let outcomes: Vec<Message> = std::mem::take(&mut *notes.orders.lock().unwrap()).into_iter().map(finished).collect();
    assert_eq!(outcomes.len() as u64, RUNS);
    engine.turn(outcomes).unwrap();
    assert_eq!(kept(), (durable + 2, commits + 2 * RUNS), "outcomes");
}

#[test]
fn a_full_disk_keeps_the_outcome_and_the_run_goes_on() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    *rig.store.next.lock().unwrap() = Next::Full;
    rig.finish_all(good);
    assert_eq!(rig.count(stream, "spawn.finished"), 0);
    assert!(rig.ordered().is_empty(), "nothing is done before what asks for it is durable");
    assert!(rig.engine.trouble().is_some() && rig.engine.is_busy());
    rig.engine.turn(Vec::new()).unwrap();
    assert_eq!(rig.count(stream, "spawn.finished"), 1);
    assert_eq!(rig.ordered().len(), 1);
}

#[test]
fn an_outcome_that_waits_for_room_is_not_forgotten_over_a_later_success() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let order = rig.notes.orders.lock().unwrap()[0].clone();
    let finished = Message::Finished { stream, id: order.id, report: Box::new(good(&order)) };
    let steer = || request(stream, "r", Ask::Steer { note: "brief".into() });
    let ((one, first), (two, second)) = (steer(), steer());
    *rig.store.next.lock().unwrap() = Next::Full;
    // The second of the same requests is appended apart from what is before it.
    rig.engine.turn(vec![finished, one, two]).unwrap();
    told(&first).unwrap_err();
    told(&second).unwrap();
    assert!(rig.engine.trouble().is_some(), "so that the loop tries again soon");
    rig.engine.turn(Vec::new()).unwrap();
    assert!(rig.engine.trouble().is_none());
    assert_eq!(rig.count(stream, "spawn.finished"), 1);
}

#[test]
fn an_outcome_that_was_written_and_said_to_have_failed_moves_the_run_once() {
    let mut rig = Rig::new();
    let stream = to_the_gate(&mut rig);
    *rig.store.next.lock().unwrap() = Next::Ambiguous;
    rig.accept(stream, "a").unwrap_err();
    assert!(rig.ordered().is_empty());
    // What was asked for is on record, so it is done, once, without waiting for the next driver.
    rig.pass(1);
    let (_, again) = rig.accept_again(stream, "a");
    assert!(again);
    assert_eq!(rig.ordered().iter().filter(|(_, what)| *what == "merge").count(), 1);
    rig.finish_all(good);
    assert_eq!(rig.closing(stream), Some("accepted"));
}

#[test]
fn a_report_that_cannot_be_recorded_fails_its_spawn_and_nothing_else() {
    for nonsense in 0..3 {
        let mut rig = Rig::new();
        let other = rig.open_as(rig.opening("other", "trivial")).unwrap();
        let stream = rig.open("trivial");
        rig.finish_all(|order| {
            if order.stream == other {
                return good(order);
            }
            let mut report = spawned(order, SpawnOutcome::Ok);
            match nonsense {
                0 => report.tree_after = vec![1; 33],
                1 => report.delta = vec![Change { path: vec![b'x'; 5000], how: "added".into() }],
                _ => report.tree_after = vec![1; 20],
            }
            Report::Spawn(report)
        });
        assert_eq!(rig.count(other, "spawn.finished"), 1, "{nonsense}");
        let outcome = rig.events(stream).into_iter().find_map(|event| match event.body {
            Event::SpawnFinished(body) => Some((body.outcome, body.detail.unwrap_or_default())),
            _ => None,
        });
        let (outcome, detail) = outcome.expect("the outcome is on record");
        assert_eq!(outcome, SpawnOutcome::Broken);
        assert!(detail.contains("cannot be recorded"), "{detail}");
        assert!(rig.engine.run(stream).unwrap().state.gate.is_some(), "a person is asked");
    }
}

#[test]
fn an_answer_of_more_findings_than_anybody_takes_is_asked_for_again() {
    let mut rig = Rig::new();
    let stream = rig.open("simple");
    rig.finish_all(|order| {
        let mut report = spawned(order, SpawnOutcome::Ok);
        report.claim = Some(Claim { findings: vec![Found::default(); FINDINGS_MAX + 1], ..Claim::default() });
        Report::Spawn(report)
    });
    assert_eq!(rig.ordered().len(), 1, "the planner is asked once more");
    assert!(rig.engine.run(stream).unwrap().state.advice.is_empty(), "nobody reads what cannot be read");
    rig.finish_all(good);
    assert_eq!(rig.engine.run(stream).unwrap().state.stage, "implement");
}

#[test]
fn a_late_outcome_says_whose_it_is_and_has_no_consequences() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let order = rig.notes.orders.lock().unwrap()[0].clone();
    rig.request(stream, "r", Ask::Recover { choice: Recovery::CancelPending, spawns: Vec::new() }).unwrap();
    assert_eq!(*rig.notes.stopped.lock().unwrap(), [order.id]);
    let before = rig.engine.run(stream).unwrap().state.clone();
    rig.engine.turn(vec![Message::Finished { stream, id: order.id, report: Box::new(good(&order)) }]).unwrap();
    let Event::SpawnFinished(late) = &rig.events(stream)[before.next as usize].body else { panic!("it is recorded") };
    assert_eq!((late.agent.as_str(), late.tree_before.as_slice()), ("implementer", [0x7e; 20].as_slice()));
    let after = rig.engine.run(stream).unwrap().state.clone();
    assert_eq!((after.stage, after.tree, after.gate), (before.stage, before.tree, before.gate));
}

#[test]
fn a_late_check_says_which_it_was() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    rig.finish_all(good);
    let order = rig.notes.orders.lock().unwrap()[0].clone();
    rig.request(stream, "c", Ask::Cancel { reason: None }).unwrap();
    rig.engine.turn(vec![Message::Finished { stream, id: order.id, report: Box::new(good(&order)) }]).unwrap();
    let events = rig.events(stream);
    let Event::CheckFinished(late) = &events.last().unwrap().body else { panic!("it is recorded: {events:?}") };
    assert_eq!((late.check.as_str(), late.outcome), ("test", CheckOutcome::Pass));
    assert_eq!(late.tree, [0xed; 20]);
}

#[test]
fn an_agent_that_gives_no_sign_is_given_up_at_its_deadline() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let due_ms = rig.engine.next_deadline_ms().unwrap();
    rig.pass(due_ms - rig.engine.now_ms());
    assert_eq!(rig.count(stream, "timer.fired"), 1);
    assert_eq!(rig.ordered().len(), 2, "it is tried again");
    assert_eq!(rig.notes.stopped.lock().unwrap().len(), 1, "and the first try is ended");
}

#[test]
fn a_gate_that_nobody_answers_ends_the_run_without_an_acceptance() {
    let mut rig = Rig::new();
    let stream = to_the_gate(&mut rig);
    rig.pass(604_800_000);
    assert_eq!(rig.closing(stream), Some("abandoned"));
    assert_eq!(rig.count(stream, "merge.intended"), 0);
}
