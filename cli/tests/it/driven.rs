//! The real binary drives the demo's run in a folder of its own, watched from outside.
//!
//! On its search path stand a `git` and a `sh` that write down what is really executed, and can be told to linger.

use crate::rig::Ran;
use loom_bundles::{FoundCheck, Source, discover, load};
use loom_core::answer::CheckCommand;
use loom_core::id::{Actor, Assurance, Stamp, StreamId, unhex};
use loom_core::state::{Amount, Gate};
use loom_core::word::{Answer, Recovery};
use loom_endpoint::{Hidden, InNoFile};
use loom_host::Engine;
use loom_host::order::{Executor, Message, Order, Outbox};
use loom_host::request::{Answered, Ask, Opening, Request};
use loom_host::session::request_id;
use loom_host::world::{Machine, World};
use loom_providers::demo;
use loom_store::{RedbStore, Store};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Longest wait for something that other processes do. Nothing takes a hundredth of it on a quiet machine.
const WAIT_MAX: Duration = Duration::from_secs(120);
/// More answers than any run of the demo asks for.
const ANSWERS_MAX: usize = 12;

/// A folder for the demo, its store and Loom's state.
pub(crate) struct Driven {
    /// What no file below it may show; looked for at its end, so before it is removed.
    hidden: Mutex<Vec<InNoFile>>,
    folder: TempDir,
    /// Whether programs that write down what is executed stand first on its search path.
    notes: bool,
}

/// A driver under way.
pub(crate) struct Driver {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    /// What it told on stderr, whole lines only.
    pub(crate) told: Vec<String>,
    /// Everything of the user's when it began; empty where there was no repository yet.
    pub(crate) users: Users,
}

/// Everything of the user's in a repository, by path.
pub(crate) type Users = BTreeMap<PathBuf, Vec<u8>>;

impl Driven {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let driven = Driven { hidden: Mutex::default(), folder, notes: true };
        fs::create_dir(driven.path("bin")).unwrap();
        let ran = driven.path("ran").display().to_string();
        let linger = |of: &str| driven.path(of).display().to_string();
        // `git read-tree` begins each order's execution, an agent's or a check's: its work folder is reset.
        let git = format!(
            "#!/bin/sh\ncase \" $* \" in\n*' read-tree '*)\n    echo read-tree >> '{ran}'\n    \
             if [ -e '{linger}' ]; then rm '{linger}'; echo lingers >> '{ran}'; sleep 1; fi ;;\nesac\nexec '{git}' \"$@\"\n",
            linger = linger("linger-git"),
            git = program("git").display()
        );
        // A check that lingers ignores being asked to end, and so does what it started in a session of its own.
        let sh = format!(
            "#!/bin/sh\ncase \"$*\" in\ntest.sh | '-n notes.sh') echo \"check $*\" >> '{ran}' ;;\nesac\n\
             if [ \"$*\" = test.sh ] && [ -e '{linger}' ]; then\n    trap '' TERM\n    setsid sleep 600 &\n    \
             echo lingers >> '{ran}'\n    sleep 600\nfi\nexec /bin/sh \"$@\"\n",
            linger = linger("linger-check"),
        );
        for (name, text) in [("git", git), ("sh", sh)] {
            let path = driven.path("bin").join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        fs::write(driven.path("ran"), "").unwrap();
        driven
    }

    /// Returns a folder whose programs are the machine's own, in whatever fence there is.
    pub(crate) fn bare() -> Self {
        Driven { hidden: Mutex::default(), folder: tempfile::tempdir().unwrap(), notes: false }
    }

