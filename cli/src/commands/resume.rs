//! `loom resume`: lets held runs go on, and drives on what was under way when its driver died.

use crate::app::Global;
use crate::asking::ask_run;
use crate::driving::{Absent, RunJson, Thinker, drive_on};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project;
use loom_core::id::StreamId;
use loom_host::environment::Environment;
use loom_host::request::{Ask, Request};
use loom_host::session::{Session, local_actor, request_id};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

/// Lets held runs go on, and drives on what was under way when its driver died.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Let this run go on only; else all that are held.
    #[arg(value_name = "RUN")]
    run: Option<String>,
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
    if let Some(run) = &arguments.run {
        return ask_run("resume/1", run, Ask::Resume, &arguments.thinker, global, output);
    }
    let folder = project::find(global.dir.as_deref())?;
    let begin = |session: &mut Session| let_go(session, &folder);
    let (exit, runs) = drive_on(&folder, (&arguments.thinker, Absent::Ends), global.quiet, output, begin)?;
    if output.json {
        output.document(&Document { loom: "resume/1", runs })?;
    } else if runs.is_empty() {
        writeln!(output.out, "nothing was under way")?;
    }
    Ok(exit)
}

/// Lets every held run go on.
fn let_go(session: &mut Session, folder: &Path) -> Result<(), CliError> {
    let held = session.engine().runs().filter(|(_, run)| run.state.hold.is_some());
    let held: Vec<StreamId> = held.map(|(stream, _)| *stream).collect();
    let actor = local_actor(&Environment::read());
    for stream in held {
        let asked = Request { stream, id: request_id(), actor: actor.clone(), ask: Ask::Resume };
        session.request(asked).map_err(|error| CliError::of_host(error, folder))?;
    }
    Ok(())
}
