//! Judges every run by two rule sets at once, and says where they decide differently (RULEDIFF-1).
//!
//! ```text
//! event ─┬─► one set, with its own facts     passes │ violated │ unknowable
//!        └─► the other, with its own         passes │ violated │ unknowable      a finding where the two are not alike
//! ```

use super::FINDINGS_MAX;
use super::judgement::{Finding, JudgedRun, LeftOut, Place, Tally};
use super::run::{Bench, Broken, Course};
use crate::corpus::{Corpus, Filter, Open};
use crate::each::{Walked, each_run};
use crate::error::ReplayError;
use loom_core::id::StreamId;
use loom_core::rules::{Outcome, Rules};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// What a set says of an event by its rule of one name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Says {
    /// It does not object: its rule holds, is not asked, or is not there.
    #[default]
    Passes,
    /// Its rule does not hold: false, or an error.
    Violated(Said),
    /// It cannot be known.
    Unknowable(Said),
}

/// What a rule gave that does not hold or cannot be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// False, or what is missing or wrong.
    pub outcome: Outcome,
    /// The facts (`set/fact`) and fields (`event.name`) it read, with their values before the event.
    pub read: Vec<(String, String)>,
}

impl Says {
    /// Returns the word that documents use.
    pub fn word(&self) -> &'static str {
        match self {
            Says::Passes => "passes",
            Says::Violated(_) => "violated",
            Says::Unknowable(_) => "unknowable",
        }
    }

    /// Returns what its rule gave, where it objects.
    pub fn said(&self) -> Option<&Said> {
        match self {
            Says::Passes => None,
            Says::Violated(said) | Says::Unknowable(said) => Some(said),
        }
    }

    fn of(finding: Finding) -> Self {
        let is_violation = finding.is_violation();
        let said = Said { outcome: finding.outcome, read: finding.read };
        if is_violation { Says::Violated(said) } else { Says::Unknowable(said) }
    }
}

/// An event about which the two sets are not alike (RULEDIFF-2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parting {
    /// The run's source.
    pub source: PathBuf,
    /// The run.
    pub stream: StreamId,
    /// What the run is called after.
    pub slug: String,
    /// The rule, by its place among [`Differing::rules`].
    pub rule: usize,
    /// Sequence of the event; for a proposal, of its `refused`.
    pub sequence: u64,
    /// The event's kind.
    pub kind: &'static str,
    /// Where it was judged.
    pub place: Place,
    /// What the one set says, and what the other.
    pub says: [Says; 2],
    /// Whether it came after the run would have gone another way under one of them.
    pub is_counterfactual: bool,
}

/// How often two sets are not alike. What came after a run's turn is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Partings {
    /// The one passes, the other is violated.
    pub gained: u64,
    /// The one is violated, the other passes.
    pub lost: u64,
    /// Unknowable under exactly one of them.
    pub unknowable: u64,
    /// After a run's turn under one of them, whatever it is.
    pub counterfactual: u64,
}

impl Partings {
    /// Returns how many there are.
    pub fn total(&self) -> u64 {
        self.gained + self.lost + self.unknowable + self.counterfactual
    }

    fn count(&mut self, parting: &Parting) {
        match &parting.says {
            _ if parting.is_counterfactual => self.counterfactual += 1,
            [Says::Unknowable(_), _] | [_, Says::Unknowable(_)] => self.unknowable += 1,
            [_, Says::Violated(_)] => self.gained += 1,
            [_, Says::Passes] => self.lost += 1,
        }
    }

    fn add(&mut self, other: Partings) {
        self.gained += other.gained;
        self.lost += other.lost;
        self.unknowable += other.unknowable;
        self.counterfactual += other.counterfactual;
    }
}

/// A rule of one of the sets, or of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Both {
    /// Its name within its set.
    pub name: String,
    /// Whether the one set has it, and the other.
    pub is_there: [bool; 2],
    /// How many events it was asked about, in the one set and in the other.
    pub asked: [u64; 2],
    /// How often they are not alike.
    pub partings: Partings,
}

/// What two rule sets decide differently over a corpus, and what that is out of.
#[derive(Debug, Default)]
pub struct Differing {
    /// The rules of the one set in its order, then those that the other alone has.
    pub rules: Vec<Both>,
    /// Where they are not alike, in the order of sources, runs and events; at most [`FINDINGS_MAX`].
    pub findings: Vec<Parting>,
    /// Sources that were looked at.
    pub sources: u64,
    /// Runs that were judged.
    pub runs: u64,
    /// Runs that the filter left aside.
    pub unwanted: u64,
    /// Events of those runs.
    pub events: u64,
    /// Events that a rule was asked about, by the one set and by the other.
    pub asked: [u64; 2],
    /// What could not be judged.
    pub left_out: Vec<LeftOut>,
}

impl Differing {
    /// Returns the sums over all rules.
    pub fn partings(&self) -> Partings {
        let mut sum = Partings::default();
        self.rules.iter().for_each(|rule| sum.add(rule.partings));
        sum
    }

    /// Whether the sets decided alike about everything they were asked about.
    pub fn is_equal(&self) -> bool {
        self.partings().total() == 0
    }

    fn take(&mut self, path: &Path, pair: Pair<'_>) {
        let places = pair.places;
        let Some(judged) = pair.ended else { return };
        self.runs += 1;
        self.events += judged[0].events;
        for (side, run) in judged.iter().enumerate() {
            self.asked[side] += run.decisions + run.observations + run.proposals;
            for (rule, tally) in places[side].iter().zip(&run.tallies) {
                let Tally { judged, later_judged, .. } = tally;
                self.rules[*rule].asked[side] += u64::from(*judged) + u64::from(*later_judged);
            }
        }
        for (rule, partings) in pair.partings {
            self.rules[rule].partings.add(partings);
        }
        let room = FINDINGS_MAX - self.findings.len().min(FINDINGS_MAX);
        let source = path.to_path_buf();
        let found = pair.found.into_iter().take(room);
        self.findings.extend(found.map(|parting| Parting { source: source.clone(), ..parting }));
    }
}

