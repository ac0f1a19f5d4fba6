//! Judges source by source and puts together what they say.

use super::judgement::{Asked, Cleared, Finding, Judged, Judgement, LeftOut, Why};
use super::run::{Bench, Course};
use super::scan::{self, Ended};
use super::{FINDINGS_MAX, Options};
use crate::cause::chain;
use crate::corpus::{Corpus, Kind, Open};
use crate::error::{Bad, ReplayError};
use crate::trace::{self, Item};
use loom_core::event::Envelope;
use loom_core::rules::Rules;
use loom_store::{Store, StoreError, origin};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

/// Findings whose chain of causes is followed (JUDGE-6).
const CHAINS_MAX: usize = 1_000;
/// Most bytes of a trace's events that are held to follow chains in.
const HELD_MAX: usize = 32 << 20;

/// Judges every wanted run of a corpus. What is damaged is left out and told.
pub fn judge(corpus: &Corpus, rules: &Rules, options: &Options, open: &Open<'_>) -> Judgement {
    let mut judgement = begin(rules, options);
    for unread in &corpus.unread {
        let why = Why::Unread(unread.error.to_string());
        judgement.left_out.push(LeftOut { path: unread.path.clone(), stream: None, why });
    }
    for source in &corpus.sources {
        let done = match source.kind {
            Kind::Store => open(&source.path).map_err(ReplayError::from).and_then(|opened| {
                let damage = opened.damage.map(|damage| Why::Damaged(damage.into()));
                let left_out = |why| LeftOut { path: source.path.clone(), stream: None, why };
                judgement.left_out.extend(damage.map(left_out));
                add_store(&mut judgement, &source.path, opened.store.as_ref(), rules, options)
            }),
            Kind::Trace => add_trace(&mut judgement, &source.path, rules, options),
        };
        if let Err(error) = done {
            let stream = None;
            judgement.left_out.push(LeftOut { path: source.path.clone(), stream, why: why_not(error) });
        }
    }
    judgement
}

/// Judges every wanted run of one store, which may be written meanwhile: what comes later is not looked at.
pub fn judge_store(path: &Path, store: &dyn Store, rules: &Rules, options: &Options) -> Result<Judgement, ReplayError> {
    let mut judgement = begin(rules, options);
    add_store(&mut judgement, path, store, rules, options)?;
    Ok(judgement)
}

pub(super) fn begin(rules: &Rules, options: &Options) -> Judgement {
    let mut judgement = Judgement { is_verified: options.verify, ..Judgement::default() };
    for set in rules.sets() {
        judgement.rules.extend(set.rules().map(|rule| Asked {
            name: format!("{}/{}", set.name(), rule.name),
            message: rule.message.clone(),
            severity: rule.severity,
            kinds: rule.kinds.clone(),
            origin: rule.origin.clone(),
            expression: rule.expression.clone(),
            line: rule.place.line,
        }));
    }
    judgement
}

fn add_store(
    judgement: &mut Judgement,
    path: &Path,
    store: &dyn Store,
    rules: &Rules,
    options: &Options,
) -> Result<(), ReplayError> {
    let source = judgement.source(path, Kind::Store);
    if options.filter.origin.is_some() && !options.filter.wants_origin(&origin(store)?) {
        judgement.sources[source].unwanted = store.runs(usize::MAX)?.len() as u64;
        return Ok(());
    }
    let bench = Bench::new(rules, options.verify);
    let scanned = scan::store(&bench, store, &options.filter, options.threads)?;
    judgement.sources[source].unwanted = scanned.unwanted;
    if let Some(bad) = scanned.bad {
        judgement.left_out.push(LeftOut { path: path.to_path_buf(), stream: None, why: Why::Damaged(bad) });
    }
    let first = judgement.findings.len();
    scanned.runs.into_iter().for_each(|run| judgement.add(source, run));
    let runs = &judgement.runs;
    for finding in judgement.findings.iter_mut().skip(first).take(CHAINS_MAX.saturating_sub(first)) {
        let stream = runs[finding.run].stream;
        let mut read = |sequence| -> Result<Option<Envelope>, StoreError> {
            let event = store.read(stream, sequence, 1)?.pop();
            Ok(event.and_then(|stored| Envelope::decode(&stored.event.bytes).ok()))
        };
        // The run was judged whole: what cannot be read now is damage that came since, and a chain is no verdict.
        finding.chain = chain(finding.sequence, &mut read).unwrap_or_default();
    }
    Ok(())
}

/// Returns how many events a store has. Each has its first from the beginning: one that seems to have none is held by a process
/// that has gone meanwhile, which is told.
pub(crate) fn known_size(store: &dyn Store) -> Result<u64, ReplayError> {
    let size = store.size();
    if size == 0 {
        origin(store)?;
    }
    Ok(size)
}

