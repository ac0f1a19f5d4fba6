//! Limits on the way to the stage.
//!
//! Never: raises a limit that is there already.

use super::Limits;
use std::ffi::OsString;

/// Returns the stage's arguments for limits.
pub(super) fn arguments(limits: &Limits) -> Vec<OsString> {
    [
        ("--memory", limits.memory_max_bytes),
        ("--processes", limits.processes_max.map(|most| most.saturating_add(own_threads()))),
        ("--file-size", limits.file_max_bytes),
    ]
    .into_iter()
    .filter_map(|(name, limit)| Some([OsString::from(name), limit?.to_string().into()]))
    .flatten()
    .collect()
}

/// How many threads the user has already: the kernel counts them all. Nothing for the administrator, whose processes it
/// does not limit this way.
fn own_threads() -> u64 {
    use std::os::unix::fs::MetadataExt;
    let user = rustix::process::geteuid();
    if user.is_root() {
        return 0;
    }
    let Ok(entries) = std::fs::read_dir("/proc") else { return 0 };
    let own = entries.flatten().filter(|entry| entry.metadata().is_ok_and(|found| found.uid() == user.as_raw()));
    let threads = own.filter_map(|entry| std::fs::read_dir(entry.path().join("task")).ok());
    threads.map(|tasks| tasks.count() as u64).sum()
}
