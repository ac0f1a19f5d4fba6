//! `loom-sim simulate` and `loom-sim crashes`: many seeds, or one of them told event by event.

use super::crashes::{Crashes, crashes, of_seed};
use super::play::{Failure, Report, Setup, simulate};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "usage: loom-sim simulate [--seeds N] [--from N] | --seed N";

const USAGE_CRASHES: &str =
    "usage: loom-sim crashes [--seeds N] [--from N] [--every N] | --seed N [--point K [--then J]]";

/// Runs `simulate` with these arguments.
pub fn command(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut seeds, mut from, mut only) = (1_000, 0, None);
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next().and_then(|value| value.parse::<u64>().ok())) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            ("--seed", Some(value)) => only = Some(value),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    match only {
        Some(seed) => replay(seed, &Setup::plain()),
        None => many(from, seeds),
    }
}

/// Runs `crashes` with these arguments.
pub fn command_crashes(mut arguments: impl Iterator<Item = String>) -> ExitCode {
    let (mut seeds, mut from, mut every, mut only, mut points) = (10, 0, 1, None, Vec::new());
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next().and_then(|value| value.parse::<u64>().ok())) {
            ("--seeds", Some(value)) => seeds = value,
            ("--from", Some(value)) => from = value,
            ("--every", Some(value)) => every = value,
            ("--seed", Some(value)) => only = Some(value),
            ("--point" | "--then", Some(value)) => points.push(value),
            _ => {
                eprintln!("{USAGE_CRASHES}");
                return ExitCode::from(2);
            }
        }
    }
    match only {
        Some(seed) if !points.is_empty() => replay(seed, &of_seed(&Setup::plain(), seed, points)),
        Some(seed) => every_crash(seed, 1, every),
        None => every_crash(from, seeds, every),
    }
}

/// Plays the crashes of seeds, as many seeds at a time as there are cores.
fn every_crash(from: u64, seeds: u64, every: u64) -> ExitCode {
    let began = Instant::now();
    let setup = Setup::plain();
    let next = AtomicU64::new(from);
    let work = || -> Result<Crashes, Box<Failure>> {
        let mut sum = Crashes::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(seeds) {
                return Ok(sum);
            }
            sum.add(&crashes(seed, every, &setup)?);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let sums = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().expect("a worker catches what is to unwind")).collect::<Vec<_>>()
    });
    let mut total = Crashes::default();
    for sum in sums {
        match sum {
            Ok(sum) => total.add(&sum),
            Err(failure) => {
                eprintln!("error: {failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    let Crashes { points, single, pairs, total } = total;
    println!("{total:#?}");
    println!(
        "{seeds} seeds with {points} points, {single} died at and {pairs} pairs, {:.1} s, no law broken",
        began.elapsed().as_secs_f64()
    );
    ExitCode::SUCCESS
}

fn replay(seed: u64, setup: &Setup) -> ExitCode {
    match simulate(seed, &setup.clone().traced()) {
        Ok(report) => {
            report.trace.iter().for_each(|line| println!("{line}"));
            println!("{:#?}", Report { trace: Vec::new(), ..report });
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn many(from: u64, seeds: u64) -> ExitCode {
    let setup = Setup::plain();
    let began = Instant::now();
    let mut total = Report::default();
    for seed in from..from.saturating_add(seeds) {
        match simulate(seed, &setup) {
            Ok(report) => total.add(&report),
            Err(failure) => {
                eprintln!("error: {failure}");
                return ExitCode::FAILURE;
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    println!("{total:#?}");
    println!("{seeds} seeds, {:.1} a second, no law broken", seeds as f64 / seconds.max(0.001));
    ExitCode::SUCCESS
}
