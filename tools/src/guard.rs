//! The guard: a small process between us and a child, so that all of the child's descendants die with it and with us.
//!
//! Relies on: `PR_SET_CHILD_SUBREAPER` (Linux), by which descendants that leave their group or session are still ours to
//! find and reap; and on standard input as a lifeline: 8 bytes of length, the child's input, then nothing until its end,
//! which comes when the driver wants the child stopped or has died. A parent-death signal would not do: it follows the
//! thread that started us, and dying of it would free the descendants.
//! Never: outlives its child, or leaves a descendant behind. (A child that kills its guard escapes; only a process
//! namespace prevents that.)

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, PipeReader, Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::process::{ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, WaitOptions, WaitStatus, getpid, kill_process, kill_process_group, setrlimit, wait,
};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::fence::{REPORT_PLACE, Together, Watch, enter_groups};

/// The hidden subcommand by which a binary becomes a guard.
pub(crate) const GUARD_ARGUMENT: &str = "__guard";

const KILL_AGAIN_MS: u64 = 50;
/// What shells answer for a command that cannot be executed.
const CANNOT_START: i32 = 126;

/// Runs as a guard and returns the exit code for the process. `arguments` are those after `__guard`: the grace in
/// milliseconds, how it is watched (a word of `Watch`), for a fence the limits of all its processes together (memory in
/// bytes, a number of processes; `-` for none), the program's path, the program's arguments.
///
/// A child that dies of a signal makes the guard die of the same.
pub(crate) fn guard_main(arguments: impl IntoIterator<Item = OsString>) -> i32 {
    match guard(arguments.into_iter()) {
        Ok(status) => end_like(status),
        Err(error) => {
            let _ = writeln!(io::stderr(), "loom guard: {error}");
            CANNOT_START
        }
    }
}

fn guard(arguments: impl Iterator<Item = OsString>) -> io::Result<WaitStatus> {
    let mut arguments = arguments.peekable();
    let grace_ms = arguments.next().and_then(|grace| grace.to_str()?.parse().ok());
    let watch = arguments.next().and_then(|word| Watch::of_word(&word));
    let mut limit = || arguments.next_if(|_| watch != Some(Watch::Plain))?.to_str()?.parse().ok();
    let limits = Together { memory_max_bytes: limit(), processes_max: limit() };
    let (Some(grace_ms), Some(watch), Some(program)) = (grace_ms, watch, arguments.next()) else {
        return Err(io::Error::other("usage: __guard GRACE_MS WATCH [MEMORY PROCESSES] PROGRAM [ARGUMENT]..."));
    };
    let words = enter_groups(limits);
    #[cfg(target_os = "linux")]
    rustix::process::set_child_subreaper(Some(getpid()))?;
    let mut signals = Signals::new([SIGHUP, SIGINT, SIGTERM])?;
    let mut command = Command::new(program);
    command.stdin(Stdio::piped());
    let mut report = None;
    if watch == Watch::Plain {
        command.process_group(0).args(arguments);
    } else {
        let (read, write) = io::pipe()?;
        // Nothing else is started here, so nobody else inherits it.
        fcntl_setfd(&write, FdFlags::empty())?;
        let place = OsStr::new(REPORT_PLACE);
        let number = write.as_raw_fd().to_string();
        command.args(arguments.map(|argument| if argument == place { OsString::from(&number) } else { argument }));
        report = Some((read, write));
    }
    let mut child = command.spawn()?;
    let relay = report.map(|(read, write)| {
        drop(write);
        thread::spawn(move || relay(read, &words))
    });
    let pid = Pid::from_child(&child);
    let (stop, stopped) = channel();
    let on_signal = stop.clone();
    let (feed, fed) = channel();
    let stdin = child.stdin.take();
    thread::spawn(move || signals.forever().try_for_each(|_| on_signal.send(())));
    thread::spawn(move || feed_child(stdin, &fed));
    thread::spawn(move || watch_lifeline(feed, &stop));
    thread::spawn(move || stop_child(pid, watch, Duration::from_millis(grace_ms), &stopped));
    // `child` is waited for by its id together with every adopted orphan, never through its handle.
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if ended == pid => {
                reap_descendants();
                // Whoever could still write to it has ended.
                let _told = relay.map(thread::JoinHandle::join);
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

/// Hands what the stage reports, one line, to the driver: the lifeline is a socket then.
///
/// What the guard itself limits, for all of them together, is added.
fn relay(mut report: PipeReader, words: &[&str]) {
    let mut line = Vec::new();
    let mut byte = [0];
    while line.last() != Some(&b'\n') && matches!(report.read(&mut byte), Ok(1)) {
        line.push(byte[0]);
    }
    if line.starts_with(b"enforced ") && line.pop() == Some(b'\n') {
        let said = String::from_utf8_lossy(&line).into_owned();
        for word in words.iter().filter(|word| !said.split(' ').any(|said| said == **word)) {
            line.extend([b" ", word.as_bytes()].concat());
        }
        line.push(b'\n');
    }
    // A driver that is gone needs no report.
    let _gone = io::stdin().as_fd().try_clone_to_owned().map(|lifeline| File::from(lifeline).write_all(&line));
}

/// Asks, waits, then kills until the main thread has reaped the child and ends the process.
fn stop_child(child: Pid, watch: Watch, grace: Duration, stopped: &Receiver<()>) {
    if stopped.recv().is_err() {
        return;
    }
    match watch {
        Watch::Plain => {
            let _ = kill_process_group(child, Signal::TERM);
        }
        Watch::Stage => signal_descendants(Signal::TERM, 1),
        // The helper and the first process inside would end at once, and with them everybody else.
        Watch::Namespace => signal_descendants(Signal::TERM, 3),
    }
    thread::sleep(grace);
    loop {
        kill_descendants();
        thread::sleep(Duration::from_millis(KILL_AGAIN_MS));
    }
}

/// Kills and reaps until nothing is left. Whoever was forked during a sweep has a killed ancestor that is reaped here,
/// and after each reaping the sweep is repeated. Who is left without a parent is a child of ours: without one there is no
/// descendant, and nothing to look for.
fn reap_descendants() {
    let mut how = WaitOptions::NOHANG;
    loop {
        match wait(how) {
            Ok(Some(_)) | Err(Errno::INTR) => how = WaitOptions::NOHANG,
            Ok(None) => {
                kill_descendants();
                how = WaitOptions::empty();
            }
            Err(_) => return,
        }
    }
}

fn kill_descendants() {
    signal_descendants(Signal::KILL, 1);
}

/// Signals descendants that are at least so many generations away.
fn signal_descendants(signal: Signal, generation_min: usize) {
    let parents = parents();
    let guard = getpid().as_raw_nonzero().get();
    for &pid in parents.keys() {
        let mut ancestor = pid;
        // A pid recycled in the middle of the listing could close a circle.
        for generation in 1..=parents.len() {
            match parents.get(&ancestor) {
                Some(&parent) if parent == guard => {
                    if let Some(pid) = Pid::from_raw(pid).filter(|_| generation >= generation_min) {
                        let _ = kill_process(pid, signal);
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
