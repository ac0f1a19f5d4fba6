//! The points at which the simulated process may die. They are passed one after the other and counted, so that
//! every one of them can be chosen: the first run of a seed tells how many there are, each later one dies at one.
//!
//! A point is a place where something outside of the engine's memory has changed, or is about to: before and after a
//! write, before each operation of the disk within it, before a read, around an order's start, its stop and a run's
//! end, before each answer to a person, between two turns.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// What unwinds when the simulated process dies.
#[derive(Debug)]
pub(crate) struct Crash(pub(crate) &'static str);

/// Ends the simulated process here; whoever drives the simulation catches it.
pub(crate) fn crash(place: &'static str) -> ! {
    // Not `panic!`: no hook prints what is meant to happen.
    resume_unwind(Box::new(Crash(place)))
}

/// When the simulated process dies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deaths {
    /// Now and then.
    ByChance,
    /// At these points and at no other.
    At(Vec<u64>),
}

/// Counts the points that are passed.
#[derive(Debug)]
pub(crate) struct Points {
    deaths: Deaths,
    passed: AtomicU64,
    /// Off while the simulation itself reads the store.
    counting: AtomicBool,
}

impl Points {
    pub(crate) fn new(deaths: Deaths) -> Self {
        Points { deaths, passed: AtomicU64::new(0), counting: AtomicBool::new(false) }
    }

    /// Whether the process dies now and then, and at no chosen point.
    pub(crate) fn by_chance(&self) -> bool {
        self.deaths == Deaths::ByChance
    }

    /// Counts from here on, or no more.
    pub(crate) fn count(&self, counting: bool) {
        self.counting.store(counting, Ordering::Relaxed);
    }

    /// Returns how many were passed.
    pub(crate) fn passed(&self) -> u64 {
        self.passed.load(Ordering::Relaxed)
    }

    /// Passes a point; the process dies here where that was chosen.
    pub(crate) fn pass(&self, place: &'static str) {
        if self.is_last() {
            crash(place);
        }
    }

    /// Passes a point and returns whether the process is to die here.
    pub(crate) fn is_last(&self) -> bool {
        let Deaths::At(chosen) = &self.deaths else { return false };
        self.counting.load(Ordering::Relaxed) && chosen.contains(&self.passed.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns how many points may be passed until the next chosen one; `None` where there is none.
    pub(crate) fn left(&self) -> Option<u64> {
        let Deaths::At(chosen) = &self.deaths else { return None };
        chosen.iter().filter_map(|point| point.checked_sub(self.passed())).min()
    }

    /// Passes so many points at once.
    pub(crate) fn skip(&self, points: u64) {
        self.passed.fetch_add(points, Ordering::Relaxed);
    }
}
