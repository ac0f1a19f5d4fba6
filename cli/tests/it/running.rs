//! `loom run`: a task of one's own, in a repository of one's own.

use crate::driven::{Driven, Driver, program, until};
use crate::rig::Ran;
use loom_providers::demo;
use serde_json::Value;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

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
fn a_run_is_told_event_by_event_in_lines_of_json() {
    needs!("git", "sh");
    let driven = project();
    let ran = driven.loom(&task(&driven, "--jsonl"));
    assert_eq!(ran.code, 3, "{}", ran.err);
    let lines: Vec<Value> = ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (end, events) = lines.split_last().unwrap();
    assert_eq!((&end["loom"], &end["state"]), (&"run/1".into(), &"waiting".into()));
    assert_eq!(events, &driven.log()[1..], "the store's own stream apart");
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
        ("run a-task --provider claud".to_string(), 2, "there is no provider `claud`; did you mean `claude`?"),
        (format!("run {script}"), 2, "TASK"),
        (format!("run a-task {script} --bundle cook"), 2, "there is no bundle `cook`; there are code"),
        (format!("run a-task {script} --policy humane"), 2, "humane"),
        (format!("run a-task {script} --complexity hard"), 2, "hard"),
        (format!("run a-task {script} --budget-usd 1,50"), 2, "it is no amount like 2.50"),
        (format!("run a-task {script} --max-time soon"), 2, "it is no span like 90m"),
        (format!("run a-task {script} --max-spawns 0"), 2, "--max-spawns"),
        (format!("run a-task {script} --max-time 0m"), 2, "it is no span ahead"),
        (format!("run --file /dev/zero {script}"), 2, "the task"),
    ] {
        let ran = driven.loom(&arguments);
        assert_eq!(ran.code, code, "{arguments}: {}", ran.err);
        assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
    }
}

/// `loom run` at a terminal, watched.
struct Sitting {
    child: Child,
    said: PathBuf,
}

impl Sitting {
    fn begin(driven: &Driven, more: &str) -> Self {
        let said = driven.path("said");
        let mut command = Command::new("script");
        driven.prepare(&mut command);
        let words = format!("{} {}", env!("CARGO_BIN_EXE_loom"), task(driven, more));
        command.args(["-qec", &words, "/dev/null"]).stdin(Stdio::piped()).stdout(File::create(&said).unwrap());
        Sitting { child: command.spawn().unwrap(), said }
    }

    fn said(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.said).unwrap()).into_owned()
    }

    /// Waits until it has said something so often.
    #[track_caller]
    fn says(&self, words: &str, times: usize) {
        assert!(until(|| self.said().matches(words).count() >= times), "{words}: {}", self.said());
    }

    fn types(&mut self, line: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{line}").unwrap();
    }

    fn ends(&mut self) -> Option<i32> {
        let mut code = None;
        until(|| {
            code = self.child.try_wait().unwrap();
            code.is_some()
        });
        code.and_then(|code| code.code())
    }
}

const ASKS: &str = "accept, revise NOTE, reject, abandon, or diff?";

#[test]
fn a_gate_is_shown_and_answered_at_the_terminal() {
    needs!("git", "sh", "script");
    let driven = project();
    let mut sitting = Sitting::begin(&driven, "");
    sitting.says(ASKS, 1);
    sitting.types("perhaps");
    sitting.says("`perhaps` is none of them", 1);
    sitting.types("diff");
    sitting.says("+++ b/notes.sh", 1);
    sitting.says(ASKS, 3);
    sitting.types("accept");
    // A rule refuses it; the work is mended and asked about again.
    sitting.says("REFUSED inside the commit", 1);
    sitting.says(ASKS, 4);
    sitting.types("accept");
    assert_eq!(sitting.ends(), Some(0), "{}", sitting.said());
    sitting.says("accepted", 2);
    driven.is_whole();
}

#[test]
fn a_gate_that_is_asked_about_at_a_terminal_is_answered_from_another() {
    needs!("git", "sh", "script");
    let driven = project();
    let mut sitting = Sitting::begin(&driven, "");
    sitting.says(ASKS, 1);
    let ran = driven.loom("answer run:last accept");
    assert_eq!((ran.code, ran.err.as_str()), (4, ""), "{}", ran.out);
    sitting.says(ASKS, 2);
    let ran = driven.loom("answer run:last reject -m no");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
    assert_eq!(sitting.ends(), Some(1), "{}", sitting.said());
    driven.is_whole();
}

