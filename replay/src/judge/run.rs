//! One run while it is judged: facts of the new rules, and what they gave so far.
//!
//! ```text
//! event ─► asked with the facts before it ─► folded in
//! refused ─► its dropped decisions asked one after the other, as they were then, on a copy of the facts
//! violation ─► what a recorded rule said of an event of the same commit
//! ```

use super::FINDINGS_MAX;
use super::examples::Example;
use super::judgement::{Cleared, Compared, Finding, JudgedRun, Place, Tally, Turn, Way};
use crate::error::{Bad, ReplayError};
use loom_core::cbor::Decoder;
use loom_core::commit::Blob;
use loom_core::event::{Envelope, EventError, Sight, View};
use loom_core::exempt::is_exempt;
use loom_core::id::{Digest, EventHasher, EventId, StreamId};
use loom_core::kind::{Event, Refused, RulesAdded, RunClosed, RunOpened, Violation, schema_named};
use loom_core::rules::{Facts, Judgement as Answer, Outcome, Rules, Severity};
use loom_core::schema::{Class, KindSchema};
use std::ops::Range;

/// Kinds are numbered below this.
const KINDS_MAX: usize = 128;

/// Most decisions of one dropped proposal that are looked at.
const PROPOSED_MAX: u64 = 100_000;

/// The rules that are asked, prepared for every run.
pub(crate) struct Bench<'r> {
    pub(crate) rules: &'r Rules,
    /// Digests of the sets' texts as a run's events name them, in order of the sets.
    digests: Vec<Digest>,
    /// Where each set's rules begin among all.
    first: Vec<usize>,
    /// By kind: which rules are asked.
    asked: Vec<Vec<usize>>,
    /// By kind: whether an event is read beyond its kind.
    wanted: Vec<bool>,
    names: Vec<String>,
    is_verified: bool,
    notes_passes: bool,
}

impl<'r> Bench<'r> {
    pub(crate) fn new(rules: &'r Rules, is_verified: bool) -> Self {
        let mut bench = Bench {
            rules,
            digests: Vec::new(),
            first: Vec::new(),
            asked: vec![Vec::new(); KINDS_MAX],
            wanted: (0..KINDS_MAX).map(|code| rules.names(code as u64)).collect(),
            names: Vec::new(),
            is_verified,
            notes_passes: false,
        };
        for set in rules.sets() {
            bench.digests.push(Blob::plain(set.text().as_bytes()).digest);
            bench.first.push(bench.names.len());
            for rule in set.rules() {
                for kind in rule.kinds.iter().filter_map(|kind| schema_named(kind)) {
                    bench.asked[slot(kind)].push(bench.names.len());
                }
                bench.names.push(format!("{}/{}", set.name(), rule.name));
            }
        }
        for kind in [&RunOpened::SCHEMA, &RulesAdded::SCHEMA, &Refused::SCHEMA, &Violation::SCHEMA, &RunClosed::SCHEMA]
        {
            bench.wanted[slot(kind)] = true;
        }
        bench
    }

    /// Notes of each rule the first event of a run that it passes, too.
    pub(crate) fn noting_passes(self) -> Self {
        Bench { notes_passes: true, ..self }
    }

    /// Returns every rule, `set/rule`, in order of sets and files.
    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    /// Whether chains are checked.
    pub(crate) fn is_verified(&self) -> bool {
        self.is_verified
    }

    fn is_wanted(&self, code: u64) -> bool {
        usize::try_from(code).ok().and_then(|code| self.wanted.get(code)).copied().unwrap_or(false)
    }

    /// Returns which rules belong to the set of this name; `None` where it is not asked.
    fn of_set(&self, name: &str) -> Option<Range<usize>> {
        let set = self.rules.sets().iter().position(|set| set.name() == name)?;
        let end = self.first.get(set + 1).copied().unwrap_or(self.names.len());
        Some(self.first[set]..end)
    }

    /// Returns the set of a rule.
    fn set_of(&self, rule: usize) -> usize {
        self.first.partition_point(|first| *first <= rule).saturating_sub(1)
    }

