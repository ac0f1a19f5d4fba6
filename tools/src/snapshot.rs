//! Takes the tree of a work folder.
//!
//! What an agent can write decides nothing: the list of files comes from a walk of our own (no agent's index), ignore
//! rules from the base commit (no edited `.gitignore`, no `info/exclude`), contents from reading every file, or from an
//! earlier reading of it (`reading.rs`). Files that the base tracks count even where its own rules ignore them.
//! Never: follows a symbolic link, opens what is not a file, takes a nested repository for a submodule.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, file};
use crate::git::Git;
use crate::object::Objects;
use crate::object_id::TreeId;
use crate::reading::{self, Reading, Visit, Visitor};
use crate::repository::blobs;
use crate::tree::{Changed, Entry, Listing, Mode};
use crate::work_folder::{holds, make_readable, make_readable_in, split};
use crate::workspace::Change;

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
    /// The paths in which it differs from the known one, in path order.
    pub changes: Vec<Change>,
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
    pub(crate) git_folder: &'a Path,
    pub(crate) work: &'a Path,
    pub(crate) base: &'a Base,
    /// A tree that is durable, and what is in it.
    pub(crate) known: (TreeId, &'a Listing),
    /// A reading whose files need not be read again where they are the same.
    pub(crate) earlier: Option<&'a Reading>,
    pub(crate) limits: &'a Limits,
}

impl Source<'_> {
    /// Returns the snapshot and what was read for it.
    pub(crate) fn take(&self) -> Result<(Snapshot, Reading), Error> {
        let Self { work, base, limits, .. } = self;
        let gone = || Error::Deleted { path: work.to_path_buf() };
        match fs::symlink_metadata(work) {
            Ok(metadata) if metadata.is_dir() => make_readable(work, &metadata)?,
            Ok(_) => return Err(gone()),
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(gone()),
            Err(error) => return Err(file("look at", work)(error)),
        }
        let walk =
            Walk { work, base, limits, files: AtomicU64::new(0), bytes: AtomicU64::new(0), skipped: Mutex::default() };
        let reading = reading::read(work, self.known.0.format(), &walk, self.earlier)?;
        let changed = self.changed(&reading)?;
        let (known, before) = self.known;
        let tree = if changed.is_empty() { known } else { before.write_changed(&self.objects(), &changed)? };
        let mut skipped = walk.skipped.into_inner().unwrap_or_else(PoisonError::into_inner);
        skipped.sort();
        Ok((Snapshot { tree, changes: before.changes(&changed), skipped }, reading))
    }

    /// Returns in what the folder differs from the known tree; contents are written by then.
    fn changed(&self, reading: &Reading) -> Result<Changed, Error> {
        let mut before = self.known.1.entries.iter().peekable();
        let mut found = reading.iter().peekable();
        let (mut files, mut gone) = (Vec::new(), Vec::new());
        loop {
            match (before.peek(), found.peek()) {
                (None, None) => break,
                (Some((path, _)), next) if next.is_none_or(|(other, _)| path < other) => {
                    gone.extend(before.next());
                }
                (Some((path, entry)), Some((other, found_entry))) if path == other => {
                    if **entry != found_entry.entry {
                        files.push(*path);
                    }
                    before.next();
                    found.next();
                }
                (_, _) => files.extend(found.next().map(|(path, _)| path)),
            }
        }
        // A submodule of the base is what it was, until files stand in its place.
        let base = &self.base.submodules;
        let kept = |path: &Vec<u8>| base.get(path).filter(|_| !holds(reading, path));
        gone.retain(|(path, entry)| kept(path) != Some(*entry));
        let mut changed: Changed = gone.into_iter().map(|(path, _)| (path.clone(), kept(path).copied())).collect();
        let missing = base.keys().filter(|path| !self.known.1.entries.contains_key(*path));
        changed.extend(missing.filter_map(|path| Some((path.clone(), Some(*kept(path)?)))));
        changed.extend(self.write_blobs(files)?);
        Ok(changed)
    }

    /// Writes the contents of files and links, and returns what they are by then.
    fn write_blobs(&self, paths: Vec<&Vec<u8>>) -> Result<Changed, Error> {
        let places: Vec<PathBuf> = paths.iter().map(|path| self.work.join(OsStr::from_bytes(path))).collect();
        let entries = self.objects().write_blobs(&places)?;
        Ok(paths.into_iter().cloned().zip(entries).collect())
    }

    fn objects(&self) -> Objects {
        Objects::of(self.git_folder, self.known.0.format())
    }
}

