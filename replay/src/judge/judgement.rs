//! What a judgement over a corpus says: values, complete enough that whoever shows them needs nothing else.
//!
//! ```text
//! source ── run ── tally for each rule          what a rule came to in a run
//!                └ findings                     where it did not hold, with what it read and the chain of causes
//! ```

use crate::cause::Step;
use crate::corpus::Kind;
use crate::error::Bad;
use loom_core::id::StreamId;
use loom_core::rules::{Outcome, Severity};
use loom_core::schema::Class;
use std::path::PathBuf;

/// A rule that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// `set/rule`
    pub name: String,
    /// Its message.
    pub message: String,
    /// Whether it refuses decisions or only reports.
    pub severity: Severity,
    /// The kinds it judges.
    pub kinds: Vec<&'static str>,
    /// The incident or promise it comes from.
    pub origin: Option<String>,
    /// What it requires, as written.
    pub expression: String,
    /// Line of the rule in its file, from 1.
    pub line: u32,
}

/// What was judged, by which rules, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// The rules, in order of sets and files; tallies and findings name them by their place here.
    pub rules: Vec<Asked>,
    /// The sources, in order of their paths' bytes.
    pub sources: Vec<Judged>,
    /// The runs, in order of their sources and of where they begin in them.
    pub runs: Vec<JudgedRun>,
    /// Where a rule did not hold or cannot be known, in the order of runs; at most [`super::FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// What the recorded rules refused or reported and the new ones let pass, in the order of runs; as many at most.
    pub cleared: Vec<Cleared>,
    /// What could not be judged.
    pub left_out: Vec<LeftOut>,
    /// Whether what was judged was verified while it was read (JUDGE-10).
    pub is_verified: bool,
}

/// A source that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The store's folder or the trace's file.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Runs that were judged.
    pub runs: u64,
    /// Runs that the filter left aside.
    pub unwanted: u64,
}

/// A run or a whole source that could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The source.
    pub path: PathBuf,
    /// The run, where it is one.
    pub stream: Option<StreamId>,
    /// Why.
    pub why: Why,
}

/// Why something could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It is not what was written.
    Damaged(Bad),
    /// A newer Loom wrote it; says what is not known here.
    Newer(String),
    /// It cannot be read; says why.
    Unread(String),
}

/// A run that was judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JudgedRun {
    /// Its source, by its place among the sources.
    pub source: usize,
    /// Its stream.
    pub stream: StreamId,
    /// What it is called after.
    pub slug: String,
    /// When it was opened, milliseconds since the epoch.
    pub opened_ms: u64,
    /// Its events.
    pub events: u64,
    /// Decisions on record that at least one rule was asked about.
    pub decisions: u64,
    /// Inputs and records that at least one rule was asked about.
    pub observations: u64,
    /// Dropped decisions, from refusals, that at least one rule was asked about.
    pub proposals: u64,
    /// How many of those came after the run would have gone another way.
    pub counterfactual: u64,
    /// Refusals and violations on record that would not be.
    pub cleared: u64,
    /// Where the run would have gone another way, if it would have.
    pub turn: Option<Turn>,
    /// What each rule came to, in order of the rules.
    pub tallies: Vec<Tally>,
    /// Whether every judged set stands among the run's own, byte for byte.
    pub is_same_set: bool,
}

/// Where a run would have gone another way under the judged rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Sequence of the event.
    pub sequence: u64,
    /// How.
    pub how: Way,
}

/// How a run would have gone another way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A decision that stood would have been refused.
    Refused,
    /// Decisions that were refused would have stood.
    LetPass,
}

/// What a rule came to in one run. What came after the run's turn is counted apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Events it was asked about.
    pub judged: u32,
    /// Events of its kinds that are never judged (COMMIT-5): it was not asked about them.
    pub never_judged: u32,
    /// Events that it did not hold for.
    pub violated: u32,
    /// How many of those no recorded rule refused or reported.
    pub new: u32,
    /// Events about which it cannot be known.
    pub unknowable: u32,
    /// Refusals and violations on record by the rule of this name, or its set, that would not be.
    pub cleared: u32,
    /// Sequence of the first event that it did not hold for, or, where there is none, that it cannot be known about.
    pub first: Option<u64>,
    /// Events after the turn that it was asked about.
    pub later_judged: u32,
    /// Events after the turn that it did not hold for.
    pub later_violated: u32,
    /// Events after the turn about which it cannot be known.
    pub later_unknowable: u32,
}

/// What a rule came to in one run, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// It held for every event it was asked about, and there was one.
    Holds,
    /// It was asked about nothing.
    NotReached,
    /// It was violated at least once.
    Violated,
    /// It was violated nowhere that is known, and somewhere it cannot be known.
    Unknowable,
}

impl Verdict {
    /// Returns the word that documents use.
    pub fn word(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::NotReached => "not-reached",
            Verdict::Violated => "violated",
            Verdict::Unknowable => "unknowable",
        }
    }
}

impl Tally {
    /// Returns what the rule came to, up to the run's turn (JUDGE-2).
    pub fn verdict(&self) -> Verdict {
        match (self.violated, self.unknowable, self.judged) {
            (0, 0, 0) => Verdict::NotReached,
            (0, 0, _) => Verdict::Holds,
            (0, _, _) => Verdict::Unknowable,
            (_, _, _) => Verdict::Violated,
        }
    }
}

/// Where an event was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An event on record.
    Event,
    /// A decision that rules refused then: one of those that the `refused` at this sequence holds.
    Proposal,
}

/// How a finding stands to what is on record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compared {
    /// No recorded rule refused or reported the event.
    New,
    /// One did.
    Same,
}

