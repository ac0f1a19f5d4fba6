//! `loom demo` as a stranger meets it: what it says, what it leaves, and what it tells to type next.

use crate::driven::{Driven, Users};
use crate::rig::{Ran, field, same};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// What is told while the run goes on. Lines between two stages are sorted: what runs at once ends as it may.
const TOLD: &str = include_str!("demo.err.txt");
/// What is answered at the end; the same of the events between two stages.
const ANSWERED: &str = include_str!("demo.out.txt");

/// A demo that came to its end.
struct Done {
    driven: Driven,
    ran: Ran,
}

impl Done {
    fn with(arguments: &str) -> Self {
        let driven = Driven::new();
        let kept = driven.path("kept");
        let ran: Ran = driven.command(&format!("demo --keep {}{arguments}", kept.display())).output().unwrap().into();
        assert_eq!(ran.code, 0, "{}", ran.err);
        Done { driven, ran }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        self.driven.prepare(&mut command);
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_string()
    }

    /// Returns the one event of a kind.
    fn only(&self, kind: &str) -> Value {
        let lines = self.driven.loom(&format!("log --jsonl --kind {kind}")).out;
        assert_eq!(lines.lines().count(), 1, "{kind}: {lines}");
        serde_json::from_str(lines.trim_end()).unwrap()
    }
}

/// Hides what differs from run to run: times, ids, sequences, the folder, the columns of the graph; sorts what ran at
/// once.
fn normal(text: &str, driven: &Driven) -> String {
    let binary = fs::canonicalize(env!("CARGO_BIN_EXE_loom")).unwrap();
    let folder = fs::canonicalize(driven.path("kept")).unwrap();
    let text = text.replace(binary.to_str().unwrap(), "LOOM").replace(folder.to_str().unwrap(), "FOLDER");
    let mut lines: Vec<String> = Vec::new();
    let mut block: Vec<String> = Vec::new();
    let mut within = false;
    for line in text.lines() {
        let line = without_columns(without_time(line));
        let line: Vec<String> = line.split(' ').map(word).collect();
        let line = line.join(" ");
        let is_stage = line.contains(" · round ") || line.contains("stage.entered");
        let is_end = line.starts_with("the run ended") || line.starts_with("ID head");
        if is_stage || is_end {
            flush(&mut block, &mut lines, within);
            within = is_stage && (line.contains("review") || line.contains("checks"));
            lines.push(line);
        } else {
            block.push(line);
        }
    }
    flush(&mut block, &mut lines, false);
    lines.join("\n")
}

fn flush(block: &mut Vec<String>, lines: &mut Vec<String>, sort: bool) {
    if sort {
        block.sort();
    }
    lines.append(block);
}

/// Takes off the seconds since the beginning.
fn without_time(line: &str) -> &str {
    match line.trim_start().split_once("s ") {
        Some((seconds, rest)) if seconds.parse::<f64>().is_ok() => rest,
        _ => line,
    }
}

/// Takes the columns of the graph off an event's line, and the place of the event.
fn without_columns(line: &str) -> String {
    let rest = line.trim_start_matches(['●', '│', '├', '─', '┼', ' ']);
    match rest.split_once(" #") {
        Some((id, rest)) if rest.len() < line.len() && is_id(id) && line.contains('●') => {
            format!("● {}", rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start())
        }
        _ => line.to_string(),
    }
}

fn is_id(word: &str) -> bool {
    word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
}

/// Hides a word that is an id, a sequence, a date or a time.
fn word(word: &str) -> String {
    let (body, end) = match word.strip_suffix([')', ';', ':']) {
        Some(body) => (body, &word[body.len()..]),
        None => (word, ""),
    };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let parts = |by: char| body.split(by).count() == 3 && body.split(by).all(digits);
    let hidden = if is_id(body) {
        "ID".to_string()
    } else if body.strip_prefix('#').is_some_and(digits) {
        "#N".to_string()
    } else if body.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).is_some_and(digits) {
        "{N}".to_string()
    } else if parts('-') {
        "DATE".to_string()
    } else if parts(':') {
        "TIME".to_string()
    } else {
        match body.rsplit_once('-') {
            Some((slug, id)) if is_id(id) => format!("{slug}-ID"),
            // A line that is too long ends within the id.
            Some((slug, id)) if body.starts_with("loom/") && id.ends_with('…') => format!("{slug}-ID"),
            _ => body.to_string(),
        }
    };
    hidden + end
}

