//! For each rule one event that it passes and one that it refuses, the first of each that recorded runs have.
//!
//! The rules are asked as judging asks them (JUDGE-1 to JUDGE-4), whatever the runs themselves were judged by: an example is
//! one of this text, not of another that is called the same.

use super::judgement::{Finding, LeftOut, Place, Tally};
use super::run::{Bench, Broken, Course};
use crate::corpus::{Corpus, Filter, Open};
use crate::each::{Walked, each_run};
use crate::error::ReplayError;
use loom_core::id::StreamId;
use loom_core::rules::Rules;
use loom_core::schema::Class;
use std::ops::ControlFlow;

/// An event about which a rule was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The run.
    pub stream: StreamId,
    /// Sequence of the event; for a proposal, of its `refused`.
    pub sequence: u64,
    /// The event's kind.
    pub kind: &'static str,
    /// Whether it is an input, a record or a decision.
    pub class: Class,
    /// Where it was judged.
    pub place: Place,
    /// The facts and fields that the rule read; of an event that it passes none are kept.
    pub read: Vec<(String, String)>,
    /// Whether it came after the run would have gone another way.
    pub is_counterfactual: bool,
}

/// What was seen of one rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Seen {
    /// `set/rule`
    pub rule: String,
    /// Events that it was asked about.
    pub asked: u64,
    /// Events of its kinds that are never judged (COMMIT-5).
    pub never_judged: u64,
    /// Events about which it cannot be known.
    pub unknowable: u64,
    /// The first that it passes.
    pub passed: Option<Example>,
    /// The first that it does not hold for.
    pub refused: Option<Example>,
}

/// Why no more runs were looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// There were no more.
    #[default]
    End,
    /// Every rule has both examples.
    Enough,
    /// So many events were to be looked at, and no more.
    Bound,
}

/// Examples, and what they are out of.
#[derive(Debug, Default)]
pub struct Examples {
    /// The rules, in order of sets and files.
    pub rules: Vec<Seen>,
    /// Runs that were looked at.
    pub runs: u64,
    /// Events of those runs.
    pub events: u64,
    /// Why there were no more.
    pub until: Until,
    /// What could not be judged.
    pub left_out: Vec<LeftOut>,
}

/// Looks at run after run until each rule that `is_wanted` has both examples, or `events_max` events were seen.
///
/// # Errors
/// None that says something of a run or a source alone.
pub fn examples(
    corpus: &Corpus,
    rules: &Rules,
    is_wanted: impl Fn(&str) -> bool,
    events_max: u64,
    open: &Open<'_>,
) -> Result<Examples, ReplayError> {
    // Stores and traces check what they read of a run themselves.
    let bench = Bench::new(rules, false).noting_passes();
    let seen = |name: &String| Seen { rule: name.clone(), ..Seen::default() };
    let mut examples = Examples { rules: bench.names().iter().map(seen).collect(), ..Examples::default() };
    let begin = |stream| (stream, None::<Course>);
    let push = |(stream, course): &mut (StreamId, Option<Course>), bytes: &[u8]| {
        let next = course.as_ref().map_or(0, |course| course.head().0);
        let failed = |broken: Broken| broken.told(next);
        let begun = match course {
            Some(course) => course,
            None => course.insert(Course::begin(&bench, *stream, bytes).map_err(failed)?),
        };
        begun.push(&bench, bytes).map_err(failed)
    };
    let mut take = |_: &std::path::Path, (_, course): (StreamId, Option<Course>)| {
        course.into_iter().for_each(|course| examples.take(course));
        let has_both = |seen: &Seen| seen.passed.is_some() && seen.refused.is_some();
        examples.until = if examples.rules.iter().filter(|seen| is_wanted(&seen.rule)).all(has_both) {
            Until::Enough
        } else if examples.events >= events_max {
            Until::Bound
        } else {
            Until::End
        };
        Ok(if examples.until == Until::End { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
    };
    let Walked { left_out, .. } = each_run(corpus, &Filter::default(), open, begin, push, &mut take)?;
    Ok(Examples { left_out, ..examples })
}

impl Examples {
    fn take(&mut self, mut course: Course) {
        let passed = std::mem::take(&mut course.passed);
        let (run, findings, _) = course.end();
        self.runs += 1;
        self.events += run.events;
        for ((seen, tally), passed) in self.rules.iter_mut().zip(&run.tallies).zip(passed) {
            let Tally { judged, later_judged, unknowable, later_unknowable, never_judged, .. } = tally;
            seen.asked += u64::from(*judged) + u64::from(*later_judged);
            seen.unknowable += u64::from(*unknowable) + u64::from(*later_unknowable);
            seen.never_judged += u64::from(*never_judged);
            seen.passed = seen.passed.take().or(passed);
        }
        for finding in findings.into_iter().filter(Finding::is_violation) {
            let Some(seen) = self.rules.get_mut(finding.rule) else { continue };
            let Finding { sequence, kind, class, place, read, is_counterfactual, .. } = finding;
            let stream = run.stream;
            seen.refused.get_or_insert(Example { stream, sequence, kind, class, place, read, is_counterfactual });
        }
    }
}
