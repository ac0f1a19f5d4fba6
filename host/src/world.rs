//! The two things that core must be given: time and chance.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where time and chance come from; the simulator has its own.
pub trait World: Send {
    /// Returns milliseconds since the epoch.
    fn now_ms(&self) -> u64;
    /// Returns 16 random bytes: a salt, or an id.
    fn random(&mut self) -> [u8; 16];
}

/// The machine's clock and randomness.
#[derive(Debug, Default)]
pub struct Machine;

impl World for Machine {
    fn now_ms(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn random(&mut self) -> [u8; 16] {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).expect("the operating system has randomness");
        bytes
    }
}
