//! Agents and checks that do not do what they should: what they did is measured, and a person is asked.

use crate::project::{Going, Project, WORKS, assert_dead, by_person, code, code_with, guard, scripted};
use loom_bundles::LoadedBundle;
use loom_core::commit::Blob;
use loom_core::id::Digest;
use loom_core::kind::Event;
use loom_core::word::{Answer, Recovery};
use loom_host::request::Ask;
use loom_host::session::Wishes;
use loom_providers::{Hands, Provider, SpawnOrder, SpawnReport};
use loom_tools::Guard;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const SAYS_DONE: &str = "[[turn]]\nagent = 'implementer'\nsay = '{\"summary\": \"done\"}'\n";

/// A reviewer that is content.
fn approves(agent: &str) -> String {
    format!(
        "[[turn]]\nagent = '{agent}'\nsay = '{{\"verdict\": \"approve\", \"findings\": [], \"summary\": \"good\"}}'\n"
    )
}

/// All turns of the flow `simple` but that of the reviewer of logic.
fn simple(reviewer: &str) -> String {
    let planner = "[[turn]]\nagent = 'planner'\nsay = '{\"summary\": \"one line more\"}'\n";
    [planner, WORKS, &approves("reviewer-tests"), reviewer].concat()
}

/// An implementer that runs a shell script in its workspace and then says done.
fn runs(script: &str) -> String {
    assert!(!script.contains("'''"));
    format!("{SAYS_DONE}run = ['sh', '-c', '''\n{script}\n''']\n")
}

fn content(going: &Going, digest: Option<Digest>) -> Vec<u8> {
    let stored = going.session.engine().store().blob(&digest.unwrap()).unwrap().unwrap();
    Blob::content(&stored).unwrap().to_vec()
}

/// The run waits for a person at a question, nothing is merged, and to say accept to it does not end the run accepted.
#[track_caller]
fn assert_asks(project: &Project, going: &mut Going, raised: &str) {
    assert_eq!(going.gate().map(|gate| gate.role).as_deref(), Some("ask"), "{:?}", going.raised());
    assert_eq!(going.raised(), [raised]);
    going.answer(Answer::Accept);
    assert_ne!(going.closing(), Some("accepted"));
    assert_eq!(project.git(&["branch", "--list", "loom/*"]), "");
}

/// The bundle `code`, but that a failed check is not sent back to its author.
fn unforgiving() -> Arc<LoadedBundle> {
    code_with(&[("replans_max = 3", "replans_max = 0")])
}

/// A script's lines that note the pids of two children which would live on: one that minds no request to end.
fn children(pids: &Path) -> String {
    let pids = pids.display();
    format!("sleep 1000 & echo $! >> '{pids}'\n(trap '' TERM; exec sleep 1000) & echo $! >> '{pids}'\n")
}

/// A script's line that leaves a process in a session of its own behind, which holds the output.
fn runaway(pids: &Path) -> String {
    let pids = pids.display();
    format!("setsid sh -c 'echo $$ >> \"{pids}\"; exec sleep 1000' &\nwhile ! test -s '{pids}'; do sleep 0.01; done\n")
}

/// Peak of this process' resident memory, in bytes.
fn memory_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn an_agent_that_does_nothing_and_says_done_is_never_accepted() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let mut going = project.go(SAYS_DONE);
    assert_eq!(going.outcomes(), ["ok", "ok"], "it is asked once more");
    assert!(going.why().contains("said done and changed nothing"), "{}", going.why());
    assert_asks(&project, &mut going, "blocking harness no-effect");
    assert_eq!(before, project.footprint());
}

#[test]
fn garbage_is_asked_for_again_once_and_then_is_a_blocker() {
    needs!("git", "sh");
    let project = Project::new();
    let mut going = project.go("[[turn]]\nagent = 'implementer'\ntrouble = ['garbage']\ngarbage_bytes = 5000\n");
    assert_eq!(going.outcomes(), ["unparsable", "unparsable"]);
    let prompts: Vec<String> =
        going.spawns().iter().map(|spawn| String::from_utf8(content(&going, spawn.prompt)).unwrap()).collect();
    let repair = "it was not an answer of the schema, or nothing had changed";
    assert_eq!(prompts.iter().map(|prompt| prompt.contains(repair)).collect::<Vec<_>>(), [false, true]);
    assert_asks(&project, &mut going, "blocking harness unparsable-output");
}

