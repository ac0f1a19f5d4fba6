//! `loom run`: a task, from its opening to its end or to a gate.

use crate::app::Global;
use crate::card::card;
use crate::commands::diff::PATCH_BYTES_MAX;
use crate::configuring::{place, settings};
use crate::driving::{Thinker, decide, keepers, tell_fence, tell_fence_of};
use crate::error::CliError;
use crate::exit::Exit;
use crate::joining::{Joined, join};
use crate::manner::agree;
use crate::opening::open_run;
use crate::output::{BAD, FAINT, Output, note};
use crate::project::{self, FOLDER, ask_holder};
use crate::status::Status;
use crate::task::TaskArguments;
use crate::terminal::{Terminal, Typed};
use crate::text::{clean, clean_block, run8, shown};
use crate::told::Tale;
use crate::trouble::{attend, drive};
use loom_bundles::{Source, load};
use loom_core::id::{StreamId, digest, hex};
use loom_core::state::Gate;
use loom_core::word::Verdict;
use loom_host::HostError;
use loom_host::environment::Environment;
use loom_host::order::Message;
use loom_host::session::{Session, local_actor, request_id};
use loom_host::settings::{FenceMode, Given, Value, amount_micro, span_ms};
use loom_replay::{StoredRun, refold};
use loom_store::{Store, StoreError};
use serde::Serialize;
use std::io::Write;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Context of the request ids that people write as words.
const REQUEST_CONTEXT: &str = "loom 2026-11 request id v1";
/// Pause before the store of a driver that has gone is taken.
const AGAIN: Duration = Duration::from_millis(100);

/// Drives agents through a task, in this repository, until it is done or waits for a person.
///
/// The run starts from the last commit. What it makes is a branch, made after the final gate; working tree, index and
/// other branches stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    task: TaskArguments,
    /// The bundle.
    #[arg(long, value_name = "NAME")]
    bundle: Option<String>,
    /// A preset of the bundle, or a policy for every gate: human, on-blockers, auto.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The flow; else the classifier chooses it.
    #[arg(long, value_name = "FLOW")]
    complexity: Option<String>,
    /// Most spawns.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max_spawns: Option<u64>,
    /// Most tokens.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    max_tokens: Option<u64>,
    /// Most time, as 90m or 2h.
    #[arg(long, value_name = "SPAN", value_parser = span_ms)]
    max_time: Option<u64>,
    /// Most money, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = amount_micro)]
    budget_usd: Option<u64>,
    /// A name for the request: asked again by the same name, it is the same run.
    #[arg(long, value_name = "NAME")]
    request_id: Option<String>,
    /// Each event as a line of JSON, as it goes on record.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    #[command(flatten)]
    thinker: Thinker,
}

impl Arguments {
    /// Returns what is said about settings here.
    fn given(&self) -> Vec<Given> {
        let text = |value: &Option<String>| value.clone().map(Value::Text);
        let number = |value: Option<u64>| value.map(Value::Number);
        let flags = [
            ("run.bundle", "--bundle", text(&self.bundle)),
            ("run.policy", "--policy", text(&self.policy)),
            ("run.complexity", "--complexity", text(&self.complexity)),
            ("run.max_spawns", "--max-spawns", number(self.max_spawns)),
            ("run.max_tokens", "--max-tokens", number(self.max_tokens)),
            ("run.max_time", "--max-time", number(self.max_time)),
            ("run.budget_usd", "--budget-usd", number(self.budget_usd)),
        ];
        let given = flags.into_iter().filter_map(|(key, flag, value)| Some(Given { key, flag, value: value? }));
        given.chain(self.thinker.given()).collect()
    }
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document<'a> {
    loom: &'static str,
    run: String,
    /// `waiting` at a gate, `paused`, else the verdict.
    state: &'a str,
    gate: Option<u64>,
    branch: Option<String>,
}

