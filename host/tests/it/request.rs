//! Requests and their ids: the same again gets the first answer, in whatever turn; another content is refused.

use crate::rig::{Next, Rig, asked, good, request, told};
use loom_core::id::{Actor, Assurance, Digest, StreamId};
use loom_core::kind::Event;
use loom_core::state::Gate;
use loom_core::word::{Answer, Recovery};
use loom_host::error::HostError;
use loom_host::keys::{Keys, Signed, sign_answer};
use loom_host::order::{Message, Report, SpawnReport};
use loom_host::request::{Ask, Request, TASK_BYTES_MAX};
use std::sync::mpsc::channel;

fn steer(note: &str) -> Ask {
    Ask::Steer { note: note.into() }
}

#[test]
fn the_same_request_again_gets_the_first_answer() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let (first, again) = rig.request(stream, "r", steer("brief")).unwrap();
    assert!(!again);
    assert_eq!(rig.request(stream, "r", steer("brief")).unwrap(), (first, true));
    rig.crash().unwrap();
    assert_eq!(rig.request(stream, "r", steer("brief")).unwrap(), (first, true));
    assert_eq!(rig.count(stream, "run.steered"), 1);
}

#[test]
fn the_same_request_twice_in_one_turn_is_recorded_once() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let (one, first) = request(stream, "r", steer("brief"));
    let (two, second) = request(stream, "r", steer("brief"));
    let (three, other) = request(stream, "r", steer("long"));
    rig.engine.turn(vec![one, two, three]).unwrap();
    let (sequence, again) = told(&first).unwrap();
    assert!(!again);
    assert_eq!(told(&second).unwrap(), (sequence, true));
    assert!(matches!(told(&other), Err(HostError::RequestReused { sequence: found }) if found == sequence));
    assert_eq!(rig.count(stream, "run.steered"), 1);
}

#[test]
fn the_same_opening_twice_in_one_turn_is_one_run() {
    let mut rig = Rig::new();
    let (one, first) = asked(rig.opening("o", "trivial"));
    let (two, second) = asked(rig.opening("o", "trivial"));
    let (three, other) = asked(rig.opening("o", "simple"));
    rig.engine.turn(vec![one, two, three]).unwrap();
    assert_eq!(told(&first).unwrap(), (0, false));
    assert_eq!(told(&second).unwrap(), (0, true));
    assert!(matches!(told(&other), Err(HostError::RequestReused { sequence: 0 })));
    assert_eq!(rig.engine.runs().count(), 1);
}

#[test]
fn an_opening_is_told_again_while_its_run_moves() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let (one, moved) = request(stream, "r", steer("brief"));
    let (two, answer) = asked(rig.opening("open", "trivial"));
    rig.engine.turn(vec![one, two]).unwrap();
    told(&moved).unwrap();
    assert_eq!(told(&answer).unwrap(), (0, true));
}

#[test]
fn another_content_under_a_known_id_is_refused() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let (first, _) = rig.request(stream, "r", steer("brief")).unwrap();
    for other in [steer("long"), Ask::Cancel { reason: None }] {
        let error = rig.request(stream, "r", other).unwrap_err();
        assert!(matches!(error, HostError::RequestReused { sequence } if sequence == first), "{error}");
    }
    let error = rig.open_as(rig.opening("open", "simple")).unwrap_err();
    assert!(matches!(error, HostError::RequestReused { sequence: 0 }), "{error}");
}

#[test]
fn equal_text_under_two_ids_gives_two_runs() {
    let mut rig = Rig::new();
    let one = rig.open_as(rig.opening("a", "trivial")).unwrap();
    let two = rig.open_as(rig.opening("b", "trivial")).unwrap();
    assert_ne!(one, two);
    assert_eq!(rig.open_as(rig.opening("a", "trivial")).unwrap(), one);
    let tasks: Vec<_> = [one, two].map(|stream| rig.state(stream).opened.task).into();
    assert_ne!(tasks[0], tasks[1], "salted: equal tasks do not give each other away");
}

#[test]
fn a_request_of_a_spawns_descendant_is_refused_and_asking_again_tells_the_same() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let actor = Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: Some(2) };
    let mut ask = || {
        let (reply, answer) = channel();
        let asked = Request { stream, id: b"r".to_vec(), actor: actor.clone(), ask: steer("accept it all") };
        rig.engine.turn(vec![Message::Request(asked, reply)]).unwrap();
        told(&answer).unwrap()
    };
    let (first, again) = ask();
    assert!(!again);
    assert_eq!(ask(), (first, true));
    assert_eq!(rig.count(stream, "request.refused"), 1);
    // Whoever may ask does not get the answer that the descendant got.
    let error = rig.request(stream, "r", steer("accept it all")).unwrap_err();
    assert!(matches!(error, HostError::RequestReused { .. }), "{error}");
}