#[test]
fn four_hundred_megabytes_are_capped_while_they_are_read_and_the_answer_at_their_end_counts() {
    needs!("git", "sh");
    let project = Project::new();
    let script = runs("echo more >> notes.txt; echo begin; head -c 400000000 /dev/zero; echo");
    let mut going = project.go(&script);
    assert_eq!(going.outcomes(), ["ok"]);
    let output = content(&going, going.spawns()[0].output);
    assert!(output.starts_with(b"begin") && output.len() < 3_000_000, "{}", output.len());
    assert!(String::from_utf8_lossy(&output).contains("bytes dropped]"));
    assert!(memory_peak() < 350_000_000, "{}", memory_peak());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}

#[test]
fn what_a_provider_hands_over_is_capped_too() {
    needs!("git", "sh");
    let project = Project::new();
    let going = project.go("[[turn]]\nagent = 'implementer'\ntrouble = ['garbage']\ngarbage_bytes = 20000000\n");
    let output = content(&going, going.spawns()[0].output);
    assert!(output.len() < 3_000_000, "{}", output.len());
}

#[test]
fn an_agent_that_hangs_is_ended_with_its_children() {
    needs!("git", "sh");
    let project = Project::new();
    let pids = project.beside("pids");
    let script = runs(&format!("echo before\n{}wait; wait", children(&pids)));
    let bundle = code_with(&[
        ("reserve_time_ms = 1_800_000", "reserve_time_ms = 2_000"),
        ("attempts_max = 2", "attempts_max = 1"),
    ]);
    let mut going = project.go_with(Arc::new(scripted(&script)), Guard::None, bundle, by_person("trivial"));
    assert_eq!(going.outcomes(), ["timed-out"]);
    assert_eq!(content(&going, going.spawns()[0].output), b"before\n", "what it said until then is kept");
    assert_dead(&pids, 2);
    assert!(going.why().contains("implementer timed-out"), "{}", going.why());
    assert_eq!(going.raised(), ["blocking harness spawn-failed"]);
    going.answer(Answer::Abandon);
    assert_eq!(going.closing(), Some("abandoned"));
}

#[test]
fn an_agent_that_is_cancelled_is_ended_with_its_children() {
    needs!("git", "sh");
    let project = Project::new();
    let pids = project.beside("pids");
    let ready = project.beside("ready");
    let script = runs(&format!("{}: > '{}'\nwait; wait", children(&pids), ready.display()));
    let mut session = project.session(&script).unwrap();
    let stream = session
        .open_run(b"r".to_vec(), crate::project::person(), "Write a note", code(), by_person("trivial"))
        .unwrap();
    while !ready.exists() {
        std::thread::yield_now();
    }
    let mut going = Going { session, stream };
    going.ask(Ask::Cancel { reason: None }).unwrap();
    assert_eq!(going.closing(), Some("cancelled"));
    drop(going);
    assert_dead(&pids, 2);
}

#[test]
fn a_session_that_ends_takes_its_agents_along_and_the_next_one_goes_on() {
    needs!("git", "sh");
    let project = Project::new();
    let pids = project.beside("pids");
    let ready = project.beside("ready");
    let script = runs(&format!("echo half > notes.txt\n{}: > '{}'\nwait; wait", children(&pids), ready.display()));
    let mut session = project.session(&script).unwrap();
    let stream = session
        .open_run(b"r".to_vec(), crate::project::person(), "Write a note", code(), by_person("trivial"))
        .unwrap();
    while !ready.exists() {
        std::thread::yield_now();
    }
    drop(session);
    assert_dead(&pids, 2);
    let mut going = Going { session: project.session(WORKS).unwrap(), stream };
    going.drive();
    assert_eq!((going.count("effect.orphaned"), going.outcomes()), (1, vec!["ok"]));
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    assert_eq!(
        project.git(&["show", &format!("{}:notes.txt", going.branch())]),
        "a note\nmore",
        "nothing is left of it"
    );
}

#[test]
fn a_child_that_keeps_the_output_open_neither_lives_on_nor_holds_the_run() {
    needs!("git", "sh");
    let project = Project::new();
    let pids = project.beside("pids");
    let mut going = project.go(&runs(&format!("{}echo more >> notes.txt", children(&pids))));
    assert_eq!(going.outcomes(), ["ok"]);
    assert_dead(&pids, 2);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}

