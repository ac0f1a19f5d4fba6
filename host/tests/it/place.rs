//! Where a run finds itself: opened twice, a project that has moved on, folders that cannot be written, a second
//! process. What cannot be done is told with its place, and nothing of it is done by half.

use crate::project::{Footprint, Going, Project, WORKS, assert_dead, by_person, code, guard, person, scripted};
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::word::Answer;
use loom_host::error::HostError;
use loom_host::local::told;
use loom_host::request::Ask;
use loom_host::session::{Session, Wishes};
use loom_store::StoreError;
use loom_tools::Guard;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

/// Names the project to the process that [`opener`] is.
const PROJECT: &str = "LOOM_HOST_TEST_PROJECT";
/// A user who owns nothing.
const NOBODY: u32 = 65_534;

fn open(session: &mut Session, id: &str, task: &str, wishes: Wishes) -> Result<StreamId, HostError> {
    session.open_run(id.as_bytes().to_vec(), person(), task, code(), wishes)
}

/// Returns the names of the workspaces there are.
fn workspaces(project: &Project) -> Vec<String> {
    let stores = fs::read_dir(project.beside("state/stores")).unwrap();
    let folders = stores.flat_map(|store| fs::read_dir(store.unwrap().path().join("workspaces")).unwrap());
    folders.map(|folder| folder.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_opening_is_told_again_wherever_the_project_and_its_agents_stand_by_then() {
    needs!("git", "sh");
    let project = Project::new();
    // The agent leaves a declaration behind that cannot be read, and a user goes on committing.
    let script = WORKS.replace("edit = [", "edit = [{ write = 'loom.toml', content = 'x = = y' }, ");
    let mut session = project.session(&script).unwrap();
    let stream = open(&mut session, "r", "Write a note", by_person("trivial")).unwrap();
    let mut going = Going { session, stream };
    going.drive();
    project.write("README.md", "moved on\n");
    project.write("loom.toml", "[checks]\ntest = [\"false\"]\n");
    project.commit();
    assert_eq!(open(&mut going.session, "r", "Write a note", by_person("trivial")).unwrap(), stream);
    for (task, wishes) in [("Write two notes", by_person("trivial")), ("Write a note", by_person("simple"))] {
        let error = open(&mut going.session, "r", task, wishes).unwrap_err();
        assert!(matches!(error, HostError::RequestReused { sequence: 0 }), "{error}");
    }
    assert_eq!(workspaces(&project).len(), 1);
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    // And when it has ended, and by the next driver.
    drop(going);
    let mut session = project.session(WORKS).unwrap();
    assert_eq!(open(&mut session, "r", "Write a note", by_person("trivial")).unwrap(), stream);
    assert_eq!(session.engine().runs().count(), 0);
    assert_eq!(workspaces(&project), [""; 0], "nothing was prepared for it");
}

#[test]
fn equal_text_twice_is_two_runs_on_two_branches() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let mut session = project.session(WORKS).unwrap();
    let streams = ["a", "b"].map(|id| open(&mut session, id, "Write a note", by_person("trivial")).unwrap());
    assert_ne!(streams[0], streams[1]);
    for stream in streams {
        let mut going = Going { session, stream };
        going.drive();
        going.answer(Answer::Accept);
        assert_eq!(going.closing(), Some("accepted"));
        session = going.session;
    }
    let branches = project.git(&["branch", "--list", "--format=%(refname:short)", "loom/*"]);
    let branches: Vec<&str> = branches.lines().collect();
    assert_eq!(branches.len(), 2);
    project.git(&["branch", "-q", "-D", branches[0]]);
    before.assert_kept(&project.footprint(), Some(branches[1]));
}

#[test]
fn a_run_that_is_refused_leaves_nothing_behind() {
    needs!("git", "sh");
    let project = Project::new();
    let before = project.footprint();
    let mut session = project.session(WORKS).unwrap();
    let policy =
        |word: &str| Wishes { policies: vec![("final".to_string(), word.to_string())], ..by_person("trivial") };
    let long = "a".repeat(loom_host::request::TASK_BYTES_MAX + 1);
    for (task, wishes) in [
        ("", by_person("trivial")),
        (" \n\t", by_person("trivial")),
        ("a\0b", by_person("trivial")),
        (long.as_str(), by_person("trivial")),
        ("Write a note", by_person("no-such-flow")),
        ("Write a note", policy("no-such-policy")),
    ] {
        open(&mut session, "r", task, wishes).unwrap_err();
        assert_eq!(workspaces(&project), [""; 0]);
    }
    let preset = Wishes { policy: Some("no-such-preset".to_string()), ..by_person("trivial") };
    let error = open(&mut session, "r", "Write a note", preset).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`no-such-preset` is no policy; there are human, on-blockers and auto, and bundle `code` has the presets \
         autonomous, full-supervised, on-blockers, review-final, review-plan"
    );
    assert_eq!(workspaces(&project), [""; 0]);
    // The id was never used up.
    open(&mut session, "r", "Write a note", by_person("trivial")).unwrap();
    assert_eq!(workspaces(&project).len(), 1);
    assert_eq!(before, project.footprint());
}

