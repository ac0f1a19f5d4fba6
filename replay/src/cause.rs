//! What an event rests on: the input of its commit, and the earlier events that it names.
//!
//! The match names every kind: a new kind stops the build here, where it must be thought of.

use loom_core::event::Envelope;
use loom_core::id::Actor;
use loom_core::kind::Event;
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};

/// An earlier event of the same run, and what it is to the later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// What it is to the event: "asked for by", say.
    pub what: &'static str,
    /// Its sequence.
    pub sequence: u64,
}

/// Returns what an event rests on, the latest first, each once.
pub fn causes(envelope: &Envelope) -> Vec<Cause> {
    let mut found = named(&envelope.body);
    if envelope.input != envelope.sequence {
        found.push(Cause { what: "follows from the input", sequence: envelope.input });
    }
    found.retain(|cause| cause.sequence < envelope.sequence);
    found.sort_by_key(|cause| Reverse(cause.sequence));
    found.dedup_by_key(|cause| cause.sequence);
    found
}

/// Returns the earlier events that an event names.
pub fn named(event: &Event) -> Vec<Cause> {
    let one = |what, sequence| vec![Cause { what, sequence }];
    match event {
        Event::SpawnFinished(body) => one("asked for by", body.spawn),
        Event::CheckFinished(body) => one("asked for by", body.request),
        Event::MergeFinished(body) => one("asked for by", body.merge),
        Event::EffectOrphaned(body) => one("asked for by", body.effect),
        Event::TimerFired(body) => one("the time of", body.subject),
        Event::GateAnswered(body) => one("answers the gate", body.gate),
        Event::GateDecided(body) => body.gate.map(|gate| one("decides the gate", gate)).unwrap_or_default(),
        Event::GateWithdrawn(body) => one("withdraws the gate", body.gate),
        Event::FindingRaised(body) => one("found by", body.source),
        Event::FindingResolved(body) => one("resolves the finding", body.finding),
        Event::FindingWaived(body) => one("waives the finding", body.finding),
        Event::RiskAccepted(body) => one("takes the risk of", body.finding),
        Event::GateOpened(body) => {
            body.blockers.iter().map(|blocker| Cause { what: "blocked by", sequence: *blocker }).collect()
        }
        Event::MergeIntended(body) => one("rests on the decision", body.decision),
        Event::Violation(body) => one("broken by", body.event),
        Event::VerdictGiven(body) => one("given by", body.spawn),
        Event::PathsChanged(body) => one("changed by", body.spawn),
        Event::BudgetSettled(body) => one("spent by", body.effect),
        Event::TimerSet(body) => one("repeats", body.subject),
        Event::RecoveryRequested(body) => {
            body.spawns.iter().map(|spawn| Cause { what: "speaks of", sequence: *spawn }).collect()
        }
        Event::RunOpened(_)
        | Event::RunPaused(_)
        | Event::RunResumed(_)
        | Event::RunSteered(_)
        | Event::RulesAdded(_)
        | Event::RunCancelled(_)
        | Event::RequestRefused(_)
        | Event::Refused(_)
        | Event::RequestDeclined(_)
        | Event::FlowChosen(_)
        | Event::StageEntered(_)
        | Event::SpawnRequested(_)
        | Event::CheckRequested(_)
        | Event::WalkedBack(_)
        | Event::AgentEscalated(_)
        | Event::RunClosed(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::KeyRetired(_)
        | Event::RulesArmed(_)
        | Event::RulesRetired(_)
        | Event::BlobsRedacted(_) => Vec::new(),
    }
}

/// One step of a chain of causes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The event.
    pub sequence: u64,
    /// Its kind.
    pub kind: &'static str,
    /// The person whose request it is, where it is one.
    pub person: Option<String>,
    /// What the event before it in the chain is to it; empty for the first.
    pub what: &'static str,
}

/// Returns the shortest way from an event back to a request of a person, or else to an input that rests on nothing; the
/// event itself comes first. Of ways of one length, the one over the later events.
///
/// `read` gives the event of a sequence. What it does not give is as if it were not there.
pub fn chain<E>(sequence: u64, read: &mut dyn FnMut(u64) -> Result<Option<Envelope>, E>) -> Result<Vec<Step>, E> {
    // How each event was reached: from which one, and as what.
    let mut reached: BTreeMap<u64, (Option<u64>, Step)> = BTreeMap::new();
    let mut wanted = VecDeque::from([(sequence, None, "")]);
    let mut end = None;
    while let Some((at, from, what)) = wanted.pop_front() {
        if reached.contains_key(&at) {
            continue;
        }
        let Some(envelope) = read(at)? else { continue };
        let person = match &envelope.actor {
            Actor::Person { id, .. } => Some(id.clone()),
            Actor::Kernel | Actor::Host => None,
        };
        let is_person = person.is_some();
        let rests_on = causes(&envelope);
        reached.insert(at, (from, Step { sequence: at, kind: envelope.body.schema().name, person, what }));
        if is_person {
            end = Some(at);
            break;
        }
        if rests_on.is_empty() {
            end = end.or(Some(at));
        }
        wanted.extend(rests_on.into_iter().map(|cause| (cause.sequence, Some(at), cause.what)));
    }
    let mut steps = Vec::new();
    let mut at = end;
    while let Some((from, step)) = at.and_then(|at| reached.remove(&at)) {
        steps.push(step);
        at = from;
    }
    steps.reverse();
    Ok(steps)
}