#[test]
fn an_end_of_the_input_leaves_the_run_waiting() {
    needs!("git", "sh", "script");
    let driven = project();
    let mut sitting = Sitting::begin(&driven, "");
    sitting.says(ASKS, 1);
    sitting.types("\u{4}");
    assert_eq!(sitting.ends(), Some(3), "{}", sitting.said());
    assert!(driven.loom("gates").out.contains("final"));
}

/// Sends a signal to a process that this test has started.
fn interrupt(driver: &Driver) {
    let sent = Command::new("/bin/sh").args(["-c", &format!("kill -INT {}", driver.id())]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn interrupted_once_it_ends_cleanly_and_twice_at_once() {
    needs!("git", "sh", "setsid");
    for times in [1, 2] {
        let driven = project();
        fs::write(driven.path("linger-check"), "").unwrap();
        let mut driver = driven.drives(&task(&driven, ""));
        assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
        interrupt(&driver);
        driver.reads_until("holding: what is under way ends first");
        if times == 1 {
            // What is under way is waited for; here it is ended from elsewhere.
            assert!(!driver.has_ended());
            let ran = driven.loom("recover run:last cancel-pending");
            assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{}", ran.out);
        } else {
            interrupt(&driver);
        }
        assert_eq!(driver.ends(), Some(130));
        assert!(until(|| driven.survivors().is_empty()));
        fs::remove_file(driven.path("linger-check")).unwrap();
        let ran = driven.loom(&format!("resume --script {}", driven.path("model.toml").display()));
        assert_eq!(ran.code, 3, "it goes on to its gate: {}{}", ran.out, ran.err);
        driven.is_whole();
    }
}

#[test]
fn a_second_run_is_driven_by_who_drives_already_and_taken_over_when_it_dies() {
    needs!("git", "sh", "setsid");
    let driven = project();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.drives(&task(&driven, ""));
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    fs::remove_file(driven.path("linger-check")).unwrap();
    let ran = driven.loom(&task(&driven, "--json"));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("which another process drives"), "{}", ran.err);
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["state"], "waiting");
    assert!(ran.err.contains("decides on") && ran.err.contains("checked"), "the gate is shown: {}", ran.err);

    fs::write(driven.path("linger-check"), "").unwrap();
    let mut joined = driven.drives(&task(&driven, "--request-id third"));
    joined.reads_until("which another process drives");
    assert!(!driver.has_ended());
    driver.kill();
    fs::remove_file(driven.path("linger-check")).unwrap();
    // It takes the store, and drives on what it finds there.
    assert_eq!(joined.ends(), Some(3), "{:?}", joined.told);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"].as_array().unwrap().len(), 3);
    assert!(until(|| driven.survivors().is_empty()));
}

#[test]
fn what_a_driver_does_otherwise_than_it_is_asked_is_refused_and_not_dropped() {
    needs!("git", "sh", "setsid");
    let driven = project();
    let asked = |arguments: &str, fence: &str| -> Ran {
        driven.command(arguments).env("LOOM_FENCE_MODE", fence).output().unwrap().into()
    };
    let other = format!("--script {}", driven.path("other.toml").display());
    fs::write(driven.path("other.toml"), "model = \"o\"\n").unwrap();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.drives(&task(&driven, ""));
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    let before = driven.log();
    let fenced = "another process drives, and it has no fence, and one is required; nothing was asked of it";
    for (arguments, fence, told) in [
        (task(&driven, "--fence required"), "off", fenced),
        (task(&driven, ""), "required", fenced),
        (format!("run a-task {other}"), "off", "its model script is another than that of --script"),
        ("resume run:last".to_string(), "required", fenced),
        ("recover run:last retry".to_string(), "required", fenced),
        ("pause run:last --fence required".to_string(), "off", fenced),
        (format!("steer run:last careful {other}"), "off", "its model script is another"),
        ("cancel run:last --provider claude".to_string(), "off", "a script stands in for its model, not --provider"),
        ("cancel run:last --fence auto".to_string(), "off", "it was told to have no fence, and --fence auto"),
    ] {
        let ran = asked(&arguments, fence);
        if ran.err.contains("no fence works on this machine") {
            crate::missing::skip("a fence", &ran.err);
            continue;
        }
        assert_eq!((ran.code, ran.out.as_str()), (9, ""), "{arguments}: {}", ran.err);
        assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
        assert!(ran.err.contains(&format!("end process {} and ask again", driver.id())), "{arguments}: {}", ran.err);
    }
    assert_eq!(driven.log(), before, "nothing of it is on record");
    // What only ends is not in the way of a fence.
    let ran = asked("cancel run:last", "required");
    assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
    assert_eq!(driver.ends(), Some(10), "{:?}", driver.told);
    assert!(until(|| driven.survivors().is_empty()));
}