/// Accepts a gate by its number and the digest that was shown; returns what became of that, in the log's words.
fn accept(going: &mut Going, gate: u64, artifact: Option<Digest>) -> String {
    let before = going.events().len();
    going.ask(Ask::Answer { gate, answer: Answer::Accept, note: None, artifact, signed: None }).unwrap();
    let after = going.events().split_off(before);
    let told = after.into_iter().map(|event| match event.body {
        Event::RequestDeclined(declined) => declined.reason,
        body => body.schema().name.to_string(),
    });
    told.collect::<Vec<_>>().join(", ")
}

#[test]
fn an_answer_to_a_gate_that_does_not_wait_decides_nothing_and_makes_nothing() {
    needs!("git", "sh");
    const STALE: &str = "gate.answered, the digest is stale: what is to be approved has changed since it was shown";
    let declined =
        |gate: u64| format!("gate.answered, gate {gate} is not waiting: it was decided, withdrawn or never opened");
    let project = Project::new();
    let before = project.footprint();
    let mut session = project.session(WORKS).unwrap();
    let [other, stream] =
        ["other", "mine"].map(|id| open(&mut session, id, "Write a note", by_person("trivial")).unwrap());
    let mut going = Going { session, stream: other };
    going.drive();
    going.answer(Answer::Revise);
    let foreign = going.gate().unwrap();
    going.stream = stream;
    going.drive();
    let first = going.gate().unwrap();
    assert_ne!(first.sequence, foreign.sequence);
    // By this driver and by the next one.
    for _ in 0..2 {
        for gate in [foreign.sequence, 0, 1_000_000] {
            assert_eq!(accept(&mut going, gate, None), declined(gate));
        }
        for shown in [foreign.artifact, Digest([7; 32])] {
            assert_eq!(accept(&mut going, first.sequence, Some(shown)), STALE);
        }
        assert_eq!(going.gate().as_ref(), Some(&first));
        drop(going);
        going = Going { session: project.session(WORKS).unwrap(), stream };
    }
    // Sent back, the work is another: the old number is decided, the old digest stale.
    going.answer(Answer::Revise);
    let second = going.gate().unwrap();
    assert_eq!(accept(&mut going, first.sequence, Some(first.artifact)), declined(first.sequence));
    assert_eq!(accept(&mut going, second.sequence, Some(first.artifact)), STALE);
    assert_eq!((going.gate(), going.count("gate.decided")), (Some(second.clone()), 1));
    assert_eq!(before, project.footprint(), "nothing was made of it");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    let accepted = project.footprint();
    before.assert_kept(&accepted, Some(&going.branch()));
    let late = accept(&mut going, second.sequence, Some(second.artifact));
    assert_eq!(late, "gate.answered, the run has ended");
    assert_eq!(accepted, project.footprint());
}

#[test]
fn a_declaration_of_checks_that_cannot_be_read_is_told_with_its_place() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("loom.toml", "[checks]\ntest = 3\n");
    project.commit();
    let mut session = project.session(WORKS).unwrap();
    let error = open(&mut session, "r", "Write a note", by_person("trivial")).unwrap_err();
    assert!(matches!(error, HostError::Checks(_)));
    let said = told(&error);
    assert!(said.contains("loom.toml:2") && said.contains("write `name = [\"program\", \"argument\"]`"), "{said}");
    assert_eq!(workspaces(&project), [""; 0]);
}