/// Judges every wanted run of a corpus by two rule sets. What is damaged is left out and told.
///
/// # Errors
/// None that says something of a run or a source alone.
pub fn differ(corpus: &Corpus, sets: [&Rules; 2], filter: &Filter, open: &Open<'_>) -> Result<Differing, ReplayError> {
    let mut differing = Differing::default();
    let mut places: [Vec<usize>; 2] = [Vec::new(), Vec::new()];
    for (side, rules) in sets.iter().enumerate() {
        for rule in rules.sets().iter().flat_map(|set| set.rules()) {
            let known = differing.rules.iter().position(|known| known.name == rule.name);
            let place = known.unwrap_or(differing.rules.len());
            if known.is_none() {
                let name = rule.name.clone();
                let partings = Partings::default();
                differing.rules.push(Both { name, is_there: [false; 2], asked: [0; 2], partings });
            }
            differing.rules[place].is_there[side] = true;
            places[side].push(place);
        }
    }
    // Stores and traces check what they read of a run themselves.
    let benches = sets.map(|rules| Bench::new(rules, false));
    let begin = |stream| Pair::new(&benches, &places, stream);
    let end = |pair: &mut Pair<'_>, bytes: &[u8]| pair.push(bytes);
    let mut take = |path: &Path, mut pair: Pair<'_>| {
        pair.end();
        differing.take(path, pair);
        Ok(ControlFlow::Continue(()))
    };
    let Walked { sources, unwanted, left_out } = each_run(corpus, filter, open, begin, end, &mut take)?;
    Ok(Differing { sources, unwanted, left_out, ..differing })
}

/// A run while it is judged by both.
struct Pair<'b> {
    benches: &'b [Bench<'b>; 2],
    /// By set: where its rules stand among those of both.
    places: &'b [Vec<usize>; 2],
    stream: StreamId,
    slug: String,
    next: u64,
    courses: Option<[Course; 2]>,
    found: Vec<Parting>,
    partings: BTreeMap<usize, Partings>,
    /// What each made of the run, once it is read to its end.
    ended: Option<[JudgedRun; 2]>,
}

impl<'b> Pair<'b> {
    fn new(benches: &'b [Bench<'b>; 2], places: &'b [Vec<usize>; 2], stream: StreamId) -> Self {
        let (slug, found, partings) = (String::new(), Vec::new(), BTreeMap::new());
        Pair { benches, places, stream, slug, next: 0, courses: None, found, partings, ended: None }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        let [one, other] = self.benches;
        let failed = |broken: Broken| broken.told(self.next);
        let courses = match &mut self.courses {
            Some(courses) => courses,
            None => {
                let begin = |bench| Course::begin(bench, self.stream, bytes).map_err(failed);
                let begun = [begin(one)?, begin(other)?];
                self.slug.clone_from(&begun[0].judged.slug);
                self.courses.insert(begun)
            }
        };
        for (course, bench) in courses.iter_mut().zip([one, other]) {
            course.push(bench, bytes).map_err(failed)?;
        }
        self.next += 1;
        let found = courses.each_mut().map(|course| std::mem::take(&mut course.findings));
        let turns = courses.each_ref().map(|course| course.judged.turn.map(|turn| turn.sequence));
        self.pair(found, turns);
        Ok(())
    }

    fn end(&mut self) {
        let Some(courses) = self.courses.take() else { return };
        let [one, other] = courses.map(Course::end);
        self.pair([one.1, other.1], [&one.0, &other.0].map(|run| run.turn.map(|turn| turn.sequence)));
        self.ended = Some([one.0, other.0]);
    }

    /// Holds what the one found in a commit against what the other found in it.
    fn pair(&mut self, found: [Vec<Finding>; 2], turns: [Option<u64>; 2]) {
        let mut pairs: BTreeMap<(u64, usize, bool, u32), [Option<Finding>; 2]> = BTreeMap::new();
        for (side, findings) in found.into_iter().enumerate() {
            for finding in findings {
                let Some(rule) = self.places[side].get(finding.rule).copied() else { continue };
                // A proposal may have several decisions of one kind.
                let mut key = (finding.sequence, rule, finding.place == Place::Proposal, 0);
                while pairs.get(&key).is_some_and(|pair| pair[side].is_some()) {
                    key.3 += 1;
                }
                pairs.entry(key).or_default()[side] = Some(finding);
            }
        }
        for ((sequence, rule, ..), pair) in pairs {
            let Some(any) = pair.iter().flatten().next() else { continue };
            let (kind, place) = (any.kind, any.place);
            let is_later = turns.iter().flatten().any(|turn| *turn < sequence);
            let is_counterfactual = is_later || pair.iter().flatten().any(|finding| finding.is_counterfactual);
            let says = pair.map(|finding| finding.map_or(Says::Passes, Says::of));
            if std::mem::discriminant(&says[0]) == std::mem::discriminant(&says[1]) {
                continue;
            }
            let (source, stream, slug) = (PathBuf::new(), self.stream, self.slug.clone());
            let parting = Parting { source, stream, slug, rule, sequence, kind, place, says, is_counterfactual };
            self.partings.entry(rule).or_default().count(&parting);
            if self.found.len() < FINDINGS_MAX {
                self.found.push(parting);
            }
        }
    }
}
