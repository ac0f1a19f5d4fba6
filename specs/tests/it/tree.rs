//! The files of the repository, as a fresh clone has them.

use ignore::WalkBuilder;
use std::path::{Path, PathBuf};

/// One file that is or could be tracked.
pub(crate) struct File {
    /// Path below the root, with `/`.
    pub(crate) path: String,
    /// Its text; `None` where it is not UTF-8.
    pub(crate) text: Option<String>,
}

impl File {
    pub(crate) fn is(&self, extension: &str) -> bool {
        self.path.rsplit_once('.').is_some_and(|(_, found)| found == extension)
    }

    pub(crate) fn is_below(&self, folder: &str) -> bool {
        self.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    }

    pub(crate) fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }

    /// Returns the lines with their numbers from 1.
    pub(crate) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.as_deref().unwrap_or_default().lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Returns the root of the repository.
pub(crate) fn root() -> PathBuf {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR"));
    specs.parent().expect("specs/ lies in the root").to_path_buf()
}

/// Returns every file that `.gitignore` does not exclude, sorted by path.
///
/// Files that git does not know yet are among them, so that a breach is told before it is committed. Settings of
/// the machine (a user's own ignore file) play no part.
pub(crate) fn files() -> Vec<File> {
    let root = root();
    let walk = WalkBuilder::new(&root)
        .hidden(false)
        .parents(false)
        .ignore(false)
        .git_global(false)
        .git_exclude(false)
        .require_git(false)
        .filter_entry(|entry| entry.file_name() != ".git")
        .build();
    let mut files: Vec<File> = walk
        .map(|entry| entry.expect("the tree can be read"))
        .filter(|entry| entry.file_type().is_some_and(|kind| kind.is_file()))
        // A file may vanish between the listing and the reading while somebody works in the tree.
        .filter_map(|entry| Some((entry.path().to_path_buf(), std::fs::read(entry.path()).ok()?)))
        .map(|(path, bytes)| {
            let below = path.strip_prefix(&root).expect("the walk began at the root");
            let path = below.to_str().expect("paths of the repository are UTF-8").replace('\\', "/");
            File { path, text: String::from_utf8(bytes).ok() }
        })
        .collect();
    files.sort_by(|left, right| left.path.cmp(&right.path));
    assert!(files.iter().any(|file| file.path == "Cargo.toml"), "the walk finds the workspace");
    files
}

/// Fails with all breaches, one a line.
pub(crate) fn none(breaches: Vec<String>, law: &str) {
    assert!(breaches.is_empty(), "{law}:\n  {}\n", breaches.join("\n  "));
}

#[test]
fn the_tree_is_read_as_a_clone_has_it() {
    let files = files();
    assert!(files.iter().any(|file| file.path == "specs/tests/it/tree.rs"));
    assert!(files.iter().any(|file| file.path == ".gitignore"), "hidden files are tracked files too");
    assert!(!files.iter().any(|file| file.is_below("target") || file.is_below(".git")));
}
