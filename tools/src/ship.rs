//! The user's own git, called as the user would call it: to commit an accepted change on their branch, to push it.
//!
//! What lands on a user's branch is the user's act. So it is made by their git with their configuration: their name, hooks,
//! signing, filters and credentials (decision 0009). Everything else in this room goes through `git.rs`, which reads none
//! of that.
//!
//! ```text
//! checks ─► merge-tree (beside the work tree) ─► read-tree -m -u ─► commit ─┬► done
//!             └ conflicts: nothing was touched                      hook says no └► reset --merge: as it was
//! ```
//!
//! Never: forces, resets what it did not write, moves HEAD to another branch, or calls a shell.

use crate::error::{Error, file};
use crate::object_id::CommitId;
use crate::process::Status;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// What tells git to work elsewhere than in its folder; a hook of another repository may have set it.
const PLACES: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_PREFIX",
    "GIT_CEILING_DIRECTORIES",
    "GIT_LITERAL_PATHSPECS",
];

/// A work tree of the user's, and whether git may ask there.
#[derive(Debug)]
pub struct UserGit {
    root: PathBuf,
    may_ask: bool,
}

/// A change that became a commit on the user's branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shipped {
    /// The branch, as people write it.
    pub onto: String,
    /// The new commit.
    pub commit: CommitId,
    /// Whether its tree is other than what was merged: a hook changed it.
    pub is_altered: bool,
}

impl UserGit {
    /// Returns the git of the work tree at `root`. Its environment is that of this process.
    pub fn of(root: &Path, may_ask: bool) -> Self {
        UserGit { root: root.to_owned(), may_ask }
    }

    /// Applies what `commit` changed since it left the present branch as one commit on that branch.
    ///
    /// # Errors
    /// [`Error::NotOnBranch`], [`Error::TargetDirty`], [`Error::Conflicts`], [`Error::NothingToShip`],
    /// [`Error::CommitElsewhere`]: nothing was touched. [`Error::CommitRefused`]: everything is as it was.
    /// [`Error::NotPutBack`]: it is not.
    pub fn squash(&self, commit: CommitId, onto: Option<&str>, message: &str) -> Result<Shipped, Error> {
        let branch = self.branch(onto)?;
        self.has_commit(commit)?;
        self.is_clean()?;
        let merged = self.merged(commit, &branch)?;
        if merged == self.line("rev-parse", &["--verify", "HEAD^{tree}"])? {
            return Err(Error::NothingToShip { onto: branch, commit });
        }
        self.is_free_for(&merged)?;
        self.text("read-tree", &["-m", "-u", "HEAD", &merged])?;
        let status = self.commit(message)?;
        if status != Status::Exited(0) {
            let back = self.answer("reset", &["--quiet", "--merge"])?;
            return Err(match back.status.success() {
                true => Error::CommitRefused { status },
                false => Error::NotPutBack { status, message: told(&back.stderr) },
            });
        }
        let made = self.line("rev-parse", &["--verify", "HEAD"])?;
        let made = CommitId::from_hex(made.as_bytes()).ok_or_else(|| unusable("rev-parse", &made))?;
        let tree = self.line("rev-parse", &["--verify", "HEAD^{tree}"])?;
        Ok(Shipped { onto: branch, commit: made, is_altered: tree != merged })
    }

    /// Pushes a commit as a branch of the same name, never by force.
    ///
    /// # Errors
    /// [`Error::RemoteMissing`], [`Error::CommitElsewhere`], or [`Error::PushFailed`] with what git says.
    pub fn push(&self, commit: CommitId, branch: &str, remote: &str) -> Result<(), Error> {
        let known = self.text("remote", &[])?;
        let known: Vec<String> = known.lines().map(str::to_owned).collect();
        if !known.iter().any(|name| name == remote) {
            return Err(Error::RemoteMissing { remote: remote.to_owned(), known });
        }
        self.has_commit(commit)?;
        let refspec = format!("{commit}:refs/heads/{branch}");
        let mut call = self.call("push", &["--porcelain", "--", remote, &refspec]);
        let pushed = call.stderr(Stdio::inherit()).output().map_err(start)?;
        if pushed.status.success() {
            return Ok(());
        }
        let answer = String::from_utf8_lossy(&pushed.stdout).into_owned();
        let reason = answer.lines().find_map(|line| line.strip_prefix('!')?.rsplit('\t').next().map(str::to_owned));
        let reason = reason.unwrap_or_else(|| format!("git push ended with {}", Status::from(pushed.status)));
        Err(Error::PushFailed { remote: remote.to_owned(), reason })
    }

