//! `loom backup FILE`: one moment of the store as one file.

use crate::app::Global;
use crate::commands::restore::whole;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project;
use crate::text::shown;
use loom_core::id::hex;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Writes the whole store to a new file, durably.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The file to write; it must not be there yet.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    file: String,
    events: u64,
    root: String,
}

/// Answers `loom backup`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    // What could not be restored is no backup.
    whole(opened.store.as_ref())?;
    let kept = loom_store::backup(opened.store.as_ref(), &arguments.file)?;
    let file = arguments.file.to_string_lossy().into_owned();
    let root = hex(&kept.root);
    if output.json {
        output.document(&Document { loom: "backup/1", file, events: kept.events, root })?;
    } else {
        writeln!(output.out, "{} events in {}, tree root {root}", kept.events, shown(&arguments.file))?;
    }
    Ok(Exit::Ok)
}