    /// Fails the test at the end where this credential stands in a file of the project, the state, or anywhere below.
    pub(crate) fn hides(&self, key: &str) {
        let hidden = Hidden::new("the credential", key);
        self.hidden.lock().unwrap().push(InNoFile { hidden, folder: self.folder.path().to_path_buf() });
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the demo's repository.
    pub(crate) fn project(&self) -> PathBuf {
        self.path("kept/notes")
    }

    pub(crate) fn store_folder(&self) -> PathBuf {
        self.project().join(".loom")
    }

    /// Returns the binary as a command of this folder.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_loom"));
        self.prepare(&mut command);
        command.args(arguments.split_whitespace());
        command
    }

    /// Returns the binary as a command whose files may not grow beyond so many bytes.
    pub(crate) fn cramped(&self, bytes: u64, arguments: &str) -> Command {
        let mut command = Command::new("/bin/sh");
        self.prepare(&mut command);
        // POSIX counts in blocks of 512 bytes. The signal that comes with the limit ends who does not ignore it.
        let script = format!("ulimit -f {} && trap '' XFSZ && exec \"$@\"", bytes / 512);
        command.args(["-c", &script, "sh", env!("CARGO_BIN_EXE_loom")]).args(arguments.split_whitespace());
        command
    }

    pub(crate) fn prepare(&self, command: &mut Command) {
        let place = if self.project().is_dir() { self.project() } else { self.folder.path().to_path_buf() };
        let usual = std::env::var_os("PATH").unwrap_or_default();
        let noting = self.notes.then(|| self.path("bin"));
        let search_path = std::env::join_paths(noting.into_iter().chain(std::env::split_paths(&usual)));
        command.current_dir(place).env_clear().env("PATH", search_path.unwrap());
        command.env("XDG_CONFIG_HOME", self.path("config")).env("XDG_DATA_HOME", self.path("data"));
        if self.notes {
            // The programs of this rig note outside of the workspace what they did.
            command.env("LOOM_FENCE_MODE", "off");
        }
        command.env("LOOM_STATE_DIR", self.path("state")).stdin(Stdio::null());
    }

    /// Runs a command to its end.
    pub(crate) fn loom(&self, arguments: &str) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Starts the demo.
    pub(crate) fn demo(&self) -> Driver {
        let mut driver = self.start(self.command(&format!("demo --keep {}", self.path("kept").display())));
        // The first line says that the repository is made.
        driver.reads(1);
        driver.users = self.users();
        driver
    }

    /// Starts a command that drives, and reads what it tells.
    pub(crate) fn follows(&self, command: Command) -> Driver {
        self.start(command)
    }

    /// Starts a command that drives.
    pub(crate) fn drives(&self, arguments: &str) -> Driver {
        self.start(self.command(arguments))
    }

    /// Makes the demo's repository, as a user has it.
    pub(crate) fn make_project(&self) {
        fs::create_dir_all(self.project()).unwrap();
        for (name, content) in demo::FILES {
            fs::write(self.project().join(name), content).unwrap();
        }
        let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
        for words in [&["init", "-q"][..], &["add", "--all"], &["commit", "-q", "-m", "first"]] {
            let mut git = Command::new(program("git"));
            assert!(git.current_dir(self.project()).args(who).args(words).status().unwrap().success());
        }
    }

