//! Long random walks: what breadth cannot reach. The same seed walks the same ways.

use crate::explore::{Counterexample, make};
use crate::moves;
use crate::process::Process;
use loom_replay::reach::Chance;

/// What the walks saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Walked {
    /// Moves made.
    pub moves: usize,
    /// Walks that came to the end of the run.
    pub ended: usize,
    /// The longest walk.
    pub longest: usize,
}

/// Walks a process `walks` times, at most `steps` moves each.
///
/// Moves that end a run at once are made seldom and the cap on spawns is high, so that the walks get far.
pub fn walk(process: &Process, seed: u64, walks: usize, steps: usize) -> Result<Walked, Box<Counterexample>> {
    let mut walked = Walked::default();
    let mut chance = Chance(seed);
    let mut process = process.clone();
    process.opened.cap_spawns = 100;
    (process.opened.cap_tokens, process.opened.cap_money_micro) = (10_000, 10_000);
    for _ in 0..walks {
        let fail = |moves, law| Box::new(Counterexample { process: process.name, moves, law });
        let mut run = process.open().map_err(|declined| fail(Vec::new(), declined.to_string()))?.into_next();
        let mut made = Vec::new();
        while made.len() < steps && run.state.closed.is_none() {
            let mut all = moves::all(&run, process.repertoire);
            if chance.below(32) != 0 {
                all.retain(|one| !moves::ends_a_run(&run, one));
            }
            let one = all.swap_remove(chance.below(all.len()));
            made.push(one.clone());
            if let Some(next) = make(&run, &one).map_err(|law| fail(made.clone(), law))? {
                run = next;
            }
        }
        walked.moves += made.len();
        walked.longest = walked.longest.max(made.len());
        walked.ended += usize::from(run.state.closed.is_some());
    }
    Ok(walked)
}
