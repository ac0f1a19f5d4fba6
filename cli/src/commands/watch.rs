//! `loom watch`: drives unattended. Runs wait at their gates, go on when somebody answers, and the next task of the queue
//! is begun whenever nothing is under way.

use crate::app::Global;
use crate::configuring::{place, settings};
use crate::driving::{Thinker, keepers, set_aside, tell_fence};
use crate::error::CliError;
use crate::exit::Exit;
use crate::opening::open_run;
use crate::output::{Output, warn};
use crate::project::{self, FOLDER, ask_holder};
use crate::queue::Queue;
use crate::text::{clean, run8, shown};
use crate::told::Tale;
use crate::trouble::attend;
use loom_bundles::{Source, load};
use loom_core::id::StreamId;
use loom_host::HostError;
use loom_host::environment::Environment;
use loom_host::order::Message;
use loom_host::projects::Projects;
use loom_host::session::{Session, local_actor};
use loom_host::settings::project_file;
use loom_store::{Store, StoreError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How often is looked whether the queue has changed.
const LOOK: Duration = Duration::from_secs(2);
/// How long a detached watch may take until it listens.
const BEGIN: Duration = Duration::from_secs(30);
/// What a detached watch says, in the store's folder.
const LOG: &str = "watch.log";

/// Drives unattended: what is under way, what is answered, and one task of the queue after the other.
///
/// Only in a project that `loom allowlist` has. Ends by Ctrl-C or SIGTERM: once, and what is under way ends first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Goes on in the background, without this terminal.
    #[arg(long)]
    detach: bool,
    /// Ends when nothing is under way and no task waits, in place of waiting for more.
    #[arg(long)]
    until_idle: bool,
    #[command(flatten)]
    thinker: Thinker,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// The process that watches on.
    process: Option<u32>,
    log: Option<String>,
    /// Tasks that were begun here.
    begun: u64,
}

/// Answers `loom watch`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let place = allowed(&environment, &place(global))?;
    if arguments.detach {
        return detach(&place, output);
    }
    let settings = settings(&environment, &place, &arguments.thinker.given())?.settings;
    let provider = arguments.thinker.chosen(&settings, &environment)?;
    let bundle = Arc::new(load(&Source::builtin(&settings.run.bundle.value)?)?);
    let wishes = settings.wishes(&bundle);
    let session = Session::open(&environment, &place, provider, keepers(&settings.fence, &environment));
    let mut session = session.map_err(|error| CliError::of_host(error, &place.join(FOLDER)))?;
    let _listening = project::listen(&session, arguments.thinker.named()?, &environment, output);
    let queue = Queue::of(session.store_folder());
    let mut watch = Watch { tales: BTreeMap::new(), quiet: global.quiet, begun: 0 };
    let root = shown(session.project().root());
    Tale::begin(global.quiet).say(&format!("watching {root}; `loom queue add` hands over a task"));
    tell_fence(&session, global.quiet);
    for (stream, why) in session.engine().set_aside() {
        warn(&set_aside(stream, why));
    }
    wake_on_change(queue.folder(), session.outbox());
    let store = session.engine().store().clone();
    loop {
        let mut failed = None;
        attend(&mut session, |engine| {
            let running = engine.runs().map(|(stream, _)| *stream);
            let streams: BTreeSet<StreamId> = running.chain(watch.tales.keys().copied()).collect();
            for stream in streams {
                watch.tell(store.as_ref(), stream, &engine.found().get(&stream).copied(), engine.run(stream))?;
            }
            if engine.is_busy() {
                return Ok(false);
            }
            let next = queue.names();
            let is_task = next.as_ref().is_ok_and(|names| !names.is_empty());
            failed = next.err();
            Ok(is_task || arguments.until_idle || failed.is_some())
        })?;
        if let Some(error) = failed {
            return Err(error);
        }
        let Some(name) = queue.names()?.into_iter().next() else { break };
        let actor = local_actor(&environment);
        let begun = queue
            .read(&name)
            .and_then(|task| open_run(&mut session, task.request(), actor, &task.text, bundle.clone(), wishes.clone()));
        // A task that cannot be begun is put aside all the same, or it would be tried for ever.
        match &begun {
            Ok(_) => watch.begun += 1,
            Err(error) => warn(&format!("task {} cannot be begun: {error}", clean(&name))),
        }
        queue.taken(&name, begun.is_ok())?;
    }
    if output.json {
        output.document(&Document { loom: "watch/1", process: None, log: None, begun: watch.begun })?;
    }
    Ok(Exit::Ok)
}

/// What is told of each run.
struct Watch {
    tales: BTreeMap<StreamId, Tale>,
    quiet: bool,
    begun: u64,
}

