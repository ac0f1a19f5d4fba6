//! `loom cancel`: ends a run.

use crate::app::Global;
use crate::asking::Asking;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::Output;
use crate::project;
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
    let opened = project::open(global.dir.as_deref(), output)?;
    let stream = identify::run(opened.store.as_ref(), &arguments.run)?;
    drop(opened);
    let ask = Ask::Cancel { reason: arguments.message.clone() };
    let asking = Asking { document: "cancel/1", stream, ask, thinker: &arguments.thinker };
    asking.put(global.dir.as_deref(), global.quiet, output)
}
