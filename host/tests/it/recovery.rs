//! The process dies at each point of a run; the next one takes it up, by the nature of what was under way.

use crate::rig::{Next, Rig, good};
use loom_core::kind::Event;
use loom_core::word::SpawnOutcome;
use loom_host::order::{Message, Report};

#[test]
fn a_run_that_dies_before_every_message_ends_as_the_one_that_lives() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    // A spawn is orphaned and tried again: never silently twice.
    rig.crash().unwrap();
    assert_eq!(rig.count(stream, "effect.orphaned"), 1);
    let attempts: Vec<u64> = rig
        .events(stream)
        .into_iter()
        .filter_map(|event| match event.body {
            Event::SpawnRequested(body) => Some(body.attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 2]);
    assert_eq!(rig.ordered().len(), 1);
    rig.finish_all(good);
    // A check is done again under its own id.
    let ordered = rig.ordered();
    rig.crash().unwrap();
    assert_eq!(rig.ordered(), ordered);
    assert_eq!(rig.count(stream, "check.requested"), 1);
    rig.finish_all(good);
    // A gate still waits.
    rig.crash().unwrap();
    assert!(rig.ordered().is_empty());
    rig.accept(stream, "a").unwrap();
    // A merge is made again under its own id, from the same intent.
    let merge = rig.notes.orders.lock().unwrap()[0].clone();
    rig.crash().unwrap();
    let again = rig.notes.orders.lock().unwrap()[0].clone();
    assert_eq!(format!("{merge:?}"), format!("{again:?}"));
    rig.finish_all(good);
    assert_eq!(rig.closing(stream), Some("accepted"));
    rig.crash().unwrap();
    assert!(rig.ordered().is_empty() && rig.engine.runs().count() == 0);
}

#[test]
fn two_orphans_of_which_the_first_ends_the_run_do_not_lock_the_store() {
    let mut rig = Rig::new();
    let mut opening = rig.opening("o", "simple");
    // Plan, implement and two reviewers, and no spawn more.
    opening.caps.spawns = 4;
    let stream = rig.open_as(opening).unwrap();
    for _ in 0..3 {
        rig.finish_all(good);
    }
    assert_eq!(rig.ordered().len(), 2, "both reviewers are under way");
    rig.crash().unwrap();
    assert_eq!(rig.closing(stream), Some("exhausted"));
}

#[test]
fn orphans_that_the_full_disk_has_no_room_for_are_recorded_when_there_is() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    *rig.store.next.lock().unwrap() = Next::Full;
    rig.crash().unwrap();
    assert_eq!(rig.count(stream, "effect.orphaned"), 0);
    rig.engine.turn(Vec::new()).unwrap();
    assert_eq!(rig.count(stream, "effect.orphaned"), 1, "without waiting for its deadline");
    assert_eq!(rig.ordered().len(), 1);
}

#[test]
fn an_outcome_that_outlives_its_driver_is_late_news() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    let order = rig.notes.orders.lock().unwrap()[0].clone();
    rig.crash().unwrap();
    rig.engine.turn(vec![Message::Finished { stream, id: order.id, report: Box::new(good(&order)) }]).unwrap();
    let state = rig.engine.run(stream).unwrap().state.clone();
    assert_eq!((state.stage.as_str(), state.tree.as_slice()), ("implement", [0x7e; 20].as_slice()));
}

#[test]
fn a_spawn_that_fails_again_and_again_asks_a_person() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    for _ in 0..2 {
        rig.finish_all(|order| Report::Spawn(crate::rig::spawned(order, SpawnOutcome::Failed)));
    }
    assert!(rig.ordered().is_empty());
    let gate = rig.engine.run(stream).unwrap().state.gate.clone().unwrap();
    assert_eq!(gate.role, "ask");
}

#[test]
fn deadlines_that_passed_while_nothing_ran_fire_at_the_next_open() {
    let mut rig = Rig::new();
    let stream = rig.open("trivial");
    rig.finish_all(good);
    rig.finish_all(good);
    rig.world.skip(604_800_000);
    rig.crash().unwrap();
    rig.engine.turn(Vec::new()).unwrap();
    assert_eq!(rig.closing(stream), Some("abandoned"));
}
