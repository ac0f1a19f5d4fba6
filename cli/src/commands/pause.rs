//! `loom pause`: holds a run.

use crate::app::Global;
use crate::asking::ask_run;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use loom_host::request::Ask;

/// Holds a run: what is under way goes on, nothing new begins until `loom resume`.
///
/// A run that is held for seven days is abandoned.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    thinker: Thinker,
}

/// Answers `loom pause`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    ask_run("pause/1", &arguments.run, Ask::Pause, &arguments.thinker, global, output)
}
