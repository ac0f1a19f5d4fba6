//! A reply as the Messages API tells it: one JSON object, or server-sent events.
//!
//! Source: <https://docs.anthropic.com/en/api/messages-streaming>.

use crate::script::{Block, Reply};
use serde_json::{Value, json};

/// Longest text of one delta, in characters: a long reply comes in many.
const DELTA_CHARS: usize = 16 * 1024;

/// Returns a reply as one object.
pub(crate) fn message(reply: &Reply, model: &str, id: usize) -> Value {
    let blocks = reply.blocks.iter().enumerate().map(|(index, block)| match block {
        Block::Text(text) => json!({"type": "text", "text": text}),
        Block::Call { tool, input } => {
            // Only a stream can carry an input that is no JSON.
            let input: Value = serde_json::from_str(input).unwrap_or_else(|_| json!({}));
            json!({"type": "tool_use", "id": call_id(id, index), "name": tool, "input": input})
        }
    });
    let mut message = opening(reply, model, id);
    message["content"] = blocks.collect();
    message["stop_reason"] = reply.stop.into();
    message["usage"] = json!({"input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out});
    message
}

/// Returns the events of a reply, each as it goes over the wire.
pub(crate) fn events(reply: &Reply, model: &str, id: usize) -> Vec<String> {
    let mut events =
        vec![json!({"type": "message_start", "message": opening(reply, model, id)}), json!({"type": "ping"})];
    for (index, block) in reply.blocks.iter().enumerate() {
        let (start, text, kind, key) = match block {
            Block::Text(text) => (json!({"type": "text", "text": ""}), text, "text_delta", "text"),
            Block::Call { tool, input } => {
                let start = json!({"type": "tool_use", "id": call_id(id, index), "name": tool, "input": {}});
                (start, input, "input_json_delta", "partial_json")
            }
        };
        events.push(json!({"type": "content_block_start", "index": index, "content_block": start}));
        let chars: Vec<char> = text.chars().collect();
        events.extend(chars.chunks(DELTA_CHARS).map(|chars| {
            let piece: String = chars.iter().collect();
            json!({"type": "content_block_delta", "index": index, "delta": {"type": kind, key: piece}})
        }));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    let delta = json!({"stop_reason": reply.stop, "stop_sequence": null});
    let usage = json!({"input_tokens": reply.tokens_in, "output_tokens": reply.tokens_out});
    events.push(json!({"type": "message_delta", "delta": delta, "usage": usage}));
    events.push(json!({"type": "message_stop"}));
    events
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect()
}

fn opening(reply: &Reply, model: &str, id: usize) -> Value {
    json!({
        "id": format!("msg_{id}"),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": reply.tokens_in, "output_tokens": 1},
    })
}

fn call_id(message: usize, index: usize) -> String {
    format!("toolu_{message}_{index}")
}