    /// Opens the demo's run by a clock that is so far ahead, as a driver does that dies at once.
    pub(crate) fn open_ahead(&self, ms: u64) {
        let world = Ahead(ms);
        let origin = loom_core::origin::create([7; 16], "0.1.0", Stamp::after(Stamp::default(), world.now_ms()));
        let store: Arc<dyn Store> = Arc::new(RedbStore::create(&self.store_folder(), &origin).unwrap());
        let (outbox, _inbox) = channel();
        let mut engine = Engine::open(store, Box::new(world), Arc::new(Idle), outbox).unwrap();
        let bundle = load(&Source::builtin("code").unwrap()).unwrap();
        let checks = discover(&|name| fs::read(self.project().join(name)).ok()).unwrap();
        let found = |found: FoundCheck| CheckCommand { check: found.name, argv: found.argv };
        let limits = &bundle.bundle.limits;
        let opening = Opening {
            id: request_id(),
            actor: demo_actor(),
            task: demo::TASK.to_string(),
            rules: Vec::new(),
            base_commit: unhex(&self.git(&["rev-parse", "HEAD"])).unwrap(),
            base_tree: unhex(&self.git(&["rev-parse", "HEAD^{tree}"])).unwrap(),
            flow: None,
            policies: bundle.policies("review-final").unwrap(),
            checks: checks.found.into_iter().map(found).collect(),
            checks_waived: checks.waived,
            caps: Amount {
                spawns: limits.spawns,
                tokens: limits.tokens,
                money_micro: limits.money_micro,
                time_ms: limits.time_ms,
            },
            owner: "demo".to_string(),
            bundle: Arc::new(bundle),
        };
        let (reply, opened) = channel();
        engine.turn(vec![Message::Open(Box::new(opening), reply)]).unwrap();
        assert!(matches!(opened.recv().unwrap(), Answered::Recorded { .. }));
    }

