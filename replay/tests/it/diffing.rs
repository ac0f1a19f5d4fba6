//! `diff`: two runs by where their events stand in the process (DIFF-1, DIFF-2).

use crate::made::{Until, made_run, origin};
use loom_core::kind::Event;
use loom_core::word::Answer;
use loom_replay::diff::{Topic, diff};
use loom_replay::what_if::{Change, what_if};
use loom_replay::{StoredRun, Whole};
use loom_store::MemoryStore;

fn whole(number: u64, until: Until) -> Whole {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, number, until);
    Whole::read(&StoredRun::new(&store, stream)).unwrap()
}

#[test]
fn a_run_does_not_differ_from_itself_and_every_event_has_one_spot() {
    let run = whole(1, Until::End);
    let rows = diff(&run, &run);
    assert_eq!(rows.len() as u64, run.len());
    assert!(rows.iter().all(|row| row.is_alike() && row.left == row.right), "{rows:?}");
    let mut spots = run.spots().to_vec();
    spots.sort();
    spots.dedup();
    assert_eq!(spots.len() as u64, run.len());
}

#[test]
fn runs_that_went_alike_differ_in_what_they_were_asked_alone() {
    // Other ids, times, requests and salts; the task has another name.
    let rows = diff(&whole(1, Until::End), &whole(2, Until::End));
    let told: Vec<_> = rows.iter().filter(|row| !row.is_alike()).collect();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((told[0].spot.kind, told[0].differences[0].field), ("run.opened", "slug"));
}

#[test]
fn what_one_run_alone_has_stands_where_it_came() {
    let (long, short) = (whole(1, Until::End), whole(1, Until::Gate));
    let rows = diff(&short, &long);
    let alone: Vec<u64> = rows.iter().filter(|row| row.left.is_none()).filter_map(|row| row.right).collect();
    assert_eq!(alone, (short.len()..long.len()).collect::<Vec<_>>());
    let back = diff(&long, &short);
    assert_eq!(back.iter().filter(|row| row.right.is_none()).count(), alone.len());
}

#[test]
fn a_shifted_run_is_aligned_and_says_what_differs() {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, Until::End);
    let records = StoredRun::new(&store, stream);
    let run = Whole::read(&records).unwrap();
    let answer = run.envelopes().iter().find(|event| matches!(event.body, Event::GateAnswered(_))).unwrap().sequence;
    // Revised instead of accepted and refused: the refusal is missing, the second round is the same, elsewhere.
    let found = what_if(&records, answer, &Change::Answer(Answer::Revise)).unwrap();
    let rows = diff(&found.recorded, &found.changed);
    assert!(rows.iter().any(|row| row.topic == Topic::Refusals && row.right.is_none()));
    let gate = rows.iter().find(|row| row.spot.kind == "gate.answered" && !row.is_alike()).unwrap();
    assert_eq!((gate.topic, gate.differences[0].field), (Topic::Gates, "answer"));
    let shifted = rows.iter().filter(|row| row.is_alike() && row.left != row.right).count();
    assert!(shifted > 10, "{shifted} events are alike at another sequence");
}
