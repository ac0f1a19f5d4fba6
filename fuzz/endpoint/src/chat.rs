//! Chat completions: what the API takes, checked as strictly as the service does or more so, and how it tells a reply.
//!
//! Source: <https://platform.openai.com/docs/api-reference/chat>.

use crate::messages::{Conversation, model, object};
use crate::script::{Block, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Fields of a request; others are refused.
const FIELDS: &[&str] = &[
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
];

/// Longest text of one delta, in characters.
const DELTA_CHARS: usize = 16 * 1024;

/// Reads a request for a completion. An endpoint that is `plain` knows no `response_format`.
pub(crate) fn conversation(body: &[u8], plain: bool) -> Result<Conversation, String> {
    let request = object(body, FIELDS)?;
    let streams = match request.get("stream") {
        None => false,
        Some(Value::Bool(streams)) => *streams,
        Some(_) => return Err("stream: a boolean is required".to_string()),
    };
    if let Some(format) = request.get("response_format") {
        if plain {
            return Err("response_format: it is not supported by this model".to_string());
        }
        answer_format(format)?;
    }
    let turn = messages(&request)?;
    Ok(Conversation { model: model(&request)?, turn, streams, free: BTreeSet::new() })
}

fn answer_format(format: &Value) -> Result<(), String> {
    match format["type"].as_str().unwrap_or_default() {
        "text" | "json_object" => Ok(()),
        "json_schema" => {
            let named = &format["json_schema"];
            let name = named["name"].as_str().unwrap_or_default();
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
                return Err("response_format.json_schema.name: a name of letters, digits, _ and - is required".into());
            }
            if named["schema"]["type"] != "object" {
                return Err("response_format.json_schema.schema: the schema of an object is required".to_string());
            }
            Ok(())
        }
        other => Err(format!("response_format: a type `{other}` is not known")),
    }
}

/// Checks the messages, and returns how many of them the model has spoken.
fn messages(request: &Map<String, Value>) -> Result<usize, String> {
    let messages = request.get("messages").and_then(Value::as_array).filter(|messages| !messages.is_empty());
    let mut turn = 0;
    let mut open = BTreeSet::new();
    for (index, message) in messages.ok_or("messages: at least one message is required")?.iter().enumerate() {
        let place = |what: &str| format!("messages.[{index}]: {what}");
        let has_content = message["content"].is_string() || message["content"].is_array();
        let role = message["role"].as_str().unwrap_or_default();
        if role != "tool" && !open.is_empty() {
            return Err(place("an assistant message with `tool_calls` must be followed by tool messages"));
        }
        match role {
            "system" | "developer" | "user" if has_content => {}
            "assistant" => {
                turn += 1;
                let calls = message["tool_calls"].as_array().map(Vec::as_slice).unwrap_or_default();
                for call in calls {
                    let function = &call["function"];
                    if !call["id"].is_string() || !function["name"].is_string() || !function["arguments"].is_string() {
                        return Err(place("tool_calls: an id, a name and arguments are required"));
                    }
                    open.insert(call["id"].as_str().unwrap_or_default());
                }
                if calls.is_empty() && !has_content {
                    return Err(place("content: a text or tool calls are required"));
                }
            }
            "tool" if has_content => {
                if !open.remove(message["tool_call_id"].as_str().unwrap_or_default()) {
                    return Err(place("messages with role `tool` must be a response to a preceding `tool_calls`"));
                }
            }
            other => return Err(place(&format!("a message of `{other}` without content, or of nobody known"))),
        }
    }
    if open.is_empty() { Ok(turn) } else { Err("messages: a tool call has no answer".to_string()) }
}

/// Returns a reply as one object.
pub(crate) fn completion(reply: &Reply, model: &str, id: usize) -> Value {
    let mut message = json!({"role": "assistant", "content": null, "refusal": null});
    let text = text(reply);
    if reply.stop == "refusal" {
        message["refusal"] = text.into();
    } else if !text.is_empty() {
        message["content"] = text.into();
    }
    let calls: Vec<Value> = calls(reply, id).collect();
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    json!({
        "id": format!("chatcmpl-{id}"),
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(reply)}],
        "usage": usage(reply),
    })
}

/// Returns the chunks of a reply, each as it goes over the wire.
pub(crate) fn events(reply: &Reply, model: &str, id: usize) -> Vec<String> {
    let mut deltas = vec![json!({"role": "assistant", "content": ""})];
    let key = if reply.stop == "refusal" { "refusal" } else { "content" };
    let chars: Vec<char> = text(reply).chars().collect();
    deltas.extend(chars.chunks(DELTA_CHARS).map(|chars| json!({key: chars.iter().collect::<String>()})));
    deltas.extend(calls(reply, id).enumerate().map(|(index, mut call)| {
        call["index"] = index.into();
        json!({"tool_calls": [call]})
    }));
    let chunk = |choices: Value, usage: Value| {
        let whole = json!({
            "id": format!("chatcmpl-{id}"),
            "object": "chat.completion.chunk",
            "created": 0,
            "model": model,
            "choices": choices,
            "usage": usage,
        });
        format!("data: {whole}\n\n")
    };
    let choice = |delta: Value, finish: Value| json!([{"index": 0, "delta": delta, "finish_reason": finish}]);
    let mut events: Vec<String> =
        deltas.into_iter().map(|delta| chunk(choice(delta, Value::Null), Value::Null)).collect();
    events.push(chunk(choice(json!({}), finish(reply).into()), Value::Null));
    events.push(chunk(json!([]), usage(reply)));
    events.push("data: [DONE]\n\n".to_string());
    events
}

fn text(reply: &Reply) -> String {
    reply
        .blocks
        .iter()
        .filter_map(|block| if let Block::Text(text) = block { Some(text.as_str()) } else { None })
        .collect()
}

fn calls(reply: &Reply, id: usize) -> impl Iterator<Item = Value> {
    let calls = reply.blocks.iter().filter_map(|block| match block {
        Block::Text(_) => None,
        Block::Call { tool, input } => Some(json!({"name": tool, "arguments": input})),
    });
    calls.enumerate().map(
        move |(index, function)| json!({"id": format!("call_{id}_{index}"), "type": "function", "function": function}),
    )
}

fn usage(reply: &Reply) -> Value {
    json!({
        "prompt_tokens": reply.tokens_in,
        "completion_tokens": reply.tokens_out,
        "total_tokens": reply.tokens_in.saturating_add(reply.tokens_out),
    })
}

fn finish(reply: &Reply) -> &'static str {
    match reply.stop {
        "tool_use" => "tool_calls",
        "max_tokens" => "length",
        _ => "stop",
    }
}
