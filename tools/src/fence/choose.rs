//! Chooses a fence by trying it.
//!
//! Relies on a trial on this machine: what is installed may still not work, as where user namespaces are switched off.
//! Never: takes a lesser fence without saying why (FENCE-2).

use super::bubblewrap::Bubblewrap;
use super::landlock::Landlock;
use super::{Bounds, Fence, Fenced, Fencing, Open};
use crate::error::{Error, file};
use crate::process::{CancelToken, Command, Guard, Status, minimal_environment, run};
use std::ffi::OsStr;
use std::fs;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::thread;

/// What is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// The best fence that works here; none where none does.
    #[default]
    Auto,
    /// The best fence that works here; an error where none does.
    Required,
    /// None.
    Off,
}

/// A fence that works here.
#[derive(Debug, Clone)]
pub struct Choice {
    /// The fence.
    pub fence: Arc<dyn Fence>,
    /// What a trial measured; empty without a fence.
    pub enforced: Vec<String>,
    /// Why it is not a better one; absent where there is none, or where it was asked for.
    pub why: Option<String>,
}

const TRIAL_MS: u64 = 20_000;
/// The hidden subcommand that does nothing, by which a fence is tried.
pub(crate) const TRIAL_ARGUMENT: &str = "__trial";

/// Chooses a fence. `stage` is our own binary, `folder` one in which the trials make and remove theirs.
///
/// # Errors
/// [`Error::FenceMissing`] where one is required and none works.
pub fn choose(mode: Mode, stage: &Guard, search_path: &OsStr, folder: &Path) -> Result<Choice, Error> {
    match mode {
        Mode::Off => Ok(Choice { fence: Arc::new(Open), enforced: Vec::new(), why: None }),
        Mode::Auto => Ok(best(stage, search_path, folder).unwrap_or_else(none)),
        Mode::Required => best(stage, search_path, folder).map_err(|why| Error::FenceMissing { why }),
    }
}

/// Returns the best fence that works here, or why none does.
fn best(stage: &Guard, search_path: &OsStr, folder: &Path) -> Result<Choice, String> {
    let mut refused = Vec::new();
    for (fence, needed) in candidates(search_path, &mut refused) {
        let name = fence.name();
        match trial(&fence, stage, search_path, folder) {
            Ok(Ok(fenced)) => match needed.iter().find(|word| !fenced.enforced.iter().any(|found| found == *word)) {
                None => {
                    let why = (!refused.is_empty()).then(|| refused.join("; "));
                    return Ok(Choice { fence, enforced: fenced.enforced, why });
                }
                Some(word) => refused.push(format!("{name} does not enforce `{word}` here")),
            },
            Ok(Err(why)) => refused.push(format!("{name} does not work here: {why}")),
            Err(error) => refused.push(format!("{name} cannot be tried: {error}")),
        }
    }
    Err(refused.join("; "))
}

/// A fence that is being chosen, by a thread of its own, until somebody needs it.
pub struct Choosing(LazyLock<Choice, Box<dyn FnOnce() -> Choice + Send>>);

impl Choosing {
    /// Begins what [`choose`] does. Where a fence is required this waits for it.
    ///
    /// # Errors
    /// Those of [`choose`].
    pub fn begin(mode: Mode, stage: &Guard, search_path: &OsStr, folder: &Path) -> Result<Self, Error> {
        if mode != Mode::Auto {
            let choice = choose(mode, stage, search_path, folder)?;
            return Ok(Self(LazyLock::new(Box::new(|| choice))));
        }
        let (stage, search_path, folder) = (stage.clone(), search_path.to_owned(), folder.to_owned());
        let trial = thread::spawn(move || best(&stage, &search_path, &folder).unwrap_or_else(none));
        let join = || trial.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(Self(LazyLock::new(Box::new(join))))
    }

    /// Returns what was chosen, once it is.
    pub fn choice(&self) -> &Choice {
        &self.0
    }
}

impl Drop for Choosing {
    /// A trial that has ended leaves nothing behind.
    fn drop(&mut self) {
        self.choice();
    }
}

/// Returns that there is no fence, and why.
fn none(why: String) -> Choice {
    Choice { fence: Arc::new(Open), enforced: Vec::new(), why: Some(why) }
}

type Candidate = (Arc<dyn Fence>, &'static [&'static str]);

/// Returns the fences that could be tried, the better first, each with what it must enforce to be one.
fn candidates(search_path: &OsStr, refused: &mut Vec<String>) -> Vec<Candidate> {
    if !cfg!(target_os = "linux") {
        refused.push("there are fences for Linux only".to_owned());
        return Vec::new();
    }
    let mut all: Vec<Candidate> = Vec::new();
    let helper = std::env::split_paths(search_path).map(|folder| folder.join("bwrap")).find(|path| path.is_file());
    match helper.filter(|path| path.is_absolute()) {
        Some(program) => all.push((
            Arc::new(Bubblewrap { program }),
            &["write", "read", "network", "sockets", "processes", "signals", "privileges", "syscalls"],
        )),
        None => refused.push("bubblewrap is not installed (install the package bubblewrap)".to_owned()),
    }
    all.push((Arc::new(Landlock), &["write", "read", "privileges", "syscalls"]));
    all
}

/// Runs our own binary in a fence, without a network, where it does nothing; what went wrong is the inner error. Nobody
/// else's program is needed for that.
fn trial(
    fence: &Arc<dyn Fence>,
    stage: &Guard,
    search_path: &OsStr,
    folder: &Path,
) -> Result<Result<Fenced, String>, Error> {
    let Guard::Path(ours) = stage else { return Ok(Err("there is no binary of ours to be its stage".to_owned())) };
    let place = tempfile::tempdir_in(folder).map_err(file("make a folder in", folder))?;
    let (work, canary) = (place.path().join("work"), place.path().join("canary"));
    fs::create_dir(&work).map_err(file("create", &work))?;
    fs::write(&canary, "canary\n").map_err(file("write", &canary))?;
    let mut command = Command::new(
        [ours.as_os_str(), OsStr::new(TRIAL_ARGUMENT)],
        &work,
        minimal_environment(search_path, &work, &work),
    );
    command.timeout_ms = TRIAL_MS;
    command.guard = stage.clone();
    let bounds = Bounds { write: vec![work], canary, ..Bounds::default() };
    command.fence = Some(Fencing { fence: fence.clone(), bounds });
    let exit = match run(&command, &CancelToken::new()?) {
        Ok(exit) => exit,
        Err(Error::Fence { why, .. }) => return Ok(Err(why)),
        Err(error) => return Ok(Err(error.to_string())),
    };
    Ok(match (exit.status, exit.fence) {
        (Status::Exited(0), Some(fenced)) => Ok(fenced),
        (status, _) => Err(format!("a program that does nothing ended in it with {status}")),
    })
}
