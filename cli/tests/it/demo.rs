//! `loom demo` as a stranger meets it: what it says, what it leaves, and what it tells to type next.

use crate::driven::{Driven, Users, until};
use crate::missing::skip;
use crate::rig::{Place, Ran, field, same};
use serde_json::Value;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
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

/// The question at a gate.
const ASKS: &str = "accept, revise, reject or abandon? [accept] ";
/// What the kernel's line discipline reads as the end of the input.
const END: char = '\u{4}';

/// Runs the demo at a terminal where this is typed; what it says on stdout and stderr is one text there.
#[track_caller]
fn at_terminal(driven: &Driven, more: &str, typed: &str) -> Ran {
    let (input, said) = (driven.path("input"), driven.path("said"));
    fs::write(&input, typed).unwrap();
    let demo = format!("{} demo --keep {}{more}", env!("CARGO_BIN_EXE_loom"), driven.path("kept").display());
    let mut command = Command::new("script");
    driven.prepare(&mut command);
    command.args(["-qec", &demo, "/dev/null"]).stdin(File::open(input).unwrap());
    let mut child = command.stdout(File::create(&said).unwrap()).spawn().unwrap();
    let mut status = None;
    until(|| {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    let out = fs::read_to_string(said).unwrap();
    if status.is_none() {
        child.kill().unwrap();
        child.wait().unwrap();
        panic!("it waits: {out}");
    }
    Ran { code: status.unwrap().code().unwrap_or(-1), out, err: String::new() }
}

/// Returns who decided each gate, in order.
fn deciders(driven: &Driven) -> Vec<String> {
    let decided = driven.loom("log --jsonl --kind gate.decided").out;
    let decided = decided.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    decided.map(|gate| gate["body"]["decider"].as_str().unwrap().to_string()).collect()
}

/// Returns the branches of Loom there are.
fn branches(driven: &Driven) -> usize {
    let mut folders = vec![driven.project().join(".git/refs/heads/loom")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found += 1 }
        }
    }
    found
}

#[test]
fn an_end_of_the_input_is_said_and_is_no_answer_of_a_person() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    let ran = at_terminal(&driven, "", &END.to_string());
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.contains(&format!("gate `final`: {ASKS}")), "{}", ran.out);
    assert!(ran.out.contains("the input has ended: the demo answers `accept` as actor `demo`"), "{}", ran.out);
    assert_eq!(deciders(&driven).last().unwrap(), "demo");
}

#[test]
fn once_the_input_has_ended_nobody_is_asked_again() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    // The work is sent back, the script has no other, and the kernel asks what is to become of it.
    let ran = at_terminal(&driven, "", &format!("bogus\nrevise\n{END}"));
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.contains("`bogus` is none of the four"), "{}", ran.out);
    assert_eq!(ran.out.matches(ASKS).count(), 3, "after the two lines the end is read, once: {}", ran.out);
    for answer in ["accept", "abandon"] {
        let told = format!("the input has ended: the demo answers `{answer}` as actor `demo`, assurance `asserted`");
        assert_eq!(ran.out.matches(&told).count(), 1, "{}", ran.out);
    }
    assert_eq!(deciders(&driven), ["auto", &user(), "demo", "demo"]);
    assert!(ran.out.contains("branch      none: the work was not accepted"), "{}", ran.out);
    assert!(!ran.out.contains("git show"), "{}", ran.out);
    assert_eq!(branches(&driven), 0);
}

/// Returns how the user of this process is named where nobody vouches for more.
fn user() -> String {
    format!("uid:{}", fs::metadata("/proc/self").unwrap().uid())
}

#[test]
fn an_answer_at_the_terminal_is_that_of_its_user() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    let ran = at_terminal(&driven, "", "bogus\naccept\n");
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert_eq!(ran.out.matches(ASKS).count(), 2, "{}", ran.out);
    assert_eq!(deciders(&driven), ["auto", &user()]);
    let answered = driven.loom("log --jsonl --kind gate.answered").out;
    let last: Value = serde_json::from_str(answered.lines().last().unwrap()).unwrap();
    assert_eq!((&last["actor"]["id"], &last["actor"]["assurance"]), (&user().into(), &"asserted".into()));
    assert_eq!(branches(&driven), 1);
}

