//! A real repository in a temporary folder, driven by a real session with a scripted model.

use loom_bundles::{LoadedBundle, Source, load};
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, StreamId};
use loom_core::kind::{Event, FindingRaised, PathsChanged, SpawnFinished};
use loom_core::state::Gate;
use loom_core::word::Answer;
use loom_endpoint::{Hidden, InNoFile};
use loom_host::environment::Environment;
use loom_host::error::HostError;
use loom_host::request::{Answered, Ask, Request};
use loom_host::session::{Keepers, Session, Wishes, request_id};
use loom_providers::{Provider, Script, Scripted};
use loom_tools::Guard;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

pub(crate) const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What an agent does that does what it should.
pub(crate) const WORKS: &str = r#"
[[turn]]
agent = "implementer"
say = '{"summary": "done"}'
edit = [{ append = "notes.txt", content = "more\n" }]
"#;

/// How the usual project is checked: by one script of its own.
const CHECKS: &str = r#"
[checks]
lint = "not-applicable"
test = ["sh", "check.sh"]
type-check = "not-applicable"
"#;

/// A folder with a project in it, and beside it everything else that a run needs.
pub(crate) struct Project {
    /// What no file of it may show; looked for at its end, so before it is removed.
    hidden: Mutex<Vec<InNoFile>>,
    folder: PathBuf,
    root: PathBuf,
    /// Removes the folder at the end, where it is this project's to remove.
    _owned: Option<Arc<TempDir>>,
}

impl Project {
    /// Returns a repository with one commit.
    pub(crate) fn new() -> Self {
        Self::named(OsStr::new("project"))
    }

    /// Returns the same in a folder of this name.
    pub(crate) fn named(name: &OsStr) -> Self {
        let project = Self::empty(name);
        project.git(&["init", "-q", "-b", "main"]);
        project.write("loom.toml", CHECKS);
        project.write("check.sh", "grep -q note notes.txt\n");
        project.write("notes.txt", "a note\n");
        project.write("README.md", "read me\n");
        project.commit();
        project
    }

    /// Returns a folder that is no repository.
    pub(crate) fn empty(name: &OsStr) -> Self {
        let owned = Arc::new(tempfile::tempdir().unwrap());
        let folder = owned.path().to_path_buf();
        let root = folder.join(name);
        for path in [root.clone(), folder.join("home")] {
            fs::create_dir(path).unwrap();
        }
        Project { hidden: Mutex::default(), folder, root, _owned: Some(owned) }
    }

    /// Returns the project of another process.
    pub(crate) fn at(root: &Path) -> Self {
        Project {
            hidden: Mutex::default(),
            folder: root.parent().unwrap().to_path_buf(),
            root: root.to_path_buf(),
            _owned: None,
        }
    }

    /// Returns a folder beside this one as a project.
    pub(crate) fn neighbour(&self, name: &str) -> Project {
        Project {
            hidden: Mutex::default(),
            folder: self.folder.clone(),
            root: self.beside(name),
            _owned: self._owned.clone(),
        }
    }

    /// Fails the test at the end where this credential stands in a file of the project, of Loom's, or beside them.
    pub(crate) fn hides(&self, key: &str) {
        let hidden = Hidden::new("the credential", key);
        self.hidden.lock().unwrap().push(InNoFile { hidden, folder: self.folder.clone() });
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns a path beside the project.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: impl AsRef<Path>, content: impl AsRef<[u8]>) {
        write(&self.root.join(name), content);
    }

