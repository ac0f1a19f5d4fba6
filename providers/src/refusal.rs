//! What a service's refusal means for trying again, and which words of a program that gave up are kept. Every way to a
//! model judges alike (HARNESS-4).

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

/// Returns the end of a text, where a program says why it gave up; before that it may print its own source.
pub(crate) fn last_words(text: &str) -> &str {
    let mut start = text.len().saturating_sub(DETAIL_BYTES_MAX / 2);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}