#[test]
fn a_run_is_refused_corrected_approved_merged_and_verified() {
    needs!("git", "sh");
    let Done { driven, ran } = &Done::with("");
    same(&normal(&ran.err, driven), TOLD);
    same(&normal(&ran.out, driven), ANSWERED);
}

#[test]
fn what_the_demo_tells_is_what_is_on_record() {
    needs!("git", "sh");
    let done = Done::with("");
    let verified = done.driven.loom("verify --blobs --redrive");
    assert_eq!((verified.code, verified.err.as_str()), (0, ""), "{}", verified.out);
    let refused = done.only("refused");
    assert_eq!(refused["body"]["rules"][0], "findings/no-open-blocker");
    let back = done.only("walked.back");
    assert_eq!(back["body"]["to"], "implement");
    assert!(refused["position"].as_u64() < back["position"].as_u64());
    let decided = done.driven.loom("log --jsonl --kind gate.decided").out;
    let decided: Vec<Value> = decided.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let told: Vec<_> = decided.iter().map(|gate| [&gate["body"]["role"], &gate["body"]["by"]]).collect();
    assert_eq!(told, [["plan", "policy"], ["final", "person"]]);
    assert_eq!(decided[1]["body"]["decider"], "demo");
    let answers = done.driven.loom("log --jsonl --kind gate.answered").out;
    for answer in answers.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        assert_eq!((&answer["actor"]["id"], &answer["actor"]["assurance"]), (&"demo".into(), &"asserted".into()));
    }
}

#[test]
fn the_branch_holds_the_work_and_its_tests_pass() {
    needs!("git", "sh");
    let done = Done::with("");
    let run = done.only("run.opened")["stream"].as_str().unwrap().to_string();
    let branch = done.git(&["for-each-ref", "--format=%(refname:short)", "refs/heads/loom"]);
    assert_eq!(branch, format!("loom/add-notes-sh-add-name-it-saves-standard-{}", &run[..8]));
    assert!(done.ran.out.contains(&format!("branch      {branch}\n")));
    let checked_out = done.driven.path("checked-out");
    done.git(&["worktree", "add", "--quiet", checked_out.to_str().unwrap(), &branch]);
    let tests = Command::new("sh").arg("test.sh").current_dir(&checked_out).output().unwrap();
    assert!(tests.status.success(), "{tests:?}");
    // The flaw that was named is mended: a name does not lead out of the folder.
    let notes = checked_out.join("inner");
    fs::create_dir(&notes).unwrap();
    let mut add = Command::new("sh");
    add.args(["notes.sh", "add", "../out"]).current_dir(&checked_out).env("NOTES_DIR", &notes);
    assert!(!add.output().unwrap().status.success());
    assert!(!checked_out.join("out.txt").exists());
}

#[test]
fn the_users_repository_is_as_it_was_made() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    let before: Users = std::mem::take(&mut driver.users);
    assert!(before.contains_key(Path::new(".git/index")) && before.contains_key(Path::new(".git/config")));
    assert!(before.contains_key(Path::new(".git/HEAD")) && before.contains_key(Path::new("notes.sh")));
    assert_eq!(driver.ends(), Some(0));
    assert_eq!(driven.users(), before);
}

/// Runs what the demo says is worth typing, in a shell that knows only this.
#[track_caller]
fn typed(done: &Done, search_path: &str) -> Vec<String> {
    let (_, worth) = done.ran.out.split_once("Worth typing next:\n").unwrap();
    let commands: Vec<&str> =
        worth.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' ')).collect();
    let (enter, commands) = commands.split_first().unwrap();
    assert!(enter.starts_with("cd "), "{enter}");
    assert_eq!(commands.len(), 3, "{worth}");
    for command in commands {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &format!("{enter} && {command}")]).current_dir("/").env_clear();
        let ran: Ran = shell.env("PATH", search_path).output().unwrap().into();
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{command}");
        assert!(!ran.out.is_empty(), "{command}");
    }
    commands.iter().map(ToString::to_string).collect()
}

