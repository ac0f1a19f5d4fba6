//! Derives a run from some inputs of another: each is given to whatever in the new run it fits, and left out where it fits
//! nothing (SHRINK-1).

use crate::error::ReplayError;
use crate::records::Records;
use crate::timeline::{Fed, Timeline};
use crate::whole::Whole;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Digest, StreamId};
use loom_core::kind::*;
use loom_core::schema::List;
use loom_core::state::{Asked, State};
use loom_core::word::{Answer, Recovery};

/// The run, and for each input that was given its recorded sequence and its own.
type Derived<'r> = (Timeline<'r>, Vec<(u64, u64)>);

/// Gives an input to core; nothing where the run ends there.
type Feed<'r, 'f> = dyn FnMut(&mut Timeline<'r>, Envelope) -> Result<Option<Fed>, ReplayError> + 'f;

/// Derives a run of the store with this name from the first input and the chosen ones; `None` where it cannot begin.
pub(super) fn derive<'r>(
    records: &'r dyn Records,
    whole: &Whole,
    origin: &[u8; 16],
    chosen: &[u64],
) -> Result<Option<Derived<'r>>, ReplayError> {
    derive_by(records, whole, origin, chosen, &mut |timeline, input| timeline.feed(input).map(Some))
}

/// Derives one, each input given to core by `feed`, which ends it where it gives nothing.
pub(super) fn derive_by<'r>(
    records: &'r dyn Records,
    whole: &Whole,
    origin: &[u8; 16],
    chosen: &[u64],
    feed: &mut Feed<'r, '_>,
) -> Result<Option<Derived<'r>>, ReplayError> {
    let Some((first, opened)) = whole.at(0).and_then(|first| match &first.body {
        Event::RunOpened(opened) => Some((first, opened)),
        _ => None,
    }) else {
        return Ok(None);
    };
    let mut timeline = Timeline::new(records, StreamId::of_run(origin, &opened.request), Vec::new());
    let mut given = Vec::new();
    match feed(&mut timeline, first.clone())? {
        Some(Fed::Committed(_)) => {}
        Some(Fed::Declined(_) | Fed::Missing(_)) => return Ok(None),
        None => return Ok(Some((timeline, given))),
    }
    for sequence in chosen {
        let Some(input) = whole.at(*sequence) else { continue };
        let Some(body) = fitted(whole, timeline.whole.state(), &input.actor, &input.body) else { continue };
        match feed(&mut timeline, Envelope { body, ..input.clone() })? {
            Some(Fed::Committed(at)) => given.push((*sequence, at)),
            Some(Fed::Declined(_) | Fed::Missing(_)) => {}
            None => {
                given.push((*sequence, timeline.whole.len()));
                break;
            }
        }
    }
    Ok(Some((timeline, given)))
}

