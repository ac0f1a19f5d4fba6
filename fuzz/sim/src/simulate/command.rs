//! `loom-sim simulate` and `loom-sim crashes`: many seeds, or one of them told event by event.

use super::crashes::{Crashes, crashes, of_seed};
use super::play::{Failure, Report, Setup, simulate};
use super::store::Lie;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

const USAGE: &str = "usage: loom-sim simulate [--seeds N] [--from N] | --seed N [--lie WORD]";

const USAGE_CRASHES: &str =
    "usage: loom-sim crashes [--seeds N] [--from N] [--every N] | --seed N [--point K|none [--then J]] [--lie WORD]";

/// What both commands are told.
struct Arguments {
    seeds: u64,
    from: u64,
    every: u64,
    seed: Option<u64>,
    points: Option<Vec<u64>>,
    setup: Setup,
}

impl Arguments {
    fn read(seeds: u64, mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut found = Arguments { seeds, from: 0, every: 1, seed: None, points: None, setup: Setup::plain() };
        while let Some(name) = words.next() {
            let value = words.next()?;
            match name.as_str() {
                "--seeds" => found.seeds = value.parse().ok()?,
                "--from" => found.from = value.parse().ok()?,
                "--every" => found.every = value.parse().ok()?,
                "--seed" => found.seed = Some(value.parse().ok()?),
                "--point" if value == "none" => found.points = Some(Vec::new()),
                "--point" | "--then" => found.points.get_or_insert_default().push(value.parse().ok()?),
                "--lie" => found.setup = found.setup.lying(Lie::of(&value)?),
                #[cfg(feature = "planted")]
                "--fault" => found.setup = found.setup.with_fault(value.parse().ok()?),
                _ => return None,
            }
        }
        Some(found)
    }
}

/// Runs `simulate` with these arguments.
pub fn command(words: impl Iterator<Item = String>) -> ExitCode {
    match Arguments::read(1_000, words) {
        Some(Arguments { every: 1, points: None, seeds, from, seed, setup }) => match seed {
            Some(seed) => replay(seed, &setup),
            None => many(from, seeds, &setup),
        },
        Some(_) | None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs `crashes` with these arguments.
pub fn command_crashes(words: impl Iterator<Item = String>) -> ExitCode {
    let Some(Arguments { seeds, from, every, seed, points, setup }) = Arguments::read(10, words) else {
        eprintln!("{USAGE_CRASHES}");
        return ExitCode::from(2);
    };
    match (seed, points) {
        (Some(seed), Some(points)) => replay(seed, &of_seed(&setup, seed, points)),
        (Some(seed), None) => every_crash(seed, 1, every, &setup),
        (None, _) => every_crash(from, seeds, every, &setup),
    }
}

/// Plays the crashes of seeds, as many seeds at a time as there are cores.
fn every_crash(from: u64, seeds: u64, every: u64, setup: &Setup) -> ExitCode {
    let began = Instant::now();
    let next = AtomicU64::new(from);
    let work = || -> Result<Crashes, Box<Failure>> {
        let mut sum = Crashes::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from.saturating_add(seeds) {
                return Ok(sum);
            }
            sum.add(&crashes(seed, every, setup)?);
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

fn many(from: u64, seeds: u64, setup: &Setup) -> ExitCode {
    let began = Instant::now();
    let mut total = Report::default();
    for seed in from..from.saturating_add(seeds) {
        match simulate(seed, setup) {
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