#[test]
fn a_runaway_in_a_session_of_its_own_is_found_by_the_guard() {
    needs!("git", "sh", "setsid");
    let Some(guard) = guard() else { return };
    let project = Project::new();
    let (pids, checked) = (project.beside("pids"), project.beside("checked"));
    project.write("check.sh", runaway(&checked));
    project.commit();
    let script = runs(&format!("{}echo more >> notes.txt", runaway(&pids)));
    let mut going = project.go_with(Arc::new(scripted(&script)), guard, code(), by_person("trivial"));
    assert_eq!(going.outcomes(), ["ok"]);
    assert_dead(&pids, 1);
    assert_dead(&checked, 1);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}

#[test]
fn an_agent_that_empties_its_workspace_has_deleted_everything_and_fails_the_checks() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = format!("{SAYS_DONE}trouble = ['delete-workspace']\n");
    let mut going = project.go_with(Arc::new(scripted(&script)), Guard::None, unforgiving(), by_person("trivial"));
    let changes = ["deleted README.md", "deleted check.sh", "deleted loom.toml", "deleted notes.txt"];
    assert_eq!(going.changes(), changes);
    assert_eq!(going.raised(), ["blocking check check-failed"]);
    going.answer(Answer::Accept);
    assert_ne!(going.closing(), Some("accepted"));
    assert_eq!(before, project.footprint());
}

#[test]
fn an_agent_that_removes_its_workspace_fails_and_the_next_try_has_one() {
    needs!("git", "sh");
    let project = Project::new();
    let first = runs("rm -rf \"$PWD\"").replace("agent =", "attempt = 1\nagent =");
    let mut going = project.go(&format!("{first}\n{WORKS}"));
    assert_eq!(going.outcomes(), ["failed", "ok"]);
    let detail = going.spawns()[0].detail.clone().unwrap();
    assert!(detail.contains("is gone"), "{detail}");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}

#[test]
fn an_agent_that_destroys_more_than_its_workspace_stops_only_its_own_run() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = runs("rm -rf ../repository ../work; echo x > ../work");
    let going = project.go(&script);
    assert_eq!(going.outcomes(), ["failed", "failed"]);
    assert_eq!(going.raised(), ["blocking harness spawn-failed"]);
    drop(going);
    // The next session opens, and another run is not disturbed.
    let mut other = project.go(WORKS);
    other.answer(Answer::Accept);
    assert_eq!(other.closing(), Some("accepted"));
    let stream = other.session.engine().runs().map(|(stream, _)| *stream).next().unwrap();
    let mut first = Going { session: other.session, stream };
    first.ask(Ask::Recover { choice: Recovery::Abandon, spawns: Vec::new() }).unwrap();
    assert_eq!(first.closing(), Some("abandoned"));
    let branch = project.git(&["branch", "--list", "--format=%(refname:short)", "loom/*"]);
    before.assert_kept(&project.footprint(), Some(&branch));
}

#[test]
fn edits_hidden_from_git_are_seen() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("kept.txt", "kept\n");
    project.commit();
    let script = runs(
        "echo more >> notes.txt; echo more >> kept.txt; echo new > new.txt; echo new > later.txt
         git update-index --assume-unchanged notes.txt
         git update-index --skip-worktree kept.txt
         git add --intent-to-add later.txt
         echo '*' > .git/info/exclude
         git config core.excludesFile /dev/stdin
         test -z \"$(git status --porcelain -- notes.txt kept.txt new.txt)\" || exit 1",
    );
    let mut going = project.go(&script);
    assert_eq!(going.outcomes(), ["ok"], "git is deceived: {:?}", going.spawns()[0].detail);
    let changes = ["modified kept.txt", "added later.txt", "added new.txt", "modified notes.txt"];
    assert_eq!(going.changes(), changes);
    going.answer(Answer::Accept);
    let branch = going.branch();
    let names = project.git(&["diff", "--name-only", "HEAD", &branch]);
    assert_eq!(names.lines().collect::<Vec<_>>(), ["kept.txt", "later.txt", "new.txt", "notes.txt"]);
}

