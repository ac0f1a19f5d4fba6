//! What a timeline asks of the world and of people, each by a key that does not depend on sequences (WHATIF-2).

use crate::spot::Spot;
use crate::whole::Whole;
use loom_core::event::Envelope;
use loom_core::kind::Event;
use loom_core::state::State;
use std::collections::BTreeMap;

/// The same thing, asked for again: spot, tree that it starts from or speaks of, and for a gate the blockers that were shown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    spot: Spot,
    tree: Vec<u8>,
    blockers: Vec<[u8; 16]>,
    /// Which of those that are alike in all this, from 1.
    nth: u32,
}

/// The keys of a timeline's events, both ways.
#[derive(Debug, Default)]
pub(super) struct Keys {
    of: BTreeMap<u64, Key>,
    by: BTreeMap<Key, u64>,
    seen: BTreeMap<Key, u32>,
    /// Fingerprints of findings, by sequence.
    prints: BTreeMap<u64, [u8; 16]>,
}

impl Keys {
    /// Returns the keys of a whole run.
    pub(super) fn of_run(whole: &Whole) -> Keys {
        let mut keys = Keys::default();
        keys.extend(whole, 0);
        keys
    }

    /// Takes the events from `first` on.
    pub(super) fn extend(&mut self, whole: &Whole, first: u64) {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        for (envelope, spot) in whole.envelopes().iter().zip(whole.spots()).skip(first) {
            self.push(envelope, spot);
        }
    }

    fn push(&mut self, envelope: &Envelope, spot: &Spot) {
        let (tree, blockers) = match &envelope.body {
            Event::SpawnRequested(body) => (body.tree.clone(), Vec::new()),
            Event::CheckRequested(body) => (body.tree.clone(), Vec::new()),
            Event::MergeIntended(body) => (body.tree.clone(), Vec::new()),
            Event::GateOpened(body) => {
                let mut prints: Vec<[u8; 16]> =
                    body.blockers.iter().filter_map(|finding| self.prints.get(finding).copied()).collect();
                prints.sort_unstable();
                (body.tree.clone(), prints)
            }
            Event::FindingRaised(body) => {
                self.prints.insert(envelope.sequence, body.fingerprint);
                (Vec::new(), Vec::new())
            }
            Event::RunPaused(_) | Event::TimerSet(_) => (Vec::new(), Vec::new()),
            _ => return,
        };
        // The key counts by itself: what differs in tree or blockers is not the same thing once more.
        let mut key = Key { spot: Spot { nth: 0, ..spot.clone() }, tree, blockers, nth: 0 };
        let nth = self.seen.entry(key.clone()).or_insert(0);
        *nth += 1;
        key.nth = *nth;
        self.by.insert(key.clone(), envelope.sequence);
        self.of.insert(envelope.sequence, key);
    }

    /// Returns the key of the event with this sequence, if it has one.
    pub(super) fn key(&self, sequence: u64) -> Option<&Key> {
        self.of.get(&sequence)
    }

    /// Returns the fingerprint of a finding.
    pub(super) fn print(&self, finding: u64) -> Option<&[u8; 16]> {
        self.prints.get(&finding)
    }

    /// Returns the sequence of the event with this key.
    pub(super) fn sequence(&self, key: &Key) -> Option<u64> {
        self.by.get(key).copied()
    }
}

/// Whether an event asks for something that only the world or a person can give, and that is waited for in this state.
pub(super) fn is_waited_for(state: &State, envelope: &Envelope) -> bool {
    match &envelope.body {
        Event::SpawnRequested(_) | Event::CheckRequested(_) | Event::MergeIntended(_) => {
            state.pending.contains_key(&envelope.sequence)
        }
        Event::GateOpened(_) => state.gate.as_ref().is_some_and(|gate| gate.sequence == envelope.sequence),
        Event::TimerSet(body) => state.timers.contains_key(&body.subject),
        _ => false,
    }
}
