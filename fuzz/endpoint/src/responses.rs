//! The Responses API: what it takes, checked as strictly as the service does or more so, and how it tells a reply.
//!
//! Source: <https://platform.openai.com/docs/api-reference/responses>, and the fields that clients send beside them.

use crate::messages::{Conversation, model, object};
use crate::script::{Block, Reply};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Fields of a request; others are refused.
const FIELDS: &[&str] = &[
    "background",
    "client_metadata",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// Longest text of one delta, in characters.
const DELTA_CHARS: usize = 16 * 1024;

/// Reads a request for a response.
pub(crate) fn conversation(body: &[u8]) -> Result<Conversation, String> {
    let request = object(body, FIELDS)?;
    let streams = match request.get("stream") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(streams)) => *streams,
        Some(_) => return Err("stream: a boolean is required".to_string()),
    };
    let mut free = BTreeSet::new();
    for tool in request.get("tools").and_then(Value::as_array).into_iter().flatten() {
        declared(tool, &mut free).map_err(|what| format!("tools: {what}"))?;
    }
    let turn = input(&request, &mut free)?;
    Ok(Conversation { model: model(&request)?, turn, streams, free })
}

/// Checks a tool and those in it, and adds the names of those that are called with free text.
fn declared(tool: &Value, free: &mut BTreeSet<String>) -> Result<(), String> {
    let text = |key: &str| tool.get(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, name) = (text("type"), text("name"));
    if kind.is_empty() || ["function", "custom", "namespace"].contains(&kind) && name.is_empty() {
        return Err("a tool has a type, and a function, a custom tool or a namespace a name".to_string());
    }
    match kind {
        "custom" => drop(free.insert(name.to_string())),
        "namespace" => {
            let tools = tool.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
            for tool in tools.ok_or_else(|| format!("the namespace `{name}` has no tools"))? {
                if !["function", "custom"].contains(&tool["type"].as_str().unwrap_or_default()) {
                    return Err(format!("the namespace `{name}` has more than functions and custom tools"));
                }
                declared(tool, free)?;
            }
        }
        _ => {}
    }
    Ok(())
}

/// Checks the items of the input, and returns how often the model has spoken in it: what it says at once is one turn.
/// Tools that they declare and that are called with free text are added to those.
fn input(request: &Map<String, Value>, free: &mut BTreeSet<String>) -> Result<usize, String> {
    let items = match request.get("input") {
        Some(Value::String(text)) if !text.is_empty() => return Ok(0),
        Some(Value::Array(items)) if !items.is_empty() => items,
        _ => return Err("input: a text or items are required".to_string()),
    };
    let mut turn = 0;
    let mut speaks = false;
    let mut open = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let place = |what: &str| format!("input[{index}]: {what}");
        let text = |key: &str| item.get(key).and_then(Value::as_str).unwrap_or_default();
        let is_of_model = match item.get("type").and_then(Value::as_str).unwrap_or("message") {
            "message" => {
                let role = text("role");
                if !["user", "developer", "system", "assistant"].contains(&role) {
                    return Err(place(&format!("a role `{role}` is not known")));
                }
                content(item, role).map_err(|what| place(&what))?;
                role == "assistant"
            }
            // Tools of a conversation whose request has none of its own.
            "additional_tools" => {
                let tools = item.get("tools").and_then(Value::as_array).filter(|tools| !tools.is_empty());
                if text("role") != "developer" || request.contains_key("tools") {
                    return Err(place("additional_tools: the role developer and no tools beside it are required"));
                }
                for tool in tools.ok_or_else(|| place("additional_tools: at least one tool is required"))? {
                    declared(tool, free).map_err(|what| place(&what))?;
                }
                false
            }
            "reasoning" => true,
            kind @ ("function_call" | "custom_tool_call") => {
                let what = if kind == "function_call" { "arguments" } else { "input" };
                if text("call_id").is_empty() || text("name").is_empty() || !item[what].is_string() {
                    return Err(place(&format!("{kind}: a call_id, a name and {what} are required")));
                }
                open.insert(text("call_id"));
                true
            }
            "function_call_output" | "custom_tool_call_output" => {
                if !open.remove(text("call_id")) {
                    return Err(place(&format!("No tool call found for output of `{}`", text("call_id"))));
                }
                if !item["output"].is_string() && !item["output"].is_array() {
                    return Err(place("output: a text or parts are required"));
                }
                false
            }
            other => return Err(place(&format!("an item `{other}` is not known"))),
        };
        turn += usize::from(is_of_model && !speaks);
        speaks = is_of_model;
    }
    match open.first() {
        Some(call) => Err(format!("No tool output found for function call {call}.")),
        None => Ok(turn),
    }
}

