//! `loom steer`: a note for a run's next prompts.

use crate::app::Global;
use crate::asking::Asking;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::Output;
use crate::project;
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
    let opened = project::open(global.dir.as_deref(), output)?;
    let stream = identify::run(opened.store.as_ref(), &arguments.run)?;
    drop(opened);
    let ask = Ask::Steer { note: arguments.note.clone() };
    let asking = Asking { document: "steer/1", stream, ask, thinker: &arguments.thinker };
    asking.put(global.dir.as_deref(), global.quiet, output)
}