#[test]
fn a_request_that_the_disk_had_no_room_for_can_be_made_again() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    *rig.store.next.lock().unwrap() = Next::Full;
    let error = rig.request(stream, "r", steer("brief")).unwrap_err();
    assert!(matches!(error, HostError::Append(_)), "{error}");
    assert!(rig.engine.trouble().is_some());
    let (_, again) = rig.request(stream, "r", steer("brief")).unwrap();
    assert!(!again);
    assert!(rig.engine.trouble().is_none());
}

#[test]
fn a_request_that_was_written_and_said_to_have_failed_is_on_record_when_asked_again() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    *rig.store.next.lock().unwrap() = Next::Ambiguous;
    rig.request(stream, "r", steer("brief")).unwrap_err();
    let (_, again) = rig.request(stream, "r", steer("brief")).unwrap();
    assert!(again);
    // The engine has what is on record in its hand, so that the next one does not fail for ever.
    rig.request(stream, "s", steer("very")).unwrap_or_else(|_| rig.request(stream, "s", steer("very")).unwrap());
    let on_record = rig.state(stream);
    assert_eq!(rig.engine.run(stream).unwrap().state, on_record);
}

#[test]
fn tasks_that_nobody_can_work_on_are_refused_with_a_reason() {
    let mut rig = Rig::new();
    let mut open = |task: String| {
        let opening = loom_host::request::Opening { task, ..rig.opening("t", "trivial") };
        rig.open_as(opening).map(drop).map_err(|error| error.to_string())
    };
    let unusable = "the task is empty or contains a NUL byte; say what is to be done";
    assert_eq!(open(String::new()).unwrap_err(), unusable);
    assert_eq!(open(" \n\t ".into()).unwrap_err(), unusable);
    assert_eq!(open("a\0b".into()).unwrap_err(), unusable);
    let long = open("a".repeat(TASK_BYTES_MAX + 1)).unwrap_err();
    assert_eq!(long, "the task has 1048577 bytes, more than it may");
    open("\u{1F980} ".repeat(TASK_BYTES_MAX / 5)).unwrap();
}

#[test]
fn what_the_bundle_does_not_know_is_refused_with_what_it_knows() {
    let mut rig = Rig::new();
    let mut opening = rig.opening("f", "no-such-flow");
    let told = rig.open_as(opening.clone()).unwrap_err().to_string();
    assert_eq!(told, "the bundle has no flow `no-such-flow`; it has complex, question, simple, standard, trivial");
    opening.flow = None;
    for (role, policy, wanted) in [
        ("final", "whatever", "`whatever` is no policy; there are human, on-blockers and auto"),
        ("middle", "human", "the bundle has no gate role `middle`; it has final, plan"),
    ] {
        opening.policies = vec![(role.into(), policy.into())];
        assert_eq!(rig.open_as(opening.clone()).unwrap_err().to_string(), wanted);
    }
    opening.policies.clear();
    opening.caps.tokens = 0;
    let told = rig.open_as(opening).unwrap_err().to_string();
    assert_eq!(told, "every cap is at least 1: without a cap no call is made (BUDGET-1)");
    assert_eq!(rig.engine.runs().count(), 0);
}

#[test]
fn requests_to_no_run_are_told_so() {
    let mut rig = Rig::new();
    for stream in [StreamId([7; 16]), StreamId::STORE] {
        let ask = Ask::Recover { choice: Recovery::Abandon, spawns: Vec::new() };
        let error = rig.request(stream, "r", ask).unwrap_err();
        assert!(matches!(error, HostError::RunUnknown), "{error}");
    }
}

#[test]
fn a_request_to_a_run_that_has_ended_is_recorded_as_declined() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    rig.request(stream, "c", Ask::Cancel { reason: None }).unwrap();
    assert_eq!(rig.closing(stream), Some("cancelled"));
    rig.request(stream, "late", steer("wait")).unwrap();
    assert_eq!(rig.names(stream).last(), Some(&"request.declined"));
}

#[test]
fn nobody_who_listens_is_no_reason_to_lose_a_request() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let (message, answer) = request(stream, "r", steer("brief"));
    drop(answer);
    rig.engine.turn(vec![message]).unwrap();
    assert_eq!(rig.count(stream, "run.steered"), 1);
}

/// Answers a gate by its number and the digest that was shown, and returns what became of that, in the log's words.
fn answer(rig: &mut Rig, stream: StreamId, id: &str, gate: u64, artifact: Option<Digest>) -> String {
    let before = rig.events(stream).len();
    rig.request(stream, id, Ask::Answer { gate, answer: Answer::Accept, note: None, artifact, signed: None }).unwrap();
    let after = rig.events(stream).split_off(before);
    let names: Vec<String> = after
        .into_iter()
        .map(|event| match event.body {
            Event::RequestDeclined(declined) => declined.reason,
            body => body.schema().name.to_string(),
        })
        .collect();
    names.join(", ")
}

