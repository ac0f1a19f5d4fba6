//! Plays one turn against a real folder: the edits are made, the misbehaviour is real.
//!
//! Relies on the caller to fence and watch it like any other model. Edits stay in the folder: a path that leads
//! out of it, or through a link, fails the turn.

use crate::provider::{Ended, Hands, Live, Program, SpawnReport};
use crate::script::{Edit, Trouble, Turn};
use loom_core::word::SpawnOutcome;
use std::fs;
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How often a turn that hangs looks whether it may end.
const LOOK_MS: u64 = 5;
/// How long a process that is left behind lives, in seconds.
const CHILD_SECONDS: &str = "600";

/// What came of a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Played {
    /// How it ended.
    pub outcome: SpawnOutcome,
    /// The raw output.
    pub output: Vec<u8>,
    /// Tokens read.
    pub tokens_in: Option<u64>,
    /// Tokens written.
    pub tokens_out: Option<u64>,
    /// Cost, in micro-units.
    pub money_micro: Option<u64>,
    /// For `limited`: how long to wait, in milliseconds.
    pub wake_ms: Option<u64>,
    /// What went wrong, in words.
    pub detail: Option<String>,
}

impl From<Played> for SpawnReport {
    fn from(played: Played) -> Self {
        SpawnReport {
            outcome: played.outcome,
            output: played.output,
            tokens_in: played.tokens_in,
            tokens_out: played.tokens_out,
            money_micro: played.money_micro,
            model: None,
            session: None,
            wake_ms: played.wake_ms,
            detail: played.detail,
            provider: None,
            chosen: None,
            requests: None,
            transcript: Vec::new(),
        }
    }
}

/// Plays a turn of a model of this name in `work_dir`, for at most `time_limit_ms`.
pub fn play((turn, model): (&Turn, &str), work_dir: &Path, time_limit_ms: u64, hands: &dyn Hands) -> Played {
    let mut played = Played {
        outcome: SpawnOutcome::Ok,
        output: Vec::new(),
        tokens_in: turn.tokens_in,
        tokens_out: turn.tokens_out,
        money_micro: turn.money_micro,
        wake_ms: None,
        detail: None,
    };
    if turn.trouble.contains(&Trouble::Limited) {
        // Turned away before anything was done.
        let told = "the script says: rate limit".to_string();
        return Played { outcome: SpawnOutcome::Limited, wake_ms: turn.wake_ms, detail: Some(told), ..played };
    }
    match perform((turn, model), work_dir, time_limit_ms, hands, &mut played) {
        Ok(()) => played,
        Err(stop) => {
            let (outcome, detail) = stop.told();
            Played { outcome, detail: Some(detail), ..played }
        }
    }
}

/// Does what the turn says, in order, until something ends it early.
fn perform(
    (turn, model): (&Turn, &str),
    work_dir: &Path,
    time_limit_ms: u64,
    hands: &dyn Hands,
    played: &mut Played,
) -> Result<(), Stop> {
    let started = Instant::now();
    for edit in &turn.edits {
        if hands.is_cancelled() {
            return Err(Stop::Cancelled);
        }
        apply(edit, work_dir)?;
    }
    if !turn.run.is_empty() {
        let program = Program {
            argv: turn.run.clone(),
            stdin: Vec::new(),
            variables: Vec::new(),
            time_limit_ms,
            idle_limit_ms: None,
            door: None,
        };
        let Ended { outcome, output, detail } = hands.run(&program, &mut |piece| tell(turn, model, piece, hands));
        played.output = output;
        if outcome != SpawnOutcome::Ok {
            return Err(Stop::Program(outcome, detail));
        }
    }
    for trouble in &turn.trouble {
        match trouble {
            Trouble::Hang => return Err(hang(started, time_limit_ms, hands)),
            Trouble::Garbage => played.output = garbage(turn.garbage_bytes),
            Trouble::Fail => return Err(Stop::Failed(SpawnOutcome::Failed)),
            Trouble::Break => return Err(Stop::Failed(SpawnOutcome::Broken)),
            // It was turned away before it began.
            Trouble::Limited => {}
            Trouble::DeleteWorkspace => empty(work_dir)?,
            Trouble::SpawnChild => played.detail = Some(format!("child {}", leave_child(work_dir)?)),
            Trouble::IndexFlags => look_away(turn, work_dir)?,
        }
    }
    if !turn.trouble.contains(&Trouble::Garbage) {
        played.output.extend_from_slice(turn.say.as_bytes());
    }
    Ok(())
}

