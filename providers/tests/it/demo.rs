//! The demo is true: its checks run, its flaw is a flaw that they do not catch, and its repair repairs it.

use crate::run;
use loom_core::word::SpawnOutcome;
use loom_providers::demo::{FILES, SCRIPT, TASK};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn project() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in FILES {
        fs::write(folder.path().join(path), content).unwrap();
    }
    folder
}

fn checks_pass(project: &Path) -> bool {
    [&["-n", "notes.sh"][..], &["test.sh"]].iter().all(|arguments| {
        let output = Command::new("sh").args(*arguments).current_dir(project).output().unwrap();
        output.status.success()
    })
}

/// Adds a note with this name; returns whether something appeared beside the notes folder.
fn escapes(project: &Path, name: &str) -> bool {
    let outer = tempfile::tempdir().unwrap();
    let notes = outer.path().join("notes");
    fs::create_dir(&notes).unwrap();
    let mut child = Command::new("sh")
        .args(["notes.sh", "add", name])
        .current_dir(project)
        .env("NOTES_DIR", &notes)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // The script may refuse before it reads.
    let _ = child.stdin.take().unwrap().write_all(b"x");
    child.wait().unwrap();
    fs::read_dir(outer.path()).unwrap().count() > 1
}

#[test]
fn the_checks_pass_before_and_after_each_round() {
    needs!("sh");
    let project = project();
    assert!(checks_pass(project.path()));
    for round in 1..=2 {
        let report = run(SCRIPT, project.path(), "implementer", round, 1);
        assert_eq!(report.outcome, SpawnOutcome::Ok, "{:?}", report.detail);
        assert!(checks_pass(project.path()), "round {round}");
    }
}

#[test]
fn the_flaw_is_real_and_so_is_its_repair() {
    needs!("sh");
    let project = project();
    run(SCRIPT, project.path(), "implementer", 1, 1);
    assert!(escapes(project.path(), "../escaped"));
    run(SCRIPT, project.path(), "implementer", 2, 1);
    assert!(!escapes(project.path(), "../escaped"));
}

#[test]
fn tests_notice_when_the_repair_is_taken_out() {
    needs!("sh");
    let project = project();
    run(SCRIPT, project.path(), "implementer", 1, 1);
    let flawed = fs::read(project.path().join("notes.sh")).unwrap();
    run(SCRIPT, project.path(), "implementer", 2, 1);
    fs::write(project.path().join("notes.sh"), flawed).unwrap();
    assert!(!checks_pass(project.path()));
}

#[test]
fn findings_point_at_the_lines_they_speak_of() {
    needs!("sh");
    let project = project();
    run(SCRIPT, project.path(), "implementer", 1, 1);
    let text = fs::read_to_string(project.path().join("notes.sh")).unwrap();
    let line = text.lines().nth(19).unwrap();
    assert!(line.contains("file=\"$dir/$1.txt\""), "{line}");
    let report = run(SCRIPT, project.path(), "reviewer-security", 1, 1);
    let said = String::from_utf8(report.output).unwrap();
    assert!(said.contains("\"line\": 20") && said.contains("\"blocking\""), "{said}");
    run(SCRIPT, project.path(), "implementer", 2, 1);
    let text = fs::read_to_string(project.path().join("notes.sh")).unwrap();
    assert!(text.lines().nth(28).unwrap().contains("if [ -e"), "{text}");
}

#[test]
fn playing_a_round_again_changes_nothing() {
    needs!("sh");
    let project = project();
    run(SCRIPT, project.path(), "implementer", 2, 1);
    let before = fs::read(project.path().join("notes.sh")).unwrap();
    run(SCRIPT, project.path(), "implementer", 2, 2);
    assert_eq!(fs::read(project.path().join("notes.sh")).unwrap(), before);
}

#[test]
fn the_task_is_one_sentence_of_text() {
    needs!("sh");
    assert!(TASK.starts_with("Add `notes.sh add NAME`"));
}
