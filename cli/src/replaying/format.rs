//! In which form an answer is wanted, and where it goes.

use super::cases::Cases;
use super::{Arguments, junit, sarif};
use crate::app::not_parsed;
use crate::commands::export::to_file;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::error::ErrorKind;
use clap::{CommandFactory, ValueEnum};
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

/// The form of an answer that has a page, and where it goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Answer {
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_name = "FORM")]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) file: ToFile,
}

/// The form of an answer that has none, and where it goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Plain {
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_name = "FORM", value_parser = without_page())]
    pub(super) format: Option<Format>,
    #[command(flatten)]
    pub(super) file: ToFile,
}

fn without_page() -> impl TypedValueParser<Value = Format> {
    let forms = Format::value_variants().iter().filter(|format| **format != Format::Html);
    let forms: Vec<PossibleValue> = forms.filter_map(Format::to_possible_value).collect();
    PossibleValuesParser::new(forms).try_map(|text| Format::from_str(&text, false))
}

/// Where an answer goes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct ToFile {
    /// Writes the answer to a file; not for text and json.
    #[arg(short, long, value_name = "FILE", requires = "format")]
    output: Option<PathBuf>,
    /// Replaces a file that is there.
    #[arg(long, requires = "output")]
    force: bool,
}

impl ToFile {
    /// Refuses a file for an answer that goes to the screen.
    pub(super) fn usable(&self, format: Option<Format>) -> Result<(), Exit> {
        match (format, &self.output) {
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

    /// Writes what was found case by case: as SARIF where that is asked for, else as JUnit XML.
    pub(super) fn cases(&self, cases: &Cases, format: Format, output: &mut Output) -> Result<(), CliError> {
        let text = if format == Format::Sarif { sarif::of_cases(cases)? } else { junit::of_cases(cases) };
        self.foreign(&text, output)
    }
}
