//! `loom-sim`: explores the small processes or walks through them at random, and prints what was seen or the
//! shortest way found to break a law.

use loom_sim::explore::{Counterexample, explore};
use loom_sim::process::{self, Process};
use loom_sim::walk::walk;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

const USAGE: &str = "usage: loom-sim explore [--states MAX] [--at-least N] [--process NAME]
       loom-sim walk [--seed N] [--walks N] [--steps N] [--process NAME]
       loom-sim simulate [--seeds N] [--from N] | --seed N [--lie WORD]
       loom-sim crashes [--seeds N] [--from N] [--every N] | --seed N [--point K|none [--then J]] [--lie WORD]
       loom-sim tamper [--count N] [--seed N] [--shard I/N] [--state FILE]
       loom-sim agree [--count N] [--seed N] [--shard I/N] [--python PROGRAM] [--verifier FILE]";

struct Arguments {
    states: usize,
    at_least: usize,
    seed: u64,
    walks: usize,
    steps: usize,
    process: Option<String>,
}

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    match command.as_str() {
        "simulate" => return loom_sim::simulate::command(words),
        "tamper" => return loom_sim::tamper::command(words),
        "agree" => return loom_sim::tamper::command_agree(words),
        "crashes" => return loom_sim::simulate::command_crashes(words),
        _ => {}
    }
    let Some(arguments) = arguments(words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let only = arguments.process.as_deref();
    let processes: Vec<Process> =
        process::all().into_iter().filter(|it| only.is_none_or(|only| only == it.name)).collect();
    // Panics are caught and told as counterexamples.
    std::panic::set_hook(Box::new(|_| {}));
    let began = Instant::now();
    let told = match command.as_str() {
        "explore" => explore_all(processes, &arguments),
        "walk" => walk_all(&processes, &arguments).map_err(|found| found.to_string()),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match told {
        Ok(summary) => {
            println!("{summary}, {:.1} s, no law broken", began.elapsed().as_secs_f64());
            ExitCode::SUCCESS
        }
        Err(found) => {
            eprintln!("error: {found}");
            ExitCode::FAILURE
        }
    }
}

fn arguments(mut words: impl Iterator<Item = String>) -> Option<Arguments> {
    let mut found = Arguments { states: 1_000_000, at_least: 0, seed: 1, walks: 1_000, steps: 60, process: None };
    while let Some(name) = words.next() {
        let value = words.next()?;
        match name.as_str() {
            "--states" => found.states = value.parse().ok()?,
            "--at-least" => found.at_least = value.parse().ok()?,
            "--seed" => found.seed = value.parse().ok()?,
            "--walks" => found.walks = value.parse().ok()?,
            "--steps" => found.steps = value.parse().ok()?,
            "--process" => found.process = Some(value),
            _ => return None,
        }
    }
    Some(found)
}

/// What is left to explore: the states of processes that end early go to those after them.
struct Left {
    processes: std::vec::IntoIter<Process>,
    states: usize,
}

/// Explores all processes, as many at a time as there are cores; fewer distinct states than demanded are an error,
/// for `--states` only bounds them.
fn explore_all(processes: Vec<Process>, arguments: &Arguments) -> Result<String, String> {
    let left = Mutex::new(Left { processes: processes.into_iter(), states: arguments.states });
    let next = || {
        let mut left = left.lock().ok()?;
        let share = left.states.div_ceil(left.processes.len().max(1));
        let process = left.processes.next()?;
        left.states -= share;
        Some((process, share))
    };
    let work = || -> Result<(usize, usize), Box<Counterexample>> {
        let mut sum = (0, 0);
        while let Some((process, share)) = next() {
            let seen = explore(&process, share)?;
            let part = if seen.complete { "all of it" } else { "in part" };
            println!(
                "{:20} {:>9} states {:>10} commits {:>9} declined, depth {:>3}, {part} {:?}",
                process.name, seen.states, seen.commits, seen.declined, seen.depth, seen.ends
            );
            sum = (sum.0 + seen.states, sum.1 + seen.commits);
            if let Ok(mut left) = left.lock() {
                left.states += share.saturating_sub(seen.states);
            }
        }
        Ok(sum)
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let sums = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker's panics are caught")).collect::<Vec<_>>()
    });
    let (mut states, mut commits) = (0, 0);
    for sum in sums {
        let sum = sum.map_err(|found| found.to_string())?;
        states += sum.0;
        commits += sum.1;
    }
    if states < arguments.at_least {
        return Err(format!(
            "only {states} distinct states were found, and at least {} are demanded",
            arguments.at_least
        ));
    }
    Ok(format!("{states} distinct states, {commits} commits"))
}

fn walk_all(processes: &[Process], arguments: &Arguments) -> Result<String, Box<Counterexample>> {
    let mut moves = 0;
    for process in processes {
        let walked = walk(process, arguments.seed, arguments.walks, arguments.steps)?;
        println!("{:20} {:>9} moves, {} ended, longest {}", process.name, walked.moves, walked.ended, walked.longest);
        moves += walked.moves;
    }
    Ok(format!("{moves} moves"))
}