    fn rule(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|known| known == name)
    }
}

fn slot(kind: &KindSchema) -> usize {
    usize::try_from(kind.code).unwrap_or(usize::MAX).min(KINDS_MAX - 1)
}

/// Why a run cannot be judged to its end.
#[derive(Debug)]
pub(crate) enum Broken {
    Damaged(Bad),
    Newer(EventError),
}

impl Broken {
    /// Returns it as what keeps the run from being read; `sequence` is that of the event at hand.
    pub(crate) fn told(self, sequence: u64) -> ReplayError {
        match self {
            Broken::Damaged(bad) => ReplayError::Damaged(bad),
            Broken::Newer(source) => ReplayError::NewerEvent { sequence, source },
        }
    }
}

/// A run while it is judged.
pub(crate) struct Course {
    pub(crate) judged: JudgedRun,
    pub(crate) findings: Vec<Finding>,
    pub(crate) cleared: Vec<Cleared>,
    /// By rule: the first event that it passed, where that is noted.
    pub(crate) passed: Vec<Option<Example>>,
    pub(crate) is_closed: bool,
    next: u64,
    last: EventId,
    hasher: EventHasher,
    facts: Facts,
    /// By set: whether its very text is among the recorded ones.
    same: Vec<bool>,
    /// What was found in the commit at hand: what is on record of it may follow.
    open: Vec<Found>,
}

struct Found {
    finding: Finding,
    /// Whether the log would not tell of it: of a decision that a rule only warns of.
    is_silent: bool,
    /// The rule's set, by its place.
    set: usize,
}

impl Course {
    /// Begins with the first event of a run.
    pub(crate) fn begin(bench: &Bench<'_>, stream: StreamId, bytes: &[u8]) -> Result<Self, Broken> {
        let envelope = Envelope::decode(bytes).map_err(|error| broken(stream, 0, error))?;
        let Event::RunOpened(opened) = envelope.body else {
            return Err(damaged(stream, 0, "a stream does not begin with the kind that opens it"));
        };
        let judged = JudgedRun {
            source: 0,
            stream,
            slug: opened.slug,
            opened_ms: envelope.stamp.ms,
            events: 0,
            decisions: 0,
            observations: 0,
            proposals: 0,
            counterfactual: 0,
            cleared: 0,
            turn: None,
            tallies: vec![Tally::default(); bench.names.len()],
            is_same_set: false,
        };
        Ok(Course {
            judged,
            findings: Vec::new(),
            cleared: Vec::new(),
            passed: if bench.notes_passes { vec![None; bench.names.len()] } else { Vec::new() },
            is_closed: false,
            next: 0,
            last: EventId::default(),
            hasher: EventHasher::default(),
            facts: bench.rules.facts(),
            same: bench.digests.iter().map(|digest| opened.rules.contains(digest)).collect(),
            open: Vec::new(),
        })
    }

    /// Returns the sequence that comes next, and the id of the last event where ids are computed.
    pub(crate) fn head(&self) -> (u64, EventId) {
        (self.next, self.last)
    }

    /// Judges the next event and folds it in.
    pub(crate) fn push(&mut self, bench: &Bench<'_>, bytes: &[u8]) -> Result<(), Broken> {
        let stream = self.judged.stream;
        let seen =
            View::read_if(bytes, |code| bench.is_wanted(code)).map_err(|error| broken(stream, self.next, error))?;
        let (sequence, previous) = match &seen {
            Sight::View(view) => (view.sequence, view.previous),
            Sight::Passed { sequence, previous } => (*sequence, *previous),
        };
        self.place(sequence)?;
        if bench.is_verified {
            if previous != self.last {
                return Err(damaged(stream, sequence, "the previous id is not that of the event before it (CHAIN-1)"));
            }
            self.last = self.hasher.id(bytes);
        }
        match seen {
            Sight::View(view) => self.look(bench, &view),
            Sight::Passed { .. } => Ok(()),
        }
    }

