//! What is measured on whole processes: start-up, first answers, memory.

use crate::instant::{Instant, bundle, opening};
use crate::prefill::open;
use loom_host::order::Message;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Instant as Clock;

/// Returns the median wall time of a command in milliseconds.
pub(crate) fn median_ms(loom: &Path, arguments: &[&str], folder: &Path, runs: usize) -> f64 {
    let mut times: Vec<f64> = (0..runs).map(|_| once_ms(loom, arguments, folder)).collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn once_ms(loom: &Path, arguments: &[&str], folder: &Path) -> f64 {
    let began = Clock::now();
    let done = Command::new(loom).args(arguments).current_dir(folder).output().expect("loom starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    began.elapsed().as_secs_f64() * 1_000.0
}

/// Kills a process that writes to the store, then times the first answer; the median of five.
pub(crate) fn first_answer_after_kill_ms(loom: &Path, folder: &Path) -> f64 {
    let mut times: Vec<f64> = (0..5)
        .map(|_| {
            let mut child = again("killed-child", folder).stdout(Stdio::piped()).spawn().expect("a child");
            let mut said = String::new();
            BufReader::new(child.stdout.take().expect("piped")).read_line(&mut said).expect("it says that it writes");
            child.kill().expect("killed");
            child.wait().expect("reaped");
            once_ms(loom, &["status"], folder)
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[2]
}

/// Writes to the store for ever; says so once the first runs are on record.
pub(crate) fn killed_child(folder: &Path) {
    let mut bench = open(folder, Instant::default());
    let bundle = bundle();
    for number in 0.. {
        let (reply, _) = channel();
        let id = (u64::from(std::process::id()) << 32) + number;
        let mut messages: Vec<Message> = bench.inbox.try_iter().collect();
        messages.push(Message::Open(Box::new(opening(&bundle, id, "standard", "on-blockers")), reply));
        bench.engine.turn(messages).expect("a turn");
        if number == 20 {
            println!("writing");
        }
    }
}

/// Returns the peak resident memory of a process that drives 64 runs to their end, in megabytes.
pub(crate) fn peak_megabytes(folder: &Path) -> f64 {
    let done = again("memory-child", folder).output().expect("a child");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let kilobytes: f64 = String::from_utf8_lossy(&done.stdout).trim().parse().expect("a number");
    kilobytes / 1_000.0
}

/// Drives 64 runs at once to their end and prints the peak of its resident memory in kilobytes.
pub(crate) fn memory_child(folder: &Path) {
    let mut bench = open(folder, Instant::default());
    let bundle = bundle();
    let mut messages: Vec<Message> = (0..64)
        .map(|number| Message::Open(Box::new(opening(&bundle, number, "standard", "on-blockers")), channel().0))
        .collect();
    while !messages.is_empty() || bench.engine.is_busy() {
        bench.engine.turn(messages).expect("a turn");
        messages = bench.inbox.try_iter().collect();
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    println!("{}", peak.trim().trim_end_matches("kB").trim());
}

fn again(what: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command.arg(what).arg(folder);
    command
}
