//! `loom demo`: a whole run in a small real repository, with no key and no network.
//!
//! The model is a script, everything else is real: the edits are made, the checks run, the rules judge, the branch
//! is a branch. Nothing here knows what the run will do; it starts it, shows what goes on record, and answers gates.

use crate::app::Global;
use crate::commands::log;
use crate::configuring::settings;
use crate::driving::{Kept, decide, keepers, tell_fence};
use crate::error::CliError;
use crate::exit::Exit;
use crate::opening::open_run;
use crate::output::Output;
use crate::project::{self, FOLDER};
use crate::text::{clean, shown};
use crate::told::Tale;
use crate::trouble::drive;
use loom_bundles::{Source, load};
use loom_core::id::{Actor, Assurance, StreamId, hex};
use loom_core::process::ASK;
use loom_core::state::Gate;
use loom_core::word::{Answer, Verdict};
use loom_host::HostError;
use loom_host::driver::Named;
use loom_host::environment::Environment;
use loom_host::session::{Session, Wishes, local_actor, request_id};
use loom_providers::{Script, Scripted, demo};
use loom_replay::{Options, StoredRun, refold, verify};
use loom_tools::{CancelToken, Command, Status, minimal_environment, run as run_process};
use serde::Serialize;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Drives a whole run in a small real repository: refused, corrected, approved, merged, verified.
///
/// Needs git, no key and no network. The model is a script; its edits, the checks, the rules and the branch are real.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Make the repository, with the store in it, in this folder, which must not exist or be empty.
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    kept: Kept,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document<'a> {
    loom: &'static str,
    run: String,
    verdict: &'static str,
    /// What the run made; none where it was not accepted.
    branch: Option<&'a str>,
    events: u64,
    is_whole: bool,
    repository: String,
    store: String,
}

/// Answers `loom demo`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let folder = place(arguments.keep.as_deref())?;
    let environment = Environment::read();
    let place = folder.join("notes");
    make_repository(&environment, &place)?;
    let mut tale = Tale::begin(global.quiet);
    tale.say(&format!("a small repository: {}", place.display()));
    tale.say(&format!("the task: {}", demo::TASK.trim()));
    tale.say("the model is a script; its edits, the checks, the rules and the branch are real");

    let script = Script::parse(demo::SCRIPT).expect("the demo's script is compiled in and tested");
    let given: Vec<_> = arguments.kept.given().into_iter().collect();
    let keepers = keepers(&settings(&environment, &place, &given)?.settings.fence, &environment);
    let in_store = |error| CliError::of_host(error, &place.join(FOLDER));
    let session = Session::open(&environment, &place, Arc::new(Scripted::new(script)), keepers);
    let mut session = session.map_err(in_store)?;
    tell_fence(&session, global.quiet);
    let listening = project::listen(&session, Named::default(), &environment, output);
    let source = Source::builtin("code")?;
    let wishes = Wishes { policy: Some("review-final".to_string()), ..Wishes::default() };
    let bundle = Arc::new(load(&source)?);
    let mut answerer = Answerer::new(&environment, global.no_input);
    let stream = open_run(&mut session, request_id(), answerer.demo.clone(), demo::TASK, bundle, wishes)?;

    if let Some(gate) = drive_to_gate(&mut session, stream, &mut tale)? {
        tale.say("somebody is in a hurry and says accept, although a blocking finding stands …");
        decide(&mut session, stream, &gate, (Answer::Accept, None), answerer.demo.clone())?;
    }
    while let Some(gate) = drive_to_gate(&mut session, stream, &mut tale)? {
        let (given, by) = answerer.decide(&gate, &tale)?;
        decide(&mut session, stream, &gate, (given, None), by)?;
    }

    let store = session.engine().store().clone();
    let report = verify(store.as_ref(), Options { threads: 2, blobs: true })?;
    let state = refold(&StoredRun::new(store.as_ref(), stream), None)?.state;
    let verdict = state.closed.unwrap_or(Verdict::Failed);
    let branch = (verdict == Verdict::Accepted).then(|| state.branch());
    let store_folder = session.store_folder().to_path_buf();
    // The store has one holder: let it go, so that the log is read like any other.
    drop(store);
    drop(listening);
    drop(session);
    if output.json {
        output.document(&Document {
            loom: "demo/1",
            run: hex(&stream.0),
            verdict: verdict.word(),
            branch: branch.as_deref(),
            events: report.events,
            is_whole: report.is_whole(),
            repository: place.display().to_string(),
            store: store_folder.display().to_string(),
        })?;
    } else {
        log::run_of(&place, stream, output)?;
        let whole = if report.is_whole() { "whole" } else { "NOT whole" };
        let out = &mut output.out;
        writeln!(out, "\nverified    {} events in {} commits: the chain is {whole}", report.events, report.commits)?;
        writeln!(out, "branch      {}", branch.as_deref().unwrap_or("none: the work was not accepted"))?;
        writeln!(out, "repository  {}", shown(&place))?;
        writeln!(out, "store       {}", shown(&store_folder))?;
        let loom = typed(&environment);
        writeln!(out, "\nWorth typing next:")?;
        writeln!(out, "  cd {}", quoted(&place))?;
        writeln!(out, "  {loom} log --kind refused")?;
        writeln!(out, "      what the rules refused; `{loom} show` and an id says why")?;
        writeln!(out, "  {loom} at run:last")?;
        writeln!(out, "      what holds at the end, facts included")?;
        if let Some(branch) = branch {
            writeln!(out, "  git show {branch}")?;
            writeln!(out, "      the work, as a commit")?;
        }
    }
    Ok(if report.is_whole() { Exit::of_verdict(verdict) } else { Exit::Damaged })
}

