//! What is said on the command line of `loom run`, seen at the endpoint and on record.

use crate::driven::Driven;
use crate::rig::Ran;
use loom_endpoint::{Endpoint, Reply, Script};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::process::Stdio;

const KEY: &str = "sk-scripted-7713";
const TASK: &str = "Say in a comment who keeps the notes.\n";

/// A project whose settings name two providers; the first, which they take, is nowhere.
fn project(endpoint: &Endpoint) -> Driven {
    let driven = Driven::bare();
    driven.hides(KEY);
    driven.make_project();
    let provider = |name: &str, base: &str| {
        format!(
            "[providers.{name}]\nkind = \"claude\"\nbase_url = \"{base}\"\ncredential = \"env:SCRIPTED_KEY\"\nretries_max = 0\n\
             models = {{ balanced = \"claude-sonnet-4-5\", strong = \"claude-sonnet-4-5\" }}\n\n"
        )
    };
    let settings = provider("absent", "http://127.0.0.1:9") + &provider("there", &endpoint.url());
    fs::create_dir_all(driven.path("config/loom")).unwrap();
    fs::write(driven.path("config/loom/config.toml"), settings + "[run]\nproviders = [\"absent\"]\n").unwrap();
    driven
}

/// Runs a task that comes by standard input.
fn run(driven: &Driven, options: &str) -> Ran {
    let mut command = driven.command(&format!("run - --complexity trivial --policy review-final --no-input {options}"));
    command.env("SCRIPTED_KEY", KEY).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(TASK.as_bytes()).unwrap();
    child.wait_with_output().unwrap().into()
}

fn body<'l>(log: &'l [Value], kind: &str) -> &'l Value {
    &log.iter().find(|event| event["kind"] == kind).unwrap_or_else(|| panic!("no {kind}: {log:#?}"))["body"]
}

#[test]
fn what_is_said_goes_before_the_settings_and_is_on_record() {
    needs!("claude", "git", "sh");
    let edit = json!({"command": "echo '# Kept by nobody.' >> notes.sh", "description": "edit"});
    let script = Script::new().then(Reply::call("Bash", edit)).then(Reply::text("{\"summary\": \"a comment\"}"));
    let endpoint = Endpoint::start(KEY, script).unwrap();
    let driven = project(&endpoint);
    let ran = run(&driven, "--provider there --model claude-haiku-4-5 --bundle code --budget-usd 2.50 --fence off");
    assert_eq!(ran.code, 3, "{}", ran.err);
    let log = driven.log();
    assert_eq!(body(&log, "run.opened")["cap_money_micro"], 2_500_000);
    assert_eq!(body(&log, "run.opened")["bundle_name"], "code 1");
    let finished = body(&log, "spawn.finished");
    let told = ["model", "fence", "outcome"].map(|field| finished[field].as_str().unwrap_or_default());
    assert_eq!(told, ["claude-haiku-4-5", "none", "ok"], "{finished}");
    assert!(finished["provider"].as_str().unwrap().starts_with("there (claude "), "{finished}");
    assert_eq!(endpoint.refused(), Vec::<String>::new());
    let shown = driven.loom("show run:last");
    assert!(shown.out.contains(TASK.trim()), "{}", shown.out);
}

#[test]
fn a_run_ends_where_its_money_does_not_reach() {
    needs!("claude", "git", "sh");
    let endpoint = Endpoint::start(KEY, Script::new()).unwrap();
    let driven = project(&endpoint);
    let ran = run(&driven, "--provider there --budget-usd 0.01");
    assert_eq!(ran.code, 5, "{}", ran.err);
    assert_eq!(endpoint.messages(), 0, "nothing is asked that could cost more");
    assert_eq!(body(&driven.log(), "run.closed")["verdict"], "exhausted");
}
