//! The endpoint from outside, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[macro_use]
#[path = "../../../../tools/tests/it/missing.rs"]
mod missing;

mod leak;
mod openai;

use loom_endpoint::{Answer, Endpoint, Reply, Script};
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const KEY: &str = "sk-scripted-2250";

fn script() -> Script {
    Script::new().then(Reply::call("Write", json!({"path": "x"}))).then(Reply::text("done"))
}

fn connect(endpoint: &Endpoint) -> TcpStream {
    TcpStream::connect(endpoint.url().strip_prefix("http://").unwrap()).unwrap()
}

fn head(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\nx-api-key: {KEY}\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends bytes, says that no more will come, and returns all that comes back.
fn exchange(endpoint: &Endpoint, sent: &str) -> String {
    let mut stream = connect(endpoint);
    stream.write_all(sent.as_bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    // A cut connection ends the answer like any other end.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn ask(endpoint: &Endpoint, body: &Value) -> String {
    exchange(endpoint, &head("/v1/messages?beta=true", &body.to_string()))
}

/// Asks for a reply with a key.
fn play_on(endpoint: &Endpoint, key: &str) {
    let request = head("/v1/messages", &hello().to_string()).replace(KEY, key);
    assert!(exchange(endpoint, &request).starts_with("HTTP/1.1 200 "));
}

fn hello() -> Value {
    json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]})
}

/// The conversation after the first call.
fn called() -> Value {
    let mut request = hello();
    request["messages"] = json!([
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": [{"type": "tool_use", "id": "t", "name": "Write", "input": {}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t", "content": "it is done"}]},
    ]);
    request
}

fn streamed(mut request: Value) -> Value {
    request["stream"] = true.into();
    request
}

fn kinds(answer: &str) -> Vec<&str> {
    answer.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[test]
fn turns_follow_the_conversation_and_not_the_count_of_requests() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    for _ in 0..2 {
        assert!(ask(&endpoint, &hello()).contains("\"tool_use\""));
        assert!(ask(&endpoint, &called()).contains("done"));
    }
    assert_eq!((endpoint.messages(), endpoint.refused()), (4, Vec::new()));
    assert!(String::from_utf8(endpoint.asked()[0].body.clone()).unwrap().contains("hello"));
}

#[test]
fn a_stream_has_its_events_in_order() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let answer = ask(&endpoint, &streamed(called()));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n0\r\n\r\n"), "{answer}");
    let wanted = [
        "message_start",
        "ping",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ];
    assert_eq!(kinds(&answer), wanted);
}

#[test]
fn tokens_are_counted_and_whoever_looks_is_seen() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}]});
    assert!(exchange(&endpoint, &head("/v1/messages/count_tokens", &body.to_string())).contains("input_tokens"));
    assert!(exchange(&endpoint, "HEAD / HTTP/1.1\r\nhost: x\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert_eq!((endpoint.messages(), endpoint.refused()), (0, Vec::new()));
}

#[test]
fn chunked_bodies_and_several_requests_on_one_connection_are_read() {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let body = hello().to_string();
    let chunked = head("/v1/messages", "").replace("content-length: 0", "transfer-encoding: chunked");
    let (left, right) = body.split_at(7);
    let sent = format!("{chunked}7\r\n{left}\r\n{:x}\r\n{right}\r\n0\r\n\r\n", right.len());
    assert_eq!(exchange(&endpoint, &sent.repeat(2)).matches("HTTP/1.1 200 ").count(), 2);
}

#[track_caller]
fn check_refused(request: &Value, code: u16, why: &str) {
    let endpoint = Endpoint::start(KEY, script()).unwrap();
    let answer = ask(&endpoint, request);
    assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")) && answer.contains("\"type\":\"error\""), "{answer}");
    assert!(endpoint.refused().concat().contains(why), "{:?}", endpoint.refused());
}

