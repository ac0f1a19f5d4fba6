//! What the command prints: one JSON object a line, as `--output-format stream-json` has it (seen with 2.1.197).
//!
//! Whatever a model says may stand in it, and its middle or end may be missing: a line that is not understood says
//! nothing, and no line is an error (HARNESS-6). Lines end with LF only; U+2028 stands raw in strings.

use crate::provider::Live;
use loom_core::answer::clip;
use serde_json::Value;

/// Longest line that is shown of what an agent does just now.
const LIVE_BYTES_MAX: usize = 200;

/// What a transcript tells; each field is the last word on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    pub(super) session: Option<String>,
    /// The version of the command.
    pub(super) version: Option<String>,
    /// The model that was asked for.
    pub(super) model: Option<String>,
    /// The last time that a request failed and is to be sent again; none once a message has come since.
    pub(super) retry: Option<Retry>,
    /// The model's last message, all of its text; empty where it had none.
    pub(super) message: Message,
    pub(super) ending: Option<Ending>,
}

/// A message of the model, put together from its lines: each block has one of its own.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) text: String,
}

/// A request that failed and that the command means to send again.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Retry {
    /// The status of the failure; absent where there was no answer.
    pub(super) status: Option<u64>,
    /// How long the command waits before it.
    pub(super) delay_ms: Option<u64>,
}

/// The last line of a run that came to its end.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Ending {
    pub(super) subtype: String,
    pub(super) is_error: bool,
    /// The status with which the endpoint refused, if that ended it.
    pub(super) api_status: Option<u64>,
    pub(super) stop_reason: Option<String>,
    /// The last block of the last message, or what went wrong.
    pub(super) text: Option<String>,
    /// The tools whose use was denied.
    pub(super) denied: Vec<String>,
    pub(super) tokens_in: Option<u64>,
    pub(super) tokens_out: Option<u64>,
    pub(super) money_micro: Option<u64>,
}

/// Reads what was printed.
pub(super) fn read(printed: &[u8]) -> Transcript {
    let mut read = Transcript::default();
    for line in printed.split(|byte| *byte == b'\n') {
        // Bytes that are no text may stand in a string; the rest of the line is as good as ever.
        let Ok(line) = serde_json::from_str::<Value>(&String::from_utf8_lossy(line)) else { continue };
        if let Some(session) = text(&line, "session_id") {
            read.session = Some(session);
        }
        match (line["type"].as_str().unwrap_or_default(), line["subtype"].as_str().unwrap_or_default()) {
            ("system", "init") => {
                read.model = text(&line, "model").or(read.model);
                read.version = text(&line, "claude_code_version").or(read.version);
            }
            ("system", "api_retry") => {
                let delay_ms = line["retry_delay_ms"].as_f64().and_then(|delay| whole(delay.ceil()));
                read.retry = Some(Retry { status: line["error_status"].as_u64(), delay_ms });
            }
            ("assistant", _) => {
                read.retry = None;
                // An agent that the agent called speaks to it, not to us.
                if line["parent_tool_use_id"].is_null() {
                    read.message.take(&line["message"]);
                }
            }
            ("result", _) => read.ending = Some(ending(&line)),
            _ => {}
        }
    }
    read
}

/// Returns what a line shows of what is done just now: the last line of what is said, or the tool that is used. A
/// message's own usage replaces what an earlier line of the same message said of it.
pub(super) fn live(line: &[u8], so_far: &mut Usage) -> Option<Live> {
    let line: Value = serde_json::from_str(&String::from_utf8_lossy(line)).ok()?;
    if line["type"] != "assistant" {
        return None;
    }
    let message = &line["message"];
    so_far.take(message);
    let shown = message["content"].as_array()?.iter().rev().find_map(|block| match block["type"].as_str()? {
        "text" => block["text"].as_str()?.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_string),
        "tool_use" => {
            let name = block["name"].as_str()?;
            let of_what = ["command", "file_path", "pattern", "description"];
            let of_what = of_what.iter().find_map(|key| block["input"][*key].as_str()?.lines().next());
            Some(of_what.map_or_else(|| name.to_string(), |of_what| format!("{name}: {of_what}")))
        }
        _ => None,
    })?;
    let (tokens_in, tokens_out) = so_far.sum();
    Some(Live { line: clip(shown.trim(), LIVE_BYTES_MAX), tokens_in, tokens_out })
}

/// What the messages so far say that they used.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Of the messages before the last, read and written.
    before: (u64, u64),
    id: String,
    last: (u64, u64),
}

impl Usage {
    fn take(&mut self, message: &Value) {
        let id = text(message, "id").unwrap_or_default();
        if id != self.id {
            let (read, written) = self.sum();
            *self = Usage { before: (read.unwrap_or(0), written.unwrap_or(0)), id, last: (0, 0) };
        }
        let of = |key: &str| message["usage"][key].as_u64().unwrap_or(0);
        let read = ["input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"].map(of);
        self.last = (read.into_iter().fold(0, u64::saturating_add), of("output_tokens"));
    }

    fn sum(&self) -> (Option<u64>, Option<u64>) {
        (self.before.0.checked_add(self.last.0), self.before.1.checked_add(self.last.1))
    }
}

impl Message {
    fn take(&mut self, message: &Value) {
        let id = text(message, "id").unwrap_or_default();
        if id != self.id {
            *self = Message { id, text: String::new() };
        }
        for block in message["content"].as_array().into_iter().flatten() {
            if block["type"] == "text" {
                self.text.push_str(block["text"].as_str().unwrap_or_default());
            }
        }
    }
}

fn ending(line: &Value) -> Ending {
    // Not `usage`: that leaves out agents that it called, and messages that it had to ask for once more (HARNESS-5).
    // Empty, it says that nothing was used; that is so where the endpoint refused, not where a message broke off.
    let api_status = line["api_error_status"].as_u64();
    let used = line["modelUsage"].as_object().filter(|used| !used.is_empty() || api_status.is_some());
    let sum = |keys: &[&str]| {
        let mut tokens = used?.values().flat_map(|used| keys.iter().map(|key| used[*key].as_u64()));
        tokens.try_fold(0_u64, |sum, tokens| sum.checked_add(tokens?))
    };
    let denials = line["permission_denials"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ending {
        subtype: text(line, "subtype").unwrap_or_default(),
        is_error: line["is_error"].as_bool().unwrap_or(true),
        api_status,
        stop_reason: text(line, "stop_reason"),
        text: text(line, "result"),
        denied: denials.iter().map(|denial| text(denial, "tool_name").unwrap_or_default()).collect(),
        // What was read from a cache or written to it was read too.
        tokens_in: sum(&["inputTokens", "cacheReadInputTokens", "cacheCreationInputTokens"]),
        tokens_out: sum(&["outputTokens"]),
        money_micro: used.and(line["total_cost_usd"].as_f64()).and_then(|dollars| whole((dollars * 1e6).round())),
    }
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_string)
}

/// Returns a number as an integer, if it is one that a double holds exactly.
fn whole(number: f64) -> Option<u64> {
    const EXACT_MAX: f64 = 9_007_199_254_740_991.0;
    (0.0..=EXACT_MAX).contains(&number).then_some(number as u64)
}
