//! `loom cancel`: ends a run.

use crate::app::Global;
use crate::asking::ask_run;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use loom_host::request::Ask;

/// Ends a run; what it made stays on record, and no branch is made.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// Why.
    #[arg(short, long, value_name = "WHY")]
    message: Option<String>,
    #[command(flatten)]
    thinker: Thinker,
}

/// Answers `loom cancel`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let ask = Ask::Cancel { reason: arguments.message.clone() };
    ask_run("cancel/1", &arguments.run, ask, &arguments.thinker, global, output)
}
