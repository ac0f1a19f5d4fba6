//! Values as people read them. Nothing that an agent wrote reaches a terminal as a control character (CLI-3).

use jiff::Timestamp;
use loom_core::id::{Digest, StreamId, hex};
use std::path::Path;

/// Digits of an id that a line shows.
pub(crate) const SHORT: usize = 8;

/// Returns one line: control characters become visible.
pub(crate) fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_bidi(c) { visible(c) } else { c }).collect()
}

/// Returns text of several lines; line ends and tabs stay.
pub(crate) fn clean_block(text: &str) -> String {
    text.chars()
        .filter(|c| *c != '\r')
        .map(|c| if (c.is_control() && c != '\n' && c != '\t') || is_bidi(c) { visible(c) } else { c })
        .collect()
}

/// Returns JSON in which nothing steers a terminal. What would is written as an escape, which reads back as the same.
pub(crate) fn clean_json(json: &str) -> String {
    let mut clean = String::with_capacity(json.len());
    for c in json.chars() {
        if c >= '\u{7f}' && (c.is_control() || is_bidi(c)) {
            clean.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            clean.push(c);
        }
    }
    clean
}

fn visible(c: char) -> char {
    match u32::from(c) {
        code @ 0..=0x1f => char::from_u32(0x2400 + code).unwrap_or('\u{fffd}'),
        0x7f => '\u{2421}',
        _ => '\u{fffd}',
    }
}

/// Characters that make text read otherwise than it is stored.
fn is_bidi(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}')
}

/// Returns a path as people read it, on one line.
pub(crate) fn shown(path: &Path) -> String {
    clean(&path.to_string_lossy())
}

/// Returns bytes as text, cleaned.
pub(crate) fn lossy(bytes: &[u8]) -> String {
    clean(&String::from_utf8_lossy(bytes))
}

/// Returns at most `max` characters of one line.
pub(crate) fn clip(text: &str, max: usize) -> String {
    let line = clean(text.lines().next().unwrap_or_default());
    if line.chars().count() <= max {
        return line;
    }
    line.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Returns the first digits of a digest.
pub(crate) fn short(digest: &Digest) -> String {
    hex(&digest.0[..SHORT / 2])
}

/// Returns the first digits of a run's stream.
pub(crate) fn run8(stream: &StreamId) -> String {
    hex(&stream.0[..SHORT / 2])
}

/// Returns a time in UTC as people read it.
pub(crate) fn time(ms: u64) -> String {
    instant(ms).map_or_else(|| format!("{ms} ms"), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// Returns a time as RFC 3339 with milliseconds, in UTC.
pub(crate) fn rfc3339(ms: u64) -> String {
    instant(ms).map_or_else(|| ms.to_string(), |at| at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

fn instant(ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(ms).ok()?).ok()
}

/// Returns an amount of money, in units with cents or more digits where there are any.
pub(crate) fn money(micro: u64) -> String {
    let (units, rest) = (micro / 1_000_000, micro % 1_000_000);
    let digits = format!("{rest:06}");
    let kept = digits.trim_end_matches('0').len().max(2);
    format!("${units}.{}", &digits[..kept])
}

/// Returns a span of time.
pub(crate) fn span(ms: u64) -> String {
    match ms {
        0..=999 => format!("{ms}ms"),
        1_000..=59_999 => format!("{}.{}s", ms / 1_000, ms % 1_000 / 100),
        60_000..=3_599_999 => format!("{}m{:02}s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{}h{:02}m", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// Returns a number of bytes.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = count.saturating_mul(10) / 1024;
    if count < 1024 {
        return format!("{count} B");
    }
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_never_reach_the_terminal() {
        assert_eq!(clean("a\u{1b}[31mb\nc\u{202e}d\u{61c}e"), "a␛[31mb␊c\u{fffd}d\u{fffd}e");
        assert_eq!(clean_block("a\r\nb\u{7}"), "a\nb␇");
    }

    #[test]
    fn json_stays_the_same_and_steers_no_terminal() {
        let text = "a\u{9b}31m\u{7f}\u{202e}\u{61c}\u{1b}é日\n";
        let clean = clean_json(&serde_json::to_string_pretty(&[text]).unwrap());
        assert_eq!(clean, "[\n  \"a\\u009b31m\\u007f\\u202e\\u061c\\u001bé日\\n\"\n]");
        assert_eq!(serde_json::from_str::<Vec<String>>(&clean).unwrap(), [text]);
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!([0, 10_000, 1_234_560, 3].map(money), ["$0.00", "$0.01", "$1.23456", "$0.000003"]);
        assert_eq!([5, 61_000, 3_600_000].map(span), ["5ms", "1m01s", "1h00m"]);
        assert_eq!([1023, 1024, 1_572_864].map(bytes), ["1023 B", "1.0 KiB", "1.5 MiB"]);
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00.000Z");
    }
}
