//! Private repositories outside the project, one for each run, in which agents work.
//!
//! ```text
//! DIR/repository   our git folder: own configuration, refs and index; HEAD is the base; objects borrowed from the project
//! DIR/work         what the agent gets; `.git` in it is a repository for its own tools, borrowing from DIR/repository,
//!                  which we never read
//! ```
//!
//! Relies on: `git_folder.rs` (nothing in our git folder is anybody else's), `snapshot.rs` (trees by content).
//! Never: writes to the project except in [`Workspace::publish`]; reads what an agent told its own git. Only a fence
//! keeps an agent that runs as the same user from finding `DIR/repository`.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::compare::comparing;
use crate::error::{Error, file};
use crate::git::{Call, Git};
use crate::git_folder::{self, For, sync_folder};
use crate::object_id::{CommitId, TreeId};
use crate::process::Capture;
use crate::reading::Reading;
use crate::repository::{Branch, Project};
use crate::snapshot::{Base, Limits, Snapshot, Source};
use crate::tree::Listing;
use crate::work_folder::{self, remove_tree};

/// A private repository with a work folder.
#[derive(Debug)]
pub struct Workspace {
    git: Git,
    folder: PathBuf,
    repository: PathBuf,
    work: PathBuf,
    base_commit: CommitId,
    base_tree: TreeId,
    base: OnceLock<Base>,
    seen: Mutex<Seen>,
}

/// What is remembered of the work folder from one call to the next; forgotten, it is read anew.
#[derive(Debug, Default)]
struct Seen {
    /// The tree that was asked about last, and what is in it.
    listing: Option<(TreeId, Arc<Listing>)>,
    /// What the work folder held when it was last read.
    reading: Option<Reading>,
}

/// By what a file is known for the one that it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// By its content, which is read.
    Content,
    /// By its number, size and times, where they are those that it had when it was last read; else by its content. The
    /// time of its last change, which nobody can set, shows every change; what keeps one process from another's memory
    /// keeps the note of it.
    Times,
}

/// One path that two trees do not agree on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The path, any bytes but NUL.
    pub path: Vec<u8>,
    /// What happened to it.
    pub how: How,
}

/// What happened to a path. A rename is a deletion and an addition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// It is new.
    Added,
    /// Its content or executable bit changed.
    Modified,
    /// It is gone.
    Deleted,
    /// It became something else: file, link, submodule.
    TypeChanged,
}

/// Everything of a commit but its tree and parents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitMeta {
    /// Who made the change.
    pub author: Person,
    /// Who recorded it.
    pub committer: Person,
    /// Milliseconds since 1970, UTC; git keeps whole seconds.
    pub date_ms: u64,
    /// The message; a newline is added at its end if there is none.
    pub message: String,
}

/// A name and an address, as git writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Without `<`, `>` and control characters.
    pub name: String,
    /// Likewise.
    pub email: String,
}

