//! Looks for the inputs that a rule is not broken without: delta debugging over commits.

use super::derive::derive;
use super::piece::{Blobs, Piece};
use super::{How, Shrunk, Size, Target};
use crate::error::ReplayError;
use crate::judge::Finding;
use crate::judge::run::{Bench, Broken, Course};
use crate::records::Records;
use crate::redrive::{Redriven, redrive};
use crate::timeline::Timeline;
use crate::whole::Whole;
use loom_core::event::Recorded;
use loom_core::id::{StreamId, digest};
use loom_core::rules::Rules;

/// Context of the name of the store that a derived run belongs to: no store has it (SHRINK-3).
const ORIGIN_CONTEXT: &str = "loom 2026-11 shrunk origin v1";

/// Makes a run smaller that breaks a rule: the one that is named (`rule` or `set/rule`), or the first that it breaks. `None` where it breaks
/// none. At most `budget` runs are derived and judged (SHRINK-4).
pub fn shrink<'r>(
    records: &'r dyn Records,
    origin: [u8; 16],
    rules: &Rules,
    rule: Option<&str>,
    budget: u64,
) -> Result<Option<Shrunk<'r>>, ReplayError> {
    let whole = Whole::read(records)?;
    let bench = Bench::new(rules, false);
    let names = bench.names().to_vec();
    let is_wanted = |found: &Finding| {
        let name = names.get(found.rule).map_or("", String::as_str);
        rule.is_none_or(|wanted| name == wanted || name.split_once('/').is_some_and(|(_, name)| name == wanted))
    };
    let judged = judge(&bench, records.stream(), whole.events())?;
    let Some(first) = judged.iter().find(|found| is_violation(found) && is_wanted(found)) else { return Ok(None) };
    let rule = names.get(first.rule).cloned().unwrap_or_default();
    let target = Target { rule, kind: first.kind, place: first.place };
    let mut search = Search { records, bench, whole: &whole, target: &target, judgements: 0, budget };
    let before = size(whole.events())?;
    let all: Vec<usize> = (1..search.inputs().len()).collect();
    let Some(mut found) = search.derived(&all)? else {
        let end = commit_end(&whole, first.sequence);
        let judgements = search.judgements;
        return cut(records, origin, &whole, end, first.sequence)
            .map(|run| Some(Shrunk { target: Some(target), judgements, ..run }));
    };
    let is_smallest = search.minimize(&mut found)?;
    let (judgements, stream) = (search.judgements, found.timeline.whole.stream());
    let events = found.timeline.whole.events()[..found.end].to_vec();
    let after = size(&events)?;
    Ok(Some(Shrunk {
        run: Piece::new(Blobs::Derived(Box::new(found.timeline)), stream, events)?,
        origin: own_origin(records.stream()),
        how: How::Derived,
        target: Some(target),
        crash: None,
        sequence: found.sequence,
        before,
        after,
        judgements,
        is_smallest,
    }))
}

/// Cuts a run that comes out otherwise off behind the commit where it does; `None` where it comes out again, or nobody can know.
///
/// What made the recorded events is not here, so that no smaller run can be derived that would come out otherwise (SHRINK-2).
pub fn shrink_divergence<'r>(records: &'r dyn Records, origin: [u8; 16]) -> Result<Option<Shrunk<'r>>, ReplayError> {
    let Redriven::Diverged { sequence, .. } = redrive(records)? else { return Ok(None) };
    let whole = Whole::read(records)?;
    let sequence = sequence.min(whole.len().saturating_sub(1));
    cut(records, origin, &whole, commit_end(&whole, sequence), sequence).map(Some)
}

/// Returns the name of the store that a run derived from this one belongs to.
pub(super) fn own_origin(stream: StreamId) -> [u8; 16] {
    let mut origin = [0; 16];
    origin.copy_from_slice(&digest(ORIGIN_CONTEXT, &[&stream.0]).0[..16]);
    origin
}

pub(super) fn cut<'r>(
    records: &'r dyn Records,
    origin: [u8; 16],
    whole: &Whole,
    end: usize,
    sequence: u64,
) -> Result<Shrunk<'r>, ReplayError> {
    let events = whole.events()[..end].to_vec();
    let (before, after) = (size(whole.events())?, size(&events)?);
    let run = Piece::new(Blobs::Recorded(records), records.stream(), events)?;
    let (how, target, judgements, is_smallest) = (How::Cut, None, 0, false);
    Ok(Shrunk { run, origin, how, target, crash: None, sequence, before, after, judgements, is_smallest })
}

/// Returns where the commit of an event ends.
pub(super) fn commit_end(whole: &Whole, sequence: u64) -> usize {
    let events = whole.envelopes();
    let input = whole.at(sequence).map_or(0, |event| event.input);
    events.iter().rposition(|event| event.input == input).map_or(events.len(), |last| last + 1)
}

fn is_violation(found: &Finding) -> bool {
    found.is_violation() && !found.is_counterfactual
}

