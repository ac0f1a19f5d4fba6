//! A project opened for driving: repository, store, executor and engine together.
//!
//! The store lies in `.loom/` of the project; workspaces lie in Loom's state folder outside of it, under the
//! store's own name, so that a project may be moved.

use crate::bounds::Leave;
use crate::drive::drive;
use crate::driver::{Driver, Named};
use crate::engine::Engine;
use crate::environment::Environment;
use crate::error::HostError;
use crate::leftover;
use crate::local::{LocalExecutor, LocalSettings, remove_workspaces};
use crate::order::Message;
use crate::redact::Redactor;
use crate::request::{Answered, Request};
use crate::secrets::{Secret, Vault};
use crate::world::{Machine, World};
use loom_bundles::LoadedBundle;
use loom_core::id::{Actor, Assurance, Stamp, StreamId, hex};
use loom_core::state::Amount;
use loom_providers::Provider;
use loom_store::{RedbStore, Store};
use loom_tools::{Choice, Choosing, Git, Guard, Mode, Project, Uncommitted, end_strays};
use std::fmt;
use std::fs::File;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

/// Loom's folder in a project.
const FOLDER: &str = ".loom";
/// How long what a dead driver has left behind may take to end, in milliseconds: longer than a guard takes to end it.
const STRAY_MS: u64 = 3_000;
/// Orders under way at once on one machine.
const JOBS: usize = 8;

/// A project opened for driving.
pub struct Session {
    engine: Engine,
    executor: Arc<LocalExecutor>,
    project: Arc<Project>,
    store_folder: PathBuf,
    origin: [u8; 16],
    inbox: Receiver<Message>,
    outbox: Sender<Message>,
    fence: Arc<Choosing>,
    /// Everything that is started here inherits it.
    _lock: File,
}

/// Who watches over what a session starts, and what keeps it in its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keepers {
    /// Who watches; its binary is the stage of fences, too.
    pub guard: Guard,
    /// Which fence is asked for.
    pub fence: Mode,
    /// What programs are let have behind it.
    pub leave: Leave,
}

impl From<Guard> for Keepers {
    /// A guard without a fence.
    fn from(guard: Guard) -> Self {
        Keepers { guard, fence: Mode::Off, leave: Leave::default() }
    }
}

/// Changes of the project that a run does not see, since it starts from a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unseen(pub Uncommitted);

impl fmt::Display for Unseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Uncommitted { changed, untracked } = self.0;
        write!(f, "{changed} changed and {untracked} untracked paths are not committed: ")?;
        f.write_str("the run starts from the last commit and does not see them")
    }
}

/// What a run is asked, apart from the task.
#[derive(Debug, Clone, Default)]
pub struct Wishes {
    /// The flow, where it is pinned.
    pub flow: Option<String>,
    /// A policy for every gate, or one of the bundle's presets.
    pub policy: Option<String>,
    /// Policies by gate role; they go before the other.
    pub policies: Vec<(String, String)>,
    /// Caps; what is `None` is the bundle's.
    pub caps: Option<Amount>,
    /// Texts of rule sets beside the bundle's.
    pub rules: Vec<String>,
}

impl Session {
    /// Opens the project at `path`, and its store, which is made where there is none.
    ///
    /// What was under way when the last driver died is taken up at once.
    pub fn open(
        environment: &Environment,
        path: &Path,
        provider: Arc<dyn Provider>,
        keepers: impl Into<Keepers>,
    ) -> Result<Self, HostError> {
        Self::of_project(environment, path, None, provider, keepers.into())
    }

    /// Opens the project whose store lies in `store_folder`: this store and no other.
    pub fn reopen(
        environment: &Environment,
        store_folder: &Path,
        provider: Arc<dyn Provider>,
        keepers: impl Into<Keepers>,
    ) -> Result<Self, HostError> {
        let found = std::fs::canonicalize(store_folder).map_err(|source| HostError::File {
            doing: "find",
            path: store_folder.display().to_string(),
            source,
        })?;
        let place = found.parent().unwrap_or(&found).to_path_buf();
        Self::of_project(environment, &place, Some(found), provider, keepers.into())
    }

