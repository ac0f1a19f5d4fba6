//! The work folder as a folder: what both taking a tree from it and making it equal to a tree need.
//!
//! Relies on nobody else writing to the folder meanwhile. Never: follows a symbolic link, trusts a time stamp.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::ops::Bound;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::error::{Error, file};
use crate::git::Git;
use crate::object_id::TreeId;
use crate::reading::{self, Reading, Visit, Visitor};
use crate::tree::{Entry, Listing, Mode};

/// Makes `work` equal to a tree: removes what the tree does not have, writes what differs. What is equal is not written
/// again (on ext4 a file made just after many were deleted costs a millisecond: inodes freed in the last minutes are
/// searched and passed over). `index` matches the folder afterwards. Returns what was read of the folder.
pub(crate) fn make_equal(
    git: &Git,
    git_folder: &Path,
    work: &Path,
    index: &Path,
    (tree, listing): (TreeId, &Listing),
) -> Result<Reading, Error> {
    make_folder(work)?;
    let mut reading = reading::read(work, tree.format(), &Remover { work, listing }, None)?;
    let is_right = |path: &Vec<u8>, entry: &Entry| reading.get(path).is_some_and(|found| found.entry == *entry);
    let wrong: Vec<&Vec<u8>> = listing
        .entries
        .iter()
        .filter(|(path, entry)| entry.mode != Mode::Submodule && !is_right(path, entry))
        .map(|(path, _)| path)
        .collect();
    // Git would let be what it takes for unchanged.
    for path in wrong.iter().filter(|path| reading.contains_key(**path)) {
        let place = work.join(OsStr::from_bytes(path));
        fs::remove_file(&place).map_err(file("remove", &place))?;
    }
    remove_if_present(&index.with_added_extension("lock"))?;
    let call = |name| git.call(git_folder, name).work_tree(work).index(index);
    if reading.is_empty() {
        remove_if_present(index)?;
        call("read-tree").arguments(["--reset", "-u", &tree.to_string()]).success()?;
    } else {
        let read_tree = || call("read-tree").arguments(["--reset", &tree.to_string()]).success();
        // A machine that lost power may have lost half of an index.
        if read_tree().is_err() {
            remove_if_present(index)?;
            read_tree()?;
        }
        if !wrong.is_empty() {
            let paths = wrong.iter().flat_map(|path| path.iter().copied().chain([0])).collect();
            call("checkout-index").arguments(["-f", "-u", "-z", "--stdin"]).stdin(paths).success()?;
        }
    }
    for (path, _) in listing.entries.iter().filter(|(_, entry)| entry.mode == Mode::Submodule) {
        let place = work.join(OsStr::from_bytes(path));
        fs::create_dir_all(&place).map_err(file("create", &place))?;
    }
    for path in wrong {
        reading.remove(path);
    }
    Ok(reading)
}

/// Removes everything that stands at no path of a tree.
struct Remover<'a> {
    work: &'a Path,
    listing: &'a Listing,
}

impl Visitor for Remover<'_> {
    fn visit(&self, path: &[u8], metadata: &Metadata, _mark: bool) -> Result<Visit, Error> {
        let wanted = self.listing.entries.get(path);
        let is_submodule = wanted.is_some_and(|entry| entry.mode == Mode::Submodule);
        let is_wanted = if metadata.is_dir() {
            is_submodule || holds_beneath(&self.listing.entries, path)
        } else {
            (metadata.is_file() || metadata.is_symlink()) && wanted.is_some() && !is_submodule
        };
        if !is_wanted {
            remove_tree(&self.work.join(OsStr::from_bytes(path)))?;
            return Ok(Visit::Leave);
        }
        make_readable_in(self.work, path, metadata)?;
        Ok(if metadata.is_dir() { Visit::Enter(false) } else { Visit::Take })
    }
}

fn make_folder(work: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(work) {
        Ok(metadata) if metadata.is_dir() => return make_readable(work, &metadata),
        Ok(_) => remove_tree(work)?,
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(file("look at", work)(error)),
    }
    fs::create_dir(work).map_err(file("create", work))
}

