//! `loom reset`: abandons what is stuck: cancels every run that has not ended, removes what lies around.
//!
//! The log stays as it is and gets the cancellations. What was accepted stays, and so does every branch.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, FAINT, GOOD, ID, Output, note};
use crate::project::{self, ask_holder};
use crate::text::{clean, run8, shown};
use loom_core::id::{StreamId, hex};
use loom_host::HostError;
use loom_host::environment::Environment;
use loom_host::request::Ask;
use loom_host::reset::{Done, Leftovers, clear, leftovers, reset};
use loom_host::session::{local_actor, request_id};
use loom_server::{AskError, RemoteStore};
use loom_store::{RunState, Store, StoreError};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// Cancels every run that has not ended, and removes workspaces and scratch that nobody needs.
///
/// The log stays: it gets the cancellations. Branches stay, too. Where another process drives, it cancels the runs and
/// removes their workspaces itself.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Shows what would be done, and does nothing.
    #[arg(long)]
    dry_run: bool,
    /// Does it without asking.
    #[arg(long, conflicts_with = "dry_run")]
    yes: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// Whether it was done, or would be.
    done: bool,
    cancelled: Vec<String>,
    /// Runs that could not be cancelled, and why.
    kept: Vec<KeptJson>,
    /// Folders of workspaces and of scratch.
    removed: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct KeptJson {
    run: String,
    why: String,
}

/// How long a driver whose runs are cancelled may take to end.
const REOPEN: Duration = Duration::from_secs(5);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// Why the runs end, as the log says it.
const WHY: &str = "loom reset";

/// Answers `loom reset`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    if let Some(spawn) = environment.descends.filter(|_| !arguments.dry_run) {
        return Err(CliError::OfSpawn { spawn, what: "a reset" });
    }
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let mut open: Vec<StreamId> = store
        .runs(usize::MAX)?
        .into_iter()
        .filter(|run| !matches!(run.state, RunState::Closed(_)))
        .map(|run| run.stream)
        .collect();
    open.sort();
    let ended: Vec<StreamId> = ended(store)?;
    // Workspaces of runs that go on are in use; a reset ends those runs.
    let mut found = leftovers(&environment, store, &[])?;
    if opened.is_driven {
        // What who drives needs, or makes just now, is theirs to remove.
        found.scratch.clear();
        found.workspaces.retain(|path| is_of(path, &ended) || is_of(path, &open));
    }
    let (folder, is_driven) = (opened.folder.clone(), opened.is_driven);
    // Another store handle in this process would keep the reset from taking it.
    drop(opened);
    if arguments.dry_run {
        let cancelled = open.iter().map(|run| hex(&run.0)).collect();
        return told(false, cancelled, Vec::new(), &found, output);
    }
    if !arguments.yes && !confirmed(&open, &found, global)? {
        return Err(CliError::NotConfirmed);
    }
    let mut done = Done::default();
    let is_done = match ask_holder(&folder).filter(|_| is_driven) {
        Some(holder) => through(&holder, &open, &ended, &environment, &mut done)?,
        None => false,
    };
    if !is_done {
        in_hand(&environment, &folder, &mut done)?;
    }
    let cancelled = done.cancelled.iter().map(|run| hex(&run.0)).collect();
    let kept: Vec<KeptJson> = done.kept.into_iter().map(|(run, why)| KeptJson { run: hex(&run.0), why }).collect();
    told(true, cancelled, kept, &done.removed, output)
}

/// Whether a folder is the workspace of one of these runs.
fn is_of(path: &Path, runs: &[StreamId]) -> bool {
    path.file_name().is_some_and(|name| runs.iter().any(|run| name == hex(&run.0).as_str()))
}

/// Returns the runs that have ended.
fn ended(store: &dyn Store) -> Result<Vec<StreamId>, StoreError> {
    let runs = store.runs(usize::MAX)?.into_iter();
    Ok(runs.filter(|run| matches!(run.state, RunState::Closed(_))).map(|run| run.stream).collect())
}

