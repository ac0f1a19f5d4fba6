//! Takes the tree of a work folder by content.
//!
//! What an agent can write decides nothing: the list of files comes from a walk of our own (no agent's index), ignore
//! rules from the base commit (no edited `.gitignore`, no `info/exclude`), contents from reading every file into an index
//! that starts empty (no time stamps). Files that the base tracks count even where its own rules ignore them.
//! Never: follows a symbolic link, opens what is not a file, takes a nested repository for a submodule.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, file};
use crate::git::Git;
use crate::git_folder::sync_folder;
use crate::object_id::TreeId;
use crate::repository::{TreeEntry, blobs, tree_entries};
use crate::work_folder::{holds, index_content, list, make_readable, split};

/// How much a snapshot takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes_max: u64,
    /// Bytes of all files together.
    pub tree_bytes_max: u64,
    /// Number of files and links.
    pub files_max: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes_max: 512 << 20, tree_bytes_max: 8 << 30, files_max: 1_000_000 }
    }
}

/// A work folder's content at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The durable tree.
    pub tree: TreeId,
    /// What stands in the folder and cannot be in a tree, in path order. Ignored files are not listed.
    pub skipped: Vec<Skipped>,
}

/// Something that a tree cannot hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// Its path in the work folder.
    pub path: Vec<u8>,
    /// Why it was left out.
    pub why: Why,
}

/// Why something was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// A pipe, socket or device.
    Special,
    /// A name that git refuses: `.git` in other letters, or a link named `.gitmodules`.
    Name,
}

/// Where a snapshot is taken and what it is compared with.
pub(crate) struct Source<'a> {
    pub(crate) git: &'a Git,
    pub(crate) git_folder: &'a Path,
    pub(crate) work: &'a Path,
    pub(crate) base: TreeId,
    /// A tree that is durable.
    pub(crate) known: TreeId,
    pub(crate) limits: &'a Limits,
}

impl Source<'_> {
    pub(crate) fn take(&self) -> Result<Snapshot, Error> {
        let base = Base::read(self)?;
        let mut walk = Walk { source: self, base: &base, found: BTreeSet::new(), skipped: Vec::new(), bytes: 0 };
        walk.all()?;
        let Walk { found, mut skipped, .. } = walk;
        skipped.sort();
        let kept_submodules = base.submodules.iter().filter(|entry| !holds(&found, &entry.path));
        let tree = self.write_tree(kept_submodules, &found)?;
        Ok(Snapshot { tree, skipped })
    }

    fn write_tree<'a>(
        &self,
        submodules: impl Iterator<Item = &'a TreeEntry>,
        found: &BTreeSet<Vec<u8>>,
    ) -> Result<TreeId, Error> {
        let index = self.git_folder.join("snapshot.index");
        index_content(self.git, self.git_folder, self.work, &index, submodules, found)?;
        let tree = self.git.call(self.git_folder, "write-tree").index(&index).line(TreeId::from_hex)?;
        if tree != self.known {
            sync_objects(self.git_folder)?;
        }
        Ok(tree)
    }
}

/// What the base commit says: tracked paths, submodules, ignore rules.
struct Base {
    tracked: BTreeSet<Vec<u8>>,
    submodules: Vec<TreeEntry>,
    /// By folder; the root is the empty path.
    rules: BTreeMap<Vec<u8>, Gitignore>,
}

impl Base {
    fn read(source: &Source<'_>) -> Result<Self, Error> {
        let mut tracked = BTreeSet::new();
        let mut submodules = Vec::new();
        let mut rule_files = Vec::new();
        for entry in tree_entries(source.git, source.git_folder, source.base)? {
            if entry.is_submodule() {
                submodules.push(entry);
                continue;
            }
            let (folder, name) = split(&entry.path);
            if name == b".gitignore" && entry.mode.starts_with(b"100") {
                rule_files.push((folder.to_vec(), entry.id.clone()));
            }
            tracked.insert(entry.path);
        }
        let texts = blobs(source.git, source.git_folder, rule_files.iter().map(|(_, id)| &id[..]))?;
        let rules = rule_files.into_iter().zip(&texts).map(|((folder, _), text)| (folder, read_rules(text))).collect();
        Ok(Self { tracked, submodules, rules })
    }

