//! `loom-sim explore`: walks the explored processes and prints what was seen, or the shortest way to break a law.

use loom_sim::{explore, process};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "usage: loom-sim explore [--states N] [--process NAME]";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() != Some("explore") {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    let (mut states_max, mut only) = (1_000_000, None);
    while let Some(name) = arguments.next() {
        match (name.as_str(), arguments.next().map(|value| (value.parse(), value))) {
            ("--states", Some((Ok(states), _))) => states_max = states,
            ("--process", Some((_, value))) => only = Some(value),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(2);
            }
        }
    }
    let processes: Vec<_> =
        process::all().into_iter().filter(|it| only.as_ref().is_none_or(|only| only == it.name)).collect();
    let began = Instant::now();
    let (mut states, mut commits) = (0, 0);
    // Small processes end early; what they leave over goes to those after them.
    for (index, process) in processes.iter().enumerate() {
        let share = (states_max - states.min(states_max)) / (processes.len() - index);
        match explore::explore(process, share) {
            Err(found) => {
                eprintln!("error: {found}");
                return ExitCode::FAILURE;
            }
            Ok(seen) => {
                println!(
                    "{:20} {:>9} states {:>10} commits {:>9} declined depth {:>3} {} {:?}",
                    process.name,
                    seen.states,
                    seen.commits,
                    seen.declined,
                    seen.depth,
                    if seen.complete { "all " } else { "part" },
                    seen.ends
                );
                states += seen.states;
                commits += seen.commits;
            }
        }
    }
    println!("{states} states, {commits} commits, {:.1} s, no law broken", began.elapsed().as_secs_f64());
    ExitCode::SUCCESS
}