/// Opens a run and drives it to its final gate.
fn parked(rig: &mut Rig, id: &str) -> (StreamId, Gate) {
    let stream = rig.open_as(rig.opening(id, "trivial")).unwrap();
    for _ in 0..2 {
        rig.finish_all(good);
    }
    (stream, rig.engine.run(stream).unwrap().state.gate.clone().unwrap())
}

/// The work is done again, with another tree at its end, and checked.
fn rework(rig: &mut Rig) {
    rig.finish_all(|order| match good(order) {
        Report::Spawn(report) => Report::Spawn(SpawnReport { tree_after: vec![0xee; 20], ..report }),
        report => report,
    });
    rig.finish_all(good);
}

#[test]
fn an_answer_to_a_gate_that_does_not_wait_is_recorded_and_decides_nothing() {
    let mut rig = Rig::new();
    let (other, _) = parked(&mut rig, "other");
    let revise = |gate| Ask::Answer { gate, answer: Answer::Revise, note: None, artifact: None, signed: None };
    let gate = rig.engine.run(other).unwrap().state.gate.clone().unwrap();
    rig.request(other, "back", revise(gate.sequence)).unwrap();
    rework(&mut rig);
    let foreign = rig.engine.run(other).unwrap().state.gate.clone().unwrap();
    let (stream, first) = parked(&mut rig, "mine");
    assert_ne!(first.sequence, foreign.sequence);
    let declined =
        |gate: u64| format!("gate.answered, gate {gate} is not waiting: it was decided, withdrawn or never opened");
    // Of another run, of none, and of an event that is no gate.
    for (id, gate) in [("f", foreign.sequence), ("n", 1_000_000), ("e", 0)] {
        assert_eq!(answer(&mut rig, stream, id, gate, None), declined(gate));
    }
    // With the digest of what another run shows, and of what is no digest.
    for (id, shown) in [("g", foreign.artifact), ("z", Digest([7; 32]))] {
        let said = answer(&mut rig, stream, id, first.sequence, Some(shown));
        assert_eq!(said, "gate.answered, the digest is stale: what is to be approved has changed since it was shown");
    }
    let still = rig.engine.run(stream).unwrap().state.gate.clone().unwrap();
    assert_eq!(still, first, "the gate waits as before");
    // Sent back: its number is of the past, whatever digest comes with it.
    rig.request(stream, "back", revise(first.sequence)).unwrap();
    assert_eq!(
        answer(&mut rig, stream, "while-working", first.sequence, Some(first.artifact)),
        declined(first.sequence)
    );
    rework(&mut rig);
    let second = rig.engine.run(stream).unwrap().state.gate.clone().unwrap();
    assert_eq!(answer(&mut rig, stream, "late", first.sequence, Some(first.artifact)), declined(first.sequence));
    let said = answer(&mut rig, stream, "right", second.sequence, Some(second.artifact));
    assert_eq!(said, "gate.answered, gate.decided, stage.entered, merge.intended");
    assert_eq!(answer(&mut rig, stream, "again", second.sequence, Some(second.artifact)), declined(second.sequence));
    rig.finish_all(good);
    assert_eq!(rig.closing(stream), Some("accepted"));
    let said = answer(&mut rig, stream, "ended", second.sequence, Some(second.artifact));
    assert_eq!(said, "gate.answered, the run has ended");
}

#[test]
fn an_answer_is_signed_only_where_its_signature_fits() {
    let mut rig = Rig::new();
    let (stream, gate) = parked(&mut rig, "signed");
    let folder = tempfile::tempdir().unwrap();
    let environment = loom_host::environment::Environment {
        data_folder: folder.path().to_path_buf(),
        ..loom_host::environment::Environment::read()
    };
    let key = Keys::of(&environment).make_person().unwrap();
    let ask = |signed: Signed, artifact| Ask::Answer {
        gate: gate.sequence,
        answer: Answer::Accept,
        note: None,
        artifact,
        signed: Some(Box::new(signed)),
    };
    let good = sign_answer(&key, &stream, gate.sequence, Answer::Accept, &gate.artifact);
    let of_another = sign_answer(&key, &stream, gate.sequence, Answer::Reject, &gate.artifact);
    let shown = Some(gate.artifact);
    for (name, unfit) in [
        ("another answer", ask(of_another, shown)),
        ("another key", ask(Signed { signer: [9; 32], ..good }, shown)),
        ("nothing it is bound to", ask(good, None)),
    ] {
        let refused = rig.request(stream, name, unfit).unwrap_err();
        assert!(matches!(refused, HostError::SignatureUnfit), "{name}: {refused}");
    }
    assert_eq!(rig.count(stream, "gate.answered"), 0);
    rig.request(stream, "good", ask(good, shown)).unwrap();
    let answered = rig.events(stream).into_iter().find(|event| matches!(event.body, Event::GateAnswered(_))).unwrap();
    let Actor::Person { assurance, .. } = answered.actor else { panic!("a person answers") };
    assert_eq!(assurance, Assurance::Signed);
}
