//! Ends processes that an earlier driver left behind.
//!
//! A guard ends its descendants when its driver dies, but not at once: they are asked first. And a driver may have had no
//! guard. Whoever works in the same folders next would have them write into its work.
//!
//! Relies on: each child having been given a home folder made for it, which it hands on; on Linux, where `/proc` shows it.
//! Elsewhere nothing is found. Never: ends a process whose home is not below the folder. (One that has dropped the
//! variable is not found.)

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const LOOK_MS: u64 = 20;
/// How long a killed process may take to be gone.
const KILLED_MS: u64 = 5_000;

/// Waits until no process has its home below `folder`, at most for `patience_ms`, and kills those that are left.
pub fn end_strays(folder: &Path, patience_ms: u64) {
    let mut wanted = b"HOME=".to_vec();
    wanted.extend_from_slice(folder.as_os_str().as_bytes());
    wanted.push(b'/');
    let begun = Instant::now();
    loop {
        let strays = strays(&wanted);
        let passed = begun.elapsed();
        if strays.is_empty() || passed > Duration::from_millis(patience_ms.saturating_add(KILLED_MS)) {
            return;
        }
        if passed > Duration::from_millis(patience_ms) {
            for pid in strays {
                // It may have ended by itself.
                let _gone = kill_process(pid, Signal::KILL);
            }
        }
        thread::sleep(Duration::from_millis(LOOK_MS));
    }
}

fn strays(wanted: &[u8]) -> Vec<Pid> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            // A process that has ended, or that is somebody else's, shows nothing.
            let variables = fs::read(entry.path().join("environ")).ok()?;
            variables.split(|&byte| byte == 0).any(|variable| variable.starts_with(wanted)).then_some(pid)
        })
        .collect()
}
