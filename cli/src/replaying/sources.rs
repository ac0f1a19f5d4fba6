//! What the commands of `loom-replay` look at: sources, and which of their runs.

use crate::app::Global;
use crate::commands::log::since;
use crate::error::CliError;
use crate::output::{Output, note};
use crate::project::{self, FILE, FOLDER, ask_holder};
use crate::text::shown;
use loom_core::event::View;
use loom_core::id::StreamId;
use loom_host::environment::Environment;
use loom_host::projects::Projects;
use loom_replay::ReplayError;
use loom_replay::corpus::{Corpus, Filter, Kind, Opened, Source};
use loom_replay::{Trace, trace};
use loom_store::{RedbStore, Store, StoreError, origin};
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most paths that are told one by one.
const TOLD_MAX: usize = 20;

/// The sources.
#[derive(Debug, clap::Args)]
pub(crate) struct Sources {
    /// Stores, exported traces, and folders of them; else the project's store.
    #[arg(value_name = "SOURCE")]
    sources: Vec<PathBuf>,
}

/// Which runs of the sources.
#[derive(Debug, clap::Args)]
pub(crate) struct Runs {
    /// Only runs opened since then: a span like 7d, a day, or a time.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Only this run: 4 or more of its first digits. May be given several times.
    #[arg(long = "run", value_name = "ID")]
    runs: Vec<String>,
    /// Only runs of this project's store, wherever they are kept: its folder, or its name on the list of projects.
    #[arg(long, value_name = "FOLDER|NAME")]
    project: Option<String>,
}

impl Sources {
    /// Returns sources that were named.
    pub(crate) fn of(sources: Vec<PathBuf>) -> Self {
        Sources { sources }
    }

    /// Finds the sources, and tells what below the folders is not looked at.
    pub(crate) fn find(&self, global: &Global) -> Result<Corpus, CliError> {
        let named = match self.sources.is_empty() {
            true => vec![project::find(global.dir.as_deref())?],
            false => self.sources.clone(),
        };
        let corpus = Corpus::find(&named)?;
        if !global.quiet {
            for passed in corpus.passed_by.iter().take(TOLD_MAX) {
                note(&format!("{} is not looked at: {}", shown(&passed.path), passed.why));
            }
            if corpus.passed_by.len() > TOLD_MAX {
                note(&format!("{} more are not looked at", corpus.passed_by.len() - TOLD_MAX));
            }
            match corpus.foreign {
                0 => {}
                1 => note("1 file is no trace and is not looked at"),
                foreign => note(&format!("{foreign} files are no traces and are not looked at")),
            }
        }
        Ok(corpus)
    }
}

impl Runs {
    /// Returns what is wanted.
    pub(crate) fn filter(&self, output: &Output) -> Result<Filter, CliError> {
        for digits in &self.runs {
            let is_id = digits.len() >= 4 && digits.len() <= 32 && digits.bytes().all(|c| c.is_ascii_hexdigit());
            if !is_id {
                return Err(CliError::NotAnId { text: digits.clone() });
            }
        }
        let origin = match &self.project {
            None => None,
            Some(project) => Some(origin(project::open(Some(&place(project)?), output)?.store.as_ref())?),
        };
        Ok(Filter {
            since_ms: self.since.as_deref().map(since).transpose()?,
            runs: self.runs.iter().map(|digits| digits.to_ascii_lowercase()).collect(),
            origin,
        })
    }
}

/// Returns the folder of a project: what is there by that path, else what the list has by that name.
fn place(project: &str) -> Result<PathBuf, CliError> {
    let path = Path::new(project);
    if path.join(FOLDER).join(FILE).is_file() || path.join(FILE).is_file() {
        return Ok(path.to_path_buf());
    }
    let known = Projects::of(&Environment::read()).list()?;
    let named = known.into_iter().map(|known| PathBuf::from(known.path));
    let found = named.into_iter().find(|path| path.file_name().is_some_and(|name| name == project));
    found.ok_or_else(|| CliError::NoStore { from: path.to_path_buf() })
}

/// Opens a store for reading, here or behind its holder; one whose end is damaged, around the damage.
pub(crate) fn open(folder: &Path) -> Result<Opened, StoreError> {
    let (store, damage): (Arc<dyn Store>, _) = match RedbStore::open_to_read(folder) {
        Ok(store) => (Arc::new(store), None),
        Err(StoreError::Damaged(damage)) => match RedbStore::open_damaged(folder) {
            Ok(store) => (Arc::new(store), Some(damage)),
            Err(_) => return Err(damage.into()),
        },
        Err(held @ StoreError::Held { .. }) => (Arc::new(ask_holder(folder).ok_or(held)?), None),
        Err(error) => return Err(error),
    };
    Ok(Opened { store, damage })
}

/// Returns a source's own path as documents have it.
pub(crate) fn path(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// Returns how many threads work.
pub(crate) fn threads(wanted: Option<u16>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    wanted.map_or_else(cores, usize::from)
}

/// A run of a source, to be read whole.
pub(crate) enum Kept {
    /// In a store.
    Store(Arc<dyn Store>, Vec<StreamId>),
    /// In a file.
    Trace(Box<Trace>),
    /// In a file, and not wanted.
    Unwanted,
}

/// Most bytes of a trace that is read whole (CORPUS-5).
pub(crate) const WHOLE_MAX: u64 = 256 << 20;

/// Opens a source whose runs are read whole, and picks the wanted ones, the oldest first.
pub(crate) fn keep(source: &Source, filter: &Filter) -> Result<Kept, ReplayError> {
    match source.kind {
        Kind::Store => {
            let store = open(&source.path)?.store;
            let mut streams = Vec::new();
            if filter.origin.is_none() || filter.wants_origin(&origin(store.as_ref())?) {
                let runs = store.runs(usize::MAX)?.into_iter().rev();
                streams.extend(runs.filter(|run| filter.wants_run(run.stream, run.opened.ms)).map(|run| run.stream));
            }
            Ok(Kept::Store(store, streams))
        }
        Kind::Trace => {
            let opened = |source| ReplayError::Io { doing: "open", source };
            let file = File::open(&source.path).map_err(opened)?;
            if file.metadata().map_err(opened)?.len() > WHOLE_MAX {
                return Err(ReplayError::TooMany { what: "bytes in a trace that is read whole", max: WHOLE_MAX });
            }
            let mut input = BufReader::with_capacity(1 << 16, file);
            let trace = trace::read(&mut input)?;
            let opened_ms =
                trace.events.first().and_then(|first| View::read(&first.bytes).ok()).map(|view| view.stamp.ms);
            let is_wanted = filter.wants_origin(&trace.origin)
                && opened_ms.is_none_or(|opened_ms| filter.wants_run(trace.stream, opened_ms));
            Ok(if is_wanted { Kept::Trace(Box::new(trace)) } else { Kept::Unwanted })
        }
    }
}
