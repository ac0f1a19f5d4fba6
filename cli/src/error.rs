//! What can go wrong in a command, and how people are told: `error:`, `caused by:`, `hint:`.

use loom_bundles::{BundleUnknown, LoadErrors, SourceError, nearest};
use loom_core::event::EventError;
use loom_core::rules::RuleError;
use loom_host::HostError;
use loom_host::keys::KeysError;
use loom_host::projects::ProjectsError;
use loom_host::secrets::SecretsError;
use loom_host::settings::{EditError, KEYS, SettingsErrors};
use loom_providers::NoProvider;
use loom_replay::ReplayError;
use loom_replay::evidence::EvidenceError;
use loom_replay::query::QueryError;
use loom_replay::what_if::WhatIfError;
use loom_store::{AppendError, StoreError};
use loom_tools::Error as ToolError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a command could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A key that signs cannot be had.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A receipt or checkpoint does not hold, or cannot be made.
    #[error(transparent)]
    Evidence(EvidenceError),
    /// A text or file is no public key.
    #[error("`{text}` is no public key: neither 64 hexadecimal digits nor NAME+ID+BASE64, nor a file with one of them")]
    NotAPublicKey {
        /// The text.
        text: String,
    },
    /// A place has no checkpoint of the store.
    #[error("there is no checkpoint of this store at {place}; `loom witness` writes one")]
    NoCheckpoint {
        /// The place.
        place: String,
    },
    /// Whoever read our output has gone.
    #[error("nobody reads the output any more")]
    ClosedPipe,
    /// A person ended it: what was under way has ended, and nothing new has begun.
    #[error("interrupted; what is on record stands")]
    Interrupted {
        /// The signal.
        signal: i32,
    },
    /// The output could not be written.
    #[error("the output cannot be written")]
    Output(#[source] io::Error),
    /// No folder up from here has a store.
    #[error("there is no loom store in {} or above it", .from.display())]
    NoStore {
        /// Where the search began.
        from: PathBuf,
    },
    /// A text is no id.
    #[error("`{text}` is not an id")]
    NotAnId {
        /// The text.
        text: String,
    },
    /// Nothing has this id.
    #[error("nothing here has the id `{text}`")]
    Unknown {
        /// The text.
        text: String,
    },
    /// Several things have an id that begins so.
    #[error("`{text}` is ambiguous: {}", .candidates.join(", "))]
    Ambiguous {
        /// The text.
        text: String,
        /// What it could mean.
        candidates: Vec<String>,
    },
    /// An id names something else than a run.
    #[error("`{text}` does not name a run")]
    NotARun {
        /// The text.
        text: String,
    },
    /// There is no run yet.
    #[error("there is no run in this store yet")]
    NoRuns,
    /// There is no such kind of event.
    #[error("there is no event kind `{kind}`")]
    Kind {
        /// The text.
        kind: String,
    },
    /// A time is not understood.
    #[error("`{text}` is not a time")]
    Since {
        /// The text.
        text: String,
        /// Why not.
        #[source]
        source: jiff::Error,
    },
    /// There is no such rule set or rule.
    #[error("there is no rule set or rule `{name}`")]
    NoRuleSet {
        /// The text.
        name: String,
    },
    /// A rule file does not load.
    #[error("{} does not load: {}", .file.display(), .errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rules {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        errors: Vec<RuleError>,
    },
    /// A rule file has no cases.
    #[error("there are no cases beside {}: {} is not there", .rules.display(), .cases.display())]
    NoCases {
        /// The rule file.
        rules: PathBuf,
        /// Where its cases were looked for.
        cases: PathBuf,
    },
    /// A file that would be written is there already.
    #[error("{} exists already", .path.display())]
    FileExists {
        /// The file.
        path: PathBuf,
    },
    /// A project without leave was to be driven unattended.
    #[error("{} may not be driven unattended", .project.display())]
    NotAllowed {
        /// The project.
        project: PathBuf,
    },
    /// A watch ended before it listened.
    #[error("the watch ended at once ({status})")]
    WatchEnded {
        /// What it says.
        log: PathBuf,
        /// How it ended.
        status: String,
    },
    /// A watch has neither begun nor ended for a long time.
    #[error(
        "process {process} was started to watch and does not listen after {seconds} seconds: whether it will is not known"
    )]
    WatchUnheard {
        /// What it says.
        log: PathBuf,
        /// Its id.
        process: u32,
        /// How long was waited.
        seconds: u64,
    },
    /// The task is not text.
    #[error("the task is not UTF-8")]
    TaskNotText,
    /// Nobody can be asked to think.
    #[error(transparent)]
    NoProvider(#[from] NoProvider),
    /// There is no such provider.
    #[error("there is no provider `{name}`")]
    NoSuchProvider {
        /// The name.
        name: String,
    },
    /// The bundle has nothing of that name.
    #[error("the bundle has no {what} `{name}`")]
    NotInBundle {
        /// Tier, kind or agent.
        what: String,
        /// The name.
        name: String,
    },
    /// The settings cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsErrors),
    /// A key could not be set.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// There is no such key.
    #[error("there is no key `{key}`")]
    NoKey {
        /// The key.
        key: String,
    },
    /// The key has no value.
    #[error("`{key}` is not set")]
    NotSet {
        /// The key.
        key: String,
    },
    /// The user's secrets could not be handled.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The list of projects could not be handled.
    #[error(transparent)]
    Projects(#[from] ProjectsError),
    /// Nothing was typed where a value was asked for.
    #[error("no value was given, so nothing was set")]
    NoValue,
    /// There is no repository.
    #[error("{} is in no git repository", .place.display())]
    NoProject {
        /// Where one was looked for.
        place: PathBuf,
    },
    /// What was named is no gate that waits.
    #[error("`{text}` is no gate that waits")]
    NoGate {
        /// What was written.
        text: String,
    },
    /// What was written is no digest.
    #[error("`{text}` is not a digest of 64 hexadecimal digits")]
    NotADigest {
        /// What was written.
        text: String,
    },
    /// Who holds the store does not take the request.
    #[error("{reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// The request could not be put on record.
    #[error("the request is not on record: {reason}")]
    Unheard {
        /// Why.
        reason: String,
    },
    /// Who drives already does it otherwise than was asked.
    #[error("another process drives, and {what}; nothing was asked of it")]
    DrivenOtherwise {
        /// What it has, and what was asked.
        what: String,
        /// Its id, where it says so.
        process: Option<u32>,
    },
    /// A device, pipe, link or folder stands where a file would be written.
    #[error("{} is no regular file and is not replaced", .path.display())]
    NotAFile {
        /// The path.
        path: PathBuf,
    },
    /// A device, pipe or folder stands where a file would be read.
    #[error("{} is no regular file and is not read", .path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
    },
    /// A folder was named where a file is verified.
    #[error("{} is a folder; a run, a trace or a receipt is verified", .path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// An option can do nothing for what is named.
    #[error("{option} does not go with {what}: {why}")]
    Unfitting {
        /// The option.
        option: &'static str,
        /// What is named.
        what: &'static str,
        /// Why not.
        why: &'static str,
    },
    /// A place for checkpoints lies in the folder of the store that they are of.
    #[error("{place} lies in the store's own folder: who changes the store changes it, too")]
    PlaceInside {
        /// The place.
        place: String,
    },
    /// The rules that were given have no such rule.
    #[error("the rules that were given have no rule `{name}`")]
    NoSuchRule {
        /// The text.
        name: String,
        /// A rule that is called alike.
        near: Option<String>,
    },
    /// A folder that should be new has something in it.
    #[error("{} is not empty", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file could not be handled.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// An event cannot be read.
    #[error("the event at position {position} cannot be read")]
    Event {
        /// Its position.
        position: u64,
        /// Why not.
        #[source]
        source: EventError,
    },
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// History could not be read back.
    #[error(transparent)]
    Replay(ReplayError),
    /// The host could not do something.
    #[error(transparent)]
    Host(HostError),
    /// What was done or asked is not on record.
    #[error("nothing can be recorded in {}", .folder.display())]
    Unrecorded {
        /// Folder of the store.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: Box<AppendError>,
    },
    /// A file that should be a whole backup is none.
    #[error("{} cannot be restored", .path.display())]
    NotABackup {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: StoreError,
    },
    /// There is no such bundle.
    #[error(transparent)]
    BundleUnknown(#[from] BundleUnknown),
    /// A bundle does not load.
    #[error("the bundle does not load: {0}")]
    Bundle(#[from] LoadErrors),
    /// A folder cannot be read as a bundle.
    #[error(transparent)]
    BundleFolder(#[from] SourceError),
    /// There is nothing of that name to explain.
    #[error("there is no error code, rule or law `{text}`")]
    NoPage {
        /// The text.
        text: String,
    },
    /// No document has this name.
    #[error("there is no JSON document `{text}`")]
    NoSchema {
        /// The text.
        text: String,
        /// The name that is nearest.
        near: Option<String>,
    },
    /// There is no such command.
    #[error("there is no command `{text}`")]
    NoCommand {
        /// The text.
        text: String,
    },
    /// What cannot be taken back was not confirmed.
    #[error("nobody confirmed it; nothing was done")]
    NotConfirmed,
    /// What a person decides was asked for below a spawn.
    #[error("this process descends from spawn or check {spawn}; {what} is for people")]
    OfSpawn {
        /// The spawn or check.
        spawn: u64,
        /// What was asked.
        what: &'static str,
    },
    /// A rule set is neither armed nor retired.
    #[error("the rules stay as they are: {reason}")]
    NotArmed {
        /// Why.
        reason: String,
    },
    /// Blobs are not erased.
    #[error("nothing is erased: {reason}")]
    NotRedacted {
        /// Why.
        reason: String,
    },
    /// The trees of a run are kept nowhere.
    #[error("the trees of run {run} are gone: its workspace is removed, and it is {state}")]
    TreesGone {
        /// The run, in short.
        run: String,
        /// How it ended, or that it has not.
        state: &'static str,
    },
    /// An event belongs to no spawn that has ended.
    #[error("`{text}` is no event of a spawn that has ended")]
    NotASpawn {
        /// The text.
        text: String,
    },
    /// One run was to be named, and none or several were.
    #[error("{}", match .count { 0 => "no run is named".to_string(), count => format!("{count} runs are named: {}", .runs.join(", ")) })]
    NotOneRun {
        /// How many.
        count: usize,
        /// The first of them, in short.
        runs: Vec<String>,
    },
    /// What was to be changed in a run cannot be.
    #[error(transparent)]
    WhatIf(WhatIfError),
    /// What was asked is no question.
    #[error(transparent)]
    Query(QueryError),
    /// No run breaks what was named.
    #[error("nothing to shrink: none of {runs} runs breaks it, and {left_out} sources could not be looked at")]
    NothingToShrink {
        /// Runs that were looked at.
        runs: usize,
        /// Sources that were not.
        left_out: usize,
    },
    /// Only accepted runs are shipped.
    #[error("run {run} is {state}, not accepted")]
    NotAccepted {
        /// The run, in short.
        run: String,
        /// How it ended, or that it has not.
        state: &'static str,
    },
}

impl From<ToolError> for CliError {
    fn from(error: ToolError) -> Self {
        CliError::Host(error.into())
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => CliError::ClosedPipe,
            _ => CliError::Output(error),
        }
    }
}

impl From<ReplayError> for CliError {
    fn from(error: ReplayError) -> Self {
        match error {
            // A trace goes to standard output like any other result.
            ReplayError::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => CliError::ClosedPipe,
            error => CliError::Replay(error),
        }
    }
}

impl From<WhatIfError> for CliError {
    /// What keeps a run from being read is told as that.
    fn from(error: WhatIfError) -> Self {
        match error {
            WhatIfError::Replay(error) => error.into(),
            error => CliError::WhatIf(error),
        }
    }
}

impl From<HostError> for CliError {
    fn from(error: HostError) -> Self {
        match error {
            // The store's own troubles have their exit codes and hints, whoever meets them.
            HostError::Store(error) | HostError::Append(AppendError::Store(error)) => CliError::Store(error),
            error => CliError::Host(error),
        }
    }
}

impl From<serde_json::Error> for CliError {
    fn from(error: serde_json::Error) -> Self {
        io::Error::from(error).into()
    }
}

impl From<EvidenceError> for CliError {
    /// What keeps a store or a run from being read is told as that.
    fn from(error: EvidenceError) -> Self {
        match error {
            EvidenceError::Store(error) => CliError::Store(error),
            EvidenceError::Replay(error) => CliError::Replay(error),
            error => CliError::Evidence(error),
        }
    }
}

impl CliError {
    /// Returns an error of the host, which worked on the store in `folder`.
    pub(crate) fn of_host(error: HostError, folder: &Path) -> Self {
        match error {
            HostError::Append(source) => CliError::unrecorded(source, folder),
            HostError::Store(error @ StoreError::Full) => CliError::unrecorded(error.into(), folder),
            error => error.into(),
        }
    }

    /// Returns the error of what could not be recorded in the store in `folder`.
    pub(crate) fn unrecorded(source: AppendError, folder: &Path) -> Self {
        CliError::Unrecorded { folder: folder.to_path_buf(), source: Box::new(source) }
    }

    /// Returns what to do about it, where that can be said.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            CliError::NoStore { .. } => Some("go into the project's folder, or name it with --dir".to_string()),
            CliError::NotAnId { .. } => {
                Some("an id is 4 or more of its first hexadecimal digits, `@`, `run:last`, or RUN#SEQUENCE".to_string())
            }
            CliError::Unknown { .. } => Some("`loom log` lists events, `loom status` lists runs".to_string()),
            CliError::Ambiguous { .. } => Some("write more digits".to_string()),
            CliError::Since { .. } => {
                Some("write a span like 7d or 90m, a day like 2026-11-21, or a time like 2026-11-21T08:00Z".to_string())
            }
            CliError::NoRuleSet { .. } => Some("`loom rules list` lists them".to_string()),
            CliError::NoSuchRule { near, .. } => near.as_ref().map(|near| format!("did you mean `{near}`?")),
            CliError::Folder { .. } => Some(
                "`--dir` names a project or store; `loom-replay verify` verifies all that a folder has".to_string(),
            ),
            CliError::PlaceInside { .. } => Some("name a place outside of it".to_string()),
            CliError::Kind { kind } => nearest_kind(kind).map(|near| format!("did you mean `{near}`?")),
            CliError::NoCases { .. } => Some(
                "write that file, with a case that each rule lets pass and one that it refuses; \
                 a bundle's `rules/*.cases.toml` are examples"
                    .to_string(),
            ),
            CliError::NotABackup { .. } => {
                Some("nothing was made; restore another copy, or another file that `loom backup` wrote".to_string())
            }
            CliError::NotRegular { .. } => Some("write what it gives to a file, and name that".to_string()),
            CliError::FileExists { .. } | CliError::NotAFile { .. } => {
                Some("name another file, or move this one away".to_string())
            }
            CliError::NotEmpty { .. } => Some("name another folder, or a new one".to_string()),
            CliError::Store(error) | CliError::Replay(ReplayError::Store(error)) => store_hint(error),
            CliError::Host(error) => host_hint(error),
            CliError::File { source, .. } => file_hint(source),
            CliError::Replay(ReplayError::Damaged(_)) => {
                Some("export the run again, or use another copy of the file".to_string())
            }
            CliError::Unrecorded { source, .. } => match source.as_ref() {
                AppendError::Store(StoreError::Full) => Some(
                    "make room on that disk and try again; `loom resume` goes on from what is on record".to_string(),
                ),
                AppendError::Store(error) => store_hint(error),
                AppendError::HeadMoved { .. } => Some("`loom resume` goes on from what is on record".to_string()),
            },
            CliError::NoProvider(NoProvider::NotSetUp(_)) => Some(
                "`loom models test` tries a provider. Or play a model script with --script; `loom demo` shows a whole \
                 run without a model"
                    .to_string(),
            ),
            CliError::NoProvider(NoProvider::Unknown { .. })
            | CliError::NoSuchProvider { .. }
            | CliError::NotInBundle { .. } => {
                Some("`loom models list` shows who there is; a provider is set up as [providers.NAME]".to_string())
            }
            CliError::NoKey { key } => {
                let near = nearest(key, KEYS.iter().map(|key| key.name));
                let list = "`loom config list --all` names them";
                Some(near.map_or_else(|| list.to_string(), |near| format!("did you mean `{near}`? {list}")))
            }
            CliError::NotSet { .. } => Some("`loom config list --all` says what holds then".to_string()),
            CliError::NoProject { .. } => {
                Some("go into a git repository, name one with --dir, or make one with `git init`".to_string())
            }
            CliError::NoGate { .. } => Some("`loom gates` lists what waits".to_string()),
            CliError::NoRuns => Some("`loom demo` makes a project with one".to_string()),
            CliError::NotAllowed { .. } => Some("`loom allowlist add` gives it leave".to_string()),
            CliError::WatchEnded { log, .. } => Some(format!("it says why in {}", log.display())),
            CliError::WatchUnheard { log, process, .. } => {
                Some(format!("it says what it does in {}; `kill {process}` ends it", log.display()))
            }
            CliError::Interrupted { .. } => Some("`loom resume` goes on".to_string()),
            CliError::NoPage { .. } => Some("`loom explain` lists what is explained".to_string()),
            CliError::NoSchema { near, .. } => {
                let near = near.as_ref().map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
                Some(format!("{near}`loom schema` lists them"))
            }
            CliError::NoCommand { .. } => Some("`loom --help` lists the commands".to_string()),
            CliError::NotConfirmed => {
                Some("`loom reset --dry-run` shows what would be done, `--yes` confirms it".to_string())
            }
            CliError::OfSpawn { .. } => Some("type it in a terminal of your own".to_string()),
            CliError::NotArmed { .. } => Some(
                "`loom rules check FILE` says what is wrong with rules, `loom rules list` what is armed".to_string(),
            ),
            CliError::NotRedacted { .. } => {
                Some("`loom redact --dry-run DIGEST` says which events name a blob".to_string())
            }
            CliError::TreesGone { run, .. } => {
                Some(format!("`loom log {run} --kind paths.changed` names the paths that changed"))
            }
            CliError::DrivenOtherwise { process, .. } => {
                let who = process.map_or("it".to_string(), |process| format!("process {process}"));
                Some(format!("ask for what it has, or end {who} and ask again"))
            }
            CliError::NotASpawn { .. } => Some("`loom log --kind spawn` lists them".to_string()),
            CliError::NotOneRun { .. } => Some("name one with --run and 4 or more of its first digits".to_string()),
            CliError::NothingToShrink { .. } => Some(
                "`loom-replay judge` says which rules are broken where, `loom-replay redrive` what comes out otherwise"
                    .to_string(),
            ),
            CliError::NotAccepted { run, .. } => {
                Some(format!("`loom gates` shows what waits, `loom show {run}` how the run stands"))
            }
            CliError::ClosedPipe
            | CliError::Output(_)
            | CliError::NotARun { .. }
            | CliError::NotADigest { .. }
            | CliError::TaskNotText
            | CliError::Unfitting { .. }
            | CliError::Refused { .. }
            | CliError::Unheard { .. }
            | CliError::Rules { .. }
            | CliError::Event { .. }
            | CliError::Replay(_)
            | CliError::Settings(_)
            | CliError::Edit(_)
            | CliError::Secrets(_)
            | CliError::Keys(_)
            | CliError::Evidence(_)
            | CliError::NotAPublicKey { .. }
            | CliError::NoCheckpoint { .. }
            | CliError::WhatIf(_)
            | CliError::Query(_)
            | CliError::Projects(_)
            | CliError::NoValue
            | CliError::BundleUnknown(_)
            | CliError::BundleFolder(_)
            | CliError::Bundle(_) => None,
        }
    }
}