#[test]
fn what_an_agent_sets_up_in_its_repository_runs_nowhere() {
    needs!("git", "sh");
    let project = Project::new();
    let (canary, trace) = project.canary();
    // The check calls git, as many do.
    project.write(
        "check.sh",
        "git status --porcelain; git diff HEAD; git log -1; git stash list; grep -q note notes.txt\n",
    );
    project.commit();
    let before = project.footprint();
    let canary = canary.display();
    let script = runs(&format!(
        "echo more >> notes.txt
         for hook in post-checkout post-commit pre-commit reference-transaction post-index-change fsmonitor-watchman; do
             mkdir -p .git/hooks; cp '{canary}' .git/hooks/$hook
         done
         git config core.fsmonitor '{canary}'; git config core.pager '{canary}'; git config diff.external '{canary}'
         git config core.hooksPath \"$PWD/.git/hooks\"
         git config filter.evil.clean '{canary}'; git config filter.evil.smudge '{canary}'
         git config diff.evil.textconv '{canary}'; git config alias.status '!{canary}'
         echo '* filter=evil diff=evil' > .gitattributes
         mkdir -p sub; cp -r .git sub/.git
         rm -f '{}'",
        trace.display()
    ));
    let mut going = project.go(&script);
    assert_eq!(going.outcomes(), ["ok"]);
    // The attributes are part of the work, and so are for a person to see.
    assert_eq!(going.changes(), ["added .gitattributes", "modified notes.txt"]);
    assert_eq!(going.raised(), Vec::<String>::new());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    assert_eq!(fs::read_to_string(&trace).unwrap_or_default(), "");
    before.assert_kept(&project.footprint(), Some(&going.branch()));
}

#[test]
fn an_agent_in_its_repository_cannot_move_the_users_branches() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = runs(
        "echo more >> notes.txt; git add -A; git -c user.name=a -c user.email=a@a commit -qm mine
         git update-ref refs/heads/main HEAD; git update-ref refs/heads/loom/other HEAD; git tag done
         git config --local user.name evil; git gc -q --prune=now; git checkout -q --orphan none; git rm -rqf --cached .",
    );
    let mut going = project.go(&script);
    assert_eq!(going.outcomes(), ["ok"], "{:?}", going.spawns()[0].detail);
    before.assert_kept(&project.footprint(), None);
    going.answer(Answer::Accept);
    before.assert_kept(&project.footprint(), Some(&going.branch()));
    assert_eq!(
        project.git(&["log", "-1", "--format=%an %p", &going.branch()]),
        format!("Loom {}", project.git(&["rev-parse", "--short", "HEAD"]))
    );
}

#[test]
fn tests_that_an_agent_rewrites_need_a_person_whatever_the_policy_is() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let script = format!("{SAYS_DONE}edit = [{{ write = 'tests/all.sh', content = 'exit 0' }}]\n");
    let wishes = Wishes {
        flow: Some("trivial".to_string()),
        policies: vec![("final".to_string(), "auto".to_string())],
        ..Wishes::default()
    };
    let mut going = project.go_with(Arc::new(scripted(&script)), Guard::None, code(), wishes);
    assert!(going.refusals().iter().all(|rules| rules.contains("tests-need-person")), "{:?}", going.refusals());
    assert!(!going.refusals().is_empty());
    let gate = going.gate().expect("a person is asked");
    assert_eq!(before, project.footprint());
    assert_eq!(gate.role, "final", "{}", going.why());
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
}

#[test]
fn a_reviewer_cannot_dismiss_its_own_finding() {
    needs!("git", "sh");
    let project = Project::new();
    let reviewer = r#"[[turn]]
agent = "reviewer-logic"
say = '''{"verdict": "approve", "summary": "fine by me", "status": "resolved", "findings": [{"severity": "blocking",
"category": "bug", "path": "notes.txt", "line": 2, "summary": "it is wrong", "status": "resolved", "waived": true,
"accepted_by": "uid:1000", "resolved": true}]}'''
"#;
    let mut going = project.go_in("simple", &simple(reviewer));
    assert_eq!(going.raised(), ["blocking agent bug"]);
    let verdicts: Vec<(String, bool)> = going
        .events()
        .into_iter()
        .filter_map(|event| match event.body {
            Event::VerdictGiven(given) => Some((given.agent, given.passed)),
            _ => None,
        })
        .collect();
    assert_eq!(verdicts, [("reviewer-logic".to_string(), false), ("reviewer-tests".to_string(), true)]);
    assert_eq!(going.count("finding.waived") + going.count("finding.resolved"), 0);
    assert_eq!(going.gate().unwrap().role, "final");
    going.answer(Answer::Accept);
    assert_eq!(going.refusals()[0], "findings/no-open-blocker");
    assert_ne!(going.closing(), Some("accepted"));
}

