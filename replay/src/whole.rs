//! A run held whole: its events, decoded, each with its spot in the process.

use crate::error::ReplayError;
use crate::records::{BATCH, Records};
use crate::refold::envelope;
use crate::spot::{Spot, Spotter};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::StreamId;
use loom_core::state::State;

/// Most bytes of the events of a run that is held whole (CORPUS-5).
const BYTES_MAX: u64 = 256 << 20;

/// A run held whole.
#[derive(Debug, Clone, Default)]
pub struct Whole {
    events: Vec<Recorded>,
    envelopes: Vec<Envelope>,
    spotter: Spotter,
    state: State,
}

impl Whole {
    /// Reads a run.
    ///
    /// # Errors
    /// [`ReplayError::TooMany`] above 256 MiB of events; else what keeps it from being read.
    pub fn read(records: &dyn Records) -> Result<Whole, ReplayError> {
        let (mut whole, mut bytes) = (Whole::default(), 0);
        loop {
            let events = records.read(whole.len(), BATCH)?;
            if events.is_empty() {
                break;
            }
            for event in events {
                bytes += event.bytes.len() as u64;
                if bytes > BYTES_MAX {
                    return Err(ReplayError::TooMany { what: "bytes of events in a run", max: BYTES_MAX });
                }
                whole.push(event)?;
            }
        }
        if whole.events.is_empty() {
            return Err(ReplayError::NoRun(records.stream()));
        }
        Ok(whole)
    }

    /// Adds the next event.
    pub(crate) fn push(&mut self, event: Recorded) -> Result<(), ReplayError> {
        let decoded = envelope(&event, self.len())?;
        self.spotter.push(&self.state, &decoded);
        loom_core::fold(&mut self.state, &decoded);
        self.state.last = event.id;
        self.events.push(event);
        self.envelopes.push(decoded);
        Ok(())
    }

    /// Returns the run.
    pub fn stream(&self) -> StreamId {
        self.state.stream
    }

    /// Returns how many events it has.
    pub fn len(&self) -> u64 {
        self.events.len() as u64
    }

    /// Whether it has no event yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Returns its events, in order.
    pub fn events(&self) -> &[Recorded] {
        &self.events
    }

    /// Returns its events, decoded.
    pub fn envelopes(&self) -> &[Envelope] {
        &self.envelopes
    }

    /// Returns the spot of each event.
    pub fn spots(&self) -> &[Spot] {
        &self.spotter.spots
    }

    /// Returns what holds at its end.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Returns the event with this sequence.
    pub fn at(&self, sequence: u64) -> Option<&Envelope> {
        self.envelopes.get(usize::try_from(sequence).ok()?)
    }
}
