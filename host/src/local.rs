//! Executes orders on this machine: agents through a provider, checks as processes, merges through git.
//!
//! One run, one workspace, one order at a time; different runs work at the same time. What an order needs stands
//! in the order; what it did is measured here, by content, not taken from what the agent says (WITNESS-1).

use crate::bounds::{self, Leave};
use crate::engine::{merge_failed, spawn_failed};
use crate::environment::{Environment, SPAWN_VARIABLE};
use crate::error::HostError;
use crate::kept::{capped, whole_words};
use crate::live::Board;
use crate::order::{Confined, Executor, Message, Order, Outbox, Report, SpawnReport, SpawnWork, Work};
use crate::redact::Redactor;
use crate::world::{Machine, World};
use loom_bundles::{Schema, parse_answer, render};
use loom_core::answer::{Change, clip};
use loom_core::id::{StreamId, hex};
use loom_core::word::{CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_providers::{Ended, Hands, Live, Program, Provider, SpawnOrder};
use loom_tools::{
    Bounds, By, CancelToken, Choosing, Command, CommitId, CommitMeta, Door, Error as ToolError, Exit, Fence, Fenced,
    Fencing, Git, Guard, How, Limits, Person, Project, Status, TreeId, Watch, Workspace, minimal_environment,
    remove_tree, run, run_heard,
};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

/// Longest diff in a prompt, in bytes.
const DIFF_BYTES_MAX: usize = 256 * 1024;
/// Longest line that is shown of what an agent does just now, in bytes.
const LIVE_BYTES_MAX: usize = 200;
/// Most output kept of a check, in bytes a stream.
const CHECK_OUTPUT_MAX: usize = 48 * 1024;
/// Most output kept of a spawn, in bytes: half from its start and half from its end, where the answer stands.
const SPAWN_OUTPUT_MAX: usize = 2 * 1024 * 1024;

/// Folders of a run for what programs keep about their user and what they keep for a while.
const HOMES: [&str; 2] = ["home", "tmp"];

/// How a local executor is set up.
pub struct LocalSettings {
    /// Git as Loom calls it.
    pub git: Git,
    /// The project that results are merged into.
    pub project: Arc<Project>,
    /// Folder of this project's workspaces, outside of the project.
    pub folder: PathBuf,
    /// What thinks.
    pub provider: Arc<dyn Provider>,
    /// Who watches over the descendants of programs.
    pub guard: Guard,
    /// What programs run in, once it is chosen.
    pub fence: Arc<Choosing>,
    /// What they are let have behind it.
    pub leave: Leave,
    /// What is taken from the environment.
    pub environment: Environment,
    /// What keeps secrets out of reports.
    pub redactor: Arc<Redactor>,
    /// Most orders under way at once.
    pub jobs: usize,
}

impl LocalSettings {
    fn fence(&self) -> &Arc<dyn Fence> {
        &self.fence.choice().fence
    }
}

/// Executes orders on this machine.
pub struct LocalExecutor {
    shared: Arc<Shared>,
}

struct Shared {
    settings: LocalSettings,
    board: Board,
    /// Held while a workspace is made: a request that comes twice makes one.
    workspaces: Mutex<BTreeMap<StreamId, Arc<Workspace>>>,
    /// Workspaces that were made here and that nothing has worked in since: they are as their base commit has them.
    untouched: Mutex<BTreeSet<StreamId>>,
    running: Mutex<Running>,
    turn: Condvar,
}

#[derive(Default)]
struct Running {
    busy: BTreeSet<StreamId>,
    waiting: BTreeSet<(StreamId, u64)>,
    tokens: BTreeMap<(StreamId, u64), CancelToken>,
    forgotten: BTreeSet<StreamId>,
}

impl LocalExecutor {
    /// Returns an executor.
    pub fn new(settings: LocalSettings) -> Self {
        let running = Mutex::new(Running::default());
        LocalExecutor {
            shared: Arc::new(Shared {
                settings,
                board: Board::default(),
                workspaces: Mutex::default(),
                untouched: Mutex::default(),
                running,
                turn: Condvar::new(),
            }),
        }
    }

    /// Returns the board that the spawns write on.
    pub fn board(&self) -> Board {
        self.shared.board.clone()
    }

    /// Returns what keeps secrets out of the record.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.shared.settings.redactor.clone()
    }

    /// Makes the workspace of a run that is about to be opened and returns its work folder, which is as the base
    /// commit has it.
    pub fn prepare(&self, stream: StreamId, base: CommitId) -> Result<PathBuf, HostError> {
        Ok(self.shared.workspace(stream, base)?.work().to_path_buf())
    }

    /// Returns the difference of two trees of a run's workspace as a patch, of which at most `bytes_max` bytes are kept.
    pub fn diff(
        &self,
        stream: StreamId,
        base: &[u8],
        from: &[u8],
        to: &[u8],
        bytes_max: usize,
    ) -> Result<Vec<u8>, HostError> {
        let workspace = self.shared.workspace(stream, commit_id(base)?)?;
        Ok(workspace.diff_text(tree_id(from)?, tree_id(to)?, bytes_max)?.to_bytes())
    }

    /// Removes the workspace of a run that could not be opened.
    pub fn discard(&self, stream: StreamId) {
        self.shared.remove_workspace(stream);
    }

    /// Ends everything that is under way and returns when nothing is: two drivers never share a workspace.
    pub fn stop_all(&self) {
        let mut running = self.shared.lock();
        running.tokens.values().for_each(CancelToken::cancel);
        while !running.tokens.is_empty() {
            running = self.shared.turn.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Executor for LocalExecutor {
    fn start(&self, order: Order, outbox: Outbox) {
        let Ok(token) = CancelToken::new() else {
            let report = refused(&order, "the operating system gives no more pipes".to_string());
            // The drive loop has ended: nobody waits for the outcome.
            let _gone = outbox.send(Message::Finished { stream: order.stream, id: order.id, report: Box::new(report) });
            return;
        };
        let mut running = self.shared.lock();
        running.tokens.insert((order.stream, order.id), token.clone());
        running.waiting.insert((order.stream, order.id));
        drop(running);
        let shared = self.shared.clone();
        thread::spawn(move || shared.execute(order, &token, &outbox));
    }

    fn stop(&self, stream: StreamId, id: u64) {
        if let Some(token) = self.shared.lock().tokens.get(&(stream, id)) {
            token.cancel();
        }
    }

    fn forget(&self, stream: StreamId) {
        let mut running = self.shared.lock();
        running.forgotten.insert(stream);
        let idle = !running.busy.contains(&stream);
        drop(running);
        if idle {
            self.shared.remove_workspace(stream);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute(&self, order: Order, token: &CancelToken, outbox: &Outbox) {
        let (stream, id) = (order.stream, order.id);
        self.take_turn(stream, id);
        let mut report = if token.is_cancelled() {
            refused(&order, "it was stopped before it began".to_string())
        } else {
            // A flaw of a provider ends the order that it showed in; the run goes on to ask a person.
            catch_unwind(AssertUnwindSafe(|| self.perform(&order, token)))
                .unwrap_or_else(|_| Ok(refused(&order, "the executor panicked over it".to_string())))
                .unwrap_or_else(|error| refused(&order, told(&error)))
        };
        // Here, because it takes a while for a long output, and the drive loop never waits (REDACT-1).
        self.settings.redactor.report(&mut report);
        self.board.clear(stream, id);
        // Before the next order of the run may begin: outcomes come in the order of their orders. Where the drive loop has
        // ended, what was under way is orphaned and found by the next one.
        let _gone = outbox.send(Message::Finished { stream, id, report: Box::new(report) });
        let mut running = self.lock();
        running.busy.remove(&stream);
        let is_last = !running.tokens.keys().any(|(other, number)| *other == stream && *number != id);
        let forgotten = is_last && running.forgotten.contains(&stream);
        drop(running);
        if forgotten {
            self.remove_workspace(stream);
        }
        // Whoever waits for all orders to end waits for what they leave to be gone, too.
        self.lock().tokens.remove(&(stream, id));
        self.turn.notify_all();
    }

    /// Waits until no other order of the run is under way, those asked for before are done, and a job is free.
    fn take_turn(&self, stream: StreamId, id: u64) {
        let mut running = self.lock();
        let is_due = |running: &Running| {
            running.waiting.range((stream, 0)..(stream, id)).next().is_none()
                && !running.busy.contains(&stream)
                && running.busy.len() < self.settings.jobs
        };
        while !is_due(&running) {
            running = self.turn.wait(running).unwrap_or_else(PoisonError::into_inner);
        }
        running.waiting.remove(&(stream, id));
        running.busy.insert(stream);
    }

    fn perform(&self, order: &Order, token: &CancelToken) -> Result<Report, HostError> {
        let workspace = self.workspace(order.stream, commit_id(&order.base_commit)?)?;
        match &order.work {
            Work::Spawn(work) => self.spawn(order, work, &workspace, token),
            Work::Check { argv, tree, .. } => self.check(order, argv.as_deref(), tree, &workspace, token),
            Work::Merge { tree, branch, message, date_ms } => {
                self.merge(&workspace, order, tree, branch, message, *date_ms)
            }
        }
    }

    fn folder(&self, stream: StreamId) -> PathBuf {
        self.settings.folder.join(hex(&stream.0))
    }

    fn workspace(&self, stream: StreamId, base: CommitId) -> Result<Arc<Workspace>, HostError> {
        let mut workspaces = self.workspaces.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = self.folder(stream);
        let whole = folder.join("made");
        let place = folder.join("workspace");
        let is_whole = whole.exists();
        let workspace = match workspaces.get(&stream).filter(|_| is_whole) {
            Some(workspace) => workspace.clone(),
            None if is_whole => Arc::new(Workspace::open(&self.settings.project, &place)?),
            None => Arc::new(self.make_workspace(stream, base, &whole, &place)?),
        };
        workspaces.insert(stream, workspace.clone());
        Ok(workspace)
    }

    fn make_workspace(
        &self,
        stream: StreamId,
        base: CommitId,
        whole: &Path,
        place: &Path,
    ) -> Result<Workspace, HostError> {
        let folder = self.folder(stream);
        // Whatever stands here was left half made by a driver that died.
        remove_tree(&folder)?;
        for name in HOMES {
            let path = folder.join(name);
            std::fs::create_dir_all(&path).map_err(file("make", &path))?;
        }
        let workspace = Workspace::create(place, &self.settings.project, base)?;
        // Trees that the log names live here and nowhere else: the mark must not be lost by itself.
        let mark = std::fs::File::create(whole).map_err(file("write", whole))?;
        mark.sync_all().map_err(file("write", whole))?;
        for folder in [&folder, &self.settings.folder] {
            std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("write", folder))?;
        }
        self.untouched.lock().unwrap_or_else(PoisonError::into_inner).insert(stream);
        Ok(workspace)
    }

    /// Makes the work folder of a run what a tree says, by content, and its home empty; those that are so for sure are not
    /// read again.
    fn reset(&self, order: &Order, workspace: &Workspace, tree: TreeId, is_base: bool) -> Result<(), HostError> {
        let was_untouched = self.untouched.lock().unwrap_or_else(PoisonError::into_inner).remove(&order.stream);
        if was_untouched && is_base {
            return Ok(());
        }
        workspace.reset_to(tree)?;
        // What an agent or a check has left there could decide what comes next: settings of shells, of test runners and
        // of agents are read from it.
        for name in HOMES {
            let path = self.folder(order.stream).join(name);
            remove_tree(&path)?;
            std::fs::create_dir(&path).map_err(file("make", &path))?;
        }
        Ok(())
    }

    fn spawn(
        &self,
        order: &Order,
        work: &SpawnWork,
        workspace: &Workspace,
        token: &CancelToken,
    ) -> Result<Report, HostError> {
        let before = tree_id(&work.tree)?;
        self.reset(order, workspace, before, work.base_tree == work.tree)?;
        let mut parts = work.parts.clone();
        if work.base_tree != work.tree {
            let diff = workspace.diff_text(tree_id(&work.base_tree)?, before, DIFF_BYTES_MAX)?;
            let diff = whole_words(diff).to_bytes();
            parts.diff = Some(String::from_utf8_lossy(&diff).into_owned());
        }
        let broken = |detail| Ok(spawn_failed(SpawnOutcome::Broken, work.tree.clone(), detail));
        let prompt = match render(&work.template, &parts) {
            Ok(prompt) => prompt,
            Err(error) => return broken(told(&error)),
        };
        let schema = match Schema::parse(&parts.schema) {
            Ok(schema) => schema,
            Err(error) => return broken(told(&error)),
        };
        let spawn = SpawnOrder {
            agent: work.agent.clone(),
            kind: work.kind.clone(),
            tier: work.tier.clone(),
            prompt: prompt.clone(),
            schema: parts.schema.clone(),
            work_dir: workspace.work().to_path_buf(),
            edits: work.edits,
            fenced: self.settings.fence().watch() != Watch::Plain,
            round: work.round,
            attempt: work.attempt,
            time_limit_ms: order.time_ms,
        };
        let begins = Live { line: "begins".to_string(), ..Live::default() };
        self.board.tell(order.stream, order.id, begins);
        let began = Instant::now();
        let hands = Lent { shared: self, order, workspace, token, fence: Mutex::default() };
        let done = self.settings.provider.run(&spawn, &hands);
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut report = SpawnReport {
            outcome: done.outcome,
            prompt: prompt.into_bytes(),
            output: capped(done.output, SPAWN_OUTPUT_MAX),
            claim: None,
            delta: Vec::new(),
            tree_after: work.tree.clone(),
            tokens_in: done.tokens_in,
            tokens_out: done.tokens_out,
            money_micro: done.money_micro,
            duration_ms,
            model: done.model,
            session: done.session,
            detail: done.detail,
            wake_ms: done.wake_ms.map(|wait_ms| Machine.now_ms().saturating_add(wait_ms)),
            provider: done.provider,
            chosen: done.chosen,
            requests: done.requests,
            transcript: capped(done.transcript, SPAWN_OUTPUT_MAX),
            fence: hands.fence.into_inner().unwrap_or_else(PoisonError::into_inner),
        };
        // One who may only read cannot write to the folder in a fence, nor reach this memory (WITNESS-2).
        let only_reads = !work.edits && self.settings.fence().watch() != Watch::Plain;
        let by = if only_reads { By::Times } else { By::Content };
        match workspace.snapshot(before, &Limits::default(), by) {
            Ok(snapshot) => {
                report.tree_after = snapshot.tree.as_bytes().to_vec();
                report.delta = snapshot.changes.into_iter().map(change).collect();
            }
            Err(
                error @ (ToolError::Deleted { .. }
                | ToolError::FileTooLarge { .. }
                | ToolError::TreeTooLarge { .. }
                | ToolError::TooManyFiles { .. }),
            ) => {
                report.outcome = SpawnOutcome::Failed;
                report.detail = Some(format!("what it left cannot be recorded: {error}"));
            }
            Err(error) => return Err(error.into()),
        }
        if report.outcome == SpawnOutcome::Ok {
            match parse_answer(&String::from_utf8_lossy(&report.output), &schema) {
                Ok(claim) => report.claim = Some(claim),
                Err(unusable) => {
                    report.outcome = SpawnOutcome::Unparsable;
                    // The words quote the answer, and may cut a secret in it in two.
                    let clean = self.settings.redactor.bytes(&report.output);
                    let told = parse_answer(&String::from_utf8_lossy(&clean), &schema).err().unwrap_or(unusable);
                    report.detail = Some(told.to_string());
                }
            }
        }
        Ok(Report::Spawn(report))
    }

    fn check(
        &self,
        order: &Order,
        argv: Option<&[String]>,
        tree: &[u8],
        workspace: &Workspace,
        token: &CancelToken,
    ) -> Result<Report, HostError> {
        let report = |outcome, exit_code, output, duration_ms, fence| {
            Ok(Report::Check { outcome, exit_code, output, duration_ms, fence })
        };
        let Some(argv) = argv.filter(|argv| !argv.is_empty()) else {
            return report(CheckOutcome::Absent, None, Vec::new(), 0, None);
        };
        self.reset(order, workspace, tree_id(tree)?, false)?;
        let mut command = self.command(order, argv, workspace, None);
        command.timeout_ms = order.time_ms;
        command.output_max_bytes = CHECK_OUTPUT_MAX;
        let exit = match run(&command, token) {
            Ok(exit) => exit,
            Err(error) => return report(CheckOutcome::Unusable, None, told(&error).into_bytes(), 0, None),
        };
        let mut output = whole_words(exit.stdout).to_bytes();
        output.extend_from_slice(&whole_words(exit.stderr).to_bytes());
        let (outcome, code) = match exit.status {
            Status::Exited(0) => (CheckOutcome::Pass, Some(0)),
            Status::Exited(code) => (CheckOutcome::Fail, u64::try_from(code).ok()),
            Status::Signalled(_) => (CheckOutcome::Fail, None),
            Status::TimedOut | Status::Idle => (CheckOutcome::TimedOut, None),
            Status::Cancelled => (CheckOutcome::Unusable, None),
        };
        report(outcome, code, output, exit.duration_ms, exit.fence.map(confined))
    }

    /// Prepares a program for a run: in its work folder, watched and fenced, with nothing of ours in its environment.
    fn command(
        &self,
        order: &Order,
        argv: impl IntoIterator<Item = impl Into<OsString>>,
        workspace: &Workspace,
        door: Option<&Door>,
    ) -> Command {
        let settings = &self.settings;
        let folder = self.folder(order.stream);
        let mut environment =
            minimal_environment(&settings.environment.search_path, &folder.join("home"), &folder.join("tmp"));
        let bounds = match settings.fence().watch() {
            Watch::Plain => {
                environment.extend(settings.environment.toolchain.iter().cloned());
                Bounds::default()
            }
            Watch::Stage | Watch::Namespace => {
                environment.extend(bounds::variables(&folder, &settings.environment));
                // An agent that only reads has a work folder that cannot be changed; a check builds in it.
                let (name, changes) = match &order.work {
                    Work::Spawn(work) => (work.agent.as_str(), work.edits),
                    Work::Check { check, .. } => (check.as_str(), true),
                    Work::Merge { .. } => ("", true),
                };
                let (project, leave) = (&settings.project, &settings.leave);
                bounds::bounds(&folder, workspace, project, &settings.environment, leave, (name, changes, door))
            }
        };
        environment.insert(SPAWN_VARIABLE.into(), order.id.to_string().into());
        let mut command = Command::new(argv, workspace.work(), environment);
        command.guard = settings.guard.clone();
        command.fence = Some(Fencing { fence: settings.fence().clone(), bounds });
        command
    }

    fn merge(
        &self,
        workspace: &Workspace,
        order: &Order,
        tree: &[u8],
        branch: &str,
        message: &str,
        date_ms: u64,
    ) -> Result<Report, HostError> {
        let loom = Person { name: "Loom".to_string(), email: "loom@localhost".to_string() };
        let meta = CommitMeta { author: loom.clone(), committer: loom, date_ms, message: message.to_string() };
        let commit = workspace.commit(tree_id(tree)?, &[commit_id(&order.base_commit)?], &meta)?;
        workspace.publish(&self.settings.project, commit, branch)?;
        Ok(Report::Merge { outcome: MergeOutcome::Done, commit: Some(commit.as_bytes().to_vec()), detail: None })
    }

    fn remove_workspace(&self, stream: StreamId) {
        self.untouched.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream);
        self.workspaces.lock().unwrap_or_else(PoisonError::into_inner).remove(&stream);
        // A folder that cannot be removed now is found and removed when the store is next opened for driving.
        let _left = remove_tree(&self.folder(stream));
    }
}

/// What a provider is lent for one spawn.
struct Lent<'a> {
    shared: &'a Shared,
    order: &'a Order,
    workspace: &'a Workspace,
    token: &'a CancelToken,
    /// What held for its programs so far.
    fence: Mutex<Option<Confined>>,
}

impl Lent<'_> {
    /// Of several programs what held for each of them holds for the spawn.
    fn note(&self, fenced: Fenced) {
        let mut fence = self.fence.lock().unwrap_or_else(PoisonError::into_inner);
        match fence.as_mut() {
            Some(before) => before.enforced.retain(|word| fenced.enforced.contains(word)),
            None => *fence = Some(confined(fenced)),
        }
    }
}

impl Hands for Lent<'_> {
    fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    fn run(&self, program: &Program, heard: &mut dyn FnMut(&[u8])) -> Ended {
        let door = program.door.as_ref().map(|door| Door { port: door.port, socket: door.socket.clone() });
        let mut command = self.shared.command(self.order, &program.argv, self.workspace, door.as_ref());
        command.stdin.clone_from(&program.stdin);
        // What is the executor's stays: no provider takes the mark of a spawn away.
        for (name, value) in &program.variables {
            command.environment.entry(name.into()).or_insert_with(|| value.into());
        }
        command.timeout_ms = program.time_limit_ms.min(self.order.time_ms);
        command.idle_ms = program.idle_limit_ms;
        command.output_max_bytes = SPAWN_OUTPUT_MAX;
        match run_heard(&command, self.token, heard) {
            Ok(mut exit) => {
                exit.fence.take().into_iter().for_each(|fenced| self.note(fenced));
                ended(exit)
            }
            Err(error) => Ended { outcome: SpawnOutcome::Broken, output: Vec::new(), detail: told(&error) },
        }
    }

    fn fresh_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.shared.folder(self.order.stream).join("home").join(name);
        remove_tree(&path).map_err(std::io::Error::other)?;
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    fn tell(&self, mut live: Live) {
        // Cut before, half a secret would not be known for one.
        live.line = clip(&self.shared.settings.redactor.text(&live.line), LIVE_BYTES_MAX);
        self.shared.board.tell(self.order.stream, self.order.id, live);
    }
}