#[test]
fn what_the_service_would_refuse_is_refused_and_told() {
    let with = |key: &str, value: Value| {
        let mut request = called();
        request[key] = value;
        request
    };
    check_refused(&json!([]), 400, "not a JSON object");
    check_refused(&with("modell", json!("m")), 400, "modell: Extra inputs are not permitted");
    check_refused(&with("model", json!("")), 400, "model: a name");
    check_refused(&with("max_tokens", json!(0)), 400, "max_tokens");
    check_refused(&with("stream", json!("yes")), 400, "stream");
    check_refused(&with("messages", json!([])), 400, "at least one message");
    check_refused(&with("messages", json!([{"role": "assistant", "content": "x"}])), 400, "first message");
    check_refused(
        &with("messages", json!([{"role": "user", "content": [{"type": "text", "text": ""}]}])),
        400,
        "non-empty",
    );
    check_refused(&with("messages", json!([{"role": "user", "content": [{"type": "tool_use"}]}])), 400, "tool_use");
    check_refused(&with("tools", json!([{"name": "a"}, {"name": "a"}])), 400, "unique");
    let mut unanswered = called();
    unanswered["messages"][2] = json!({"role": "user", "content": "go on"});
    check_refused(&unanswered, 400, "without `tool_result`");
    let mut beyond = called();
    let messages = beyond["messages"].as_array().unwrap().clone();
    beyond["messages"] = messages.iter().chain(&messages).cloned().collect();
    check_refused(&beyond, 400, "the script has no turn 2");
}

#[test]
fn strangers_and_other_machines_are_refused_and_told() {
    let endpoint = Endpoint::start("sk-another", script()).unwrap();
    assert!(ask(&endpoint, &hello()).starts_with("HTTP/1.1 401 "));
    assert!(exchange(&endpoint, "CONNECT example.com:443 HTTP/1.1\r\nhost: x\r\n\r\n").starts_with("HTTP/1.1 404 "));
    assert_eq!(exchange(&endpoint, "hello\r\n\r\n"), "");
    let wanted = [
        "POST /v1/messages?beta=true: invalid x-api-key",
        "CONNECT example.com:443: there is nothing here",
        "bytes: `hello` is no line of a request",
    ];
    assert_eq!(endpoint.refused(), wanted);
}

#[test]
fn each_fault_is_a_fault() {
    let reply = || Reply::text("done");
    let play = |answer| {
        let endpoint = Endpoint::start(KEY, Script::new().then(answer)).unwrap();
        ask(&endpoint, &streamed(hello()))
    };
    let limited = play(Answer::Status { code: 429, retry_after_s: Some(7) });
    assert!(limited.starts_with("HTTP/1.1 429 ") && limited.contains("\r\nretry-after: 7\r\n"), "{limited}");
    assert!(limited.contains("rate_limit_error"));
    let whole_end = "\r\n0\r\n\r\n";
    let clean = play(Answer::Cut { reply: reply(), clean: true });
    let closed = play(Answer::Cut { reply: reply(), clean: false });
    assert!(clean.ends_with(whole_end) && !closed.ends_with(whole_end));
    assert_eq!(kinds(&clean), ["message_start", "ping", "content_block_start"]);
    assert_eq!(kinds(&closed), kinds(&clean));
    let gap = Duration::from_millis(1);
    // The client has said that it will send no more: to a drip that is its end.
    assert_eq!(kinds(&play(Answer::Drip { reply: reply(), gap })), ["message_start"]);
    assert_eq!(play(Answer::Silence), "");
    assert_eq!(kinds(&play(Answer::Stall(reply()))), kinds(&clean));
    assert_eq!(kinds(&play(Answer::Garbage)), Vec::<&str>::new());
    assert!(!play(Reply::empty().into()).contains("content_block"));
}

#[test]
fn tries_of_a_turn_are_counted_and_the_last_answer_stays() {
    let failing = Answer::Status { code: 500, retry_after_s: None };
    let endpoint = Endpoint::start(KEY, Script::new().tries([failing, Reply::text("done").into()]).for_ever()).unwrap();
    assert!(ask(&endpoint, &hello()).starts_with("HTTP/1.1 500 "));
    for request in [hello(), hello(), called()] {
        // The last turn serves every later one, each with tries of its own.
        let wanted = if request == called() { "HTTP/1.1 500 " } else { "HTTP/1.1 200 " };
        assert!(ask(&endpoint, &request).starts_with(wanted));
    }
}

#[test]
fn an_endpoint_that_is_dropped_lets_everybody_go() {
    let endpoint = Endpoint::start(KEY, Script::new().then(Answer::Silence)).unwrap();
    let mut stream = connect(&endpoint);
    stream.write_all(head("/v1/messages", &hello().to_string()).as_bytes()).unwrap();
    while endpoint.messages() == 0 {
        std::thread::yield_now();
    }
    drop(endpoint);
    let mut answer = Vec::new();
    // Closed or reset, as it may be.
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty());
}
