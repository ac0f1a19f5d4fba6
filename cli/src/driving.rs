//! Drives on what a store has under way, until every run has ended or waits.
//!
//! A spawn whose outcome is on record never runs again; one whose outcome was lost is recorded as orphaned first.

use crate::configuring::{backends, settings};
use crate::error::CliError;
use crate::exit::Exit;
use crate::nobody::Nobody;
use crate::output::{Output, note, warn};
use crate::project;
use crate::regular;
use crate::standing::Standing;
use crate::text::{clean, run8};
use crate::told::Tale;
use crate::trouble::drive;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, StreamId, digest, hex};
use loom_core::kind::Event;
use loom_core::state::Gate;
use loom_core::word::Answer;
use loom_host::driver::Named;
use loom_host::environment::Environment;
use loom_host::request::{Ask, Request};
use loom_host::session::{Keepers, Session, request_id};
use loom_host::settings::{FenceSettings, Given, Settings, Value};
use loom_providers::{NoProvider, Provider, Script, Scripted, demo};
use loom_store::{RedbStore, RunState, Store, StoreError};
use loom_tools::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Context of digests of model scripts.
const SCRIPT_CONTEXT: &str = "loom 2026-11 model script v1";
/// Most bytes of a model script (SCRIPT-2).
const SCRIPT_BYTES_MAX: u64 = 1 << 20;

/// Who thinks.
#[derive(Debug, clap::Args)]
pub(crate) struct Thinker {
    /// Who thinks, for every agent; else who the settings say, as `loom models list` shows.
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// The model of every tier; else what the settings say, or the provider's own choice.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A model script in place of a provider.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["provider", "model"])]
    script: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

/// What programs of a run are kept in.
#[derive(Debug, clap::Args)]
pub(crate) struct Kept {
    /// Whether agents and checks are fenced: `auto` takes the best fence that works here, `required` runs nothing without
    /// one, `off` takes none and puts that on record; else what the settings say, or `auto`.
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "required", "off"])]
    fence: Option<String>,
}

/// What follows where no model is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// Nothing is done: the command is there to drive.
    Ends,
    /// The request is put on record, and what needs a model waits for one.
    Waits,
}

/// Who thinks, if anybody does.
struct Who {
    provider: Arc<dyn Provider>,
    is_nobody: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct RunJson {
    run: String,
    /// `waiting` at a gate, `paused`, `interrupted` where it waits to be driven on, else the verdict.
    state: &'static str,
}

impl Kept {
    /// Returns what it says about settings.
    pub(crate) fn given(&self) -> Option<Given> {
        let value = Value::Text(self.fence.clone()?);
        Some(Given { key: "fence.mode", flag: "--fence", value })
    }
}

/// Returns who watches over what is started from here, which is this binary, and the fence that is asked for.
pub(crate) fn keepers(fence: &FenceSettings, environment: &Environment) -> Keepers {
    let (fence, leave) = fence.leave(environment);
    Keepers { guard: std::env::current_exe().map_or(Guard::None, Guard::Path), fence, leave }
}

/// The name of no fence.
pub(crate) const OPEN: &str = "none";

/// Says what programs of a run are kept in, and why in nothing better. Who asked for no fence is told nothing.
pub(crate) fn tell_fence(session: &Session, quiet: bool) {
    let choice = session.fence();
    if choice.fence.name() != OPEN || choice.why.is_some() {
        tell_fence_of(choice.fence.name(), choice.why.as_deref(), quiet);
    }
}

/// As [`tell_fence`], of a fence by its name.
pub(crate) fn tell_fence_of(fence: &str, why: Option<&str>, quiet: bool) {
    let because = why.map(|why| format!(": {}", clean(why))).unwrap_or_default();
    match fence {
        _ if quiet => {}
        OPEN => warn(&format!("there is no fence around agents and checks{because}")),
        fence => note(&format!("agents and checks run in the fence {}{because}", clean(fence))),
    }
}

impl Thinker {
    /// Returns what it says about settings.
    pub(crate) fn given(&self) -> Vec<Given> {
        let provider = self.provider.clone().map(|name| Given {
            key: "run.providers",
            flag: "--provider",
            value: Value::List(vec![name]),
        });
        provider.into_iter().chain(self.kept.given()).collect()
    }

    /// Returns who is named here to think.
    pub(crate) fn named(&self) -> Result<Named, CliError> {
        let script = self.script.as_deref().map(text_of).transpose()?;
        let script = script.map(|text| digest(SCRIPT_CONTEXT, &[text.as_bytes()]));
        Ok(Named { provider: self.provider.clone(), model: self.model.clone(), script })
    }

    /// Returns what is said here of a fence.
    pub(crate) fn fence(&self) -> Option<&str> {
        self.kept.fence.as_deref()
    }