/// Has runs cancelled by who drives them, and removes what those left that had `ended` before. Returns false where that
/// process has gone over it, as one does whose only run is cancelled.
fn through(
    holder: &RemoteStore,
    open: &[StreamId],
    ended: &[StreamId],
    environment: &Environment,
    done: &mut Done,
) -> Result<bool, CliError> {
    let mut asked = Vec::new();
    for stream in open {
        let ask = Ask::Cancel { reason: Some(WHY.to_string()) };
        match holder.ask(*stream, &request_id(), &ask) {
            Ok(_) => asked.push(*stream),
            Err(AskError::Refused(why)) => done.kept.push((*stream, why)),
            // Whether it has gone is told by the next question.
            Err(AskError::Unavailable(why)) => done.kept.push((*stream, why)),
        }
    }
    let Ok(now) = self::ended(holder) else {
        done.kept.clear();
        done.cancelled.append(&mut asked);
        return Ok(false);
    };
    for stream in asked {
        match now.contains(&stream) {
            true => done.cancelled.push(stream),
            false => done.kept.push((stream, "it has not ended".to_string())),
        }
    }
    let Ok(removed) = clear(environment, holder, ended) else { return Ok(false) };
    done.removed = removed;
    Ok(true)
}

/// Does the rest with the store in this hand, which who drove may be about to let go.
fn in_hand(environment: &Environment, folder: &Path, done: &mut Done) -> Result<(), CliError> {
    let patience = Instant::now() + if done.cancelled.is_empty() { Duration::ZERO } else { REOPEN };
    let more = loop {
        match reset(environment, folder, &local_actor(environment), WHY) {
            Err(HostError::Store(StoreError::Held { .. })) if Instant::now() < patience => thread::sleep(LOOK),
            more => break more.map_err(|error| CliError::of_host(error, folder))?,
        }
    };
    done.cancelled.extend(more.cancelled);
    (done.kept, done.removed) = (more.kept, more.removed);
    Ok(())
}

/// Asks at the terminal; nobody there is no consent.
fn confirmed(open: &[StreamId], found: &Leftovers, global: &Global) -> Result<bool, CliError> {
    if global.no_input || !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let runs: Vec<String> = open.iter().map(run8).collect();
    let runs = if runs.is_empty() { "no run".to_string() } else { format!("run {}", runs.join(", ")) };
    let count = found.workspaces.len() + found.scratch.len();
    note(&format!("this cancels {runs} and removes {count} folders; type `reset` to do it"));
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim() == "reset")
}

fn told(
    done: bool,
    cancelled: Vec<String>,
    kept: Vec<KeptJson>,
    removed: &Leftovers,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let exit = if kept.is_empty() { Exit::Ok } else { Exit::Failed };
    let folders: Vec<&PathBuf> = removed.workspaces.iter().chain(&removed.scratch).collect();
    if output.json {
        let removed = folders.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        output.document(&Document { loom: "reset/1", done, cancelled, kept, removed })?;
        return Ok(exit);
    }
    let (cancels, removes) = if done { ("cancelled", "removed") } else { ("would be cancelled", "would be removed") };
    for run in &cancelled {
        writeln!(output.out, "{ID}{}{ID:#} {cancels}", &run[..8])?;
    }
    for run in &kept {
        writeln!(output.out, "{ID}{}{ID:#} {BAD}not cancelled{BAD:#}: {}", &run.run[..8], clean(&run.why))?;
    }
    for folder in &folders {
        writeln!(output.out, "{} {FAINT}{removes}{FAINT:#}", shown(folder))?;
    }
    if cancelled.is_empty() && kept.is_empty() && folders.is_empty() {
        writeln!(output.out, "{GOOD}nothing is stuck{GOOD:#}")?;
    }
    Ok(exit)
}
