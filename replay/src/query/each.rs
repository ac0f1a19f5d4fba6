//! Reads run after run and asks. What a run said counts once the run is read to its end and found whole.

use super::{Answer, GROUPS_MAX, Match, Question, SHOWN_MAX, Tally};
use crate::corpus::{Corpus, Filter, Kind, Open};
use crate::error::{Bad, ReplayError};
use crate::judge::{LeftOut, Why, origin, why_not};
use crate::records::BATCH;
use crate::trace::{self, Item};
use loom_core::cbor::Decoder;
use loom_core::event::{EventError, Sight, View};
use loom_core::id::StreamId;
use loom_core::kind::Event;
use loom_core::rules::{Facts, Outcome};
use loom_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
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
    for unread in &corpus.unread {
        let why = Why::Unread(unread.error.to_string());
        answer.left_out.push(LeftOut { path: unread.path.clone(), stream: None, why });
    }
    for source in &corpus.sources {
        answer.sources += 1;
        let path = source.path.as_path();
        let left_out = |why| LeftOut { path: path.to_path_buf(), stream: None, why };
        let asked = match source.kind {
            Kind::Store => open(path).map_err(ReplayError::from).and_then(|opened| {
                answer.left_out.extend(opened.damage.map(|damage| left_out(Why::Damaged(damage.into()))));
                of_store(&mut answer, path, opened.store.as_ref(), question, filter, show)
            }),
            Kind::Trace => of_trace(&mut answer, path, question, filter, show),
        };
        match asked {
            Ok(()) => {}
            Err(error @ ReplayError::TooMany { what: GROUPS, .. }) => return Err(error),
            Err(error) => answer.left_out.push(left_out(why_not(error))),
        }
    }
    Ok(answer)
}

/// What there may be too many of, for the whole answer.
const GROUPS: &str = "groups";

fn of_store(
    answer: &mut Answer,
    path: &Path,
    store: &dyn Store,
    question: &Question,
    filter: &Filter,
    show: &mut dyn FnMut(&Path, &Match),
) -> Result<(), ReplayError> {
    let runs = store.runs(usize::MAX)?;
    if filter.origin.is_some() && !filter.wants_origin(&origin(store)?) {
        answer.unwanted += runs.len() as u64;
        return Ok(());
    }
    // What comes while this reads is not looked at (JUDGE-7).
    let size = store.size();
    for run in runs.iter().rev().filter(|run| run.position < size) {
        if !filter.wants_run(run.stream, run.opened.ms) {
            answer.unwanted += 1;
            continue;
        }
        match of_run(store, run.stream, size, question) {
            Ok(asked) => answer.take(asked, path, show)?,
            Err(ReplayError::Store(error @ StoreError::Damaged(_)))
            | Err(ReplayError::Store(error @ StoreError::NewerEvent { .. })) => {
                let (path, stream) = (path.to_path_buf(), Some(run.stream));
                answer.left_out.push(LeftOut { path, stream, why: why_not(error.into()) });
            }
            Err(error @ (ReplayError::Damaged(_) | ReplayError::NewerEvent { .. })) => {
                let (path, stream) = (path.to_path_buf(), Some(run.stream));
                answer.left_out.push(LeftOut { path, stream, why: why_not(error) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn of_run<'q>(
    store: &dyn Store,
    stream: StreamId,
    size: u64,
    question: &'q Question,
) -> Result<Asking<'q>, ReplayError> {
    // The store checks what it reads of one run: chain, hashes, place, and where it ends.
    let mut asking = Asking::new(question, stream);
    loop {
        let events = store.read(stream, asking.events, BATCH)?;
        let is_over = events.is_empty();
        for stored in events {
            if stored.position >= size {
                return Ok(asking);
            }
            asking.push(&stored.event.bytes)?;
        }
        if is_over {
            return Ok(asking);
        }
    }
}

fn of_trace(
    answer: &mut Answer,
    path: &Path,
    question: &Question,
    filter: &Filter,
    show: &mut dyn FnMut(&Path, &Match),
) -> Result<(), ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Io { doing: "open", source })?;
    let mut input = BufReader::with_capacity(1 << 16, file);
    let mut asking: Option<Asking<'_>> = None;
    let (mut failed, mut is_unwanted) = (None, false);
    let summary = trace::scan(&mut input, 0, &mut |header, item| {
        is_unwanted |= !filter.wants_origin(&header.origin);
        if let (Item::Event(event), false) = (item, is_unwanted) {
            let asking = asking.get_or_insert_with(|| Asking::new(question, header.stream));
            failed = asking.push(&event.bytes).err();
            is_unwanted |= asking.events == 1 && !filter.wants_run(header.stream, asking.at_ms);
        }
        if failed.is_some() || is_unwanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    answer.unwanted += u64::from(is_unwanted);
    match (failed, asking, summary) {
        (Some(error), ..) => Err(error),
        (None, Some(asking), Some(_)) => answer.take(asking, path, show),
        (None, ..) => Ok(()),
    }
}

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