#[test]
fn a_run_that_is_turned_away_says_until_when_it_waits() {
    needs!("git", "sh");
    let driven = project();
    fs::write(driven.path("model.toml"), turned_away(1)).unwrap();
    // One attempt may take half an hour; three seconds are left for waiting.
    let ran = driven.loom(&task(&driven, "--complexity trivial --max-time 1803s"));
    assert_eq!(ran.code, 5, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("implementer is asked again at 2"), "{}", ran.err);
    assert!(ran.err.contains("waits for a rate limit, for which the budget of time"), "{}", ran.err);
    let count = |kind: &str| driven.log().iter().filter(|event| event["kind"] == kind).count();
    assert!(count("spawn.requested") > 1 && count("timer.set") + 1 == count("spawn.requested"));
}

/// Returns a script by which the model turns everybody away and names a wait.
fn turned_away(wake_ms: u64) -> String {
    let turn = "[[turn]]\nagent = \"implementer\"\ntrouble = [\"limited\"]\nsay = \"\"\n";
    format!("model = \"m\"\n{turn}wake_ms = {wake_ms}\n")
}

#[test]
fn a_run_that_waits_for_a_rate_limit_can_be_held_and_cancelled() {
    needs!("git", "sh");
    let driven = project();
    fs::write(driven.path("model.toml"), turned_away(3_600_000)).unwrap();
    let mut driver = driven.drives(&task(&driven, "--complexity trivial"));
    driver.reads_until("implementer is asked again at");
    let paused = driven.loom("pause run:last");
    assert_eq!(paused.code, 0, "{}", paused.err);
    assert_eq!(driver.ends(), Some(3), "{:?}", driver.told);
    let cancelled = driven.loom("cancel run:last");
    assert_eq!(cancelled.code, 0, "{}{}", cancelled.out, cancelled.err);
    let status: Value = serde_json::from_str(&driven.loom("status --json").out).unwrap();
    assert_eq!(status["runs"][0]["verdict"], "cancelled");
    driven.is_whole();
}

#[test]
fn a_fence_is_found_where_nothing_is_installed_but_git_and_its_helper() {
    needs!("git", "bwrap");
    let driven = Driven::bare();
    driven.make_project();
    let edits = "model = \"m\"\n[[turn]]\nagent = \"implementer\"\nsay = '{\"summary\": \"done\"}'\n\
                 edit = [{ write = \"x\", content = \"x\" }]\n";
    fs::write(driven.path("model.toml"), edits).unwrap();
    fs::write(driven.path("task.txt"), demo::TASK).unwrap();
    fs::create_dir(driven.path("programs")).unwrap();
    for name in ["git", "bwrap"] {
        std::os::unix::fs::symlink(program(name), driven.path("programs").join(name)).unwrap();
    }
    let run = |mode: &str, search_path: &OsStr| -> Ran {
        let mut command = driven.command(&task(&driven, &format!("--complexity trivial --fence {mode}")));
        command.env("PATH", search_path).output().unwrap().into()
    };
    let all = std::env::var_os("PATH").unwrap();
    let ran = run("required", &all);
    if ran.code == 9 {
        crate::missing::skip("a fence", &ran.err);
        return;
    }
    let fence = |ran: &Ran| {
        let (_, fence) = ran.err.split_once("run in the fence ")?;
        Some(fence.split(|c: char| !c.is_alphabetic()).next()?.to_string())
    };
    assert!(fence(&ran).is_some(), "{}", ran.err);
    for mode in ["auto", "required"] {
        let bare = run(mode, driven.path("programs").as_os_str());
        assert_eq!(fence(&bare), fence(&ran), "{}", bare.err);
    }
}

#[test]
fn a_check_finds_nothing_that_an_agent_has_left_outside_of_the_tree() {
    needs!("git", "sh");
    let driven = project();
    let turn = r#"
        model = "m"
        [[turn]]
        agent = "implementer"
        run = ["sh", "-c", "touch ~/left $TMPDIR/left"]
        edit = [{ write = "test.sh", content = "test -e ~/left -o -e $TMPDIR/left" }]
        say = '{"summary": "done"}'
    "#;
    fs::write(driven.path("model.toml"), turn).unwrap();
    let ran = driven.loom(&task(&driven, "--complexity trivial"));
    assert_eq!(ran.code, 3, "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("implementer ended: ok"), "{}", ran.err);
    assert!(ran.err.contains("check test: fail (exit code 1)"), "{}", ran.err);
}
