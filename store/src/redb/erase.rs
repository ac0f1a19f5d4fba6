//! Erasing blobs that a redaction on record names (ERASE-2), whole or begun again (STORE-16).
//!
//! ```text
//! redaction durable ─► files overwritten, removed ─► rows left out of a copy of the database ─► the copy has its name
//! ```
//!
//! A page that a row was deleted from stays in the file until it is used again, and copies of the row with it. So the
//! database is written anew without the rows, into another file that then takes its name: until then every row is where
//! it was, and the erasing is begun again by whoever opens the store next.

use super::RedbStore;
use super::append::Writer;
use super::database::{Db, Medium, fault, guarded};
use super::file::{BLOBS as FOLDER, sync_folder};
use super::table::{
    BLOBS, COMMITS, GATES, HEADS, IDS, INDEX, KINDS, Kept, META, PLACES, REQUESTS, RUNS, SNAPSHOTS, STREAMS, TREE,
};
use crate::error::StoreError;
use crate::redaction::{Redaction, redactions};
use crate::tail::Slot;
use loom_core::id::{Digest, hex};
use redb::{Key, ReadTransaction, ReadableTable, TableDefinition, Value, WriteTransaction};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

/// The database while it is written anew. What a crash leaves under this name is nobody's.
const ANEW: &str = "store.redb.anew";
/// Bytes that a file is overwritten with at a time.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// What is to be left out.
struct Gone {
    digests: BTreeSet<Digest>,
    slots: BTreeSet<(u64, u16)>,
}

impl RedbStore {
    /// Erases what redactions on record name and what is there of it; returns the blobs that were.
    pub(super) fn erase_redacted(&self) -> Result<Vec<Digest>, StoreError> {
        let recorded = redactions(self)?;
        if recorded.is_empty() {
            return Ok(Vec::new());
        }
        let mut writer = self.lock_writer();
        if let Some(damage) = &self.damage {
            return Err(damage.clone().into());
        }
        self.mend(&mut writer)?;
        self.with_db(|db| if matches!(db, Db::Write(_)) { Ok(()) } else { Err(StoreError::ReadOnly) })?;
        *self.redacted.write().unwrap_or_else(PoisonError::into_inner) = recorded.keys().copied().collect();
        let (mut erased, inline, gone) = self.what_is_there(&recorded)?;
        erased.extend(self.erase_files(recorded.keys())?);
        if !gone.digests.is_empty() {
            match &self.medium {
                Medium::File(path) if inline => self.write_anew(path, &gone)?,
                Medium::File(_) | Medium::Given(_) => self.delete_rows(&mut writer, &gone)?,
            }
            self.durable_commits.fetch_add(1, Ordering::Relaxed);
            let mut tail = self.tail.write().unwrap_or_else(PoisonError::into_inner);
            tail.blobs.retain(|digest, _| !gone.digests.contains(digest));
        }
        Ok(erased.into_iter().collect())
    }

    /// Returns which of the blobs have rows, and whether bytes of one of them are in the database.
    fn what_is_there(
        &self,
        recorded: &BTreeMap<Digest, Redaction>,
    ) -> Result<(BTreeSet<Digest>, bool, Gone), StoreError> {
        self.reading_once(&mut |reader| {
            let mut gone = Gone { digests: BTreeSet::new(), slots: BTreeSet::new() };
            let mut inline = false;
            for digest in recorded.keys() {
                let Some(Slot { position, slot }) = reader.place(digest)? else { continue };
                gone.digests.insert(*digest);
                gone.slots.insert((position, slot));
                reader.blobs(position, position + 1, |found, head| {
                    inline |= found == Slot { position, slot } && head.kept == Kept::Inline;
                })?;
            }
            Ok((gone.digests.clone(), inline, gone))
        })
    }

