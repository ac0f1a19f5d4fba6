//! What a run made is looked at, explained and shipped, in a real repository.

use crate::driven::Driven;
use crate::explaining::is_of_its_schema;
use crate::rig::{Place, Ran};
use loom_providers::demo;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs git as the user of a project does, and returns what it says.
#[track_caller]
fn git(folder: &Path, arguments: &[&str]) -> String {
    let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
    let output = Command::new("git").current_dir(folder).args(who).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim_end().to_string()
}

/// A project with a run of the demo's task that waits at its first gate over a blocking finding.
fn waiting() -> Driven {
    waiting_for(demo::SCRIPT)
}

fn waiting_for(script: &str) -> Driven {
    let driven = Driven::new();
    driven.make_project();
    git(&driven.project(), &["config", "user.name", "u"]);
    git(&driven.project(), &["config", "user.email", "u@x"]);
    fs::write(driven.path("model.toml"), script).unwrap();
    fs::write(driven.path("task.txt"), demo::TASK).unwrap();
    let path = |name: &str| driven.path(name).display().to_string();
    let task = format!("run --file {} --script {} --policy review-final", path("task.txt"), path("model.toml"));
    assert_eq!(driven.loom(&task).code, 3);
    driven
}

/// The same, accepted.
fn accepted() -> Driven {
    let driven = waiting();
    let script = format!("--script {}", driven.path("model.toml").display());
    assert_eq!(driven.loom(&format!("answer run:last accept {script}")).code, 4);
    let ran = driven.loom(&format!("answer run:last accept {script}"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    driven
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err))
}

/// Everything a failed shipping must leave as it is.
fn target(driven: &Driven) -> (String, String, String) {
    let project = driven.project();
    let head = git(&project, &["rev-parse", "HEAD"]);
    let status = git(&project, &["status", "--porcelain", "--untracked-files=all"]);
    (head, status, fs::read_to_string(project.join("notes.sh")).unwrap_or_default())
}

#[track_caller]
fn refused(driven: &Driven, arguments: &str, code: i32, told: &str) {
    let before = target(driven);
    let ran = driven.loom(arguments);
    assert_eq!(ran.code, code, "{arguments}: {}{}", ran.out, ran.err);
    assert!(ran.err.contains(told), "{arguments}: {}", ran.err);
    assert_eq!(target(driven), before, "{arguments}");
}

#[test]
fn a_waiting_run_s_change_is_a_patch_that_git_applies() {
    needs!("git", "sh");
    let driven = waiting();
    let patch = driven.loom("diff");
    assert_eq!((patch.code, patch.err.as_str()), (0, ""));
    fs::write(driven.path("run.patch"), &patch.out).unwrap();
    let file = driven.path("run.patch").display().to_string();
    git(&driven.project(), &["apply", "--check", &file]);
    let told = json(&driven.loom("diff run:last --json"));
    is_of_its_schema(&Place::empty(), &told);
    assert_eq!(told["patch"], patch.out);
    let names: Vec<&str> =
        told["changes"].as_array().unwrap().iter().map(|change| change["path_text"].as_str().unwrap()).collect();
    assert_eq!(driven.loom("diff --name-only").out.lines().collect::<Vec<_>>(), names);
    assert!(driven.loom("diff --stat").out.contains(&format!("{} files changed", names.len())));
    // Of one spawn: who edited changed all of it, who reviewed nothing.
    let spawns = driven.log();
    let of = |agent: &str| {
        let found = spawns.iter().find(|event| event["kind"] == "spawn.requested" && event["body"]["agent"] == agent);
        found.unwrap()["sequence"].clone()
    };
    assert_eq!(driven.loom(&format!("diff --spawn run:last#{}", of("implementer"))).out, patch.out);
    assert_eq!(driven.loom(&format!("diff --spawn run:last#{}", of("reviewer-logic"))).out, "");
    refused(&driven, "ship run:last --squash", 1, "is waiting, not accepted");
    refused(&driven, "ship run:last --pr-body", 1, "is waiting, not accepted");
    // The trees of a run that has ended without a branch are gone with its workspace.
    assert_eq!(driven.loom("diff").out, patch.out, "looking changes nothing");
    fs::remove_dir_all(driven.path("state/stores")).unwrap();
    refused(&driven, "diff", 1, "its workspace is removed");
}

