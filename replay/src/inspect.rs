//! Verifies source by source, and sorts what is found: whole, cut off, altered, written by a newer Loom, unreadable.
//!
//! A source is held against itself alone. Whether it is forked, or cut off where nothing shows, only something kept
//! elsewhere can tell: a checkpoint or a witness's copy is compared with the root and size that stand in each report.

use crate::corpus::{Corpus, Kind, Open};
use crate::error::{Bad, ReplayError};
use crate::judge::{Why, why_not};
use crate::trace;
use crate::verify::{Options, Report, verify};
use std::fs::File;
use std::io::BufReader;
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
            Standing::Newer(_) => "newer",
            Standing::Unread(_) => "unread",
        }
    }

    /// Returns the first record that is not what was written.
    pub fn bad(&self) -> Option<&Bad> {
        match self {
            Standing::Truncated(bad) | Standing::Altered(bad) => Some(bad),
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
    /// For a trace: how many blobs its events name that it does not hold, erased or left out.
    pub absent_blobs: Option<u64>,
}

/// Verifies every source of a corpus, one after the other, in order.
pub fn inspect(corpus: &Corpus, options: Options, open: &Open<'_>) -> Vec<Inspected> {
    let mut inspected = Vec::new();
    for unread in &corpus.unread {
        let (path, standing) = (unread.path.clone(), Standing::Unread(unread.error.to_string()));
        let report = Report::default();
        inspected.push(Inspected { path, kind: Kind::Store, standing, report, absent_blobs: None });
    }
    for source in &corpus.sources {
        let looked = match source.kind {
            Kind::Store => open(&source.path).map_err(ReplayError::from).and_then(|opened| match opened.damage {
                Some(damage) => Ok((Report { first_bad: Some(damage.into()), ..Report::default() }, None)),
                None => Ok((verify(opened.store.as_ref(), options)?, None)),
            }),
            Kind::Trace => of_trace(&source.path),
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
        inspected.push(Inspected { path: source.path.clone(), kind: source.kind, standing, report, absent_blobs });
    }
    inspected
}

fn damaged(bad: Bad) -> Standing {
    if bad.is_cut { Standing::Truncated(bad) } else { Standing::Altered(bad) }
}

fn of_trace(path: &std::path::Path) -> Result<(Report, Option<u64>), ReplayError> {
    let file = File::open(path).map_err(|source| ReplayError::Io { doing: "open", source })?;
    let mut input = BufReader::with_capacity(1 << 16, file);
    let summary = trace::scan(&mut input, 0, &mut |_, _| std::ops::ControlFlow::Continue(()))?;
    let summary = summary.ok_or(ReplayError::NotATrace)?;
    Ok((summary.report(), Some(summary.absent.len() as u64)))
}
