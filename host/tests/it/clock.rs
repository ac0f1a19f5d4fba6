//! A clock that is set back: between two commits, across a restart, and behind what the store says.

use crate::rig::{Notes, Rig, Still, asked, good, told};
use loom_core::event::Envelope;
use loom_core::id::{Stamp, StreamId};
use loom_host::Engine;
use loom_store::{RedbStore, Store};
use std::sync::Arc;
use std::sync::mpsc::channel;

const HOUR_MS: u64 = 3_600_000;

fn assert_stamps_grow(events: &[Envelope]) {
    for pair in events.windows(2) {
        let same_commit = pair[0].input == pair[1].input;
        assert!(pair[0].stamp < pair[1].stamp || same_commit && pair[0].stamp == pair[1].stamp, "{pair:?}");
    }
}

#[test]
fn a_run_goes_on_while_the_clock_goes_back_and_its_stamps_grow() {
    let mut rig = Rig::new();
    rig.world.skip(1_000 * HOUR_MS);
    let stream = rig.open("simple");
    for round in 0..4 {
        rig.world.set_back(HOUR_MS);
        if round % 2 == 1 {
            rig.world.set_back(HOUR_MS);
            rig.crash().unwrap();
        }
        rig.engine.turn(Vec::new()).unwrap();
        rig.finish_all(good);
    }
    while rig.engine.run(stream).unwrap().state.gate.is_none() {
        rig.finish_all(good);
    }
    rig.accept(stream, "a").unwrap();
    rig.finish_all(good);
    assert_eq!(rig.closing(stream), Some("accepted"));
    assert_eq!(rig.count(stream, "timer.fired"), 0);
    assert_stamps_grow(&rig.events(stream));
}

#[test]
fn a_clock_set_back_makes_no_deadline_early() {
    let mut rig = Rig::new();
    rig.world.skip(1_000 * HOUR_MS);
    let stream = rig.open("trivial");
    rig.finish_all(good);
    rig.world.set_back(HOUR_MS);
    // This one is asked for by a clock that is an hour behind the run's stamps.
    rig.crash().unwrap();
    rig.finish_all(good);
    let gate = rig.engine.run(stream).unwrap().state.gate.clone().unwrap();
    let wait_ms = gate.deadline_ms - rig.engine.now_ms();
    assert!(wait_ms >= 604_800_000, "a person has their seven days by any clock");
    rig.pass(wait_ms - 1);
    assert_eq!(rig.count(stream, "timer.fired"), 0);
    rig.pass(1);
    assert_eq!((rig.count(stream, "timer.fired"), rig.closing(stream)), (1, Some("abandoned")));
    assert_stamps_grow(&rig.events(stream));
}

#[test]
fn a_store_from_the_future_is_opened_and_written_by_a_clock_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let rig = Rig::new();
    let origin = loom_core::origin::create([9; 16], "test", Stamp { ms: 5_000 * HOUR_MS, counter: 0 });
    drop(RedbStore::create(folder.path(), &origin).unwrap());
    let world = Still::at(4_000 * HOUR_MS);
    let notes = Arc::new(Notes::default());
    let open = || {
        let store: Arc<dyn Store> = Arc::new(RedbStore::open(folder.path()).unwrap());
        Engine::open(store, Box::new(world.clone()), notes.clone(), channel().0).unwrap()
    };
    let mut streams: Vec<StreamId> = Vec::new();
    for id in ["a", "b", "c"] {
        let mut engine = open();
        let (message, answer) = asked(rig.opening(id, "trivial"));
        engine.turn(vec![message]).unwrap();
        told(&answer).unwrap();
        streams.push(engine.stream_of(id.as_bytes()));
        world.set_back(HOUR_MS);
        drop(engine);
        // The next driver verifies the end of the log and takes up what is on record.
        let engine = open();
        assert_eq!(engine.runs().count(), streams.len());
        for stream in &streams {
            let stored = engine.store().read(*stream, 0, usize::MAX).unwrap();
            let events: Vec<_> = stored.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap()).collect();
            assert_stamps_grow(&events);
        }
        engine.store().catch_up().unwrap();
        // A time is looked up in it without a stumble.
        let size = engine.store().size();
        for hours in [0, 3_990, 4_000, 4_500, 5_000, 6_000] {
            assert!(engine.store().at_time(hours * HOUR_MS).unwrap() <= size);
        }
    }
}
