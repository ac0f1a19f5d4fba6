//! The Messages API. Source: <https://docs.anthropic.com/en/api/messages>, version `2023-06-01`.
//!
//! JSON by a schema is asked for as the input of a tool that must be called.

use super::ask::Reply;
use serde_json::{Value, json};

pub(super) const ENDPOINT: &str = "https://api.anthropic.com";
pub(super) const PATH: &str = "/v1/messages";
/// The tool whose input is the answer.
const TOOL: &str = "answer";
/// Most that a model may write, in tokens; every model that is offered can.
const TOKENS_MAX: u64 = 8_192;

pub(super) fn headers(credential: Option<&str>) -> Vec<(&'static str, String)> {
    let version = ("anthropic-version", "2023-06-01".to_string());
    credential.map(|key| ("x-api-key", key.to_string())).into_iter().chain([version]).collect()
}

pub(super) fn body(model: &str, prompt: &str, schema: Option<&Value>) -> Value {
    let mut body = json!({
        "model": model,
        "max_tokens": TOKENS_MAX,
        "messages": [{"role": "user", "content": prompt}],
    });
    if let Some(schema) = schema {
        body["tools"] = json!([{"name": TOOL, "description": "Gives the answer.", "input_schema": schema}]);
        body["tool_choice"] = json!({"type": "tool", "name": TOOL});
    }
    body
}

pub(super) fn reply(body: &Value) -> Option<Reply> {
    let blocks = body["content"].as_array()?;
    let given = blocks.iter().find(|block| block["type"] == "tool_use" && block["name"] == TOOL);
    let text = match given {
        Some(call) => call["input"].to_string(),
        None => blocks.iter().filter_map(|block| block["text"].as_str()).collect(),
    };
    let usage = &body["usage"];
    // What was read from a cache or written to it was read too. Absent, there was nothing of it.
    let cached = ["cache_read_input_tokens", "cache_creation_input_tokens"];
    let tokens_in = cached.into_iter().try_fold(usage["input_tokens"].as_u64(), |sum, key| {
        Some(if usage[key].is_null() { sum } else { sum.and_then(|sum| sum.checked_add(usage[key].as_u64()?)) })
    });
    Some(Reply {
        text,
        refused: body["stop_reason"] == "refusal",
        is_cut: body["stop_reason"] == "max_tokens",
        tokens_in: tokens_in.flatten(),
        tokens_out: usage["output_tokens"].as_u64(),
        model: body["model"].as_str().map(str::to_string),
        id: body["id"].as_str().map(str::to_string),
    })
}