    pub(crate) fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "more"]);
    }

    /// Git as the user calls it in the project.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        self.git_in(&self.root, arguments)
    }

    pub(crate) fn git_in(&self, folder: &Path, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .args(arguments)
            .current_dir(folder)
            .env_clear()
            .env("PATH", SEARCH_PATH)
            .env("HOME", self.beside("home"))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .envs([("GIT_AUTHOR_NAME", "u"), ("GIT_AUTHOR_EMAIL", "u@x")])
            .envs([("GIT_COMMITTER_NAME", "u"), ("GIT_COMMITTER_EMAIL", "u@x")])
            .output()
            .unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim_end().to_string()
    }

    /// Writes an executable that leaves a trace when it runs, and returns it with the trace's path.
    pub(crate) fn canary(&self) -> (PathBuf, PathBuf) {
        let (program, trace) = (self.beside("canary"), self.beside("canary-has-sung"));
        write(&program, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\ncat\n", trace.display()));
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        (program, trace)
    }

    pub(crate) fn environment(&self) -> Environment {
        Environment {
            home: None,
            search_path: SEARCH_PATH.into(),
            state_folder: self.beside("state"),
            config_folder: self.beside("config"),
            data_folder: self.beside("data"),
            settings: BTreeMap::new(),
            toolchain: Vec::new(),
            caches: Vec::new(),
            descends: None,
        }
    }

    /// Opens the project with a model that plays these turns.
    pub(crate) fn session(&self, turns: &str) -> Result<Session, HostError> {
        self.session_with(Arc::new(scripted(turns)), Guard::None)
    }

    pub(crate) fn session_with(
        &self,
        provider: Arc<dyn Provider>,
        keepers: impl Into<Keepers>,
    ) -> Result<Session, HostError> {
        Session::open(&self.environment(), &self.root, provider, keepers)
    }

    /// Opens a run of the flow `trivial` that a person decides at its end, and drives it as far as it goes.
    pub(crate) fn go(&self, turns: &str) -> Going {
        self.go_in("trivial", turns)
    }

    pub(crate) fn go_in(&self, flow: &str, turns: &str) -> Going {
        self.go_with(Arc::new(scripted(turns)), Guard::None, code(), by_person(flow))
    }

    pub(crate) fn go_with(
        &self,
        provider: Arc<dyn Provider>,
        guard: Guard,
        bundle: Arc<LoadedBundle>,
        wishes: Wishes,
    ) -> Going {
        let mut session = self.session_with(provider, guard).unwrap();
        let stream = session.open_run(request_id(), person(), "Write a note", bundle, wishes).unwrap();
        let mut going = Going { session, stream };
        going.drive();
        going
    }

    /// Returns what every file of the project is, byte for byte, apart from Loom's own folder.
    pub(crate) fn footprint(&self) -> Footprint {
        Footprint::of(&self.root)
    }
}

/// A run in its session.
pub(crate) struct Going {
    pub(crate) session: Session,
    pub(crate) stream: StreamId,
}

impl Going {
    /// Drives until the run waits for a person or has ended.
    pub(crate) fn drive(&mut self) {
        let stream = self.stream;
        self.session.drive(|engine| engine.run(stream).is_none_or(|run| run.state.is_parked())).unwrap();
    }

    pub(crate) fn gate(&self) -> Option<Gate> {
        self.session.engine().run(self.stream).and_then(|run| run.state.gate.clone())
    }

    /// Answers the gate that waits and drives on.
    pub(crate) fn answer(&mut self, answer: Answer) {
        let gate = self.gate().expect("a gate waits");
        let ask = Ask::Answer { gate: gate.sequence, answer, note: None, artifact: Some(gate.artifact), signed: None };
        self.ask(ask).unwrap();
    }

    pub(crate) fn ask(&mut self, ask: Ask) -> Result<Answered, HostError> {
        let asked = Request { stream: self.stream, id: request_id(), actor: person(), ask };
        let answered = self.session.request(asked);
        self.drive();
        answered
    }

    pub(crate) fn events(&self) -> Vec<Envelope> {
        let stored = self.session.engine().store().read(self.stream, 0, usize::MAX).unwrap();
        stored.iter().map(|stored| Envelope::decode(&stored.event.bytes).unwrap()).collect()
    }

    pub(crate) fn count(&self, name: &str) -> usize {
        self.events().iter().filter(|event| event.body.schema().name == name).count()
    }

