//! The gateway from outside: what passes, what does not, and what is counted.

use loom_endpoint::{Answer, Endpoint, Reply, Script};
use loom_providers::{Gateway, Tally, Upstream};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, SystemTime};

const KEY: &str = "sk-the-real-one";
const ROUTES: &[&str] = &["POST /v1/messages"];

fn open(base_url: String, requests_max: u64) -> Gateway {
    Gateway::open(&Upstream { base_url, credential: KEY.to_string(), routes: ROUTES, requests_max }).unwrap()
}

/// Returns a request as a program would send it, which shows `key`.
fn request(path: &str, key: &str) -> String {
    let body = json!({
        "model": "claude-sonnet-4-5", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": [{"type": "text", "text": "hello"}]}],
    })
    .to_string();
    format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\nx-api-key: {key}\r\nanthropic-version: 2023-06-01\r\n\
         content-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// Sends a request and returns the answer's status and the whole of what came.
fn sent(mut stream: impl Read + Write, request: &str) -> (u16, String) {
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    // A connection that the other end cuts has said what it said.
    let _cut = stream.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("no answer: {answer:?}")), answer)
}

fn ask(gateway: &Gateway, request: &str) -> (u16, String) {
    sent(TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.door().port)).unwrap(), request)
}

#[test]
fn what_has_the_token_passes_and_is_counted() {
    let script = Script::new().then(Reply::text("Hello.").using(300, 30)).for_ever();
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let gateway = open(endpoint.url(), 10);
    let request = request("/v1/messages?beta=true", gateway.token());
    let (status, answer) = ask(&gateway, &request);
    assert!(status == 200 && answer.contains("Hello."), "{answer}");
    let (status, answer) = sent(UnixStream::connect(gateway.door().socket).unwrap(), &request);
    assert!(status == 200 && answer.contains("Hello."), "{answer}");
    assert_eq!((endpoint.messages(), endpoint.refused()), (2, Vec::new()), "with the credential");
    let socket = gateway.door().socket;
    let expected = Tally {
        requests: 2,
        tokens_in: Some(600),
        tokens_out: Some(60),
        model: Some("claude-sonnet-4-5".to_string()),
        status: Some(200),
        ..Tally::default()
    };
    assert_eq!(gateway.close(), expected);
    assert!(!socket.exists(), "nothing is left of it");
}

#[test]
fn without_the_token_or_on_another_path_nothing_is_sent() {
    let endpoint = Endpoint::start(KEY, Script::new().then(Reply::text("Hello."))).unwrap();
    let gateway = open(endpoint.url(), 10);
    let token = gateway.token().to_string();
    for (path, key) in [
        ("/v1/messages", ""),
        ("/v1/messages", "loom-spawn-00000000000000000000000000000000"),
        // Who knows the credential has it from elsewhere.
        ("/v1/messages", KEY),
        ("/v1/files", &token),
        ("/v1/messages/../files", &token),
        ("/", &token),
    ] {
        let (status, answer) = ask(&gateway, &request(path, key));
        assert!(matches!(status, 401 | 404) && answer.contains("\"message\":\"Loom: "), "{path} {key}: {answer}");
        assert!(!answer.contains(KEY));
    }
    assert_eq!(endpoint.asked(), []);
    assert_eq!(gateway.close(), Tally { foreign: 6, ..Tally::default() });
}

#[test]
fn a_budget_that_is_used_up_is_used_up() {
    let script = Script::new().then(Reply::text("Hello.").using(1, 1)).for_ever();
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let gateway = open(endpoint.url(), 3);
    let request = request("/v1/messages", gateway.token());
    let statuses: Vec<u16> = (0..5).map(|_| ask(&gateway, &request).0).collect();
    assert_eq!(statuses, [200, 200, 200, 403, 403]);
    let tally = gateway.close();
    assert_eq!((tally.requests, tally.over_budget, tally.tokens_in, endpoint.messages()), (3, 2, Some(3), 3));
}