#[test]
fn an_accepted_run_becomes_one_commit_with_trailers() {
    needs!("git", "sh");
    let driven = accepted();
    let project = driven.project();
    let base = git(&project, &["rev-parse", "HEAD"]);
    let branch = json(&driven.loom("history --json"))["runs"][0]["branch"].as_str().unwrap().to_string();
    let patch = driven.loom("diff").out;
    assert_eq!(patch, git(&project, &["diff", "--full-index", "--no-renames", &base, &branch]) + "\n");

    // Whatever is in the way is told, and nothing is touched.
    fs::write(project.join("README.md"), "mine\n").unwrap();
    refused(&driven, "ship run:last --squash", 1, "the work tree is not clean: README.md");
    git(&project, &["add", "README.md"]);
    refused(&driven, "ship run:last --squash", 1, "the work tree is not clean: README.md");
    git(&project, &["reset", "-q", "--hard"]);
    git(&project, &["switch", "-q", "--detach"]);
    refused(&driven, "ship run:last --squash", 1, "HEAD is detached");
    git(&project, &["switch", "-q", "-c", "topic", &base]);
    refused(&driven, "ship run:last --squash --onto main", 1, "the present branch is topic, not main");
    refused(&driven, "ship run:last --push", 2, "there is no remote `origin`");

    // A hook that says no leaves everything as it was; hooks are the user's and run.
    let hook = project.join(".git/hooks/pre-commit");
    fs::create_dir_all(hook.parent().unwrap()).unwrap();
    fs::write(&hook, "#!/bin/sh\necho not today >&2\nexit 1\n").unwrap();
    fs::set_permissions(&hook, Permissions::from_mode(0o755)).unwrap();
    refused(&driven, "ship run:last --squash", 1, "not today");
    // What a hook changed by itself is not thrown away, and that is said.
    fs::write(&hook, "#!/bin/sh\necho '# formatted' >> notes.sh\nexit 1\n").unwrap();
    let ran = driven.loom("ship run:last --squash");
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("the work tree could not be put back"), "{}", ran.err);
    assert!(fs::read_to_string(project.join("notes.sh")).unwrap().ends_with("# formatted\n"));
    assert_eq!(git(&project, &["rev-parse", "HEAD"]), base);
    git(&project, &["reset", "-q", "--hard"]);
    fs::remove_file(&hook).unwrap();

    let shipped = json(&driven.loom("ship run:last --squash --onto topic --json"));
    is_of_its_schema(&Place::empty(), &shipped);
    assert_eq!((&shipped["onto"], &shipped["altered_by_hooks"]), (&"topic".into(), &false.into()));
    assert_eq!(shipped["squashed"], git(&project, &["rev-parse", "topic"]));
    assert_eq!(git(&project, &["rev-parse", "topic^"]), base);
    assert_eq!(
        git(&project, &["rev-parse", "topic^{tree}"]),
        git(&project, &["rev-parse", &format!("{branch}^{{tree}}")])
    );
    assert_eq!(git(&project, &["status", "--porcelain"]), "");
    assert_eq!(git(&project, &["log", "-1", "--format=%an %ae", "topic"]), "u u@x");
    let message = git(&project, &["log", "-1", "--format=%B", "topic"]);
    let trailers = |of: &str| git(&project, &["log", "-1", "--format=%(trailers:key=Loom-Run,key=Loom-Head)", of]);
    assert!(message.lines().next().unwrap().chars().count() <= 72, "{message}");
    assert_eq!(trailers("topic"), trailers(&branch));
    assert_eq!(trailers("topic").lines().count(), 2, "{message}");
    refused(&driven, "ship run:last --squash", 1, "topic has everything");
}

#[test]
fn what_does_not_apply_is_told_by_its_paths_and_nothing_is_half_applied() {
    needs!("git", "sh");
    let driven = accepted();
    let project = driven.project();
    fs::write(project.join("notes.sh"), "#!/bin/sh\n# all of it is other\n").unwrap();
    git(&project, &["commit", "-q", "-a", "-m", "mine"]);
    refused(&driven, "ship run:last --squash", 1, ": notes.sh");
}

#[test]
fn a_file_that_git_ignores_is_not_overwritten() {
    needs!("git", "sh");
    let driven = accepted();
    let project = driven.project();
    // What the run only changed is made new to the branch, and lies there ignored.
    git(&project, &["rm", "-q", "--cached", "test.sh"]);
    fs::write(project.join(".gitignore"), "test.sh\n").unwrap();
    git(&project, &["add", ".gitignore"]);
    git(&project, &["commit", "-q", "-m", "mine"]);
    let before = fs::read(project.join("test.sh")).unwrap();
    // Deleted here and changed there is a conflict; either way the file stays.
    assert_eq!(driven.loom("ship run:last --squash").code, 1);
    assert_eq!(fs::read(project.join("test.sh")).unwrap(), before);
}