    /// Starts a driver.
    pub(crate) fn start(&self, mut command: Command) -> Driver {
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap());
        Driver { child, lines, told: Vec::new(), users: Users::new() }
    }

    /// Returns the lines that say what was really executed.
    pub(crate) fn ran(&self) -> Vec<String> {
        fs::read_to_string(self.path("ran")).unwrap().lines().map(str::to_string).collect()
    }

    pub(crate) fn has_store(&self) -> bool {
        self.store_folder().join("store.redb").exists()
    }

    /// Returns all events of the store.
    pub(crate) fn log(&self) -> Vec<Value> {
        let ran = self.loom("log --jsonl");
        assert_eq!((ran.code, ran.err.as_str()), (0, ""));
        ran.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Resumes and answers as the demo does, until the run has ended.
    pub(crate) fn drive_on(&self) {
        for _ in 0..ANSWERS_MAX {
            let (before, ran_before) = (self.log(), self.ran().len());
            let ran = self.loom("resume");
            self.nothing_twice(&before, &self.log(), &self.ran()[ran_before..]);
            match ran.code {
                0 => return,
                3 => self.answer(),
                code => panic!("exit code {code}: {}", ran.err),
            }
        }
        panic!("the run waits again and again: {:?}", self.loom("log").out);
    }

    /// What a driver that came to its end has executed is what it recorded: nothing that was on record before.
    #[track_caller]
    fn nothing_twice(&self, before: &[Value], after: &[Value], ran: &[String]) {
        let recorded = |kind: &str| after[before.len()..].iter().filter(|event| event["kind"] == kind).count();
        let executed = |wanted: &str| ran.iter().filter(|line| line.starts_with(wanted)).count();
        let checks = recorded("check.finished");
        assert_eq!(executed("check "), checks, "executions of checks and recorded ones");
        let agents = executed("read-tree") - checks;
        assert_eq!(agents, recorded("spawn.finished"), "executions of agents and recorded ones");
    }

    /// Puts an answer to the waiting gate on record and does nothing else.
    pub(crate) fn answer(&self) {
        let store: Arc<dyn Store> = Arc::new(RedbStore::open(&self.store_folder()).unwrap());
        let (outbox, _inbox) = channel();
        let mut engine = Engine::open(store, Box::new(Machine), Arc::new(Idle), outbox).unwrap();
        let waiting: Vec<(StreamId, Gate)> =
            engine.runs().filter_map(|(stream, run)| Some((*stream, run.state.gate.clone()?))).collect();
        assert!(!waiting.is_empty(), "exit code 3, and no gate waits");
        for (stream, gate) in waiting {
            let ask = match gate.role.as_str() {
                // A question of the kernel: an agent was lost too often.
                "ask" => Ask::Recover { choice: Recovery::Retry, spawns: Vec::new() },
                _ => Ask::Answer {
                    gate: gate.sequence,
                    answer: Answer::Accept,
                    note: None,
                    artifact: Some(gate.artifact),
                    signed: None,
                },
            };
            let (reply, answered) = channel();
            let request = Request { stream, id: request_id(), actor: demo_actor(), ask };
            engine.turn(vec![Message::Request(request, reply)]).unwrap();
            assert!(matches!(answered.recv().unwrap(), Answered::Recorded { .. }));
        }
    }

    /// Checks what holds for a store at any time, whoever was killed.
    #[track_caller]
    pub(crate) fn is_whole(&self) {
        let ran = self.loom("verify --blobs --redrive");
        assert_eq!(ran.code, 0, "{}{}", ran.out, ran.err);
        assert!(ran.out.starts_with("store is whole\n"), "{}", ran.out);
        let log = self.log();
        let closed = log.iter().find(|event| event["kind"] == "run.closed");
        if closed.is_some_and(|event| event["body"]["verdict"] == "accepted") {
            self.branch_is_there(&log);
        }
    }

    /// The branch is what the merge's outcome says, which stands before the run's end.
    #[track_caller]
    fn branch_is_there(&self, log: &[Value]) {
        let place = |kind: &str| log.iter().position(|event| event["kind"] == kind);
        let merged = place("merge.finished").expect("accepted without a merge");
        assert!(Some(merged) < place("run.closed"));
        let intended = &log[place("merge.intended").unwrap()]["body"];
        let branch = intended["branch"].as_str().unwrap();
        let names = |what: String| self.git(&["rev-parse", "--verify", "--quiet", &what]);
        assert_eq!(names(format!("refs/heads/{branch}")), log[merged]["body"]["commit"].as_str().unwrap());
        assert_eq!(names(format!("refs/heads/{branch}^{{tree}}")), intended["tree"].as_str().unwrap());
    }

    /// Asks the real git, which writes nothing for what is asked here.
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new(program("git")).current_dir(self.project()).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim_end().to_string()
    }

    /// Checks what holds once the run has ended, whatever happened on the way.
    #[track_caller]
    pub(crate) fn ended_well(&self) {
        self.is_whole();
        let log = self.log();
        let of = |kind: &str| log.iter().filter(|event| event["kind"] == kind).collect::<Vec<_>>();
        let closed = of("run.closed");
        assert_eq!(closed.len(), 1);
        assert_eq!(closed[0]["body"]["verdict"], "accepted");
        one_outcome_each(&log);
        // Every refusal of the undisturbed run happened in this one too, and the work is the same.
        assert_eq!(of("refused").len(), 1);
        let tree = of("merge.intended")[0]["body"]["tree"].as_str().unwrap().to_string();
        assert_eq!(tree, undisturbed());
        assert_eq!(self.survivors(), BTreeSet::new());
    }

    /// Returns everything of the user's in the repository: all but Loom's store, branch and objects.
    pub(crate) fn users(&self) -> Users {
        let root = self.project();
        let mut found = Users::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&root).unwrap().to_path_buf();
                if [".loom", ".git/objects", ".git/refs/heads/loom"].iter().any(|loom| name == Path::new(loom)) {
                    continue;
                }
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(name, fs::read(path).unwrap());
                }
            }
        }
        found
    }

    /// Waits until no process of this folder lives, and returns those that will not go.
    pub(crate) fn survivors(&self) -> BTreeSet<String> {
        until(|| self.processes().is_empty());
        self.processes().into_values().collect()
    }

    /// Returns the processes that were started here, by their environment, working folder or command line; those in a
    /// fence by what is mounted there.
    pub(crate) fn processes(&self) -> BTreeMap<u32, String> {
        let mark = self.folder.path().as_os_str().as_encoded_bytes();
        let mut found = BTreeMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            let file = |name: &str| fs::read(entry.path().join(name)).unwrap_or_default();
            let place = fs::read_link(entry.path().join("cwd")).unwrap_or_default();
            let place = place.into_os_string().into_encoded_bytes();
            let said = [file("environ"), file("cmdline"), place, file("mountinfo")].concat();
            if said.windows(mark.len()).any(|part| part == mark) {
                let words = String::from_utf8_lossy(&file("cmdline")).replace('\0', " ");
                found.insert(id, words);
            }
        }
        found
    }

    /// Kills every process of this folder, as the end of a container or a machine would.
    pub(crate) fn kill_all(&self) {
        until(|| {
            let found = self.processes();
            for id in found.keys() {
                let _gone =
                    Command::new("/bin/sh").args(["-c", &format!("kill -9 {id}")]).stderr(Stdio::null()).status();
            }
            found.is_empty()
        });
    }

    /// Returns the beginnings of the lines by which these events are told.
    pub(crate) fn told_of(&self, log: &[Value]) -> Vec<String> {
        log.iter().filter_map(line_of).map(|line| format!("  0.0s {line}")).collect()
    }

    /// Every told line of what goes on record is in the log, in its order: persist, then tell.
    #[track_caller]
    pub(crate) fn told_is_on_record(&self, told: &[String]) {
        let log = if self.has_store() { self.log() } else { Vec::new() };
        let mut lines = log.iter().filter_map(line_of);
        for line in told.iter().filter(|line| !line.starts_with("note: ")) {
            let line = line.get(7..).unwrap_or_default();
            if BESIDE.iter().any(|beside| line.starts_with(beside)) {
                continue;
            }
            let due = lines.next().unwrap_or_default();
            assert!(!due.is_empty() && line.starts_with(&due), "told and not on record: {line:?}, but {due:?}");
        }
    }
}