#[test]
fn a_project_that_takes_no_objects_asks_a_person_and_goes_on_when_it_does() {
    needs!("git", "sh");
    let project = Project::new();
    let mut going = project.go(WORKS);
    let packs = project.root().join(".git/objects/pack");
    fs::remove_dir(&packs).unwrap();
    fs::write(&packs, "in the way").unwrap();
    let before = project.footprint();
    going.answer(Answer::Accept);
    assert_eq!(going.gate().map(|gate| gate.role).as_deref(), Some("ask"));
    assert!(going.why().contains(".git/objects/pack"), "{}", going.why());
    assert_eq!(before, project.footprint());
    fs::remove_file(&packs).unwrap();
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    project.git(&["fsck", "--strict", "--no-dangling"]);
}

/// Not a test by itself: opens the project that the environment names, and says how that went.
#[test]
fn opener() {
    needs!("git", "sh");
    let Some(root) = std::env::var_os(PROJECT).map(PathBuf::from) else { return };
    match Project::at(&root).session(WORKS) {
        Ok(_) => println!("it is opened"),
        Err(error) => println!("it is refused: {}", told(&error)),
    }
}

/// Opens the project in another process, of a user for whom its folders' modes count, and returns what that said.
fn opened_by_another(project: &Project) -> String {
    // The binary where everybody may start it.
    let binary = project.beside("opener");
    // Not copied by this process: a child that another test starts meanwhile would hold it open for writing.
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&binary).status().unwrap();
    assert!(copied.success());
    mode(binary.parent().unwrap(), 0o755);
    let mut command = Command::new(&binary);
    command.args(["place::opener", "--exact", "--nocapture", "--test-threads=1"]).env(PROJECT, project.root());
    command.env("RUST_BACKTRACE", "0");
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    let output = command.current_dir("/").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let line = said.lines().find_map(|line| line.split_once("it is ")).expect(&said).1;
    line.replace(&fs::canonicalize(binary.parent().unwrap()).unwrap().display().to_string(), "HERE")
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Lets everybody write everything in a folder.
fn open_to_all(folder: &Path) {
    mode(folder, 0o777);
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            open_to_all(&entry.path());
        } else if kind.is_file() {
            mode(&entry.path(), 0o666);
        }
    }
}

#[test]
fn a_project_that_cannot_be_written_is_refused_with_its_place() {
    needs!("git", "sh", "cp");
    let project = Project::new();
    fs::create_dir(project.beside("state")).unwrap();
    mode(&project.beside("state"), 0o777);
    mode(project.root(), 0o555);
    let before = project.footprint();
    assert_eq!(
        opened_by_another(&project),
        "refused: HERE/project/.loom cannot be prepared: Permission denied (os error 13)"
    );
    assert_eq!(before, project.footprint());
    assert!(!project.root().join(".loom").exists());
    mode(project.root(), 0o777);
    assert_eq!(opened_by_another(&project), "opened");
}

#[test]
fn a_state_folder_of_somebody_else_is_refused() {
    needs!("git", "sh");
    let project = Project::new();
    let state = project.beside("state");
    fs::create_dir(&state).unwrap();
    mode(&state, 0o777);
    // Only the administrator may give a folder away.
    if std::os::unix::fs::chown(&state, Some(NOBODY), None).is_err() {
        return;
    }
    let refused = project.session(WORKS).err().unwrap();
    assert!(matches!(&refused, HostError::StateForeign { folder } if *folder == state), "{refused}");
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
    assert!(!project.root().join(".loom").exists());
}

