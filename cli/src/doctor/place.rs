//! This project: repository, checks, the folders of Loom, the store and who holds it, disks.

use super::machine::program;
use super::{Finding, argument};
use crate::project::{self, FOLDER, ask_holder};
use crate::text::bytes;
use loom_bundles::discover;
use loom_core::id::StreamId;
use loom_host::environment::Environment;
use loom_host::reset::leftovers;
use loom_server::{RemoteStore, socket_of};
use loom_store::{RedbStore, RunState, Store, StoreError};
use loom_tools::{Error, Git, Project};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Less room than this is little, in bytes.
const ROOM_MIN: u64 = 1024 * 1024 * 1024;
/// How far ahead of the clock the log may be, in milliseconds.
const AHEAD_MS: u64 = 5 * 60 * 1000;

pub(super) fn examine(dir: Option<&Path>) -> Vec<Finding> {
    let environment = Environment::read();
    let mut findings = Vec::new();
    let here = dir.map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let root = repository(&environment, &here, &mut findings);
    if let Some(root) = &root {
        checks(&environment, root, &mut findings);
    }
    let state = &environment.state_folder;
    if state.exists() {
        owned("state-folder", state, &mut findings);
    } else {
        findings.push(Finding::note("state-folder", format!("{} will be made by the first run", state.display())));
    }
    disk("disk-state", state, &mut findings);
    match project::find(dir) {
        Ok(folder) => {
            owned("loom-folder", &folder, &mut findings);
            disk("disk-store", &folder, &mut findings);
            store(&environment, &folder, &mut findings);
        }
        Err(_) => findings.push(Finding::note("store", "there is no store here yet; `loom run` makes one")),
    }
    findings
}

/// Returns the top folder of the repository.
fn repository(environment: &Environment, here: &Path, findings: &mut Vec<Finding>) -> Option<PathBuf> {
    let scratch = tempfile::tempdir().ok()?;
    let git = Git::find(&environment.search_path, scratch.path()).ok()?;
    // A store's own folder may have been named.
    let here = if here.ends_with(FOLDER) { here.parent().unwrap_or(here) } else { here };
    let here = if here.as_os_str().is_empty() { Path::new(".") } else { here };
    match Project::open(&git, here) {
        Ok(project) => {
            let on = project.head().branch.as_deref().map(|name| String::from_utf8_lossy(name).into_owned());
            let on = on.map_or_else(|| "no branch".to_string(), |name| format!("branch {name}"));
            findings.push(Finding::note("project", format!("{} is on {on}", project.root().display())));
            Some(project.root().to_path_buf())
        }
        Err(error) => {
            let repair = match &error {
                Error::NotARepository { .. } => "git init".to_string(),
                Error::Empty { path } => format!("git -C {} commit --allow-empty -m first", argument(path)),
                Error::Bare { path } => format!("git clone {}", argument(path)),
                _ => format!("git -C {} fsck", argument(here)),
            };
            findings.push(Finding::error("project", error.to_string(), repair));
            None
        }
    }
}

fn checks(environment: &Environment, root: &Path, findings: &mut Vec<Finding>) {
    let file = |name: &str| {
        let path = root.join(name);
        fs::symlink_metadata(&path).is_ok_and(|found| found.is_file()).then(|| fs::read(&path).ok()).flatten()
    };
    let checks = match discover(&file) {
        Ok(checks) => checks,
        Err(errors) => {
            for error in errors {
                findings.push(Finding::error("checks", error.to_string(), "loom explain LOOM-E063"));
            }
            return;
        }
    };
    if checks.found.is_empty() {
        findings.push(Finding::warning(
            "checks",
            "no check was found: a run cannot tell whether its work holds",
            "printf '[checks]\\ntest = [\"PROGRAM\", \"ARGUMENT\"]\\n' >> loom.toml",
        ));
    }
    for check in checks.found {
        let Some(name) = check.argv.first() else { continue };
        let is_there = match name.contains('/') {
            true => root.join(name).is_file(),
            false => program(name, &environment.search_path).is_some(),
        };
        findings.push(match is_there {
            true => Finding::note("checks", format!("check {} runs {}", check.name, check.argv.join(" "))),
            false => Finding::warning(
                "checks",
                format!("check {} runs {name}, which is not there", check.name),
                format!("command -v {name} || apt-get install {name}"),
            ),
        });
    }
}

/// A folder of Loom's belongs to its user, and nobody else may write there.
fn owned(id: &'static str, folder: &Path, findings: &mut Vec<Finding>) {
    let Ok(found) = fs::metadata(folder) else {
        let repair = format!("ls -ld {}", argument(folder));
        findings.push(Finding::error(id, format!("{} cannot be looked at", folder.display()), repair));
        return;
    };
    let own = rustix::process::geteuid().as_raw();
    if found.uid() != own && found.uid() != 0 {
        let says = format!("{} belongs to user {}", folder.display(), found.uid());
        findings.push(Finding::error(id, says, format!("chown -R {own} {}", argument(folder))));
    } else if found.mode() & 0o022 != 0 {
        let says = format!("others may write in {} (mode {:o})", folder.display(), found.mode() & 0o777);
        findings.push(Finding::warning(id, says, format!("chmod go-w {}", argument(folder))));
    } else {
        findings.push(Finding::note(id, format!("{} is yours", folder.display())));
    }
}

