//! What can go wrong when acting, one variant for each thing a caller treats differently.
//!
//! Paths inside a tree are bytes; messages show them lossily, fields of the public types keep them exactly.

use std::io;
use std::path::{Path, PathBuf};

use crate::object_id::CommitId;
use crate::process::Status;

/// Says why an action did not happen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused a file operation.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The operating system refused a pipe, poll, thread or wait.
    #[error("cannot {doing}")]
    System {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// No such program on the search path of the child's environment.
    #[error("no program {program} on the search path")]
    ProgramMissing {
        /// The first word of the command.
        program: String,
    },
    /// The program is there and cannot be started (or its working folder is missing).
    #[error("cannot start {program}")]
    Start {
        /// The first word of the command.
        program: String,
        /// The system's answer.
        #[source]
        source: io::Error,
    },
    /// The fence did not come about, so the program did not run.
    #[error("the fence {name} does not hold: {why}")]
    Fence {
        /// The fence.
        name: &'static str,
        /// What went wrong.
        why: String,
    },
    /// A fence is required and none works on this machine.
    #[error("no fence works on this machine: {why}")]
    FenceMissing {
        /// Each fence and what is wrong with it.
        why: String,
    },
    /// The installed git is too old for what we ask of it.
    #[error("git {found:?} is too old, 2.38 or newer is needed")]
    GitTooOld {
        /// What `git version` printed.
        found: String,
    },
    /// A git call failed.
    #[error("git {call} ended with {status}: {message}")]
    Git {
        /// The subcommand.
        call: String,
        /// How it ended.
        status: Status,
        /// Its standard error.
        message: String,
    },
    /// A git call answered something that cannot be read, or more than is taken.
    #[error("git {call} gave an answer that cannot be used: {why}")]
    GitAnswer {
        /// The subcommand.
        call: String,
        /// What is wrong with it.
        why: String,
    },
    /// Neither the folder nor one above it is a git repository.
    #[error("{} is not in a git repository", path.display())]
    NotARepository {
        /// The folder asked for.
        path: PathBuf,
    },
    /// The repository has no work tree.
    #[error("{} is a bare repository", path.display())]
    Bare {
        /// The git folder.
        path: PathBuf,
    },
    /// The repository has no commit to start from.
    #[error("{} has no commit yet", path.display())]
    Empty {
        /// The work tree.
        path: PathBuf,
    },
    /// The repository keeps its refs in a format we do not write.
    #[error("{} keeps refs as {format}, which is not supported", path.display())]
    RefFormat {
        /// The work tree.
        path: PathBuf,
        /// `extensions.refStorage` as the repository states it.
        format: String,
    },
    /// The name cannot be a branch.
    #[error("{name:?} is not a valid branch name")]
    BranchInvalid {
        /// The name asked for.
        name: String,
    },
    /// The branch is there and holds another commit.
    #[error("branch {name} exists already, at {commit}")]
    BranchExists {
        /// The name asked for.
        name: String,
        /// What it points to.
        commit: CommitId,
    },
    /// A workspace cannot be created over something that exists.
    #[error("{} exists already", path.display())]
    WorkspaceExists {
        /// The workspace's folder.
        path: PathBuf,
    },
    /// The work folder is gone, or is no folder any more.
    #[error("the work folder {} is gone", path.display())]
    Deleted {
        /// The work folder.
        path: PathBuf,
    },
    /// A file is larger than a snapshot takes.
    #[error("{path:?} has {bytes} bytes, more than the {bytes_max} that a snapshot takes")]
    FileTooLarge {
        /// The path inside the work folder, shown lossily.
        path: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        bytes_max: u64,
    },
    /// All files together are larger than a snapshot takes.
    #[error("the work folder holds more than the {bytes_max} bytes that a snapshot takes")]
    TreeTooLarge {
        /// The limit.
        bytes_max: u64,
    },
    /// There are more files than a snapshot takes.
    #[error("the work folder holds more than the {files_max} files that a snapshot takes")]
    TooManyFiles {
        /// The limit.
        files_max: u64,
    },
    /// What is not committed in the work tree would be mixed with a change, or lost.
    #[error("the work tree is not clean: {}", named(paths))]
    TargetDirty {
        /// The paths, shown lossily.
        paths: Vec<String>,
    },
    /// HEAD is not on the branch that is meant.
    #[error("{why}")]
    NotOnBranch {
        /// Where it is, in a sentence.
        why: String,
    },
    /// A change and the branch it should go onto changed the same places.
    #[error("it does not apply to {onto}: {}", named(paths))]
    Conflicts {
        /// The branch.
        onto: String,
        /// The paths in conflict, shown lossily.
        paths: Vec<String>,
    },
    /// A commit that should be on a branch is not there.
    #[error("{why}")]
    CommitElsewhere {
        /// What is there, in a sentence.
        why: String,
    },
    /// The configuration names no such remote.
    #[error("there is no remote `{remote}`; there {}", known_remotes(known))]
    RemoteMissing {
        /// The name asked for.
        remote: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// A push failed, or the remote refused it.
    #[error("the push to `{remote}` failed: {reason}")]
    PushFailed {
        /// The remote.
        remote: String,
        /// What git said.
        reason: String,
    },
    /// The user's git made no commit; the work tree is as it was.
    #[error("git made no commit ({status}); the work tree is as it was")]
    CommitRefused {
        /// How it ended.
        status: Status,
    },
    /// A change is there already.
    #[error("{onto} has everything that {commit} changed")]
    NothingToShip {
        /// The branch.
        onto: String,
        /// The commit.
        commit: CommitId,
    },
    /// The user's git made no commit, and a hook's changes keep the work tree from being put back.
    #[error("git made no commit ({status}), and the work tree could not be put back: {message}")]
    NotPutBack {
        /// How the commit ended.
        status: Status,
        /// What git said of putting it back.
        message: String,
    },
    /// A person or message that git cannot record unchanged.
    #[error("a commit cannot carry this {field}: {text:?}")]
    CommitText {
        /// Which argument.
        field: &'static str,
        /// Its text.
        text: String,
    },
}

/// Names paths in a message, the first ones of many.
fn named(paths: &[String]) -> String {
    const SHOWN: usize = 10;
    let first = paths.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match paths.len().checked_sub(SHOWN) {
        None | Some(0) => first,
        Some(more) => format!("{first} and {more} more"),
    }
}

fn known_remotes(known: &[String]) -> String {
    if known.is_empty() { "is none".to_owned() } else { format!("are {}", known.join(", ")) }
}

/// Names the operation and the path of a failed file call: `.map_err(file("read", path))`.
pub(crate) fn file(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { doing, path, source }
}

/// Names the operation of a failed system call.
pub(crate) fn system<E: Into<io::Error>>(doing: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::System { doing, source: source.into() }
}
