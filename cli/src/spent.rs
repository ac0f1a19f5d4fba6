//! What a run has cost so far: what is known of it, and whether more is unknown. Read from its events.

use crate::error::CliError;
use crate::text::money;
use loom_core::event::Envelope;
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_core::word::SpawnOutcome;
use loom_store::{Store, StoreError, Stored};
use std::collections::BTreeSet;

/// How many events are read at a time.
const BATCH: usize = 1024;

/// What a run has cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// The first event that is not counted yet.
    next: u64,
    /// What is known, in micro-units.
    money_micro: u64,
    /// Whether a spawn ended of which it is known.
    is_known: bool,
    /// Whether a spawn ended, or was lost or given up, of which it is not.
    is_unknown: bool,
    /// Spawns that have not ended.
    under_way: BTreeSet<u64>,
}

impl Spent {
    /// Reads what a whole run has cost.
    pub(crate) fn of(store: &dyn Store, stream: StreamId) -> Result<Self, CliError> {
        let mut spent = Spent::default();
        spent.reads_on(store, stream)?;
        Ok(spent)
    }

    /// Counts what is on record by now.
    pub(crate) fn reads_on(&mut self, store: &dyn Store, stream: StreamId) -> Result<(), StoreError> {
        loop {
            let events = store.read(stream, self.next, BATCH)?;
            if events.is_empty() {
                return Ok(());
            }
            events.iter().for_each(|stored| self.counts(stored));
        }
    }

    fn counts(&mut self, stored: &Stored) {
        self.next += 1;
        // What cannot be read is told elsewhere.
        let Ok(Envelope { sequence, body, .. }) = Envelope::decode(&stored.event.bytes) else { return };
        match body {
            Event::SpawnRequested(_) => drop(self.under_way.insert(sequence)),
            Event::SpawnFinished(body) => {
                self.under_way.remove(&body.spawn);
                match cost(body.money_micro, body.outcome) {
                    Some(micro) => {
                        self.money_micro = self.money_micro.saturating_add(micro);
                        self.is_known = true;
                    }
                    None => self.is_unknown = true,
                }
            }
            Event::EffectOrphaned(body) => self.is_unknown |= self.under_way.remove(&body.effect),
            Event::BudgetSettled(body) => self.is_unknown |= self.under_way.remove(&body.effect),
            _ => {}
        }
    }

    /// Whether a spawn has not ended yet.
    pub(crate) fn is_under_way(&self, spawn: u64) -> bool {
        self.under_way.contains(&spawn)
    }

    /// Says it in words.
    pub(crate) fn told(&self) -> String {
        match (self.is_known, self.is_unknown) {
            (_, false) => money(self.money_micro),
            (true, true) => format!("{} and what is unknown", money(self.money_micro)),
            (false, true) => "cost unknown".to_string(),
        }
    }
}

/// Returns what a spawn has cost, where that is known: nothing, where it was turned away.
pub(crate) fn cost(money_micro: Option<u64>, outcome: SpawnOutcome) -> Option<u64> {
    money_micro.or((outcome == SpawnOutcome::Limited).then_some(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_never_nothing() {
        let spent =
            |money_micro, is_known, is_unknown| Spent { money_micro, is_known, is_unknown, ..Spent::default() }.told();
        assert_eq!(spent(0, false, false), "$0.00");
        assert_eq!(spent(1_200, true, false), "$0.0012");
        assert_eq!(spent(1_200, true, true), "$0.0012 and what is unknown");
        assert_eq!(spent(0, false, true), "cost unknown");
    }
}
