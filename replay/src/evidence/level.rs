//! Levels: what a reader may conclude, computed from what was checked (LEVEL-1).

use super::cover::Part;
use super::error::{EvidenceError, broken};
use super::note::{PublicKey, is_signed};
use super::receipt::About;
use super::statement::answer_of;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, StreamId, hex};
use loom_core::keys::answer;
use loom_core::kind::{CheckRequested, Event, GateAnswered, GateDecided, MergeIntended, SpawnRequested};
use loom_core::schema::KindSchema;
use loom_core::word::{DecidedBy, GateOutcome};
use std::collections::BTreeSet;

/// A level, and what is missing for the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Level {
    /// 0 to 5.
    pub number: u8,
    /// What the next one needs; `None` at the last.
    pub missing: Option<String>,
}

impl Level {
    /// Returns the level's name.
    pub fn name(&self) -> &'static str {
        match self.number {
            0 => "asserted",
            1 => "recorded",
            2 => "chained and whole",
            3 => "checkpointed and witnessed",
            4 => "effects witnessed by the host",
            _ => "approvals signed",
        }
    }

    /// Returns the level of a store, or a run in it, that was verified.
    pub fn of_store(is_whole: bool, is_checkpointed: bool) -> Self {
        match (is_whole, is_checkpointed) {
            (false, _) => Level::below(0, "what is recorded must be what was written"),
            (true, false) => Level::below(2, "a checkpoint that lies outside of the store: `--checkpoint`"),
            (true, true) => Level::below(3, "levels 4 and 5 are those of a run's or a gate's receipt: `loom prove`"),
        }
    }

    /// Returns the level of a trace that was verified: nothing vouches for it.
    pub fn of_trace(is_whole: bool) -> Self {
        match is_whole {
            false => Level::of_store(false, false),
            true => Level::below(2, "a trace is held against nothing; a receipt of its run is: `loom prove`"),
        }
    }

    fn below(number: u8, missing: impl Into<String>) -> Self {
        Level { number, missing: Some(missing.into()) }
    }
}

/// What was found out about who vouches for a receipt.
pub(super) struct Vouched {
    pub(super) is_pinned: bool,
    pub(super) is_witnessed: bool,
}

/// Returns the level of a receipt whose proofs and signatures hold.
pub(super) fn of_receipt(about: About, part: &Part<'_>, vouched: &Vouched, persons: &[PublicKey]) -> Level {
    if !vouched.is_pinned {
        return Level::below(2, "the key that signed is one that nobody vouched for: `--key`");
    }
    if !vouched.is_witnessed {
        return Level::below(2, "nobody outside of the store witnessed the checkpoint: `--witness` or `--checkpoint`");
    }
    if let Some(missing) = unwitnessed(about, part) {
        return Level::below(3, missing);
    }
    match unsigned(part, persons) {
        Some(missing) => Level::below(4, missing),
        None => Level { number: 5, missing: None },
    }
}

/// Returns the first effect that the host did not witness. An outcome is that of its own kind of request.
fn unwitnessed(about: About, part: &Part<'_>) -> Option<String> {
    let mut done = BTreeSet::new();
    let mut is_done = |schema: &KindSchema, of: u64| {
        done.insert((schema.code, of));
    };
    let mut is_closed = false;
    for covered in part.values() {
        match &covered.envelope.body {
            Event::SpawnFinished(body) => is_done(&SpawnRequested::SCHEMA, body.spawn),
            Event::CheckFinished(body) => is_done(&CheckRequested::SCHEMA, body.request),
            Event::MergeFinished(body) => is_done(&MergeIntended::SCHEMA, body.merge),
            Event::RunClosed(_) => is_closed = true,
            _ => {}
        }
    }
    for (sequence, covered) in part {
        let fence = match &covered.envelope.body {
            Event::SpawnRequested(_) | Event::CheckRequested(_) | Event::MergeIntended(_)
                if !done.contains(&(covered.envelope.body.schema().code, *sequence)) =>
            {
                let kind = covered.envelope.body.schema().name;
                return Some(format!("{kind} #{sequence} has no outcome that the host witnessed"));
            }
            Event::SpawnFinished(body) => &body.fence,
            Event::CheckFinished(body) => &body.fence,
            _ => continue,
        };
        if fence.as_deref() == Some("none") {
            return Some(format!("#{sequence} was done without a fence"));
        }
    }
    if done.is_empty() {
        return Some("it covers no effect".to_string());
    }
    (about == About::Run && !is_closed).then(|| "the run has not ended in it".to_string())
}

