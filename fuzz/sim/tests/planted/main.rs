//! The simulator finds each fault that is planted in the kernel: `cargo test -p loom-sim --features planted`.
//!
//! A binary of its own: a planted fault is active in the whole process, so that nothing else may run in it.

use loom_core::planted;
use loom_sim::simulate::{Setup, simulate};
use std::process::Command;

/// Most seeds until a planted fault is found.
const SEEDS_MAX: u64 = 200;

#[test]
fn every_planted_fault_is_found_and_its_seed_replays() {
    let mut missed = Vec::new();
    for fault in 1..=planted::FAULTS {
        let setup = Setup::plain().with_fault(fault);
        let Some(failure) = (0..SEEDS_MAX).find_map(|seed| simulate(seed, &setup).err()) else {
            missed.push(planted::what(fault));
            continue;
        };
        println!("{fault:>2} {} | seed {}: {}", planted::what(fault), failure.seed, failure.law);
        let told = failure.to_string();
        let words = format!("simulate --seed {} --fault {fault}", failure.seed);
        assert!(told.ends_with(&format!("hint: loom-sim {words} tells it event by event")), "{told}");
        let again = Command::new(env!("CARGO_BIN_EXE_loom-sim")).args(words.split(' ')).output().unwrap();
        let errors = String::from_utf8(again.stderr).unwrap();
        let line = format!("seed {} at turn {}: {}", failure.seed, failure.turn, failure.law);
        assert!(errors.lines().any(|told| told == line), "{words} does not tell `{line}`:\n{errors}");
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}
