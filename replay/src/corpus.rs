//! What is looked at: stores and traces, found by what was named.
//!
//! ```text
//! a file       a trace
//! a folder     a store, if it has store.redb; a project's store, if it has .loom/store.redb; else what is below it
//! ```
//!
//! Below a folder nothing is followed that leads elsewhere, and what is no history is passed by: both are told (CORPUS-2). The order
//! is that of the paths' bytes, so that equal corpora give equal results (CORPUS-1).

use crate::error::ReplayError;
use crate::trace::MAGIC;
use loom_core::id::{StreamId, hex};
use loom_store::{Damage, Store, StoreError};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that makes a folder a store.
const STORE_FILE: &str = "store.redb";
/// A project's folder that is its store.
const STORE_FOLDER: &str = ".loom";
/// How a trace's file is usually called; one that is called so and is none is damaged.
const TRACE_ENDING: &str = "trace";
/// Most folders below one another.
const DEPTH_MAX: usize = 64;
/// Most sources of one corpus.
const SOURCES_MAX: usize = 1_000_000;

/// What a source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A folder with a store.
    Store,
    /// A file with one run.
    Trace,
}

impl Kind {
    /// Returns the word that documents use.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Store => "store",
            Kind::Trace => "trace",
        }
    }
}

/// A store or a trace, not opened yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The store's folder, or the trace's file.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
}

/// An open store, and what keeps its end from being read.
pub struct Opened {
    /// The store, here or behind its holder.
    pub store: Arc<dyn Store>,
    /// The damage that it was opened around.
    pub damage: Option<Damage>,
}

/// Opens the store in a folder.
pub type Open<'o> = dyn Fn(&Path) -> Result<Opened, StoreError> + 'o;

/// What was met below a folder and is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedBy {
    /// What it is.
    pub path: PathBuf,
    /// Why it is not looked at.
    pub why: &'static str,
}

/// A folder or file that could not be looked into: what it holds is not in the corpus.
#[derive(Debug)]
pub struct Unread {
    /// What it is.
    pub path: PathBuf,
    /// What the operating system said.
    pub error: io::Error,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Corpus {
    /// Stores and traces, in order of their paths' bytes, each once.
    pub sources: Vec<Source>,
    /// What was met and is not looked at.
    pub passed_by: Vec<PassedBy>,
    /// How many files were met that are no traces; they are not looked at either.
    pub foreign: u64,
    /// What could not be looked into.
    pub unread: Vec<Unread>,
}

/// Which runs are wanted; every one, by default (CORPUS-3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    /// Only runs that were opened at this time or later, milliseconds since the epoch.
    pub since_ms: Option<u64>,
    /// Only runs whose stream begins with one of these hexadecimal digits.
    pub runs: Vec<String>,
    /// Only runs of the store with this name, wherever they are kept.
    pub origin: Option<[u8; 16]>,
}

impl Filter {
    /// Whether every run of a store that is wanted is.
    pub fn wants_all(&self) -> bool {
        self.since_ms.is_none() && self.runs.is_empty()
    }

    /// Whether runs of the store with this name are wanted.
    pub fn wants_origin(&self, origin: &[u8; 16]) -> bool {
        self.origin.is_none_or(|wanted| wanted == *origin)
    }

    /// Whether a run that was opened at this time is wanted.
    pub fn wants_run(&self, stream: StreamId, opened_ms: u64) -> bool {
        let is_named = || {
            let name = hex(&stream.0);
            self.runs.iter().any(|digits| name.starts_with(digits))
        };
        self.since_ms.is_none_or(|since| opened_ms >= since) && (self.runs.is_empty() || is_named())
    }
}

impl Corpus {
    /// Finds what `named` names. A name that is a link is followed, one below a folder is not.
    ///
    /// # Errors
    /// [`ReplayError::Source`] where a name leads nowhere; [`ReplayError::TooMany`] above a million sources.
    pub fn find(named: &[PathBuf]) -> Result<Corpus, ReplayError> {
        let mut corpus = Corpus::default();
        for path in named {
            let found = fs::metadata(path).map_err(|source| ReplayError::Source { path: path.clone(), source })?;
            match found.is_dir() {
                true => corpus.folder(path, 0)?,
                // A device or a pipe may be read as well, where somebody names it.
                false => corpus.add(path, Kind::Trace)?,
            }
        }
        corpus.sources.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)).then(a.kind.cmp(&b.kind)));
        corpus.sources.dedup();
        corpus.passed_by.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        corpus.unread.sort_by(|a, b| bytes(&a.path).cmp(bytes(&b.path)));
        Ok(corpus)
    }

    fn add(&mut self, path: &Path, kind: Kind) -> Result<(), ReplayError> {
        if self.sources.len() >= SOURCES_MAX {
            return Err(ReplayError::TooMany { what: "sources", max: SOURCES_MAX as u64 });
        }
        self.sources.push(Source { path: path.to_path_buf(), kind });
        Ok(())
    }

    fn pass(&mut self, path: &Path, why: &'static str) {
        self.passed_by.push(PassedBy { path: path.to_path_buf(), why });
    }

    fn folder(&mut self, folder: &Path, depth: usize) -> Result<(), ReplayError> {
        for store in [folder.to_path_buf(), folder.join(STORE_FOLDER)] {
            // Below a folder a link is not followed, and so is none to what makes a folder a store.
            let is_file = |path: PathBuf| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
            let is_named = depth == 0 && store == folder;
            let is_folder = is_named || fs::symlink_metadata(&store).is_ok_and(|found| found.is_dir());
            if is_folder && is_file(store.join(STORE_FILE)) {
                return self.add(&store, Kind::Store);
            }
        }
        if depth >= DEPTH_MAX {
            self.pass(folder, "it lies more than 64 folders deep");
            return Ok(());
        }
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.unread.push(Unread { path: folder.to_path_buf(), error });
                return Ok(());
            }
        };
        for entry in entries {
            let found = entry.and_then(|entry| Ok((entry.path(), entry.file_type()?)));
            match found {
                Ok((path, kind)) if kind.is_dir() => self.folder(&path, depth + 1)?,
                Ok((path, kind)) if kind.is_file() => self.file(&path)?,
                Ok((path, kind)) if kind.is_symlink() => self.pass(&path, "it is a link; name what it leads to"),
                Ok((path, _)) => self.pass(&path, "it is neither a file nor a folder"),
                Err(error) => self.unread.push(Unread { path: folder.to_path_buf(), error }),
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> Result<(), ReplayError> {
        let is_called_so = path.extension() == Some(OsStr::new(TRACE_ENDING));
        if is_called_so || begins_as_trace(path) {
            return self.add(path, Kind::Trace);
        }
        self.foreign += 1;
        Ok(())
    }
}

/// Whether a file begins as traces of any version do; one that cannot be read is told when its turn comes.
fn begins_as_trace(path: &Path) -> bool {
    let mut begin = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut begin));
    read.is_err() || begin == MAGIC
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}
