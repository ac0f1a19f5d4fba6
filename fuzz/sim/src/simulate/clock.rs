//! The simulated machine's clock and randomness.

use super::chance::Chance;
use loom_host::world::World;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that stands still until it is set.
#[derive(Debug, Clone)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// Returns a clock that shows this time, in milliseconds since the epoch.
    pub(crate) fn at(now_ms: u64) -> Self {
        Clock(Arc::new(AtomicU64::new(now_ms)))
    }

    /// Returns the time it shows.
    pub(crate) fn now_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets it, forward or back.
    pub(crate) fn set(&self, now_ms: u64) {
        self.0.store(now_ms, Ordering::Relaxed);
    }
}

/// Time and chance as one engine is given them.
pub(crate) struct Simulated {
    /// The clock, which outlives the engine.
    pub(crate) clock: Clock,
    /// Its chance.
    pub(crate) chance: Chance,
}

impl World for Simulated {
    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn random(&mut self) -> [u8; 16] {
        self.chance.bytes()
    }
}
