//! `loom run`: a task of one's own, in a repository of one's own.

use crate::driven::Driven;
use loom_providers::demo;
use serde_json::Value;
use std::fs;

/// A project, and a model script beside it.
fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    fs::write(driven.path("task.txt"), demo::TASK).unwrap();
    driven
}

fn task(driven: &Driven, more: &str) -> String {
    let path = |name: &str| driven.path(name).display().to_string();
    format!("run --file {} --script {} --policy review-final {more}", path("task.txt"), path("model.toml"))
}

#[test]
fn a_task_is_driven_to_a_gate_and_answered_from_elsewhere() {
    needs!("git", "sh");
    let driven = project();
    let before = driven.users();
    let ran = driven.loom(&task(&driven, "--json"));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&document["loom"], &document["state"]), (&"run/1".into(), &"waiting".into()));
    let script = format!("--script {}", driven.path("model.toml").display());
    let gate = format!("run:last#{}", document["gate"]);
    assert_eq!(driven.loom(&format!("answer {gate} accept {script}")).code, 4);
    assert_eq!(driven.loom(&format!("answer run:last accept {script}")).code, 0);
    driven.is_whole();
    assert_eq!(driven.users(), before);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"][0]["verdict"], "accepted");
}

#[test]
fn the_same_request_is_the_same_run() {
    needs!("git", "sh");
    let driven = project();
    let runs = [0, 1].map(|_| {
        let ran = driven.loom(&task(&driven, "--json --request-id tuesday"));
        assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        document["run"].clone()
    });
    assert_eq!(runs[0], runs[1]);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"].as_array().unwrap().len(), 1);
}

#[test]
fn what_cannot_be_run_is_told() {
    needs!("git", "sh");
    let driven = project();
    let script = format!("--script {}", driven.path("model.toml").display());
    for (arguments, code, told) in [
        ("run a-task".to_string(), 9, "no model is set up"),
        (format!("run {script}"), 2, "TASK"),
        (format!("run a-task {script} --bundle cook"), 2, "there is no bundle `cook`; there are code"),
        (format!("run a-task {script} --policy humane"), 2, "humane"),
        (format!("run a-task {script} --complexity hard"), 2, "hard"),
        (format!("run a-task {script} --budget-usd 1,50"), 2, "it is no amount like 2.50"),
        (format!("run a-task {script} --max-time soon"), 2, "it is no span like 90m"),
        (format!("run --file /dev/zero {script}"), 2, "the task"),
    ] {
        let ran = driven.loom(&arguments);
        assert_eq!(ran.code, code, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
    }
}
