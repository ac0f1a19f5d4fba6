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
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, StreamId, hex};
use loom_core::kind::Event;
use loom_core::state::Gate;
use loom_core::word::Answer;
use loom_host::environment::{Environment, variable};
use loom_host::request::{Ask, Request};
use loom_host::session::{Session, request_id};
use loom_providers::{NAMES, Provider, Script, Scripted, choose, demo};
use loom_store::{RedbStore, RunState, Store, StoreError};
use loom_tools::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Who thinks.
#[derive(Debug, clap::Args)]
pub(crate) struct Thinker {
    /// Who thinks; else whoever's credential is set up.
    #[arg(long, value_name = "NAME", value_parser = clap::builder::PossibleValuesParser::new(NAMES.iter().copied()))]
    provider: Option<String>,
    /// The model; else the provider's own choice.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A model script in place of a provider.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "model"])]
    script: Option<PathBuf>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct RunJson {
    run: String,
    state: &'static str,
}

impl Thinker {
    /// Returns who was chosen to think; for a task of one's own nothing stands in.
    pub(crate) fn chosen(&self) -> Result<Arc<dyn Provider>, CliError> {
        match &self.script {
            Some(path) => scripted(path),
            None => Ok(choose(self.provider.as_deref(), self.model.as_deref(), variable)?),
        }
    }

    /// Returns who goes on thinking for what a store has under way: for the demo's run, its script.
    fn provider(&self, store_folder: &Path) -> Result<Arc<dyn Provider>, CliError> {
        let is_chosen = self.script.is_some() || self.provider.is_some();
        if !is_chosen && is_of_demo(store_folder)? {
            let script = Script::parse(demo::SCRIPT).expect("the demo's script is compiled in and tested");
            return Ok(Arc::new(Scripted::new(script)));
        }
        self.chosen()
    }
}

fn scripted(path: &Path) -> Result<Arc<dyn Provider>, CliError> {
    let file = |doing, source| CliError::File { doing, path: path.to_path_buf(), source };
    let text = std::fs::read_to_string(path).map_err(|source| file("read", source))?;
    let script = Script::parse(&text).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        file("read the model script in", source)
    })?;
    Ok(Arc::new(Scripted::new(script)))
}

/// Whether a store has no run under way but such that have the demo's task.
fn is_of_demo(store_folder: &Path) -> Result<bool, CliError> {
    let store = match RedbStore::open_to_read(store_folder) {
        Ok(store) => store,
        Err(StoreError::Damaged(_)) => RedbStore::open_damaged(store_folder)?,
        Err(error) => return Err(error.into()),
    };
    for run in store.runs(usize::MAX)?.into_iter().filter(|run| !matches!(run.state, RunState::Closed(_))) {
        // What cannot be read is set aside later, and told then.
        let Ok(Some(stored)) = store.read(run.stream, 0, 1).map(|mut events| events.pop()) else { continue };
        let Ok(Envelope { body: Event::RunOpened(opened), .. }) = Envelope::decode(&stored.event.bytes) else {
            continue;
        };
        let task = store.blob(&opened.task)?;
        if task.as_deref().and_then(Blob::content) != Some(demo::TASK.as_bytes()) {
            return Ok(false);
        }
    }
    Ok(true)
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
    let session = Session::reopen(&environment, store_folder, thinker.provider(store_folder)?, guard);
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

/// Decides a gate of a session in this hand, bound to what the gate shows.
pub(crate) fn decide(
    session: &mut Session,
    stream: StreamId,
    gate: &Gate,
    (answer, note): (Answer, Option<String>),
    actor: Actor,
) -> Result<(), CliError> {
    let ask = Ask::Answer { gate: gate.sequence, answer, note, artifact: Some(gate.artifact) };
    let folder = session.store_folder().to_path_buf();
    let asked = session.request(Request { stream, id: request_id(), actor, ask });
    asked.map(drop).map_err(|error| CliError::of_host(error, &folder))
}
