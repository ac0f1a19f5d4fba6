//! The work folder as a folder: what both taking a tree from it and making it equal to a tree need.
//!
//! Relies on nobody else writing to the folder meanwhile. Never: follows a symbolic link, trusts a time stamp.

use std::collections::BTreeSet;
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
use crate::repository::{TreeEntry, tree_entries};

/// Makes `work` equal to a tree: removes what the tree does not have, writes what differs. What is equal is not written
/// again (on ext4 a file made just after many were deleted costs a millisecond: inodes freed in the last seconds are
/// searched and passed over). `index` matches the folder afterwards.
pub(crate) fn make_equal(git: &Git, git_folder: &Path, work: &Path, index: &Path, tree: TreeId) -> Result<(), Error> {
    // Asked first, so that an unknown tree costs nothing.
    let entries = tree_entries(git, git_folder, tree)?;
    let (submodules, files): (Vec<_>, Vec<_>) = entries.into_iter().partition(TreeEntry::is_submodule);
    let files = files.into_iter().map(|entry| entry.path).collect();
    make_folder(work)?;
    let kept = remove_others(work, &files, &submodules.iter().map(|entry| entry.path.clone()).collect())?;
    index_content(git, git_folder, work, index, submodules.iter(), &kept)?;
    git.call(git_folder, "read-tree")
        .work_tree(work)
        .index(index)
        .arguments(["--reset", "-u", &tree.to_string()])
        .success()?;
    for submodule in submodules {
        let path = work.join(OsStr::from_bytes(&submodule.path));
        fs::create_dir_all(&path).map_err(file("create", &path))?;
    }
    Ok(())
}

/// Makes a new index of the given paths from their content; nothing an earlier index said is believed.
pub(crate) fn index_content<'a>(
    git: &Git,
    git_folder: &Path,
    work: &Path,
    index: &Path,
    submodules: impl Iterator<Item = &'a TreeEntry>,
    paths: &BTreeSet<Vec<u8>>,
) -> Result<(), Error> {
    // Left by the time before, or by a crash; one driver owns a workspace.
    remove_if_present(index)?;
    remove_if_present(&index.with_added_extension("lock"))?;
    let update = || git.call(git_folder, "update-index").work_tree(work).index(index);
    let mut lines = Vec::new();
    for entry in submodules {
        lines.extend([&entry.mode[..], b" ", &entry.id, b"\t", &entry.path, b"\0"].concat());
    }
    if !lines.is_empty() {
        update().arguments(["-z", "--index-info"]).stdin(lines).success()?;
    }
    let mut lines = Vec::new();
    for path in paths {
        lines.extend_from_slice(path);
        lines.push(0);
    }
    // `--remove` takes a file that has vanished since it was listed for absent instead of failing.
    update().arguments(["--add", "--remove", "-z", "--stdin"]).stdin(lines).success()?;
    Ok(())
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

/// Removes everything that stands at no path of `files`, and returns those where a file or link stands.
fn remove_others(
    work: &Path,
    files: &BTreeSet<Vec<u8>>,
    submodules: &BTreeSet<Vec<u8>>,
) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut kept = BTreeSet::new();
    let mut folders = vec![Vec::new()];
    while let Some(folder) = folders.pop() {
        for (path, place, metadata) in list(work, &folder)? {
            let wanted = if metadata.is_dir() {
                holds_beneath(files, &path) || submodules.contains(&path) || holds_beneath(submodules, &path)
            } else {
                (metadata.is_file() || metadata.is_symlink()) && files.contains(&path)
            };
            if !wanted {
                remove_tree(&place)?;
                continue;
            }
            make_readable(&place, &metadata)?;
            if metadata.is_dir() {
                folders.push(path);
            } else {
                kept.insert(path);
            }
        }
    }
    Ok(kept)
}

/// Lists a folder of the work folder: path inside it, path, metadata of the entry itself.
pub(crate) fn list(work: &Path, folder: &[u8]) -> Result<Vec<(Vec<u8>, PathBuf, Metadata)>, Error> {
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
        entries.push((path, entry.path(), metadata));
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

/// Tells whether the set has something beneath a path.
fn holds_beneath(paths: &BTreeSet<Vec<u8>>, path: &[u8]) -> bool {
    let beneath = [path, b"/"].concat();
    paths
        .range::<[u8], _>((Bound::Included(&beneath[..]), Bound::Unbounded))
        .next()
        .is_some_and(|first| first.starts_with(&beneath))
}

/// Tells whether the set has the path itself or something beneath it.
pub(crate) fn holds(paths: &BTreeSet<Vec<u8>>, path: &[u8]) -> bool {
    paths.contains(path) || holds_beneath(paths, path)
}

/// Gives the owner back what is needed to read a file or to list and empty a folder.
pub(crate) fn make_readable(path: &Path, metadata: &Metadata) -> Result<(), Error> {
    let needed = match metadata {
        metadata if metadata.is_dir() => 0o700,
        metadata if metadata.is_file() => 0o400,
        _ => return Ok(()),
    };
    if metadata.mode() & needed == needed {
        return Ok(());
    }
    let mode = (metadata.mode() & 0o7777) | needed;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(file("make readable", path))
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

fn remove_if_present(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(file("remove", path)(error)),
        _ => Ok(()),
    }
}