/// Returns what to do about what the host met.
fn host_hint(error: &HostError) -> Option<String> {
    let hint = match error {
        HostError::File { source, .. } => return file_hint(source),
        HostError::Tool(ToolError::File { source, .. }) => return file_hint(source),
        HostError::Tool(ToolError::FenceMissing { .. }) => {
            "install the package bubblewrap; --fence off runs agents and checks without a fence"
        }
        HostError::Tool(ToolError::NotARepository { .. }) => "go into a git repository, or make one with `git init`",
        HostError::Tool(ToolError::Bare { .. }) => "clone it, and work in the clone",
        HostError::Tool(ToolError::Empty { .. }) => "make a first commit: a run starts from one",
        HostError::Tool(ToolError::TargetDirty { .. }) => "commit, stash or move away what is named",
        HostError::Tool(ToolError::NotOnBranch { .. }) => "`git switch` to the branch, then ship again",
        HostError::Tool(ToolError::Conflicts { .. }) => "merge the run's branch by hand: `git merge --squash`",
        HostError::Tool(ToolError::CommitElsewhere { .. }) => {
            "only the accepted commit is shipped; `git log --all` finds it"
        }
        HostError::Tool(ToolError::RemoteMissing { .. }) => "`git remote add NAME URL`, or name another remote",
        HostError::Tool(ToolError::PushFailed { .. }) => "mend what git names and push again; nothing is forced",
        HostError::Tool(ToolError::CommitRefused { .. }) => "mend what git or its hook printed, then ship again",
        HostError::Tool(ToolError::NotPutBack { .. }) => {
            "`git status` shows what stands; `git reset --hard` throws it away"
        }
        _ => return None,
    };
    Some(hint.to_string())
}

