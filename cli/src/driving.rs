//! Drives on what a store has under way, until every run has ended or waits.
//!
//! A spawn whose outcome is on record never runs again; one whose outcome was lost is recorded as orphaned first.

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
use loom_providers::{Provider, Script, Scripted, demo};
use loom_store::RunState;
use loom_tools::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who thinks.
#[derive(Debug, clap::Args)]
pub(crate) struct Thinker {
    /// The model script to go on with; else the demo's.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

#[derive(Serialize)]
pub(crate) struct RunJson {
    run: String,
    state: &'static str,
}

impl Thinker {
    /// Returns who was chosen to think; for a task of one's own nothing stands in.
    pub(crate) fn chosen(&self) -> Result<Arc<dyn Provider>, CliError> {
        if self.script.is_none() {
            return Err(CliError::NoProvider);
        }
        Ok(Arc::new(self.provider()?))
    }

    fn provider(&self) -> Result<Scripted, CliError> {
        let file = |doing, path: &Path, source| CliError::File { doing, path: path.to_path_buf(), source };
        let text = match &self.script {
            None => demo::SCRIPT.to_string(),
            Some(path) => std::fs::read_to_string(path).map_err(|source| file("read", path, source))?,
        };
        let script = Script::parse(&text).map_err(|error| {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
            file("read the model script in", self.script.as_deref().unwrap_or(Path::new("")), source)
        })?;
        Ok(Scripted::new(script))
    }
}

/// Says that a run cannot be driven, and why.
fn set_aside(stream: StreamId, why: &str) -> String {
    format!("run {} cannot be driven on and is set aside: {}", run8(&stream), clean(why))
}

/// Takes the store, lets `begin` ask what it likes, and drives on. Returns how it went, and the runs that were under way.
pub(crate) fn drive_on(
    store_folder: &Path,
    thinker: &Thinker,
    quiet: bool,
    output: &mut Output,
    begin: impl FnOnce(&mut Session) -> Result<(), CliError>,
) -> Result<(Exit, Vec<RunJson>), CliError> {
    let guard = std::env::current_exe().map_or(Guard::None, Guard::Path);
    let environment = Environment::read();
    let session = Session::reopen(&environment, store_folder, Arc::new(thinker.provider()?), guard);
    let mut session = session.map_err(|error| CliError::of_host(error, store_folder))?;
    let _listening = project::listen(&session, &environment, output);
    let store = session.engine().store().clone();
    for (stream, why) in session.engine().set_aside() {
        output.warn(&set_aside(stream, why));
    }
    let mut tales: BTreeMap<StreamId, Tale> =
        session.engine().found().iter().map(|(stream, next)| (*stream, Tale::begin_at(*next, quiet))).collect();
    begin(&mut session)?;
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
    Ok((exit, runs))
}