/// Lists a folder of the work folder: path inside of that, metadata of the entry itself.
pub(crate) fn list(work: &Path, folder: &[u8]) -> Result<Vec<(Vec<u8>, Metadata)>, Error> {
    let place = work.join(OsStr::from_bytes(folder));
    let mut entries = Vec::new();
    for entry in fs::read_dir(&place).map_err(file("list", &place))? {
        let entry = entry.map_err(file("list", &place))?;
        let mut path = folder.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        let metadata = entry.metadata().map_err(file("look at", &entry.path()))?;
        entries.push((path, metadata));
    }
    Ok(entries)
}

/// Splits a path into its folder and its last name.
pub(crate) fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|&byte| byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&[], path),
    }
}

/// Tells whether something stands beneath a path.
fn holds_beneath<V>(paths: &BTreeMap<Vec<u8>, V>, path: &[u8]) -> bool {
    let beneath = [path, b"/"].concat();
    paths
        .range::<[u8], _>((Bound::Included(&beneath[..]), Bound::Unbounded))
        .next()
        .is_some_and(|(first, _)| first.starts_with(&beneath))
}

/// Tells whether something stands at a path or beneath it.
pub(crate) fn holds<V>(paths: &BTreeMap<Vec<u8>, V>, path: &[u8]) -> bool {
    paths.contains_key(path) || holds_beneath(paths, path)
}

/// Gives the owner back what is needed to read a file or to list and empty a folder.
pub(crate) fn make_readable(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    make_readable_in(path, &[], metadata)
}

/// As [`make_readable`], of a path inside of a folder.
pub(crate) fn make_readable_in(folder: &Path, path: &[u8], metadata: &Metadata) -> Result<(), Error> {
    let needed = match metadata {
        metadata if metadata.is_dir() => 0o700,
        metadata if metadata.is_file() => 0o400,
        _ => return Ok(()),
    };
    if metadata.mode() & needed == needed {
        return Ok(());
    }
    let mode = (metadata.mode() & 0o7777) | needed;
    let place = if path.is_empty() { folder.to_owned() } else { folder.join(OsStr::from_bytes(path)) };
    fs::set_permissions(&place, fs::Permissions::from_mode(mode)).map_err(file("make readable", &place))
}

/// Longest path that is walked down while removing; the system takes about 4,000 bytes.
const PATH_BYTES_MAX: usize = 2_000;

/// Removes a file, link or folder, also one that an agent made unwritable, or nested deeper than a path can say. Absent is
/// removed.
///
/// # Errors
/// [`Error::File`].
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(file("look at", path))?,
    };
    if !metadata.is_dir() {
        return fs::remove_file(path).map_err(file("remove", path));
    }
    // Not by recursion: whoever nests folders must exhaust neither our stack nor our file descriptors.
    make_readable(path, &metadata)?;
    let mut lifted = 0;
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.last().cloned() {
        let before = folders.len();
        for entry in fs::read_dir(&folder).map_err(file("list", &folder))? {
            let entry = entry.map_err(file("list", &folder))?;
            let place = entry.path();
            if !entry.file_type().map_err(file("look at", &place))?.is_dir() {
                fs::remove_file(&place).map_err(file("remove", &place))?;
                continue;
            }
            make_readable(&place, &entry.metadata().map_err(file("look at", &place))?)?;
            if place.as_os_str().len() - path.as_os_str().len() < PATH_BYTES_MAX {
                folders.push(place);
            } else {
                folders.push(lift(&place, path, &mut lifted)?);
            }
        }
        if folders.len() == before {
            fs::remove_dir(&folder).map_err(file("remove", &folder))?;
            folders.pop();
        }
    }
    Ok(())
}

/// Moves a folder from far below to just beneath `top`, under a name that nothing has there.
fn lift(place: &Path, top: &Path, lifted: &mut u64) -> Result<PathBuf, Error> {
    loop {
        let above = top.join(format!("lifted-{lifted}"));
        *lifted += 1;
        if fs::symlink_metadata(&above).is_err() {
            fs::rename(place, &above).map_err(file("move", place))?;
            return Ok(above);
        }
    }
}

pub(crate) fn remove_if_present(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}