fn content(item: &Value, role: &str) -> Result<(), String> {
    let parts = match item.get("content") {
        Some(Value::String(_)) => return Ok(()),
        Some(Value::Array(parts)) if !parts.is_empty() => parts,
        _ => return Err("content: a text or parts are required".to_string()),
    };
    for part in parts {
        let fits = match part["type"].as_str().unwrap_or_default() {
            "output_text" | "refusal" => role == "assistant",
            "input_text" => role != "assistant" && part["text"].is_string(),
            "input_image" | "input_file" => role == "user",
            _ => false,
        };
        if !fits {
            return Err(format!("content: a part `{}` of {role} is not known", part["type"]));
        }
    }
    Ok(())
}

/// Returns a reply as one object.
pub(crate) fn response(reply: &Reply, asked: &Conversation, id: usize) -> Value {
    let (status, why) = match reply.stop {
        "max_tokens" => ("incomplete", json!({"reason": "max_output_tokens"})),
        _ => ("completed", Value::Null),
    };
    let items = (0..reply.blocks.len()).map(|index| item(reply, asked, id, index));
    let mut response = opening(&asked.model, id);
    response["status"] = status.into();
    response["incomplete_details"] = why;
    response["output"] = items.collect();
    response["usage"] = json!({
        "input_tokens": reply.tokens_in,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": reply.tokens_out,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": reply.tokens_in.saturating_add(reply.tokens_out),
    });
    response
}

/// Returns the events of a reply, each as it goes over the wire.
pub(crate) fn events(reply: &Reply, asked: &Conversation, id: usize) -> Vec<String> {
    let mut events = vec![
        json!({"type": "response.created", "response": opening(&asked.model, id)}),
        json!({"type": "response.in_progress", "response": opening(&asked.model, id)}),
    ];
    for (index, block) in reply.blocks.iter().enumerate() {
        let whole = item(reply, asked, id, index);
        let mut started = whole.clone();
        started["status"] = "in_progress".into();
        let (key, kind, text) = match block {
            Block::Text(text) => ("content", "response.output_text", text),
            Block::Call { tool, input } if asked.free.contains(tool) => {
                ("input", "response.custom_tool_call_input", input)
            }
            Block::Call { input, .. } => ("arguments", "response.function_call_arguments", input),
        };
        started[key] = if key == "content" { json!([]) } else { json!("") };
        let item_id = whole["id"].clone();
        let at = json!({"item_id": item_id, "output_index": index, "content_index": 0});
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": started}));
        let mut push = |kind: &str, key: &str, value: Value| {
            let mut event = at.clone();
            event["type"] = kind.into();
            event[key] = value;
            events.push(event);
        };
        if key == "content" {
            let part = json!({"type": "output_text", "text": "", "annotations": []});
            push("response.content_part.added", "part", part);
        }
        let chars: Vec<char> = text.chars().collect();
        for chars in chars.chunks(DELTA_CHARS) {
            push(&format!("{kind}.delta"), "delta", chars.iter().collect::<String>().into());
        }
        push(&format!("{kind}.done"), if key == "content" { "text" } else { key }, text.as_str().into());
        if key == "content" {
            push("response.content_part.done", "part", whole["content"][0].clone());
        }
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": whole}));
    }
    let whole = response(reply, asked, id);
    let kind = format!("response.{}", whole["status"].as_str().unwrap_or_default());
    events.push(json!({"type": kind, "response": whole}));
    events
        .into_iter()
        .enumerate()
        .map(|(number, mut event)| {
            event["sequence_number"] = number.into();
            format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default())
        })
        .collect()
}

fn item(reply: &Reply, asked: &Conversation, id: usize, index: usize) -> Value {
    match &reply.blocks[index] {
        Block::Text(text) => {
            let part = match reply.stop {
                "refusal" => json!({"type": "refusal", "refusal": text}),
                _ => json!({"type": "output_text", "text": text, "annotations": []}),
            };
            json!({
                "type": "message",
                "id": format!("msg_{id}_{index}"),
                "status": "completed",
                "role": "assistant",
                "content": [part],
            })
        }
        Block::Call { tool, input } if asked.free.contains(tool) => json!({
            "type": "custom_tool_call",
            "id": format!("ctc_{id}_{index}"),
            "call_id": format!("call_{id}_{index}"),
            "name": tool,
            "input": input,
            "status": "completed",
        }),
        Block::Call { tool, input } => json!({
            "type": "function_call",
            "id": format!("fc_{id}_{index}"),
            "call_id": format!("call_{id}_{index}"),
            "name": tool,
            "arguments": input,
            "status": "completed",
        }),
    }
}

fn opening(model: &str, id: usize) -> Value {
    json!({
        "id": format!("resp_{id}"),
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "error": null,
        "incomplete_details": null,
        "model": model,
        "output": [],
        "usage": null,
    })
}