#[test]
fn a_state_folder_that_cannot_be_written_is_refused_with_its_place() {
    needs!("git", "sh", "cp");
    let project = Project::new();
    fs::create_dir(project.beside("state")).unwrap();
    mode(project.root(), 0o777);
    mode(&project.beside("state"), 0o555);
    let said = "refused: cannot make HERE/state/scratch: Permission denied (os error 13)";
    assert_eq!(opened_by_another(&project), said);
    assert!(!project.root().join(".loom").exists(), "no store is made for what cannot be driven");
    fs::remove_dir(project.beside("state")).unwrap();
    fs::write(project.beside("state"), "a file").unwrap();
    let said = "refused: cannot make HERE/state: File exists (os error 17)";
    assert_eq!(opened_by_another(&project), said);
}

#[test]
fn a_store_that_cannot_be_written_is_refused_with_its_place() {
    needs!("git", "sh", "cp");
    let project = Project::new();
    drop(project.session(WORKS).unwrap());
    open_to_all(&project.beside("state"));
    mode(&project.root().join(".loom/store.redb"), 0o444);
    mode(&project.root().join(".loom"), 0o555);
    let before = Footprint::of(&project.root().join(".loom"));
    let said = "refused: HERE/project/.loom/store.redb cannot be opened: Permission denied (os error 13)";
    assert_eq!(opened_by_another(&project), said);
    assert_eq!(before, Footprint::of(&project.root().join(".loom")));
}

#[test]
fn a_second_driver_is_told_who_holds_the_store() {
    needs!("git", "sh", "cp");
    let project = Project::new();
    let session = project.session(WORKS).unwrap();
    let here = std::process::id();
    let error = project.session(WORKS).err().unwrap();
    assert!(matches!(&error, HostError::Store(StoreError::Held { pid: Some(pid), .. }) if *pid == here), "{error}");
    open_to_all(&project.root().join(".loom"));
    open_to_all(&project.beside("state"));
    let said = format!("refused: the store in HERE/project/.loom is held by process {here}");
    assert_eq!(opened_by_another(&project), said);
    drop(session);
    assert_eq!(opened_by_another(&project), "opened");
}

/// Not a test by itself: drives a run in the project that the environment names, until it is killed.
///
/// The agent minds no request to end, and goes on writing.
#[test]
fn driver() {
    needs!("git", "sh");
    let Some(root) = std::env::var_os(PROJECT).map(PathBuf::from) else { return };
    let guard = if root.join("unguarded").exists() { Some(Guard::None) } else { guard() };
    let Some(guard) = guard else { return };
    let project = Project::at(&root);
    let script = format!(
        "[[turn]]\nagent = 'implementer'\nrun = ['sh', '-c', '''trap \"\" TERM
         echo $$ > '{pid}.new'; mv '{pid}.new' '{pid}'
         while :; do echo half >> notes.txt; sleep 0.01; done''']\n",
        pid = project.beside("agent").display()
    );
    project.go_with(Arc::new(scripted(&script)), guard, code(), by_person("trivial"));
}

#[test]
fn a_driver_that_is_killed_takes_its_agents_along_and_the_next_one_goes_on() {
    needs!("git", "sh");
    for unguarded in [false, true] {
        let project = Project::new();
        if unguarded {
            project.write("unguarded", "");
        } else if guard().is_none() {
            continue;
        }
        let before = project.footprint();
        let mut driver = Command::new(std::env::current_exe().unwrap());
        driver.args(["place::driver", "--exact", "--nocapture", "--test-threads=1"]).env(PROJECT, project.root());
        let mut driver = driver.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !project.beside("agent").exists() {
            assert!(driver.try_wait().unwrap().is_none(), "it drives");
            std::thread::yield_now();
        }
        driver.kill().unwrap();
        driver.wait().unwrap();
        // The agent still writes when the next driver comes.
        let session = project.session(WORKS).unwrap();
        let stream = session.engine().runs().map(|(stream, _)| *stream).next().unwrap();
        let mut going = Going { session, stream };
        going.drive();
        assert_dead(&project.beside("agent"), 1);
        assert_eq!((going.count("effect.orphaned"), going.outcomes()), (1, vec!["ok"]));
        going.answer(Answer::Accept);
        assert_eq!(going.closing(), Some("accepted"));
        before.assert_kept(&project.footprint(), Some(&going.branch()));
        assert_eq!(project.git(&["show", &format!("{}:notes.txt", going.branch())]), "a note\nmore");
    }
}
