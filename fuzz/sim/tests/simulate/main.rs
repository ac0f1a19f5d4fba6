//! The simulator: it finds nothing in the kernel as it is, each fault that is planted there, and a store that lies.

use loom_sim::simulate::{Crashes, Failure, Lie, Report, Setup, crashes, simulate};
use std::process::Command;

/// Seeds that are played without a fault.
const SEEDS: u64 = 200;
/// Seeds whose crashes are chosen.
const CRASH_SEEDS: u64 = 6;
/// Every how many points one is.
const CRASH_EVERY: u64 = 5;
/// Most seeds until a lie is found out.
const SEEDS_MAX: u64 = 200;

/// Does what a failure says and holds what is told against it: the same law, at the same turn, event by event.
fn replays(failure: &Failure) {
    let told = failure.to_string();
    let hint = told.lines().last().expect("a failure is told");
    let words = hint.strip_prefix("hint: loom-sim ").and_then(|rest| rest.strip_suffix(" tells it event by event"));
    let words = words.unwrap_or_else(|| panic!("no command in `{hint}`"));
    let again = Command::new(env!("CARGO_BIN_EXE_loom-sim")).args(words.split(' ')).output().expect("it can be run");
    assert_eq!(again.status.code(), Some(1), "{words}: {}", String::from_utf8_lossy(&again.stdout));
    let errors = String::from_utf8(again.stderr).expect("it is text");
    let line = format!("seed {} at turn {}: {}", failure.seed, failure.turn, failure.law);
    assert!(errors.lines().any(|told| told == line), "{words} does not tell `{line}`:\n{errors}");
    assert!(errors.contains("RunOpened("), "{words} does not tell the events");
}

#[test]
fn no_seed_breaks_a_law_and_every_trouble_is_reached() {
    let setup = Setup::plain();
    let mut total = Report::default();
    for seed in 0..SEEDS {
        match simulate(seed, &setup) {
            Ok(report) => total.add(&report),
            Err(failure) => panic!("{failure}"),
        }
    }
    let reached = [
        ("refusals", total.refused),
        ("full disks", total.full),
        ("ambiguous writes", total.ambiguous),
        ("lost outcomes", total.lost),
        ("late outcomes", total.late),
        ("double outcomes", total.twice),
        ("repeated requests", total.again),
        ("reused request ids", total.reused),
        ("clocks set back", total.set_back),
    ];
    let agents = [
        "hangs",
        "timed-out",
        "says done and has done nothing",
        "answers what cannot be read",
        "edits",
        "blocks and passes",
        "babbles",
        "lies",
        "boasts",
        "reports nonsense",
    ];
    for trouble in agents {
        assert!(total.troubles.contains_key(trouble), "no agent {trouble}: {:?}", total.troubles);
    }
    for (trouble, count) in reached {
        assert!(count > 0, "{trouble} were never reached");
    }
    for place in ["before a write", "after a write", "before an order", "after an order", "between turns"] {
        assert!(total.crashes.get(place).is_some_and(|count| *count > 0), "no crash {place}");
    }
    for verdict in ["accepted", "answered", "rejected", "abandoned", "cancelled", "exhausted"] {
        assert!(total.ends.get(verdict).is_some_and(|count| *count > 0), "no run ended {verdict}: {:?}", total.ends);
    }
}

#[test]
fn equal_seeds_give_equal_bytes() {
    let setup = Setup::plain();
    for seed in 0..10 {
        let (one, two) = (simulate(seed, &setup), simulate(seed, &setup));
        assert_eq!(
            one.unwrap_or_else(|failure| panic!("{failure}")),
            two.unwrap_or_else(|failure| panic!("{failure}"))
        );
    }
}

/// The faults are in the core of a build of its own, so that every other test has the core that ships.
#[test]
fn every_planted_fault_is_found() {
    let tested = Command::new(env!("CARGO"))
        .args(["test", "--locked", "--package", "loom-sim", "--features", "planted", "--test", "planted"])
        .args(["--", "--nocapture"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo can be run");
    let (out, errors) = (String::from_utf8_lossy(&tested.stdout), String::from_utf8_lossy(&tested.stderr));
    println!("{out}");
    assert!(tested.status.success(), "{errors}\n{out}");
    assert!(out.contains("every_planted_fault_is_found"), "the test has run: {out}");
}

/// `loom-sim crashes` has a death at every point of a seed; here it is at some of each.
#[test]
fn no_chosen_crash_breaks_a_law_in_memory_or_on_a_disk() {
    let setup = Setup::plain();
    let mut seen = Crashes::default();
    for seed in 0..CRASH_SEEDS {
        match crashes(seed, CRASH_EVERY, &setup) {
            Ok(more) => seen.add(&more),
            Err(failure) => panic!("{failure}"),
        }
    }
    assert!(seen.pairs > 0, "{seen:?}");
    for place in [
        "before a write",
        "in a write",
        "after a write",
        "before a read",
        "before an order",
        "after an order",
        "before a stop",
        "after a stop",
        "before a run is forgotten",
        "after a run is forgotten",
        "before an answer",
        "between turns",
    ] {
        assert!(seen.total.crashes.contains_key(place), "no crash {place}: {:?}", seen.total.crashes);
    }
}

#[test]
fn a_store_that_lies_is_found_out_and_the_seed_replays() {
    for lie in [Lie::Acknowledges, Lie::DropsBlobs, Lie::ForgetsRequests, Lie::Panics] {
        let setup = Setup::plain().lying(lie);
        let found = (0..SEEDS_MAX).find_map(|seed| simulate(seed, &setup).err());
        let failure = found.unwrap_or_else(|| panic!("{lie:?} was not found out within {SEEDS_MAX} seeds"));
        println!("{lie:?} | seed {}: {}", failure.seed, failure.law);
        replays(&failure);
    }
}

#[test]
fn a_disk_that_forgets_what_was_synced_is_found_out_and_the_crash_replays() {
    let setup = Setup::plain().lying(Lie::ForgetsSyncs);
    let found = (0..CRASH_SEEDS).find_map(|seed| crashes(seed, CRASH_EVERY, &setup).err());
    let failure = found.unwrap_or_else(|| panic!("it was not found out within {CRASH_SEEDS} seeds"));
    assert!(failure.law.contains("after the power went"), "{failure}");
    replays(&failure);
}
