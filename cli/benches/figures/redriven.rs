//! How fast recorded runs are driven again, with the store apart: their events and blobs are held in memory.

use crate::judged::spent_ns;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_replay::{Records, Redriven, Redriver, ReplayError, StoredRun};
use loom_store::{RedbStore, Store};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

/// A run whose events are held, and each blob once it was asked for.
struct Held<'s> {
    stored: StoredRun<'s>,
    events: Vec<Recorded>,
    blobs: RefCell<BTreeMap<Digest, Option<Vec<u8>>>>,
}

impl Records for Held<'_> {
    fn stream(&self) -> StreamId {
        self.stored.stream()
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let from = usize::try_from(sequence).map_or(self.events.len(), |from| from.min(self.events.len()));
        Ok(self.events[from..].iter().take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        if let Some(held) = self.blobs.borrow().get(digest) {
            return Ok(held.clone());
        }
        let blob = self.stored.blob(digest)?;
        self.blobs.borrow_mut().insert(*digest, blob.clone());
        Ok(blob)
    }
}

/// Returns how many events so many runs of a store have, and how many of them are driven again in a
/// second of the processor, the best of three.
pub(crate) fn rate(folder: &Path, runs: usize) -> (u64, f64) {
    let store = RedbStore::open_to_read(&folder.join(".loom")).expect("the store opens");
    let held: Vec<Held<'_>> = store.runs(runs).expect("its runs").iter().map(|run| hold(&store, run.stream)).collect();
    let drive = || -> u64 {
        let mut redriver = Redriver::default();
        let driven = held.iter().map(|run| match redriver.redrive(run).expect("driven") {
            Redriven::Same { events, .. } => events,
            other => panic!("{other:?}"),
        });
        driven.sum()
    };
    // The first time fetches the blobs.
    let events = drive();
    let mut best = f64::MAX;
    for _ in 0..3 {
        let began = spent_ns();
        drive();
        best = best.min((spent_ns() - began) / 1e9);
    }
    (events, events as f64 / best)
}

fn hold(store: &dyn Store, stream: StreamId) -> Held<'_> {
    let stored = StoredRun::new(store, stream);
    let events = stored.read(0, usize::MAX).expect("its events");
    Held { stored, events, blobs: RefCell::default() }
}
