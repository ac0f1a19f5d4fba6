//! Verifies source by source, and sorts what is found: whole, cut off, altered, written by a newer Loom, unreadable.
//!
//! A source is held against itself alone. Whether it is forked, or cut off where nothing shows, only something kept
//! elsewhere can tell: [`Inspected::hold`] holds a store against checkpoints.

use crate::corpus::{Corpus, Filter, Kind, Open};
use crate::dependents::{Dependents, dependents};
use crate::error::{Bad, ReplayError};
use crate::evidence::{EvidenceError, History, Level, Witnessed};
use crate::judge::{Why, why_not};
use crate::records::StoredRun;
use crate::trace::{self, Item};
use crate::verify::{Options, Report, verify, verify_run};
use loom_core::event::View;
use loom_store::{Store, origin};
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::PathBuf;

/// How a source stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Everything that was checked is what was written.
    Whole,
    /// What is there is what was written, and its end is missing.
    Truncated(Bad),
    /// Something is not what was written.
    Altered(Bad),
    /// It is whole, and not what a checkpoint elsewhere was written of: forked, or altered with every digest made anew.
    Forked(Bad),
    /// A newer Loom wrote it; says what is not known here.
    Newer(String),
    /// It cannot be read; says why.
    Unread(String),
}

impl Standing {
    /// Returns the word that documents use.
    pub fn word(&self) -> &'static str {
        match self {
            Standing::Whole => "whole",
            Standing::Truncated(_) => "truncated",
            Standing::Altered(_) => "altered",
            Standing::Forked(_) => "forked",
            Standing::Newer(_) => "newer",
            Standing::Unread(_) => "unread",
        }
    }

    /// Returns the first record that is not what was written.
    pub fn bad(&self) -> Option<&Bad> {
        match self {
            Standing::Truncated(bad) | Standing::Altered(bad) | Standing::Forked(bad) => Some(bad),
            Standing::Whole | Standing::Newer(_) | Standing::Unread(_) => None,
        }
    }
}

/// A source that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// The store's folder or the trace's file.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// How it stands.
    pub standing: Standing,
    /// What was checked.
    pub report: Report,
    /// For a store: what depends on its first bad record, where that lies at a position that is known and can be read.
    pub dependents: Option<Dependents>,
    /// For a trace: how many blobs its events name that it does not hold, erased or left out.
    pub absent_blobs: Option<u64>,
    /// For a store that was found whole and was to be held against checkpoints elsewhere: how many there are of it.
    pub held_against: Option<usize>,
}

impl Inspected {
    /// Holds a store that was found whole against what `read` gives for its origin (CHECKPOINT-4). Anything else is left
    /// as it is.
    ///
    /// # Errors
    /// What keeps the store or the place from being read. What does not hold is how the source stands.
    pub fn hold<E: From<EvidenceError>>(
        &mut self,
        store: &dyn Store,
        read: impl FnOnce(&[u8; 16]) -> Result<Witnessed, E>,
    ) -> Result<(), E> {
        if self.kind != Kind::Store || self.standing != Standing::Whole {
            return Ok(());
        }
        let history = History::of_store(store)?;
        let witnessed = read(&history.origin)?;
        match witnessed.hold(store, &history) {
            Ok(()) => self.held_against = Some(witnessed.checkpoints.len()),
            Err(error) => self.standing = unheld(error)?,
        }
        Ok(())
    }

    /// Whether nothing of it was asked for, so that nothing was looked at.
    pub fn is_aside(&self) -> bool {
        self.report.unwanted.is_some_and(|unwanted| unwanted > 0) && self.report.streams == 0 && self.report.is_whole()
    }

    /// What may be concluded (LEVEL-1).
    pub fn level(&self) -> Level {
        let is_checkpointed = self.held_against.is_some_and(|count| count > 0);
        let is_whole = self.standing == Standing::Whole;
        match self.kind {
            Kind::Store => Level::of_store(is_whole, is_checkpointed),
            Kind::Trace => Level::of_trace(is_whole),
        }
    }
}

