//! Runs one child process to its end, whatever it does.
//!
//! Relies on: process groups, `poll`, and (for children that leave their group) the guard in `guard.rs`.
//! Never: a shell, an inherited environment, unbounded output, a wait without end, an unreaped child.
//!
//! ```text
//! start -> watch --exited----------------------------> sweep group (SIGKILL) -> reap -> drain -> Exit
//!             \--out of time, silent, cancelled -> ask (SIGTERM) --exited or grace over--^
//! ```
//!
//! The leader is held as a zombie until its group has been swept, so a group id is never somebody else's by then.
//! After the sweep the pipes are read until they close or `DRAIN_MS` pass: a grandchild that left the group and still
//! holds one cannot hold us.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io::{self, PipeReader, PipeWriter};
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::error::{Error, system};
use crate::fence::{Fenced, Fencing, Inside, Outside, Watch, remove_groups};
use crate::guard::GUARD_ARGUMENT;
use crate::streams::{Feed, Report, Stream};

/// How long a closed-down group's pipes are read on for.
const DRAIN_MS: u64 = 250;
/// How much longer than the grace a guard gets to reap what it guards.
const GUARD_SLACK_MS: u64 = 2_000;

/// The variables of a child, all of them.
pub type Environment = BTreeMap<OsString, OsString>;

/// What to run and within which limits.
#[derive(Debug, Clone)]
pub struct Command {
    /// Program and arguments. A program without `/` is looked for on the `PATH` of `environment`.
    pub argv: Vec<OsString>,
    /// Working folder.
    pub cwd: PathBuf,
    /// Exactly these variables, nothing inherited.
    pub environment: Environment,
    /// Bytes for standard input, which is closed after them.
    pub stdin: Vec<u8>,
    /// Wall time until the child is asked to stop.
    pub timeout_ms: u64,
    /// Time without a byte of output until the child is asked to stop; absent, it may be silent as long as it likes.
    pub idle_ms: Option<u64>,
    /// Time between asking (SIGTERM) and killing (SIGKILL).
    pub grace_ms: u64,
    /// Bytes kept of each output stream, half from its start and half from its end.
    pub output_max_bytes: usize,
    /// Who watches over descendants that leave the process group.
    pub guard: Guard,
    /// What keeps it inside its bounds; absent, nothing does and nothing is said of it. Needs a guard, whose binary is its
    /// stage too.
    pub fence: Option<Fencing>,
}

impl Command {
    /// Makes a command with no input, ten minutes of time to speak or be silent in, one second of grace, 1 MiB of each
    /// stream and no guard.
    pub fn new(argv: impl IntoIterator<Item = impl Into<OsString>>, cwd: &Path, environment: Environment) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            cwd: cwd.to_owned(),
            environment,
            stdin: Vec::new(),
            timeout_ms: 600_000,
            idle_ms: None,
            grace_ms: 1_000,
            output_max_bytes: 1024 * 1024,
            guard: Guard::None,
            fence: None,
        }
    }
}

/// Who watches over a child's descendants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The process group only: a descendant that calls `setsid` survives, and so does the child if we are killed.
    None,
    /// An absolute path of an executable that answers the hidden subcommand `__guard` with [`crate::hidden_main`]: all descendants die with
    /// the child, and the child dies with us.
    Path(PathBuf),
}

/// Returns a child's environment with nothing of ours in it but a search path.
///
/// `home` and `temporary` should be folders made for this child.
pub fn minimal_environment(search_path: &OsStr, home: &Path, temporary: &Path) -> Environment {
    [
        ("PATH", search_path),
        ("HOME", home.as_os_str()),
        ("TMPDIR", temporary.as_os_str()),
        ("LANG", OsStr::new("C.UTF-8")),
    ]
    .map(|(name, value)| (name.into(), value.to_owned()))
    .into()
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that we did not send.
    Signalled(i32),
    /// Stopped because its time was over.
    TimedOut,
    /// Stopped because it had printed nothing for as long as it may.
    Idle,
    /// Stopped because the token was cancelled.
    Cancelled,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exit code {code}"),
            Self::Signalled(signal) => write!(f, "signal {signal}"),
            Self::TimedOut => write!(f, "a time-out"),
            Self::Idle => write!(f, "a time-out after silence"),
            Self::Cancelled => write!(f, "cancellation"),
        }
    }
}

