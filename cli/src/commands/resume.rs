//! `loom resume`: drives on what was under way when its driver died, until all runs have ended or wait.
//!
//! A spawn whose outcome is on record never runs again; one whose outcome was lost is recorded as orphaned first.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::project;
use crate::text::{clean, run8};
use crate::told::Tale;
use crate::trouble::drive;
use loom_core::id::{StreamId, hex};
use loom_host::environment::Environment;
use loom_host::session::Session;
use loom_providers::{Script, Scripted, demo};
use loom_store::RunState;
use loom_tools::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

/// Drives on what was under way when its driver died.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model script to go on with; else the demo's.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[derive(Serialize)]
struct Document {
    loom: &'static str,
    runs: Vec<RunJson>,
}

#[derive(Serialize)]
struct RunJson {
    run: String,
    state: &'static str,
}

/// Says that a run cannot be driven, and why.
fn set_aside(stream: StreamId, why: &str) -> String {
    format!("run {} cannot be driven on and is set aside: {}", run8(&stream), clean(why))
}

/// Answers `loom resume`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let text = match &arguments.script {
        None => demo::SCRIPT.to_string(),
        Some(path) => std::fs::read_to_string(path).map_err(|source| CliError::File {
            doing: "read",
            path: path.clone(),
            source,
        })?,
    };
    let script = Script::parse(&text).map_err(|error| CliError::File {
        doing: "read the model script in",
        path: arguments.script.clone().unwrap_or_default(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidData, error),
    })?;
    let store_folder = project::find(global.dir.as_deref())?;
    let guard = std::env::current_exe().map_or(Guard::None, Guard::Path);
    let environment = Environment::read();
    let session = Session::reopen(&environment, &store_folder, Arc::new(Scripted::new(script)), guard);
    let mut session = session.map_err(|error| CliError::of_host(error, &store_folder))?;
    let _listening = project::listen(&session, &environment, output);
    let store = session.engine().store().clone();
    for (stream, why) in session.engine().set_aside() {
        output.warn(&set_aside(stream, why));
    }
    let mut tales: BTreeMap<StreamId, Tale> =
        session.engine().found().iter().map(|(stream, next)| (*stream, Tale::begin_at(*next, global.quiet))).collect();
    drive(&mut session, |engine| {
        let mut tales = tales.iter_mut();
        tales.try_for_each(|(stream, tale)| tale.tell_new(store.as_ref(), *stream, engine.run(*stream)))?;
        Ok(false)
    })?;
    for (stream, why) in session.engine().set_aside().filter(|(stream, _)| tales.contains_key(stream)) {
        output.warn(&set_aside(stream, why));
    }
    let mut runs = Vec::new();
    let mut exit = Exit::Ok;
    for found in store.runs(usize::MAX)?.into_iter().filter(|found| tales.contains_key(&found.stream)) {
        let state = match found.state {
            RunState::Open => "open",
            RunState::Waiting => {
                exit = exit.and(Exit::Parked);
                "waiting"
            }
            RunState::Closed(verdict) => {
                exit = exit.and(Exit::of_verdict(verdict));
                verdict.word()
            }
        };
        if !output.json {
            writeln!(output.out, "{} {state}", run8(&found.stream))?;
        }
        runs.push(RunJson { run: hex(&found.stream.0), state });
    }
    if output.json {
        output.document(&Document { loom: "resume/1", runs })?;
    } else if runs.is_empty() {
        writeln!(output.out, "nothing was under way")?;
    }
    Ok(exit)
}