/// Answers `loom run`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let task = arguments.task.read()?;
    let environment = Environment::read();
    let place = place(global);
    let settings = settings(&environment, &place, &arguments.given())?.settings;
    let provider = arguments.thinker.chosen(&settings, &environment)?;
    let source = Source::builtin(&settings.run.bundle.value)?;
    let loading = thread::spawn(move || load(&source));
    let id = match &arguments.request_id {
        Some(name) => digest(REQUEST_CONTEXT, &[name.as_bytes()]).0[..16].to_vec(),
        None => request_id(),
    };
    let keepers = keepers(&settings.fence, &environment);
    let mut opened = Session::open(&environment, &place, provider.clone(), keepers.clone());
    let bundle = Arc::new(loading.join().unwrap_or_else(|panic| resume_unwind(panic))?);
    let wishes = settings.wishes(&bundle);
    let mut tale = Tale::begin(global.quiet).in_lines(arguments.jsonl);
    let mut terminal = Terminal::open(global.no_input);
    let mut session = loop {
        match opened {
            Ok(session) => break session,
            Err(HostError::Store(StoreError::Held { dir, pid })) => {
                let held = || CliError::Store(StoreError::Held { dir: dir.clone(), pid });
                let holder = ask_holder(&dir).ok_or_else(held)?;
                let mode = settings.fence.mode.value;
                let agreed = match agree(&holder, &arguments.thinker, mode) {
                    // It has gone meanwhile; whoever is found next is asked anew.
                    Err(CliError::Store(_)) => {
                        thread::sleep(AGAIN);
                        opened = Session::open(&environment, &place, provider.clone(), keepers.clone());
                        continue;
                    }
                    agreed => agreed?,
                };
                if let Some(manner) = agreed.filter(|_| mode != FenceMode::Off) {
                    tell_fence_of(&manner.fence, manner.why.as_deref(), global.quiet);
                }
                let asked = (&id[..], task.as_str(), settings.run.bundle.value.as_str(), &wishes);
                match join((&holder, &dir), asked, (&mut terminal, &mut tale), global.quiet)? {
                    Joined::Stands(stream, gate) => {
                        return finished(&holder, stream, gate.as_ref(), arguments.jsonl, output);
                    }
                    // Its store is free, or will be: the request finds the run that it opened, if it did.
                    Joined::Orphaned => thread::sleep(AGAIN),
                }
            }
            Err(error) => return Err(CliError::of_host(error, &place.join(FOLDER))),
        }
        opened = Session::open(&environment, &place, provider.clone(), keepers.clone());
    };
    let _listening = project::listen(&session, arguments.thinker.named()?, &environment, output);
    let actor = local_actor(&environment);
    let stream = open_run(&mut session, id, actor.clone(), &task, bundle, wishes)?;
    tell_fence(&session, global.quiet);
    tale.say(&format!("run {} in {}", run8(&stream), shown(session.project().root())));
    let store = session.engine().store().clone();
    let status = Status::begin(session.driver().board(), store.clone(), stream, global.quiet);
    if let Some(terminal) = &mut terminal {
        let outbox = session.outbox();
        // Where nobody drives any more nobody is to be woken.
        terminal.wakes(move || drop(outbox.send(Message::Look)));
        terminal.is_interrupted();
    }
    let gate = loop {
        let Some(gate) = to_gate(&mut session, stream, &mut tale, &mut terminal)? else { break None };
        let Some(asked) = &mut terminal else { break Some(gate) };
        let (answer, note) = match asked.take() {
            Some(Typed::Answer(answer, note)) => (answer, note),
            Some(Typed::End) => break Some(gate),
            Some(Typed::Diff) => {
                show(&session, stream, &tale)?;
                asked.again(&gate.role, &tale)?;
                continue;
            }
            Some(Typed::Unclear(word)) => {
                tale.say(&format!("`{}` is none of them", clean(&word)));
                asked.again(&gate.role, &tale)?;
                continue;
            }
            None => continue,
        };
        decide(&mut session, stream, &gate, (answer, note), actor.clone())?;
    };
    drop(status);
    let exit = finished(store.as_ref(), stream, gate.as_ref(), arguments.jsonl, output)?;
    output.out.flush()?;
    if session.engine().is_busy() {
        // Others have asked for more meanwhile: nothing of theirs is broken off.
        note("runs of others are under way and are driven on; Ctrl-C holds them");
        drive(&mut session, |_| Ok(false))?;
    }
    Ok(exit)
}

