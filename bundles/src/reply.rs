//! An agent's raw output becomes a typed claim, or a sentence that says why not.
//!
//! The JSON is the last fenced `json` block; without one the whole text; else the last object in it. It is
//! checked by the agent's schema and then narrowed to what the kernel takes: a status that an agent gives its own
//! finding, for one, is dropped, because status is the kernel's (REPLY-1).

use loom_core::answer::{Claim, FINDINGS_MAX, Found};
use serde_json::{Map, Value};

/// Longest output that is read, in bytes.
pub(crate) const REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most places where the last object is looked for.
const TRIES_MAX: usize = 2_000;

/// A JSON Schema, ready to check answers.
#[derive(Debug)]
pub struct Schema {
    text: String,
    validator: jsonschema::Validator,
}

/// Why a text is not a schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SchemaError(pub String);

/// Why an output is not an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unusable {
    /// One sentence, fit for the next prompt.
    pub why: String,
}

impl Schema {
    /// Compiles a schema. References lead nowhere but into the schema itself.
    pub fn parse(text: &str) -> Result<Schema, SchemaError> {
        let value: Value = serde_json::from_str(text).map_err(|error| SchemaError(error.to_string()))?;
        let validator = jsonschema::draft202012::options()
            .should_validate_formats(false)
            .build(&value)
            .map_err(|error| SchemaError(error.to_string()))?;
        Ok(Schema { text: text.to_string(), validator })
    }

    /// Returns the schema's text, as prompts show it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Reads an agent's answer out of its raw output; too long a one, or one with too many findings, is none (REPLY-2).
pub fn parse_answer(raw: &str, schema: &Schema) -> Result<Claim, Unusable> {
    if raw.len() > REPLY_BYTES_MAX {
        return unusable(format!("the output has {} bytes; at most {REPLY_BYTES_MAX} are read", raw.len()));
    }
    let answer = extract(raw)?;
    if let Some(findings) = answer.get("findings").and_then(Value::as_array)
        && findings.len() > FINDINGS_MAX
    {
        return unusable(format!("it has {} findings; at most {FINDINGS_MAX} are taken", findings.len()));
    }
    let answer = Value::Object(answer);
    let problems: Vec<String> = schema.validator.iter_errors(&answer).take(5).map(|error| problem(&error)).collect();
    if !problems.is_empty() {
        return unusable(format!("it does not fit the schema: {}", problems.join("; ")));
    }
    Ok(claim(&answer))
}

fn unusable<T>(why: String) -> Result<T, Unusable> {
    Err(Unusable { why })
}

fn problem(error: &jsonschema::ValidationError<'_>) -> String {
    let place = error.instance_path().to_string();
    let mut text = error.to_string();
    if text.len() > 300 {
        text = loom_core::answer::clip(&text, 300) + "…";
    }
    if place.is_empty() { text } else { format!("at {place}: {text}") }
}

fn extract(raw: &str) -> Result<Map<String, Value>, Unusable> {
    if let Some(block) = last_fenced(raw) {
        return match serde_json::from_str(block) {
            Ok(Value::Object(object)) => Ok(object),
            Ok(_) => unusable("the last json block is not an object".to_string()),
            Err(error) => unusable(format!("the last json block is not valid JSON: {error}")),
        };
    }
    if let Ok(Value::Object(object)) = serde_json::from_str(raw.trim()) {
        return Ok(object);
    }
    match last_object(raw) {
        Some(object) => Ok(object),
        None => unusable("there is no JSON object in it".to_string()),
    }
}

/// Returns the content of the last block fenced as `json`; an unclosed one reaches to the end.
fn last_fenced(raw: &str) -> Option<&str> {
    let mut last = None;
    let mut open: Option<(usize, usize, bool)> = None;
    let mut at = 0;
    for line in raw.split_inclusive('\n') {
        let start = at;
        at += line.len();
        let text = line.trim();
        let ticks = text.len() - text.trim_start_matches('`').len();
        match open {
            None if ticks >= 3 => open = Some((at, ticks, text[ticks..].trim().eq_ignore_ascii_case("json"))),
            Some((from, fence, json)) if ticks >= fence && text.len() == ticks => {
                if json {
                    last = raw.get(from..start);
                }
                open = None;
            }
            None | Some(_) => {}
        }
    }
    match open {
        Some((from, _, true)) => raw.get(from..),
        Some(_) | None => last,
    }
}

/// Returns the last object that stands in the text by itself.
fn last_object(raw: &str) -> Option<Map<String, Value>> {
    let mut last = None;
    let mut at = 0;
    for _ in 0..TRIES_MAX {
        let Some(found) = raw.get(at..).and_then(|rest| rest.find('{')) else { break };
        let start = at + found;
        let mut values = serde_json::Deserializer::from_str(&raw[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(Value::Object(object))) => {
                last = Some(object);
                at = start + values.byte_offset();
            }
            Some(_) | None => at = start + 1,
        }
    }
    last
}

fn claim(answer: &Value) -> Claim {
    let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).map(str::to_string);
    let findings = answer.get("findings").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    Claim {
        flow: text(answer, "flow"),
        verdict: text(answer, "verdict"),
        findings: findings
            .iter()
            .map(|finding| Found {
                severity: text(finding, "severity").unwrap_or_default(),
                category: text(finding, "category").unwrap_or_default(),
                path: text(finding, "path").filter(|path| !path.is_empty()).map(String::into_bytes),
                line: finding.get("line").and_then(Value::as_u64),
                summary: text(finding, "summary").unwrap_or_default(),
                evidence: text(finding, "evidence"),
            })
            .collect(),
        summary: text(answer, "summary").unwrap_or_default(),
    }
}
