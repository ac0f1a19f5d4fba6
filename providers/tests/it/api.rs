//! Models' APIs, asked at an endpoint of ours: what is sent, and what Loom concludes from what comes back.

use crate::harness::{ENOUGH_MS, Fault, HANG_MS, KEY, Place, Real, check_table, status, table};
use loom_core::word::SpawnOutcome;
use loom_endpoint::{Answer, Block, Endpoint, Reply, Script};
use loom_providers::{Api, ApiKind, ApiSettings, Price, Provider, SpawnReport};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

/// What Loom concludes from each fault, a line each.
const CONCLUDED: &str = include_str!("api.golden.txt");
const KINDS: [ApiKind; 2] = [ApiKind::Anthropic, ApiKind::OpenAi];

fn settings(kind: ApiKind, url: &str) -> ApiSettings {
    let base_url = match kind {
        ApiKind::Anthropic => url.to_string(),
        ApiKind::OpenAi => format!("{url}/v1"),
    };
    ApiSettings {
        name: kind.word().to_string(),
        kind,
        base_url: Some(base_url),
        credential: Some(KEY.to_string()),
        models: BTreeMap::from([("balanced".to_string(), "m-1".to_string())]),
        retries_max: 0,
        idle_limit_ms: ENOUGH_MS,
        prices: BTreeMap::from([("m-1".to_string(), Price { read_micro: 3_000_000, written_micro: 15_000_000 })]),
    }
}

/// The answer as a service gives it that keeps to a schema.
fn answer(kind: ApiKind) -> Reply {
    match kind {
        ApiKind::Anthropic => Reply::call("answer", json!({"summary": "done"})),
        ApiKind::OpenAi => Reply::text("{\"summary\":\"done\"}"),
    }
}

fn drive(settings: ApiSettings, edits: bool) -> SpawnReport {
    let place = Place::new();
    Api::new(settings).run(&place.order(edits, ENOUGH_MS), &Real::new(&place))
}

#[test]
fn one_call_gets_an_answer_by_the_schema_with_its_cost() {
    for kind in KINDS {
        let endpoint = Endpoint::start(KEY, Script::new().then(answer(kind).using(700, 35))).unwrap();
        let place = Place::new();
        let hands = Real::new(&place);
        let report = Api::new(settings(kind, &endpoint.url())).run(&place.order(false, ENOUGH_MS), &hands);
        assert_eq!((report.outcome, report.detail), (SpawnOutcome::Ok, None));
        assert_eq!(String::from_utf8(report.output).unwrap(), "{\"summary\":\"done\"}");
        assert_eq!((report.tokens_in, report.tokens_out), (Some(700), Some(35)));
        assert_eq!(report.money_micro, Some(700 * 3 + 35 * 15));
        assert_eq!((report.model.as_deref(), report.provider.as_deref()), (Some("m-1"), Some(kind.word())));
        assert_eq!((report.requests, report.session.is_some()), (Some(1), true));
        assert_eq!(hands.told.into_inner().unwrap()[0].line, "asks m-1");
        assert!(hands.ran.into_inner().unwrap().is_empty(), "it needs no program");
        let sent: Value = serde_json::from_slice(&endpoint.asked()[0].body).unwrap();
        assert!(sent.to_string().contains("xylograph") && sent.to_string().contains("\"required\":[\"summary\"]"));
        assert_eq!((endpoint.messages(), endpoint.refused()), (1, Vec::new()));
    }
}

#[test]
fn an_endpoint_that_knows_no_schemas_and_wants_no_key_is_asked_without() {
    let endpoint =
        Endpoint::start(KEY, Script::new().then(Reply::text("Well. {\"summary\": \"done\"}")).plain()).unwrap();
    let report = drive(settings(ApiKind::OpenAi, &endpoint.url()), false);
    assert_eq!((report.outcome, report.requests), (SpawnOutcome::Ok, Some(2)));
    assert_eq!((report.tokens_in, report.tokens_out), (Some(100), Some(20)), "a refused request uses nothing");
    let keyless = ApiSettings { credential: None, ..settings(ApiKind::OpenAi, &endpoint.url()) };
    let report = drive(keyless, false);
    assert_eq!(report.outcome, SpawnOutcome::Broken, "this one wants a key");
    let unpriced = ApiSettings { prices: BTreeMap::new(), ..settings(ApiKind::OpenAi, &endpoint.url()) };
    assert_eq!(drive(unpriced, false).money_micro, None);
}

