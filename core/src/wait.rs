//! How long a run waits that was turned away by a rate limit (LOOP-7).
//!
//! A function of what is on record: no chance is needed, since each run has an agent under way once (EFFECT-4).

/// First wait where nobody says how long; it doubles each time in a row, up to [`MOST_MS`].
const FIRST_MS: u64 = 60_000;
const MOST_MS: u64 = 3_600_000;
/// Least second wait where the endpoint says how long; it doubles each time in a row, up to [`LEAST_MOST_MS`].
const LEAST_MS: u64 = 1_000;
const LEAST_MOST_MS: u64 = 60_000;

/// Returns until when is waited, in milliseconds since the epoch, after having been turned away so many times in a row.
///
/// What the endpoint says (`said_ms`) holds. One that says "now" again and again is asked ever more seldom all the same.
/// Nobody waits for longer than `longest_ms`, in which a person would have been asked for an answer (GATE-3).
pub(crate) fn due_ms(now_ms: u64, said_ms: Option<u64>, times: u64, longest_ms: u64) -> u64 {
    let due_ms = match said_ms {
        Some(said_ms) if times < 2 => said_ms.max(now_ms),
        Some(said_ms) => said_ms.max(now_ms.saturating_add(doubled(LEAST_MS, times - 2, LEAST_MOST_MS))),
        None => now_ms.saturating_add(doubled(FIRST_MS, times.saturating_sub(1), MOST_MS)),
    };
    due_ms.min(now_ms.saturating_add(longest_ms))
}

fn doubled(first_ms: u64, times: u64, most_ms: u64) -> u64 {
    first_ms.saturating_mul(1 << times.min(32)).min(most_ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_their_ceilings() {
        let unsaid = [1, 2, 6, 7, 8, u64::MAX].map(|times| due_ms(5, None, times, u64::MAX) - 5);
        assert_eq!(unsaid, [60_000, 120_000, 1_920_000, 3_600_000, 3_600_000, 3_600_000]);
        let said_now = [1, 2, 3, 7, 8, 9, u64::MAX].map(|times| due_ms(5, Some(0), times, u64::MAX) - 5);
        assert_eq!(said_now, [0, 1_000, 2_000, 32_000, 60_000, 60_000, 60_000]);
    }

    #[test]
    fn what_is_said_holds_within_bounds() {
        for times in [1, 2, 100] {
            assert_eq!(due_ms(5, Some(90_005), times, 100_000), 90_005);
            assert_eq!(due_ms(5, Some(u64::MAX), times, 100_000), 100_005);
            assert_eq!(due_ms(u64::MAX, None, times, u64::MAX), u64::MAX);
        }
    }
}
