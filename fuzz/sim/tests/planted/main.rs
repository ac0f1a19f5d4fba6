//! The simulator finds each fault that is planted in the kernel: `cargo test -p loom-sim --features planted`.
//!
//! A binary of its own: a planted fault is active in the whole process, so that nothing else may run in it.

use loom_core::planted;
use loom_sim::simulate::{Setup, simulate};

/// Most seeds until a planted fault is found.
const SEEDS_MAX: u64 = 200;

#[test]
fn every_planted_fault_is_found() {
    let setup = Setup::plain();
    let mut missed = Vec::new();
    for fault in 1..=planted::FAULTS {
        planted::plant(fault);
        let found = (0..SEEDS_MAX).find_map(|seed| simulate(seed, &setup).err());
        planted::plant(0);
        match found {
            Some(failure) => println!("{fault:>2} {} | seed {}: {}", planted::what(fault), failure.seed, failure.law),
            None => missed.push(planted::what(fault)),
        }
    }
    assert!(missed.is_empty(), "not found within {SEEDS_MAX} seeds: {missed:?}");
}