#[test]
fn a_branch_is_pushed_and_never_forced() {
    needs!("git", "sh");
    let driven = accepted();
    let project = driven.project();
    let remote = driven.path("remote.git");
    git(driven.path("").as_path(), &["init", "-q", "--bare", "remote.git"]);
    git(&project, &["remote", "add", "origin", remote.to_str().unwrap()]);
    let pushed = json(&driven.loom("ship run:last --push --json"));
    is_of_its_schema(&Place::empty(), &pushed);
    let (branch, commit) = (pushed["branch"].as_str().unwrap(), pushed["commit"].as_str().unwrap());
    assert_eq!(git(&remote, &["rev-parse", branch]), commit);
    assert_eq!(driven.loom("ship run:last --push origin").code, 0, "again is no harm");
    refused(&driven, "ship run:last --push upstream", 2, "there is no remote `upstream`; there are origin");
    // Somebody put something else there.
    let other = git(&remote, &["commit-tree", &format!("{commit}^{{tree}}"), "-m", "other"]);
    git(&remote, &["update-ref", &format!("refs/heads/{branch}"), &other]);
    refused(&driven, "ship run:last --push", 9, "the push to `origin` failed: ");
    assert_eq!(git(&remote, &["rev-parse", branch]), other);
    // The branch was moved: what it says now was not accepted.
    git(&project, &["update-ref", &format!("refs/heads/{branch}"), "HEAD"]);
    refused(&driven, "ship run:last --squash", 1, "not at the accepted");
}

#[test]
fn an_agent_cannot_ship_or_reset() {
    needs!("git", "sh");
    let driven = accepted();
    for arguments in ["ship run:last --squash", "ship run:last --push", "reset --yes"] {
        let ran: Ran = driven.command(arguments).env("LOOM_SPAWN", "7").output().unwrap().into();
        assert_eq!(ran.code, 1, "{arguments}");
        assert!(ran.err.contains("descends from spawn or check 7"), "{arguments}: {}", ran.err);
    }
}

#[test]
fn a_pull_request_says_what_happened_and_how_to_check_it() {
    needs!("git", "sh");
    let driven = accepted();
    let body = driven.loom("ship run:last --pr-body").out;
    for heading in
        ["Task", "What changed", "Reviews", "Findings", "Checks", "Decisions", "Refused on the way", "Cost", "Proof"]
    {
        assert!(body.contains(&format!("## {heading}\n")), "{heading}: {body}");
    }
    for part in [
        "`findings/no-open-blocker`",
        "blocking by `reviewer-security` at `notes.sh:20`",
        "- `test`: pass, exit code 0",
        "`final`: accepted by person",
        "loom verify ",
    ] {
        assert!(body.contains(part), "{part}: {body}");
    }
    // What the commands say works.
    for line in body.lines().filter(|line| line.starts_with("loom export ") || line.starts_with("loom verify ")) {
        let ran = driven.loom(line.trim_start_matches("loom "));
        assert_eq!(ran.code, 0, "{line}: {}", ran.err);
    }
    let told = json(&driven.loom("ship run:last --pr-body --json"));
    assert_eq!(told["body"], body);
}

