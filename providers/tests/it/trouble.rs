//! Every misbehaviour really happens.

use crate::{Pretended, run, run_until, run_with};
use loom_core::word::SpawnOutcome;
use std::fs;
use std::path::Path;
use std::process::Command;

fn with(trouble: &str) -> String {
    format!("model = 'm'\n[[turn]]\nagent = 'a'\nsay = 'done'\ntokens_in = 7\n{trouble}")
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "user.name=t", "-c", "user.email=t@t"])
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn edits_are_made_in_order() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("old"), "x").unwrap();
    let script = with(
        "edit = [{ write = 'a/b', content = 'one' }, { append = 'a/b', content = ' two' }, { delete = 'old' }, { delete = 'never' }]",
    );
    let report = run(&script, folder.path(), "a", 1, 1);
    assert_eq!(report.outcome, SpawnOutcome::Ok, "{:?}", report.detail);
    assert_eq!(fs::read_to_string(folder.path().join("a/b")).unwrap(), "one two");
    assert!(!folder.path().join("old").exists());
    assert_eq!((report.tokens_in, report.tokens_out), (Some(7), None), "what is not known stays unknown");
    assert_eq!(report.model.as_deref(), Some("m"));
}

#[test]
fn edits_never_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("work");
    fs::create_dir(&root).unwrap();
    std::os::unix::fs::symlink("..", root.join("up")).unwrap();
    for path in ["../out", "/tmp/loom-out", "up/out", "a/../../out", ".", ""] {
        let report = run(&with(&format!("edit = [{{ write = '{path}', content = 'x' }}]")), &root, "a", 1, 1);
        assert_eq!(report.outcome, SpawnOutcome::Failed, "{path}");
    }
    assert!(!folder.path().join("out").exists());
}

#[test]
fn a_turn_that_hangs_ends_by_its_time_or_by_being_cancelled() {
    let folder = tempfile::tempdir().unwrap();
    let script = with("trouble = ['hang']");
    assert_eq!(run(&script, folder.path(), "a", 1, 1).outcome, SpawnOutcome::TimedOut);
    let report = run_until(&script, folder.path(), "a", 1, 1, &|| true);
    assert_eq!(report.outcome, SpawnOutcome::Cancelled);
    assert_eq!(report.output, b"");
}

#[test]
fn garbage_is_no_text_and_as_long_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(&with("trouble = ['garbage']\ngarbage_bytes = 5000"), folder.path(), "a", 1, 1);
    assert_eq!((report.outcome, report.output.len()), (SpawnOutcome::Ok, 5000));
    assert!(String::from_utf8(report.output).is_err());
}

#[test]
fn failures_come_with_their_outcome() {
    let folder = tempfile::tempdir().unwrap();
    for (word, outcome) in [("fail", SpawnOutcome::Failed), ("break", SpawnOutcome::Broken)] {
        let script = with(&format!("trouble = ['{word}']\nedit = [{{ write = '{word}' }}]"));
        assert_eq!(run(&script, folder.path(), "a", 1, 1).outcome, outcome);
        assert!(folder.path().join(word).exists(), "it fails after its edits");
    }
}

#[test]
fn a_limited_turn_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = with("trouble = ['limited']\nwake_ms = 9\nedit = [{ write = 'x' }]");
    let report = run(&script, folder.path(), "a", 1, 1);
    assert_eq!((report.outcome, report.wake_ms), (SpawnOutcome::Limited, Some(9)));
    assert!(!folder.path().join("x").exists());
}

#[test]
fn the_workspace_can_be_deleted() {
    needs!("git");
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(".git")).unwrap();
    fs::write(folder.path().join("x"), "x").unwrap();
    run(&with("trouble = ['delete-workspace']"), folder.path(), "a", 1, 1);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_child_can_be_left_behind() {
    needs!("sleep", "kill");
    let folder = tempfile::tempdir().unwrap();
    let report = run(&with("trouble = ['spawn-child']"), folder.path(), "a", 1, 1);
    let detail = report.detail.unwrap();
    let id = detail.strip_prefix("child ").unwrap();
    let ended = Command::new("kill").arg(id).status().unwrap();
    assert!(ended.success(), "it lived on");
}

#[test]
fn git_can_be_told_to_look_away() {
    needs!("git");
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    git(root, &["init", "-q"]);
    fs::write(root.join("kept"), "before").unwrap();
    git(root, &["add", "."]);
    git(root, &["commit", "-qm", "base"]);
    let script = with(
        "trouble = ['index-flags']\nedit = [{ write = 'kept', content = 'after' }, { write = 'new', content = 'x' }]",
    );
    assert_eq!(run(&script, root, "a", 1, 1).outcome, SpawnOutcome::Ok);
    assert_eq!(git(root, &["status", "--porcelain"]), "", "git sees nothing");
    assert_eq!(fs::read_to_string(root.join("kept")).unwrap(), "after");
}

#[test]
fn an_agent_can_say_done_without_doing() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(&with(""), folder.path(), "a", 1, 1);
    assert_eq!((report.outcome, report.output.as_slice()), (SpawnOutcome::Ok, &b"done"[..]));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn what_a_program_prints_comes_before_what_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(&with("run = ['echo', 'a b']"), folder.path(), "a", 1, 1);
    assert_eq!((report.outcome, report.output.as_slice()), (SpawnOutcome::Ok, &b"echo a bdone"[..]));
}

#[test]
fn a_program_that_fails_fails_the_turn_and_what_it_printed_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    for ends in [SpawnOutcome::Failed, SpawnOutcome::TimedOut, SpawnOutcome::Cancelled, SpawnOutcome::Broken] {
        let hands = Pretended { cancelled: &|| false, ends };
        let report = run_with(&with("run = ['echo']"), folder.path(), "a", 1, 1, &hands);
        assert_eq!((report.outcome, report.output.as_slice()), (ends, &b"echo"[..]));
        assert_eq!(report.detail.as_deref(), Some(ends.word()));
    }
}
