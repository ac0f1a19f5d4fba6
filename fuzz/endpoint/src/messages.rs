//! What the Messages API takes, checked as strictly as the service does or more so.
//!
//! Source: <https://docs.anthropic.com/en/api/messages>, version `2023-06-01`, and the fields of betas that clients
//! send.

use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The version of the API.
pub(crate) const VERSION: &str = "2023-06-01";

/// Fields of a request; others are refused ("Extra inputs are not permitted").
const FIELDS: &[&str] = &[
    "container",
    "context_management",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "service_tier",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
/// Fields of a request to count tokens.
const FIELDS_OF_COUNT: &[&str] =
    &["context_management", "messages", "model", "system", "thinking", "tool_choice", "tools"];

/// What of a request decides its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    pub(crate) model: String,
    /// How often the model has spoken in it.
    pub(crate) turn: usize,
    pub(crate) streams: bool,
    /// Names of the tools that are called with free text instead of JSON.
    pub(crate) free: BTreeSet<String>,
}

/// Reads a request for a message.
pub(crate) fn conversation(body: &[u8]) -> Result<Conversation, String> {
    let request = object(body, FIELDS)?;
    let most = request.get("max_tokens").and_then(Value::as_u64).filter(|most| *most > 0);
    most.ok_or("max_tokens: a number above 0 is required")?;
    let streams = match request.get("stream") {
        None => false,
        Some(Value::Bool(streams)) => *streams,
        Some(_) => return Err("stream: a boolean is required".to_string()),
    };
    let turn = messages(&request)?;
    if let Some(named) = request.get("tool_choice").and_then(|choice| choice.get("name")) {
        let mut tools = request.get("tools").and_then(Value::as_array).into_iter().flatten();
        if !tools.any(|tool| tool.get("name") == Some(named) && tool["input_schema"]["type"] == "object") {
            return Err(format!("tool_choice: there is no tool {named} with the schema of an object"));
        }
    }
    Ok(Conversation { model: model(&request)?, turn, streams, free: BTreeSet::new() })
}

/// Reads a request to count tokens and returns about how many they are.
pub(crate) fn count(body: &[u8]) -> Result<usize, String> {
    let request = object(body, FIELDS_OF_COUNT)?;
    model(&request)?;
    messages(&request)?;
    Ok(body.len() / 4)
}

pub(crate) fn object(body: &[u8], fields: &[&str]) -> Result<Map<String, Value>, String> {
    let Ok(Value::Object(request)) = serde_json::from_slice(body) else {
        return Err("the request body is not a JSON object".to_string());
    };
    match request.keys().find(|key| !fields.contains(&key.as_str())) {
        Some(key) => Err(format!("{key}: Extra inputs are not permitted")),
        None => Ok(request),
    }
}

pub(crate) fn model(request: &Map<String, Value>) -> Result<String, String> {
    let model = request.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    model.map(str::to_string).ok_or("model: a name is required".to_string())
}

/// Checks the messages and the tools, and returns how many of the messages the model has spoken.
fn messages(request: &Map<String, Value>) -> Result<usize, String> {
    let messages = request.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let messages = messages.ok_or("messages: at least one message is required")?;
    let mut turn = 0;
    let mut calls = BTreeSet::new();
    for (index, message) in messages.iter().enumerate() {
        let place = |what: &str| format!("messages.{index}: {what}");
        let role = message.get("role").and_then(Value::as_str).unwrap_or_default();
        let blocks = blocks(message.get("content")).map_err(|what| place(&what))?;
        let mut answered = BTreeSet::new();
        let mut asks = BTreeSet::new();
        for block in blocks {
            let id = |key: &str| block.get(key).and_then(Value::as_str).unwrap_or_default().to_string();
            match block.get("type").and_then(Value::as_str).unwrap_or_default() {
                "text" => text(block).map_err(|what| place(&what))?,
                "tool_use" if role == "assistant" => {
                    if !block.get("input").is_some_and(Value::is_object) || id("id").is_empty() || id("name").is_empty()
                    {
                        return Err(place("tool_use: an id, a name and an input are required"));
                    }
                    asks.insert(id("id"));
                }
                "tool_result" if role == "user" => {
                    answered.insert(id("tool_use_id"));
                }
                "thinking" | "redacted_thinking" if role == "assistant" => {}
                "image" | "document" if role == "user" => {}
                other => return Err(place(&format!("a block `{other}` of {role} is not known"))),
            }
        }
        // Each call is answered in the message after it, and nothing else is.
        if answered != calls {
            return Err(place(
                "`tool_use` ids were found without `tool_result` blocks immediately after, or the reverse",
            ));
        }
        calls = asks;
        match role {
            "user" => {}
            "assistant" => turn += 1,
            other => return Err(place(&format!("a role `{other}` is not known"))),
        }
    }
    if messages[0]["role"] != "user" {
        return Err("messages: first message must use the \"user\" role".to_string());
    }
    if let Some(system) = request.get("system") {
        for block in blocks(Some(system)).map_err(|what| format!("system: {what}"))? {
            text(block).map_err(|what| format!("system: {what}"))?;
        }
    }
    let mut names = BTreeSet::new();
    for tool in request.get("tools").and_then(Value::as_array).into_iter().flatten() {
        let name = tool.get("name").and_then(Value::as_str).unwrap_or_default();
        if name.is_empty() || !names.insert(name) {
            return Err(format!("tools: tool names must be unique and not empty: `{name}`"));
        }
    }
    Ok(turn)
}

fn text(block: &Value) -> Result<(), String> {
    match block.get("text").and_then(Value::as_str) {
        Some("") => Err("text content blocks must be non-empty".to_string()),
        Some(_) => Ok(()),
        None => Err("text: a text is required".to_string()),
    }
}

/// Returns the blocks of a content; of one that is a text there are none to be checked.
fn blocks(content: Option<&Value>) -> Result<&[Value], String> {
    match content {
        Some(Value::String(text)) if !text.is_empty() => Ok(&[]),
        Some(Value::Array(blocks)) if !blocks.is_empty() => Ok(blocks),
        _ => Err("content: a text or blocks are required".to_string()),
    }
}