fn add_trace(judgement: &mut Judgement, path: &Path, rules: &Rules, options: &Options) -> Result<(), ReplayError> {
    // Reading a trace checks its chain already.
    let bench = Bench::new(rules, false);
    let filter = &options.filter;
    let mut course: Option<Course> = None;
    let mut broken = None;
    let mut unwanted = 0;
    let summary = trace::scan(&mut input(path)?, 0, &mut |header, item| {
        let Item::Event(event) = item else {
            if !filter.wants_origin(&header.origin) {
                unwanted = 1;
                return ControlFlow::Break(());
            }
            return ControlFlow::Continue(());
        };
        let pushed = match &mut course {
            Some(course) => course.push(&bench, &event.bytes),
            None => Course::begin(&bench, header.stream, &event.bytes).and_then(|mut begun| {
                let wanted = filter.wants_origin(&header.origin);
                if !wanted || !filter.wants_run(header.stream, begun.judged.opened_ms) {
                    unwanted = 1;
                }
                let pushed = begun.push(&bench, &event.bytes);
                course = Some(begun);
                pushed
            }),
        };
        broken = pushed.err();
        if broken.is_some() || unwanted > 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    let source = judgement.source(path, Kind::Trace);
    judgement.sources[source].unwanted = unwanted;
    if unwanted > 0 {
        return Ok(());
    }
    let (Some(course), None, Some(summary)) = (course, &broken, summary) else {
        let bad = Bad { offset: None, ..Bad::default() };
        let why = broken.map_or(Why::Damaged(bad), scan::why);
        judgement.left_out.push(LeftOut { path: path.to_path_buf(), stream: None, why });
        return Ok(());
    };
    let first = judgement.findings.len();
    judgement.add(source, Ended { position: 0, stream: summary.header.stream, outcome: Ok(course.end()) });
    // What comes through a pipe comes once, and who opens it again waits for ever.
    if judgement.findings.len() > first && first < CHAINS_MAX && path.is_file() {
        let until = judgement.findings.len().min(CHAINS_MAX);
        // The run was judged whole: what cannot be read now was altered since, and a chain is no verdict.
        let _chains = chains(&mut judgement.findings[first..until], path);
    }
    Ok(())
}

/// Reads a trace once more, for the chains of its findings; one that is too large has none.
fn chains(findings: &mut [Finding], path: &Path) -> Result<(), ReplayError> {
    let until = findings.iter().map(|finding| finding.sequence).max().unwrap_or(0);
    let (mut events, mut held, mut sequence) = (BTreeMap::new(), 0, 0);
    trace::scan(&mut input(path)?, 0, &mut |_, item| {
        if let Item::Event(event) = item {
            held += event.bytes.len();
            events.insert(sequence, event.bytes.clone());
            sequence += 1;
        }
        if held > HELD_MAX || sequence > until { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if held > HELD_MAX {
        return Ok(());
    }
    for finding in findings {
        let mut read = |sequence| -> Result<Option<Envelope>, ReplayError> {
            Ok(events.get(&sequence).and_then(|bytes: &Vec<u8>| Envelope::decode(bytes).ok()))
        };
        finding.chain = chain(finding.sequence, &mut read)?;
    }
    Ok(())
}

fn input(path: &Path) -> Result<BufReader<File>, ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Io { doing: "open", source })?;
    Ok(BufReader::with_capacity(1 << 16, file))
}

/// Sorts why a source cannot be judged into what is damaged, what is newer, and what cannot be read.
pub fn why_not(error: ReplayError) -> Why {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(source) = cause {
        told.push_str(&format!(": {source}"));
        cause = source.source();
    }
    match error {
        ReplayError::Damaged(bad) => Why::Damaged(bad),
        ReplayError::Store(StoreError::Damaged(damage)) => Why::Damaged(damage.into()),
        ReplayError::NotATrace => Why::Damaged(Bad { what: told, ..Bad::default() }),
        ReplayError::Newer { .. }
        | ReplayError::NewerEvent { .. }
        | ReplayError::Store(StoreError::Newer { .. } | StoreError::NewerEvent { .. }) => Why::Newer(told),
        ReplayError::Store(_)
        | ReplayError::NoRun(_)
        | ReplayError::Source { .. }
        | ReplayError::TooMany { .. }
        | ReplayError::Io { .. } => Why::Unread(told),
    }
}

impl Judgement {
    pub(super) fn source(&mut self, path: &Path, kind: Kind) -> usize {
        self.sources.push(Judged { path: path.to_path_buf(), kind, runs: 0, unwanted: 0 });
        self.sources.len() - 1
    }

    pub(super) fn add(&mut self, source: usize, ended: Ended) {
        let (mut run, findings, cleared) = match ended.outcome {
            Ok(outcome) => outcome,
            Err(why) => {
                let (path, stream) = (self.sources[source].path.clone(), Some(ended.stream));
                return self.left_out.push(LeftOut { path, stream, why });
            }
        };
        let place = self.runs.len();
        run.source = source;
        self.sources[source].runs += 1;
        self.runs.push(run);
        let room = FINDINGS_MAX - self.findings.len().min(FINDINGS_MAX);
        self.findings.extend(findings.into_iter().take(room).map(|finding| Finding { run: place, ..finding }));
        let room = FINDINGS_MAX - self.cleared.len().min(FINDINGS_MAX);
        self.cleared.extend(cleared.into_iter().take(room).map(|cleared| Cleared { run: place, ..cleared }));
    }
}