    /// Returns who was chosen to think; for a task of one's own nothing stands in.
    pub(crate) fn chosen(&self, settings: &Settings, environment: &Environment) -> Result<Arc<dyn Provider>, CliError> {
        if let Some(path) = &self.script {
            return scripted(path);
        }
        backends(settings, self.provider.as_deref(), self.model.as_deref(), environment)
    }

    /// Returns who goes on thinking for what a store has under way, and the fence for it. For the demo's run its script
    /// thinks. Where no model is set up nobody does, if `absent` says that this will do.
    fn provider(
        &self,
        store_folder: &Path,
        environment: &Environment,
        absent: Absent,
    ) -> Result<(Who, FenceSettings), CliError> {
        let place = store_folder.parent().unwrap_or(store_folder);
        let settings = settings(environment, place, &self.given())?.settings;
        let is_chosen = self.script.is_some() || self.provider.is_some();
        if !is_chosen && is_of_demo(store_folder)? {
            let script = Script::parse(demo::SCRIPT).expect("the demo's script is compiled in and tested");
            return Ok((Who { provider: Arc::new(Scripted::new(script)), is_nobody: false }, settings.fence));
        }
        let who = match self.chosen(&settings, environment) {
            Err(CliError::NoProvider(none @ NoProvider::NotSetUp(_))) if !is_chosen && absent == Absent::Waits => {
                Who { provider: Arc::new(Nobody::new(none.to_string())), is_nobody: true }
            }
            chosen => Who { provider: chosen?, is_nobody: false },
        };
        Ok((who, settings.fence))
    }
}

/// Returns the text of a model script (SCRIPT-2).
fn text_of(path: &Path) -> Result<String, CliError> {
    regular::text(path, SCRIPT_BYTES_MAX)
}

fn scripted(path: &Path) -> Result<Arc<dyn Provider>, CliError> {
    let script = Script::parse(&text_of(path)?).map_err(|error| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, error);
        CliError::File { doing: "read the model script in", path: path.to_path_buf(), source }
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
pub(crate) fn set_aside(stream: StreamId, why: &str) -> String {
    format!("run {} cannot be driven on and is set aside: {}", run8(&stream), clean(why))
}

/// Takes the store, lets `begin` ask what it likes, and drives on. Returns how it went, and the runs that were under way.
pub(crate) fn drive_on(
    store_folder: &Path,
    (thinker, absent): (&Thinker, Absent),
    quiet: bool,
    output: &mut Output,
    begin: impl FnOnce(&mut Session) -> Result<(), CliError>,
) -> Result<(Exit, Vec<RunJson>), CliError> {
    let environment = Environment::read();
    let (Who { provider, is_nobody }, fence) = thinker.provider(store_folder, &environment, absent)?;
    let session = Session::reopen(&environment, store_folder, provider, keepers(&fence, &environment));
    let mut session = session.map_err(|error| CliError::of_host(error, store_folder))?;
    let _listening = project::listen(&session, thinker.named()?, &environment, output);
    let store = session.engine().store().clone();
    for (stream, why) in session.engine().set_aside() {
        output.warn(&set_aside(stream, why));
    }
    let mut tales: BTreeMap<StreamId, Tale> =
        session.engine().found().iter().map(|(stream, next)| (*stream, Tale::begin_at(*next, quiet))).collect();
    if !tales.is_empty() {
        tell_fence(&session, quiet);
    }
    begin(&mut session)?;
    drive(&mut session, |engine| {
        let mut tales = tales.iter_mut();
        tales.try_for_each(|(stream, tale)| tale.tell_new(store.as_ref(), *stream, engine.run(*stream)))?;
        // What only waits for its time waits for a model.
        Ok(is_nobody && !engine.runs().any(|(_, run)| run.state.pending.keys().any(|id| !run.state.is_held(*id))))
    })?;
    if is_nobody {
        for (stream, _) in session.engine().runs().filter(|(_, run)| run.state.is_busy()) {
            let run = run8(stream);
            note(&format!("no model is set up, so run {run} waits for one; `loom resume` goes on once there is one"));
        }
    }
    for (stream, why) in session.engine().set_aside().filter(|(stream, _)| tales.contains_key(stream)) {
        output.warn(&set_aside(stream, why));
    }
    let mut runs = Vec::new();
    let mut exit = Exit::Ok;
    for found in store.runs(usize::MAX)?.into_iter().filter(|found| tales.contains_key(&found.stream)) {
        match found.state {
            RunState::Open => {}
            RunState::Waiting => exit = exit.and(Exit::Parked),
            RunState::Closed(verdict) => exit = exit.and(Exit::of_verdict(verdict)),
        }
        let state = Standing::of(store.as_ref(), &found, false).word();
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
    let ask = Ask::Answer { gate: gate.sequence, answer, note, artifact: Some(gate.artifact), signed: None };
    let folder = session.store_folder().to_path_buf();
    let asked = session.request(Request { stream, id: request_id(), actor, ask });
    asked.map(drop).map_err(|error| CliError::of_host(error, &folder))
}
