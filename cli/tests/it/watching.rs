//! `loom watch`: the unattended mode, from outside.

use crate::driven::{Driven, until};
use crate::rig::Ran;
use loom_core::id::unhex;
use loom_core::kind::KeyAdded;
use loom_providers::demo;
use loom_server::{AskError, RemoteStore, socket_of};
use serde_json::Value;
use std::fs;
use std::process::Command;

fn project() -> Driven {
    let driven = Driven::new();
    driven.make_project();
    fs::write(driven.path("model.toml"), demo::SCRIPT).unwrap();
    fs::write(driven.path("task.txt"), demo::TASK).unwrap();
    driven
}

/// Returns a command that watches, by the script, with a person at the final gate.
fn watch(driven: &Driven, more: &str) -> Command {
    let script = driven.path("model.toml").display().to_string();
    let mut command = driven.command(&format!("watch --script {script} {more}"));
    command.env("LOOM_RUN_POLICY", "review-final");
    command
}

fn watched(driven: &Driven, more: &str) -> Ran {
    watch(driven, more).output().unwrap().into()
}

fn states(driven: &Driven) -> Vec<String> {
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    status["runs"].as_array().unwrap().iter().map(|run| run["state"].as_str().unwrap().to_string()).collect()
}

#[test]
fn nothing_is_driven_unattended_without_leave() {
    needs!("git", "sh");
    let driven = project();
    let ran = watched(&driven, "--until-idle");
    assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{}", ran.err);
    assert!(ran.err.contains("may not be driven unattended") && ran.err.contains("loom allowlist add"), "{}", ran.err);
    assert!(!driven.store_folder().exists());
}

#[test]
fn tasks_of_the_queue_are_driven_to_their_gates_and_on_when_somebody_answers() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(watched(&driven, "--until-idle --json").code, 0);
    let task = driven.path("task.txt").display().to_string();
    for _ in 0..2 {
        let ran = driven.loom(&format!("queue add --file {task}"));
        assert_eq!(ran.code, 0, "{}", ran.err);
    }
    let waiting: Value = serde_json::from_str(&driven.loom("queue --json").out).unwrap();
    assert_eq!(waiting["tasks"].as_array().unwrap().len(), 2);
    let ran = watched(&driven, "--until-idle --json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["begun"], 2);
    assert_eq!(states(&driven), ["waiting", "waiting"], "a gate that waits holds up nobody");
    assert!(driven.loom("queue").out.contains("no task waits"));

    let mut driver = driven.follows(watch(&driven, ""));
    driver.reads_until("watching");
    let task = driven.loom("queue add a-third-task");
    assert_eq!(task.code, 0, "{}", task.err);
    assert!(until(|| states(&driven).len() == 3), "it wakes for a task");
    assert!(until(|| driven.loom("gates").out.matches("final").count() >= 2));
    let gates: Value = serde_json::from_str(&driven.loom("gates --json").out).unwrap();
    let run = gates["gates"][0]["run"].as_str().unwrap().to_string();
    let answered = driven.loom(&format!("answer {run} abandon"));
    assert_eq!((answered.code, answered.err.as_str()), (0, ""), "{}", answered.out);
    assert!(until(|| states(&driven).iter().any(|state| state == "closed")), "it wakes when somebody answers");
    assert!(until(|| !states(&driven).iter().any(|state| state == "running")));
    let ended = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", driver.id())]).status().unwrap();
    assert!(ended.success());
    assert_eq!(driver.ends(), Some(143));
}

#[test]
fn detached_it_goes_on_by_itself() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    let ran = watched(&driven, "--detach --json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let process = told["process"].as_u64().unwrap();
    let again = watched(&driven, "--detach");
    assert_eq!(again.code, 9, "one watches already: {}{}", again.out, again.err);
    assert_eq!(driven.loom("queue add a-task").code, 0);
    assert!(until(|| states(&driven).len() == 1));
    let alive =
        || Command::new("/bin/sh").args(["-c", &format!("kill -0 {process}")]).output().unwrap().status.success();
    assert!(alive());
    Command::new("/bin/sh").args(["-c", &format!("kill -TERM {process}")]).status().unwrap();
    assert!(until(|| !alive()));
    let log = fs::read_to_string(told["log"].as_str().unwrap()).unwrap();
    assert!(log.contains("watching"), "{log}");
}

