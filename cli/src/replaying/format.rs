//! In which form an answer is wanted.

use crate::error::CliError;
use crate::output::Output;

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// One versioned JSON document, as `--json`.
    Json,
    /// JUnit XML: a suite for each source.
    Junit,
    /// SARIF 2.1.0.
    Sarif,
}

/// Writes a document of a foreign form.
pub(crate) fn foreign(text: &str, output: &mut Output) -> Result<(), CliError> {
    output.raw(text.as_bytes())
}
