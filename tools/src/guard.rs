//! The guard: a small process between us and a child, so that all of the child's descendants die with it and with us.
//!
//! Relies on: `PR_SET_CHILD_SUBREAPER` (Linux), by which descendants that leave their group or session are still ours to
//! find and reap; and on standard input as a lifeline: 8 bytes of length, the child's input, then nothing until its end,
//! which comes when the driver wants the child stopped or has died. A parent-death signal would not do: it follows the
//! thread that started us, and dying of it would free the descendants.
//! Never: outlives its child, or leaves a descendant behind. (A child that kills its guard escapes; only a process
//! namespace prevents that.)

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, setrlimit, wait,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

/// The hidden subcommand by which a binary becomes a guard.
pub const GUARD_ARGUMENT: &str = "__guard";

const KILL_AGAIN_MS: u64 = 50;
/// What shells answer for a command that cannot be executed.
const CANNOT_START: i32 = 126;

/// Runs as a guard and returns the exit code for the process. `arguments` are those after `__guard`: the grace in
/// milliseconds, the program's path, the program's arguments.
///
/// A child that dies of a signal makes the guard die of the same.
pub fn guard_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    match guard(arguments.into_iter()) {
        Ok(status) => end_like(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "loom guard: {error}");
            CANNOT_START
        }
    }
}

fn guard(mut arguments: impl Iterator<Item = OsString>) -> io::Result<WaitStatus> {
    let grace_ms = arguments.next().and_then(|grace| grace.to_str()?.parse().ok());
    let (Some(grace_ms), Some(program)) = (grace_ms, arguments.next()) else {
        return Err(io::Error::other("usage: __guard GRACE_MS PROGRAM [ARGUMENT]..."));
    };
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let mut child = Command::new(program).args(arguments).process_group(0).stdin(Stdio::piped()).spawn()?;
    let pid = Pid::from_child(&child);
    let (stop, stopped) = channel();
    let on_signal = stop.clone();
    let (feed, fed) = channel();
    let stdin = child.stdin.take();
    thread::spawn(move || signals.forever().try_for_each(|_| on_signal.send(())));
    thread::spawn(move || feed_child(stdin, &fed));
    thread::spawn(move || watch_lifeline(feed, &stop));
    thread::spawn(move || stop_child(pid, Duration::from_millis(grace_ms), &stopped));
    // `child` is waited for by its id together with every adopted orphan, never through its handle.
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                reap_descendants();
                return Ok(status);
            }
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Reads the child's input, then waits for the end of the pipe. It must not write to the child itself: a child that
/// does not read would keep it from seeing the driver's death.
fn watch_lifeline(feed: Sender<Vec<u8>>, stop: &Sender<()>) {
    let mut lifeline = io::stdin().lock();
    let mut length = [0; 8];
    if lifeline.read_exact(&mut length).is_ok() {
        let mut left = u64::from_le_bytes(length);
        let mut buffer = vec![0; 64 * 1024];
        while left > 0 {
            let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            match lifeline.read(&mut buffer[..wanted]) {
                Ok(0) => break,
                Ok(count) => {
                    left -= count as u64;
                    let _ = feed.send(buffer[..count].to_vec());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
    }
    drop(feed);
    let _ = io::copy(&mut lifeline, &mut io::sink());
    let _ = stop.send(());
}

fn feed_child(stdin: Option<ChildStdin>, fed: &Receiver<Vec<u8>>) {
    let Some(mut stdin) = stdin else { return };
    for bytes in fed {
        if stdin.write_all(&bytes).is_err() {
            return;
        }
    }
}

/// Asks, waits, then kills until the main thread has reaped the child and ends the process.
fn stop_child(child: Pid, grace: Duration, stopped: &Receiver<()>) {
    if stopped.recv().is_err() {
        return;
    }
    let _ = kill_process_group(child, Signal::TERM);
    thread::sleep(grace);
    loop {
        kill_descendants();
        thread::sleep(Duration::from_millis(KILL_AGAIN_MS));
    }
}

/// Kills and reaps until nothing is left. Whoever was forked during a sweep has a killed ancestor that is reaped here,
/// and after each reaping the sweep is repeated.
fn reap_descendants() {
    loop {
        kill_descendants();
        match wait(WaitOptions::empty()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
    }
}

fn kill_descendants() {
    let parents = parents();
    let guard = getpid().as_raw_nonzero().get();
    for &pid in parents.keys() {
        let mut ancestor = pid;
        // A pid recycled in the middle of the listing could close a circle.
        for _ in 0..parents.len() {
            match parents.get(&ancestor) {
                Some(&parent) if parent == guard => {
                    if let Some(pid) = Pid::from_raw(pid) {
                        let _ = kill_process(pid, Signal::KILL);
                    }
                    break;
                }
                Some(&parent) => ancestor = parent,
                None => break,
            }
        }
    }
}

/// Lists each process with its parent, from `/proc`; empty where there is none.
fn parents() -> BTreeMap<i32, i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return BTreeMap::new() };
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let stat = fs::read(entry.path().join("stat")).ok()?;
            // "PID (NAME) STATE PARENT ...": the name may hold anything, so count from the last parenthesis.
            let after = stat.iter().rposition(|&byte| byte == b')')? + 1;
            let parent = std::str::from_utf8(&stat[after..]).ok()?.split_ascii_whitespace().nth(1)?;
            Some((pid, parent.parse().ok()?))
        })
        .collect()
}

fn end_like(status: WaitStatus) -> i32 {
    if let Some(signal) = status.terminating_signal() {
        // The child's core dump was enough.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
        let _ = signal_hook::low_level::emulate_default_handler(signal);
    }
    status.exit_status().unwrap_or(CANNOT_START)
}