/// Returns an input with the references and starting trees of this state; `None` where there is nothing that it fits.
fn fitted(whole: &Whole, state: &State, actor: &Actor, body: &Event) -> Option<Event> {
    Some(match body.clone() {
        Event::SpawnFinished(body) => {
            let (spawn, tree) = state.pending.iter().find_map(|(id, pending)| match &pending.what {
                Asked::Spawn { agent, tree, .. } if *agent == body.agent => Some((*id, tree.clone())),
                Asked::Spawn { .. } | Asked::Check { .. } | Asked::Merge { .. } => None,
            })?;
            let is_unchanged = body.tree_after == body.tree_before;
            let tree_after = if is_unchanged { tree.clone() } else { body.tree_after };
            SpawnFinished { spawn, tree_before: tree, tree_after, ..body }.into()
        }
        Event::CheckFinished(body) => {
            let (request, tree) = state.pending.iter().find_map(|(id, pending)| match &pending.what {
                Asked::Check { check, tree } if *check == body.check => Some((*id, tree.clone())),
                Asked::Spawn { .. } | Asked::Check { .. } | Asked::Merge { .. } => None,
            })?;
            CheckFinished { request, tree, ..body }.into()
        }
        Event::MergeFinished(body) => {
            let is_merge = |what: &Asked| matches!(what, Asked::Merge { .. });
            let merge = state.pending.iter().find(|(_, pending)| is_merge(&pending.what))?.0;
            MergeFinished { merge: *merge, ..body }.into()
        }
        Event::EffectOrphaned(body) => EffectOrphaned { effect: like(whole, state, body.effect)? }.into(),
        Event::TimerFired(body) => TimerFired { subject: timed(whole, state, body.subject)? }.into(),
        Event::GateAnswered(body) => {
            let gate = state.gate.as_ref()?;
            let is_same_role = match whole.at(body.gate).map(|event| &event.body) {
                Some(Event::GateOpened(opened)) => opened.role == gate.role,
                _ => false,
            };
            let is_over_another = body.signature.is_some() && body.artifact != Some(gate.artifact);
            if !is_same_role || is_over_another {
                return None;
            }
            GateAnswered { gate: gate.sequence, artifact: body.artifact.map(|_| gate.artifact), ..body }.into()
        }
        Event::RiskAccepted(body) => {
            let Some(Event::FindingRaised(raised)) = whole.at(body.finding).map(|event| &event.body) else {
                return None;
            };
            let standing = |(_, found): &(&u64, &loom_core::state::Standing)| {
                found.fingerprint == raised.fingerprint && !found.waived
            };
            RiskAccepted { finding: *state.findings.iter().find(standing)?.0, ..body }.into()
        }
        Event::RecoveryRequested(body) => {
            let spawns: Option<Vec<u64>> = body.spawns.iter().map(|spawn| like(whole, state, *spawn)).collect();
            RecoveryRequested { spawns: spawns?.into(), ..body }.into()
        }
        Event::RequestRefused(body) if matches!(actor, Actor::Person { .. }) => asked(&body)?,
        other => other,
    })
}

/// Returns a request of the kind and id that were refused to a descendant of a spawn: nothing else of it is on record, and nothing
/// else is looked at before it is refused again (COMMIT-6).
fn asked(refused: &RequestRefused) -> Option<Event> {
    let (request, none) = (refused.request.clone(), Digest::default());
    Some(match schema_named(&refused.what)?.code {
        code if code == GateAnswered::SCHEMA.code => {
            let (answer, note, artifact, signature, signer) = (Answer::Abandon, None, None, None, None);
            GateAnswered { request, gate: 0, answer, note, artifact, signature, signer }.into()
        }
        code if code == RunSteered::SCHEMA.code => RunSteered { request, note: none }.into(),
        code if code == RecoveryRequested::SCHEMA.code => {
            RecoveryRequested { request, choice: Recovery::Abandon, spawns: List::default() }.into()
        }
        code if code == RiskAccepted::SCHEMA.code => RiskAccepted { request, finding: 0, reason: none }.into(),
        code if code == RunCancelled::SCHEMA.code => RunCancelled { request, reason: None }.into(),
        code if code == RunPaused::SCHEMA.code => RunPaused { request }.into(),
        code if code == RunResumed::SCHEMA.code => RunResumed { request }.into(),
        // A rule set that was to be added would have to be there.
        _ => return None,
    })
}

/// Returns what is under way of the agent or check that was asked for by a recorded event.
fn like(whole: &Whole, state: &State, recorded: u64) -> Option<u64> {
    let asked = &whole.at(recorded)?.body;
    let is_like = |what: &Asked| match (what, asked) {
        (Asked::Spawn { agent, .. }, Event::SpawnRequested(body)) => *agent == body.agent,
        (Asked::Check { check, .. }, Event::CheckRequested(body)) => *check == body.check,
        _ => false,
    };
    state.pending.iter().find(|(_, pending)| is_like(&pending.what)).map(|(id, _)| *id)
}

/// Returns what waits for a time as a recorded event did.
fn timed(whole: &Whole, state: &State, recorded: u64) -> Option<u64> {
    match &whole.at(recorded)?.body {
        Event::GateOpened(_) => state.gate.as_ref().map(|gate| gate.sequence),
        Event::RunPaused(_) => state.hold.as_ref().map(|hold| hold.since),
        Event::SpawnRequested(body) => {
            let waits = state.timers.iter().find(|(_, timer)| timer.agent == body.agent).map(|(subject, _)| *subject);
            waits.or_else(|| like(whole, state, recorded))
        }
        _ => like(whole, state, recorded),
    }
}
