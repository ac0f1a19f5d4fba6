//! What a person asks of a run where nobody drives and no model is set up; and how runs stand that nobody drives.

use crate::driven::Driven;
use crate::rig::Ran;
use loom_providers::demo;
use serde_json::Value;
use std::fs;

/// A project of one's own whose run waits at its final gate: a blocker stands.
fn at_gate() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    // Not the demo's task: for that its script would stand in.
    fs::write(driven.path("task.txt"), format!("{} In earnest.", demo::TASK)).unwrap();
    let path = |name: &str| driven.path(name).display().to_string();
    let run = format!("run --file {} --script {} --policy review-final", path("task.txt"), path("model.toml"));
    let ran = driven.loom(&run);
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    driven
}

fn status(driven: &Driven) -> (String, Option<String>) {
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    let run = &status["runs"][0];
    (run["state"].as_str().unwrap().to_string(), run["verdict"].as_str().map(str::to_string))
}

fn state(driven: &Driven) -> String {
    status(driven).0
}

fn asked(driven: &Driven, arguments: &[&str]) -> Ran {
    driven.command("").args(arguments).output().unwrap().into()
}

#[test]
fn what_a_person_asks_needs_no_model_and_what_does_waits_for_one() {
    needs!("git", "sh");
    let driven = at_gate();
    let ok = |arguments: &[&str]| {
        let ran = asked(&driven, arguments);
        assert_eq!(ran.code, 0, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.out.contains("on record"), "{arguments:?}: {}", ran.out);
        assert!(!ran.err.contains("no model"), "{arguments:?}: {}", ran.err);
    };
    assert_eq!(driven.loom("resume").code, 9, "to drive, there must be one");
    ok(&["steer", "run:last", "mind the names"]);
    assert_eq!(state(&driven), "waiting");
    ok(&["pause", "run:last"]);
    assert_eq!(state(&driven), "paused");
    let told = driven.loom("status").out;
    assert!(told.contains("paused") && told.contains("`loom resume` goes on"), "{told}");
    ok(&["resume", "run:last"]);
    assert_eq!(state(&driven), "waiting");

    // A rule refuses it, the work is to be mended, and for that nobody is there.
    let ran = asked(&driven, &["answer", "run:last", "accept"]);
    assert_eq!(ran.code, 4, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("no model is set up, so run") && ran.err.contains("`loom resume`"), "{}", ran.err);
    assert_eq!(state(&driven), "interrupted");
    let told = driven.loom("status").out;
    assert!(told.contains("interrupted") && told.contains("nobody drives; `loom resume` goes on"), "{told}");
    let log = driven.log();
    let last = log.iter().rfind(|event| event["kind"] == "spawn.finished").unwrap();
    assert_eq!((&last["body"]["outcome"], &last["body"]["money_micro"]), (&"limited".into(), &0.into()), "{last}");
    assert!(last["body"]["detail"].as_str().unwrap().contains("no model is set up"), "{last}");

    // Once there is one it goes on, and no attempt was lost.
    let ran = driven.loom(&format!("resume --script {}", driven.path("model.toml").display()));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    let requested = driven
        .log()
        .into_iter()
        .rfind(|event| event["kind"] == "spawn.requested" && event["body"]["agent"] == "implementer");
    assert_eq!(requested.unwrap()["body"]["attempt"], 1);
    // What is made without a model is made.
    ok(&["answer", "run:last", "accept"]);
    assert_eq!(status(&driven), ("closed".to_string(), Some("accepted".to_string())));
    driven.is_whole();
}

#[test]
fn a_run_is_cancelled_where_no_model_is_set_up_whatever_it_waits_for() {
    needs!("git", "sh");
    for ways in [&[][..], &["pause run:last"], &["answer run:last revise"], &["recover run:last retry"]] {
        let driven = at_gate();
        for way in ways {
            let ran = driven.loom(way);
            assert!(ran.code != 9 && ran.out.contains("on record"), "{way}: {}{}", ran.out, ran.err);
        }
        let ran = driven.loom("cancel run:last -m enough");
        assert_eq!(ran.code, 0, "{ways:?}: {}{}", ran.out, ran.err);
        assert_eq!(status(&driven), ("closed".to_string(), Some("cancelled".to_string())), "{ways:?}");
        driven.is_whole();
    }
}

#[test]
fn a_note_or_a_reason_that_says_nothing_is_refused() {
    needs!("git", "sh");
    let driven = at_gate();
    let log = driven.log();
    let finding = log.iter().find(|event| event["kind"] == "finding.raised").unwrap();
    let finding = format!("run:last#{}", finding["sequence"]);
    for (arguments, told) in [
        (&["steer", "run:last", ""][..], "the note is empty"),
        (&["steer", "run:last", " \n"], "the note is empty"),
        (&["risk", "accept", &finding, "-m", ""], "the reason is empty"),
    ] {
        let ran = asked(&driven, arguments);
        assert_eq!(ran.code, 2, "{arguments:?}: {}{}", ran.out, ran.err);
        assert!(ran.err.contains(told), "{arguments:?}: {}", ran.err);
    }
    assert_eq!(driven.log().len(), log.len(), "nothing of it is on record");
    let ran = asked(&driven, &["risk", "accept", &finding, "-m", "it may stand"]);
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
}
