//! `loom-replay`: asks recorded runs, of one store or of many sources, whether they are whole, and what other rules would
//! have made of them. Nothing is written but the answer.

mod cases;
mod comparing;
mod format;
mod judged;
mod judging;
mod junit;
pub(crate) mod left_out;
mod one;
mod querying;
mod redriving;
mod refolding;
mod report;
mod sarif;
mod shrinking;
mod sides;
pub(crate) mod sources;
mod supposing;
mod verifying;

pub(crate) use comparing::Document as DiffDocument;
pub(crate) use judged::Document as JudgeDocument;
pub(crate) use judging::NEVER_JUDGED;
pub(crate) use querying::{Document as QueryDocument, MatchJson as QueryLine};
pub(crate) use redriving::Document as RedriveDocument;
pub(crate) use refolding::Document as RefoldDocument;
pub(crate) use shrinking::Document as ShrinkDocument;
pub(crate) use supposing::Document as WhatIfDocument;
pub(crate) use verifying::Document as VerifyDocument;

use crate::app::{Global, end, not_parsed};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use format::{Format, ToFile};

/// Proves recorded runs: verifies them, judges them by other rules, drives and folds them again.
#[derive(Debug, Parser)]
#[command(name = "loom-replay", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What can be asked.
#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(verifying::Arguments),
    Judge(judging::Arguments),
    Redrive(redriving::Arguments),
    Refold(refolding::Arguments),
    WhatIf(supposing::Arguments),
    Diff(comparing::Arguments),
    Shrink(shrinking::Arguments),
    Query(querying::Arguments),
}

impl Command {
    /// Returns the form of the answer.
    fn format(&self, global: &Global) -> Format {
        match self.answer().and_then(|(format, _)| format) {
            Some(format) => format,
            None if global.json => Format::Json,
            None => Format::Text,
        }
    }

    /// Returns what was said of form and place, where it can be.
    fn answer(&self) -> Option<(Option<Format>, &ToFile)> {
        match self {
            Command::Verify(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::Judge(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::Redrive(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::Refold(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::Diff(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::Query(arguments) => Some((arguments.answer.format, &arguments.answer.file)),
            Command::WhatIf(_) | Command::Shrink(_) => None,
        }
    }
}

/// Runs the process' command line.
pub(crate) fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error),
    };
    if let Some(Err(exit)) = arguments.command.answer().map(|(format, file)| file.usable(format)) {
        return exit;
    }
    let global = &arguments.global;
    let format = arguments.command.format(global);
    if global.json && format != Format::Json {
        let words = "--json is --format json, and --format names another form";
        return not_parsed(&Arguments::command().error(ErrorKind::ArgumentConflict, words));
    }
    let mut output = Output::new(format == Format::Json);
    let done = answer(&arguments.command, global, format, &mut output);
    end(done, output)
}

fn answer(command: &Command, global: &Global, format: Format, output: &mut Output) -> Result<Exit, CliError> {
    match command {
        Command::Verify(arguments) => verifying::run(arguments, global, format, output),
        Command::Judge(arguments) => judging::run(arguments, global, format, output),
        Command::Redrive(arguments) => redriving::run(arguments, global, format, output),
        Command::Refold(arguments) => refolding::run(arguments, global, format, output),
        Command::WhatIf(arguments) => supposing::run(arguments, global, output),
        Command::Diff(arguments) => comparing::run(arguments, global, format, output),
        Command::Shrink(arguments) => shrinking::run(arguments, global, output),
        Command::Query(arguments) => querying::run(arguments, global, format, output),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_its_law_and_nothing_else() {
        let law = include_str!("../../../specs/cli.md");
        let rows = law.lines().filter(|line| line.starts_with("| `loom-replay "));
        let name = |line: &'static str| line.split("`loom-replay ").nth(1)?.split([' ', '`']).next();
        let written: Vec<String> = rows.filter_map(name).map(str::to_string).collect();
        let known: Vec<String> =
            Arguments::command().get_subcommands().map(|command| command.get_name().to_string()).collect();
        assert_eq!(written, known);
    }
}