    /// Says where a branch stands that should be at a commit: an error where it is elsewhere, nothing where it is gone.
    ///
    /// # Errors
    /// [`Error::CommitElsewhere`].
    pub fn is_at(&self, branch: &str, commit: CommitId) -> Result<(), Error> {
        let name = format!("refs/heads/{branch}");
        let found = self.answer("rev-parse", &["--verify", "--quiet", &name])?;
        let found = String::from_utf8_lossy(&found.stdout).trim().to_owned();
        match found.is_empty() || found == commit.to_string() {
            true => Ok(()),
            false => Err(Error::CommitElsewhere {
                why: format!("branch {branch} is at {found}, not at the accepted {commit}"),
            }),
        }
    }

    /// Returns the branch that HEAD is on, if that is where a commit should go.
    fn branch(&self, onto: Option<&str>) -> Result<String, Error> {
        let off = |why: String| Err(Error::NotOnBranch { why });
        let head = self.answer("symbolic-ref", &["--quiet", "--short", "HEAD"])?;
        if !head.status.success() {
            return off("HEAD is detached: it is on no branch".to_owned());
        }
        let branch = String::from_utf8_lossy(&head.stdout).trim().to_owned();
        if !self.answer("rev-parse", &["--verify", "--quiet", "HEAD^{commit}"])?.status.success() {
            return off(format!("branch {branch} has no commit yet"));
        }
        if let Some(onto) = onto.filter(|onto| *onto != branch) {
            return off(format!("the present branch is {branch}, not {onto}"));
        }
        for (name, what) in [("MERGE_HEAD", "merge"), ("CHERRY_PICK_HEAD", "cherry-pick"), ("REVERT_HEAD", "revert")] {
            if self.answer("rev-parse", &["--verify", "--quiet", name])?.status.success() {
                return off(format!("a {what} is under way on {branch}"));
            }
        }
        Ok(branch)
    }

    fn has_commit(&self, commit: CommitId) -> Result<(), Error> {
        match self.answer("cat-file", &["-e", &format!("{commit}^{{commit}}")])?.status.success() {
            true => Ok(()),
            false => {
                Err(Error::CommitElsewhere { why: format!("the accepted commit {commit} is not in this repository") })
            }
        }
    }

    /// Index and work tree are as HEAD has them.
    fn is_clean(&self) -> Result<(), Error> {
        let found = self.bytes("status", &["--porcelain=v1", "-z", "--no-renames", "--untracked-files=no"])?;
        let paths: Vec<String> =
            words(&found).filter_map(|entry| Some(String::from_utf8_lossy(entry.get(3..)?).into_owned())).collect();
        if paths.is_empty() { Ok(()) } else { Err(Error::TargetDirty { paths }) }
    }

    /// Returns the tree of HEAD and `commit` together, computed beside the work tree.
    fn merged(&self, commit: CommitId, branch: &str) -> Result<String, Error> {
        let arguments = ["--write-tree", "-z", "--name-only", "--no-messages", "HEAD", &commit.to_string()];
        let answer = self.answer("merge-tree", &arguments)?;
        let mut found = words(&answer.stdout).map(|word| String::from_utf8_lossy(word).into_owned());
        let tree = found.next().unwrap_or_default();
        match answer.status.code() {
            Some(0) => Ok(tree),
            Some(1) if !tree.is_empty() => {
                let paths = found.collect::<BTreeSet<_>>().into_iter().collect();
                Err(Error::Conflicts { onto: branch.to_owned(), paths })
            }
            _ => Err(failure("merge-tree", &answer)),
        }
    }