impl From<ExitStatus> for Status {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, signal) => Self::Signalled(signal.unwrap_or(0)),
        }
    }
}

/// What a child did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub status: Status,
    /// Its standard output.
    pub stdout: Capture,
    /// Its standard error.
    pub stderr: Capture,
    /// Wall time from start to the last byte read.
    pub duration_ms: u64,
    /// What its fence enforced, where it had one.
    pub fence: Option<Fenced>,
}

/// The kept part of an output stream: `head`, then `dropped_bytes` that are gone, then `tail`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capture {
    /// The stream's first bytes.
    pub head: Vec<u8>,
    /// Bytes lost between head and tail.
    pub dropped_bytes: u64,
    /// The stream's last bytes.
    pub tail: Vec<u8>,
}

impl Capture {
    /// Returns the stream with a line in place of what was dropped.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.clone();
        if self.dropped_bytes > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes dropped]\n", self.dropped_bytes).as_bytes());
        }
        bytes.extend_from_slice(&self.tail);
        bytes
    }
}

/// Stops children from another thread. Clones are the same token.
///
/// It is a pipe whose writing end is closed by cancelling: every `poll` on the reading end wakes at once and for ever.
#[derive(Debug, Clone)]
pub struct CancelToken {
    wake: Arc<PipeReader>,
    armed: Arc<Mutex<Option<PipeWriter>>>,
}

impl CancelToken {
    /// Makes a token that is not cancelled.
    ///
    /// # Errors
    /// [`Error::System`] when no file descriptor is left.
    pub fn new() -> Result<Self, Error> {
        let (wake, armed) = io::pipe().map_err(system("open a pipe"))?;
        Ok(Self { wake: Arc::new(wake), armed: Arc::new(Mutex::new(Some(armed))) })
    }

