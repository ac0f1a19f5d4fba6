//! Chat completions. Source: <https://platform.openai.com/docs/api-reference/chat>; Ollama, vLLM and many others speak
//! them too.
//!
//! JSON by a schema is asked for as the format of the answer. Not strictly: that wants schemas of another form.

use super::ask::Reply;
use serde_json::{Value, json};

pub(super) const ENDPOINT: &str = "https://api.openai.com/v1";
pub(super) const PATH: &str = "/chat/completions";

pub(super) fn headers(credential: Option<&str>) -> Vec<(&'static str, String)> {
    credential.map(|key| ("authorization", format!("Bearer {key}"))).into_iter().collect()
}

pub(super) fn body(model: &str, prompt: &str, schema: Option<&Value>) -> Value {
    let mut body = json!({"model": model, "messages": [{"role": "user", "content": prompt}]});
    if let Some(schema) = schema {
        let named = json!({"name": "answer", "schema": schema, "strict": false});
        body["response_format"] = json!({"type": "json_schema", "json_schema": named});
    }
    body
}

pub(super) fn reply(body: &Value) -> Option<Reply> {
    let choice = body["choices"].as_array()?.first()?;
    let message = choice["message"].as_object()?;
    let text = |key: &str| message.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let refusal = text("refusal");
    Some(Reply {
        text: refusal.or_else(|| text("content")).unwrap_or_default().to_string(),
        refused: refusal.is_some() || choice["finish_reason"] == "content_filter",
        is_cut: choice["finish_reason"] == "length",
        tokens_in: body["usage"]["prompt_tokens"].as_u64(),
        tokens_out: body["usage"]["completion_tokens"].as_u64(),
        model: body["model"].as_str().map(str::to_string),
        id: body["id"].as_str().map(str::to_string),
    })
}
