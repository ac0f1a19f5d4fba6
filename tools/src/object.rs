//! Writes objects into a git folder as git does, without git: one file each, named by content, compressed.
//!
//! ```text
//! objects/tmp_obj_XXXX   header, content     synced, then renamed
//! objects/d9/b401251b…   the object          its folder is synced last
//! ```
//!
//! Relies on gitrepository-layout(5). An object that is there is whole, so that it is never written again.
//! Never: follows a symbolic link, opens what is not a file.

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::content::{self, CHUNK_BYTES, Hasher, open_file};
use crate::error::{Error, file};
use crate::git_folder::sync_folder;
use crate::object_id::{EntryId, ObjectFormat};
use crate::tree::{Entry, Mode};

/// More threads than this wait for the disk.
const THREADS_MAX: usize = 8;

/// The objects of a git folder.
pub(crate) struct Objects {
    folder: PathBuf,
    format: ObjectFormat,
}

impl Objects {
    pub(crate) fn of(git_folder: &Path, format: ObjectFormat) -> Self {
        Self { folder: git_folder.join("objects"), format }
    }

    /// Returns the name of a tree that is encoded so; it need not be there.
    pub(crate) fn name_tree(&self, tree: &[u8]) -> Result<EntryId, Error> {
        content::of_tree(self.format, tree).map_err(file("name a tree of", &self.folder))
    }

    /// Writes files and links as blobs, and returns what they are by then: nothing where neither stands at a path any
    /// more. All are durable on return.
    pub(crate) fn write_blobs(&self, places: &[PathBuf]) -> Result<Vec<Option<Entry>>, Error> {
        let entries = self.each(places, |place| match self.blob(place) {
            Err(error) if is_gone(&error) => Ok(None),
            entry => entry.map(Some).map_err(file("record", place)),
        })?;
        self.sync(entries.iter().flatten().map(|entry| entry.id))?;
        Ok(entries)
    }

    /// Writes trees, which are encoded so already, and returns their names. All are durable on return.
    pub(crate) fn write_trees(&self, trees: &[Vec<u8>]) -> Result<Vec<EntryId>, Error> {
        let write = |tree: &Vec<u8>| {
            self.write("tree", tree.len() as u64, &mut &tree[..]).map_err(file("write to", &self.folder))
        };
        let names = self.each(trees, write)?;
        self.sync(names.iter().copied())?;
        Ok(names)
    }

    fn blob(&self, place: &Path) -> io::Result<Entry> {
        let metadata = fs::symlink_metadata(place)?;
        if metadata.is_symlink() {
            let target = fs::read_link(place)?;
            let target = target.as_os_str().as_bytes();
            return Ok(Entry { mode: Mode::Link, id: self.write("blob", target.len() as u64, &mut &target[..])? });
        }
        if !metadata.is_file() {
            return Err(ErrorKind::NotFound.into());
        }
        let mut content = open_file(place)?;
        let metadata = content.metadata()?;
        let mode = if metadata.mode() & 0o100 == 0 { Mode::File } else { Mode::Executable };
        Ok(Entry { mode, id: self.write("blob", metadata.len(), &mut content)? })
    }

    /// Writes one object, durable but for its name in its folder.
    fn write(&self, kind: &str, bytes: u64, content: &mut dyn Read) -> io::Result<EntryId> {
        let header = format!("{kind} {bytes}\0");
        let mut hasher = Hasher::of(self.format);
        let made = tempfile::Builder::new().prefix("tmp_obj_").tempfile_in(&self.folder)?;
        let mut encoder = ZlibEncoder::new(made.as_file(), Compression::fast());
        hasher.update(header.as_bytes());
        encoder.write_all(header.as_bytes())?;
        let mut chunk = vec![0; usize::try_from(bytes).unwrap_or(CHUNK_BYTES).clamp(1, CHUNK_BYTES)];
        let mut left = bytes;
        while left > 0 {
            let read = content.read(&mut chunk)?;
            // Grown or shrunk since: nobody else should be working here.
            left = left.checked_sub(read as u64).filter(|_| read > 0).ok_or(ErrorKind::UnexpectedEof)?;
            hasher.update(&chunk[..read]);
            encoder.write_all(&chunk[..read])?;
        }
        encoder.finish()?;
        let name = hasher.finish()?;
        let place = self.place(&name);
        if place.exists() {
            return Ok(name);
        }
        made.as_file().set_permissions(Permissions::from_mode(0o444))?;
        made.as_file().sync_all()?;
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        made.persist(&place)?;
        Ok(name)
    }

    fn place(&self, name: &EntryId) -> PathBuf {
        let name = name.to_string();
        self.folder.join(&name[..2]).join(&name[2..])
    }

    /// Makes the names of objects durable.
    fn sync(&self, names: impl Iterator<Item = EntryId>) -> Result<(), Error> {
        let folders: BTreeSet<PathBuf> =
            names.filter_map(|name| Some(self.place(&name).parent()?.to_owned())).collect();
        self.each(&folders.into_iter().collect::<Vec<_>>(), |folder| sync_folder(folder))?;
        sync_folder(&self.folder)
    }

    /// Does something with each item, with several at the same time: what takes time is waiting for the disk.
    fn each<T: Sync, R: Send>(
        &self,
        items: &[T],
        work: impl Fn(&T) -> Result<R, Error> + Sync,
    ) -> Result<Vec<R>, Error> {
        let next = AtomicUsize::new(0);
        let some = || -> Result<Vec<(usize, R)>, Error> {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = items.get(index) else { return Ok(done) };
                done.push((index, work(item)?));
            }
        };
        let threads = NonZero::new(items.len()).map_or(1, NonZero::get).min(THREADS_MAX);
        let parts: Vec<_> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
            let first = some();
            let joined =
                others.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            [first].into_iter().chain(joined).collect()
        });
        let mut done = parts.into_iter().collect::<Result<Vec<_>, Error>>()?.into_iter().flatten().collect::<Vec<_>>();
        done.sort_unstable_by_key(|(index, _)| *index);
        Ok(done.into_iter().map(|(_, result)| result).collect())
    }
}

/// Whether there is no file or link: it vanished, or a folder on the way to it is something else by now.
fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}
