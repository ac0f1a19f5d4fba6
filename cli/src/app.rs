//! The command line: what is asked, by whom it is answered, how the process ends.

use crate::commands::Command;
use crate::error::CliError;
use crate::exit::Exit;
use crate::interrupt;
use crate::output::{self, Output};
use crate::text::clean_block;
use clap::Parser;
use clap::error::ErrorKind;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Runs agents through a declared process and keeps a log that anybody can check.
#[derive(Debug, Parser)]
#[command(name = "loom", version, max_term_width = 100, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command understands.
#[derive(Debug, clap::Args)]
pub(crate) struct Global {
    /// The project or store folder; else the nearest one up from here that has a store.
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(crate) dir: Option<PathBuf>,
    /// Answers with one JSON document.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Says nothing but the result and errors.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Never asks.
    #[arg(long, global = true)]
    pub(crate) no_input: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Version {
    loom: &'static str,
    version: &'static str,
}

/// Runs the process' command line.
pub(crate) fn main() -> Exit {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return not_parsed(&error),
    };
    let mut output = Output::new(arguments.global.json);
    let done = arguments.command.run(&arguments.global, &mut output);
    let exit = end(done, output);
    // Whoever started it sees that it was interrupted, as of any other program.
    interrupt::came().map_or(exit, |signal| interrupt::die(signal))
}

/// Answers a command line that asks for help or the version, or is not understood.
pub(crate) fn not_parsed(error: &clap::Error) -> Exit {
    if error.kind() == ErrorKind::DisplayVersion && wants_json() {
        return version();
    }
    match (error.kind(), told(error)) {
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Ok(())) => Exit::Ok,
        (ErrorKind::DisplayHelp | ErrorKind::DisplayVersion, Err(failed)) => Exit::of_error(&failed.into()),
        _ => unusable(error),
    }
}

/// Whether `--json` stands beside `--version`, which ends the reading of the arguments.
fn wants_json() -> bool {
    std::env::args_os().any(|argument| argument == "--json")
}

fn version() -> Exit {
    let mut output = Output::new(true);
    let done = output.document(&Version { loom: "version/1", version: env!("CARGO_PKG_VERSION") });
    end(done.map(|()| Exit::Ok), output)
}

/// Answers a command line that is not understood with a document, where one is wanted.
fn unusable(error: &clap::Error) -> Exit {
    if wants_json() {
        let mut output = Output::new(true);
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string();
        // stderr has told it already.
        let _closed = output.usage(message).and_then(|()| Ok(output.out.flush()?));
    }
    Exit::Usage
}

/// Writes what is left to write and returns how the process ends.
pub(crate) fn end(done: Result<Exit, CliError>, mut output: Output) -> Exit {
    let done = done.and_then(|exit| output.out.flush().map(|()| exit).map_err(CliError::from));
    match done {
        Ok(exit) => exit,
        Err(error) => {
            // What was found out before the error is still the result.
            let _closed = output.error(&error).and_then(|()| Ok(output.out.flush()?));
            if !matches!(error, CliError::ClosedPipe) {
                output::tell(&error);
            }
            Exit::of_error(&error)
        }
    }
}

/// Prints help, or what is wrong with the command line. Control characters of its words become visible.
fn told(error: &clap::Error) -> std::io::Result<()> {
    let text = error.render().to_string();
    if error.use_stderr() && clean_block(&text) != text {
        return std::io::stderr().write_all(clean_block(&text).as_bytes());
    }
    error.print()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_is_in_its_law_and_nothing_else() {
        let law = include_str!("../../specs/cli.md");
        let rows = law.lines().filter(|line| line.starts_with("| `loom "));
        let name = |line: &'static str| line.split("`loom ").nth(1)?.split([' ', '`']).next();
        let mut written: Vec<String> = rows.filter_map(name).map(str::to_string).collect();
        // A command with many faces has a row for each.
        written.dedup();
        let known: Vec<String> =
            Arguments::command().get_subcommands().map(|command| command.get_name().to_string()).collect();
        assert_eq!(written, known);
    }
}