#[test]
fn a_rejection_at_the_terminal_is_1_and_makes_no_branch() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    let ran = at_terminal(&driven, " --json 2>/dev/null", "reject\n");
    assert_eq!(ran.code, 1, "{}", ran.out);
    // The terminal shows what is typed, too.
    let document: Value = serde_json::from_str(&ran.out[ran.out.find('{').unwrap()..]).unwrap();
    assert_eq!((&document["verdict"], &document["branch"]), (&"rejected".into(), &Value::Null));
    assert_eq!(deciders(&driven), ["auto", &user()]);
    assert_eq!(branches(&driven), 0);
}

#[test]
fn who_is_not_to_be_asked_is_not_asked_at_a_terminal_either() {
    needs!("git", "sh", "script");
    let driven = Driven::new();
    let ran = at_terminal(&driven, " --no-input", "reject\n");
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(!ran.out.contains(ASKS), "{}", ran.out);
    assert!(ran.out.contains("not to be asked: the demo answers `accept` as actor `demo`"), "{}", ran.out);
    assert_eq!(deciders(&driven), ["auto", "demo"]);
}

#[test]
fn the_demo_needs_no_network() {
    needs!("git", "sh", "unshare");
    let driven = Driven::new();
    // A network of its own has nothing but a loopback that is down.
    let alone = |script: &str| {
        let mut command = Command::new("unshare");
        driven.prepare(&mut command);
        command.args(["-rn", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_loom")]).arg(driven.path("kept"));
        Ran::from(command.output().unwrap())
    };
    if alone(":").code != 0 {
        return skip("a network namespace", "permit `unshare -rn`");
    }
    let interfaces = alone("while read -r line; do echo \"$line\"; done < /proc/net/dev").out;
    let interfaces: Vec<&str> = interfaces.lines().filter_map(|line| Some(line.split_once(':')?.0)).collect();
    assert_eq!(interfaces, ["lo"]);
    let ran = alone("exec \"$1\" demo --keep \"$2\"");
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(branches(&driven), 1);
    driven.is_whole();
}

#[test]
fn what_descends_from_a_spawn_opens_no_run_and_decides_no_gate() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut command = driven.command(&format!("demo --keep {}", driven.path("kept").display()));
    let ran: Ran = command.env("LOOM_SPAWN", "7").output().unwrap().into();
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.ends_with("error: a run is opened by a person\n"), "{}", ran.err);
    let kinds: Vec<Value> = driven.log().into_iter().map(|mut event| event["kind"].take()).collect();
    assert_eq!(kinds, ["store.created"]);
}

#[test]
fn its_checks_are_fenced_where_a_fence_works_and_that_is_on_record() {
    needs!("git", "sh");
    let place = Place::empty();
    let run = |arguments: &str, folder: &str| -> Ran {
        let mut command = place.command(arguments);
        command.env("LOOM_STATE_DIR", place.path().join("state"));
        command.arg(place.path().join(folder)).output().unwrap().into()
    };
    let ran = run("demo --fence required --keep", "fenced");
    if ran.code == 9 {
        skip("a fence", &ran.err);
        return;
    }
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("note: agents and checks run in the fence "), "{}", ran.err);
    let of = |folder: &str| {
        let log: Ran =
            place.command(&format!("log --jsonl --kind check.finished --dir {folder}/notes")).output().unwrap().into();
        let lines = log.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|event| event["body"]["fence"].as_str().unwrap().to_string()).collect::<Vec<_>>()
    };
    let fences = of("fenced");
    assert!(
        !fences.is_empty() && fences.iter().all(|fence| fence == "bubblewrap" || fence == "landlock"),
        "{fences:?}"
    );
    let ran = run("demo --fence off --keep", "open");
    assert!(ran.code == 0 && !ran.err.contains("fence"), "{}", ran.err);
    assert!(of("open").iter().all(|fence| fence == "none"));
}
