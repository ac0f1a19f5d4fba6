//! The board: what spawns do just now, for whoever looks on.
//!
//! Nothing of it is recorded or decides anything. A writer never waits: it replaces what it told before, and a reader
//! that is slow sees fewer of the steps between (LIVE-1).

use loom_core::id::StreamId;
use loom_providers::Live;
use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What the spawns of one driver do just now. Clones are the same board.
#[derive(Debug, Clone, Default)]
pub struct Board {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    notes: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Notes {
    revision: u64,
    /// With the revision that each was written at.
    of: BTreeMap<(StreamId, u64), (u64, Live)>,
}

impl Board {
    /// Writes what a spawn does, in place of what stood there. `id` is the sequence of its request.
    pub fn tell(&self, stream: StreamId, id: u64, live: Live) {
        let mut notes = self.lock();
        notes.revision += 1;
        let revision = notes.revision;
        notes.of.insert((stream, id), (revision, live));
        drop(notes);
        self.shared.changed.notify_all();
    }

    /// Takes off what stands there of a spawn: it has ended.
    pub fn clear(&self, stream: StreamId, id: u64) {
        self.lock().of.remove(&(stream, id));
    }

    /// Returns what the spawns of a run do, with the board's revision.
    pub fn of(&self, stream: StreamId) -> (u64, Vec<(u64, Live)>) {
        self.since(stream, 0)
    }

    /// Returns what was written of a run after a revision, with the board's revision now.
    pub fn since(&self, stream: StreamId, revision: u64) -> (u64, Vec<(u64, Live)>) {
        let notes = self.lock();
        let of_run = notes.of.range((stream, 0)..=(stream, u64::MAX));
        let newer = of_run.filter(|(_, (written, _))| *written > revision);
        (notes.revision, newer.map(|((_, id), (_, live))| (*id, live.clone())).collect())
    }

    /// Waits until something was written after a revision, at most for `patience`.
    pub fn wait(&self, revision: u64, patience: Duration) {
        let unchanged = |notes: &mut Notes| notes.revision <= revision;
        let waited = self.shared.changed.wait_timeout_while(self.lock(), patience, unchanged);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.shared.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live(line: &str) -> Live {
        Live { line: line.to_string(), ..Live::default() }
    }

    #[test]
    fn the_last_word_of_each_spawn_stands_there_until_it_ends() {
        let board = Board::default();
        let (one, other) = (StreamId([1; 16]), StreamId([2; 16]));
        board.tell(one, 3, live("reads"));
        board.tell(other, 3, live("elsewhere"));
        board.tell(one, 5, live("waits"));
        board.tell(one, 3, live("writes"));
        let (revision, notes) = board.of(one);
        assert_eq!((revision, notes), (4, vec![(3, live("writes")), (5, live("waits"))]));
        assert_eq!(board.since(one, 3), (4, vec![(3, live("writes"))]));
        board.clear(one, 3);
        assert_eq!(board.of(one).1, vec![(5, live("waits"))]);
    }

    #[test]
    fn whoever_waits_is_woken_by_the_next_word() {
        let board = Board::default();
        let (writer, stream) = (board.clone(), StreamId([1; 16]));
        let written = std::thread::spawn(move || writer.tell(stream, 1, live("now")));
        // Without the word it would wait for so long that the test runner gives up.
        board.wait(0, Duration::from_secs(3_600));
        assert_eq!(board.of(stream).1, vec![(1, live("now"))]);
        written.join().unwrap();
    }
}