#[test]
fn a_key_is_put_on_record_through_the_process_that_watches() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(watched(&driven, "--until-idle").code, 0);
    let mut driver = driven.follows(watch(&driven, ""));
    driver.reads_until("watching");
    let heads = driven.path("heads").display().to_string();
    fs::create_dir(&heads).unwrap();
    let keys = || -> Vec<Value> {
        let listed: Value = serde_json::from_str(&driven.loom("keys list --json").out).unwrap();
        listed["keys"].as_array().unwrap().clone()
    };
    for (asked, known) in
        [(format!("witness {heads}"), 1), ("keys rotate".to_string(), 2), (format!("witness {heads}"), 2)]
    {
        let ran = driven.loom(&asked);
        assert_eq!((ran.code, keys().len()), (0, known), "{asked}: {}", ran.err);
    }
    assert_eq!(keys()[1]["handed_over"], true);
    let verified = driven.loom(&format!("verify --checkpoint {heads}"));
    assert_eq!(verified.code, 0, "{}{}", verified.out, verified.err);

    // Who can speak to it is the same user, and yet what does not follow is never on record.
    let holder = RemoteStore::connect(&socket_of(&driven.path("state"), &driven.store_folder()).unwrap()).unwrap();
    let key_of =
        |index: usize| -> [u8; 32] { unhex(keys()[index]["key"].as_str().unwrap()).unwrap().try_into().unwrap() };
    let (first, last) = (key_of(0), key_of(1));
    for (before, signature, key, why) in [
        (None, None, [7; 32], "does not name the one on record last"),
        (Some(first), None, [7; 32], "does not name the one on record last"),
        (Some(last), Some([0; 64]), [7; 32], "hand-over does not fit"),
        (Some(last), None, first, "on record before"),
    ] {
        let refused = holder.add_key(&KeyAdded { key, before, signature });
        assert!(matches!(&refused, Err(AskError::Refused(said)) if said.contains(why)), "{why}: {refused:?}");
    }
    assert_eq!(keys().len(), 2);
    drop(holder);
    let ended = Command::new("/bin/sh").args(["-c", &format!("kill -TERM {}", driver.id())]).status().unwrap();
    assert!(ended.success());
    assert_eq!(driver.ends(), Some(143));
    assert_eq!(driven.loom("verify").code, 0);
}

#[test]
fn a_leave_is_not_that_of_a_repository_inside() {
    needs!("git", "sh");
    let driven = project();
    let inner = driven.project().join("vendor/inner");
    fs::create_dir_all(inner.join("folder")).unwrap();
    assert!(Command::new("git").current_dir(&inner).args(["init", "-q"]).status().unwrap().success());
    assert_eq!(driven.loom("allowlist add").code, 0);
    let ran: Ran = watch(&driven, "--until-idle").current_dir(inner.join("folder")).output().unwrap().into();
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("may not be driven unattended"), "{}", ran.err);
    let ran: Ran = watch(&driven, "--until-idle").current_dir(inner.join("..")).output().unwrap().into();
    assert_eq!(ran.code, 0, "a folder of the project itself: {}", ran.err);
}

#[test]
fn a_detached_watch_says_what_it_does_in_the_project_and_nowhere_else() {
    needs!("git", "sh");
    let driven = project();
    let folder = driven.project().join("folder");
    fs::create_dir(&folder).unwrap();
    assert_eq!(driven.loom("allowlist add").code, 0);
    let outside = driven.path("outside");
    fs::create_dir(&outside).unwrap();
    fs::create_dir(driven.store_folder()).unwrap();
    for link in [driven.store_folder().join("watch.log"), driven.store_folder()] {
        std::os::unix::fs::symlink(outside.join("file"), &link).unwrap();
        let ran = watched(&driven, "--detach");
        assert_eq!(ran.code, 2, "{}{}", ran.out, ran.err);
        fs::remove_file(&link).unwrap();
        let _gone = fs::remove_dir(driven.store_folder());
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
    let ran: Ran = watch(&driven, "--detach --json").current_dir(&folder).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    let kill = format!("kill -TERM {}", told["process"]);
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    assert!(driven.store_folder().join("watch.log").is_file());
    assert!(!folder.join(".loom").exists());
}

#[test]
fn a_task_that_cannot_be_read_holds_up_no_other() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(watched(&driven, "--until-idle").code, 0);
    let key = format!("ghp_{}", "aB3".repeat(12));
    let task = driven.path("secret.txt");
    fs::write(&task, format!("use {key}")).unwrap();
    assert_eq!(driven.loom(&format!("queue add --file {}", task.display())).code, 0);
    let queue = driven.store_folder().join("queue");
    fs::write(queue.join("000000-first.md"), b"\xff").unwrap();
    let listed = driven.loom("queue");
    assert!(listed.code == 0 && listed.err.contains("000000-first.md"), "{}{}", listed.out, listed.err);
    let ran = watched(&driven, "--until-idle --json");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("task 000000-first.md cannot be begun"), "{}", ran.err);
    let told: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["begun"], 1);
    assert_eq!(fs::read(queue.join("taken/000000-first.md")).unwrap(), b"\xff", "it is kept");
    assert_eq!(fs::read(queue.join("taken/000001-task.md")).unwrap(), b"", "its text is on record, redacted");
}

#[test]
fn a_task_that_no_run_would_take_is_not_queued() {
    needs!("git", "sh");
    let driven = project();
    assert_eq!(driven.loom("allowlist add").code, 0);
    assert_eq!(watched(&driven, "--until-idle").code, 0);
    fs::write(driven.path("long"), "a".repeat(1024 * 1024 + 1)).unwrap();
    fs::write(driven.path("empty"), " \n").unwrap();
    for (file, told) in [("long", "more than it may"), ("empty", "the task is empty")] {
        for command in ["queue add".to_string(), format!("run --script {}", driven.path("model.toml").display())] {
            let ran = driven.loom(&format!("{command} --file {}", driven.path(file).display()));
            assert_eq!(ran.code, 2, "{command}: {}{}", ran.out, ran.err);
            assert!(ran.err.contains(told), "{command}: {}", ran.err);
        }
    }
    assert_eq!(driven.loom("queue").out, "no task waits\n");
    let mut command = driven.command("queue add --file -");
    command.stdin(fs::File::open(driven.path("task.txt")).unwrap());
    let ran: Ran = command.output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let listed: Value = serde_json::from_str(&driven.loom("queue --json").out).unwrap();
    assert_eq!(listed["tasks"][0]["task"], demo::TASK);
}