/// Drives until the run waits for a person or has ended; returns the gate it waits at.
fn drive_to_gate(session: &mut Session, stream: StreamId, tale: &mut Tale) -> Result<Option<Gate>, CliError> {
    let store = session.engine().store().clone();
    drive(session, |engine| {
        tale.tell_new(store.as_ref(), stream, engine.run(stream))?;
        Ok(engine.run(stream).is_none_or(|run| run.state.is_parked()))
    })?;
    tale.tell_new(store.as_ref(), stream, session.engine().run(stream))?;
    Ok(session.engine().run(stream).and_then(|run| run.state.gate.clone()))
}

/// Who answers gates: the person at the terminal, and the demo itself where nobody can be asked.
struct Answerer {
    person: Actor,
    /// The demo itself; as an actor it says so.
    demo: Actor,
    /// Why nobody is asked, where nobody is.
    alone: Option<&'static str>,
    /// Whether the demo has answered a question of the kernel.
    has_answered_question: bool,
}

impl Answerer {
    fn new(environment: &Environment, no_input: bool) -> Self {
        let alone = if no_input {
            Some("not to be asked")
        } else if !std::io::stdin().is_terminal() {
            Some("no terminal")
        } else {
            None
        };
        let demo =
            Actor::Person { id: "demo".to_string(), assurance: Assurance::Asserted, descends: environment.descends };
        Answerer { person: local_actor(environment), demo, alone, has_answered_question: false }
    }

    /// Returns the answer to a gate and who gives it.
    fn decide(&mut self, gate: &Gate, tale: &Tale) -> Result<(Answer, Actor), CliError> {
        let why = match self.alone {
            Some(why) => why,
            None => match ask(gate, tale)? {
                Some(answer) => return Ok((answer, self.person.clone())),
                // A terminal whose input has ended may wait for ever when it is read again.
                None => *self.alone.insert("the input has ended"),
            },
        };
        // To accept a question is to try again: one that comes back would come back for ever.
        let comes_back = gate.role == ASK && std::mem::replace(&mut self.has_answered_question, true);
        let answer = if comes_back { Answer::Abandon } else { Answer::Accept };
        tale.say(&format!("{why}: the demo answers `{}` as actor `demo`, assurance `asserted`", answer.word()));
        Ok((answer, self.demo.clone()))
    }
}

