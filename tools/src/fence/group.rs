//! A control group for all processes of a fenced program, where the user may make one: mostly the administrator.
//!
//! ```text
//! guard: makes the group, sets its limits, enters it ── starts ──► everything else is born in it
//!    └── at the end: leaves it and removes it
//! ```
//!
//! Relies on the hierarchies being mounted where every distribution mounts them. Never: says that a limit is set which was
//! not read back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Threads of the guard itself, which is in the group, and of a helper.
const OWN_THREADS: u64 = 16;
const MOUNT: &str = "/sys/fs/cgroup";

/// Limits of all processes together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together {
    pub(crate) memory_max_bytes: Option<u64>,
    pub(crate) processes_max: Option<u64>,
}

/// Groups that this process is in until it leaves them.
#[derive(Default)]
pub(crate) struct Groups {
    entered: Vec<Entered>,
}

struct Entered {
    folder: PathBuf,
    before: PathBuf,
    word: &'static str,
}

struct Wanted {
    controller: &'static str,
    word: &'static str,
    /// The file with the limit in the old and the new hierarchy.
    files: [&'static str; 2],
    limit: u64,
}

impl Groups {
    /// Makes groups and enters them, as far as that is possible.
    pub(crate) fn enter(limits: Together) -> Self {
        let memory = limits.memory_max_bytes.map(|limit| Wanted {
            controller: "memory",
            word: "memory",
            files: ["memory.limit_in_bytes", "memory.max"],
            limit,
        });
        let processes = limits.processes_max.map(|limit| Wanted {
            controller: "pids",
            word: "process-count",
            files: ["pids.max", "pids.max"],
            limit: limit.saturating_add(OWN_THREADS),
        });
        let own = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let entered = memory.into_iter().chain(processes).filter_map(|wanted| enter(&wanted, &own).ok().flatten());
        Groups { entered: entered.collect() }
    }

    /// Returns the words that hold now.
    pub(crate) fn words(&self) -> Vec<&'static str> {
        self.entered.iter().map(|entered| entered.word).collect()
    }

    /// Leaves the groups and removes them. Call it when nobody else is in them.
    pub(crate) fn leave(self) {
        for Entered { folder, before, .. } in self.entered.into_iter().rev() {
            // A folder that stays is removed by the next one.
            let _stays = fs::write(before.join("cgroup.procs"), std::process::id().to_string());
            let _stays = fs::remove_dir(&folder);
        }
    }
}

/// Enters a group with one limit; absent where there is no hierarchy with that controller.
fn enter(wanted: &Wanted, own: &str) -> io::Result<Option<Entered>> {
    let mount = Path::new(MOUNT);
    let fields = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1).map(str::to_owned);
        Some((fields.next()?, fields.next()?))
    };
    let mut hierarchies = own.lines().filter_map(fields);
    let old = hierarchies.find(|(names, _)| names.split(',').any(|name| name == wanted.controller));
    let (before, parent, file) = if let Some((names, path)) = old {
        let mounted = [wanted.controller, &names].into_iter().map(|name| mount.join(name)).find(|path| path.is_dir());
        let Some(mounted) = mounted else { return Ok(None) };
        let before = inner(&mounted, &path);
        (before.clone(), before, wanted.files[0])
    } else {
        let Some((_, path)) = own.lines().filter_map(fields).find(|(names, _)| names.is_empty()) else {
            return Ok(None);
        };
        let before = inner(mount, &path);
        // Beside our own: a group with processes of its own can hand no controller on.
        let parent = if before == mount { before.clone() } else { before.parent().unwrap_or(mount).to_owned() };
        (before, parent, wanted.files[1])
    };
    if !before.join("cgroup.procs").exists() {
        return Ok(None);
    }
    remove_left(&parent);
    let folder = parent.join(format!("loom-{}", std::process::id()));
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let entered = || {
        fs::write(folder.join(file), wanted.limit.to_string())?;
        let set: u64 = fs::read_to_string(folder.join(file))?.trim().parse().map_err(io::Error::other)?;
        fs::write(folder.join("cgroup.procs"), std::process::id().to_string())?;
        Ok(set <= wanted.limit)
    };
    match entered() {
        Ok(true) => Ok(Some(Entered { folder, before, word: wanted.word })),
        refused => {
            let _stays = fs::remove_dir(&folder);
            refused.map(|_| None)
        }
    }
}

/// Returns our own group's folder; its root where it is out of sight, as inside a container.
fn inner(mount: &Path, path: &str) -> PathBuf {
    let inner = mount.join(path.trim_start_matches('/'));
    if inner.is_dir() { inner } else { mount.to_owned() }
}

/// Removes groups of guards that were killed.
fn remove_left(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("loom-")?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            // One in which somebody still lives cannot be removed.
            let _busy = fs::remove_dir(entry.path());
        }
    }
}