#[test]
fn why_leads_from_the_merge_to_a_person_and_asks_every_rule_again() {
    needs!("git", "sh");
    let driven = accepted();
    let log = driven.log();
    let intended = log.iter().find(|event| event["kind"] == "merge.intended").unwrap();
    let told = json(&driven.loom(&format!("why run:last#{} --json", intended["sequence"])));
    let nodes = told["nodes"].as_array().unwrap();
    let kinds: Vec<&str> = nodes.iter().map(|node| node["kind"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[..2],
        ["merge.intended", "gate.decided"].map(|kind| kinds.iter().find(|k| **k == kind).copied().unwrap())
    );
    assert_eq!(kinds.last(), Some(&"run.opened"));
    // Every edge goes back, to an event that is there.
    for edge in told["edges"].as_array().unwrap() {
        assert!(edge["to"].as_u64() < edge["from"].as_u64());
        assert!(nodes.iter().any(|node| node["sequence"] == edge["to"]));
    }
    let answers = nodes[0]["rules"]["answers"].as_array().unwrap();
    assert!(answers.iter().all(|answer| answer["result"] == "true"), "it is on record, so every rule let it pass");
    let names: Vec<&str> = answers.iter().map(|answer| answer["rule"].as_str().unwrap()).collect();
    for rule in ["findings/no-open-blocker", "gates/approved-artifact", "checks/fresh-checks"] {
        assert!(names.contains(&rule), "{names:?}");
    }
    let blockers = answers.iter().find(|answer| answer["rule"] == "findings/no-open-blocker").unwrap();
    assert_eq!(blockers["read"][0]["name"], "findings/open_blockers");
    assert_eq!(blockers["read"][0]["value"], "{}");
    let basis = told["basis"].as_array().unwrap();
    assert!(basis.iter().any(|found| found["by"] == "person" && found["what"].as_str().unwrap().contains("accept")));
    assert!(basis.iter().any(|found| found["by"] == "policy"));
    // A refusal says what would clear it.
    let refusal = log.iter().find(|event| event["kind"] == "refused").unwrap();
    let text = driven.loom(&format!("why run:last#{}", refusal["sequence"])).out;
    assert!(
        text.contains("rule    findings/no-open-blocker") && text.contains("cleared findings/open_blockers"),
        "{text}"
    );
}

#[test]
fn history_adds_up() {
    needs!("git", "sh");
    let driven = accepted();
    let told = json(&driven.loom("history --json"));
    let (run, totals) = (&told["runs"][0], &told["totals"]);
    assert_eq!((&run["verdict"], &run["refusals"], &totals["runs"]), (&"accepted".into(), &1.into(), &1.into()));
    let spawns = driven.log().iter().filter(|event| event["kind"] == "spawn.requested").count();
    assert_eq!(run["spawns"], spawns);
    for field in ["money_micro", "tokens", "spawns", "time_ms", "refusals"] {
        assert_eq!(run[field], totals[field]);
    }
    let commit = git(&driven.project(), &["rev-parse", run["branch"].as_str().unwrap()]);
    assert_eq!(run["commit"], commit);
    for (choice, count) in
        [("--verdict accepted", 1), ("--verdict failed", 0), ("--since 2999-01-01", 0), ("--since 7d", 1)]
    {
        let told = json(&driven.loom(&format!("history {choice} --json")));
        assert_eq!(told["runs"].as_array().unwrap().len(), count, "{choice}");
    }
    assert_eq!(driven.loom("history --verdict fine").code, 2);
}

#[test]
fn escapes_in_a_patch_are_harmless_at_a_terminal_and_whole_in_a_pipe() {
    needs!("git", "sh", "script");
    const LINE: &str = "    sh notes.sh add NAME saves standard input as a new note\n";
    assert!(demo::SCRIPT.contains(LINE));
    // TOML's literal strings hold no control character; a basic one does.
    let (before, after) = demo::SCRIPT.split_once(LINE).unwrap();
    let begins = before.rfind("'''").unwrap();
    let (before, within) = (&before[..begins], &before[begins + 3..]);
    let (rest, after) = after.split_once("'''").unwrap();
    let text = format!("{within}{LINE}{rest}").replace('\\', "\\\\").replace('"', "\\\"");
    let text = text.replace("saves", "\\u001b[31msaves\\u001b]0;title\\u0007");
    let driven = waiting_for(&format!("{before}\"\"\"{text}\"\"\"{after}"));
    let piped = driven.loom("diff").out;
    assert!(piped.contains("\u{1b}[31msaves\u{1b}]0;title\u{7}"), "{piped}");
    let mut command = Command::new("script");
    driven.prepare(&mut command);
    command.env("TERM", "xterm");
    let output = command.args(["-qec", &format!("{} diff", env!("CARGO_BIN_EXE_loom")), "/dev/null"]).output().unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("␛[31msaves␛]0;title␇"), "{shown:?}");
    assert!(!shown.contains("\u{1b}]") && !shown.contains("\u{1b}[31msaves"), "{shown:?}");
    assert!(shown.contains("\u{1b}[32m+"), "colours of our own: {shown:?}");
}

#[test]
fn what_drivers_print_is_what_the_schema_says() {
    needs!("git", "sh");
    let driven = Driven::new();
    let place = Place::empty();
    let told = |driven: &Driven, arguments: &str| {
        let told = json(&driven.loom(&format!("{arguments} --quiet --json")));
        is_of_its_schema(&place, &told);
        told["loom"].as_str().unwrap().to_string()
    };
    let demo = format!("demo --no-input --keep {}", driven.path("kept").display());
    let mut names = vec![told(&driven, &demo)];
    let driven = waiting();
    let path = |name: &str| driven.path(name).display().to_string();
    let script = format!("--script {}", path("model.toml"));
    let blocker = driven.log().into_iter().find(|event| event["body"]["severity"] == "blocking").unwrap();
    for arguments in [
        "gates".to_string(),
        format!("answer run:last accept {script}"),
        format!("run --file {} --policy review-final {script}", path("task.txt")),
        format!("steer run:last mind-the-names {script}"),
        format!("risk accept run:last#{} -m known {script}", blocker["sequence"]),
        format!("recover run:last retry {script}"),
        format!("resume {script}"),
        format!("cancel run:last {script}"),
        "reset --yes".to_string(),
    ] {
        names.push(told(&driven, &arguments));
    }
    let wanted = ["demo", "gates", "answer", "run", "steer", "risk", "recover", "resume", "cancel", "reset"]
        .map(|name| format!("{name}/1"));
    assert_eq!(names, wanted);
}
