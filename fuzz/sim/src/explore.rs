//! Walks every sequence of moves of a process, breadth first, one state of each shape.

use crate::moves::{self, Move};
use crate::process::Process;
use crate::{law, shape};
use loom_core::run::Run;
use loom_core::step::Declined;
use loom_core::word::{MergeOutcome, Recovery, Verdict};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What an exploration saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Distinct shapes.
    pub states: usize,
    /// Commits made.
    pub commits: usize,
    /// Inputs that left no commit.
    pub declined: usize,
    /// Longest sequence of inputs to a state.
    pub depth: usize,
    /// Whether every state was left by every move.
    pub complete: bool,
    /// States that are the end of a run, by verdict.
    pub ends: BTreeMap<&'static str, usize>,
}

/// The shortest way found to break a law.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counterexample {
    /// The process.
    pub process: &'static str,
    /// The moves from its opening.
    pub moves: Vec<Move>,
    /// What is broken.
    pub law: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} after {} moves of process {}:", self.law, self.moves.len(), self.process)?;
        self.moves.iter().try_for_each(|one| writeln!(f, "  {one}"))
    }
}

/// Explores a process until every state is seen or `states_max` are.
pub fn explore(process: &Process, states_max: usize) -> Result<Seen, Box<Counterexample>> {
    let mut walk = Walk { process, seen: Seen::default(), shapes: HashSet::new(), nodes: Vec::new() };
    let opened = process.open().map_err(|declined| walk.at(None, None, declined.to_string()))?;
    let mut frontier = VecDeque::from([walk.add(None, None, opened.into_next())]);
    while let Some((node, run)) = frontier.pop_front() {
        if walk.seen.states >= states_max {
            return Ok(walk.seen);
        }
        walk.leave(node, &run, &mut frontier)?;
    }
    walk.seen.complete = true;
    Ok(walk.seen)
}

struct Walk<'a> {
    process: &'a Process,
    seen: Seen,
    shapes: HashSet<u128>,
    /// The way to each state: the state before and the move.
    nodes: Vec<(u32, u16, Option<Move>)>,
}

impl Walk<'_> {
    fn add(&mut self, before: Option<usize>, made: Option<Move>, run: Run) -> (usize, Run) {
        self.shapes.insert(shape::of(&run));
        let depth = before.map_or(0, |before| self.nodes[before].1 + 1);
        self.nodes.push((before.unwrap_or(0) as u32, depth, made));
        self.seen.states += 1;
        self.seen.depth = self.seen.depth.max(usize::from(depth));
        if let Some(verdict) = run.state.closed {
            *self.seen.ends.entry(verdict.word()).or_default() += 1;
        }
        (self.nodes.len() - 1, run)
    }

    fn leave(
        &mut self,
        node: usize,
        run: &Run,
        frontier: &mut VecDeque<(usize, Run)>,
    ) -> Result<(), Box<Counterexample>> {
        let mut closes = run.state.closed.is_some();
        for one in moves::all(run, self.process.repertoire) {
            let made = make(run, &one).map_err(|law| self.at(Some(node), Some(&one), law))?;
            let Some(next) = made else {
                self.seen.declined += 1;
                continue;
            };
            self.seen.commits += 1;
            closes |= ends(&one, &next);
            if !self.shapes.contains(&shape::of(&next)) {
                frontier.push_back(self.add(Some(node), Some(one), next));
            }
        }
        if closes { Ok(()) } else { Err(self.at(Some(node), None, "no move ends this run (STATE-3)".into())) }
    }

    fn at(&self, node: Option<usize>, last: Option<&Move>, law: String) -> Box<Counterexample> {
        let mut moves: Vec<Move> = last.into_iter().cloned().collect();
        let mut at = node;
        while let Some(here) = at {
            let (before, _, made) = &self.nodes[here];
            moves.extend(made.clone());
            at = made.is_some().then_some(*before as usize);
        }
        moves.reverse();
        Box::new(Counterexample { process: self.process.name, moves, law })
    }
}

/// Whether the move ends the run, or sees a merge through after which it can be ended.
fn ends(one: &Move, next: &Run) -> bool {
    match one {
        Move::Recover(Recovery::Abandon, _) => next.state.closed == Some(Verdict::Abandoned),
        Move::Merge(_, MergeOutcome::Failed) => next.state.pending.is_empty(),
        _ => false,
    }
}

/// Moves that must leave a commit: everything well formed that has not been said before.
fn expects_commit(run: &Run, one: &Move) -> bool {
    match one {
        Move::AddRules(_) => run.state.closed.is_none(),
        _ => true,
    }
}

/// Makes a move twice and checks every law; `None` when it leaves no commit.
pub(crate) fn make(run: &Run, one: &Move) -> Result<Option<Run>, String> {
    let input = moves::input(run, one);
    let step = || catch_unwind(AssertUnwindSafe(|| loom_core::step(run, input.clone())));
    let checked = match step().map_err(|_| "step panicked".to_string())? {
        Ok(checked) => checked,
        Err(Declined::Malformed(why)) if expects_commit(run, one) => return Err(format!("declined: {why}")),
        Err(Declined::Malformed(_) | Declined::Duplicate(_)) => return Ok(None),
        Err(Declined::Terms(error)) => return Err(error.to_string()),
    };
    law::broken(Some(run), &input, &checked)?;
    let again = step().map_err(|_| "step panicked".to_string())?;
    if again.ok().is_none_or(|again| again.events() != checked.events() || again.effects() != checked.effects()) {
        return Err("the same input gave other bytes".into());
    }
    Ok(Some(checked.into_next()))
}