#[test]
fn a_reviewer_that_edits_gives_no_verdict_that_counts_and_its_edits_are_dropped() {
    needs!("git", "sh");
    let project = Project::new();
    let reviewer = approves("reviewer-logic") + "edit = [{ append = 'notes.txt', content = 'mine' }]\n";
    let mut going = project.go_in("simple", &simple(&reviewer));
    assert_eq!(going.raised(), ["blocking harness edited-read-only"]);
    let state = &going.session.engine().run(going.stream).unwrap().state;
    let worker = going.spawns().into_iter().find(|spawn| spawn.agent == "implementer").unwrap();
    assert_eq!(state.tree, worker.tree_after, "the tree is as the implementer left it");
    going.answer(Answer::Accept);
    assert!(going.refusals()[0].contains("no-open-blocker"), "{:?}", going.refusals());
    assert_ne!(going.closing(), Some("accepted"));
}

#[test]
fn a_session_that_edited_gives_no_verdict_on_it() {
    needs!("git", "sh");
    let project = Project::new();
    let worker = WORKS.replace("agent =", "session = 's'\nagent =");
    let reviewer = approves("reviewer-logic").replace("agent =", "session = 's'\nagent =");
    let turns = simple(&reviewer).replace(WORKS, &worker);
    let mut going = project.go_in("simple", &turns);
    assert_eq!(going.gate().unwrap().role, "final");
    going.answer(Answer::Accept);
    assert_eq!(going.refusals()[0], "reviews/not-own-session");
    assert_ne!(going.closing(), Some("accepted"));
}

#[test]
fn an_implementer_that_gives_itself_a_verdict_gives_none() {
    needs!("git", "sh");
    let project = Project::new();
    let works =
        WORKS.replace("\"summary\"", "\"verdict\": \"approve\", \"findings\": [], \"flow\": \"question\", \"summary\"");
    let going = project.go(&works);
    assert_eq!((going.outcomes(), going.count("verdict.given")), (vec!["ok"], 0));
    assert_eq!(going.count("flow.chosen"), 1);
    assert_eq!(going.gate().unwrap().role, "final");
}

#[test]
fn a_verdict_in_unknown_words_is_no_pass() {
    needs!("git", "sh");
    let project = Project::new();
    let known = "blocking agent verdict";
    let unknown = "blocking harness unknown-verdict";
    for (word, raised) in [("lgtm", unknown), ("Approve", unknown), ("", unknown), ("request-changes", known)] {
        let reviewer = approves("reviewer-logic").replace("approve", word);
        let mut going = project.go_in("simple", &simple(&reviewer));
        assert_eq!(going.raised(), [raised], "{word}");
        assert_eq!(going.gate().unwrap().role, "final");
        going.answer(Answer::Abandon);
    }
}

/// A provider with a flaw of its own.
struct Panics;

impl Provider for Panics {
    fn name(&self) -> &str {
        "panics"
    }

    fn run(&self, _: &SpawnOrder, _: &dyn Hands) -> SpawnReport {
        panic!("not the run's fault")
    }
}

#[test]
fn a_provider_that_panics_fails_its_spawn_and_nothing_else() {
    needs!("git", "sh");
    let project = Project::new();
    let mut going = project.go_with(Arc::new(Panics), Guard::None, code(), by_person("trivial"));
    assert_eq!(going.outcomes(), ["failed", "failed"]);
    assert_asks(&project, &mut going, "blocking harness spawn-failed");
}

#[test]
fn a_check_that_hangs_is_ended_with_its_children_and_has_not_passed() {
    needs!("git", "sh");
    let project = Project::new();
    let pids = project.beside("pids");
    project.write("check.sh", format!("{}wait; wait", children(&pids)));
    project.commit();
    let bundle =
        code_with(&[("check_time_ms = 600_000", "check_time_ms = 2_000"), ("replans_max = 3", "replans_max = 0")]);
    let mut going = project.go_with(Arc::new(scripted(WORKS)), Guard::None, bundle, by_person("trivial"));
    assert_eq!(going.raised(), ["blocking check check-failed"]);
    assert_eq!(going.findings()[0].summary, "check test: timed-out");
    assert_dead(&pids, 2);
    going.answer(Answer::Abandon);
    assert_eq!(going.closing(), Some("abandoned"));
}

