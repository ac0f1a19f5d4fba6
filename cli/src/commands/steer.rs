//! `loom steer`: a note for a run's next prompts.

use crate::app::Global;
use crate::asking::ask_run;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use loom_host::request::Ask;

/// Gives a run a note that stands in its next prompts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// The note.
    #[arg(value_name = "NOTE")]
    note: String,
    #[command(flatten)]
    thinker: Thinker,
}

/// Answers `loom steer`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let ask = Ask::Steer { note: arguments.note.clone() };
    ask_run("steer/1", &arguments.run, ask, &arguments.thinker, global, output)
}
