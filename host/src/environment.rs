//! The only place that reads environment variables; everybody else gets what stands here.

use crate::caches::{self, Cache};
use crate::toolchains;
use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Marks every process that Loom starts for a run: the sequence of what asked for it.
pub const SPAWN_VARIABLE: &str = "LOOM_SPAWN";

/// What Loom takes from its environment.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where programs are looked for.
    pub search_path: OsString,
    /// Folder for Loom's state outside of projects: `LOOM_STATE_DIR`, else `$XDG_STATE_HOME/loom`, else
    /// `~/.local/state/loom`. Always absolute: what is empty or relative in the last two does not count, as the XDG Base
    /// Directory Specification has it.
    pub state_folder: PathBuf,
    /// The user's home folder, where they have one.
    pub home: Option<PathBuf>,
    /// Folder for what the user sets up: `$XDG_CONFIG_HOME/loom`, else `~/.config/loom`. Always absolute, by the same
    /// rule.
    pub config_folder: PathBuf,
    /// Folder for what belongs to the user and is no setting, such as keys: `$XDG_DATA_HOME/loom`, else
    /// `~/.local/share/loom`.
    pub data_folder: PathBuf,
    /// The variables whose names begin with `LOOM_`, by name; those that are empty or no text are left out.
    pub settings: BTreeMap<String, String>,
    /// Variables that toolchains of checks need and that carry no secret, with their values.
    pub toolchain: Vec<(OsString, OsString)>,
    /// Caches of packages that the user has, for tools that can read them beside their own.
    pub caches: Vec<Cache>,
    /// The spawn or check that this process descends from, if any mark is found on the way up.
    pub descends: Option<u64>,
}

impl Environment {
    /// Reads the environment of this process.
    pub fn read() -> Self {
        let absolute = |path: PathBuf| path.is_absolute().then_some(path);
        // Without HOME it is what the system's list of users says.
        let home = env::home_dir().and_then(absolute);
        let below_home = |name: &str| home.as_ref().map(|home| home.join(name)).filter(|path| path.is_dir());
        let state_folder = env::var_os("LOOM_STATE_DIR")
            .filter(|folder| !folder.is_empty())
            .and_then(|folder| std::path::absolute(folder).ok())
            .or_else(|| Some(absolute(PathBuf::from(env::var_os("XDG_STATE_HOME")?))?.join("loom")))
            .or_else(|| home.as_ref().map(|home| home.join(".local/state/loom")))
            .unwrap_or_else(|| env::temp_dir().join(format!("loom-{}", rustix::process::getuid().as_raw())));
        // Without a home of the user's there is nothing of theirs: what stands in for it is made for Loom's state.
        let of_user = |variable: &str, below: &str| {
            let named = env::var_os(variable).map(PathBuf::from).and_then(absolute);
            let folder = named.or_else(|| home.as_ref().map(|home| home.join(below)));
            folder.map_or_else(|| state_folder.join("user").join(below), |folder| folder.join("loom"))
        };
        let settings = env::vars_os().filter_map(|(name, value)| {
            let (name, value) = (name.into_string().ok()?, value.into_string().ok()?);
            (name.starts_with("LOOM_") && !value.is_empty()).then_some((name, value))
        });
        let toolchain = [("RUSTUP_HOME", ".rustup"), ("CARGO_HOME", ".cargo")]
            .into_iter()
            .filter_map(|(variable, folder)| {
                let value = env::var_os(variable).or_else(|| below_home(folder).map(PathBuf::into_os_string))?;
                Some((OsString::from(variable), value))
            })
            .chain(env::var_os("RUSTUP_TOOLCHAIN").map(|value| (OsString::from("RUSTUP_TOOLCHAIN"), value)))
            .collect();
        Environment {
            search_path: env::var_os("PATH").unwrap_or_else(|| OsString::from("/usr/local/bin:/usr/bin:/bin")),
            config_folder: of_user("XDG_CONFIG_HOME", ".config"),
            data_folder: of_user("XDG_DATA_HOME", ".local/share"),
            settings: settings.collect(),
            caches: caches::found(home.as_deref(), |name| env::var_os(name)),
            home: home.clone(),
            state_folder,
            toolchain,
            descends: env::var(SPAWN_VARIABLE).ok().and_then(|mark| mark.parse().ok()).or_else(|| spawn_above("self")),
        }
    }

    /// Returns what programs of a run may read beside the system's own: toolchains, caches, and of Cargo's folder those
    /// and the configuration, not the credentials.
    pub(crate) fn readable(&self, project: &Path) -> Vec<PathBuf> {
        let own = [project, &self.state_folder, &self.config_folder, &self.data_folder];
        let mut found = toolchains::readable(&self.search_path, self.home.as_deref(), &own);
        found.extend(self.caches.iter().map(|cache| cache.folder.clone()));
        for (name, value) in &self.toolchain {
            let folder = PathBuf::from(value);
            if !folder.is_absolute() {
                continue;
            }
            if name == "RUSTUP_HOME" {
                found.push(folder);
            } else if name == "CARGO_HOME" {
                let inner = ["registry", "git", "bin", "config.toml", "config"].map(|name| folder.join(name));
                found.extend(inner.into_iter().filter(|path| path.exists()));
            }
        }
        found
    }
}

/// Returns a variable that a setting names, such as the one that holds a credential; one that is empty counts as absent.
pub fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

/// Returns the spawn or check that a process descends from: looks for the mark in the environments that the process
/// and its ancestors were started with.
pub fn spawn_of_process(process: i32) -> Option<u64> {
    let process = process.to_string();
    mark_of(&process).or_else(|| spawn_above(&process))
}

fn mark_of(process: &str) -> Option<u64> {
    let prefix = format!("{SPAWN_VARIABLE}=");
    let environ = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
    environ
        .split(|byte| *byte == 0)
        .find_map(|entry| std::str::from_utf8(entry).ok()?.strip_prefix(&prefix)?.parse().ok())
}

fn spawn_above(process: &str) -> Option<u64> {
    let mut process = process.to_string();
    // A process id that wraps around could make a circle; no honest line of descent is this long.
    for _ in 0..64 {
        let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().to_string();
        if parent == "0" || parent == "1" {
            return None;
        }
        let mark = mark_of(&parent);
        if mark.is_some() {
            return mark;
        }
        process = parent;
    }
    None
}
