//! What a program of a run may do: the bounds of its fence, made from the run's folders and the user's toolchains.
//!
//! ```text
//! RUN/made                the probe's canary: never to be seen
//! RUN/workspace/work      may be changed, but by agents that only read
//! RUN/workspace/repository/objects, and the project's    may be read: the agent's git borrows from them
//! RUN/home, RUN/tmp       may be changed; RUN/home/.cargo stands in for the user's
//! ```
//!
//! Relies on fences showing nothing that is not named. Never: names the user's home, Loom's state or the project's files.

use crate::environment::Environment;
use loom_tools::{Bounds, Door, FenceLimits, Project, Workspace};
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// More than a compiler, a linker or a browser takes (FENCE-6).
const MEMORY_MAX_BYTES: u64 = 16 << 30;
/// More than a parallel build starts.
const PROCESSES_MAX: u64 = 4096;
/// More than a build writes into one file.
const FILE_MAX_BYTES: u64 = 8 << 30;

/// What the user lets programs of a run have beyond what every one has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// Whether they have the machine's network. Without it an agent's program reaches its model through a door, and
    /// nobody reaches anything else (FENCE-5).
    pub network: bool,
    /// Agents and checks that have it all the same.
    pub network_for: Vec<String>,
    /// How much of the machine each may take.
    pub limits: FenceLimits,
    /// Files and folders that they may read and execute.
    pub readable: Vec<PathBuf>,
}

impl Default for Leave {
    fn default() -> Self {
        let limits = FenceLimits {
            memory_max_bytes: Some(MEMORY_MAX_BYTES),
            processes_max: Some(PROCESSES_MAX),
            file_max_bytes: Some(FILE_MAX_BYTES),
        };
        Leave { network: false, network_for: Vec::new(), limits, readable: Vec::new() }
    }
}

/// Returns the bounds of a program of an agent or a check of this name, which changes its work folder or only reads it.
/// `folder` is the run's.
pub(crate) fn bounds(
    folder: &Path,
    workspace: &Workspace,
    project: &Project,
    environment: &Environment,
    leave: &Leave,
    (name, changes, door): (&str, bool, Option<&Door>),
) -> Bounds {
    let mut read = environment.readable(project.root());
    let mut write = vec![folder.join("home"), folder.join("tmp")];
    if changes { &mut write } else { &mut read }.push(workspace.work().to_path_buf());
    read.extend(leave.readable.iter().cloned());
    read.push(workspace.objects());
    read.extend(project.object_folders());
    Bounds {
        write,
        read,
        canary: folder.join("made"),
        network: leave.network || leave.network_for.iter().any(|who| who == name),
        doors: door.cloned().into_iter().collect(),
        limits: leave.limits,
    }
}

/// Returns variables for inside: the toolchain's, with caches of the run's own where it writes them, those that lead to
/// the user's caches, and one for git.
pub(crate) fn variables(folder: &Path, environment: &Environment) -> Vec<(OsString, OsString)> {
    let own = folder.join("home/.cargo");
    let inside = |(name, value): &(OsString, OsString)| {
        let value = if name == "CARGO_HOME" {
            // Half a cache is a smaller cache.
            let _partly = borrow_cargo(Path::new(value), &own);
            own.clone().into_os_string()
        } else {
            value.clone()
        };
        (name.clone(), value)
    };
    // Git takes a configuration that is there and cannot be read for an error.
    let no_system = (OsString::from("GIT_CONFIG_NOSYSTEM"), OsString::from("1"));
    let caches = environment.caches.iter().map(|cache| (cache.variable.into(), cache.value.clone()));
    environment.toolchain.iter().map(inside).chain(caches).chain([no_system]).collect()
}

/// Makes a folder for Cargo whose caches are links to the user's, which stay as they are: what is downloaded inside comes
/// to lie beside them (FENCE-4). No credential is linked.
fn borrow_cargo(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.exists() {
        return Ok(());
    }
    fs::create_dir_all(to)?;
    for name in ["config.toml", "config", "bin"] {
        if from.join(name).exists() {
            symlink(from.join(name), to.join(name))?;
        }
    }
    mirror(&from.join("registry"), &to.join("registry"), 3)?;
    mirror(&from.join("git"), &to.join("git"), 2)
}

/// Makes folders like those of `from`, so many levels of them, and links to what lies in the last ones.
fn mirror(from: &Path, to: &Path, levels: usize) -> std::io::Result<()> {
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    fs::create_dir_all(to)?;
    for entry in entries.flatten() {
        let (inner_from, inner_to): (PathBuf, PathBuf) = (entry.path(), to.join(entry.file_name()));
        if levels > 1 && entry.file_type()?.is_dir() {
            mirror(&inner_from, &inner_to, levels - 1)?;
        } else {
            symlink(inner_from, inner_to)?;
        }
    }
    Ok(())
}