/// Room on a folder's disk, and whether that disk is a network's.
fn disk(id: &'static str, folder: &Path, findings: &mut Vec<Finding>) {
    let Some(there) = folder.ancestors().find(|path| path.exists()) else { return };
    match rustix::fs::statvfs(there) {
        Ok(found) => {
            let room = found.f_bavail.saturating_mul(found.f_frsize);
            let says = format!("{} free at {}", bytes(room), there.display());
            findings.push(match room < ROOM_MIN {
                true => Finding::warning(id, says, format!("df -h {}", argument(there))),
                false => Finding::note(id, says),
            });
        }
        Err(error) => {
            let says = format!("the room at {} cannot be told: {error}", there.display());
            findings.push(Finding::warning(id, says, format!("df -h {}", argument(there))));
        }
    }
    if let Some(name) = network(there) {
        findings.push(Finding::warning(
            "network-disk",
            format!("{} lies on a network file system ({name}): locks and syncs may not hold there", there.display()),
            "export LOOM_STATE_DIR=/var/tmp/loom",
        ));
    }
}

/// Returns the name of the network file system that a folder lies on.
#[cfg(target_os = "linux")]
fn network(folder: &Path) -> Option<&'static str> {
    const KNOWN: &[(u32, &str)] = &[
        (0x6969, "NFS"),
        (0x517b, "SMB"),
        (0xff53_4d42, "CIFS"),
        (0xfe53_4d42, "SMB2"),
        (0x0102_1997, "9P"),
        (0x00c3_6400, "Ceph"),
        (0x5346_414f, "AFS"),
        (0x6b41_4653, "AFS"),
    ];
    let magic = u32::try_from(rustix::fs::statfs(folder).ok()?.f_type & 0xffff_ffff).ok()?;
    KNOWN.iter().find(|(known, _)| *known == magic).map(|(_, name)| *name)
}

#[cfg(not(target_os = "linux"))]
fn network(_: &Path) -> Option<&'static str> {
    None
}

fn store(environment: &Environment, folder: &Path, findings: &mut Vec<Finding>) {
    let socket = socket_of(&environment.state_folder, folder).ok();
    let found: Result<Box<dyn Store>, StoreError> = match RedbStore::open_to_read(folder) {
        Ok(store) => Ok(Box::new(store)),
        Err(StoreError::Held { dir, pid }) => match ask_holder(folder) {
            Some(holder) => {
                let who = pid.map_or_else(|| "another process".to_string(), |pid| format!("process {pid}"));
                findings.push(Finding::note("holder", format!("{who} holds the store and answers")));
                Ok(Box::new(holder))
            }
            None => Err(StoreError::Held { dir, pid }),
        },
        Err(error) => Err(error),
    };
    match &found {
        Ok(store) => health(store.as_ref(), findings),
        Err(error @ StoreError::Held { pid, .. }) => {
            let repair = pid.map_or_else(|| "loom status".to_string(), |pid| format!("kill {pid}"));
            findings.push(Finding::warning("holder", format!("{error} and nobody answers"), repair));
        }
        Err(error @ StoreError::Damaged(_)) => {
            findings.push(Finding::error("store", error.to_string(), "loom verify"));
        }
        Err(error) => findings.push(Finding::error("store", error.to_string(), "loom explain LOOM-E049")),
    }
    let is_held = findings.iter().any(|finding| finding.id == "holder");
    let left = socket.filter(|socket| socket.exists() && !is_held && RemoteStore::connect(socket).is_err());
    findings.extend(left.map(|socket| Finding {
        repair: Some(format!("rm {}", argument(&socket))),
        ..Finding::note("socket", "a holder that died left its socket; the next one replaces it")
    }));
    let Ok(store) = found else { return };
    let open: Vec<StreamId> = store
        .runs(usize::MAX)
        .unwrap_or_default()
        .into_iter()
        .filter(|run| !matches!(run.state, RunState::Closed(_)))
        .map(|run| run.stream)
        .collect();
    match leftovers(environment, store.as_ref(), &open) {
        Ok(found) if found.workspaces.is_empty() && found.scratch.is_empty() => {}
        Ok(found) => findings.push(Finding {
            repair: Some("loom reset --dry-run".to_string()),
            ..Finding::note(
                "leftovers",
                format!(
                    "{} workspaces and {} folders of scratch lie around",
                    found.workspaces.len(),
                    found.scratch.len()
                ),
            )
        }),
        Err(error) => findings.push(Finding::warning("leftovers", error.to_string(), "loom verify")),
    }
}

fn health(store: &dyn Store, findings: &mut Vec<Finding>) {
    match store.health().and_then(|health| Ok((health, store.tree_head()?, store.runs(1)?))) {
        Ok((health, (size, _), last)) if size == health.events => {
            findings.push(Finding::note("store", format!("{size} events, {}", bytes(health.file_bytes))));
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
            if last.first().is_some_and(|run| u128::from(run.last.ms) > now + u128::from(AHEAD_MS)) {
                findings.push(Finding::warning(
                    "clock",
                    "the log is ahead of this machine's clock: deadlines come later than they should",
                    "timedatectl set-ntp true",
                ));
            }
        }
        Ok((health, (size, _), _)) => {
            let says = format!("the tree has {size} events and the log {}", health.events);
            findings.push(Finding::error("store", says, "loom verify"));
        }
        Err(error) => findings.push(Finding::error("store", error.to_string(), "loom verify")),
    }
}
