//! What a command of `loom-replay` could not look at, told alike wherever runs are read one by one.

use super::judging::why;
use super::sources::path;
use crate::error::CliError;
use crate::output::{BAD, Output};
use crate::text::{clean, shown};
use loom_core::id::hex;
use loom_replay::corpus::Corpus;
use loom_replay::judge::{LeftOut, Why};
use serde::Serialize;
use std::io::Write;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct LeftOutJson {
    source: String,
    run: Option<String>,
    /// `damaged`, `newer` or `unread`.
    why: &'static str,
    what: String,
}

impl From<&LeftOut> for LeftOutJson {
    fn from(left: &LeftOut) -> Self {
        let (why, what) = why(&left.why);
        LeftOutJson { source: path(&left.path), run: left.stream.map(|stream| hex(&stream.0)), why, what }
    }
}

/// Returns the folders that could not be looked into.
pub(crate) fn unread(corpus: &Corpus) -> Vec<LeftOut> {
    let left = |path: &std::path::PathBuf, error: &std::io::Error| LeftOut {
        path: path.clone(),
        stream: None,
        why: Why::Unread(error.to_string()),
    };
    corpus.unread.iter().map(|unread| left(&unread.path, &unread.error)).collect()
}

/// Whether something is damaged, which goes before everything else.
pub(crate) fn is_damaged(left_out: &[LeftOut]) -> bool {
    left_out.iter().any(|left| matches!(left.why, Why::Damaged(_)))
}

/// Prints a line for each.
pub(crate) fn print(left_out: &[LeftOut], output: &mut Output) -> Result<(), CliError> {
    for left in left_out {
        let (word, what) = why(&left.why);
        writeln!(output.out, "{BAD}left out, {word}:{BAD:#} {}: {}", shown(&left.path), clean(&what))?;
    }
    Ok(())
}