    /// Judges one path whose folders are known not to be ignored. The rules nearest to it win.
    fn ignores(&self, path: &[u8], is_folder: bool) -> bool {
        let mut folder = path;
        while !folder.is_empty() {
            folder = split(folder).0;
            let Some(rules) = self.rules.get(folder) else { continue };
            let start = if folder.is_empty() { 0 } else { folder.len() + 1 };
            match rules.matched(OsStr::from_bytes(&path[start..]), is_folder) {
                Match::None => {}
                Match::Ignore(_) => return true,
                Match::Whitelist(_) => return false,
            }
        }
        false
    }
}

fn read_rules(text: &[u8]) -> Gitignore {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let mut rules = GitignoreBuilder::new("");
    for line in text.split(|&byte| byte == b'\n') {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        // A line that is no pattern, or no UTF-8, ignores nothing: files are rather counted than hidden.
        if let Ok(line) = std::str::from_utf8(line) {
            let _ = rules.add_line(None, line);
        }
    }
    rules.build().unwrap_or_else(|_| Gitignore::empty())
}

struct Walk<'a> {
    source: &'a Source<'a>,
    base: &'a Base,
    found: BTreeSet<Vec<u8>>,
    skipped: Vec<Skipped>,
    bytes: u64,
}

impl Walk<'_> {
    fn all(&mut self) -> Result<(), Error> {
        let work = self.source.work;
        let gone = || Error::Deleted { path: work.to_owned() };
        match fs::symlink_metadata(work) {
            Ok(metadata) if metadata.is_dir() => make_readable(work, &metadata)?,
            Ok(_) => return Err(gone()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone()),
            Err(error) => return Err(file("look at", work)(error)),
        }
        let mut folders = vec![(Vec::new(), false)];
        while let Some((folder, ignored)) = folders.pop() {
            for (path, place, metadata) in list(work, &folder)? {
                if let Some(below) = self.visit(path, &place, &metadata, ignored)? {
                    folders.push(below);
                }
            }
        }
        Ok(())
    }

    /// Takes a file; returns a folder that is worth walking, with whether it is ignored.
    fn visit(
        &mut self,
        path: Vec<u8>,
        place: &Path,
        metadata: &Metadata,
        parent_ignored: bool,
    ) -> Result<Option<(Vec<u8>, bool)>, Error> {
        let name = split(&path).1;
        if name == b".git" {
            return Ok(None);
        }
        let kind = metadata.file_type();
        let ignored = parent_ignored || self.base.ignores(&path, kind.is_dir());
        if ignored && !holds(&self.base.tracked, &path) {
            return Ok(None);
        }
        let refused =
            name.eq_ignore_ascii_case(b".git") || (kind.is_symlink() && name.eq_ignore_ascii_case(b".gitmodules"));
        if refused {
            self.skipped.push(Skipped { path, why: Why::Name });
        } else if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
            self.skipped.push(Skipped { path, why: Why::Special });
        } else {
            make_readable(place, metadata)?;
            if kind.is_dir() {
                return Ok(Some((path, ignored)));
            }
            if !ignored || self.base.tracked.contains(&path) {
                self.take(path, metadata.len())?;
            }
        }
        Ok(None)
    }

    fn take(&mut self, path: Vec<u8>, bytes: u64) -> Result<(), Error> {
        let Limits { file_bytes_max, tree_bytes_max, files_max } = *self.source.limits;
        if bytes > file_bytes_max {
            let path = String::from_utf8_lossy(&path).into_owned();
            return Err(Error::FileTooLarge { path, bytes, bytes_max: file_bytes_max });
        }
        self.bytes = self.bytes.saturating_add(bytes);
        if self.bytes > tree_bytes_max {
            return Err(Error::TreeTooLarge { bytes_max: tree_bytes_max });
        }
        self.found.insert(path);
        if self.found.len() as u64 > files_max {
            return Err(Error::TooManyFiles { files_max });
        }
        Ok(())
    }
}

/// Makes the names of the objects durable; git has done so for their bytes.
fn sync_objects(git_folder: &Path) -> Result<(), Error> {
    let objects = git_folder.join("objects");
    let folders: io::Result<Vec<PathBuf>> =
        fs::read_dir(&objects).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    for folder in folders.map_err(file("list", &objects))? {
        sync_folder(&folder)?;
    }
    sync_folder(&objects)
}
