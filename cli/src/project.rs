//! Finds the store: `--dir`, or the nearest folder up from here that has one.

use crate::error::CliError;
use crate::output::Output;
use loom_host::driver::Named;
use loom_host::environment::Environment;
use loom_host::session::Session;
use loom_server::{Holder, RemoteStore, socket_of};
use loom_store::{Damage, RedbStore, Store, StoreError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Loom's folder in a project.
pub(crate) const FOLDER: &str = ".loom";
/// The store's file in it.
pub(crate) const FILE: &str = "store.redb";

/// An open store and where it lies.
pub(crate) struct Opened {
    /// The folder that holds the store.
    pub(crate) folder: PathBuf,
    /// The store, here or behind its holder.
    pub(crate) store: Arc<dyn Store>,
    /// What keeps its end from being read.
    pub(crate) damage: Option<Damage>,
    /// Whether somebody has it for writing, and so drives its runs.
    pub(crate) is_driven: bool,
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

/// Opens the store for reading, or asks its holder; several processes may.
///
/// A store whose end is damaged is opened around the damage, which is told: other streams stay readable.
pub(crate) fn open(dir: Option<&Path>, output: &Output) -> Result<Opened, CliError> {
    open_in(find(dir)?, output)
}

/// Opens the store in a folder, as [`open`] does.
pub(crate) fn open_in(folder: PathBuf, output: &Output) -> Result<Opened, CliError> {
    let mut is_driven = false;
    let (store, damage): (Arc<dyn Store>, _) = match RedbStore::open_to_read(&folder) {
        Ok(store) => (Arc::new(store), None),
        Err(StoreError::Damaged(damage)) => {
            let store = RedbStore::open_damaged(&folder).map_err(|_| StoreError::Damaged(damage.clone()))?;
            output.warn(&format!("{damage}; what is whole can be read"));
            (Arc::new(store), Some(damage))
        }
        Err(held @ StoreError::Held { .. }) => {
            is_driven = true;
            (Arc::new(ask_holder(&folder).ok_or(held)?), None)
        }
        Err(error) => return Err(error.into()),
    };
    Ok(Opened { folder, store, damage, is_driven })
}

/// Connects to the process that holds the store, where it listens.
pub(crate) fn ask_holder(folder: &Path) -> Option<RemoteStore> {
    let socket = socket_of(&Environment::read().state_folder, folder).ok()?;
    RemoteStore::connect(&socket).ok()
}

/// Lets other processes read the store while this one holds it; without it they would have to wait.
pub(crate) fn listen(session: &Session, named: Named, environment: &Environment, output: &Output) -> Option<Holder> {
    let driver = session.driver().thinking(named);
    let listening = socket_of(&environment.state_folder, session.store_folder())
        .and_then(|socket| Holder::listen(socket, session.engine().store().clone(), Some(driver)));
    listening.inspect_err(|error| output.warn(&format!("{error}; other processes cannot read along"))).ok()
}
