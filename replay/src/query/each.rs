//! Asks run after run. What a run said counts once the run is read to its end and found whole.

use super::{Answer, GROUPS_MAX, Match, Question, SHOWN_MAX, Tally};
use crate::corpus::{Corpus, Filter, Open};
use crate::each::{Walked, each_run};
use crate::error::{Bad, ReplayError};
use loom_core::cbor::Decoder;
use loom_core::event::{EventError, Sight, View};
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_core::rules::{Facts, Outcome};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

pub(super) fn query(
    corpus: &Corpus,
    question: &Question,
    filter: &Filter,
    open: &Open<'_>,
    show: &mut dyn FnMut(&Path, &Match),
) -> Result<Answer, ReplayError> {
    let mut answer = Answer::default();
    let mut take = |path: &Path, asking: Asking<'_>| answer.take(asking, path, show).map(ControlFlow::Continue);
    let walked = each_run(corpus, filter, open, |stream| Asking::new(question, stream), Asking::push, &mut take)?;
    let Walked { sources, unwanted, left_out } = walked;
    Ok(Answer { sources, unwanted, left_out, ..answer })
}

/// What there may be too many of, for the whole answer.
const GROUPS: &str = "groups";

/// A run while it is asked about.
struct Asking<'q> {
    question: &'q Question,
    stream: StreamId,
    slug: String,
    facts: Facts,
    events: u64,
    at_ms: u64,
    kind: &'static str,
    total: Tally,
    groups: BTreeMap<String, Tally>,
    matches: Vec<Match>,
    unshown: u64,
}

impl<'q> Asking<'q> {
    fn new(question: &'q Question, stream: StreamId) -> Self {
        Asking {
            question,
            stream,
            slug: String::new(),
            facts: question.rules().facts(),
            events: 0,
            at_ms: 0,
            kind: "",
            total: Tally::default(),
            groups: BTreeMap::new(),
            matches: Vec::new(),
            unshown: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        let failed = |sequence, error: EventError| crate::refold::broken(sequence, error);
        let is_first = self.events == 0;
        // Of the last event time and kind are told of a run, so that each is read that far where it is about runs.
        let wants_all = is_first || self.question.mode() == super::Mode::Runs;
        let seen = View::read_if(bytes, |code| wants_all || self.question.wants(code));
        let seen = seen.map_err(|error| failed(self.events, error))?;
        let sequence = match &seen {
            Sight::View(view) => view.sequence,
            Sight::Passed { sequence, .. } => *sequence,
        };
        if sequence != self.events {
            let bad = Bad { stream: Some(self.stream), sequence: Some(self.events), ..Bad::default() };
            let what = "an event does not follow the one before it in its stream (CHAIN-1)".to_string();
            return Err(ReplayError::Damaged(Bad { what, ..bad }));
        }
        self.events += 1;
        let Sight::View(view) = seen else { return Ok(()) };
        (self.at_ms, self.kind) = (view.stamp.ms, view.schema.name);
        if is_first {
            let body = Event::decode(view.schema.code, &mut Decoder::new(view.body));
            if let Some(Ok(Event::RunOpened(opened))) = body {
                self.slug = opened.slug;
            }
        }
        if let Some((outcome, read)) = self.question.of_event(&self.facts, &view) {
            let group = self.question.group(&self.facts, Some(&view));
            self.found(sequence, outcome, read, group)?;
        }
        self.question.rules().fold(&mut self.facts, &view);
        Ok(())
    }

    fn found(
        &mut self,
        sequence: u64,
        outcome: Outcome,
        read: Vec<(String, String)>,
        group: Option<String>,
    ) -> Result<(), ReplayError> {
        self.total.count(&outcome);
        if let Some(group) = &group {
            self.groups.entry(group.clone()).or_default().count(&outcome);
            bounded(&self.groups)?;
        }
        if outcome == Outcome::False {
            return Ok(());
        }
        if self.matches.len() >= SHOWN_MAX {
            self.unshown += 1;
            return Ok(());
        }
        let (stream, slug, at_ms, kind) = (self.stream, self.slug.clone(), self.at_ms, self.kind);
        self.matches.push(Match { stream, slug, sequence, at_ms, kind, outcome, read, group });
        Ok(())
    }

    /// Asks about the run itself, where that is asked about.
    fn end(&mut self) -> Result<(), ReplayError> {
        match self.question.of_run(&self.facts) {
            Some((outcome, read)) => {
                let group = self.question.group(&self.facts, None);
                self.found(self.events.saturating_sub(1), outcome, read, group)
            }
            None => Ok(()),
        }
    }
}

fn bounded(groups: &BTreeMap<String, Tally>) -> Result<(), ReplayError> {
    if groups.len() > GROUPS_MAX {
        return Err(ReplayError::TooMany { what: GROUPS, max: GROUPS_MAX as u64 });
    }
    Ok(())
}

impl Answer {
    fn take(
        &mut self,
        mut asking: Asking<'_>,
        path: &Path,
        show: &mut dyn FnMut(&Path, &Match),
    ) -> Result<(), ReplayError> {
        asking.end()?;
        self.runs += 1;
        self.events += asking.events;
        self.total.add(asking.total);
        self.unshown += asking.unshown;
        for (group, tally) in asking.groups {
            self.groups.entry(group).or_default().add(tally);
        }
        bounded(&self.groups)?;
        asking.matches.iter().for_each(|found| show(path, found));
        Ok(())
    }
}
