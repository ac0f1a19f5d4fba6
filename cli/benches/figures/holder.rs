//! What a holder of a store costs and how fast it tells: events on the screen of `loom log -f`, and `loom watch` at rest.

use crate::instant::{Instant, bundle, opening};
use crate::prefill::open;
use crate::process::git;
use loom_host::order::Message;
use loom_providers::demo;
use loom_server::{Holder, socket_of};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant as Clock};

/// How events came to a screen.
pub(crate) struct Told {
    /// Events a second that were really recorded.
    pub(crate) rate: f64,
    /// From the beginning of the commit to the line on the screen, in milliseconds.
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
    /// Of the same events, until their commit was durable, in milliseconds.
    pub(crate) durable_p99_ms: f64,
}

/// Records so many events a second for so long, while `loom log -f` reads along through the socket.
pub(crate) fn told(folder: &Path, loom: &Path, a_second: f64, seconds: f64) -> Told {
    let mut bench = open(folder, Instant::default());
    let bundle = bundle();
    let store = bench.engine.store().clone();
    let state = folder.join("state");
    let socket = socket_of(&state, &folder.join(".loom")).expect("a place for the socket");
    let _holder = Holder::listen(socket, store.clone(), None).expect("it listens");
    let mut command = Command::new(loom);
    command.args(["log", "-f", "--jsonl"]).current_dir(folder).env("LOOM_STATE_DIR", &state);
    let mut screen = command.stdout(Stdio::piped()).spawn().expect("loom starts");
    let (line, lines) = channel();
    let reader = BufReader::new(screen.stdout.take().expect("piped"));
    std::thread::spawn(move || {
        for _ in reader.lines().map_while(Result::ok) {
            if line.send(Clock::now()).is_err() {
                return;
            }
        }
    });
    // The store's first event is told when the screen follows.
    lines.recv_timeout(Duration::from_secs(30)).expect("it follows");
    let from = store.size();
    let mut seen = 1;
    while seen < from {
        lines.recv_timeout(Duration::from_secs(30)).expect("it follows");
        seen += 1;
    }
    let (began, mut number, mut recorded) = (Clock::now(), 0, Vec::new());
    while began.elapsed().as_secs_f64() < seconds {
        if recorded.len() as f64 >= began.elapsed().as_secs_f64() * a_second {
            std::thread::sleep(Duration::from_micros(200));
            continue;
        }
        let message = bench.inbox.try_recv().unwrap_or_else(|_| {
            number += 1;
            Message::Open(Box::new(opening(&bundle, number, "standard", "on-blockers")), channel().0)
        });
        let (before, turned) = (store.size(), Clock::now());
        bench.engine.turn(vec![message]).expect("a turn");
        let took = turned.elapsed().as_secs_f64() * 1e3;
        recorded.extend((before..store.size()).map(|_| (turned, took)));
    }
    let rate = recorded.len() as f64 / began.elapsed().as_secs_f64();
    let mut late: Vec<f64> = recorded
        .iter()
        .map(|(turned, _)| lines.recv_timeout(Duration::from_secs(30)).expect("told").duration_since(*turned))
        .map(|late| late.as_secs_f64() * 1e3)
        .collect();
    end(screen);
    let mut durable: Vec<f64> = recorded.into_iter().map(|(_, took)| took).collect();
    late.sort_by(f64::total_cmp);
    durable.sort_by(f64::total_cmp);
    let p99 = late.len() * 99 / 100;
    Told { rate, median_ms: late[late.len() / 2], p99_ms: late[p99], durable_p99_ms: durable[p99] }
}

/// Returns the resident memory of `loom watch` without work, in megabytes, and how often it wakes up, a second.
pub(crate) fn idle(folder: &Path, loom: &Path) -> (f64, f64) {
    let project = folder.join("project");
    fs::create_dir_all(&project).expect("a folder");
    for (name, content) in demo::FILES {
        fs::write(project.join(name), content).expect("a file");
    }
    fs::write(folder.join("model.toml"), demo::SCRIPT).expect("a file");
    for words in [&["init", "--quiet", "-b", "main"][..], &["add", "--all"], &["commit", "--quiet", "-m", "Notes"]] {
        git(&project, words);
    }
    let command = |words: &[&str]| {
        let mut command = Command::new(loom);
        command.args(words).current_dir(&project).stdin(Stdio::null());
        for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "LOOM_STATE_DIR"] {
            command.env(variable, folder.join(variable));
        }
        command
    };
    assert!(command(&["allowlist", "add"]).output().expect("loom starts").status.success());
    let script = folder.join("model.toml").display().to_string();
    let mut watch = command(&["watch", "--script", &script]).stderr(Stdio::piped()).spawn().expect("loom starts");
    let mut lines = BufReader::new(watch.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("watching")), "it says that it watches");
    // What its start needs is over by then.
    std::thread::sleep(Duration::from_secs(3));
    let (began, before) = (Clock::now(), wakes(watch.id()));
    std::thread::sleep(Duration::from_secs(10));
    let a_second = (wakes(watch.id()) - before) as f64 / began.elapsed().as_secs_f64();
    let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).expect("Linux");
    let megabytes = field(&status, "VmRSS:") as f64 / 1e3;
    end(watch);
    (megabytes, a_second)
}

/// Returns how often all threads of a process have given up the processor by themselves.
fn wakes(process: u32) -> u64 {
    let threads = fs::read_dir(format!("/proc/{process}/task")).expect("Linux");
    let statuses = threads.flatten().filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
    statuses.map(|status| field(&status, "voluntary_ctxt_switches:")).sum()
}

fn field(status: &str, name: &str) -> u64 {
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it is there");
    line.split_whitespace().next().expect("a number").parse().expect("a number")
}

fn end(mut child: Child) {
    child.kill().expect("killed");
    child.wait().expect("reaped");
}