    /// Judges the next event, which was checked already, and folds it in.
    pub(crate) fn push_checked(&mut self, bench: &Bench<'_>, view: &View<'_>) -> Result<(), Broken> {
        self.place(view.sequence)?;
        match bench.is_wanted(view.schema.code) {
            true => self.look(bench, view),
            false => Ok(()),
        }
    }

    fn place(&mut self, sequence: u64) -> Result<(), Broken> {
        if sequence != self.next {
            let what = "an event does not follow the one before it in its stream (CHAIN-1)";
            return Err(damaged(self.judged.stream, self.next, what));
        }
        self.next += 1;
        self.judged.events += 1;
        Ok(())
    }

    fn look(&mut self, bench: &Bench<'_>, view: &View<'_>) -> Result<(), Broken> {
        if view.count.is_some() {
            self.settle();
        }
        let code = view.schema.code;
        let asked = &bench.asked[slot(view.schema)];
        match !asked.is_empty() && is_exempt(view) {
            true => self.pass_by(asked),
            false if asked.is_empty() => {}
            false => self.ask(bench, asked, view),
        }
        if code == Refused::SCHEMA.code {
            self.refused(bench, view)?;
        } else if code == Violation::SCHEMA.code {
            self.reported(bench, view)?;
        } else if code == RulesAdded::SCHEMA.code {
            let body = body(view)?;
            if let Event::RulesAdded(added) = body {
                for (same, digest) in self.same.iter_mut().zip(&bench.digests) {
                    *same |= added.rules == *digest;
                }
            }
        } else if code == RunClosed::SCHEMA.code {
            self.is_closed = true;
        }
        bench.rules.fold(&mut self.facts, view);
        Ok(())
    }

    /// Counts an event that is never judged (COMMIT-5).
    fn pass_by(&mut self, asked: &[usize]) {
        for rule in asked {
            let never_judged = &mut self.judged.tallies[*rule].never_judged;
            *never_judged = never_judged.saturating_add(1);
        }
    }

    /// Asks the rules about an event on record; one that would have been refused turns the run (JUDGE-3).
    fn ask(&mut self, bench: &Bench<'_>, asked: &[usize], view: &View<'_>) {
        let is_later = self.judged.turn.is_some();
        for rule in asked {
            count(&mut self.judged.tallies[*rule], is_later);
        }
        self.judged.counterfactual += u64::from(is_later);
        match view.schema.class {
            Class::Decision => self.judged.decisions += 1,
            Class::Input | Class::Record => self.judged.observations += 1,
        }
        let answers = bench.rules.judge(&self.facts, view);
        if bench.notes_passes {
            self.note_passes(bench, asked, &answers, view);
        }
        if answers.is_empty() {
            return;
        }
        let is_decision = view.schema.class == Class::Decision;
        let refuses = answers.iter().any(|answer| answer.severity == Severity::Error && !is_unknown(answer));
        for answer in answers {
            self.found(bench, answer, view, view.sequence, Place::Event, is_later);
        }
        if is_decision && refuses {
            self.judged.turn.get_or_insert(Turn { sequence: view.sequence, how: Way::Refused });
        }
    }

    /// Notes the rules that were asked and have no answer: they gave true.
    fn note_passes(&mut self, bench: &Bench<'_>, asked: &[usize], answers: &[Answer], view: &View<'_>) {
        for rule in asked {
            let noted = &mut self.passed[*rule];
            if noted.is_none() && !answers.iter().any(|answer| answer.rule == bench.names[*rule]) {
                *noted = Some(Example {
                    stream: view.stream,
                    sequence: view.sequence,
                    kind: view.schema.name,
                    class: view.schema.class,
                    place: Place::Event,
                    read: Vec::new(),
                    is_counterfactual: self.judged.turn.is_some(),
                });
            }
        }
    }

