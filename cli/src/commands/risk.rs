//! `loom risk accept`: takes the risk of a finding by name.

use crate::app::Global;
use crate::asking::Asking;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::Output;
use crate::project;
use loom_host::request::Ask;

/// Takes the risk of a finding, by name and with a reason: it blocks no longer.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Takes the risk of a finding.
    Accept {
        /// The finding.
        #[arg(value_name = "FINDING")]
        finding: String,
        /// Why it may stand.
        #[arg(short, long, value_name = "WHY")]
        message: String,
        #[command(flatten)]
        thinker: Thinker,
    },
}

/// Answers `loom risk`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let What::Accept { finding, message, thinker } = &arguments.what;
    let opened = project::open(global.dir.as_deref(), output)?;
    let event = identify::event(opened.store.as_ref(), finding)?;
    let (stream, sequence) = identify::view(&event).map(|view| (view.stream, view.sequence))?;
    drop(opened);
    let ask = Ask::AcceptRisk { finding: sequence, reason: message.clone() };
    let asking = Asking { document: "risk/1", stream, ask, thinker };
    asking.put(global.dir.as_deref(), global.quiet, output)
}
