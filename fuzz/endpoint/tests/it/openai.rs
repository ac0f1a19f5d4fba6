//! The protocols of OpenAI: responses and chat completions.

use crate::{KEY, exchange, kinds, script, streamed};
use loom_endpoint::{Endpoint, Reply, Script};
use serde_json::{Value, json};

const RESPONSES: &str = "/v1/responses";
const CHAT: &str = "/v1/chat/completions";

fn ask(endpoint: &Endpoint, path: &str, body: &Value) -> String {
    let body = body.to_string();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {KEY}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    exchange(endpoint, &(head + &body))
}

fn body(answer: &str) -> Value {
    serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
}

/// A conversation in which one call was made and answered.
fn called(path: &str) -> Value {
    if path == RESPONSES {
        return json!({"model": "m", "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]},
            {"type": "reasoning", "summary": []},
            {"type": "function_call", "call_id": "c", "name": "Write", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "it is done"},
        ]});
    }
    let call = json!({"id": "c", "type": "function", "function": {"name": "Write", "arguments": "{}"}});
    json!({"model": "m", "messages": [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": null, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "it is done"},
    ]})
}

#[test]
fn what_the_model_says_at_once_is_one_turn() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let told = body(&ask(&endpoint, RESPONSES, &json!({"model": "m", "input": "hello"})));
    assert_eq!((&told["output"][0]["name"], &told["usage"]["total_tokens"]), (&json!("Write"), &json!(120)));
    let told = body(&ask(&endpoint, RESPONSES, &called(RESPONSES)));
    assert_eq!(told["output"][0]["content"][0]["text"], "done");
    let told = body(&ask(&endpoint, CHAT, &json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]})));
    assert_eq!(told["choices"][0]["finish_reason"], "tool_calls");
    let told = body(&ask(&endpoint, CHAT, &called(CHAT)));
    assert_eq!((&told["choices"][0]["message"]["content"], &told["model"]), (&json!("done"), &json!("m")));
    assert_eq!((endpoint.messages(), endpoint.refused()), (4, Vec::new()));
}

#[test]
fn streams_have_their_events_in_order() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let answer = ask(&endpoint, RESPONSES, &streamed(called(RESPONSES)));
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&answer), wanted);
    let answer = ask(&endpoint, CHAT, &streamed(called(CHAT)));
    assert!(answer.contains("\"content\":\"done\"") && answer.ends_with("data: [DONE]\n\n\r\n0\r\n\r\n"), "{answer}");
    let cut = Endpoint::start(KEY, Script::new().then(Reply::text("do").stopping("max_tokens"))).unwrap();
    let answer = ask(&cut, RESPONSES, &streamed(json!({"model": "m", "input": "hello"})));
    assert_eq!(kinds(&answer).last(), Some(&"response.incomplete"));
}

/// A conversation that declares its tools in its input, one of them called with free text.
fn declaring() -> Value {
    let tools = json!([{"type": "namespace", "name": "n", "tools": [
        {"type": "custom", "name": "Write"},
        {"type": "function", "name": "Wait"},
    ]}]);
    json!({"model": "m", "input": [
        {"type": "additional_tools", "role": "developer", "tools": tools},
        {"type": "message", "role": "user", "content": "hello"},
    ]})
}

#[test]
fn a_tool_that_takes_free_text_is_called_so() {
    let endpoint = Endpoint::start(KEY, Script::new().then(Reply::raw_call("Write", "no {json}"))).unwrap();
    let told = body(&ask(&endpoint, RESPONSES, &declaring()));
    let call = &told["output"][0];
    assert_eq!((&call["type"], &call["input"]), (&json!("custom_tool_call"), &json!("no {json}")));
    let wanted = [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.custom_tool_call_input.delta",
        "response.custom_tool_call_input.done",
        "response.output_item.done",
        "response.completed",
    ];
    assert_eq!(kinds(&ask(&endpoint, RESPONSES, &streamed(declaring()))), wanted);
    let declared = json!({"model": "m", "input": "hello", "tools": [{"type": "custom", "name": "Write"}]});
    assert_eq!(body(&ask(&endpoint, RESPONSES, &declared))["output"][0]["type"], "custom_tool_call");
    let plain = body(&ask(&endpoint, RESPONSES, &json!({"model": "m", "input": "hello"})));
    assert_eq!(plain["output"][0]["type"], "function_call");
    assert_eq!(endpoint.refused(), Vec::<String>::new());
}