/// Asks at the terminal; nothing where the input has ended.
fn ask(gate: &Gate, tale: &Tale) -> Result<Option<Answer>, CliError> {
    loop {
        tale.ask(&format!("gate `{}`: accept, revise, reject or abandon? [accept] ", gate.role))?;
        let mut line = String::new();
        if std::io::stdin().lock().read_line(&mut line)? == 0 {
            tale.ask("\n")?;
            return Ok(None);
        }
        match line.trim() {
            "" => return Ok(Some(Answer::Accept)),
            word => match Answer::of(word) {
                Some(answer) => return Ok(Some(answer)),
                None => tale.say(&format!("`{word}` is none of the four")),
            },
        }
    }
}

/// Returns how this program is called in a shell: by its name where that finds it, else by its path.
fn typed(environment: &Environment) -> String {
    let own = std::env::current_exe().and_then(std::fs::canonicalize);
    let Ok(own) = own else { return "loom".to_string() };
    let mut named = std::env::split_paths(&environment.search_path).map(|folder| folder.join("loom"));
    match named.find(|path| path.is_file()) {
        Some(found) if std::fs::canonicalize(&found).is_ok_and(|found| found == own) => "loom".to_string(),
        _ => quoted(&own),
    }
}

/// Returns a path as one word of a shell; what a terminal would not show as it is, is written in numbers.
fn quoted(path: &Path) -> String {
    let bytes = path.as_os_str().as_encoded_bytes();
    match std::str::from_utf8(bytes) {
        Ok(text) if text.chars().all(|c| c.is_alphanumeric() || "/._-+".contains(c)) => text.to_string(),
        Ok(text) if clean(text) == text => format!("'{}'", text.replace('\'', "'\\''")),
        Ok(_) | Err(_) => {
            let byte = |byte: &u8| match byte {
                b'\'' | b'\\' => format!("\\{}", char::from(*byte)),
                b' '..=b'~' => char::from(*byte).to_string(),
                other => format!("\\x{other:02x}"),
            };
            format!("$'{}'", bytes.iter().map(byte).collect::<String>())
        }
    }
}

fn place(keep: Option<&Path>) -> Result<PathBuf, CliError> {
    let folder = match keep {
        None => {
            tempfile::Builder::new().prefix("loom-demo-").tempdir().map_err(file("make", &std::env::temp_dir()))?.keep()
        }
        Some(folder) => {
            std::fs::create_dir_all(folder).map_err(file("make", folder))?;
            if std::fs::read_dir(folder).map_err(file("read", folder))?.next().is_some() {
                return Err(CliError::NotEmpty { path: folder.to_path_buf() });
            }
            folder.to_path_buf()
        }
    };
    std::fs::canonicalize(&folder).map_err(file("find", &folder))
}

fn make_repository(environment: &Environment, project: &Path) -> Result<(), CliError> {
    std::fs::create_dir_all(project).map_err(file("make", project))?;
    for (name, content) in demo::FILES {
        let path = project.join(name);
        std::fs::write(&path, content).map_err(file("write", &path))?;
    }
    let author = ["-c", "user.name=Demo", "-c", "user.email=demo@localhost"];
    // Nothing of what this machine sets for its users' repositories: no templates, hooks or signatures.
    let apart = ["GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"].map(|pair| pair.split_once('='));
    let init = ["init", "--quiet", "--template=", "--initial-branch=main"];
    for words in [&init[..], &["add", "--all"], &["commit", "--quiet", "-m", "Notes"]] {
        let argv = ["git"].into_iter().chain(author).chain(words.iter().copied());
        let mut variables = minimal_environment(&environment.search_path, project, project);
        variables.extend(apart.iter().flatten().map(|(name, value)| (name.into(), value.into())));
        let token = CancelToken::new().map_err(HostError::from)?;
        let exit = run_process(&Command::new(argv, project, variables), &token).map_err(HostError::from)?;
        if exit.status != Status::Exited(0) {
            let said = String::from_utf8_lossy(&exit.stderr.to_bytes()).into_owned();
            return Err(file("make a repository in", project)(std::io::Error::other(said)));
        }
    }
    Ok(())
}

fn file<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> CliError + 'a {
    move |source| CliError::File { doing, path: path.to_path_buf(), source }
}
