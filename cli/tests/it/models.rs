//! `loom models test` with the real commands: one that answers, one that is refused, one that never hears.

use crate::driven::Driven;
use crate::rig::Ran;
use loom_endpoint::{Answer, Endpoint, Reply, Script};
use serde_json::Value;
use std::fs;

const KEY: &str = "sk-scripted-6402";

/// Asks a command at an endpoint that answers so, and hands over what came of it.
fn test(program: &str, answer: impl Into<Answer>, limit: &str) -> (Ran, Endpoint) {
    let endpoint = Endpoint::start(KEY, Script::new().then(answer)).unwrap();
    let driven = Driven::bare();
    driven.hides(KEY);
    driven.make_project();
    // One that the command does not know: it asks in the same way for all of those.
    let (base, model) = match program {
        "codex" => (format!("{}/v1", endpoint.url()), "gpt-5.1-codex"),
        _ => (endpoint.url(), "claude-sonnet-4-5"),
    };
    let settings = format!(
        "[providers.main]\nkind = \"{program}\"\nbase_url = \"{base}\"\ncredential = \"env:SCRIPTED_KEY\"\n\
         retries_max = 0\nidle_limit = \"{limit}\"\nmodels = {{ balanced = \"{model}\", fast = \"{model}\" }}\n"
    );
    fs::create_dir_all(driven.path("config/loom")).unwrap();
    fs::write(driven.path("config/loom/config.toml"), settings).unwrap();
    let mut command = driven.command("models test main --json");
    let ran: Ran = command.env("SCRIPTED_KEY", KEY).output().unwrap().into();
    assert!(!ran.out.contains(KEY) && !ran.err.contains(KEY), "{}{}", ran.out, ran.err);
    assert!(driven.survivors().is_empty(), "{:?}", driven.survivors());
    (ran, endpoint)
}

#[track_caller]
fn check(program: &str, answer: impl Into<Answer>, limit: &str, code: i32, outcome: &str) -> Value {
    let (ran, endpoint) = test(program, answer, limit);
    let document: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.err));
    assert_eq!((ran.code, document["outcome"].as_str()), (code, Some(outcome)), "{document}");
    assert_eq!((endpoint.messages(), endpoint.refused()), (1, Vec::new()));
    document
}

fn plays(program: &str) {
    let answered = check(program, Reply::text("ready").using(300, 7), "60s", 0, "ok");
    assert_eq!((answered["tokens_in"].as_u64(), answered["tokens_out"].as_u64()), (Some(300), Some(7)));
    let refused = Answer::Status { code: 401, retry_after_s: None };
    let refused = check(program, refused, "60s", 9, "broken");
    assert!(refused["detail"].as_str().unwrap().starts_with("it was refused with 401"), "{refused}");
    let silent = check(program, Answer::Silence, "12s", 9, "timed-out");
    assert_eq!(silent["tokens_in"], Value::Null, "nobody knows");
}

#[test]
fn claude_answers_is_refused_or_is_given_up() {
    needs!("claude", "git", "sh");
    plays("claude");
}

#[test]
fn codex_answers_is_refused_or_is_given_up() {
    needs!("codex", "git", "sh");
    plays("codex");
}
