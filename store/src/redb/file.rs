//! Large blobs: files named by their digest, durable before the commit that names them (STORE-11).

use super::RedbStore;
use crate::error::{Damage, StoreError};
use loom_core::commit::Blob;
use loom_core::id::{Digest, hex, unhex};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Blob files that no commit names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Garbage {
    /// The files, by name.
    pub files: Vec<PathBuf>,
    /// Their bytes together.
    pub bytes: u64,
}

impl RedbStore {
    /// Makes blobs durable as files.
    pub(super) fn keep_files(&self, blobs: &[&Blob]) -> Result<(), StoreError> {
        if blobs.is_empty() {
            return Ok(());
        }
        let folder = self.dir.join(BLOBS);
        let failed =
            |error: io::Error| StoreError::io(format!("a blob cannot be written to {}", folder.display()), error);
        for blob in blobs {
            let mut file = tempfile::Builder::new().prefix(UNFINISHED).tempfile_in(&folder).map_err(failed)?;
            file.write_all(&blob.bytes).map_err(failed)?;
            file.as_file().sync_all().map_err(failed)?;
            self.durable_commits.fetch_add(1, Ordering::Relaxed);
            file.persist(folder.join(hex(&blob.digest.0))).map_err(|error| failed(error.error))?;
        }
        sync_folder(&folder)?;
        self.durable_commits.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn read_blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self
            .reading(|reader| reader.place(digest)?.map(|slot| Ok((slot, reader.inline(digest, slot)?))).transpose())?;
        match found {
            None => Ok(None),
            Some((_, Some(bytes))) => Ok(Some(bytes)),
            Some((slot, None)) => {
                let path = self.dir.join(BLOBS).join(hex(&digest.0));
                let bad = |what: &str| StoreError::from(Damage::at(slot.position, format!("blob {digest}: {what}")));
                let bytes = fs::read(&path).map_err(|error| match error.kind() {
                    io::ErrorKind::NotFound => bad("its file is missing"),
                    _ => StoreError::io(format!("{} cannot be read", path.display()), error),
                })?;
                let blob = Blob::stored(bytes);
                if blob.digest == *digest {
                    Ok(Some(blob.bytes))
                } else {
                    Err(bad("its bytes do not match its digest"))
                }
            }
        }
    }

    /// Finds blob files that no commit names: what crashes between file and commit leave behind.
    pub fn garbage(&self) -> Result<Garbage, StoreError> {
        // Nobody writes a file for a commit to come while this lock is held.
        let _writer = self.lock_writer();
        self.unnamed()
    }

    /// Removes the files that [`RedbStore::garbage`] finds and no others, and returns them (STORE-15).
    pub fn collect(&self) -> Result<Garbage, StoreError> {
        let _writer = self.lock_writer();
        let garbage = self.unnamed()?;
        for name in &garbage.files {
            let path = self.dir.join(BLOBS).join(name);
            fs::remove_file(&path)
                .map_err(|error| StoreError::io(format!("{} cannot be removed", path.display()), error))?;
        }
        Ok(garbage)
    }

    fn unnamed(&self) -> Result<Garbage, StoreError> {
        let folder = self.dir.join(BLOBS);
        let failed = |error: io::Error| StoreError::io(format!("{} cannot be listed", folder.display()), error);
        let mut garbage = Garbage::default();
        for entry in fs::read_dir(&folder).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let digest = name.to_str().and_then(unhex).and_then(|bytes| bytes.try_into().ok());
            let unnamed = match digest {
                Some(digest) => self.reading_once(&mut |reader| reader.place(&Digest(digest)))?.is_none(),
                // A blob that was being written. Whatever else lies here is not the store's to remove.
                None => name.to_str().is_some_and(|name| name.starts_with(UNFINISHED)),
            };
            let found = entry.metadata().map_err(failed)?;
            if unnamed && found.is_file() {
                garbage.bytes += found.len();
                garbage.files.push(PathBuf::from(name));
            }
        }
        garbage.files.sort();
        Ok(garbage)
    }
}

/// How the names of files begin that are not whole yet.
const UNFINISHED: &str = ".new-";

/// Folder of the blob files in a store's folder.
pub(crate) const BLOBS: &str = "blobs";

/// Returns the folder of the blob files of the store in `dir`.
pub(crate) fn blobs_in(dir: &Path) -> PathBuf {
    dir.join(BLOBS)
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), StoreError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| StoreError::io(format!("{} cannot be made durable", folder.display()), error))
}
