//! What is measured on whole processes: start-up, first answers, memory.

use crate::instant::{Instant, bundle, opening, person};
use crate::prefill::open;
use loom_core::word::{Answer, Verdict};
use loom_host::environment::Environment;
use loom_host::order::Message;
use loom_host::request::{Ask, Request};
use loom_host::session::{Session, Wishes};
use loom_providers::{Script, Scripted, demo};
use loom_store::RunState;
use loom_tools::Guard;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Instant as Clock;

/// Returns the median wall time of a command in milliseconds.
pub(crate) fn median_ms(loom: &Path, arguments: &[&str], folder: &Path, runs: usize) -> f64 {
    median((0..runs).map(|_| once_ms(loom, arguments, folder)).collect())
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Runs git in a folder, as an author of its own.
pub(crate) fn git(folder: &Path, words: &[&str]) {
    let author = ["-c", "user.name=Bench", "-c", "user.email=bench@localhost"];
    let done = Command::new("git").args(author).args(words).current_dir(folder).status().expect("git");
    assert!(done.success(), "{words:?}");
}

fn once_ms(loom: &Path, arguments: &[&str], folder: &Path) -> f64 {
    let began = Clock::now();
    let done = Command::new(loom).args(arguments).current_dir(folder).output().expect("loom starts");
    assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    began.elapsed().as_secs_f64() * 1_000.0
}

/// Kills a process that writes to the store, then times the first answer; the median of five.
pub(crate) fn first_answer_after_kill_ms(loom: &Path, folder: &Path) -> f64 {
    let times = (0..5)
        .map(|_| {
            let mut child = again("killed-child", folder).stdout(Stdio::piped()).spawn().expect("a child");
            let mut said = String::new();
            BufReader::new(child.stdout.take().expect("piped")).read_line(&mut said).expect("it says that it writes");
            child.kill().expect("killed");
            child.wait().expect("reaped");
            once_ms(loom, &["status"], folder)
        })
        .collect();
    median(times)
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

/// Drives 64 runs of the demo's script at once, in a real repository with real checks, and prints the peak of its
/// resident memory in kilobytes. What checks use is their own.
pub(crate) fn memory_child(folder: &Path) {
    let project = folder.join("project");
    std::fs::create_dir_all(&project).expect("a folder");
    for (name, content) in demo::FILES {
        std::fs::write(project.join(name), content).expect("a file");
    }
    for words in [&["init", "--quiet", "-b", "main"][..], &["add", "--all"], &["commit", "--quiet", "-m", "Notes"]] {
        git(&project, words);
    }
    let environment = Environment { state_folder: folder.join("state"), ..Environment::read() };
    let script = Script::parse(demo::SCRIPT).expect("the demo's script");
    let provider = Arc::new(Scripted::new(script));
    let mut session = Session::open(&environment, &project, provider, Guard::None).expect("a session");
    let bundle = bundle();
    for number in 0..64u64 {
        let wishes = Wishes { policy: Some("on-blockers".to_string()), ..Wishes::default() };
        let request = number.to_be_bytes().to_vec();
        session.open_run(request, person(), demo::TASK, bundle.clone(), wishes).expect("a run");
    }
    let mut answers = 0u64;
    loop {
        session.drive(|_| false).expect("driven until nothing is under way");
        let gates: Vec<_> = session.engine().store().gates().expect("the gates");
        if gates.is_empty() {
            break;
        }
        for gate in gates {
            answers += 1;
            let ask =
                Ask::Answer { gate: gate.sequence, answer: Answer::Accept, note: None, artifact: None, signed: None };
            let id = [&[1][..], &answers.to_be_bytes()].concat();
            session.request(Request { stream: gate.stream, id, actor: person(), ask }).expect("an answer");
        }
    }
    let outcomes = session.engine().store().runs(64).expect("the runs");
    let done = outcomes.iter().filter(|run| run.state == RunState::Closed(Verdict::Accepted)).count();
    assert_eq!(done, 64, "every run is accepted: {outcomes:?}");
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    println!("{}", peak.trim().trim_end_matches("kB").trim());
}

fn again(what: &str, folder: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this executable"));
    command.arg(what).arg(folder);
    command
}
