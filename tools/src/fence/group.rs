//! A control group for all processes of a fenced program, where the user may make one: mostly the administrator.
//!
//! ```text
//! guard: makes the group, sets its limits, enters it ── starts ──► everything else is born in it
//! driver: removes it when the guard has ended; to leave it first would take the guard ten milliseconds
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
const MEMORY: &str = "memory";
const PROCESSES: &str = "pids";

/// Limits of all processes together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Together {
    pub(crate) memory_max_bytes: Option<u64>,
    pub(crate) processes_max: Option<u64>,
}

struct Wanted {
    controller: &'static str,
    word: &'static str,
    /// The file with the limit in the old and the new hierarchy.
    files: [&'static str; 2],
    limit: u64,
}

/// Makes groups and enters them, as far as that is possible. Returns the words that hold then.
pub(crate) fn enter(limits: Together) -> Vec<&'static str> {
    let memory = limits.memory_max_bytes.map(|limit| Wanted {
        controller: MEMORY,
        word: "memory",
        files: ["memory.limit_in_bytes", "memory.max"],
        limit,
    });
    let processes = limits.processes_max.map(|limit| Wanted {
        controller: PROCESSES,
        word: "process-count",
        files: ["pids.max", "pids.max"],
        limit: limit.saturating_add(OWN_THREADS),
    });
    let own = own();
    let words = |wanted: Wanted| enter_one(&wanted, &own).ok().flatten();
    memory.into_iter().chain(processes).filter_map(words).collect()
}

/// Removes the groups of a guard that has ended, with everybody in them.
pub(crate) fn remove(guard: u32) {
    let own = own();
    for place in [MEMORY, PROCESSES].into_iter().filter_map(|controller| place(controller, &own)) {
        // One that stays is removed by the next guard.
        let _stays = fs::remove_dir(place.parent.join(name(guard)));
    }
}

fn own() -> String {
    fs::read_to_string("/proc/self/cgroup").unwrap_or_default()
}

fn name(guard: u32) -> String {
    format!("loom-{guard}")
}

/// Where groups with one controller are made.
struct Place {
    parent: PathBuf,
    /// Whether it is the old hierarchy, in which each controller has its own.
    is_old: bool,
}

/// Returns where; absent where there is no hierarchy with that controller.
fn place(controller: &str, own: &str) -> Option<Place> {
    let mount = Path::new(MOUNT);
    let fields = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1).map(str::to_owned);
        Some((fields.next()?, fields.next()?))
    };
    let old = own.lines().filter_map(fields).find(|(names, _)| names.split(',').any(|name| name == controller));
    let is_old = old.is_some();
    let (before, parent) = if let Some((names, path)) = old {
        let mounted = [controller, &names].into_iter().map(|name| mount.join(name)).find(|path| path.is_dir())?;
        let before = inner(&mounted, &path);
        (before.clone(), before)
    } else {
        let (_, path) = own.lines().filter_map(fields).find(|(names, _)| names.is_empty())?;
        let before = inner(mount, &path);
        // Beside our own: a group with processes of its own can hand no controller on.
        let parent = if before == mount { before.clone() } else { before.parent().unwrap_or(mount).to_owned() };
        (before, parent)
    };
    before.join("cgroup.procs").exists().then_some(Place { parent, is_old })
}

/// Enters a group with one limit and returns its word; absent where there is no such hierarchy, or it sets no limit.
fn enter_one(wanted: &Wanted, own: &str) -> io::Result<Option<&'static str>> {
    let Some(Place { parent, is_old }) = place(wanted.controller, own) else { return Ok(None) };
    remove_left(&parent);
    let folder = parent.join(name(std::process::id()));
    match fs::create_dir(&folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let entered = || {
        let limit = folder.join(wanted.files[usize::from(!is_old)]);
        fs::write(&limit, wanted.limit.to_string())?;
        let set: u64 = fs::read_to_string(&limit)?.trim().parse().map_err(io::Error::other)?;
        fs::write(folder.join("cgroup.procs"), std::process::id().to_string())?;
        Ok(set <= wanted.limit)
    };
    match entered() {
        Ok(true) => Ok(Some(wanted.word)),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_of_guards_that_have_ended_are_removed_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let mut ended = std::process::Command::new(std::env::current_exe().unwrap()).arg("--list").spawn().unwrap();
        ended.wait().unwrap();
        let lives = name(std::process::id());
        for name in [&name(ended.id()), &lives, "other", "loom-x"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        remove_left(folder.path());
        let mut left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        let mut kept = [lives.as_str(), "loom-x", "other"];
        kept.sort_unstable();
        assert_eq!(left, kept);
    }
}
