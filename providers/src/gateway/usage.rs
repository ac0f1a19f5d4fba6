//! Reads what an answer says that it used, while it passes.
//!
//! Formats, as their vendors document them: the Messages API (server-sent events `message_start`, `message_delta`,
//! `message_stop`), the Responses API (`response.completed`, `response.incomplete`, `response.failed`) and chat
//! completions (chunks, the last of which may have `usage`; `[DONE]`). What is not understood says nothing.

use crate::lines::Lines;
use serde_json::Value;

/// Longest answer that comes in one piece and is read, in bytes.
const WHOLE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What an answer has said so far.
#[derive(Debug, Default)]
pub(super) struct Usage {
    pub(super) tokens_in: Option<u64>,
    pub(super) tokens_out: Option<u64>,
    pub(super) model: Option<String>,
    /// Whether it said that it is whole.
    pub(super) whole: bool,
}

/// An answer that is being read.
#[derive(Debug)]
pub(super) enum Reader {
    /// Server-sent events.
    Events(Lines, Usage),
    /// One JSON text.
    Whole(Vec<u8>),
}

impl Reader {
    pub(super) fn new(is_stream: bool) -> Self {
        if is_stream { Reader::Events(Lines::default(), Usage::default()) } else { Reader::Whole(Vec::new()) }
    }

    pub(super) fn take(&mut self, piece: &[u8]) {
        match self {
            Reader::Events(lines, usage) => lines.push(piece, |line| usage.take_line(line)),
            Reader::Whole(text) => {
                if text.len() + piece.len() <= WHOLE_BYTES_MAX {
                    text.extend_from_slice(piece);
                }
            }
        }
    }

    /// Returns what it said in the end.
    pub(super) fn finish(&mut self) -> Usage {
        match std::mem::replace(self, Reader::Whole(Vec::new())) {
            Reader::Events(_, usage) => usage,
            Reader::Whole(text) => {
                let mut usage = Usage::default();
                if let Ok(answer) = serde_json::from_slice::<Value>(&text) {
                    usage.take_message(&answer);
                    usage.whole = true;
                }
                usage
            }
        }
    }
}

impl Usage {
    fn take_line(&mut self, line: &[u8]) {
        let Some(data) = line.strip_prefix(b"data:") else { return };
        let data = data.trim_ascii();
        if data == b"[DONE]" {
            self.whole = true;
            return;
        }
        let Ok(event) = serde_json::from_slice::<Value>(data) else { return };
        match event["type"].as_str() {
            Some("message_start") => self.take_message(&event["message"]),
            Some("message_delta") => self.take_usage(&event["usage"]),
            Some("message_stop") => self.whole = true,
            Some("response.completed" | "response.incomplete" | "response.failed") => {
                self.take_message(&event["response"]);
                self.whole = true;
            }
            Some(_) => {}
            None => self.take_message(&event),
        }
    }

    fn take_message(&mut self, message: &Value) {
        if let Some(model) = message["model"].as_str() {
            self.model = Some(model.to_string());
        }
        self.take_usage(&message["usage"]);
    }

    fn take_usage(&mut self, usage: &Value) {
        let of = |key: &str| usage[key].as_u64();
        if let Some(read) = of("input_tokens") {
            // The Messages API does not count among them what was read from a cache or written to it.
            let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"].map(|key| of(key).unwrap_or(0));
            self.tokens_in = cached.into_iter().try_fold(read, u64::checked_add);
        }
        self.tokens_in = of("prompt_tokens").or(self.tokens_in);
        self.tokens_out = of("output_tokens").or(of("completion_tokens")).or(self.tokens_out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(is_stream: bool, answer: &str, expected: (Option<u64>, Option<u64>, Option<&str>, bool)) {
        for size in [1, 7, answer.len()] {
            let mut reader = Reader::new(is_stream);
            answer.as_bytes().chunks(size).for_each(|piece| reader.take(piece));
            let found = reader.finish();
            assert_eq!((found.tokens_in, found.tokens_out, found.model.as_deref(), found.whole), expected);
        }
    }

    #[test]
    fn messages() {
        let begin = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"m\",\"usage\":{\"input_tokens\":3,\
             \"cache_read_input_tokens\":4,\"cache_creation_input_tokens\":1,\"output_tokens\":1}}}\n\n";
        let end = "data: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
        check(true, begin, (Some(8), Some(1), Some("m"), false));
        check(true, &format!("{begin}{end}"), (Some(8), Some(9), Some("m"), true));
        let whole = "{\"model\":\"m\",\"usage\":{\"input_tokens\":3,\"output_tokens\":5}}";
        check(false, whole, (Some(3), Some(5), Some("m"), true));
        check(false, &whole[..20], (None, None, None, false));
    }

    #[test]
    fn responses() {
        let text = "data: {\"type\":\"response.created\",\"response\":{\"model\":\"m\",\"usage\":null}}\r\n\r\n\
             data: {\"type\":\"response.completed\",\"response\":{\"model\":\"m-1\",\"usage\":{\"input_tokens\":12,\
             \"input_tokens_details\":{\"cached_tokens\":5},\"output_tokens\":2}}}\r\n\r\n";
        check(true, text, (Some(12), Some(2), Some("m-1"), true));
    }

    #[test]
    fn chat_completions() {
        let chunk = "data: {\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[],\"usage\":null}\n\n";
        let last = "data: {\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":6}}\n\ndata: [DONE]\n\n";
        check(true, chunk, (None, None, Some("m"), false));
        check(true, &format!("{chunk}{last}"), (Some(7), Some(6), Some("m"), true));
    }

    #[test]
    fn what_no_number_can_hold_is_unknown() {
        let usage = format!(
            "{{\"usage\":{{\"input_tokens\":{0},\"cache_read_input_tokens\":{0},\"output_tokens\":-1}}}}",
            u64::MAX
        );
        check(false, &usage, (None, None, None, true));
        check(true, "data: {\"type\":\ndata: ]\nnothing\n\n", (None, None, None, false));
    }
}