    /// Stops what runs under this token, now and later.
    pub fn cancel(&self) {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Tells whether [`CancelToken::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.armed.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }
}

/// Runs a child to its end and returns what it did. A failing child is a result, not an error.
///
/// # Errors
/// [`Error::ProgramMissing`], [`Error::Start`], [`Error::Fence`] where the fence did not come about, or [`Error::System`];
/// in the last two cases the child's group is dead too.
pub fn run(command: &Command, cancel: &CancelToken) -> Result<Exit, Error> {
    run_heard(command, cancel, &mut |_| {})
}

/// As [`run`], and hands each piece of standard output to `heard` as it comes, whether or not it is kept.
///
/// The child waits while `heard` works.
pub fn run_heard(command: &Command, cancel: &CancelToken, heard: &mut dyn FnMut(&[u8])) -> Result<Exit, Error> {
    let started = Instant::now();
    let mut running = Running::start(command, heard)?;
    let deadline = started.checked_add(Duration::from_millis(command.timeout_ms));
    let stopped = match running.watch(deadline, command.idle_ms, Some(cancel))? {
        Woke::Exited => None,
        Woke::Silence => Some(Status::Idle),
        Woke::Cancelled => Some(Status::Cancelled),
        Woke::Deadline => Some(Status::TimedOut),
    };
    if stopped.is_some() {
        running.stop(command)?;
    }
    let status = running.sweep_and_reap()?;
    running.drain()?;
    let fence = running.fenced(stopped.is_some())?;
    Ok(Exit {
        status: stopped.unwrap_or(status),
        stdout: running.stdout.kept.finish(),
        stderr: running.stderr.kept.finish(),
        duration_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        fence,
    })
}

enum Woke {
    Exited,
    Cancelled,
    Silence,
    Deadline,
}

struct Running<'a> {
    child: Child,
    group: Pid,
    guarded: bool,
    /// Hangs up when the child has become a zombie.
    exited: PipeReader,
    stdin: Option<Feed>,
    /// What `stdin` writes to and the guard answers on, where there is a fence.
    lifeline: Option<UnixStream>,
    stdout: Stream<ChildStdout>,
    stderr: Stream<ChildStderr>,
    /// Who listens to standard output.
    heard_by: &'a mut dyn FnMut(&[u8]),
    /// When it last printed something.
    heard: Instant,
    reaped: bool,
    /// The fence's name.
    fence: Option<&'static str>,
    /// Whether the fence confines, and so reports.
    confines: bool,
    report: Report,
    /// Held until the fence has reported.
    outside: Option<Outside>,
}

impl<'a> Running<'a> {
    fn start(command: &Command, heard_by: &'a mut dyn FnMut(&[u8])) -> Result<Self, Error> {
        let name = command.argv.first().map_or(OsStr::new(""), OsString::as_os_str);
        let program = resolve(name, command)
            .ok_or_else(|| Error::ProgramMissing { program: name.to_string_lossy().into_owned() })?;
        let confines = command.fence.as_ref().filter(|fencing| fencing.fence.watch() != Watch::Plain);
        let outside = confines.map(|fencing| Outside::open(&fencing.bounds.canary));
        let mut builder = prepare(command, name, program, outside.as_ref())?;
        let guarded = command.guard != Guard::None;
        let piped = guarded || !command.stdin.is_empty();
        // What a fence reports comes back where the input goes in.
        let lifeline = outside.is_some().then(UnixStream::pair).transpose().map_err(system("open a socket"))?;
        builder
            .current_dir(&command.cwd)
            .env_clear()
            .envs(&command.environment)
            .process_group(0)
            .stdin(if piped && lifeline.is_none() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let ours = match lifeline {
            Some((ours, theirs)) => {
                builder.stdin(OwnedFd::from(theirs));
                Some((ours.try_clone().map_err(system("open a socket"))?, ours))
            }
            None => None,
        };
        let (exited, zombie) = io::pipe().map_err(system("open a pipe"))?;
        let mut child = builder.spawn().map_err(|source| {
            let program = builder.get_program().to_string_lossy().into_owned();
            Error::Start { program, source }
        })?;
        let group = Pid::from_child(&child);
        // The builder holds the other end, too: without it gone the guard's end would not be seen.
        drop(builder);
        let (stdin, lifeline) = match ours {
            Some((ours, lifeline)) => (Some(Feed::new(ours, &command.stdin, guarded)), Some(lifeline)),
            None => (child.stdin.take().map(|pipe| Feed::new(pipe, &command.stdin, guarded)), None),
        };
        let stdout = Stream::new(child.stdout.take(), command.output_max_bytes);
        let stderr = Stream::new(child.stderr.take(), command.output_max_bytes);
        // From here on dropping `running` kills and reaps.
        let fence = command.fence.as_ref().map(|fencing| fencing.fence.name());
        let running = Self {
            child,
            group,
            guarded,
            exited,
            stdin,
            lifeline,
            stdout,
            stderr,
            heard_by,
            heard: Instant::now(),
            reaped: false,
            fence,
            confines: outside.is_some(),
            report: Report::default(),
            outside,
        };
        for fd in [
            running.stdin.as_ref().map(|feed| feed.pipe.as_fd()),
            running.stdout.pipe.as_ref().map(AsFd::as_fd),
            running.stderr.pipe.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            rustix::io::ioctl_fionbio(fd, true).map_err(system("set a pipe non-blocking"))?;
        }
        thread::Builder::new()
            .name("loom-wait".into())
            .spawn(move || {
                let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
                while let Err(rustix::io::Errno::INTR) = waitid(WaitId::Pid(group), options) {}
                drop(zombie);
            })
            .map_err(system("start a thread"))?;
        Ok(running)
    }

    /// Moves bytes until the child exits, the token is cancelled, the time is over or the child silent for too long.
    fn watch(
        &mut self,
        deadline: Option<Instant>,
        idle_ms: Option<u64>,
        cancel: Option<&CancelToken>,
    ) -> Result<Woke, Error> {
        loop {
            let silent_at = idle_ms.and_then(|idle_ms| self.heard.checked_add(Duration::from_millis(idle_ms)));
            let ready = self.pump(deadline.into_iter().chain(silent_at).min(), cancel)?;
            if ready.exited {
                return Ok(Woke::Exited);
            }
            if ready.cancelled {
                return Ok(Woke::Cancelled);
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                return Ok(Woke::Deadline);
            }
            // What was read just now moves the end of the silence.
            if silent_at.is_some_and(|silent_at| !ready.spoke && Instant::now() >= silent_at) {
                return Ok(Woke::Silence);
            }
        }
    }

    fn stop(&mut self, command: &Command) -> Result<(), Error> {
        let grace_ms = if self.guarded {
            // The guard takes a closed input for its order to ask, wait, kill and reap. What it tells is still heard.
            match (&self.lifeline, &mut self.stdin) {
                (Some(lifeline), Some(feed)) => {
                    feed.give_up();
                    // It may have ended by itself.
                    let _ended = lifeline.shutdown(Shutdown::Write);
                }
                _ => self.stdin = None,
            }
            command.grace_ms.saturating_add(GUARD_SLACK_MS)
        } else {
            self.signal(Signal::TERM);
            command.grace_ms
        };
        let deadline = Instant::now().checked_add(Duration::from_millis(grace_ms));
        if let Woke::Deadline = self.watch(deadline, None, None)? {
            self.signal(Signal::KILL);
            self.watch(None, None, None)?;
        }
        Ok(())
    }

    fn sweep_and_reap(&mut self) -> Result<Status, Error> {
        self.signal(Signal::KILL);
        let status = self.child.wait().map_err(system("wait for a child"))?;
        self.reaped = true;
        if self.confines {
            remove_groups(self.child.id());
        }
        self.receive();
        self.stdin = None;
        self.lifeline = None;
        Ok(status.into())
    }

    /// Takes what the guard has told of the fence so far.
    fn receive(&mut self) {
        if let (true, Some(feed)) = (self.confines, &mut self.stdin) {
            self.report.read(feed);
        }
        if self.report.is_whole() {
            self.outside = None;
        }
    }

    fn fenced(&mut self, was_stopped: bool) -> Result<Option<Fenced>, Error> {
        let Some(name) = self.fence else { return Ok(None) };
        let why = match self.report.bytes.as_slice() {
            // Without a fence nothing reports.
            [] if was_stopped || !self.confines => return Ok(Some(Fenced { name, enforced: Vec::new() })),
            [] => {
                let said = self.stderr.kept.finish().to_bytes();
                format!("it ended before the program began: {}", String::from_utf8_lossy(&said).trim())
            }
            report => match Fenced::read(name, report) {
                Ok(fenced) => return Ok(Some(fenced)),
                Err(why) => why,
            },
        };
        Err(Error::Fence { name, why })
    }

    fn drain(&mut self) -> Result<(), Error> {
        let deadline = Instant::now() + Duration::from_millis(DRAIN_MS);
        while (self.stdout.pipe.is_some() || self.stderr.pipe.is_some()) && Instant::now() < deadline {
            self.pump(Some(deadline), None)?;
        }
        Ok(())
    }

    /// Waits until something is ready and moves at most one buffer of each stream.
    fn pump(&mut self, deadline: Option<Instant>, cancel: Option<&CancelToken>) -> Result<Ready, Error> {
        let stdin = self.stdin.as_ref().filter(|feed| !feed.is_done()).map(|feed| feed.pipe.as_fd());
        let report = self.stdin.as_ref().filter(|_| self.outside.is_some()).map(|feed| feed.pipe.as_fd());
        let sources: [(Option<BorrowedFd<'_>>, PollFlags); 6] = [
            ((!self.reaped).then(|| self.exited.as_fd()), PollFlags::IN),
            (cancel.map(|token| token.wake.as_fd()), PollFlags::IN),
            (stdin, PollFlags::OUT),
            (self.stdout.pipe.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (self.stderr.pipe.as_ref().map(AsFd::as_fd), PollFlags::IN),
            (report, PollFlags::IN),
        ];
        let mut fds = Vec::with_capacity(sources.len());
        let mut places = Vec::with_capacity(sources.len());
        for (place, (fd, flags)) in sources.into_iter().enumerate() {
            if let Some(fd) = fd {
                fds.push(PollFd::from_borrowed_fd(fd, flags));
                places.push(place);
            }
        }
        let timeout = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            Timespec { tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX), tv_nsec: left.subsec_nanos().into() }
        });
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(system("poll")(errno)),
        }
        let mut ready = [false; 6];
        for (fd, place) in fds.iter().zip(places) {
            ready[place] = !fd.revents().is_empty();
        }
        let [exited, cancelled, stdin, stdout, stderr, report] = ready;
        if report {
            self.receive();
        }
        if stdin && self.stdin.as_mut().is_some_and(|feed| !feed.write()) {
            self.receive();
            self.stdin = None;
        }
        if stdout {
            self.stdout.read(&mut *self.heard_by);
        }
        if stderr {
            self.stderr.read(&mut |_| {});
        }
        let spoke = stdout || stderr;
        if spoke {
            self.heard = Instant::now();
        }
        Ok(Ready { exited, cancelled, spoke })
    }

    fn signal(&self, signal: Signal) {
        // The group may be gone already; there is nothing else to do about a refusal.
        let _ = kill_process_group(self.group, signal);
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if !self.reaped {
            self.signal(Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

struct Ready {
    exited: bool,
    cancelled: bool,
    spoke: bool,
}

/// Finds the program as `execvp` would, but on the child's search path. Done here so that a missing program is the same
/// error with and without a guard.
fn resolve(name: &OsStr, command: &Command) -> Option<PathBuf> {
    find_program(name, command.environment.get(OsStr::new("PATH")).map(OsString::as_os_str), &command.cwd)
}

/// Returns where a program is that is started in the folder `cwd` with this search path; a name with a slash is a path.
pub fn find_program(name: &OsStr, search_path: Option<&OsStr>, cwd: &Path) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    let is_program = |path: &Path| path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok();
    if name.as_bytes().contains(&b'/') {
        return Some(cwd.join(name)).filter(|path| is_program(path));
    }
    std::env::split_paths(search_path?).map(|folder| cwd.join(folder).join(name)).find(|path| is_program(path))
}

/// Prepares the command line: the program itself, below a guard, or below a guard and inside a fence.
fn prepare(
    command: &Command,
    name: &OsStr,
    program: PathBuf,
    outside: Option<&Outside>,
) -> Result<std::process::Command, Error> {
    let Guard::Path(guard) = &command.guard else {
        if let (Some(fencing), Some(_)) = (&command.fence, outside) {
            let why = "there is no guard, whose binary would be its stage".to_owned();
            return Err(Error::Fence { name: fencing.fence.name(), why });
        }
        let mut builder = std::process::Command::new(program);
        builder.arg0(name).args(&command.argv[1..]);
        return Ok(builder);
    };
    let mut builder = std::process::Command::new(guard);
    builder.arg(GUARD_ARGUMENT).arg(command.grace_ms.to_string());
    match (&command.fence, outside) {
        (Some(fencing), Some(outside)) => {
            let inside = Inside {
                bounds: &fencing.bounds,
                cwd: &command.cwd,
                program: &program,
                arguments: &command.argv[1..],
                outside: outside.arguments(),
            };
            builder.arg(fencing.fence.watch().word());
            let limits = &fencing.bounds.limits;
            for limit in [limits.memory_max_bytes, limits.processes_max] {
                builder.arg(limit.map_or("-".to_owned(), |limit| limit.to_string()));
            }
            builder.args(fencing.fence.command_line(guard, &inside));
        }
        _ => {
            builder.arg(Watch::Plain.word()).arg(program).args(&command.argv[1..]);
        }
    }
    Ok(builder)
}