/// What the base commit says: tracked paths, submodules, ignore rules.
#[derive(Debug)]
pub(crate) struct Base {
    tracked: BTreeMap<Vec<u8>, Entry>,
    submodules: BTreeMap<Vec<u8>, Entry>,
    /// By folder; the root is the empty path.
    rules: BTreeMap<Vec<u8>, Gitignore>,
}

impl Base {
    pub(crate) fn read(git: &Git, git_folder: &Path, listing: &Listing) -> Result<Self, Error> {
        let (submodules, tracked): (BTreeMap<_, _>, BTreeMap<_, _>) =
            listing.entries.clone().into_iter().partition(|(_, entry)| entry.mode == Mode::Submodule);
        let is_rules =
            |path: &[u8], mode| split(path).1 == b".gitignore" && matches!(mode, Mode::File | Mode::Executable);
        let rule_files: Vec<_> = tracked.iter().filter(|(path, entry)| is_rules(path, entry.mode)).collect();
        let texts = blobs(git, git_folder, rule_files.iter().map(|(_, entry)| entry.id))?;
        let folders = rule_files.iter().map(|(path, _)| split(path).0.to_vec());
        let rules = folders.zip(&texts).map(|(folder, text)| (folder, read_rules(text))).collect();
        Ok(Self { tracked, submodules, rules })
    }

    /// Judges one path whose folders are known not to be ignored. The rules nearest to it win.
    fn ignores(&self, path: &[u8], is_folder: bool) -> bool {
        let mut folder = if self.rules.is_empty() { &[][..] } else { path };
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
    work: &'a Path,
    base: &'a Base,
    limits: &'a Limits,
    files: AtomicU64,
    bytes: AtomicU64,
    skipped: Mutex<Vec<Skipped>>,
}

impl Visitor for Walk<'_> {
    /// The mark is whether the folder is ignored.
    fn visit(&self, path: &[u8], metadata: &Metadata, is_in_ignored: bool) -> Result<Visit, Error> {
        let name = split(path).1;
        if name == b".git" {
            return Ok(Visit::Leave);
        }
        let kind = metadata.file_type();
        let ignored = is_in_ignored || self.base.ignores(path, kind.is_dir());
        if ignored && !holds(&self.base.tracked, path) {
            return Ok(Visit::Leave);
        }
        let refused =
            name.eq_ignore_ascii_case(b".git") || (kind.is_symlink() && name.eq_ignore_ascii_case(b".gitmodules"));
        if refused {
            self.skip(path, Why::Name);
        } else if kind.is_fifo() || kind.is_socket() || kind.is_block_device() || kind.is_char_device() {
            self.skip(path, Why::Special);
        } else {
            make_readable_in(self.work, path, metadata)?;
            if kind.is_dir() {
                return Ok(Visit::Enter(ignored));
            }
            if !ignored || self.base.tracked.contains_key(path) {
                self.count(path, metadata.len())?;
                return Ok(Visit::Take);
            }
        }
        Ok(Visit::Leave)
    }
}

impl Walk<'_> {
    fn skip(&self, path: &[u8], why: Why) {
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        skipped.push(Skipped { path: path.to_vec(), why });
    }

    fn count(&self, path: &[u8], bytes: u64) -> Result<(), Error> {
        let Limits { file_bytes_max, tree_bytes_max, files_max } = *self.limits;
        if bytes > file_bytes_max {
            let path = String::from_utf8_lossy(path).into_owned();
            return Err(Error::FileTooLarge { path, bytes, bytes_max: file_bytes_max });
        }
        // No file system holds so much that the sum could not.
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > tree_bytes_max {
            return Err(Error::TreeTooLarge { bytes_max: tree_bytes_max });
        }
        if self.files.fetch_add(1, Ordering::Relaxed) + 1 > files_max {
            return Err(Error::TooManyFiles { files_max });
        }
        Ok(())
    }
}
