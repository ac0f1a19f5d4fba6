//! `loom run`: a task, from its opening to its end or to a gate.

use crate::app::Global;
use crate::driving::{Thinker, decide};
use crate::error::CliError;
use crate::exit::Exit;
use crate::opening::open_run;
use crate::output::{BAD, FAINT, Output};
use crate::project::{self, FOLDER};
use crate::terminal::{Terminal, Typed};
use crate::text::{clean, clean_block, run8, shown};
use crate::told::Tale;
use crate::trouble::attend;
use loom_bundles::{Source, load};
use loom_core::id::{StreamId, digest, hex};
use loom_core::state::{Amount, Gate};
use loom_core::word::Verdict;
use loom_host::environment::Environment;
use loom_host::request::TASK_BYTES_MAX;
use loom_host::session::{Session, Wishes, local_actor, request_id};
use loom_replay::{StoredRun, refold};
use loom_tools::Guard;
use serde::Serialize;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Context of the request ids that people write as words.
const REQUEST_CONTEXT: &str = "loom 2026-11 request id v1";
/// Most of a diff that is shown at a gate, in bytes.
const DIFF_BYTES_MAX: usize = 256 * 1024;

/// Drives agents through a task, in this repository, until it is done or waits for a person.
///
/// The run starts from the last commit. What it makes is a branch, made after the final gate; working tree, index and
/// other branches stay as they are.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The task; `-` reads it from standard input.
    #[arg(value_name = "TASK", required_unless_present = "file")]
    task: Option<String>,
    /// A file with the task.
    #[arg(long, value_name = "FILE", conflicts_with = "task")]
    file: Option<PathBuf>,
    /// The bundle.
    #[arg(long, value_name = "NAME", default_value = "code")]
    bundle: String,
    /// A preset of the bundle, or a policy for every gate: human, on-blockers, auto.
    #[arg(long, value_name = "NAME")]
    policy: Option<String>,
    /// The flow; else the classifier chooses it.
    #[arg(long, value_name = "FLOW")]
    complexity: Option<String>,
    /// Most spawns.
    #[arg(long, value_name = "COUNT")]
    max_spawns: Option<u64>,
    /// Most time, as 90m or 2h.
    #[arg(long, value_name = "SPAN", value_parser = milliseconds)]
    max_time: Option<u64>,
    /// Most money, in dollars.
    #[arg(long, value_name = "DOLLARS", value_parser = micro)]
    budget_usd: Option<u64>,
    /// A name for the request: asked again by the same name, it is the same run.
    #[arg(long, value_name = "NAME")]
    request_id: Option<String>,
    #[command(flatten)]
    thinker: Thinker,
}

fn milliseconds(text: &str) -> Result<u64, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "it is no span like 90m or 2h".to_string())?;
    u64::try_from(span.as_millis()).map_err(|_| "it is no span ahead".to_string())
}

fn micro(text: &str) -> Result<u64, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !whole.is_empty() && digits(whole) && digits(part) && part.len() <= 6;
    let number = is_number.then(|| format!("{whole}{part:0<6}").parse().ok()).flatten();
    number.ok_or_else(|| "it is no amount like 2.50".to_string())
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document<'a> {
    loom: &'static str,
    run: String,
    /// `waiting` at a gate, else the verdict.
    state: &'a str,
    gate: Option<u64>,
    branch: Option<String>,
}

/// Answers `loom run`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let task = task(arguments)?;
    let environment = Environment::read();
    let provider = arguments.thinker.chosen()?;
    let bundle = Arc::new(load(&Source::builtin(&arguments.bundle)?)?);
    let limits = &bundle.bundle.limits;
    let caps = Amount {
        spawns: arguments.max_spawns.unwrap_or(limits.spawns),
        tokens: limits.tokens,
        money_micro: arguments.budget_usd.unwrap_or(limits.money_micro),
        time_ms: arguments.max_time.unwrap_or(limits.time_ms),
    };
    let wishes = Wishes {
        flow: arguments.complexity.clone(),
        policy: arguments.policy.clone(),
        caps: Some(caps),
        ..Wishes::default()
    };
    let place = global.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let guard = std::env::current_exe().map_or(Guard::None, Guard::Path);
    let session = Session::open(&environment, &place, provider, guard);
    let mut session = session.map_err(|error| CliError::of_host(error, &place.join(FOLDER)))?;
    let _listening = project::listen(&session, &environment, output);
    let actor = local_actor(&environment);
    let id = match &arguments.request_id {
        Some(name) => digest(REQUEST_CONTEXT, &[name.as_bytes()]).0[..16].to_vec(),
        None => request_id(),
    };
    let stream = open_run(&mut session, id, actor.clone(), &task, bundle, wishes)?;
    let mut tale = Tale::begin(global.quiet);
    tale.say(&format!("run {} in {}", run8(&stream), shown(session.project().root())));
    let mut terminal = Terminal::open(global.no_input, session.outbox());
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
    finished(&session, stream, gate.as_ref(), output)
}

/// Reads the task from where it is.
fn task(arguments: &Arguments) -> Result<String, CliError> {
    // One byte more than a task may have: what is longer is refused where tasks are, and nothing endless is read.
    let most = TASK_BYTES_MAX as u64 + 1;
    let mut bytes = Vec::new();
    let failed = |path: &Path, source| CliError::File { doing: "read the task in", path: path.to_path_buf(), source };
    match (&arguments.file, arguments.task.as_deref()) {
        (Some(path), _) => {
            let file = std::fs::File::open(path).map_err(|source| failed(path, source))?;
            file.take(most).read_to_end(&mut bytes).map_err(|source| failed(path, source))?;
        }
        (None, Some("-")) => {
            let stdin = Path::new("standard input");
            std::io::stdin().lock().take(most).read_to_end(&mut bytes).map_err(|source| failed(stdin, source))?;
        }
        (None, task) => bytes.extend_from_slice(task.unwrap_or_default().as_bytes()),
    }
    String::from_utf8(bytes).map_err(|_| CliError::TaskNotText)
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
                terminal.ask(gate.sequence, &gate.role, tale)?;
                Ok(terminal.has_typed())
            }
            (Some(_), None) => Ok(true),
            (None, _) => Ok(run.state.is_parked()),
        }
    })?;
    tale.tell_new(store.as_ref(), stream, session.engine().run(stream))?;
    Ok(session.engine().run(stream).and_then(|run| run.state.gate.clone()))
}

/// Shows what the run has changed so far.
fn show(session: &Session, stream: StreamId, tale: &Tale) -> Result<(), CliError> {
    let folder = session.store_folder().to_path_buf();
    let patch = session.diff(stream, DIFF_BYTES_MAX).map_err(|error| CliError::of_host(error, &folder))?;
    tale.block(&clean_block(&String::from_utf8_lossy(&patch)));
    Ok(())
}

/// Says where the run stands, and what to type next.
fn finished(session: &Session, stream: StreamId, gate: Option<&Gate>, output: &mut Output) -> Result<Exit, CliError> {
    let state = refold(&StoredRun::new(session.engine().store().as_ref(), stream), None)?.state;
    let verdict = state.closed;
    let branch = (verdict == Some(Verdict::Accepted)).then(|| state.branch());
    let word = verdict.map_or("waiting", Verdict::word);
    if output.json {
        let (run, gate) = (hex(&stream.0), gate.map(|gate| gate.sequence));
        output.document(&Document { loom: "run/1", run, state: word, gate, branch })?;
    } else {
        let run = run8(&stream);
        writeln!(output.out, "{run} {word}")?;
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
