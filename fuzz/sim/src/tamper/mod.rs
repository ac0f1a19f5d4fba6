//! `loom-sim tamper` and `loom-sim agree`: history is altered by attackers of three strengths, and readers look at it.
//!
//! ```text
//! made store, traces, receipts ─► attack: what, in which way, by whom ─► readers, level by level ─► a table
//!                                        └────────────────────────────► both verifiers, answer by answer
//! ```
//!
//! Attack number N of a seed is the same whatever else is run, so shards and interrupted runs add up.

mod agree;
mod altered;
mod attack;
mod detect;
mod file;
mod invent;
mod material;
mod relink;
mod table;

use attack::{BYS, CLASSES, TARGETS, attack};
use detect::outcome;
use loom_store::conformance::sample::Dice;
use material::Material;
use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
pub use table::Table;

const USAGE: &str = "usage: loom-sim tamper [--count N] [--seed N] [--shard I/N] [--state FILE]
       loom-sim agree [--count N] [--seed N] [--shard I/N] [--python PROGRAM] [--verifier FILE]";
/// An attack that does not apply to what was drawn is drawn anew, so often.
const DRAWS: u64 = 16;
/// So many attacks are made between two writes of what is known.
const BATCH: u64 = 1000;

/// What both commands are told.
struct Arguments {
    count: u64,
    seed: u64,
    shard: (u64, u64),
    state: Option<PathBuf>,
    python: PathBuf,
    verifier: PathBuf,
}

impl Arguments {
    fn read(count: u64, mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut found = Arguments {
            count,
            seed: 1,
            shard: (0, 1),
            state: None,
            python: PathBuf::from("python3"),
            verifier: PathBuf::from("specs/verifier.py"),
        };
        while let Some(name) = words.next() {
            let value = words.next()?;
            match name.as_str() {
                "--count" => found.count = value.parse().ok()?,
                "--seed" => found.seed = value.parse().ok()?,
                "--shard" => {
                    let (shard, of) = value.split_once('/')?;
                    found.shard = (shard.parse().ok()?, of.parse().ok().filter(|of| *of > 0)?);
                }
                "--state" => found.state = Some(PathBuf::from(value)),
                "--python" => found.python = PathBuf::from(value),
                "--verifier" => found.verifier = PathBuf::from(value),
                _ => return None,
            }
        }
        (found.shard.0 < found.shard.1).then_some(found)
    }

    /// The numbers of this shard's attacks.
    fn range(&self) -> std::ops::Range<u64> {
        let (shard, of) = self.shard;
        let at = |part: u64| (u128::from(self.count) * u128::from(part) / u128::from(of)) as u64;
        at(shard)..at(shard + 1)
    }
}

/// The dice of one attack.
fn dice(seed: u64, number: u64, draw: u64) -> Dice {
    let mut dice = Dice::new(seed.wrapping_mul(1_000_003).wrapping_add(number).wrapping_mul(DRAWS).wrapping_add(draw));
    // The first numbers of neighbouring seeds resemble each other.
    dice.bytes(4);
    dice
}

/// Runs `tamper` with these arguments.
pub fn command(words: impl Iterator<Item = String>) -> ExitCode {
    let Some(arguments) = Arguments::read(10_000, words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match campaign(&arguments) {
        Ok(table) => {
            print!("{table}");
            if table.unseen() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failed(error.as_ref()),
    }
}

/// Runs `agree` with these arguments.
pub fn command_agree(words: impl Iterator<Item = String>) -> ExitCode {
    let Some(arguments) = Arguments::read(1_000, words) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match agree::agree(&arguments) {
        Ok(agreement) => {
            print!("{agreement}");
            if agreement.is_full() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => failed(error.as_ref()),
    }
}

fn failed(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Makes attacks and tells what became of them: `count` of a seed, from the first.
///
/// # Errors
/// Where the material cannot be made.
pub fn tampered(seed: u64, count: u64) -> Result<Table, Box<dyn Error>> {
    let arguments = Arguments { count, seed, ..Arguments::read(0, std::iter::empty()).ok_or(USAGE)? };
    campaign(&arguments)
}

/// Lets both verifiers look at altered bytes, and says where they differ; an empty text where they never do.
///
/// # Errors
/// Where the material cannot be made or the second verifier does not run.
pub fn disagreements(seed: u64, count: u64, verifier: PathBuf) -> Result<String, Box<dyn Error>> {
    let arguments = Arguments { count, seed, verifier, ..Arguments::read(0, std::iter::empty()).ok_or(USAGE)? };
    let agreement = agree::agree(&arguments)?;
    Ok(if agreement.is_full() { String::new() } else { agreement.to_string() })
}

fn campaign(arguments: &Arguments) -> Result<Table, Box<dyn Error>> {
    let material = Material::make()?;
    let range = arguments.range();
    let (mut table, mut next) = (Table::default(), range.start);
    let name = format!("{} {} {}/{}", arguments.seed, arguments.count, arguments.shard.0, arguments.shard.1);
    if let Some(text) = arguments.state.as_ref().and_then(|path| std::fs::read_to_string(path).ok()) {
        (table, next) = Table::read(&text, &name).ok_or("the state is of another campaign")?;
    }
    while next < range.end {
        let end = range.end.min(next + BATCH);
        for number in next..end {
            one(&material, arguments.seed, number, &mut table);
        }
        next = end;
        if let Some(path) = &arguments.state {
            let beside = path.with_extension("new");
            std::fs::write(&beside, table.written(&name, next))?;
            std::fs::rename(beside, path)?;
        }
    }
    Ok(table)
}

fn one(material: &Material, seed: u64, number: u64, table: &mut Table) {
    let mut rest = number as usize;
    let mut pick = |of: usize| {
        let index = rest % of;
        rest /= of;
        index
    };
    let row = (pick(TARGETS.len()), pick(BYS.len()), pick(CLASSES.len()));
    let (target, by, class) = (TARGETS[row.0].0, BYS[row.1].0, CLASSES[row.2]);
    for draw in 0..DRAWS {
        if let Some(found) = attack(material, target, by, class, &mut dice(seed, number, draw)) {
            return table.add(row, outcome(material, by, &found));
        }
    }
}
