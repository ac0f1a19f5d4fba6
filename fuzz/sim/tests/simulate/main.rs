//! The simulator: it finds nothing in the kernel as it is, and each fault that is planted there.
//!
//! A binary of its own: a planted fault is active in the whole process, so that nothing else may run in it.

use loom_core::planted;
use loom_sim::simulate::{Lie, Report, Setup, simulate};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Seeds that are played without a fault.
const SEEDS: u64 = 200;
/// Most seeds until a planted fault is found.
const SEEDS_MAX: u64 = 200;

static PLANTING: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    PLANTING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Plays seeds until one finds a law broken; returns how many it took and which law.
fn hunt(setup: &Setup) -> Option<(u64, String)> {
    (0..SEEDS_MAX).find_map(|seed| simulate(seed, setup).err().map(|failure| (seed + 1, failure.law)))
}

#[test]
fn no_seed_breaks_a_law_and_every_trouble_is_reached() {
    let _alone = alone();
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
    let _alone = alone();
    let setup = Setup::plain();
    for seed in 0..10 {
        let (one, two) = (simulate(seed, &setup), simulate(seed, &setup));
        assert_eq!(
            one.unwrap_or_else(|failure| panic!("{failure}")),
            two.unwrap_or_else(|failure| panic!("{failure}"))
        );
    }
}

#[test]
fn every_planted_fault_is_found() {
    let _alone = alone();
    let setup = Setup::plain();
    let mut missed = Vec::new();
    for fault in 1..=planted::FAULTS {
        planted::plant(fault);
        let found = hunt(&setup);
        planted::plant(0);
        match found {
            Some((seeds, law)) => println!("{fault:>2} {} | seed {seeds}: {law}", planted::what(fault)),
            None => missed.push(planted::what(fault)),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}

#[test]
fn a_store_that_lies_is_found_out() {
    let _alone = alone();
    for lie in [Lie::Acknowledges, Lie::DropsBlobs, Lie::ForgetsRequests] {
        let found = hunt(&Setup::plain().lying(lie));
        let (seeds, law) = found.unwrap_or_else(|| panic!("{lie:?} was not found out within {SEEDS_MAX} seeds"));
        println!("{lie:?} | seed {seeds}: {law}");
    }
}
