//! Following the log across its live edge.
//!
//! The writer only raises a number and wakes who waits; readers fetch from the store at their own pace. So a slow
//! reader costs the writer nothing, and nobody sees an event twice or misses one (STORE-6).

use crate::error::StoreError;
use crate::lookup::Stored;
use crate::store::Store;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The number of acknowledged events, and a way to wait for more.
#[derive(Debug, Default)]
pub struct Tip {
    size: Mutex<u64>,
    grown: Condvar,
}

impl Tip {
    /// Returns the tip of a store with so many events.
    pub fn new(size: u64) -> Self {
        Tip { size: Mutex::new(size), grown: Condvar::new() }
    }

    /// Says how many there are by now, and wakes who waits.
    pub fn raise(&self, size: u64) {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner) = size;
        self.grown.notify_all();
    }

    /// Returns the number of acknowledged events.
    pub fn size(&self) -> u64 {
        *self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there are more than `size` events or the time is up, and returns how many there are.
    pub fn wait(&self, size: u64, timeout: Duration) -> u64 {
        let deadline = Instant::now() + timeout;
        let mut now = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        while *now <= size {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            now = self.grown.wait_timeout(now, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        *now
    }
}

/// A reader that gets every event from a position on, once, in order.
pub struct Subscription {
    store: Arc<dyn Store>,
    tip: Arc<Tip>,
    next: u64,
}

impl Subscription {
    /// Begins at position `from`, which may lie beyond the end.
    pub fn new(store: Arc<dyn Store>, from: u64) -> Self {
        let tip = store.tip();
        Subscription { store, tip, next: from }
    }

    /// Returns the position of the event that comes next.
    pub fn position(&self) -> u64 {
        self.next
    }

    /// Returns up to `max` further events, waiting up to `timeout` for the first; empty when the time is up.
    pub fn next(&mut self, max: usize, timeout: Duration) -> Result<Vec<Stored>, StoreError> {
        if self.tip.wait(self.next, timeout) <= self.next {
            return Ok(Vec::new());
        }
        let events = self.store.events(self.next, max)?;
        self.next += events.len() as u64;
        Ok(events)
    }
}