impl Watch {
    fn tell(
        &mut self,
        store: &dyn Store,
        stream: StreamId,
        found: &Option<u64>,
        run: Option<&loom_core::run::Run>,
    ) -> Result<(), CliError> {
        let tale = self.tales.entry(stream).or_insert_with(|| {
            let tale = Tale::begin_at(found.unwrap_or(0), self.quiet);
            tale.say(&format!("run {}", run8(&stream)));
            tale
        });
        tale.tell_new(store, stream, run)?;
        if run.is_none() {
            // It has ended, and its end is told.
            self.tales.remove(&stream);
        }
        Ok(())
    }
}

/// Returns the folder of the project that a place lies in. Nothing is driven unattended in a project without leave.
fn allowed(environment: &Environment, place: &Path) -> Result<PathBuf, CliError> {
    let real = fs::canonicalize(place).map_err(file("find", place))?;
    let root = project_file(&real).and_then(|file| Some(file.parent()?.to_path_buf())).unwrap_or_else(|| real.clone());
    let known = Projects::of(environment).list()?;
    let is_allowed = |folder: &Path| {
        known.iter().any(|project| project.allowed && project.is_there() && Path::new(&project.path) == folder)
    };
    // The leave of a folder above is another project's.
    match real.ancestors().take_while(|folder| folder.starts_with(&root)).any(is_allowed) {
        true => Ok(root),
        false => Err(CliError::NotAllowed { project: real }),
    }
}

/// Looks now and then whether the queue has changed, and wakes who drives.
fn wake_on_change(folder: &Path, outbox: loom_host::order::Outbox) {
    let folder = folder.to_path_buf();
    std::thread::spawn(move || {
        let changed = || fs::metadata(&folder).and_then(|found| found.modified()).ok();
        let mut known = changed();
        loop {
            std::thread::sleep(LOOK);
            let now = changed();
            // Nobody drives any more: nobody is to be woken.
            if std::mem::replace(&mut known, now) != now && outbox.send(Message::Look).is_err() {
                return;
            }
        }
    });
}

/// Starts the same command in a process group of its own and waits until it listens.
fn detach(place: &Path, output: &mut Output) -> Result<Exit, CliError> {
    let folder = fs::canonicalize(place).map_err(file("find", place))?.join(FOLDER);
    let path = folder.join(LOG);
    // What comes with a repository may lead elsewhere.
    if [&folder, &path].iter().any(|path| path.is_symlink()) {
        return Err(HostError::StoreForeign { folder }.into());
    }
    fs::create_dir_all(&folder).map_err(file("make", &folder))?;
    if ask_holder(&folder).is_some() {
        return Err(StoreError::Held { dir: folder, pid: None }.into());
    }
    let log = OpenOptions::new().create(true).append(true).open(&path).map_err(file("write", &path))?;
    let binary = std::env::current_exe().map_err(file("find", Path::new("loom")))?;
    let again = |log: &File| log.try_clone().map_err(file("write", &path));
    let words = std::env::args_os().skip(1).filter(|word| word != "--detach" && word != "--json");
    let mut child = Command::new(&binary)
        .args(words)
        .arg("--no-input")
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(again(&log)?)
        .stderr(log)
        .spawn()
        .map_err(file("start", &binary))?;
    listens(&mut child, &path, BEGIN, || ask_holder(&folder).is_some())?;
    let process = child.id();
    if output.json {
        let log = Some(shown(&path));
        output.document(&Document { loom: "watch/1", process: Some(process), log, begun: 0 })?;
    } else {
        writeln!(output.out, "process {process} watches; it says what it does in {}", shown(&path))?;
        writeln!(output.out, "kill {process} ends it: what is under way ends first")?;
    }
    Ok(Exit::Ok)
}

/// Waits until a watch listens, as `is_heard` says.
fn listens(child: &mut Child, log: &Path, patience: Duration, is_heard: impl Fn() -> bool) -> Result<(), CliError> {
    let end = Instant::now() + patience;
    loop {
        if let Some(ended) = child.try_wait().map_err(file("ask after", log))? {
            return Err(CliError::WatchEnded { log: log.to_path_buf(), status: ended.to_string() });
        }
        if is_heard() {
            return Ok(());
        }
        if Instant::now() >= end {
            let (process, seconds) = (child.id(), patience.as_secs());
            return Err(CliError::WatchUnheard { log: log.to_path_buf(), process, seconds });
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn file<'a>(doing: &'static str, path: &'a Path) -> impl FnOnce(std::io::Error) -> CliError + 'a {
    move |source| CliError::File { doing, path: path.to_path_buf(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watch_that_neither_listens_nor_ends_is_not_said_to_watch() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let log = Path::new("watch.log");
        let told = listens(&mut child, log, Duration::ZERO, || false).unwrap_err();
        assert!(told.to_string().contains("is not known") && told.hint().unwrap().contains("watch.log"), "{told}");
        listens(&mut child, log, Duration::ZERO, || true).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let told = listens(&mut child, log, Duration::ZERO, || true).unwrap_err();
        assert!(told.to_string().contains("ended at once"), "{told}");
    }
}