    fn found(
        &mut self,
        bench: &Bench<'_>,
        answer: Answer,
        view: &View<'_>,
        sequence: u64,
        place: Place,
        is_later: bool,
    ) {
        let Some(rule) = bench.rule(&answer.rule) else { return };
        let mut read = answer.facts;
        read.extend(answer.fields);
        let finding = Finding {
            run: 0,
            rule,
            sequence,
            at_ms: view.stamp.ms,
            kind: view.schema.name,
            class: view.schema.class,
            place,
            outcome: answer.result,
            read,
            compared: Compared::New,
            is_counterfactual: is_later,
            chain: Vec::new(),
        };
        let is_silent = answer.severity == Severity::Warn && view.schema.class == Class::Decision;
        self.open.push(Found { finding, is_silent, set: bench.set_of(rule) });
    }

    /// Judges what rules refused then, one decision after the other, as core did (JUDGE-4).
    fn refused(&mut self, bench: &Bench<'_>, view: &View<'_>) -> Result<(), Broken> {
        let Event::Refused(refused) = body(view)? else { return Ok(()) };
        let is_later = self.judged.turn.is_some();
        let before = self.open.len();
        match self.propose(bench, &refused, view, is_later) {
            Some(true) => self.let_pass(bench, &refused, view.sequence, is_later),
            Some(false) => {}
            None => self.unproposed(bench, &refused, view, is_later),
        }
        for found in &mut self.open[before..] {
            found.finding.compared = Compared::Same;
        }
        Ok(())
    }

    /// Returns whether all dropped decisions pass; `None` where they are not on record.
    fn propose(&mut self, bench: &Bench<'_>, refused: &Refused, view: &View<'_>, is_later: bool) -> Option<bool> {
        let mut decoder = Decoder::new(&refused.proposal);
        let count_of = decoder.array().ok().filter(|count| (1..=PROPOSED_MAX).contains(count))?;
        let mut facts = self.facts.clone();
        for _ in 0..count_of {
            let bytes = decoder.bytes().ok()?;
            let proposed = View::read(bytes).ok().filter(|proposed| proposed.stream == view.stream)?;
            let asked = &bench.asked[slot(proposed.schema)];
            if !asked.is_empty() && !is_exempt(&proposed) {
                for rule in asked {
                    count(&mut self.judged.tallies[*rule], is_later);
                }
                self.judged.proposals += 1;
                self.judged.counterfactual += u64::from(is_later);
                let answers = bench.rules.judge(&facts, &proposed);
                let refuses = answers.iter().any(|answer| answer.severity == Severity::Error);
                for answer in answers {
                    self.found(bench, answer, &proposed, view.sequence, Place::Proposal, is_later);
                }
                if refuses {
                    return Some(false);
                }
            }
            bench.rules.fold(&mut facts, &proposed);
        }
        Some(true)
    }

    /// What was refused would have stood, where every rule that refused it belongs to a set that is judged anew.
    fn let_pass(&mut self, bench: &Bench<'_>, refused: &Refused, sequence: u64, is_later: bool) {
        let mut are_all_asked = true;
        for name in refused.rules.iter() {
            match name.split_once('/').and_then(|(set, _)| bench.of_set(set)) {
                Some(_) => self.clear(bench, name, sequence, is_later),
                None => are_all_asked = false,
            }
        }
        if are_all_asked {
            self.judged.turn.get_or_insert(Turn { sequence, how: Way::LetPass });
        }
    }

    fn clear(&mut self, bench: &Bench<'_>, name: &str, sequence: u64, is_later: bool) {
        if let Some(rule) = bench.rule(name) {
            let tally = &mut self.judged.tallies[rule];
            tally.cleared = tally.cleared.saturating_add(1);
        }
        self.judged.cleared += 1;
        if self.cleared.len() < FINDINGS_MAX {
            self.cleared.push(Cleared { run: 0, sequence, rule: name.to_string(), is_counterfactual: is_later });
        }
    }