#[test]
fn who_is_to_edit_is_refused_without_a_call() {
    let endpoint = Endpoint::start(KEY, Script::new().then(Reply::text("{}"))).unwrap();
    let report = drive(settings(ApiKind::OpenAi, &endpoint.url()), true);
    assert_eq!(report.outcome, SpawnOutcome::Broken);
    let detail = report.detail.unwrap();
    assert!(detail.contains("cannot change files") && detail.contains("implementer"), "{detail}");
    let modelless = ApiSettings { models: BTreeMap::new(), ..settings(ApiKind::OpenAi, &endpoint.url()) };
    let report = drive(modelless, false);
    assert_eq!(report.outcome, SpawnOutcome::Broken);
    assert!(report.detail.unwrap().contains("no model for tier balanced"));
    assert_eq!(endpoint.asked(), []);
}

#[test]
fn the_credential_is_shown_nowhere() {
    let settings = settings(ApiKind::Anthropic, "http://127.0.0.1:9");
    assert!(!format!("{settings:?} {:?}", Api::new(settings.clone())).contains(KEY));
    let odd = ApiSettings { credential: Some(format!("{KEY}\n")), ..settings };
    let report = drive(odd, false);
    let detail = report.detail.unwrap();
    assert_eq!(report.outcome, SpawnOutcome::Broken);
    assert!(!detail.contains(KEY), "{detail}");
}

#[test]
fn a_spawn_that_is_given_up_ends_and_lets_the_service_go() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let place = Place::new();
    let hands = Real::new(&place);
    let report = thread::scope(|scope| {
        let token = hands.token.clone();
        scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut some = [0; 9];
            stream.read_exact(&mut some).unwrap();
            token.cancel();
            // Ends when the other side closes.
            let _all = stream.read_to_end(&mut Vec::new());
        });
        Api::new(settings(ApiKind::Anthropic, &url)).run(&place.order(false, ENOUGH_MS), &hands)
    });
    assert_eq!(report.outcome, SpawnOutcome::Cancelled);
    assert_eq!((report.tokens_in, report.money_micro), (None, None), "nobody knows what it used");
}

/// Answers one request with these bytes, as often as one comes.
fn serving(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 64 * 1024];
            let _some = stream.read(&mut request);
            // It may have gone: then it has enough.
            let _sent = stream.write_all(answer);
        }
    });
    url
}

#[test]
fn a_credential_goes_nowhere_else() {
    let endpoint = Endpoint::start(KEY, Script::new().then(Reply::text("{}"))).unwrap();
    let moved = format!("HTTP/1.1 307 Moved\r\nlocation: {}/v1/messages\r\ncontent-length: 0\r\n\r\n", endpoint.url());
    let url = serving(moved.leak().as_bytes());
    let report = drive(settings(ApiKind::Anthropic, &url), false);
    assert_eq!(report.outcome, SpawnOutcome::Broken);
    assert!(report.detail.unwrap().starts_with("it was refused with 307"));
    assert_eq!(endpoint.asked(), [], "it was not followed");
    for (url, why) in [
        ("ftp://127.0.0.1", "neither https nor http"),
        ("127.0.0.1:80", "no URL"),
        ("http://name:word@127.0.0.1", "names no user"),
    ] {
        let report = drive(settings(ApiKind::Anthropic, url), false);
        assert_eq!(report.outcome, SpawnOutcome::Broken, "{url}");
        let detail = report.detail.unwrap();
        assert!(detail.contains(why) && !detail.contains(KEY), "{detail}");
    }
}

#[test]
fn an_endpoint_without_tls_is_not_taken_for_one_with() {
    let url = serving(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").replace("http://", "https://");
    let report = drive(settings(ApiKind::Anthropic, &url), false);
    assert_eq!((report.outcome, report.requests, report.tokens_in), (SpawnOutcome::Failed, Some(0), Some(0)));
    assert!(report.detail.unwrap().contains("is not reached"));
}

#[test]
fn nobody_at_the_address_is_asked_again_within_the_time() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let settings = ApiSettings { retries_max: 60, ..settings(ApiKind::OpenAi, &format!("http://{address}")) };
    let place = Place::new();
    let began = Instant::now();
    let report = Api::new(settings).run(&place.order(false, 1_500), &Real::new(&place));
    assert_eq!(report.outcome, SpawnOutcome::TimedOut);
    assert!(began.elapsed() < Duration::from_secs(20));
}