/// Verifies every source of a corpus, one after the other, in order; with a filter, the wanted runs of each.
pub fn inspect(corpus: &Corpus, filter: &Filter, options: Options, open: &Open<'_>) -> Vec<Inspected> {
    let mut inspected = Vec::new();
    for unread in &corpus.unread {
        let (path, standing) = (unread.path.clone(), Standing::Unread(unread.error.to_string()));
        let report = Report::default();
        inspected.push(Inspected {
            path,
            kind: Kind::Store,
            standing,
            report,
            dependents: None,
            absent_blobs: None,
            held_against: None,
        });
    }
    for source in &corpus.sources {
        let mut rests = None;
        let looked = match source.kind {
            Kind::Store => open(&source.path).map_err(ReplayError::from).and_then(|opened| {
                let report = match opened.damage {
                    Some(damage) => Report { first_bad: Some(damage.into()), ..Report::default() },
                    None => of_store(opened.store.as_ref(), filter, options)?,
                };
                // What keeps from saying this takes nothing from what was found.
                let bad = report.first_bad.as_ref();
                rests = bad.and_then(|bad| dependents(opened.store.as_ref(), bad).ok()).flatten();
                Ok((report, None))
            }),
            Kind::Trace => of_trace(&source.path, filter),
        };
        let (report, absent_blobs, standing) = match looked {
            Ok((report, absent)) => {
                let standing = report.first_bad.clone().map_or(Standing::Whole, damaged);
                (report, absent, standing)
            }
            Err(error) => {
                let standing = match why_not(error) {
                    Why::Damaged(bad) => damaged(bad),
                    Why::Newer(what) => Standing::Newer(what),
                    Why::Unread(what) => Standing::Unread(what),
                };
                (Report { first_bad: standing.bad().cloned(), ..Report::default() }, None, standing)
            }
        };
        let (path, kind) = (source.path.clone(), source.kind);
        inspected.push(Inspected { path, kind, standing, report, dependents: rests, absent_blobs, held_against: None });
    }
    inspected
}

/// Returns how a store stands that its checkpoints do not hold for.
fn unheld(error: EvidenceError) -> Result<Standing, EvidenceError> {
    match error {
        EvidenceError::Store(_) | EvidenceError::Replay(_) => Err(error),
        EvidenceError::Truncated { .. } => Ok(Standing::Truncated(Bad::of(error.to_string()).cut())),
        EvidenceError::NotAReceipt
        | EvidenceError::Newer { .. }
        | EvidenceError::Broken { .. }
        | EvidenceError::OtherStore { .. }
        | EvidenceError::OtherKey { .. }
        | EvidenceError::Forked { .. }
        | EvidenceError::Unprovable(_) => Ok(Standing::Forked(Bad::of(error.to_string()))),
    }
}

fn damaged(bad: Bad) -> Standing {
    if bad.is_cut { Standing::Truncated(bad) } else { Standing::Altered(bad) }
}

/// Verifies a store, or with a filter the wanted runs of it, each by itself.
fn of_store(store: &dyn Store, filter: &Filter, options: Options) -> Result<Report, ReplayError> {
    if *filter == Filter::default() {
        return verify(store, options);
    }
    let is_wanted = filter.origin.is_none() || filter.wants_origin(&origin(store)?);
    let mut sum = Report::default();
    let mut unwanted = 0;
    for run in store.runs(usize::MAX)?.into_iter().rev() {
        if !is_wanted || !filter.wants_run(run.stream, run.opened.ms) {
            unwanted += 1;
            continue;
        }
        let report = verify_run(&StoredRun::new(store, run.stream), options.blobs)?;
        sum = Report {
            events: sum.events + report.events,
            commits: sum.commits + report.commits,
            streams: sum.streams + report.streams,
            bytes: sum.bytes + report.bytes,
            blobs: sum.blobs + report.blobs,
            redacted: sum.redacted + report.redacted,
            unerased: sum.unerased + report.unerased,
            first_bad: sum.first_bad.or(report.first_bad.map(|bad| Bad { stream: Some(run.stream), ..bad })),
            ..sum
        };
    }
    Ok(Report { unwanted: Some(unwanted), ..sum })
}

fn of_trace(path: &std::path::Path, filter: &Filter) -> Result<(Report, Option<u64>), ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Io { doing: "open", source })?;
    let mut input = BufReader::with_capacity(1 << 16, file);
    let (mut is_unwanted, mut is_first) = (false, true);
    let summary = trace::scan(&mut input, 0, &mut |header, item| {
        is_unwanted |= !filter.wants_origin(&header.origin);
        if let Item::Event(event) = item
            && std::mem::take(&mut is_first)
        {
            let opened_ms = View::read(&event.bytes).map_or(0, |first| first.stamp.ms);
            is_unwanted |= !filter.wants_run(header.stream, opened_ms);
        }
        if is_unwanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if is_unwanted {
        return Ok((Report { unwanted: Some(1), ..Report::default() }, None));
    }
    let summary = summary.ok_or(ReplayError::NotATrace)?;
    Ok((summary.report(), Some(summary.absent.len() as u64)))
}