/// Drives until the run has ended, or waits at a gate and something was typed or nobody can be asked.
fn to_gate(
    session: &mut Session,
    stream: StreamId,
    tale: &mut Tale,
    terminal: &mut Option<Terminal>,
) -> Result<Option<Gate>, CliError> {
    let store = session.engine().store().clone();
    attend(session, |engine| {
        tale.tell_new(store.as_ref(), stream, engine.run(stream))?;
        let Some(run) = engine.run(stream) else { return Ok(true) };
        match (&run.state.gate, terminal.as_mut()) {
            (Some(gate), Some(terminal)) => {
                if terminal.is_new(gate.sequence) {
                    card(store.as_ref(), stream, run, gate)?.iter().for_each(|line| tale.say(line));
                }
                terminal.ask(gate.sequence, &gate.role, tale)?;
                Ok(terminal.has_typed())
            }
            (Some(_), None) => Ok(true),
            (None, _) => Ok(run.state.is_parked()),
        }
    })?;
    tale.tell_new(store.as_ref(), stream, session.engine().run(stream))?;
    if let (None, Some(run)) = (terminal, session.engine().run(stream))
        && let Some(gate) = &run.state.gate
    {
        card(store.as_ref(), stream, run, gate)?.iter().for_each(|line| tale.say(line));
    }
    Ok(session.engine().run(stream).and_then(|run| run.state.gate.clone()))
}

/// Shows what the run has changed so far.
fn show(session: &Session, stream: StreamId, tale: &Tale) -> Result<(), CliError> {
    let folder = session.store_folder().to_path_buf();
    let patch = session.diff(stream, PATCH_BYTES_MAX).map_err(|error| CliError::of_host(error, &folder))?;
    tale.block(&clean_block(&String::from_utf8_lossy(&patch)));
    Ok(())
}

/// Says where the run stands, and what to type next.
fn finished(
    store: &dyn Store,
    stream: StreamId,
    gate: Option<&Gate>,
    jsonl: bool,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let state = refold(&StoredRun::new(store, stream), None)?.state;
    let verdict = state.closed;
    let branch = (verdict == Some(Verdict::Accepted)).then(|| state.branch());
    let open = if state.hold.is_some() { "paused" } else { "waiting" };
    let word = verdict.map_or(open, Verdict::word);
    if output.json || jsonl {
        let (run, gate) = (hex(&stream.0), gate.map(|gate| gate.sequence));
        let document = Document { loom: "run/1", run, state: word, gate, branch };
        if jsonl {
            // After the events, as one line like them.
            output.line(&document)?;
        } else {
            output.document(&document)?;
        }
    } else {
        let run = run8(&stream);
        writeln!(output.out, "{run} {word}")?;
        if state.hold.is_some() {
            writeln!(output.out, "{FAINT}it is held; loom resume {run}{FAINT:#}")?;
        }
        if let Some(branch) = &branch {
            writeln!(output.out, "branch {}", clean(branch))?;
        }
        if let Some(gate) = gate {
            writeln!(output.out, "{BAD}gate `{}` waits{BAD:#} for {}", clean(&gate.role), clean(&state.opened.owner))?;
            writeln!(output.out, "{FAINT}loom gates; loom answer {run} accept{FAINT:#}")?;
        }
    }
    Ok(verdict.map_or(Exit::Parked, Exit::of_verdict))
}