/// Tells the last line of what was printed, as an agent's program does.
fn tell(turn: &Turn, model: &str, piece: &[u8], hands: &dyn Hands) {
    if let Some(line) = String::from_utf8_lossy(piece).lines().rfind(|line| !line.trim().is_empty()) {
        let (tokens_in, tokens_out) = (turn.tokens_in, turn.tokens_out);
        hands.tell(Live { line: line.to_string(), model: Some(model.to_string()), tokens_in, tokens_out });
    }
}

/// Why a turn did not come to its end.
enum Stop {
    Cancelled,
    TimedOut,
    Failed(SpawnOutcome),
    Program(SpawnOutcome, String),
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Stop::Io(error)
    }
}

impl Stop {
    fn told(self) -> (SpawnOutcome, String) {
        match self {
            Stop::Cancelled => (SpawnOutcome::Cancelled, "cancelled".to_string()),
            Stop::TimedOut => (SpawnOutcome::TimedOut, "its time was over".to_string()),
            Stop::Failed(outcome) => (outcome, format!("the script says: {}", outcome.word())),
            Stop::Program(outcome, detail) => (outcome, detail),
            Stop::Io(error) => (SpawnOutcome::Failed, format!("an edit could not be made: {error}")),
        }
    }
}

fn apply(edit: &Edit, root: &Path) -> io::Result<()> {
    if let Some(name) = &edit.write {
        let path = inside(root, name)?;
        make_folder_of(&path)?;
        fs::write(path, &edit.content)?;
    }
    if let Some(name) = &edit.append {
        let path = inside(root, name)?;
        make_folder_of(&path)?;
        fs::OpenOptions::new().create(true).append(true).open(path)?.write_all(edit.content.as_bytes())?;
    }
    if let Some(name) = &edit.delete {
        remove(&inside(root, name)?)?;
    }
    Ok(())
}

/// Returns the path of a name in the folder, if no part of it leads elsewhere.
fn inside(root: &Path, name: &str) -> io::Result<PathBuf> {
    let foreign = || io::Error::new(io::ErrorKind::InvalidInput, format!("`{name}` is not a path in the folder"));
    let mut path = root.to_path_buf();
    for part in Path::new(name).components() {
        let Component::Normal(part) = part else { return Err(foreign()) };
        path.push(part);
        if fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_symlink()) {
            return Err(foreign());
        }
    }
    if path == root { Err(foreign()) } else { Ok(path) }
}

fn make_folder_of(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

fn empty(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        remove(&entry?.path())?;
    }
    Ok(())
}

fn hang(started: Instant, time_limit_ms: u64, hands: &dyn Hands) -> Stop {
    let limit = Duration::from_millis(time_limit_ms);
    loop {
        if hands.is_cancelled() {
            return Stop::Cancelled;
        }
        if started.elapsed() >= limit {
            return Stop::TimedOut;
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

/// Bytes that are neither UTF-8 nor JSON, the same each time.
fn garbage(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|index| if index % 3 == 0 { 0xff } else { (index % 251) as u8 }).collect()
}

fn leave_child(root: &Path) -> io::Result<u32> {
    let child = Command::new("sleep")
        .arg(CHILD_SECONDS)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    Ok(child.id())
}

/// Sets assume-unchanged and skip-worktree on what was edited, and excludes everything that is new.
fn look_away(turn: &Turn, root: &Path) -> io::Result<()> {
    for flag in ["--assume-unchanged", "--skip-worktree"] {
        for edit in &turn.edits {
            let Some(name) = edit.write.as_ref().or(edit.append.as_ref()) else { continue };
            // A file that is not in the index has no flag to set; git says so and nothing is lost.
            Command::new("git")
                .args(["update-index", flag, "--", name])
                .current_dir(root)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()?;
        }
    }
    let git = root.join(".git");
    if git.is_dir() {
        let info = git.join("info");
        fs::create_dir_all(&info)?;
        fs::write(info.join("exclude"), "*\n")?;
    }
    Ok(())
}
