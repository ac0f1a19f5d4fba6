//! Which events a receipt has, so that it proves what it is about and nothing is beside it (RECEIPT-4 to RECEIPT-6).

use super::error::{EvidenceError, broken};
use super::receipt::About;
use crate::error::Bad;
use crate::stretch::{Stretch, check_speaker};
use loom_core::event::{Envelope, View};
use loom_core::id::{EventId, StreamId};
use loom_core::kind::{Event, GateDecided, MergeIntended};
use loom_core::word::GateOutcome;
use std::collections::{BTreeMap, BTreeSet};

/// An event of a receipt.
#[derive(Debug, Clone)]
pub(super) struct Covered<'r> {
    pub(super) position: u64,
    pub(super) id: EventId,
    pub(super) envelope: Envelope,
    pub(super) bytes: &'r [u8],
}

/// Events of one stream, by sequence.
pub(super) type Part<'r> = BTreeMap<u64, Covered<'r>>;

/// Checks what stands beside each other in a stream: order, links, stamps (RECEIPT-4).
pub(super) fn check_links(part: &Part<'_>) -> Result<(), EvidenceError> {
    let wrong = |what: &str| Err(broken("RECEIPT-4", format!("events of a stream do not fit together: {what}")));
    for (before, after) in part.values().zip(part.values().skip(1)) {
        let (old, new) = (&before.envelope, &after.envelope);
        if before.position >= after.position {
            return wrong("their positions are not in order");
        }
        if new.sequence == old.sequence + 1 && new.previous != before.id {
            return wrong("the previous id is not that of the event before it (CHAIN-1)");
        }
        let fits = if new.input == old.input { new.stamp == old.stamp } else { new.stamp > old.stamp };
        if !fits {
            return wrong("their stamps do not fit (STAMP-1)");
        }
    }
    Ok(())
}

/// Checks a stream that is there from its first event on, as whole commits.
pub(super) fn check_whole(part: &Part<'_>, origin: [u8; 16], law: &'static str) -> Result<(), EvidenceError> {
    let told = |bad: Bad| broken(law, bad.to_string());
    let mut stretch = Stretch::new(Some(origin), true);
    for (sequence, event) in part {
        stretch.push(*sequence, event.bytes).map_err(told)?;
    }
    if !stretch.is_between_commits() {
        return Err(broken(law, "the stream ends inside a commit (COMMIT-1)"));
    }
    let mut whole = Stretch::new(Some(origin), false);
    whole.join(stretch).map_err(told)?;
    whole.repeated_request().map_or(Ok(()), |bad| Err(told(bad)))
}

/// Returns the decision of a gate, where it is there.
pub(super) fn decision_of<'p>(part: &'p Part<'_>, gate: u64) -> Option<(u64, &'p GateDecided)> {
    part.iter().find_map(|(sequence, covered)| match &covered.envelope.body {
        Event::GateDecided(decided) if decided.gate == Some(gate) || (*sequence == gate && decided.gate.is_none()) => {
            Some((*sequence, decided))
        }
        _ => None,
    })
}

/// Returns the merge that rests on a decision.
fn merge_of<'p>(part: &'p Part<'_>, decision: u64) -> Option<(u64, &'p MergeIntended)> {
    part.iter().find_map(|(sequence, covered)| match &covered.envelope.body {
        Event::MergeIntended(merge) if merge.decision == decision => Some((*sequence, merge)),
        _ => None,
    })
}

/// Returns the sequences that a receipt about `subject` has of its stream, as far as they are there (RECEIPT-6).
pub(super) fn wanted(about: About, part: &Part<'_>, subject: u64) -> Result<BTreeSet<u64>, EvidenceError> {
    let missing = || broken("RECEIPT-6", "the event that the receipt is about is missing");
    let of = part.get(&subject).ok_or_else(missing)?;
    let mut wanted = BTreeSet::from([0, subject, of.envelope.input]);
    let with_input = |wanted: &mut BTreeSet<u64>, sequence: u64| {
        wanted.insert(sequence);
        wanted.extend(part.get(&sequence).map(|covered| covered.envelope.input));
    };
    match (about, &of.envelope.body) {
        (About::Event, _) => {}
        (About::Run, _) => wanted.extend(0..=subject.min(part.len() as u64)),
        (About::Gate, Event::GateOpened(_) | Event::GateDecided(GateDecided { gate: None, .. })) => {
            if let Some((decision, decided)) = decision_of(part, subject) {
                with_input(&mut wanted, decision);
                if let (GateOutcome::Accepted, Some((merge, _))) = (decided.outcome, merge_of(part, decision)) {
                    with_input(&mut wanted, merge);
                    let finished = part.iter().find(|(_, covered)| {
                        matches!(&covered.envelope.body, Event::MergeFinished(finished) if finished.merge == merge)
                    });
                    wanted.extend(finished.map(|(sequence, _)| *sequence));
                }
            }
        }
        (About::Gate, _) => return Err(broken("RECEIPT-6", "the event that the receipt is about is no gate")),
    }
    Ok(wanted)
}

/// Checks that a receipt has what it is about, and nothing else of that stream.
pub(super) fn check_cover(about: About, part: &Part<'_>, subject: u64, origin: [u8; 16]) -> Result<(), EvidenceError> {
    let wanted = wanted(about, part, subject)?;
    if !wanted.iter().eq(part.keys()) {
        return Err(broken("RECEIPT-6", "the receipt lacks events of what it is about, or has others beside them"));
    }
    match about {
        About::Run => check_whole(part, origin, "RECEIPT-6")?,
        About::Event | About::Gate => part.values().try_for_each(check_caused)?,
    }
    check_links(part)
}

/// Checks that who caused an event may cause its kind; of whole commits [`check_whole`] looks at that.
fn check_caused(event: &Covered<'_>) -> Result<(), EvidenceError> {
    let wrong = |what: String| broken("RECEIPT-6", format!("the event #{}: {what}", event.envelope.sequence));
    let view = View::read(event.bytes).map_err(|error| wrong(error.to_string()))?;
    check_speaker(&view).map_err(|what| wrong(what.to_string()))
}

/// Checks that a run's stream is named by the request that opened it (RECEIPT-5).
pub(super) fn check_opening(part: &Part<'_>, origin: &[u8; 16]) -> Result<(), EvidenceError> {
    match part.get(&0).map(|first| (&first.envelope.body, first.envelope.stream)) {
        Some((Event::RunOpened(opened), stream)) if StreamId::of_run(origin, &opened.request) == stream => Ok(()),
        Some((Event::RunOpened(_), _)) => {
            Err(broken("RECEIPT-5", "the stream's name does not derive from its opening request (ID-4)"))
        }
        _ => Err(broken("RECEIPT-5", "the run's first event is missing")),
    }
}