#[track_caller]
fn check_refused(path: &str, (key, value): (&str, Value), why: &str) {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let mut request = called(path);
    request[key] = value;
    let answer = ask(&endpoint, path, &request);
    assert!(answer.starts_with("HTTP/1.1 400 ") && body(&answer)["error"]["message"].is_string(), "{answer}");
    assert!(endpoint.refused().concat().contains(why), "{:?}", endpoint.refused());
}

#[test]
fn what_the_services_would_refuse_is_refused_and_told() {
    let call = json!({"type": "function_call", "call_id": "c", "name": "Write", "arguments": "{}"});
    let output = json!({"type": "function_call_output", "call_id": "c", "output": "x"});
    let message = |role: &str, kind: &str| json!({"role": role, "content": [{"type": kind, "text": "x"}]});
    check_refused(RESPONSES, ("modell", json!("m")), "modell: Extra inputs are not permitted");
    check_refused(RESPONSES, ("model", json!("")), "model: a name");
    check_refused(RESPONSES, ("stream", json!("yes")), "stream");
    check_refused(RESPONSES, ("input", json!([])), "input: a text or items");
    check_refused(RESPONSES, ("input", json!([call])), "No tool output found for function call c");
    check_refused(RESPONSES, ("input", json!([output])), "No tool call found");
    check_refused(RESPONSES, ("input", json!([{"type": "smell"}])), "an item `smell` is not known");
    check_refused(RESPONSES, ("input", json!([message("narrator", "input_text")])), "a role `narrator`");
    check_refused(RESPONSES, ("input", json!([message("user", "output_text")])), "a part");
    check_refused(
        RESPONSES,
        ("tools", json!([{"type": "function"}])),
        "a function, a custom tool or a namespace a name",
    );
    check_refused(RESPONSES, ("tools", json!([{"type": "namespace", "name": "n", "tools": []}])), "has no tools");
    let nested = json!([{"type": "namespace", "name": "n", "tools": [{"type": "web_search"}]}]);
    check_refused(RESPONSES, ("tools", nested), "more than functions and custom tools");
    let mut tools = declaring()["input"].clone();
    tools[0]["role"] = json!("user");
    check_refused(RESPONSES, ("input", tools.clone()), "the role developer");
    (tools[0]["role"], tools[0]["tools"]) = (json!("developer"), json!([]));
    check_refused(RESPONSES, ("input", tools), "at least one tool");
    check_refused(CHAT, ("input", json!("x")), "input: Extra inputs are not permitted");
    check_refused(CHAT, ("messages", json!([])), "at least one message");
    check_refused(CHAT, ("messages", json!([{"role": "user"}])), "without content");
    check_refused(CHAT, ("messages", json!([{"role": "tool", "tool_call_id": "c", "content": "x"}])), "preceding");
    check_refused(CHAT, ("messages", json!([{"role": "assistant"}])), "a text or tool calls");
    let unanswered = json!([called(CHAT)["messages"][1], {"role": "user", "content": "go on"}]);
    check_refused(CHAT, ("messages", unanswered), "must be followed by tool messages");
    check_refused(CHAT, ("response_format", json!({"type": "xml"})), "a type `xml`");
    let named =
        |name: &str, schema: Value| json!({"type": "json_schema", "json_schema": {"name": name, "schema": schema}});
    check_refused(CHAT, ("response_format", named("a b", json!({"type": "object"}))), "json_schema.name");
    check_refused(CHAT, ("response_format", named("a", json!({"type": "array"}))), "json_schema.schema");
}

#[test]
fn a_plain_endpoint_knows_no_schemas_and_a_stranger_is_refused() {
    let endpoint = Endpoint::start(KEY, script().plain()).unwrap();
    let mut request = called(CHAT);
    request["response_format"] = json!({"type": "json_schema"});
    assert!(ask(&endpoint, CHAT, &request).contains("not supported"));
    let strange = "POST /v1/responses HTTP/1.1\r\nx-api-key: key\r\ncontent-length: 0\r\n\r\n";
    assert!(exchange(&endpoint, strange).starts_with("HTTP/1.1 401 "), "it wants a bearer");
}