/// Returns what keeps the approvals from being signed by people whom the reader knows. The signatures are checked
/// already, but one that fits proves no more than that its person gave that answer to that gate: whoever writes the
/// history can put an honest answer in front of another decision.
fn unsigned(part: &Part<'_>, persons: &[PublicKey]) -> Option<String> {
    let mut approvals = 0;
    for (sequence, covered) in part {
        let decided = match &covered.envelope.body {
            Event::GateDecided(decided) => decided,
            Event::MergeIntended(merge) if !is_approved(part, merge) => {
                return Some(format!("the merge #{sequence} is not of what #{} approved", merge.decision));
            }
            _ => continue,
        };
        let is_approval = decided.outcome == GateOutcome::Accepted;
        let named = format!("the {} #{sequence}", if is_approval { "approval" } else { "decision" });
        approvals += usize::from(is_approval);
        match decided.by {
            DecidedBy::Person => {}
            DecidedBy::Policy | DecidedBy::Deadline if is_approval => {
                return Some(format!("{named} is no person's: the policy `human` asks one"));
            }
            DecidedBy::Policy | DecidedBy::Deadline => continue,
        }
        let Some(Event::GateAnswered(answered)) = answer_of(part, *sequence).map(|answer| &answer.body) else {
            return Some(format!("{named} follows from no answer of a person"));
        };
        let Some(signer) = &answered.signer else {
            return Some(format!("{named} is not signed: `loom answer --sign`"));
        };
        if !is_bound(part, answered, decided) {
            return Some(format!("{named} is not what was signed: that is another gate, answer or artifact"));
        }
        if !persons.contains(signer) {
            return Some(format!("{named} is signed by {}, whom nobody vouched for: `--person`", hex(signer)));
        }
    }
    (approvals == 0).then(|| "there is no approval in it".to_string())
}

/// Whether an answer is the one that a decision says was given: to its gate, with its outcome, over the artifact that
/// was opened with and decided about.
fn is_bound(part: &Part<'_>, answered: &GateAnswered, decided: &GateDecided) -> bool {
    let is_opened = part.get(&answered.gate).is_some_and(
        |covered| matches!(&covered.envelope.body, Event::GateOpened(opened) if opened.artifact == decided.artifact),
    );
    is_opened
        && decided.gate == Some(answered.gate)
        && decided.outcome == answered.answer.outcome()
        && answered.artifact == Some(decided.artifact)
}

/// Whether what is merged is what was accepted (MERGE-3).
fn is_approved(part: &Part<'_>, merge: &MergeIntended) -> bool {
    part.get(&merge.decision).is_some_and(|covered| match &covered.envelope.body {
        Event::GateDecided(decided) => {
            decided.outcome == GateOutcome::Accepted
                && (decided.artifact, &decided.tree) == (merge.artifact, &merge.tree)
        }
        _ => false,
    })
}

/// Checks the signatures of all answers that are there (SIGNED-2).
pub(super) fn check_answers(part: &Part<'_>) -> Result<(), EvidenceError> {
    for (sequence, covered) in part {
        let Envelope { stream, actor, body, .. } = &covered.envelope;
        if let Event::GateAnswered(body) = body
            && let Some(what) = answer_flaw(stream, actor, body)
        {
            return Err(broken("SIGNED-2", format!("the answer #{sequence}: {what}")));
        }
    }
    Ok(())
}

/// Returns why an answer is not signed as it says (SIGNED-2); `None` where it is, or says that nobody signed it.
pub(crate) fn answer_flaw(stream: &StreamId, actor: &Actor, body: &GateAnswered) -> Option<&'static str> {
    let says_signed = matches!(actor, Actor::Person { assurance: Assurance::Signed, .. });
    match (says_signed, body.signature, body.signer, body.artifact) {
        (false, None, None, _) => None,
        (true, Some(signature), Some(signer), Some(artifact)) => {
            let message = answer(stream, body.gate, body.answer, &artifact);
            (!is_signed(&signer, &message, &signature)).then_some("the signature of an answer does not fit")
        }
        _ => Some("the actor of an answer and its signature do not belong together"),
    }
}
