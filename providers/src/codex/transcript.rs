//! What the command prints: one JSON object a line, as `codex exec --json` has it (seen with 0.169.0).
//!
//! Whatever a model says may stand in it, and its middle or end may be missing: a line that is not understood says
//! nothing, and no line is an error (HARNESS-6). Lines end with LF only.

use crate::provider::Live;
use loom_core::answer::clip;
use serde_json::Value;

/// Longest line that is shown of what an agent does just now.
const LIVE_BYTES_MAX: usize = 200;

/// What a transcript tells; each field is the last word on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Transcript {
    pub(super) session: Option<String>,
    /// What the model said last; none where it did something since.
    pub(super) message: Option<String>,
    /// Whether anything of the model came.
    pub(super) has_spoken: bool,
    /// What was not allowed to be done.
    pub(super) denied: Vec<String>,
    /// The last failure that the command told; none once the model has answered since.
    pub(super) failure: Option<Failure>,
    /// Whether an answer broke off, of which nobody knows what it used.
    pub(super) broke_off: bool,
    pub(super) ending: Option<Ending>,
    /// Whether a line was not whole.
    pub(super) is_cut: bool,
}

/// Something that went wrong between the command and the endpoint.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    /// The status with which the endpoint refused; absent where the command does not say, as of 5xx, or was not answered.
    pub(super) status: Option<u64>,
    /// The command's words.
    pub(super) what: String,
}

impl Failure {
    /// Reads the command's words: `unexpected status 401 …`, `… last status: 429 …`, or the body of an answer with 400.
    fn of(what: String) -> Self {
        let numbers = what.match_indices("status").filter_map(|(at, word)| {
            let rest = what[at + word.len()..].trim_start_matches([':', ' ']);
            rest.get(..3)?.parse().ok().filter(|status| (400..600).contains(status))
        });
        let is_body = || serde_json::from_str::<Value>(&what).is_ok_and(|body| body["error"].is_object());
        let status = numbers.last().or_else(|| is_body().then_some(400));
        Failure { status, what }
    }
}

/// The last line of a run that came to its end.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ending {
    /// The turn was completed.
    Completed { tokens_in: Option<u64>, tokens_out: Option<u64> },
    /// The turn failed, with what the command says of it.
    Failed(Failure),
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
            "error" => {
                let failure = Failure::of(text(&line, "message").unwrap_or_default());
                read.broke_off |= failure.status.is_none();
                read.failure = Some(failure);
            }
            "turn.completed" => {
                let used = |key: &str| line["usage"][key].as_u64();
                // What came from a cache is among what was read.
                let (tokens_in, tokens_out) = (used("input_tokens"), used("output_tokens"));
                read.ending = Some(Ending::Completed { tokens_in, tokens_out });
            }
            "turn.failed" => {
                let failure = Failure::of(text(&line["error"], "message").unwrap_or_default());
                read.ending = Some(Ending::Failed(failure));
            }
            _ => {}
        }
    }
    read
}

impl Transcript {
    fn item(&mut self, item: &Value, is_complete: bool) {
        match item["type"].as_str().unwrap_or_default() {
            // A notice of the command itself.
            "error" => return,
            "agent_message" => {
                if is_complete {
                    self.message = text(item, "text");
                }
            }
            "reasoning" => {}
            kind => {
                self.message = None;
                if item["status"] == "declined" {
                    self.denied.push(text(item, "command").unwrap_or_else(|| kind.to_string()));
                }
            }
        }
        self.has_spoken = true;
        self.failure = None;
    }
}

/// Returns what a line shows of what is done just now: the last line of what is said, or the command that is run. What
/// was used is told at the end only.
pub(super) fn live(line: &[u8]) -> Option<Live> {
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
    Some(Live { line: clip(shown.trim(), LIVE_BYTES_MAX), tokens_in: None, tokens_out: None })
}

fn text(value: &Value, key: &str) -> Option<String> {
    value.get(key).and_then(Value::as_str).map(str::to_string)
}