    fn of_project(
        environment: &Environment,
        path: &Path,
        expected: Option<PathBuf>,
        provider: Arc<dyn Provider>,
        keepers: Keepers,
    ) -> Result<Self, HostError> {
        own_state(&environment.state_folder)?;
        let scratch = environment.state_folder.join("scratch");
        make(&scratch)?;
        let Keepers { guard, fence, leave } = keepers;
        // Before anything of the project is taken up: where a fence is required, nothing is done without.
        let fence = Arc::new(Choosing::begin(fence, &guard, &environment.search_path, &scratch)?);
        let (git, project, store_folder) = own_project(environment, path, &scratch)?;
        if let Some(folder) = expected.filter(|folder| *folder != store_folder) {
            return Err(HostError::StoreElsewhere { folder, root: project.root().to_path_buf() });
        }
        let store: Arc<dyn Store> = Arc::new(open_or_create(&store_folder)?);
        let origin = loom_store::origin(store.as_ref())?;
        let folder = environment.state_folder.join("stores").join(hex(&origin));
        make(&folder)?;
        let lock = leftover::wait(&folder)?;
        let folder = folder.join("workspaces");
        make(&folder)?;
        // The store is ours now: whoever still works below this folder was started by a driver that has died.
        end_strays(&folder, STRAY_MS);
        let redactor = Arc::new(redactor(environment, provider.as_ref())?);
        let settings = LocalSettings {
            git,
            project: project.clone(),
            folder: folder.clone(),
            provider,
            guard,
            fence: fence.clone(),
            leave,
            environment: environment.clone(),
            redactor: redactor.clone(),
            jobs: JOBS,
        };
        let executor = Arc::new(LocalExecutor::new(settings));
        let (outbox, inbox) = channel();
        let mut engine = Engine::open(store, Box::new(Machine), executor.clone(), outbox.clone())?;
        engine.keep_secret(redactor);
        let kept = engine.runs().map(|(stream, _)| *stream).chain(engine.set_aside().map(|(stream, _)| stream));
        let live: Vec<String> = kept.map(|stream| hex(&stream.0)).collect();
        remove_workspaces(&folder, &|name| live.iter().any(|run| run == name));
        Ok(Session { engine, executor, project, store_folder, origin, inbox, outbox, fence, _lock: lock })
    }

    /// Returns the project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// Returns the fence that programs run in, and why it is no better one, once it is chosen.
    pub fn fence(&self) -> &Choice {
        self.fence.choice()
    }

