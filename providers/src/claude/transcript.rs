//! What the command prints: one JSON object a line, as `--output-format stream-json` has it (seen with 2.1.197).
//!
//! Whatever a model says may stand in it, and its middle or end may be missing: a line that is not understood says
//! nothing, and no line is an error (HARNESS-6). Lines end with LF only; U+2028 stands raw in strings.

use loom_core::answer::clip;
use serde_json::Value;

/// Longest line that is handed on of what an agent does just now; what is shown of it is cut once secrets are out of it.
const SHOWN_BYTES_MAX: usize = 4_096;

/// What a transcript tells; each field is the last word on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    pub(super) session: Option<String>,
    /// The version of the command.
    pub(super) version: Option<String>,
    /// The model that was asked for.
    pub(super) model: Option<String>,
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
            // An agent that the agent called speaks to it, not to us.
            ("assistant", _) if line["parent_tool_use_id"].is_null() => read.message.take(&line["message"]),
            ("result", _) => read.ending = Some(ending(&line)),
            _ => {}
        }
    }
    read
}

/// Returns what a line shows of what is done just now: the last line of what is said, or the tool that is used.
pub(super) fn shown(line: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_str(&String::from_utf8_lossy(line)).ok()?;
    if line["type"] != "assistant" {
        return None;
    }
    let blocks = line["message"]["content"].as_array()?;
    let shown = blocks.iter().rev().find_map(|block| match block["type"].as_str()? {
        "text" => block["text"].as_str()?.lines().rev().find(|line| !line.trim().is_empty()).map(str::to_string),
        "tool_use" => {
            let name = block["name"].as_str()?;
            let mut of_what = ["command", "file_path", "pattern", "description"].iter();
            let of_what = of_what.find_map(|key| block["input"][*key].as_str()?.lines().next());
            Some(of_what.map_or_else(|| name.to_string(), |of_what| format!("{name}: {of_what}")))
        }
        _ => None,
    })?;
    Some(clip(shown.trim(), SHOWN_BYTES_MAX))
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
    let used = line["modelUsage"].as_object().filter(|used| !used.is_empty());
    let denials = line["permission_denials"].as_array().map(Vec::as_slice).unwrap_or_default();
    Ending {
        subtype: text(line, "subtype").unwrap_or_default(),
        is_error: line["is_error"].as_bool().unwrap_or(true),
        api_status: line["api_error_status"].as_u64(),
        stop_reason: text(line, "stop_reason"),
        text: text(line, "result"),
        denied: denials.iter().map(|denial| text(denial, "tool_name").unwrap_or_default()).collect(),
        // Empty, it knows nothing of what was used.
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
