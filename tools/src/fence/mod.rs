//! Fences: what keeps a program of a run inside its workspace.
//!
//! ```text
//! driver ── guard ── bwrap ───────── doors ── stage ── the program       bubblewrap
//!    └───── guard ─────────────────────────── stage ── the program       landlock
//!                 (the box `doors` only where there are any)
//! ```
//!
//! Every box but `bwrap` and the program is our own binary, started anew with a hidden argument: nothing is confined
//! between a fork and an exec of a process that has threads. The stage confines itself, measures what really holds, tells
//! it through the guard, and becomes the program. Laws: `specs/fences.md`.
//!
//! Relies on: the guard for an end of everything. Never: says that something is enforced which was not measured in the
//! very process that became the program (FENCE-1), or goes on without a fence that was asked for (FENCE-2).

mod bubblewrap;
mod choose;
#[cfg(target_os = "linux")]
mod confine;
#[cfg(target_os = "linux")]
mod door;
mod group;
#[cfg(target_os = "linux")]
mod inherited;
mod landlock;
mod limit;
mod none;
mod outside;
#[cfg(target_os = "linux")]
mod probe;
#[cfg(target_os = "linux")]
mod stage;
#[cfg(target_os = "linux")]
mod syscalls;
mod system;

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) use choose::TRIAL_ARGUMENT;
pub use choose::{Choice, Choosing, Mode, choose};
#[cfg(target_os = "linux")]
pub(crate) use door::{DOORS_ARGUMENT, doors_main};
pub(crate) use group::{Together, enter as enter_groups, remove as remove_groups};
pub use landlock::has_landlock;
pub use none::Open;
pub(crate) use outside::Outside;
#[cfg(target_os = "linux")]
pub(crate) use stage::{STAGE_ARGUMENT, stage_main};

/// What can be enforced: the closed vocabulary of [`Fenced::enforced`], and what each word says was seen from inside.
pub const WORDS: &[(&str, &str)] = &[
    ("write", "a file outside could not be written, nor one made beside it"),
    ("read", "a file outside could not be read"),
    ("network", "a listener outside could not be reached"),
    ("sockets", "a named local socket outside could not be reached"),
    ("processes", "no process outside was seen"),
    ("signals", "no process outside could be signalled"),
    ("privileges", "no capability is left and none can be gained"),
    ("syscalls", "a filter refuses calls that no program of a run needs"),
    ("memory", "memory is limited, of one process or of all"),
    ("process-count", "the number of processes is limited"),
    ("file-size", "the size of a file is limited"),
];

/// Where the guard puts the number of the file descriptor for the report.
pub(crate) const REPORT_PLACE: &str = "@report";

/// How a fence is made.
pub trait Fence: fmt::Debug + Send + Sync {
    /// Returns the name that goes on record: `bubblewrap`, `landlock` or `none`.
    fn name(&self) -> &'static str;

    /// How the guard deals with what runs in it.
    fn watch(&self) -> Watch;

    /// Returns the command line that runs `program` inside. `stage` is our own binary.
    fn command_line(&self, stage: &Path, inside: &Inside<'_>) -> Vec<OsString>;
}

/// How a guard deals with what it starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Watch {
    /// A program in a process group of its own.
    Plain,
    /// A stage, which begins a session of its own and reports.
    Stage,
    /// A helper that holds a process namespace with a stage in it: who asks it to stop asks those inside.
    Namespace,
}

impl Watch {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Watch::Plain => "plain",
            Watch::Stage => "stage",
            Watch::Namespace => "namespace",
        }
    }

    pub(crate) fn of_word(word: &OsStr) -> Option<Self> {
        [Watch::Plain, Watch::Stage, Watch::Namespace].into_iter().find(|watch| word == watch.word())
    }
}

/// What runs inside a fence.
#[derive(Debug)]
pub struct Inside<'a> {
    /// What it may do.
    pub bounds: &'a Bounds,
    /// The folder to start in.
    pub cwd: &'a Path,
    /// The program's path.
    pub program: &'a Path,
    /// Its arguments, without its name.
    pub arguments: &'a [OsString],
    /// Arguments by which the stage finds what it must not find.
    pub outside: &'a [OsString],
}

/// What a fenced program may do. Nothing else of the file system can be seen but the system's own programs, libraries and
/// the settings that those need.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// Folders that it may change.
    pub write: Vec<PathBuf>,
    /// Files and folders that it may read and execute: toolchains, caches, borrowed objects.
    pub read: Vec<PathBuf>,
    /// A file outside, in a folder that must stay hidden: the probe tries to read it, to open it for writing and to make
    /// another beside it. Nothing is written to it where that succeeds.
    pub canary: PathBuf,
    /// Whether it has the machine's network.
    pub network: bool,
    /// What it may reach without a network.
    pub doors: Vec<Door>,
    /// How much of the machine it may take.
    pub limits: Limits,
}

/// A way out: what connects to `127.0.0.1:port` inside speaks to the Unix socket outside.
///
/// A fence without a network of its own lets the port through instead, so whoever makes a door listens on both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The port.
    pub port: u16,
    /// The socket.
    pub socket: PathBuf,
}

/// How much of the machine a fenced program may take; absent, as much as it likes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of memory: of all processes together where control groups can be made, else private bytes of each one.
    pub memory_max_bytes: Option<u64>,
    /// Processes and threads at once.
    pub processes_max: Option<u64>,
    /// Bytes of a file; of each file system in memory, too.
    pub file_max_bytes: Option<u64>,
}

/// A fence with its bounds, for one program.
#[derive(Debug, Clone)]
pub struct Fencing {
    /// The fence.
    pub fence: Arc<dyn Fence>,
    /// What the program may do.
    pub bounds: Bounds,
}

/// What held for a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fenced {
    /// The fence's name.
    pub name: &'static str,
    /// What was measured inside before the program began, in words of [`WORDS`]; empty where it was stopped before that.
    pub enforced: Vec<String>,
}

impl Fenced {
    /// Reads a stage's report: a line with a word, then its words.
    pub(crate) fn read(name: &'static str, report: &[u8]) -> Result<Self, String> {
        let report = String::from_utf8_lossy(report);
        match report.trim_end().split_once(' ') {
            Some(("enforced", words)) => {
                let words = words.split(' ').filter(|word| WORDS.iter().any(|(known, _)| known == word));
                Ok(Self { name, enforced: words.map(str::to_owned).collect() })
            }
            Some(("failed", why)) => Err(why.to_owned()),
            _ => Err("its report cannot be read".to_owned()),
        }
    }
}