    /// Returns how the run ended, if it has.
    pub(crate) fn closing(&self) -> Option<&'static str> {
        self.events().into_iter().find_map(|event| match event.body {
            Event::RunClosed(closed) => Some(closed.verdict.word()),
            _ => None,
        })
    }

    /// Returns the reason of the last gate.
    pub(crate) fn why(&self) -> String {
        let reason = self.events().into_iter().rev().find_map(|event| match event.body {
            Event::GateOpened(gate) => Some(gate.reason),
            _ => None,
        });
        reason.expect("a gate was opened")
    }

    pub(crate) fn findings(&self) -> Vec<FindingRaised> {
        self.events()
            .into_iter()
            .filter_map(|event| match event.body {
                Event::FindingRaised(found) => Some(found),
                _ => None,
            })
            .collect()
    }

    /// Returns severity, origin and category of every finding.
    pub(crate) fn raised(&self) -> Vec<String> {
        let line =
            |found: &FindingRaised| format!("{} {} {}", found.severity.word(), found.origin.word(), found.category);
        self.findings().iter().map(line).collect()
    }

    /// Returns the rules that refused something, in order.
    pub(crate) fn refusals(&self) -> Vec<String> {
        self.events()
            .into_iter()
            .filter_map(|event| match event.body {
                Event::Refused(refused) => Some(refused.rules.iter().cloned().collect::<Vec<_>>().join(" ")),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn spawns(&self) -> Vec<SpawnFinished> {
        self.events()
            .into_iter()
            .filter_map(|event| match event.body {
                Event::SpawnFinished(finished) => Some(finished),
                _ => None,
            })
            .collect()
    }

    /// Returns how each spawn ended.
    pub(crate) fn outcomes(&self) -> Vec<&'static str> {
        self.spawns().iter().map(|finished| finished.outcome.word()).collect()
    }

    /// Returns the witnessed changes of all spawns, one word and path each, lossily.
    pub(crate) fn changes(&self) -> Vec<String> {
        let one = |PathsChanged { paths, how, .. }: PathsChanged| {
            let lines = paths.iter().zip(how.iter()).map(|(path, how)| format!("{how} {}", path.escape_ascii()));
            lines.collect::<Vec<_>>()
        };
        self.events()
            .into_iter()
            .flat_map(|event| match event.body {
                Event::PathsChanged(changed) => one(changed),
                _ => Vec::new(),
            })
            .collect()
    }

    /// Returns the branch that an accepted run makes.
    pub(crate) fn branch(&self) -> String {
        format!("loom/write-a-note-{}", loom_core::id::hex(&self.stream.0[..4]))
    }
}

/// What every file in a folder is: its mode and its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Footprint(BTreeMap<PathBuf, (u32, Vec<u8>)>);

impl Footprint {
    pub(crate) fn of(root: &Path) -> Self {
        let mut all = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).unwrap() {
                let path = entry.unwrap().path();
                if path == root.join(".loom") {
                    continue;
                }
                let found = fs::symlink_metadata(&path).unwrap();
                let bytes = if found.is_dir() {
                    folders.push(path.clone());
                    Vec::new()
                } else if found.is_symlink() {
                    fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
                } else {
                    fs::read(&path).unwrap()
                };
                all.insert(path.strip_prefix(root).unwrap().to_path_buf(), (found.permissions().mode(), bytes));
            }
        }
        Footprint(all)
    }

    /// Returns every file as a text, what is none of it read as best it can be.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&Path, Cow<'_, str>)> {
        self.0.iter().map(|(path, (_, bytes))| (path.as_path(), String::from_utf8_lossy(bytes)))
    }

    /// Compares with a later footprint: nothing may have changed but new objects and, if named, one new branch.
    #[track_caller]
    pub(crate) fn assert_kept(&self, later: &Footprint, branch: Option<&str>) {
        let mut rest = later.0.clone();
        rest.retain(|path, _| self.0.contains_key(path) || !path.starts_with(".git/objects"));
        if let Some(branch) = branch {
            assert!(rest.remove(&Path::new(".git/refs/heads").join(branch)).is_some(), "there is no branch {branch}");
            rest.remove(Path::new(".git/refs/heads/loom"));
        }
        let differs = |path: &&PathBuf| self.0.get(*path) != rest.get(*path);
        let changed: Vec<&PathBuf> = self.0.keys().chain(rest.keys()).filter(differs).collect();
        assert!(changed.is_empty(), "changed: {changed:?}");
    }
}

