//! In which form an answer is wanted, and where it goes.

use super::Arguments;
use crate::app::not_parsed;
use crate::commands::export::to_file;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use clap::CommandFactory;
use clap::error::ErrorKind;
use std::path::PathBuf;

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
    /// One HTML file that loads nothing.
    Html,
}

/// The form of an answer, and where it goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Answer {
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_name = "FORM")]
    pub(super) format: Option<Format>,
    /// Writes the answer to a file; for junit, sarif and html.
    #[arg(short, long, value_name = "FILE", requires = "format")]
    output: Option<PathBuf>,
    /// Replaces a file that is there.
    #[arg(long, requires = "output")]
    force: bool,
}

impl Answer {
    /// Refuses a file for an answer that goes to the screen.
    pub(super) fn usable(&self) -> Result<(), Exit> {
        match (self.format, &self.output) {
            (Some(Format::Text | Format::Json), Some(_)) => {
                let words = "--output is for --format junit, sarif and html; other answers go to stdout";
                Err(not_parsed(&Arguments::command().error(ErrorKind::ArgumentConflict, words)))
            }
            _ => Ok(()),
        }
    }

    /// Writes a document of a foreign form.
    pub(super) fn foreign(&self, text: &str, output: &mut Output) -> Result<(), CliError> {
        let Some(file) = &self.output else { return output.raw(text.as_bytes()) };
        to_file(file, self.force, |sink| {
            let failed = |source| CliError::File { doing: "write", path: file.clone(), source };
            sink.write_all(text.as_bytes()).map_err(failed)
        })
    }
}