    /// Returns the folder of the store.
    pub fn store_folder(&self) -> &Path {
        &self.store_folder
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Opens a run on the project's present commit and returns its stream. Asked again, the run is the one on record,
    /// wherever the project stands by then.
    pub fn open_run(
        &mut self,
        request: Vec<u8>,
        actor: Actor,
        task: &str,
        bundle: Arc<LoadedBundle>,
        wishes: Wishes,
    ) -> Result<StreamId, HostError> {
        let driver = self.driver();
        let opening = driver.opening(request, actor, task, bundle, wishes)?;
        let stream = self.engine.stream_of(&opening.id);
        let (reply, answer) = channel();
        self.engine.turn(vec![Message::Open(Box::new(opening), reply)])?;
        let opened = match answer.try_recv() {
            Ok(Answered::Recorded { stream, .. }) => Ok(stream),
            Ok(Answered::Not(error)) => Err(error),
            Err(_) => Err(HostError::RunUnknown),
        };
        if opened.is_err() {
            driver.discard(stream);
        }
        opened
    }

    /// Begins to look for what lies in the project and not in the commit that a run opened now starts from. Loom's own
    /// folder does not count.
    pub fn unseen(&self) -> JoinHandle<Result<Option<Unseen>, HostError>> {
        let project = self.project.clone();
        thread::spawn(move || {
            let found = project.uncommitted()?;
            Ok((found.changed > 0 || found.untracked > 0).then_some(Unseen(found)))
        })
    }

    /// Puts a request to a run and returns what is on record then.
    pub fn request(&mut self, request: Request) -> Result<Answered, HostError> {
        let (reply, answer) = channel();
        self.engine.turn(vec![Message::Request(request, reply)])?;
        match answer.try_recv() {
            Ok(Answered::Not(error)) => Err(error),
            Ok(answered) => Ok(answered),
            Err(_) => Err(HostError::RunUnknown),
        }
    }

    /// Drives all runs until `until` says so, or until nothing is under way and nobody could send more.
    pub fn drive(&mut self, mut until: impl FnMut(&Engine) -> bool) -> Result<(), HostError> {
        drive(&mut self.engine, &self.inbox, |engine| until(engine) || !engine.is_busy())
    }

    /// Drives all runs until `until` says so, also while nothing is under way: somebody may ask something.
    pub fn attend(&mut self, until: impl FnMut(&Engine) -> bool) -> Result<(), HostError> {
        drive(&mut self.engine, &self.inbox, until)
    }

    /// Returns a way for other threads to ask something of this driver.
    pub fn driver(&self) -> Driver {
        Driver {
            store: self.engine.store().clone(),
            executor: self.executor.clone(),
            project: self.project.clone(),
            origin: self.origin,
            outbox: self.outbox.clone(),
            fence: self.fence.clone(),
            named: Named::default(),
        }
    }

    /// Returns what a run has changed so far, as a patch of which at most `bytes_max` bytes are kept.
    pub fn diff(&self, stream: StreamId, bytes_max: usize) -> Result<Vec<u8>, HostError> {
        let run = self.engine.run(stream).ok_or(HostError::RunUnknown)?;
        self.executor.diff(
            stream,
            &run.state.opened.base_commit,
            &run.state.opened.base_tree,
            &run.state.tree,
            bytes_max,
        )
    }

    /// Returns where messages for the drive loop are put.
    pub fn outbox(&self) -> Sender<Message> {
        self.outbox.clone()
    }
}

/// Returns 16 random bytes for a request that brings no id of its own.
pub fn request_id() -> Vec<u8> {
    Machine.random().to_vec()
}

/// Returns who asks on this machine: the user's number, asserted (ACTOR-1).
///
/// A process that descends from a spawn is marked by its environment, or by that of a process it descends from.
pub fn local_actor(environment: &Environment) -> Actor {
    Actor::Person {
        id: format!("uid:{}", rustix::process::getuid().as_raw()),
        assurance: Assurance::Asserted,
        descends: environment.descends,
    }
}

/// Opens the project that holds `path`, and returns it with the folder of its store.
fn own_project(
    environment: &Environment,
    path: &Path,
    scratch: &Path,
) -> Result<(Git, Arc<Project>, PathBuf), HostError> {
    let (git, project) = Git::find_and_open(&environment.search_path, scratch, path)?;
    let folder = own_folder(&project)?;
    Ok((git, Arc::new(project), folder))
}

/// Returns the folder of the project's store, if the project did not bring it along.
///
/// A store that comes with a repository could have checks under way, and to open it would be to run them.
fn own_folder(project: &Project) -> Result<PathBuf, HostError> {
    let folder = project.root().join(FOLDER);
    let is_link = std::fs::symlink_metadata(&folder).is_ok_and(|found| found.file_type().is_symlink());
    // Some file systems do not tell these names apart.
    let is_tracked = project.head().names.iter().any(|name| name.eq_ignore_ascii_case(FOLDER.as_bytes()));
    if is_link || is_tracked { Err(HostError::StoreForeign { folder }) } else { Ok(folder) }
}

/// Returns what keeps the user's secrets and the provider's credentials out of the record. Secrets that cannot be read
/// cannot be kept, so then nothing is driven (SECRETS-3).
fn redactor(environment: &Environment, provider: &dyn Provider) -> Result<Redactor, HostError> {
    let name = format!("credential of {}", provider.name());
    let credentials = provider.credentials().into_iter().map(|value| (name.clone(), Secret::new(value)));
    Ok(Redactor::watching(Vault::of(environment), credentials.collect())?)
}

fn open_or_create(folder: &Path) -> Result<RedbStore, HostError> {
    let origin = || {
        let stamp = Stamp::after(Stamp::default(), Machine.now_ms());
        loom_core::origin::create(Machine.random(), env!("CARGO_PKG_VERSION"), stamp)
    };
    Ok(RedbStore::open_or_create(folder, origin)?)
}

/// Makes the folder for Loom's state, for its user alone; one that somebody else made is refused.
fn own_state(folder: &Path) -> Result<(), HostError> {
    let failed = |source| HostError::File { doing: "make", path: folder.display().to_string(), source };
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed)?;
    let owner = std::fs::metadata(folder).map_err(failed)?.uid();
    // The administrator could change anything anyway.
    let is_trusted = owner == 0 || owner == rustix::process::geteuid().as_raw();
    if is_trusted { Ok(()) } else { Err(HostError::StateForeign { folder: folder.to_path_buf() }) }
}

fn make(folder: &Path) -> Result<(), HostError> {
    std::fs::create_dir_all(folder).map_err(|source| HostError::File {
        doing: "make",
        path: folder.display().to_string(),
        source,
    })
}

impl Drop for Session {
    /// What is under way ends with its driver; the next one waits for that, finds it and decides by its nature.
    fn drop(&mut self) {
        self.executor.stop_all();
    }
}