/// A rule that did not hold for an event, or cannot be known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The run, by its place among the runs.
    pub run: usize,
    /// The rule, by its place among the rules.
    pub rule: usize,
    /// Sequence of the event; for a proposal, of its `refused`.
    pub sequence: u64,
    /// Time of its commit, milliseconds since the epoch.
    pub at_ms: u64,
    /// The event's kind.
    pub kind: &'static str,
    /// Whether it is an input, a record or a decision.
    pub class: Class,
    /// Where it was judged.
    pub place: Place,
    /// What the rule gave: false, or what is missing or wrong.
    pub outcome: Outcome,
    /// The facts (`set/fact`) and fields (`event.name`) it read, with their values before the event.
    pub read: Vec<(String, String)>,
    /// How it stands to what is on record.
    pub compared: Compared,
    /// Whether it came after the run would have gone another way.
    pub is_counterfactual: bool,
    /// The shortest chain from the event back to a person or an input; empty where it was not followed.
    pub chain: Vec<Step>,
}

impl Finding {
    /// Whether the rule does not hold; else it cannot be known.
    pub fn is_violation(&self) -> bool {
        !matches!(self.outcome, Outcome::Unknown(_))
    }
}

/// A refusal or violation on record that the judged rules would not have given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cleared {
    /// The run, by its place among the runs.
    pub run: usize,
    /// Sequence of the event that was reported, or of the `refused`.
    pub sequence: u64,
    /// The recorded rule, `set/rule`.
    pub rule: String,
    /// Whether it came after the run would have gone another way.
    pub is_counterfactual: bool,
}

/// Sums over a corpus, and what they are out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Sources that were looked at.
    pub sources: u64,
    /// Runs that were judged.
    pub runs: u64,
    /// Events of those runs.
    pub events: u64,
    /// Decisions on record that a rule was asked about.
    pub decisions: u64,
    /// Inputs and records that a rule was asked about.
    pub observations: u64,
    /// Dropped decisions that a rule was asked about.
    pub proposals: u64,
    /// How many of those three came after a run's turn.
    pub counterfactual: u64,
    /// Findings, those that are not listed among them.
    pub findings: u64,
    /// Runs that would have gone another way.
    pub turned: u64,
    /// Runs in which a rule is violated.
    pub violating: u64,
    /// Runs in which a rule is violated where no recorded one refused or reported.
    pub newly_violating: u64,
    /// Refusals and violations on record that would not be.
    pub cleared: u64,
    /// Runs in which it cannot be known of a rule, and none is violated.
    pub unknowable: u64,
}

/// What a rule came to over a corpus, in runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RuleTotals {
    /// Runs in which it holds.
    pub holds: u64,
    /// Runs in which it was asked about nothing.
    pub not_reached: u64,
    /// Of those not reached: runs that have events of its kinds, which are never judged (COMMIT-5).
    pub never_judged: u64,
    /// Runs in which it is violated.
    pub violated: u64,
    /// Runs in which it is violated where no recorded rule refused or reported.
    pub newly_violated: u64,
    /// Runs in which it cannot be known.
    pub unknowable: u64,
    /// Refusals and violations on record by its name that would not be.
    pub cleared: u64,
    /// Events it was asked about.
    pub judged: u64,
    /// Events after a run's turn that it was asked about.
    pub later_judged: u64,
    /// Events after a run's turn that it did not hold for.
    pub later_violated: u64,
}

impl Judgement {
    /// Returns the sums over all runs.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { sources: self.sources.len() as u64, ..Totals::default() };
        for run in &self.runs {
            totals.runs += 1;
            totals.events += run.events;
            totals.decisions += run.decisions;
            totals.observations += run.observations;
            totals.proposals += run.proposals;
            totals.counterfactual += run.counterfactual;
            totals.cleared += run.cleared;
            for tally in &run.tallies {
                let Tally { violated, unknowable, later_violated, later_unknowable, .. } = *tally;
                let found = [violated, unknowable, later_violated, later_unknowable];
                totals.findings += found.into_iter().map(u64::from).sum::<u64>();
            }
            totals.turned += u64::from(run.turn.is_some());
            let any = |is: fn(&Tally) -> bool| run.tallies.iter().any(is);
            let violates = any(|tally| tally.violated > 0);
            totals.violating += u64::from(violates);
            totals.newly_violating += u64::from(any(|tally| tally.new > 0));
            totals.unknowable += u64::from(!violates && any(|tally| tally.unknowable > 0));
        }
        totals
    }

    /// Returns the sums of one rule, by its place among the rules.
    pub fn rule_totals(&self, rule: usize) -> RuleTotals {
        let mut totals = RuleTotals::default();
        for tally in self.runs.iter().filter_map(|run| run.tallies.get(rule)) {
            match tally.verdict() {
                Verdict::Holds => totals.holds += 1,
                Verdict::NotReached => {
                    totals.not_reached += 1;
                    totals.never_judged += u64::from(tally.never_judged > 0);
                }
                Verdict::Violated => totals.violated += 1,
                Verdict::Unknowable => totals.unknowable += 1,
            }
            totals.newly_violated += u64::from(tally.new > 0);
            totals.cleared += u64::from(tally.cleared);
            totals.judged += u64::from(tally.judged);
            totals.later_judged += u64::from(tally.later_judged);
            totals.later_violated += u64::from(tally.later_violated);
        }
        totals
    }

    /// Whether something that should be here is damaged.
    pub fn is_damaged(&self) -> bool {
        self.left_out.iter().any(|left| matches!(left.why, Why::Damaged(_)))
    }

    /// Whether nothing at all was judged: then nothing holds (JUDGE-8).
    pub fn is_empty(&self) -> bool {
        self.runs.iter().all(|run| run.decisions + run.observations + run.proposals == 0)
    }
}