    /// Nothing lies where a file of the tree would be new. git itself overwrites what is ignored.
    fn is_free_for(&self, tree: &str) -> Result<(), Error> {
        let names = |filter: &str| {
            self.bytes("diff-tree", &["-r", "-z", "--no-renames", "--name-only", filter, "HEAD^{tree}", tree])
        };
        let gone = names("--diff-filter=D")?;
        let gone: BTreeSet<&[u8]> = words(&gone).collect();
        let mut in_the_way = BTreeSet::new();
        for path in words(&names("--diff-filter=A")?) {
            let is_taken = |path: &Path| {
                let found = std::fs::symlink_metadata(self.root.join(path));
                found.is_ok_and(|found| !found.is_dir()) && !gone.contains(path.as_os_str().as_bytes())
            };
            let places = Path::new(OsStr::from_bytes(path)).ancestors();
            in_the_way.extend(
                places
                    .filter(|place| !place.as_os_str().is_empty() && is_taken(place))
                    .map(|place| place.display().to_string()),
            );
        }
        let paths: Vec<String> = in_the_way.into_iter().collect();
        if paths.is_empty() { Ok(()) } else { Err(Error::TargetDirty { paths }) }
    }

    /// Commits the index as the user does: hooks and signing run, and what they print is for the user to read.
    fn commit(&self, message: &str) -> Result<Status, Error> {
        let mut text = tempfile::NamedTempFile::new().map_err(file("make a file in", &std::env::temp_dir()))?;
        text.write_all(message.as_bytes()).map_err(file("write", text.path()))?;
        let mut call = self.call("commit", &["--quiet", "--cleanup=verbatim", "--file"]);
        call.arg(text.path()).stdout(Stdio::from(io::stderr())).stderr(Stdio::inherit());
        if self.may_ask {
            call.stdin(Stdio::inherit());
        }
        Ok(call.status().map_err(start)?.into())
    }

    fn call(&self, name: &str, arguments: &[&str]) -> Command {
        let mut call = Command::new("git");
        call.arg(name).args(arguments).current_dir(&self.root).stdin(Stdio::null()).env("LC_ALL", "C");
        for variable in PLACES {
            call.env_remove(variable);
        }
        if !self.may_ask {
            call.env("GIT_TERMINAL_PROMPT", "0");
        }
        call
    }

    fn answer(&self, name: &str, arguments: &[&str]) -> Result<Output, Error> {
        self.call(name, arguments).output().map_err(start)
    }

    pub(crate) fn bytes(&self, name: &str, arguments: &[&str]) -> Result<Vec<u8>, Error> {
        let answer = self.answer(name, arguments)?;
        if answer.status.success() { Ok(answer.stdout) } else { Err(failure(name, &answer)) }
    }

    pub(crate) fn text(&self, name: &str, arguments: &[&str]) -> Result<String, Error> {
        Ok(String::from_utf8_lossy(&self.bytes(name, arguments)?).into_owned())
    }

    fn line(&self, name: &str, arguments: &[&str]) -> Result<String, Error> {
        Ok(self.text(name, arguments)?.trim().to_owned())
    }
}

/// Returns the NUL-ended words of an answer.
fn words(answer: &[u8]) -> impl Iterator<Item = &[u8]> {
    answer.split(|&byte| byte == 0).filter(|word| !word.is_empty())
}

fn told(stderr: &[u8]) -> String {
    String::from_utf8_lossy(stderr).trim().to_owned()
}

fn failure(name: &str, answer: &Output) -> Error {
    Error::Git { call: name.to_owned(), status: answer.status.into(), message: told(&answer.stderr) }
}

fn unusable(name: &str, why: &str) -> Error {
    Error::GitAnswer { call: name.to_owned(), why: why.to_owned() }
}

fn start(source: io::Error) -> Error {
    match source.kind() {
        io::ErrorKind::NotFound => Error::ProgramMissing { program: "git".to_owned() },
        _ => Error::Start { program: "git".to_owned(), source },
    }
}
