//! One run of the sources, where a command is about one alone.

use super::sources::{Kept, Runs, Sources, keep, open};
use crate::app::Global;
use crate::error::CliError;
use crate::identify::last_run;
use crate::output::Output;
use crate::project;
use crate::text::run8;
use loom_core::id::StreamId;
use loom_replay::corpus::{Corpus, Filter, Kind};
use loom_replay::{Records, ReplayError, StoredRun, Trace};
use loom_store::{Store, origin};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most runs that are told where one was to be named.
const TOLD_MAX: usize = 16;

/// A run, and where it is kept.
pub(super) struct One {
    /// The store's folder or the trace's file.
    pub(super) path: PathBuf,
    held: Held,
}

enum Held {
    /// In a store.
    Stored(Arc<dyn Store>, StreamId),
    /// In a file.
    Traced(Box<Trace>),
}

impl One {
    /// Returns the run as it is read.
    pub(super) fn records(&self) -> Box<dyn Records + '_> {
        match &self.held {
            Held::Stored(store, stream) => Box::new(StoredRun::new(store.as_ref(), *stream)),
            Held::Traced(trace) => Box::new(trace.as_ref()),
        }
    }

    /// Returns the name of the store that it belongs to.
    pub(super) fn origin(&self) -> Result<[u8; 16], CliError> {
        match &self.held {
            Held::Stored(store, _) => Ok(origin(store.as_ref())?),
            Held::Traced(trace) => Ok(trace.origin),
        }
    }

    fn stream(&self) -> StreamId {
        match &self.held {
            Held::Stored(_, stream) => *stream,
            Held::Traced(trace) => trace.stream,
        }
    }
}

/// Returns every wanted run of the sources, each stream once, and what kept others from being read.
pub(super) fn all(corpus: &Corpus, filter: &Filter) -> (Vec<One>, Vec<(PathBuf, ReplayError)>) {
    let (mut found, mut failed): (Vec<One>, Vec<_>) = (Vec::new(), Vec::new());
    let add = |one: One, found: &mut Vec<One>| {
        if found.iter().all(|known| known.stream() != one.stream()) {
            found.push(one);
        }
    };
    for source in &corpus.sources {
        let of = |held| One { path: source.path.clone(), held };
        match keep(source, filter) {
            Ok(Kept::Store(store, streams)) => {
                streams.into_iter().for_each(|stream| add(of(Held::Stored(store.clone(), stream)), &mut found));
            }
            Ok(Kept::Trace(trace)) => add(of(Held::Traced(trace)), &mut found),
            Ok(Kept::Unwanted) => {}
            Err(error) => failed.push((source.path.clone(), error)),
        }
    }
    (found, failed)
}

/// Returns the one run that sources and filter name.
pub(super) fn one(sources: &Sources, runs: &Runs, global: &Global, output: &Output) -> Result<One, CliError> {
    let filter = runs.filter(output)?;
    only(all(&sources.find(global)?, &filter))
}

fn only((mut found, failed): (Vec<One>, Vec<(PathBuf, ReplayError)>)) -> Result<One, CliError> {
    if found.len() > 1 {
        let runs = found.iter().take(TOLD_MAX).map(|one| run8(&one.stream())).collect();
        return Err(CliError::NotOneRun { count: found.len(), runs });
    }
    match (found.pop(), failed.into_iter().next()) {
        (Some(one), _) => Ok(one),
        (None, Some((_, error))) => Err(error.into()),
        (None, None) => Err(CliError::NotOneRun { count: 0, runs: Vec::new() }),
    }
}

/// Returns the run that a text names: a trace, a store with one run, `SOURCE#RUN`, or a run of the project's store.
pub(super) fn named(text: &str, global: &Global) -> Result<One, CliError> {
    let (path, run) = match text.rsplit_once('#') {
        Some((path, run)) if !Path::new(text).exists() => (path, Some(run)),
        Some(_) | None => (text, None),
    };
    let filter = |run: Option<&str>| -> Result<Filter, CliError> {
        let digits = run.map(str::to_ascii_lowercase);
        let is_id = |digits: &String| (4..=32).contains(&digits.len()) && digits.bytes().all(|c| c.is_ascii_hexdigit());
        if digits.as_ref().is_some_and(|digits| !is_id(digits)) {
            return Err(CliError::NotAnId { text: text.to_string() });
        }
        Ok(Filter { runs: digits.into_iter().collect(), ..Filter::default() })
    };
    if Path::new(path).exists() {
        return only(all(&Corpus::find(&[PathBuf::from(path)])?, &filter(run)?));
    }
    if run.is_some() || path.contains('/') {
        return only(all(&Corpus::find(&[PathBuf::from(path)])?, &Filter::default()));
    }
    let folder = project::find(global.dir.as_deref())?;
    if text == "run:last" {
        let store = open(&folder)?.store;
        let stream = last_run(store.as_ref())?;
        return Ok(One { path: folder, held: Held::Stored(store, stream) });
    }
    let corpus = Corpus::find(&[folder])?;
    debug_assert!(corpus.sources.iter().all(|source| source.kind == Kind::Store));
    let (found, failed) = all(&corpus, &filter(Some(text))?);
    match found.is_empty() && failed.is_empty() {
        true => Err(CliError::Unknown { text: text.to_string() }),
        false => only((found, failed)),
    }
}
