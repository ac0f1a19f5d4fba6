//! `loom gc`: blob files that no commit names. Shows them; removes them only when told to.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, Output, note};
use crate::project;
use crate::text::{bytes, run8};
use loom_store::{RedbStore, RunState, Store};
use serde::Serialize;
use std::io::Write;

/// Shows blob files that no commit names: what crashes leave behind.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Removes them.
    #[arg(long)]
    delete: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    deleted: bool,
    bytes: u64,
    files: Vec<String>,
}

/// Answers `loom gc`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    // The store is held, so that nobody writes a file for a commit to come.
    let store = RedbStore::open(&project::find(global.dir.as_deref())?)?;
    // The opening has erased what redactions name; what kept it from that is told here (ERASE-2).
    store.erase()?;
    let garbage = if arguments.delete { store.collect()? } else { store.garbage()? };
    let files: Vec<String> = garbage.files.iter().map(|file| file.to_string_lossy().into_owned()).collect();
    if output.json {
        output.document(&Document { loom: "gc/1", deleted: arguments.delete, bytes: garbage.bytes, files })?;
    } else {
        for file in &files {
            writeln!(output.out, "{}", crate::text::clean(file))?;
        }
        let (count, size) = (files.len(), bytes(garbage.bytes));
        let done = if arguments.delete { "removed" } else { "could be removed; --delete removes them" };
        writeln!(output.out, "{FAINT}{count} files, {size} {done}{FAINT:#}")?;
    }
    tell_left_under_way(&store, global)?;
    Ok(Exit::Ok)
}

/// Says which runs wait to be driven on: whoever holds the store for writing knows that nobody drives them.
fn tell_left_under_way(store: &RedbStore, global: &Global) -> Result<(), CliError> {
    let open = store.runs(usize::MAX)?.into_iter().filter(|run| run.state == RunState::Open);
    let runs: Vec<String> = open.map(|run| run8(&run.stream)).collect();
    if !runs.is_empty() && !global.quiet {
        note(&format!("nobody drives run {}: `loom resume` drives on what is under way", runs.join(", ")));
    }
    Ok(())
}
