//! Which blobs an event names.
//!
//! The match names every kind: a new kind stops the build here, where it must be thought of.

use crate::id::Digest;
use crate::kind::Event;
use crate::process::Bundle;
use alloc::vec;
use alloc::vec::Vec;

/// Returns the digests of the blobs that an event names (BLOB-4), in the order of its fields.
pub fn named(event: &Event) -> Vec<Digest> {
    match event {
        Event::RunOpened(body) => {
            [body.task, body.bundle].into_iter().chain(body.rules.iter().copied()).chain(body.checks).collect()
        }
        Event::GateAnswered(body) => body.note.into_iter().collect(),
        Event::RunSteered(body) => vec![body.note],
        Event::RiskAccepted(body) => vec![body.reason],
        Event::RulesAdded(body) => vec![body.rules],
        Event::RulesArmed(body) => vec![body.rules],
        Event::RulesRetired(body) => vec![body.rules],
        Event::BlobsRedacted(body) => vec![body.why],
        Event::RunCancelled(body) => body.reason.into_iter().collect(),
        Event::SpawnFinished(body) => {
            [body.prompt, body.output, body.answer, body.delta, body.transcript].into_iter().flatten().collect()
        }
        Event::CheckFinished(body) => body.output.into_iter().collect(),
        Event::SpawnRequested(body) => vec![body.recipe],
        Event::RecoveryRequested(_)
        | Event::RunPaused(_)
        | Event::RunResumed(_)
        | Event::RequestRefused(_)
        | Event::MergeFinished(_)
        | Event::TimerFired(_)
        | Event::EffectOrphaned(_)
        | Event::FindingRaised(_)
        | Event::VerdictGiven(_)
        | Event::PathsChanged(_)
        | Event::BudgetSettled(_)
        | Event::Refused(_)
        | Event::Violation(_)
        | Event::RequestDeclined(_)
        | Event::FlowChosen(_)
        | Event::StageEntered(_)
        | Event::CheckRequested(_)
        | Event::GateOpened(_)
        | Event::GateWithdrawn(_)
        | Event::GateDecided(_)
        | Event::FindingResolved(_)
        | Event::FindingWaived(_)
        | Event::WalkedBack(_)
        | Event::AgentEscalated(_)
        | Event::TimerSet(_)
        | Event::MergeIntended(_)
        | Event::RunClosed(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::KeyRetired(_) => Vec::new(),
    }
}

/// Returns the blobs of the terms that an event names, which every reader needs: bundle, rules, checks.
pub fn terms(event: &Event) -> Vec<Digest> {
    if let Event::RunOpened(body) = event {
        core::iter::once(body.bundle).chain(body.rules.iter().copied()).chain(body.checks).collect()
    } else if let Event::RulesAdded(body) = event {
        vec![body.rules]
    } else {
        Vec::new()
    }
}

/// Returns the templates and schemas that a bundle's content names; none for content that is no bundle.
pub fn within_bundle(content: &[u8]) -> Vec<Digest> {
    let Ok(bundle) = Bundle::decode(content) else { return Vec::new() };
    let mut digests: Vec<Digest> = bundle.agents.values().flat_map(|agent| [agent.template, agent.schema]).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}
