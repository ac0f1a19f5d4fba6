//! Acts: processes and their fences, sanitised git, workspaces.
//!
//! What touches the world stands here, synchronous and without a runtime. Promised: a child process never outlives
//! its call by our neglect, no byte of a user's repository is changed but by [`Workspace::publish`], and nothing that a
//! repository or an agent wrote is ever executed by a git call of ours. [`UserGit`] alone is other: what it does is the user's
//! act, with the user's own git.

#[cfg(test)]
#[macro_use]
#[path = "../tests/it/missing.rs"]
mod missing;

mod compare;
mod content;
mod error;
mod fence;
mod git;
mod git_folder;
mod guard;
mod hidden;
mod notes;
mod object;
mod object_id;
mod process;
mod reading;
mod repository;
mod ship;
mod snapshot;
mod stray;
mod streams;
mod tree;
mod work_folder;
mod workspace;

pub use compare::Form;
pub use error::Error;
pub use fence::{
    Bounds, Choice, Choosing, Door, Fence, Fenced, Fencing, Inside, Limits as FenceLimits, Mode, Open, WORDS, Watch,
    choose, has_landlock,
};
pub use git::Git;
pub use hidden::hidden_main;
pub use object_id::{CommitId, ObjectFormat, TreeId};
pub use process::{
    CancelToken, Capture, Command, Environment, Exit, Guard, Status, find_program, minimal_environment, run, run_heard,
};
pub use repository::{Branch, Head, Project, Uncommitted};
pub use ship::{Shipped, UserGit};
pub use snapshot::{Limits, Skipped, Snapshot, Why};
pub use stray::end_strays;
pub use work_folder::remove_tree;
pub use workspace::{By, Change, CommitMeta, How, Person, Workspace};