impl Workspace {
    /// Makes a workspace in the new folder `folder` with the files of a commit of the project.
    ///
    /// # Errors
    /// [`Error::WorkspaceExists`], [`Error::File`], or what git says, for example that there is no such commit. What was
    /// made until then is removed.
    pub fn create(folder: &Path, project: &Project, base: CommitId) -> Result<Self, Error> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::WorkspaceExists { path: folder.to_owned() });
            }
            created => created.map_err(file("create", folder))?,
        }
        let made = Self::fill(folder, project, base);
        if made.is_err() {
            remove_tree(folder)?;
        }
        made
    }

    fn fill(folder: &Path, project: &Project, base: CommitId) -> Result<Self, Error> {
        let folder = fs::canonicalize(folder).map_err(file("find", folder))?;
        let repository = folder.join("repository");
        git_folder::write(&repository, For::Loom, project.object_format(), base.to_string().as_bytes())?;
        git_folder::borrow_objects(&repository, &project.objects())?;
        git_folder::copy_if_present(&project.shallow(), &repository.join("shallow"))?;
        let work = folder.join("work");
        fs::create_dir(&work).map_err(file("create", &work))?;
        let base_tree = match project.head() {
            head if head.commit == base => head.tree,
            _ => peel(project.git(), &repository)?,
        };
        let workspace = Self::of(project, folder, base, base_tree);
        workspace.reset_to(base_tree)?;
        Ok(workspace)
    }

    fn of(project: &Project, folder: PathBuf, base_commit: CommitId, base_tree: TreeId) -> Self {
        let (repository, work) = (folder.join("repository"), folder.join("work"));
        let (base, seen) = (OnceLock::new(), Mutex::default());
        Self { git: project.git().clone(), folder, repository, work, base_commit, base_tree, base, seen }
    }

    /// Opens a workspace made earlier, for example after a crash. The work folder may be gone; see
    /// [`Workspace::reset_to`].
    ///
    /// # Errors
    /// [`Error::File`] when there is none, or what git says.
    pub fn open(project: &Project, folder: &Path) -> Result<Self, Error> {
        let folder = fs::canonicalize(folder).map_err(file("find", folder))?;
        let repository = folder.join("repository");
        // The project may have been moved meanwhile.
        git_folder::borrow_objects(&repository, &project.objects())?;
        let head = repository.join("HEAD");
        let text = fs::read(&head).map_err(file("read", &head))?;
        let base_tree = peel(project.git(), &repository)?;
        let base_commit = CommitId::from_hex(text.trim_ascii_end());
        let unusable = || Error::GitAnswer { call: "rev-parse".to_owned(), why: "HEAD is not a commit".to_owned() };
        Ok(Self::of(project, folder, base_commit.ok_or_else(unusable)?, base_tree))
    }

    /// Returns the folder that the agent gets.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Returns the commit that the workspace started from.
    pub fn base_commit(&self) -> CommitId {
        self.base_commit
    }

    /// Returns the tree of that commit.
    pub fn base_tree(&self) -> TreeId {
        self.base_tree
    }

    /// Returns the object folder that the agent's own git reads and need not write: a sandbox shows it read-only,
    /// together with [`Project::objects`], which it borrows from.
    pub fn objects(&self) -> PathBuf {
        self.repository.join("objects")
    }

    /// Records what is in the work folder and returns its tree, which is durable by then. `known` is a tree that was
    /// durable before, such as the one that the folder was reset to: when nothing changed, nothing is written.
    ///
    /// Files that the base commit's own ignore rules ignore are left out, and so is what an agent puts into a folder named
    /// `.git`: checks that shall speak of the tree run after [`Workspace::reset_to`], or in another workspace. Files and folders whose owner may not read
    /// them are made readable. Call it when no agent is running in the folder.
    ///
    /// # Errors
    /// [`Error::Deleted`], [`Error::FileTooLarge`], [`Error::TreeTooLarge`], [`Error::TooManyFiles`], [`Error::File`], or
    /// what git says.
    pub fn snapshot(&self, known: TreeId, limits: &Limits, by: By) -> Result<Snapshot, Error> {
        let listing = self.listing(known)?;
        let base = self.base()?;
        let earlier = self.seen().reading.take();
        let source = Source {
            git_folder: &self.repository,
            work: &self.work,
            base,
            known: (known, &listing),
            earlier: earlier.as_ref().filter(|_| by == By::Times),
            limits,
        };
        let (snapshot, reading) = source.take()?;
        self.seen().reading = Some(reading);
        Ok(snapshot)
    }

    /// Returns the difference of two trees as a unified patch, of which at most `bytes_max` are kept. Paths are quoted as
    /// git does; the text need not be UTF-8.
    ///
    /// # Errors
    /// What git says, for example that there is no such tree.
    pub fn diff_text(&self, from: TreeId, to: TreeId, bytes_max: usize) -> Result<Capture, Error> {
        let call = self.compare(&["-p", "--no-color"], from, to).answer_max(bytes_max);
        Ok(call.success()?.stdout)
    }

    /// Makes the work folder equal to a tree: everything else in it is removed, ignored files too, and the agent's own
    /// repository is made anew, with the base at its branch. Files that are equal stay as they are.
    ///
    /// # Errors
    /// [`Error::File`], or what git says, for example that there is no such tree.
    pub fn reset_to(&self, tree: TreeId) -> Result<(), Error> {
        let index = self.repository.join("work.index");
        // Asked first, so that an unknown tree costs nothing.
        let listing = self.listing(tree)?;
        let wanted = (tree, listing.as_ref());
        let reading = work_folder::make_equal(&self.git, &self.repository, &self.work, &index, wanted)?;
        self.seen().reading = Some(reading);
        self.write_agent_repository(tree, &index)
    }

    /// Makes a commit object that depends on nothing but the arguments, and returns its id.
    ///
    /// # Errors
    /// [`Error::CommitText`] for text that git would not keep as it is, or what git says.
    pub fn commit(&self, tree: TreeId, parents: &[CommitId], meta: &CommitMeta) -> Result<CommitId, Error> {
        let seconds = meta.date_ms / 1000;
        let mut text = format!("tree {tree}\n");
        for parent in parents {
            text += &format!("parent {parent}\n");
        }
        for (role, person) in [("author", &meta.author), ("committer", &meta.committer)] {
            let Person { name, email } = person;
            for (field, value) in [("name", name), ("email", email)] {
                if value.trim() != value || value.chars().any(|c| matches!(c, '<' | '>') || c.is_control()) {
                    return Err(Error::CommitText { field, text: value.clone() });
                }
            }
            text += &format!("{role} {name} <{email}> {seconds} +0000\n");
        }
        if meta.message.contains('\0') {
            return Err(Error::CommitText { field: "message", text: meta.message.clone() });
        }
        let end = if meta.message.ends_with('\n') { "" } else { "\n" };
        text += &format!("\n{}{end}", meta.message);
        let commit = self
            .git
            .call(&self.repository, "hash-object")
            .arguments(["-t", "commit", "-w", "--stdin"])
            .stdin(text.into_bytes())
            .line(CommitId::from_hex)?;
        let hex = commit.to_string();
        sync_folder(&self.objects().join(&hex[..2]))?;
        sync_folder(&self.objects())?;
        Ok(commit)
    }

    /// Brings a commit into the project, with everything that its base does not have, and creates a branch for it if
    /// absent. Repeated, it changes nothing more.
    ///
    /// # Errors
    /// As [`Project::branch_create`]; [`Error::File`]; or what git says.
    pub fn publish(&self, project: &Project, commit: CommitId, branch: &str) -> Result<Branch, Error> {
        if project.branch(branch)?.is_none() {
            self.send_objects(project, commit)?;
        }
        project.branch_create(branch, commit)
    }

    /// Removes the workspace with everything in it. Absent is removed.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(self) -> Result<(), Error> {
        remove_tree(&self.folder)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing(&self, tree: TreeId) -> Result<Arc<Listing>, Error> {
        let seen = self.seen().listing.clone();
        if let Some((_, listing)) = seen.filter(|(seen, _)| *seen == tree) {
            return Ok(listing);
        }
        let listing = Arc::new(Listing::read(&self.git, &self.repository, tree)?);
        self.seen().listing = Some((tree, listing.clone()));
        Ok(listing)
    }

    fn base(&self) -> Result<&Base, Error> {
        if let Some(base) = self.base.get() {
            return Ok(base);
        }
        let base = Base::read(&self.git, &self.repository, &*self.listing(self.base_tree)?)?;
        Ok(self.base.get_or_init(|| base))
    }

    fn compare(&self, form: &[&str], from: TreeId, to: TreeId) -> Call<'_> {
        comparing(self.git.call(&self.repository, "diff-tree"), form, from, to)
    }

    fn write_agent_repository(&self, tree: TreeId, index: &Path) -> Result<(), Error> {
        let folder = self.work.join(".git");
        git_folder::write(&folder, For::Agent, tree.format(), b"ref: refs/heads/work")?;
        git_folder::borrow_objects(&folder, &self.objects())?;
        git_folder::copy_if_present(&self.repository.join("shallow"), &folder.join("shallow"))?;
        git_folder::write_branch(&folder, "work", self.base_commit)?;
        // With the times of the files just written, so that the agent's first `git status` need not read them.
        git_folder::copy_if_present(index, &folder.join("index"))
    }

    /// Packs straight into the project's object folder: git runs in the project's view with our objects borrowed for this
    /// one call. One thread, so that a repetition makes the same pack under the same name.
    fn send_objects(&self, project: &Project, commit: CommitId) -> Result<(), Error> {
        let packs = project.objects().join("pack");
        fs::create_dir_all(&packs).map_err(file("create", &packs))?;
        project
            .git()
            .call(project.view(), "pack-objects")
            .variable("GIT_ALTERNATE_OBJECT_DIRECTORIES", OsString::from_vec(git_folder::quote(&self.objects())))
            .arguments(["--revs", "--non-empty", "--quiet", "--threads=1"])
            .arguments([packs.join("pack")])
            .stdin(format!("{commit}\n^{}\n", self.base_commit).into_bytes())
            .success()?;
        sync_folder(&packs)
    }
}

/// Returns the tree of the commit that our git folder's HEAD is.
fn peel(git: &Git, repository: &Path) -> Result<TreeId, Error> {
    git.call(repository, "rev-parse").arguments(["--verify", "HEAD^{tree}"]).line(TreeId::from_hex)
}
