//! The trees of a run, read without driving it: also while another process does, and after the run has ended.
//!
//! Until a run ends its trees lie in its workspace; of an accepted run the branch keeps the last one. Never: writes to
//! the project, the workspace or the state folder.

use crate::environment::Environment;
use crate::error::HostError;
use loom_core::id::{StreamId, hex};
use loom_store::{Store, origin};
use loom_tools::{Change, CommitId, Form, Git, Project, TreeId};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Where the trees of a run can be read.
pub struct Trees {
    project: Project,
    /// Objects of the run's workspace, while it is there.
    borrowed: Option<PathBuf>,
    /// Holds the project's view.
    _scratch: TempDir,
}

/// What two trees differ in.
#[derive(Debug)]
pub struct Difference {
    /// The paths, in order.
    pub changes: Vec<Change>,
    /// The difference as it was asked for.
    pub text: Vec<u8>,
}

impl Trees {
    /// Opens the repository at `root` and, while it is there, the workspace of a run.
    pub fn open(
        environment: &Environment,
        root: &Path,
        store: &dyn Store,
        stream: StreamId,
    ) -> Result<Self, HostError> {
        let scratch = tempfile::tempdir().map_err(|source| HostError::File {
            doing: "make a folder in",
            path: std::env::temp_dir().display().to_string(),
            source,
        })?;
        let git = Git::find(&environment.search_path, scratch.path())?;
        let project = Project::open(&git, root)?;
        let stores = environment.state_folder.join("stores").join(hex(&origin(store)?));
        let objects = stores.join("workspaces").join(hex(&stream.0)).join("workspace/repository/objects");
        Ok(Trees { project, borrowed: objects.is_dir().then_some(objects), _scratch: scratch })
    }

    /// Returns the difference of two trees, or `None` where one of them is kept nowhere any more.
    pub fn difference(&self, from: &[u8], to: &[u8], form: Form) -> Result<Option<Difference>, HostError> {
        let tree = |bytes| TreeId::from_bytes(bytes).ok_or(HostError::ObjectName);
        let (from, to, borrowed) = (tree(from)?, tree(to)?, self.borrowed.as_deref());
        if !self.project.has_tree(from, borrowed)? || !self.project.has_tree(to, borrowed)? {
            return Ok(None);
        }
        let changes = self.project.changes(from, to, borrowed)?;
        let text = self.project.difference(from, to, borrowed, form)?;
        Ok(Some(Difference { changes, text }))
    }

    /// Returns the tree of a commit of the project, or `None` where it is not there.
    pub fn tree_of(&self, commit: &[u8]) -> Result<Option<Vec<u8>>, HostError> {
        let commit = CommitId::from_bytes(commit).ok_or(HostError::ObjectName)?;
        Ok(self.project.tree_of(commit)?.map(|tree| tree.as_bytes().to_vec()))
    }
}
