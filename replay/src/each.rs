//! Reads the runs of a corpus one after the other, each from its first event to its last. What a reader made of a run is
//! handed on once the run is read to its end and found whole; what cannot be read is left out and told (CORPUS-4).

use crate::corpus::{Corpus, Filter, Kind, Open};
use crate::error::ReplayError;
use crate::judge::{LeftOut, Why, known_size, why_not};
use crate::records::BATCH;
use crate::trace::{self, Item};
use loom_core::event::View;
use loom_core::id::StreamId;
use loom_store::{Store, StoreError, origin};
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

/// What was read, and what was not.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Sources that were looked at.
    pub(crate) sources: u64,
    /// Runs that the filter left aside.
    pub(crate) unwanted: u64,
    /// What could not be read.
    pub(crate) left_out: Vec<LeftOut>,
}

/// Gets what a reader made of a run, and says whether that is enough.
type Take<'t, R> = dyn FnMut(&Path, R) -> Result<ControlFlow<()>, ReplayError> + 't;

/// Reads every wanted run: `begin` makes its reader, `push` gives it each event, and `take` gets it at the end.
///
/// # Errors
/// What `take` gives, and of `push` what is neither damage nor of a newer Loom. Everything else is left out and told.
pub(crate) fn each_run<R>(
    corpus: &Corpus,
    filter: &Filter,
    open: &Open<'_>,
    begin: impl Fn(StreamId) -> R,
    push: impl Fn(&mut R, &[u8]) -> Result<(), ReplayError>,
    take: &mut Take<'_, R>,
) -> Result<Walked, ReplayError> {
    let mut walk = Walk { filter, begin, push, take, walked: Walked::default() };
    for unread in &corpus.unread {
        walk.leave(&unread.path, None, Why::Unread(unread.error.to_string()));
    }
    for source in &corpus.sources {
        walk.walked.sources += 1;
        let path = source.path.as_path();
        let read = match source.kind {
            Kind::Store => open(path).map_err(|error| Stop::Source(error.into())).and_then(|opened| {
                if let Some(damage) = opened.damage {
                    walk.leave(path, None, Why::Damaged(damage.into()));
                }
                walk.store(path, opened.store.as_ref())
            }),
            Kind::Trace => walk.trace(path),
        };
        match read {
            Ok(()) => {}
            Err(Stop::Enough) => break,
            Err(Stop::All(error)) => return Err(error),
            Err(Stop::Source(error)) => walk.leave(path, None, why_not(error)),
        }
    }
    Ok(walk.walked)
}

/// How far an error goes.
enum Stop {
    /// The source is left out.
    Source(ReplayError),
    /// What was read is enough.
    Enough,
    /// There is no answer at all.
    All(ReplayError),
}

struct Walk<'w, B, P, R> {
    filter: &'w Filter,
    begin: B,
    push: P,
    take: &'w mut Take<'w, R>,
    walked: Walked,
}

impl<R, B: Fn(StreamId) -> R, P: Fn(&mut R, &[u8]) -> Result<(), ReplayError>> Walk<'_, B, P, R> {
    fn leave(&mut self, path: &Path, stream: Option<StreamId>, why: Why) {
        self.walked.left_out.push(LeftOut { path: path.to_path_buf(), stream, why });
    }

    fn hand_on(&mut self, path: &Path, reader: R) -> Result<(), Stop> {
        match (self.take)(path, reader).map_err(Stop::All)? {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Stop::Enough),
        }
    }

    fn store(&mut self, path: &Path, store: &dyn Store) -> Result<(), Stop> {
        let runs = store.runs(usize::MAX).map_err(|error| Stop::Source(error.into()))?;
        if self.filter.origin.is_some()
            && !self.filter.wants_origin(&origin(store).map_err(|error| Stop::Source(error.into()))?)
        {
            self.walked.unwanted += runs.len() as u64;
            return Ok(());
        }
        // What comes while this reads is not looked at (JUDGE-7).
        let size = known_size(store).map_err(Stop::Source)?;
        for run in runs.iter().rev().filter(|run| run.position < size) {
            if !self.filter.wants_run(run.stream, run.opened.ms) {
                self.walked.unwanted += 1;
                continue;
            }
            match self.run(store, run.stream, size) {
                Ok(reader) => self.hand_on(path, reader)?,
                Err(Stop::Source(error)) if is_of_run(&error) => self.leave(path, Some(run.stream), why_not(error)),
                Err(stop) => return Err(stop),
            }
        }
        Ok(())
    }

    fn run(&self, store: &dyn Store, stream: StreamId, size: u64) -> Result<R, Stop> {
        // The store checks what it reads of one run: chain, hashes, place, and where it ends.
        let (mut reader, mut next) = ((self.begin)(stream), 0);
        loop {
            let events = store.read(stream, next, BATCH).map_err(|error| Stop::Source(error.into()))?;
            let is_over = events.is_empty();
            for stored in events {
                if stored.position >= size {
                    return Ok(reader);
                }
                (self.push)(&mut reader, &stored.event.bytes).map_err(of_push)?;
                next += 1;
            }
            if is_over {
                return Ok(reader);
            }
        }
    }

    fn trace(&mut self, path: &Path) -> Result<(), Stop> {
        let failed = |source| Stop::Source(ReplayError::Io { doing: "open", source });
        let mut input = BufReader::with_capacity(1 << 16, File::open(path).map_err(failed)?);
        let mut reader = None;
        let (mut failed, mut is_unwanted) = (None, false);
        let summary = trace::scan(&mut input, 0, &mut |header, item| {
            is_unwanted |= !self.filter.wants_origin(&header.origin);
            if let (Item::Event(event), false) = (item, is_unwanted) {
                if reader.is_none() {
                    let opened_ms = View::read(&event.bytes).map_or(0, |first| first.stamp.ms);
                    is_unwanted |= !self.filter.wants_run(header.stream, opened_ms);
                }
                let reader = reader.get_or_insert_with(|| (self.begin)(header.stream));
                failed = (self.push)(reader, &event.bytes).err();
            }
            if failed.is_some() || is_unwanted { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        let summary = summary.map_err(Stop::Source)?;
        self.walked.unwanted += u64::from(is_unwanted);
        match (failed, reader, summary) {
            (Some(error), ..) => Err(of_push(error)),
            (None, Some(reader), Some(_)) => self.hand_on(path, reader),
            (None, ..) => Ok(()),
        }
    }
}

fn of_push(error: ReplayError) -> Stop {
    if is_of_run(&error) { Stop::Source(error) } else { Stop::All(error) }
}

/// Whether it says something of the run alone.
fn is_of_run(error: &ReplayError) -> bool {
    matches!(
        error,
        ReplayError::Damaged(_)
            | ReplayError::NewerEvent { .. }
            | ReplayError::Store(StoreError::Damaged(_) | StoreError::NewerEvent { .. })
    )
}
