//! The pages of `docs/`: every command on them is run, in the order in which it stands there.
//!
//! A block ```` ```console ```` has commands; `# N` behind one is the exit code that it ends with, `# any` says that the
//! machine decides. A block with `file=NAME` is written into the project first. Who thinks is the demo's script.

use crate::driven::{Driven, until};
use loom_providers::demo;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Commands that drive, or may have to.
const DRIVES: &[&str] = &["run", "resume", "answer", "risk", "steer", "cancel", "recover", "pause", "watch"];

enum Step {
    Write { name: String, text: String },
    Run { line: String, code: Option<i32> },
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some((_, name)) = fence.split_once("file=") {
            steps.push(Step::Write { name: name.to_string(), text: block.join("\n") + "\n" });
        } else if fence == "console" {
            steps.extend(block.iter().map(|line| {
                let line = line.strip_prefix("$ ").unwrap_or_else(|| panic!("no command: {line}"));
                let (line, code) = line.split_once("   # ").unwrap_or((line, "0"));
                Step::Run { line: line.to_string(), code: code.parse().ok() }
            }));
        }
    }
    steps
}

/// Returns a line with what a test has in place of a model, before its first word that is no command's name.
fn scripted(line: &str, script: &Path) -> String {
    let command = line.strip_prefix("loom ").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
    match DRIVES.contains(&command) {
        true => format!("{line} --script '{}'", script.display()),
        false => line.to_string(),
    }
}

fn check(page: &str) {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    let script = driven.path("model.toml");
    fs::write(&script, demo::SCRIPT).unwrap();
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(page)).unwrap();
    let steps = steps(&text);
    assert!(steps.len() > 2, "{page} has commands");
    for step in steps {
        match step {
            Step::Write { name, text } => fs::write(driven.project().join(name), text).unwrap(),
            Step::Run { line, code } => {
                let mut command = Command::new("/bin/sh");
                driven.prepare(&mut command);
                let loom = format!("loom() {{ '{}' \"$@\"; }}\n", env!("CARGO_BIN_EXE_loom"));
                // A function cannot have this name; what stands first on the search path stays first.
                let replay = Path::new(env!("CARGO_BIN_EXE_loom-replay")).parent().unwrap();
                let loom = format!("PATH=\"$PATH:{}\"\n{loom}", replay.display());
                command.args(["-c", &(loom + &scripted(&line, &script))]).env("LOOM_RUN_POLICY", "review-final");
                for who in ["AUTHOR", "COMMITTER"] {
                    command.env(format!("GIT_{who}_NAME"), "u").env(format!("GIT_{who}_EMAIL"), "u@example.com");
                }
                let ran = command.output().unwrap();
                let err = String::from_utf8_lossy(&ran.stderr);
                if let Some(code) = code {
                    let out = String::from_utf8_lossy(&ran.stdout);
                    assert_eq!(ran.status.code(), Some(code), "{page}: {line}\n{out}{err}");
                }
                assert!(!err.contains("panicked"), "{page}: {line}\n{err}");
            }
        }
    }
    // What went into the background is ended as the page says.
    driven.kill_all();
    assert!(until(|| driven.survivors().is_empty()));
}

#[test]
fn a_first_run() {
    check("first-run.md");
}

#[test]
fn answering_gates() {
    check("gates.md");
}

#[test]
fn writing_a_rule() {
    check("rules.md");
}

#[test]
fn rules_about_sequences() {
    check("sequences.md");
}

#[test]
fn unattended() {
    check("unattended.md");
}

#[test]
fn receipts_and_witnesses() {
    check("receipts.md");
}

#[test]
fn asking_recorded_runs() {
    check("replay.md");
}

#[test]
fn when_something_breaks() {
    check("trouble.md");
}

#[test]
fn every_page_is_listed_and_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let list = fs::read_to_string(folder.join("README.md")).unwrap();
    let own = include_str!("docs.rs");
    for entry in fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(name == "README.md" || list.contains(&format!("({name})")), "{name} is not listed");
        assert!(name == "README.md" || own.contains(&format!("check(\"{name}\")")), "{name} is not run");
    }
}