pub(crate) fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

pub(crate) fn scripted(turns: &str) -> Scripted {
    Scripted::new(Script::parse(&format!("model = 'm'\n{turns}")).unwrap())
}

pub(crate) fn person() -> Actor {
    Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: None }
}

pub(crate) fn by_person(flow: &str) -> Wishes {
    Wishes {
        flow: Some(flow.to_string()),
        policies: vec![("final".to_string(), "human".to_string())],
        ..Wishes::default()
    }
}

pub(crate) fn code() -> Arc<LoadedBundle> {
    code_with(&[])
}

/// Returns the bundle `code` with parts of its manifest replaced.
pub(crate) fn code_with(replaced: &[(&str, &str)]) -> Arc<LoadedBundle> {
    let mut source = Source::builtin("code").unwrap();
    let manifest = source.files.get_mut("bundle.toml").unwrap();
    let mut text = String::from_utf8(manifest.clone()).unwrap();
    for (from, to) in replaced {
        assert!(text.contains(from), "the manifest says `{from}`");
        text = text.replace(from, to);
    }
    *manifest = text.into_bytes();
    Arc::new(load(&source).unwrap())
}

/// Returns the guard that was built beside this test, if there is one.
pub(crate) fn guard() -> Option<Guard> {
    let test = std::env::current_exe().unwrap();
    let guard = test.ancestors().nth(2).unwrap().join("loom-guard");
    if guard.is_file() {
        return Some(Guard::Path(guard));
    }
    crate::missing::skip("loom-guard beside this test", "`cargo test --workspace` builds it");
    None
}

/// Whether a process lives; one that has ended and waits to be reaped does not.
fn is_alive(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

/// As many processes as are noted in the file were started, and none of them lives.
#[track_caller]
pub(crate) fn assert_dead(pids: &Path, count: usize) {
    let pids: Vec<String> = fs::read_to_string(pids).unwrap().lines().map(String::from).collect();
    assert_eq!(pids.len(), count, "each was started");
    // A signal that was sent is not yet a process that has ended.
    let begun = std::time::Instant::now();
    while pids.iter().any(|pid| is_alive(pid)) {
        assert!(begun.elapsed().as_secs() < 20, "one of {pids:?} lives on");
        std::thread::yield_now();
    }
}

#[test]
fn an_honest_run_changes_nothing_but_objects_and_its_branch() {
    needs!("git", "sh");
    let project = Project::new();
    project.write("untracked", "mine");
    project.write("README.md", "not committed\n");
    project.write("staged", "staged");
    project.git(&["add", "staged"]);
    let before = project.footprint();
    let mut going = project.go(WORKS);
    before.assert_kept(&project.footprint(), None);
    assert_eq!(going.gate().unwrap().role, "final");
    going.answer(Answer::Accept);
    assert_eq!(going.closing(), Some("accepted"));
    let branch = going.branch();
    before.assert_kept(&project.footprint(), Some(&branch));
    assert_eq!(project.git(&["show", &format!("{branch}:notes.txt")]), "a note\nmore");
    assert_eq!(project.git(&["diff", "--name-only", "HEAD", &branch]), "notes.txt");
    project.git(&["fsck", "--strict", "--no-dangling"]);
    assert!(!project.git(&["status", "--porcelain", "--untracked-files=all"]).contains(".loom"), "it hides itself");
}

#[test]
fn a_run_that_is_not_accepted_leaves_nothing_in_the_project() {
    needs!("git", "sh");
    for (answer, verdict) in [(Answer::Reject, "rejected"), (Answer::Abandon, "abandoned")] {
        let project = Project::new();
        let before = project.footprint();
        let mut going = project.go(WORKS);
        going.answer(answer);
        assert_eq!(going.closing(), Some(verdict));
        assert_eq!(before, project.footprint());
    }
}
