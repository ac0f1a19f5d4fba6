//! What a command found, case by case: JUnit and SARIF are written from it alike.

use super::judging::why;
use crate::text::run8;
use loom_core::id::StreamId;
use loom_replay::judge::LeftOut;
use std::path::{Path, PathBuf};

/// What a command found.
pub(super) struct Cases {
    /// What was asked, in a word.
    pub(super) asked: &'static str,
    /// What holds where a case passes: a lowercase fragment.
    pub(super) promise: String,
    pub(super) cases: Vec<Case>,
}

/// A run, or a place in one, and what became of it.
pub(super) struct Case {
    /// The source that it lies in.
    pub(super) path: PathBuf,
    pub(super) place: Option<(StreamId, u64)>,
    /// What it is about.
    pub(super) class: String,
    pub(super) name: String,
    pub(super) went: Went,
}

/// How a case went.
pub(super) enum Went {
    /// As it should.
    Passed,
    /// It is what was looked for, which is neither good nor bad.
    Met { message: String },
    /// Not as it should; `word` says how.
    Failed { word: &'static str, message: String, text: String },
    /// Nobody can know.
    Unknowable { message: String },
    /// There was nothing to ask.
    Skipped { message: String },
    /// It could not be looked at.
    LeftOut { message: String },
}

impl Cases {
    /// Begins with what could not be looked at.
    pub(super) fn begin(asked: &'static str, promise: String, left_out: &[LeftOut]) -> Self {
        let cases = left_out.iter().map(|left| {
            let (word, what) = why(&left.why);
            Case {
                path: left.path.clone(),
                place: left.stream.map(|stream| (stream, 0)),
                class: left.stream.map_or_else(|| "source".to_string(), |stream| run8(&stream)),
                name: "is read".to_string(),
                went: Went::LeftOut { message: format!("{word}: {what}") },
            }
        });
        Cases { asked, promise, cases: cases.collect() }
    }

    /// Adds a run, and where in it something is to be seen.
    pub(super) fn run(&mut self, path: &Path, stream: StreamId, sequence: Option<u64>, went: Went) {
        let (class, name) = (run8(&stream), self.promise.clone());
        self.cases.push(Case {
            path: path.to_path_buf(),
            place: Some((stream, sequence.unwrap_or(0))),
            class,
            name,
            went,
        });
    }
}
