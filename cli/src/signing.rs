//! Opens a store together with the key that it signs with, which is put on record at its first use (KEYS-1).

use crate::app::Global;
use crate::configuring::by_person;
use crate::error::CliError;
use crate::output::Output;
use crate::project::{self, Opened, ask_holder};
use loom_core::kind::KeyAdded;
use loom_host::environment::Environment;
use loom_host::keys::{self, Key, Keys, KeysError, Record, on_record};
use loom_host::world::{Machine, World};
use loom_store::{RedbStore, Store, StoreError, origin};
use std::path::Path;

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
        recording(&folder, |store, record| keys.of_store(store, record).map(drop))?;
        opened = project::open(global.dir.as_deref(), output)?;
    }
    let key = keys.of_store(opened.store.as_ref(), &|_| Err(KeysError::Store(StoreError::ReadOnly)))?;
    let origin = origin(opened.store.as_ref())?;
    Ok(Signing { opened, origin, key })
}

/// Lets `put` put a key on record: through the process that holds the store, or with the store in this hand.
pub(crate) fn recording<T>(
    folder: &Path,
    put: impl Fn(&dyn Store, &Record<'_>) -> Result<T, KeysError>,
) -> Result<T, CliError> {
    let held = match RedbStore::open(folder) {
        Ok(store) => return Ok(put(&store, &|added| keys::put(&store, added, Machine.now_ms()))?),
        Err(held @ StoreError::Held { .. }) => held,
        Err(error) => return Err(error.into()),
    };
    let holder = ask_holder(folder).ok_or(held)?;
    let ask = |added: KeyAdded| holder.add_key(&added).map_err(|error| KeysError::Unheard(error.to_string()));
    Ok(put(&holder, &ask)?)
}