pub(crate) fn ended(exit: Exit) -> Ended {
    let outcome = match exit.status {
        Status::Exited(0) => SpawnOutcome::Ok,
        Status::Exited(_) | Status::Signalled(_) => SpawnOutcome::Failed,
        Status::TimedOut | Status::Idle => SpawnOutcome::TimedOut,
        Status::Cancelled => SpawnOutcome::Cancelled,
    };
    let complaint = whole_words(exit.stderr).to_bytes();
    let complaint = String::from_utf8_lossy(&complaint);
    let detail = match complaint.trim() {
        "" => format!("it ended with {}", exit.status),
        words => format!("it ended with {}: {words}", exit.status),
    };
    Ended { outcome, output: whole_words(exit.stdout).to_bytes(), detail }
}

fn confined(fenced: Fenced) -> Confined {
    Confined { name: fenced.name.to_string(), enforced: fenced.enforced }
}

/// Removes workspaces of runs that have ended; a driver that died may have left them.
pub fn remove_workspaces(folder: &Path, keep: &dyn Fn(&str) -> bool) {
    // What cannot be listed or removed takes room and keeps nobody from working.
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        if !keep(&entry.file_name().to_string_lossy()) {
            let _left = remove_tree(&entry.path());
        }
    }
}

fn refused(order: &Order, detail: String) -> Report {
    match &order.work {
        Work::Spawn(work) => spawn_failed(SpawnOutcome::Failed, work.tree.clone(), detail),
        Work::Check { .. } => Report::Check {
            outcome: CheckOutcome::Unusable,
            exit_code: None,
            output: detail.into_bytes(),
            duration_ms: 0,
            fence: None,
        },
        Work::Merge { .. } => merge_failed(detail),
    }
}

fn change(change: loom_tools::Change) -> Change {
    let how = match change.how {
        How::Added => "added",
        How::Modified => "modified",
        How::Deleted => "deleted",
        How::TypeChanged => "type-changed",
    };
    Change { path: change.path, how: how.to_string() }
}

fn tree_id(bytes: &[u8]) -> Result<TreeId, HostError> {
    TreeId::from_bytes(bytes).ok_or(HostError::ObjectName)
}

fn commit_id(bytes: &[u8]) -> Result<CommitId, HostError> {
    CommitId::from_bytes(bytes).ok_or(HostError::ObjectName)
}

fn file<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> HostError + 'a {
    move |source| HostError::File { doing, path: path.display().to_string(), source }
}

/// Returns an error with its causes, in one line.
pub fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
