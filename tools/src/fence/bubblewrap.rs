//! The fence `bubblewrap`: namespaces of its own for files, processes, network and the rest, made by the helper `bwrap`,
//! and the stage's filter and Landlock rules inside.
//!
//! Relies on bubblewrap 0.6 or newer and on user namespaces, or on being the administrator. The file system inside is
//! put together from nothing, so what is not named is not there. Never: gives a capability.

use super::{Fence, Inside, Watch, limit, system};
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// Where our own binary lies inside.
const STAGE: &str = "/run/loom/stage";
/// Bytes of a file system in memory where no size is set.
const MEMORY_FILES_BYTES: u64 = 1 << 30;

#[derive(Debug)]
pub(super) struct Bubblewrap {
    /// The helper.
    pub(super) program: PathBuf,
}

impl Fence for Bubblewrap {
    fn name(&self) -> &'static str {
        "bubblewrap"
    }

    fn watch(&self) -> Watch {
        Watch::Namespace
    }

    fn command_line(&self, stage: &Path, inside: &Inside<'_>) -> Vec<OsString> {
        let bounds = inside.bounds;
        let mut line = Line(vec![self.program.clone().into_os_string()]);
        line.add(&["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        if bounds.network {
            line.add(&["--share-net"]);
        }
        let size = bounds.limits.file_max_bytes.unwrap_or(MEMORY_FILES_BYTES).min(MEMORY_FILES_BYTES).to_string();
        line.add(&["--size", &size, "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"]);
        line.add(&["--size", &size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]);
        // The administrator owns the kernel's settings, and needs no capability to write what is his.
        line.add(&["--remount-ro", "/proc"]);
        let mut read: Vec<PathBuf> = system::readable().into_iter().chain(bounds.read.iter().cloned()).collect();
        read.push(inside.program.to_owned());
        // What lies in a folder that is shown is shown with it.
        read.sort();
        read.dedup_by(|path, before| path.starts_with(before));
        for path in &read {
            match system::link_target(path) {
                Some(target) => line.paths("--symlink", &target, path),
                None if path.exists() => line.paths("--ro-bind", path, path),
                None => {}
            }
        }
        let mut write = bounds.write.clone();
        write.sort();
        for path in &write {
            line.paths("--bind", path, path);
        }
        line.paths("--ro-bind", stage, Path::new(STAGE));
        let sockets: Vec<(u16, PathBuf)> =
            bounds.doors.iter().map(|door| (door.port, format!("/run/loom/door-{}", door.port).into())).collect();
        for (door, (_, place)) in bounds.doors.iter().zip(&sockets) {
            line.paths("--ro-bind", &door.socket, place);
        }
        line.add(&["--remount-ro", "/"]);
        line.0.extend(["--chdir".into(), inside.cwd.as_os_str().to_owned(), "--".into()]);
        if !sockets.is_empty() {
            line.add(&[STAGE, "__doors"]);
            for (port, place) in &sockets {
                line.0.extend([port.to_string().into(), place.as_os_str().to_owned()]);
            }
            line.add(&["--"]);
        }
        line.add(&[STAGE, "__fenced", "--inner", "yes", "--read", "/"]);
        for path in bounds.write.iter().cloned().chain(system::devices()).chain(OWN.iter().map(PathBuf::from)) {
            line.0.extend(["--write".into(), path.into_os_string()]);
        }
        line.0.extend(limit::arguments(&bounds.limits));
        line.0.extend(inside.outside.iter().cloned());
        line.0.extend(["--".into(), inside.program.as_os_str().to_owned()]);
        line.0.extend(inside.arguments.iter().cloned());
        line.0
    }
}

/// Places inside that are nobody else's.
const OWN: &[&str] = &["/tmp", "/dev/shm", "/dev/pts", "/dev/ptmx"];

struct Line(Vec<OsString>);

impl Line {
    fn add(&mut self, words: &[&str]) {
        self.0.extend(words.iter().map(|word| OsStr::new(word).to_owned()));
    }

    fn paths(&mut self, word: &str, from: &Path, to: &Path) {
        self.0.extend([word.into(), from.as_os_str().to_owned(), to.as_os_str().to_owned()]);
    }
}
