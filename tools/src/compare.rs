//! What two trees differ in, read from the project and, where they are still there, a workspace's objects.
//!
//! Relies on git's plumbing, which reads no configuration of a user here. Never: writes an object or a ref.

use crate::error::Error;
use crate::git::Call;
use crate::git_folder;
use crate::object_id::{CommitId, TreeId};
use crate::process::Status;
use crate::repository::Project;
use crate::workspace::{Change, How};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

/// How a difference is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As a unified patch that git applies, binary files included.
    Patch,
    /// A line for each path with how much of it changed, and a summary.
    Stat,
}

impl Project {
    /// Returns the tree of a commit, or `None` when the commit is not in the repository.
    ///
    /// # Errors
    /// What git says of a damaged repository.
    pub fn tree_of(&self, commit: CommitId) -> Result<Option<TreeId>, Error> {
        let call = self.git().call(self.view(), "rev-parse").arguments([
            "--verify".to_owned(),
            "--quiet".to_owned(),
            format!("{commit}^{{tree}}"),
        ]);
        let exit = call.exit()?;
        match exit.status {
            Status::Exited(0) => {
                let tree = TreeId::from_hex(exit.stdout.head.trim_ascii_end());
                tree.map(Some).ok_or_else(|| call.unusable("not a tree id"))
            }
            _ => Ok(None),
        }
    }

    /// Whether a tree is in the repository or among the objects of the folder `borrowed`.
    ///
    /// # Errors
    /// When git cannot be started.
    pub fn has_tree(&self, tree: TreeId, borrowed: Option<&Path>) -> Result<bool, Error> {
        let call = self.reading("cat-file", borrowed).arguments(["-e".to_owned(), format!("{tree}^{{tree}}")]);
        Ok(call.exit()?.status == Status::Exited(0))
    }

    /// Returns the difference of two trees. Paths are quoted as git does; the text need not be UTF-8.
    ///
    /// # Errors
    /// What git says, for example that there is no such tree.
    pub fn difference(&self, from: TreeId, to: TreeId, borrowed: Option<&Path>, form: Form) -> Result<Vec<u8>, Error> {
        let form: &[&str] = match form {
            Form::Patch => &["-p", "--no-color", "--full-index", "--binary"],
            Form::Stat => &["--stat=100", "--summary", "--no-color"],
        };
        comparing(self.reading("diff-tree", borrowed), form, from, to).run()
    }

    /// Returns the paths in which two trees differ, in path order.
    ///
    /// # Errors
    /// What git says, for example that there is no such tree.
    pub fn changes(&self, from: TreeId, to: TreeId, borrowed: Option<&Path>) -> Result<Vec<Change>, Error> {
        changes(&comparing(self.reading("diff-tree", borrowed), &["-z", "--name-status"], from, to))
    }

    fn reading<'a>(&'a self, name: &'a str, borrowed: Option<&Path>) -> Call<'a> {
        let call = self.git().call(self.view(), name);
        match borrowed {
            Some(objects) => {
                let quoted = OsString::from_vec(git_folder::quote(objects));
                call.variable("GIT_ALTERNATE_OBJECT_DIRECTORIES", quoted)
            }
            None => call,
        }
    }
}

/// Completes a call of `diff-tree`.
pub(crate) fn comparing<'a>(call: Call<'a>, form: &[&str], from: TreeId, to: TreeId) -> Call<'a> {
    call.arguments(["-r", "--no-renames", "--no-ext-diff", "--no-textconv"])
        .arguments(form)
        .arguments([from.to_string(), to.to_string()])
}

/// Runs a call of `diff-tree -z --name-status` and returns what it names.
pub(crate) fn changes(call: &Call<'_>) -> Result<Vec<Change>, Error> {
    let answer = call.run()?;
    let mut words = answer.split(|&byte| byte == 0);
    let mut changes = Vec::new();
    while let (Some(status), Some(path)) = (words.next(), words.next()) {
        let how = match status {
            b"A" => How::Added,
            b"M" => How::Modified,
            b"D" => How::Deleted,
            b"T" => How::TypeChanged,
            other => return Err(call.unusable(&String::from_utf8_lossy(other))),
        };
        changes.push(Change { path: path.to_vec(), how });
    }
    Ok(changes)
}
