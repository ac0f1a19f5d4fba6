//! `loom restore FILE`: a store from a backup. Only verified history, never over a store that is there.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project::{FILE, FOLDER};
use crate::text::shown;
use loom_core::id::hex;
use loom_replay::{Bad, Options, verify};
use loom_store::{Damage, Store, StoreError};
use serde::Serialize;
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Makes a store from a backup in this folder, or the one that --dir names.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A file that `loom backup` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    folder: String,
    events: u64,
    root: String,
}

/// Refuses a store that `loom verify --blobs` would call damaged.
pub(crate) fn whole(store: &dyn Store) -> Result<(), CliError> {
    let threads = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    match verify(store, Options { threads, blobs: true })?.first_bad {
        None => Ok(()),
        Some(Bad { position, offset: _, stream, sequence, what, is_cut: _ }) => {
            Err(StoreError::Damaged(Damage { position, stream, sequence, what }).into())
        }
    }
}

/// Answers `loom restore`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let place = global.dir.as_deref().unwrap_or(Path::new("."));
    // What is named is a project's folder: a store has none within it.
    if place.join(FILE).exists() {
        return Err(StoreError::Exists(place.join(FILE)).into());
    }
    let folder = place.join(FOLDER);
    let restored = loom_store::restore(&arguments.file, &folder, |store| whole(store));
    let restored = restored.map_err(|error| match error {
        // What is damaged is the file; the store that its hints would speak of is not there yet.
        CliError::Store(source @ StoreError::Damaged(_)) => {
            CliError::NotABackup { path: arguments.file.clone(), source }
        }
        error => error,
    })?;
    let root = hex(&restored.root);
    if output.json {
        let folder = folder.to_string_lossy().into_owned();
        output.document(&Document { loom: "restore/1", folder, events: restored.events, root })?;
    } else {
        writeln!(output.out, "{} events in {}, tree root {root}", restored.events, shown(&folder))?;
    }
    Ok(Exit::Ok)
}