    /// Overwrites and removes files of blobs; durable when it returns.
    fn erase_files<'d>(&self, digests: impl Iterator<Item = &'d Digest>) -> Result<Vec<Digest>, StoreError> {
        let folder = self.dir.join(FOLDER);
        let mut erased = Vec::new();
        for digest in digests {
            let path = folder.join(hex(&digest.0));
            let failed = |error| StoreError::io(format!("{} cannot be erased", path.display()), error);
            match path.symlink_metadata() {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(failed(error)),
                // What lies there instead of a file is not the store's to write to.
                Ok(found) if found.is_file() => {
                    overwrite(&mut File::options().write(true).open(&path).map_err(failed)?).map_err(failed)?;
                }
                Ok(_) => {}
            }
            fs::remove_file(&path).map_err(failed)?;
            erased.push(*digest);
        }
        if !erased.is_empty() {
            sync_folder(&folder)?;
        }
        Ok(erased)
    }

    fn delete_rows(&self, writer: &mut Writer, gone: &Gone) -> Result<(), StoreError> {
        let deleted = self.with_db(|db| {
            let transaction = db.begin_write()?;
            let mut blobs = transaction.open_table(BLOBS).map_err(fault)?;
            for (position, slot) in &gone.slots {
                blobs.retain_in((*position, *slot, 0)..=(*position, *slot, u16::MAX), |_, _| false).map_err(fault)?;
            }
            drop(blobs);
            let mut places = transaction.open_table(PLACES).map_err(fault)?;
            for digest in &gone.digests {
                places.remove(&digest.0).map_err(fault)?;
            }
            drop(places);
            transaction.commit().map_err(fault)
        });
        deleted.inspect_err(|_| writer.healthy = false)
    }

    /// Writes the database anew without the rows, and puts it in the place of the one there is.
    fn write_anew(&self, path: &Path, gone: &Gone) -> Result<(), StoreError> {
        let failed = |error| StoreError::io(format!("{} cannot be written anew", path.display()), error);
        let anew = self.dir.join(ANEW);
        let mut slot = self.db.write().unwrap_or_else(PoisonError::into_inner);
        let written = (|| {
            remove(&anew)?;
            let old = slot.as_ref().ok_or(StoreError::Broken)?;
            let new = Db::create(&Medium::File(anew.clone()))?;
            guarded(|| copy(old, &new, gone))?;
            fs::set_permissions(&anew, path.metadata().map_err(failed)?.permissions()).map_err(failed)?;
            let before = File::options().write(true).open(path).map_err(failed)?;
            fs::rename(&anew, path).map_err(failed)?;
            Ok((new, before))
        })();
        let (new, mut before) = written.inspect_err(|_: &StoreError| drop(remove(&anew)))?;
        // Both are locked until here: whoever wants the store finds one of them held.
        let old = slot.replace(new);
        let _ = guarded(|| {
            drop(old);
            Ok(())
        });
        sync_folder(&self.dir)?;
        // Best effort: the old file has no name any more, and what a disk keeps of it nobody can promise.
        let _ = overwrite(&mut before);
        Ok(())
    }
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io(format!("{} cannot be removed", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Writes zeros over a file, durably.
fn overwrite(file: &mut File) -> io::Result<()> {
    let mut left = file.metadata()?.len();
    while left > 0 {
        let part = left.min(ZEROS.len() as u64);
        file.write_all(&ZEROS[..part as usize])?;
        left -= part;
    }
    file.sync_all()
}

/// Copies every table but for the rows that go; durable when it returns.
fn copy(old: &Db, new: &Db, gone: &Gone) -> Result<(), StoreError> {
    let from = old.begin_read()?;
    let to = new.begin_write()?;
    table(&from, &to, META, |_| true)?;
    table(&from, &to, COMMITS, |_| true)?;
    table(&from, &to, BLOBS, |(position, slot, _)| !gone.slots.contains(&(*position, *slot)))?;
    table(&from, &to, TREE, |_| true)?;
    table(&from, &to, INDEX, |_| true)?;
    table(&from, &to, HEADS, |_| true)?;
    table(&from, &to, STREAMS, |_| true)?;
    table(&from, &to, IDS, |_| true)?;
    table(&from, &to, KINDS, |_| true)?;
    table(&from, &to, REQUESTS, |_| true)?;
    table(&from, &to, RUNS, |_| true)?;
    table(&from, &to, GATES, |_| true)?;
    table(&from, &to, PLACES, |digest| !gone.digests.contains(&Digest(**digest)))?;
    table(&from, &to, SNAPSHOTS, |_| true)?;
    to.commit().map_err(fault)
}

fn table<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: TableDefinition<'_, K, V>,
    keep: impl Fn(&K::SelfType<'_>) -> bool,
) -> Result<(), StoreError> {
    let rows = from.open_table(definition).map_err(fault)?;
    let mut copied = to.open_table(definition).map_err(fault)?;
    for row in rows.iter().map_err(fault)? {
        let (key, value) = row.map_err(fault)?;
        if keep(&key.value()) {
            copied.insert(key.value(), value.value()).map_err(fault)?;
        }
    }
    Ok(())
}
