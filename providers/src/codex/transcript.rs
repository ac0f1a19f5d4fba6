//! What the command prints: one JSON object a line, as `codex exec --json` has it (seen with 0.169.0).
//!
//! Whatever a model says may stand in it, and its middle or end may be missing: a line that is not understood says
//! nothing, and no line is an error (HARNESS-6). Lines end with LF only.

use loom_core::answer::clip;
use serde_json::Value;

/// Longest line that is handed on of what an agent does just now; what is shown of it is cut once secrets are out of it.
const LIVE_BYTES_MAX: usize = 200;

/// What a transcript tells; each field is the last word on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    pub(super) session: Option<String>,
    /// What the model said last; none where it did something since.
    pub(super) message: Option<String>,
    /// What was not allowed to be done.
    pub(super) denied: Vec<String>,
    pub(super) ending: Option<Ending>,
    /// Whether a line was not whole.
    pub(super) is_cut: bool,
}

/// The last line of a run that came to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// The turn was completed.
    Completed,
    /// The turn failed, with what the command says of it.
    Failed(String),
}

/// Reads what was printed.
pub(super) fn read(printed: &[u8]) -> Transcript {
    let mut read = Transcript::default();
    for line in printed.split(|byte| *byte == b'\n') {
        // Bytes that are no text may stand in a string; the rest of the line is as good as ever.
        let Ok(line) = serde_json::from_str::<Value>(&String::from_utf8_lossy(line)) else {
            read.is_cut |= !line.is_empty();
            continue;
        };
        match line["type"].as_str().unwrap_or_default() {
            "thread.started" => read.session = text(&line, "thread_id"),
            "item.started" | "item.completed" => read.item(&line["item"], line["type"] == "item.completed"),
            "turn.completed" => read.ending = Some(Ending::Completed),
            "turn.failed" => read.ending = Some(Ending::Failed(text(&line["error"], "message").unwrap_or_default())),
            _ => {}
        }
    }
    read
}

impl Transcript {
    fn item(&mut self, item: &Value, is_complete: bool) {
        match item["type"].as_str().unwrap_or_default() {
            // A notice of the command itself.
            "error" | "reasoning" => {}
            "agent_message" => {
                if is_complete {
                    self.message = text(item, "text");
                }
            }
            kind => {
                self.message = None;
                if item["status"] == "declined" {
                    self.denied.push(text(item, "command").unwrap_or_else(|| kind.to_string()));
                }
            }
        }
    }
}

/// Returns what a line shows of what is done just now: the last line of what is said, or the command that is run.
pub(super) fn shown(line: &[u8]) -> Option<String> {
    let line: Value = serde_json::from_str(&String::from_utf8_lossy(line)).ok()?;
    let item = &line["item"];
    let shown = match (line["type"].as_str()?, item["type"].as_str()?) {
        ("item.completed", "agent_message") => {
            item["text"].as_str()?.lines().rev().find(|line| !line.trim().is_empty())?.to_string()
        }
        ("item.started", "command_execution") => {
            format!("Shell: {}", item["command"].as_str()?.lines().next().unwrap_or_default())
        }
        ("item.completed", "file_change") => {
            let changed = item["changes"].as_array()?.first()?["path"].as_str()?;
            format!("Edit: {changed}")
        }
        _ => return None,
    };
    Some(clip(shown.trim(), LIVE_BYTES_MAX))
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_string)
}
