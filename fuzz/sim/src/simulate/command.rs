//! `loom-sim simulate`: many seeds, or one of them told event by event.

use super::play::{Report, Setup, simulate};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: loom-sim simulate [--seeds N] [--from N] | --seed N";

/// Runs the command with these arguments.
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
        Some(seed) => replay(seed),
        None => many(from, seeds),
    }
}

fn replay(seed: u64) -> ExitCode {
    match simulate(seed, &Setup::plain().traced()) {
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
