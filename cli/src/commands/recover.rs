//! `loom recover`: a way out of a run that is stuck.

use crate::app::Global;
use crate::asking::ask_run;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use loom_core::word::Recovery;
use loom_host::request::Ask;

/// Gets a run out of where it is stuck. No way out passes a gate or leaves out what is required.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The run.
    #[arg(value_name = "RUN")]
    run: String,
    /// The way out.
    #[arg(value_parser = choice_of, value_name = "retry|retry-failed|cancel-pending|abandon|force-close")]
    choice: Recovery,
    /// For `retry-failed`: the spawns, by sequence.
    #[arg(value_name = "SPAWN")]
    spawns: Vec<u64>,
    #[command(flatten)]
    thinker: Thinker,
}

fn choice_of(word: &str) -> Result<Recovery, String> {
    let known = "it is none of retry, retry-failed, cancel-pending, abandon, force-close";
    Recovery::of(word).ok_or_else(|| known.to_string())
}

/// Answers `loom recover`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let ask = Ask::Recover { choice: arguments.choice, spawns: arguments.spawns.clone() };
    ask_run("recover/1", &arguments.run, ask, &arguments.thinker, global, output)
}