#[test]
fn a_long_wait_is_told_to_loom_and_not_to_the_program() {
    for (seconds, is_passed_on) in [(2, true), (3_600, false)] {
        let script = Script::new().then(Answer::Status { code: 429, retry_after_s: Some(seconds) });
        let endpoint = Endpoint::start(KEY, script).unwrap();
        let gateway = open(endpoint.url(), 10);
        let (status, answer) = ask(&gateway, &request("/v1/messages", gateway.token()));
        assert_eq!((status, answer.to_ascii_lowercase().contains("retry-after")), (429, is_passed_on), "{answer}");
        let tally = gateway.close();
        assert_eq!((tally.status, tally.retry_after_ms), (Some(429), Some(seconds * 1_000)));
        assert_eq!((tally.tokens_in, tally.tokens_out), (Some(0), Some(0)), "what is refused uses nothing");
    }
}

#[test]
fn a_wait_is_understood_in_every_form() {
    let at = |seconds| httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(seconds));
    for (headers, least_ms, most_ms, is_passed_on) in [
        (vec![("retry-after-ms", "750".to_string()), ("retry-after", "1".to_string())], 750, 750, true),
        (vec![("retry-after-ms", "90000".to_string())], 90_000, 90_000, false),
        // A date has whole seconds.
        (vec![("retry-after", at(3_600))], 3_500_000, 3_600_000, false),
        (vec![("retry-after", at(0))], 0, 0, true),
        (vec![("retry-after", "99999999999999999999".to_string())], u64::MAX, u64::MAX, false),
    ] {
        let answer = Answer::Wait { code: 429, headers: headers.clone() };
        let endpoint = Endpoint::start(KEY, Script::new().then(answer)).unwrap();
        let gateway = open(endpoint.url(), 10);
        let (_, answer) = ask(&gateway, &request("/v1/messages", gateway.token()));
        assert_eq!(answer.to_ascii_lowercase().contains("retry-after"), is_passed_on, "{answer}");
        let wait_ms = gateway.close().retry_after_ms.unwrap();
        assert!((least_ms..=most_ms).contains(&wait_ms), "{headers:?}: {wait_ms}");
    }
}

#[test]
fn what_broke_off_is_unknown() {
    let cut = Script::new().then(Answer::Cut { reply: Reply::text("Hello.").using(300, 30), clean: false });
    let silent = Script::new().then(Answer::Silence);
    for (script, tokens_in) in [(cut, Some(300)), (silent, None)] {
        let endpoint = Endpoint::start(KEY, script).unwrap();
        let gateway = open(endpoint.url(), 10);
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, gateway.door().port)).unwrap();
        stream.write_all(request("/v1/messages", gateway.token()).as_bytes()).unwrap();
        while endpoint.messages() == 0 {
            thread::yield_now();
        }
        if tokens_in.is_some() {
            let _cut = stream.read_to_end(&mut Vec::new());
        }
        let tally = gateway.close();
        assert_eq!((tally.requests, tally.tokens_in, tally.tokens_out), (1, tokens_in, None));
    }
}

#[test]
fn an_endpoint_that_is_not_there_is_told_and_nothing_is_used() {
    // A port that was free a moment ago.
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let gateway = open(format!("http://127.0.0.1:{port}"), 10);
    let (status, answer) = ask(&gateway, &request("/v1/messages", gateway.token()));
    assert!(status == 502 && answer.contains("the endpoint cannot be reached"), "{answer}");
    let tally = gateway.close();
    assert_eq!((tally.requests, tally.status, tally.tokens_in), (1, None, Some(0)));
}

#[test]
fn nobody_is_sent_elsewhere_with_the_credential() {
    let elsewhere = Endpoint::start(KEY, Script::new().then(Reply::text("Hello."))).unwrap();
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let target = format!("{}/v1/messages", elsewhere.url());
    let redirects = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = vec![0; 64 * 1024];
        let length = stream.read(&mut request).unwrap();
        write!(stream, "HTTP/1.1 307 See there\r\nlocation: {target}\r\ncontent-length: 0\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    let gateway = open(url, 10);
    let (status, answer) = ask(&gateway, &request("/v1/messages", gateway.token()));
    assert!(status == 502 && !answer.contains("location:"), "{answer}");
    assert!(redirects.join().unwrap().contains(KEY), "the endpoint itself was shown it");
    assert_eq!(elsewhere.asked(), []);
}
