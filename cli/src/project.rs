//! Finds the store: `--dir`, or the nearest folder up from here that has one.

use crate::error::CliError;
use crate::output::Output;
use loom_store::{Damage, RedbStore, StoreError};
use std::path::{Path, PathBuf};

/// Loom's folder in a project.
pub(crate) const FOLDER: &str = ".loom";
/// The store's file in it.
const FILE: &str = "store.redb";

/// An open store and where it lies.
pub(crate) struct Opened {
    /// The folder that holds the store.
    pub(crate) folder: PathBuf,
    /// The store.
    pub(crate) store: RedbStore,
}

/// Returns the folder of the store that a command is about.
pub(crate) fn find(dir: Option<&Path>) -> Result<PathBuf, CliError> {
    let from = match dir {
        Some(dir) => dir.to_path_buf(),
        None => std::env::current_dir().map_err(|source| CliError::File {
            doing: "find",
            path: PathBuf::from("."),
            source,
        })?,
    };
    if dir.is_some() {
        let named = [from.join(FOLDER), from.clone()].into_iter().find(|folder| folder.join(FILE).is_file());
        return named.ok_or(CliError::NoStore { from });
    }
    let found = from.ancestors().map(|folder| folder.join(FOLDER)).find(|folder| folder.join(FILE).is_file());
    found.ok_or(CliError::NoStore { from })
}

/// Opens the store for reading; several processes may, while nobody holds it for appending.
///
/// A store whose end is damaged is opened around the damage, which is told: other streams stay readable.
pub(crate) fn open(dir: Option<&Path>, output: &Output) -> Result<Opened, CliError> {
    let folder = find(dir)?;
    let store = match RedbStore::open_to_read(&folder) {
        Err(StoreError::Damaged(damage)) => open_around(&folder, damage, output)?,
        opened => opened?,
    };
    Ok(Opened { folder, store })
}

fn open_around(folder: &Path, damage: Damage, output: &Output) -> Result<RedbStore, CliError> {
    match RedbStore::open_damaged(folder) {
        Ok(store) => {
            output.warn(&format!("{damage}; what is whole can be read"));
            Ok(store)
        }
        Err(_) => Err(StoreError::Damaged(damage).into()),
    }
}