    /// The dropped decisions are not on record: nothing can be known of the rules that name the refused kind.
    fn unproposed(&mut self, bench: &Bench<'_>, refused: &Refused, view: &View<'_>, is_later: bool) {
        let Some(kind) = schema_named(&refused.kind) else { return };
        let missing =
            Outcome::Unknown("the dropped decisions, which are too large to be on record (BLOB-3)".to_string());
        for rule in bench.asked[slot(kind)].clone() {
            count(&mut self.judged.tallies[rule], is_later);
            let finding = Finding {
                run: 0,
                rule,
                sequence: view.sequence,
                at_ms: view.stamp.ms,
                kind: kind.name,
                class: kind.class,
                place: Place::Proposal,
                outcome: missing.clone(),
                read: Vec::new(),
                compared: Compared::Same,
                is_counterfactual: is_later,
                chain: Vec::new(),
            };
            self.open.push(Found { finding, is_silent: false, set: bench.set_of(rule) });
        }
    }

    /// Takes note of what a recorded rule said of an event of this commit.
    fn reported(&mut self, bench: &Bench<'_>, view: &View<'_>) -> Result<(), Broken> {
        let Event::Violation(violation) = body(view)? else { return Ok(()) };
        let at = |found: &Found| found.finding.sequence == violation.event && found.finding.place == Place::Event;
        let of_set = violation.rule.split_once('/').and_then(|(set, _)| bench.of_set(set));
        let is_found =
            |found: &Found| at(found) && of_set.as_ref().is_some_and(|set| set.contains(&found.finding.rule));
        let is_kept = self.open.iter().any(is_found);
        for found in self.open.iter_mut().filter(|found| at(found)) {
            found.finding.compared = Compared::Same;
        }
        if of_set.is_some() && !is_kept {
            self.clear(bench, &violation.rule, violation.event, self.judged.turn.is_some());
        }
        Ok(())
    }

    /// Ends the commit at hand: nothing more is on record about its events.
    fn settle(&mut self) {
        for Found { mut finding, is_silent, set } in self.open.drain(..) {
            // The very same set said the same (RULE-1, JUDGE-5).
            if is_silent && self.same.get(set).copied().unwrap_or(false) {
                finding.compared = Compared::Same;
            }
            let tally = &mut self.judged.tallies[finding.rule];
            let add = |count: &mut u32| *count = count.saturating_add(1);
            match (finding.is_violation(), finding.is_counterfactual) {
                (true, true) => add(&mut tally.later_violated),
                (false, true) => add(&mut tally.later_unknowable),
                (true, false) => {
                    if tally.violated == 0 {
                        tally.first = Some(finding.sequence);
                    }
                    add(&mut tally.violated);
                    if finding.compared == Compared::New {
                        add(&mut tally.new);
                    }
                }
                (false, false) => {
                    tally.first = tally.first.or(Some(finding.sequence));
                    add(&mut tally.unknowable);
                }
            }
            if self.findings.len() < FINDINGS_MAX {
                self.findings.push(finding);
            }
        }
        self.judged.is_same_set = self.same.iter().all(|same| *same);
    }

    /// Ends the run.
    pub(crate) fn end(mut self) -> (JudgedRun, Vec<Finding>, Vec<Cleared>) {
        self.settle();
        (self.judged, self.findings, self.cleared)
    }
}

fn count(tally: &mut Tally, is_later: bool) {
    let counted = if is_later { &mut tally.later_judged } else { &mut tally.judged };
    *counted = counted.saturating_add(1);
}

fn is_unknown(answer: &Answer) -> bool {
    matches!(answer.result, Outcome::Unknown(_))
}

fn body(view: &View<'_>) -> Result<Event, Broken> {
    let failed = |error: EventError| broken(view.stream, view.sequence, error);
    let mut decoder = Decoder::new(view.body);
    let body = Event::decode(view.schema.code, &mut decoder).ok_or(failed(EventError::Kind(view.schema.code)))?;
    body.map_err(|error| failed(error.into()))
}

pub(crate) fn broken(stream: StreamId, sequence: u64, error: EventError) -> Broken {
    match error.is_newer() {
        true => Broken::Newer(error),
        false => damaged(stream, sequence, &error.to_string()),
    }
}

pub(crate) fn damaged(stream: StreamId, sequence: u64, what: &str) -> Broken {
    Broken::Damaged(Bad { stream: Some(stream), sequence: Some(sequence), ..Bad::of(what) })
}