impl Drop for Driven {
    /// A test that failed leaves no process behind.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.kill_all();
        }
    }
}

impl Driver {
    /// Reads on until so many lines were told; returns whether it came to that.
    pub(crate) fn reads(&mut self, lines: usize) -> bool {
        while self.told.len() < lines {
            let mut line = String::new();
            if self.lines.read_line(&mut line).unwrap() == 0 {
                return false;
            }
            if let Some(line) = line.strip_suffix('\n') {
                self.told.push(line.to_string());
            }
        }
        true
    }

    /// Reads on until a line has this in it.
    #[track_caller]
    pub(crate) fn reads_until(&mut self, words: &str) {
        while !self.told.last().is_some_and(|line| line.contains(words)) {
            assert!(self.reads(self.told.len() + 1), "never told: {words}; {:#?}", self.told);
        }
    }

    /// Kills it with SIGKILL and reads what it had told by then.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.ends();
    }

    /// Waits for its end and returns its exit code; of one that a signal ended, as shells have it.
    pub(crate) fn ends(&mut self) -> Option<i32> {
        self.reads(usize::MAX);
        let status = self.child.wait().unwrap();
        status.code().or_else(|| Some(128 + status.signal()?))
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Each spawn has one outcome, it ended or its driver died, and each check one.
#[track_caller]
pub(crate) fn one_outcome_each(log: &[Value]) {
    let of = |kind: &'static str| log.iter().filter(move |event| event["kind"] == kind);
    let mut outcomes: BTreeMap<u64, u64> = BTreeMap::new();
    for (kind, field) in [("spawn.finished", "spawn"), ("effect.orphaned", "effect")] {
        for event in of(kind) {
            *outcomes.entry(event["body"][field].as_u64().unwrap()).or_default() += 1;
        }
    }
    let spawns: BTreeMap<u64, u64> =
        of("spawn.requested").map(|event| (event["sequence"].as_u64().unwrap(), 1)).collect();
    assert_eq!(outcomes, spawns, "one outcome a spawn");
    let checks: BTreeSet<u64> = of("check.finished").map(|event| event["body"]["request"].as_u64().unwrap()).collect();
    assert_eq!(checks.len(), of("check.requested").count());
    assert_eq!(checks.len(), of("check.finished").count());
}

/// The demo as an actor.
fn demo_actor() -> Actor {
    Actor::Person { id: "demo".to_string(), assurance: Assurance::Asserted, descends: None }
}

/// A clock that is so many milliseconds ahead.
struct Ahead(u64);

impl World for Ahead {
    fn now_ms(&self) -> u64 {
        Machine.now_ms() + self.0
    }

    fn random(&mut self) -> [u8; 16] {
        Machine.random()
    }
}

/// Executes nothing.
struct Idle;

impl Executor for Idle {
    fn start(&self, _: Order, _: Outbox) {}
    fn stop(&self, _: StreamId, _: u64) {}
    fn forget(&self, _: StreamId) {}
}

/// Lines that tell of something else than an event, or more of the one before.
const BESIDE: &[&str] = &[
    "    ",
    "a small repository",
    "the task:",
    "the model is",
    "somebody is",
    "no terminal:",
    "run ",
    // What a gate decides on.
    "gate `",
    "  changed ",
    "  found ",
    "  checked ",
    // What has no time before it: that it holds, and the error that it ends with, its hint, its page.
    "olding: what is under way",
    "interrupted; what is on record",
    "loom resume` goes on",
    "oom explain ",
];

/// Returns how the line begins that tells of an event; none for those that are not told.
fn line_of(event: &Value) -> Option<String> {
    let body = &event["body"];
    let word = |name: &str| body[name].as_str().unwrap_or_default().to_string();
    Some(match event["kind"].as_str().unwrap() {
        "flow.chosen" => format!("flow {} ", word("flow")),
        "stage.entered" => format!("{} · round {}", word("stage"), body["round"]),
        "spawn.requested" => format!("  {} works …", word("agent")),
        "spawn.finished" => format!("  {} ended: {}", word("agent"), word("outcome")),
        "check.finished" => format!("  check {}: {}", word("check"), word("outcome")),
        "finding.raised" => format!("  {} · {}", word("severity"), word("agent")),
        "gate.opened" => format!("  gate `{}` waits", word("role")),
        "gate.answered" => format!("  `{}` by demo is on record", word("answer")),
        "gate.decided" => format!("  gate `{}` {} by", word("role"), word("outcome")),
        "refused" => format!("  REFUSED inside the commit: {}", word("kind")),
        "walked.back" => format!("  back to {}:", word("to")),
        "merge.intended" => format!("  {} is to be made", word("branch")),
        "run.paused" => "  held: ".to_string(),
        "run.resumed" => "  goes on".to_string(),
        "effect.orphaned" => format!("  what #{} asked for was lost", body["effect"]),
        "run.closed" => format!("the run ended: {}", word("verdict")),
        _ => return None,
    })
}

/// Returns the tree that the demo ends with when nobody disturbs it.
fn undisturbed() -> &'static str {
    static TREE: OnceLock<String> = OnceLock::new();
    TREE.get_or_init(|| {
        let driven = Driven::new();
        assert_eq!(driven.demo().ends(), Some(0));
        driven.is_whole();
        let log = driven.log();
        let intended = log.iter().find(|event| event["kind"] == "merge.intended").unwrap();
        intended["body"]["tree"].as_str().unwrap().to_string()
    })
}

/// Polls until something holds, within [`WAIT_MAX`]; returns whether it came to that.
pub(crate) fn until(mut holds: impl FnMut() -> bool) -> bool {
    let began = Instant::now();
    loop {
        if holds() {
            return true;
        }
        if began.elapsed() > WAIT_MAX {
            return false;
        }
        std::thread::yield_now();
    }
}

/// Returns where a program lies.
pub(crate) fn program(name: &str) -> PathBuf {
    let usual = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&usual).map(|folder| folder.join(name)).find(|path| path.is_file()).unwrap()
}