#[test]
fn a_check_that_prints_a_hundred_megabytes_is_capped() {
    needs!("git", "sh");
    let project = Project::new();
    project
        .write("check.sh", "echo begin; head -c 100000000 /dev/zero; head -c 100000000 /dev/zero >&2; echo end >&2\n");
    project.commit();
    let going = project.go(WORKS);
    let output = going.events().into_iter().find_map(|event| match event.body {
        Event::CheckFinished(finished) => Some((finished.outcome.word(), content(&going, finished.output))),
        _ => None,
    });
    let (outcome, output) = output.unwrap();
    assert_eq!(outcome, "pass");
    assert!(output.starts_with(b"begin") && output.ends_with(b"end\n") && output.len() < 100_000, "{}", output.len());
}

#[test]
fn a_check_sees_nothing_of_our_environment() {
    needs!("git", "sh", "env");
    let project = Project::new();
    project.write("check.sh", "env\n");
    project.commit();
    let going = project.go(WORKS);
    let finished = going.events().into_iter().find_map(|event| match event.body {
        Event::CheckFinished(finished) => Some(finished),
        _ => None,
    });
    let finished = finished.unwrap();
    let output = String::from_utf8(content(&going, finished.output)).unwrap();
    assert_eq!(names(&output), ["HOME", "LANG", "LOOM_SPAWN", "PATH", "PWD", "TMPDIR"]);
    let mark = format!("LOOM_SPAWN={}", finished.request);
    assert!(output.lines().any(|line| line == mark), "it is marked by what asked for it: {output}");
}

/// Returns the names of the variables that `env` printed, sorted.
fn names(output: &str) -> Vec<&str> {
    let mut names: Vec<&str> = output.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    names
}

#[test]
fn what_a_check_does_to_the_files_is_not_what_is_merged() {
    needs!("git", "sh");
    let project = Project::new();
    project.write(
        "check.sh",
        "echo evil > notes.txt; echo evil > README.md; echo evil > new.txt; rm -rf .git loom.toml\n",
    );
    project.commit();
    let before = project.footprint();
    let mut going = project.go(WORKS);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    assert_eq!(project.git(&["diff", "--name-only", "HEAD", &going.branch()]), "notes.txt");
    assert_eq!(project.git(&["show", &format!("{}:notes.txt", going.branch())]), "a note\nmore");
    before.assert_kept(&project.footprint(), Some(&going.branch()));
}

#[test]
fn an_agent_that_edits_the_declaration_does_not_choose_its_own_judge() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("check.sh", "exit 1\n");
    project.commit();
    let script =
        format!("{SAYS_DONE}edit = [{{ write = 'loom.toml', content = '[checks]' }}, {{ delete = 'check.sh' }}]\n");
    let going = project.go_with(Arc::new(scripted(&script)), Guard::None, unforgiving(), by_person("trivial"));
    assert_eq!(going.changes(), ["deleted check.sh", "modified loom.toml"]);
    assert_eq!(going.raised(), ["blocking check check-failed"]);
}

#[test]
fn an_agent_that_leaves_what_cannot_be_kept_fails() {
    needs!("git", "sh");
    let project = Project::new();
    let long = "n".repeat(200);
    let nest =
        format!("i=0; while [ $i -lt 40 ]; do mkdir {long} && cd -P {long} || exit 0; i=$((i+1)); done; echo > file");
    let going = project.go(&runs(&nest));
    assert_eq!(going.outcomes(), ["failed", "failed"], "{:?}", going.spawns()[0].detail);
    assert_eq!(going.raised(), ["blocking harness spawn-failed"]);
    drop(going);
    // And what it left keeps nobody from opening the project again.
    let mut other = project.go(WORKS);
    other.answer(Answer::Accept);
    assert_eq!(other.closing(), Some("accepted"));
}

#[test]
fn a_program_that_cannot_be_started_is_broken_and_not_tried_again() {
    needs!("git", "sh");
    let project = Project::new();
    let mut going = project.go(&format!("{SAYS_DONE}run = ['no-such-program']\n"));
    assert_eq!(going.outcomes(), ["broken"]);
    assert!(going.why().contains("no program no-such-program"), "{}", going.why());
    assert_asks(&project, &mut going, "blocking harness spawn-failed");
}

#[test]
fn a_program_of_an_agent_sees_nothing_of_our_environment() {
    needs!("git", "sh", "env");
    let project = Project::new();
    let going = project.go(&runs("env; echo more >> notes.txt"));
    let output = String::from_utf8(content(&going, going.spawns()[0].output)).unwrap();
    assert_eq!(names(&output), ["HOME", "LANG", "LOOM_SPAWN", "PATH", "PWD", "TMPDIR"]);
}