pub(super) fn judge(bench: &Bench<'_>, stream: StreamId, events: &[Recorded]) -> Result<Vec<Finding>, ReplayError> {
    let failed = |broken: Broken| broken.told(0);
    let Some(first) = events.first() else { return Ok(Vec::new()) };
    let mut course = Course::begin(bench, stream, &first.bytes).map_err(failed)?;
    events.iter().try_for_each(|event| course.push(bench, &event.bytes)).map_err(failed)?;
    Ok(course.end().1)
}

/// A derived run that breaks the rule.
struct Candidate<'r> {
    timeline: Timeline<'r>,
    /// The inputs that it was derived from, without the first, up to the one that breaks the rule.
    kept: Vec<usize>,
    /// Sequence of the event that breaks it.
    sequence: u64,
    /// How many events belong to it: those up to the end of that commit.
    end: usize,
}

struct Search<'r, 's> {
    records: &'r dyn Records,
    bench: Bench<'s>,
    whole: &'s Whole,
    target: &'s Target,
    judgements: u64,
    budget: u64,
}

impl<'r> Search<'r, '_> {
    /// Returns the sequences of the recorded inputs.
    fn inputs(&self) -> Vec<u64> {
        inputs(self.whole)
    }

    /// Derives a run from some of the inputs; `None` where it does not break the rule.
    fn derived(&mut self, chosen: &[usize]) -> Result<Option<Candidate<'r>>, ReplayError> {
        self.judgements += 1;
        let inputs = self.inputs();
        let sequences: Vec<u64> = chosen.iter().filter_map(|index| inputs.get(*index).copied()).collect();
        let origin = own_origin(self.records.stream());
        let Some((timeline, given)) = derive(self.records, self.whole, &origin, &sequences)? else {
            return Ok(None);
        };
        let found = judge(&self.bench, timeline.whole.stream(), timeline.whole.events())?;
        let is_target = |found: &&Finding| {
            let rule = self.bench.names().get(found.rule);
            let is_same = (found.kind, found.place) == (self.target.kind, self.target.place);
            is_violation(found) && is_same && rule == Some(&self.target.rule)
        };
        let Some(sequence) = found.iter().find(is_target).map(|found| found.sequence) else { return Ok(None) };
        let input = timeline.whole.at(sequence).map_or(0, |event| event.input);
        let is_kept = |index: &&usize| {
            let recorded = inputs.get(**index).copied();
            given.iter().any(|(from, to)| Some(*from) == recorded && *to <= input)
        };
        let kept = chosen.iter().filter(is_kept).copied().collect();
        let end = commit_end(&timeline.whole, sequence);
        Ok(Some(Candidate { timeline, kept, sequence, end }))
    }

    /// Leaves out inputs of a run that breaks the rule; see [`minimize`].
    fn minimize(&mut self, found: &mut Candidate<'r>) -> Result<bool, ReplayError> {
        let budget = self.budget;
        let kept = found.kept.clone();
        minimize(kept, &mut |rest| {
            if self.judgements >= budget {
                return Ok(Tried::OutOfBudget);
            }
            let Some(smaller) = self.derived(rest)? else { return Ok(Tried::Needed) };
            *found = smaller;
            Ok(Tried::LeftOut(found.kept.clone()))
        })
    }
}

/// What came of leaving out a part.
pub(super) enum Tried {
    /// It is not needed: these are what is left, or fewer.
    LeftOut(Vec<usize>),
    /// It is needed.
    Needed,
    /// Nothing more may be tried.
    OutOfBudget,
}

/// Leaves out parts, from halves down to single inputs; returns whether no single one more can be left out.
pub(super) fn minimize(
    mut kept: Vec<usize>,
    attempt: &mut dyn FnMut(&[usize]) -> Result<Tried, ReplayError>,
) -> Result<bool, ReplayError> {
    let mut parts = 2;
    loop {
        let count = kept.len();
        if count == 0 {
            return Ok(true);
        }
        let length = count.div_ceil(parts.min(count));
        let mut is_smaller = false;
        // The last first: what comes late rests on what came early.
        for part in (0..count.div_ceil(length)).rev() {
            let others = kept.iter().enumerate().filter(|(index, _)| index / length != part);
            let rest: Vec<usize> = others.map(|(_, input)| *input).collect();
            match attempt(&rest)? {
                Tried::LeftOut(left) => {
                    kept = left;
                    is_smaller = true;
                    break;
                }
                Tried::Needed => {}
                Tried::OutOfBudget => return Ok(false),
            }
        }
        if is_smaller {
            parts = 2.max(parts.saturating_sub(1));
        } else if length == 1 {
            return Ok(true);
        } else {
            parts = parts.saturating_mul(2);
        }
    }
}

/// Returns the sequences of a run's inputs.
pub(super) fn inputs(whole: &Whole) -> Vec<u64> {
    let inputs = whole.envelopes().iter().filter(|event| event.count.is_some());
    inputs.map(|event| event.sequence).collect()
}

pub(super) fn size(events: &[Recorded]) -> Result<Size, ReplayError> {
    let mut whole = Whole::default();
    events.iter().try_for_each(|event| whole.push(event.clone()))?;
    let commits = whole.envelopes().iter().filter(|event| event.count.is_some()).count() as u64;
    Ok(Size { commits, events: whole.len() })
}