/// Returns what to do about a file that may not be handled, or has no room.
fn file_hint(error: &io::Error) -> Option<String> {
    let hint = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "give your user the right to it; LOOM_STATE_DIR names another folder for Loom's state"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room on that disk and try again"
        }
        _ => return None,
    };
    Some(hint.to_string())
}

fn store_hint(error: &StoreError) -> Option<String> {
    match error {
        StoreError::Held { pid, .. } => Some(match pid {
            Some(pid) => format!("wait until process {pid} has ended, or end it"),
            None => "wait until the other process has ended".to_string(),
        }),
        StoreError::Damaged(_) => {
            Some("`loom verify` finds the first bad record; other streams stay readable".to_string())
        }
        StoreError::Io { source, .. } => file_hint(source),
        StoreError::Full => Some("make room on the disk that the store lies on, and try again".to_string()),
        StoreError::Newer { .. } | StoreError::NewerEvent { .. } => Some("install the newer loom".to_string()),
        StoreError::Missing(_) | StoreError::Exists(_) | StoreError::Broken | StoreError::ReadOnly => None,
    }
}

/// Returns a kind whose name holds what was written, or that begins alike.
fn nearest_kind(kind: &str) -> Option<&'static str> {
    let alike = |name: &str| name.bytes().zip(kind.bytes()).take_while(|(a, b)| a == b).count();
    let names = || loom_core::kind::KINDS.iter().map(|kind| kind.name);
    let within = names().find(|name| !kind.is_empty() && name.contains(kind));
    within.or_else(|| names().max_by_key(|name| alike(name)).filter(|name| alike(name) >= 3))
}
