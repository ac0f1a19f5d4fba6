//! `loom restore FILE`: a store from a backup. Only verified history, never over a store that is there.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project::FOLDER;
use loom_core::id::hex;
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Makes a store from a backup in this folder, or the one that --dir names.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file that `loom backup` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize)]
struct Document {
    loom: &'static str,
    folder: String,
    events: u64,
    root: String,
}

/// Answers `loom restore`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let folder = global.dir.as_deref().unwrap_or(Path::new(".")).join(FOLDER);
    let restored = loom_store::restore(&arguments.file, &folder)?;
    let root = hex(&restored.root);
    if output.json {
        let folder = folder.to_string_lossy().into_owned();
        output.document(&Document { loom: "restore/1", folder, events: restored.events, root })?;
    } else {
        writeln!(output.out, "{} events in {}, tree root {root}", restored.events, folder.display())?;
    }
    Ok(Exit::Ok)
}