#[test]
fn what_is_worth_typing_next_works_for_who_has_loom_on_the_path_or_not() {
    needs!("git", "sh");
    let usual = std::env::var("PATH").unwrap();
    let commands = typed(&Done::with(""), &usual);
    let binary = fs::canonicalize(env!("CARGO_BIN_EXE_loom")).unwrap();
    assert!(commands[0].starts_with(&format!("{} log", binary.display())), "{commands:?}");

    // A folder with a space and a quote, and loom on the path.
    let driven = Driven::new();
    std::os::unix::fs::symlink(&binary, driven.path("bin").join("loom")).unwrap();
    let mut command = driven.command("demo --keep");
    let ran: Ran = command.arg(driven.path("it's kept")).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let search_path = format!("{}:{usual}", driven.path("bin").display());
    let commands = typed(&Done { driven, ran }, &search_path);
    assert_eq!(commands[0], "loom log --kind refused");
}

#[test]
fn one_document_on_stdout_and_the_talk_on_stderr() {
    needs!("git", "sh");
    let done = Done::with(" --json");
    let document: Value = serde_json::from_str(&done.ran.out).unwrap();
    let run = done.only("run.opened")["stream"].clone();
    let branch = format!("loom/add-notes-sh-add-name-it-saves-standard-{}", &run.as_str().unwrap()[..8]);
    let place = fs::canonicalize(done.driven.project()).unwrap();
    let wanted = serde_json::json!({
        "loom": "demo/1",
        "run": run,
        "verdict": "accepted",
        "branch": branch,
        "events": done.driven.log().len(),
        "is_whole": true,
        "repository": place,
        "store": place.join(".loom"),
    });
    assert_eq!(document, wanted);
    same(&normal(&done.ran.err, &done.driven), TOLD);
}

#[test]
fn quiet_is_the_result_alone() {
    needs!("git", "sh");
    let Done { driven, ran } = &Done::with(" --quiet");
    assert_eq!(ran.err, "");
    same(&normal(&ran.out, driven), ANSWERED);
}

#[test]
fn without_a_folder_it_makes_one_and_says_where() {
    needs!("git", "sh");
    let driven = Driven::new();
    let ran: Ran = driven.command("demo --json").env("TMPDIR", driven.path("")).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.err);
    let place = field(&ran.out, "repository");
    let made = fs::canonicalize(driven.path("")).unwrap().join("loom-demo-");
    assert!(place.starts_with(made.to_str().unwrap()) && place.ends_with("/notes"), "{place}");
    assert_eq!(driven.loom(&format!("verify --dir {place}")).code, 0);
}

#[test]
fn a_folder_with_something_in_it_is_left_alone() {
    needs!("git", "sh");
    let driven = Driven::new();
    let kept = driven.path("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("mine"), "mine").unwrap();
    let ran = driven.loom(&format!("demo --keep {}", kept.display()));
    let told = format!("error: {} is not empty\nhint: name another folder, or a new one\n", kept.display());
    assert_eq!((ran.code, ran.out.as_str(), ran.err), (2, "", told));
    assert_eq!(fs::read_dir(&kept).unwrap().count(), 1);
}

#[test]
fn an_end_of_the_input_is_said_and_is_no_answer_of_a_person() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    // A terminal whose input has ended: the kernel's line discipline reads the byte 4 as the end.
    let mut command = Command::new("script");
    driven.prepare(&mut command);
    let demo = format!("{} demo --keep {}", env!("CARGO_BIN_EXE_loom"), driven.path("kept").display());
    let file = fs::write(driven.path("input"), [4; 1]).and_then(|()| fs::File::open(driven.path("input"))).unwrap();
    let ran: Ran = command.args(["-qec", &demo, "/dev/null"]).stdin(file).output().unwrap().into();
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains("gate `final`: accept, revise, reject or abandon? [accept] "), "{}", ran.out);
    assert!(ran.out.contains("the input has ended: the demo answers `accept` as actor `demo`"), "{}", ran.out);
    let decided = driven.loom("log --jsonl --kind gate.decided").out;
    let last: Value = serde_json::from_str(decided.lines().last().unwrap()).unwrap();
    assert_eq!(last["body"]["decider"], "demo");
}
