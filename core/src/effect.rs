//! What the host is asked to do in the world, once the commit that asks for it is durable.
//!
//! Effects are named by the sequence of the event that asks for them. They are not remembered apart: what is
//! pending is state, so a crash resumes by re-issuing what the state says is under way (EFFECT-1).

use crate::planted::planted;
use crate::state::{Asked, State};
use alloc::vec::Vec;

/// Something to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Start it; its outcome comes back as an input that names `id`.
    Start {
        /// Sequence of the event that asks for it.
        id: u64,
        /// What to do.
        what: Asked,
        /// How long the executor may take, in milliseconds.
        time_ms: u64,
    },
    /// End it if it is under way; nobody waits for its outcome any more.
    Stop {
        /// Sequence of the event that asked for it.
        id: u64,
    },
}

/// What may be done about an effect whose driver died before its outcome was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// Doing it again does no harm: do it again.
    Idempotent,
    /// Whether it was done can be seen: look, then decide.
    Checkable,
    /// Neither; it is recorded as orphaned and the process decides.
    Ask,
}

impl Asked {
    /// Returns the declared nature of the effect.
    pub fn nature(&self) -> Nature {
        match self {
            // A spawn costs money and may have acted outside of its workspace: never silently twice.
            Asked::Spawn { .. } => Nature::Ask,
            Asked::Check { .. } => Nature::Idempotent,
            Asked::Merge { .. } => Nature::Checkable,
        }
    }
}

/// Returns what is pending, as effects, but for what a pause holds back (PAUSE-1).
pub fn pending(state: &State) -> Vec<Effect> {
    let begun = state.pending.iter().filter(|(id, _)| !state.is_held(**id));
    begun.map(|(id, pending)| start(*id, pending)).collect()
}

/// Returns what follows from the step between two states of a run.
pub(crate) fn follow(before: &State, after: &State) -> Vec<Effect> {
    let stopped = before
        .pending
        .keys()
        .filter(|id| !after.pending.contains_key(id) && after.given_up.contains(id))
        .map(|id| Effect::Stop { id: *id });
    // What a pause held back begins when it ends.
    let lifted = before.hold.filter(|_| after.hold.is_none());
    let first = lifted.map_or(before.next, |hold| hold.since);
    let started = after.pending.range(first..).filter(|(id, _)| !after.is_held(**id));
    let started = started.map(|(id, pending)| start(*id, pending));
    let times = if planted(7) { 2 } else { 1 };
    stopped.chain(started.flat_map(|effect| core::iter::repeat_n(effect, times))).collect()
}

fn start(id: u64, pending: &crate::state::Pending) -> Effect {
    Effect::Start { id, what: pending.what.clone(), time_ms: pending.reserved.time_ms }
}
