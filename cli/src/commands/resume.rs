//! `loom resume`: drives on what was under way when its driver died, until all runs have ended or wait.

use crate::app::Global;
use crate::driving::{RunJson, Thinker, drive_on};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project;
use serde::Serialize;
use std::io::Write;

/// Drives on what was under way when its driver died.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    thinker: Thinker,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    runs: Vec<RunJson>,
}

/// Answers `loom resume`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let folder = project::find(global.dir.as_deref())?;
    let (exit, runs) = drive_on(&folder, &arguments.thinker, global.quiet, output, |_| Ok(()))?;
    if output.json {
        output.document(&Document { loom: "resume/1", runs })?;
    } else if runs.is_empty() {
        writeln!(output.out, "nothing was under way")?;
    }
    Ok(exit)
}
