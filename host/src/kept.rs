//! What is kept of an output that is longer than anybody reads.

use loom_tools::Capture;

/// Longest word that is left out where an output was cut, in bytes.
const WORD_BYTES_MAX: usize = 4096;

/// Keeps the start and the end of an output that is longer than anybody reads.
pub(crate) fn capped(output: Vec<u8>, bytes_max: usize) -> Vec<u8> {
    let half = bytes_max / 2;
    match output.len().checked_sub(bytes_max) {
        None | Some(0) => output,
        Some(dropped) => {
            let (head, tail) = (output[..half].to_vec(), output[output.len() - half..].to_vec());
            whole_words(Capture { head, dropped_bytes: dropped as u64, tail }).to_bytes()
        }
    }
}

/// Cuts an output with a gap back to whole words on both sides: half of a secret would not be known for one (REDACT-6).
pub(crate) fn whole_words(mut capture: Capture) -> Capture {
    if capture.dropped_bytes > 0 {
        let is_space = |byte: &u8| byte.is_ascii_whitespace();
        let head = capture.head.len() - capture.head.iter().rev().take(WORD_BYTES_MAX).position(is_space).unwrap_or(0);
        let tail = capture.tail.iter().take(WORD_BYTES_MAX).position(is_space).unwrap_or(0);
        capture.dropped_bytes += (capture.head.len() - head + tail) as u64;
        capture.head.truncate(head);
        capture.tail.drain(..tail);
    }
    capture
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1024 * 1024;

    #[test]
    fn an_output_with_a_gap_ends_between_words() {
        let secret = "half-of-a-secret";
        let long = format!("{} {secret}", "word ".repeat(MAX / 10 - 2));
        let kept = String::from_utf8(capped(format!("{long}{}{secret} {long}", "x".repeat(MAX)).into(), MAX)).unwrap();
        assert!(kept.len() <= MAX + 100 && kept.starts_with("word ") && kept.ends_with("secret"));
        assert_eq!(kept.matches("half").count(), 1, "only the last is whole");
        let short = Capture { head: b"all of it".to_vec(), dropped_bytes: 0, tail: Vec::new() };
        assert_eq!(whole_words(short).to_bytes(), b"all of it");
    }
}
