//! Opens a store together with the key that it signs with, which is put on record at its first use (KEYS-1).

use crate::app::Global;
use crate::configuring::by_person;
use crate::error::CliError;
use crate::output::Output;
use crate::project::{self, Opened};
use loom_host::engine::origin;
use loom_host::environment::Environment;
use loom_host::keys::{Key, Keys, KeysError, on_record};
use loom_host::world::{Machine, World};
use loom_store::{RedbStore, StoreError};

/// A store that can be signed for.
pub(crate) struct Signing {
    pub(crate) opened: Opened,
    pub(crate) origin: [u8; 16],
    pub(crate) key: Key,
}

/// Opens the store that a command is about. A process that descends from a spawn signs nothing.
pub(crate) fn open(global: &Global, output: &Output) -> Result<Signing, CliError> {
    let environment = Environment::read();
    by_person(&environment)?;
    let keys = Keys::of(&environment);
    let mut opened = project::open(global.dir.as_deref(), output)?;
    if on_record(opened.store.as_ref())?.is_empty() {
        let folder = opened.folder.clone();
        drop(opened);
        writing(&folder, |store| keys.of_store(store, Machine.now_ms()).map(drop))?;
        opened = project::open(global.dir.as_deref(), output)?;
    }
    let key = keys.of_store(opened.store.as_ref(), Machine.now_ms())?;
    let origin = origin(opened.store.as_ref())?;
    Ok(Signing { opened, origin, key })
}

/// Takes the store for writing, for as long as a key is put on record.
pub(crate) fn writing<T>(
    folder: &std::path::Path,
    put: impl FnOnce(&RedbStore) -> Result<T, KeysError>,
) -> Result<T, CliError> {
    let store = match RedbStore::open(folder) {
        Err(StoreError::Held { .. }) => return Err(KeysError::Held.into()),
        opened => opened?,
    };
    Ok(put(&store)?)
}
