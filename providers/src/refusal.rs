//! What a service's refusal means for trying again, and what is concluded of an agent's program that was stopped. Every
//! way to a model judges alike (HARNESS-4).

use crate::gateway::Tally;
use crate::provider::Ended;
use loom_core::word::SpawnOutcome;

/// Longest text of what went wrong, in bytes.
pub(crate) const DETAIL_BYTES_MAX: usize = 1_000;
/// What a service says that has no room for anybody just now.
const OVERLOADED: u64 = 529;

/// Returns what a refusal by the endpoint means for trying again.
pub(crate) fn of_status(status: u64) -> SpawnOutcome {
    match status {
        429 | OVERLOADED => SpawnOutcome::Limited,
        // Too slow, in conflict, too early: these pass.
        408 | 409 | 425 => SpawnOutcome::Failed,
        400..=499 => SpawnOutcome::Broken,
        _ => SpawnOutcome::Failed,
    }
}

/// Returns what is concluded of a program that did not come to its end by itself, whatever it printed; nothing of one
/// that did.
pub(crate) fn stopped(ended: &Ended, tally: &Tally) -> Option<(SpawnOutcome, Option<String>)> {
    use SpawnOutcome::{Broken, Cancelled, Failed, Ok, TimedOut};
    let (outcome, detail) = match ended.outcome {
        Broken | Cancelled => (ended.outcome, ended.detail.clone()),
        _ if ended.outcome != Ok && tally.over_budget > 0 => {
            (Broken, format!("it wanted more than its {} requests", tally.requests))
        }
        // What it waits for may tell more than that it waited.
        TimedOut => {
            let words = last_words(&ended.detail);
            match refused(tally) {
                Some(status) => {
                    let outcome = of_status(status);
                    let outcome = if outcome == Failed { TimedOut } else { outcome };
                    (outcome, format!("refused with {status}, it meant to ask again: {words}"))
                }
                None => (TimedOut, words.to_string()),
            }
        }
        Ok | Failed | SpawnOutcome::Unparsable | SpawnOutcome::Limited => return None,
    };
    Some((outcome, Some(detail)))
}

/// Returns the status of the last answer, if that was a refusal.
pub(crate) fn refused(tally: &Tally) -> Option<u64> {
    tally.status.map(u64::from).filter(|status| !(200..300).contains(status))
}

/// Returns what is told of uses of tools that were denied; nothing where none was. Who goes on without them may answer
/// as well as anybody.
pub(crate) fn denied(tools: &[String]) -> Option<String> {
    (!tools.is_empty()).then(|| format!("it was denied the use of {}", tools.join(", ")))
}

/// Returns what went wrong, with what is told beside it.
pub(crate) fn with(what: &str, beside: Option<String>) -> String {
    beside.map_or_else(|| what.to_string(), |beside| format!("{what}; {beside}"))
}

/// Returns the end of a text, where a program says why it gave up; before that it may print its own source.
pub(crate) fn last_words(text: &str) -> &str {
    let mut start = text.len().saturating_sub(DETAIL_BYTES_MAX / 2);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