/// Returns every fault as it is played to one kind.
fn faults(kind: ApiKind) -> Vec<Fault> {
    let done = || answer(kind);
    let only = |answer: Answer| Script::new().then(answer);
    let after = |retry_after_s: u64| Answer::Status { code: 429, retry_after_s: Some(retry_after_s) };
    let wait = |name, value: String| Answer::Wait {
        code: 429,
        headers: vec![("date", "Sun, 06 Nov 1994 08:49:37 GMT".to_string()), (name, value)],
    };
    let in_ms = |ms: u64| wait("retry-after-ms", ms.to_string());
    let at = |date: &str| wait("retry-after", date.to_string());
    let shouts = "\u{0}\u{1b}[2J\u{1b}]0;title\u{7}\u{202e}\u{2028}\u{2029}\u{feff}done";
    let fault = |name: &'static str, script: Script| Fault { edits: false, ..Fault::new(name, script) };
    vec![
        fault("none", only(done().into())),
        Fault { key: "sk-another", ..fault("a wrong key", only(done().into())) },
        fault("401", only(status(401))),
        fault("403", only(status(403))),
        fault("404", only(status(404))),
        fault("400", only(status(400))),
        fault("429", only(status(429))),
        fault("429, retry-after 7 s", only(after(7))),
        fault("429, retry-after 1 h, retries", only(after(3600))).retried(2),
        fault("429, retry-after-ms 1500", only(in_ms(1500))),
        fault("429, retry-after a date", only(at("Fri, 31 Dec 9999 23:59:59 GMT"))),
        fault("429, retry-after a date that has passed", only(at("Sun, 06 Nov 1994 08:49:37 GMT"))),
        fault("529", only(status(529))),
        fault("500 for ever", only(status(500))),
        fault("500 for ever, retries", only(status(500))).retried(2),
        fault("500 once, retries", Script::new().tries([status(500), done().into()])).retried(1),
        fault("cut, the body ends cleanly", only(Answer::Cut { reply: done(), clean: true })),
        fault("cut, the connection closes", only(Answer::Cut { reply: done(), clean: false })),
        fault("cut, retries", only(Answer::Cut { reply: done(), clean: false })).retried(2),
        fault("silence before the headers", only(Answer::Silence)).falls_silent(),
        fault("silence before the headers, no limit to it", only(Answer::Silence)).hangs(),
        fault("silence in mid-answer", only(Answer::Stall(done()))).falls_silent(),
        fault("drip", only(Answer::Drip { reply: done(), gap: Duration::from_millis(HANG_MS) })).hangs(),
        fault("garbage", only(Answer::Garbage)),
        fault("an empty message", only(Reply::empty().into())),
        fault("a message of spaces", only(Reply::text(" \n ").into())),
        fault("a refusal", only(Reply::text("I cannot help with that.").stopping("refusal").into())),
        fault("a message cut by its length", only(Reply::text("Do").stopping("max_tokens").into())),
        fault("words in place of JSON", only(Reply::text("Done.").into())),
        fault("a call of an unknown tool", only(Reply::call("fly", json!({"to": 1})).into())),
        fault("absurd usage", only(done().using(u64::MAX, u64::MAX).into())),
        fault("5 MB of answer", only(Reply::text("x".repeat(5_000_000)).into())),
        fault("9 MB of answer", only(Reply::text("x".repeat(9_000_000)).into())),
        fault("escapes and odd characters", only(Reply::text(shouts).into())),
        fault(
            "two blocks of words",
            only(Reply { blocks: vec![Block::Text("Do".into()), Block::Text("ne.".into())], ..Reply::text("") }.into()),
        ),
    ]
}

#[test]
fn what_is_concluded_from_each_fault_is_on_record() {
    let mut tables = String::new();
    for kind in KINDS {
        let table = table(CONCLUDED, &|_| faults(kind), &|endpoint, fault| {
            let credential = Some(fault.key.to_string());
            let (retries_max, idle_limit_ms) = (fault.retries_max, fault.idle_limit_ms);
            let settings = settings(kind, &endpoint.url());
            Box::new(Api::new(ApiSettings { credential, retries_max, idle_limit_ms, ..settings }))
        });
        tables += &table.lines().map(|line| format!("{}, {line}\n", kind.word())).collect::<String>();
    }
    check_table("api.golden.txt", CONCLUDED, &tables);
}
