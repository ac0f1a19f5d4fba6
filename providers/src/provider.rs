//! The seam: what a model, an agent harness or a script is asked, what it is lent, and what it reports.

use loom_core::word::SpawnOutcome;
use std::path::PathBuf;
use std::{fmt, io};

/// One spawn, as its provider sees it. Everything in it comes from the log, so a re-issued spawn gives an equal order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnOrder {
    /// The agent.
    pub agent: String,
    /// The agent's kind, in the bundle's word: `classifier`, `adviser`, `worker` or `reviewer`.
    pub kind: String,
    /// Which class of model it wants, in the bundle's words.
    pub tier: String,
    /// The rendered prompt.
    pub prompt: String,
    /// The JSON Schema that the answer is to fit; the prompt has it too.
    pub schema: String,
    /// The folder to work in.
    pub work_dir: PathBuf,
    /// Whether it may change that folder.
    pub edits: bool,
    /// Whether programs are fenced in from outside: then they change that folder only where the order is to edit.
    pub fenced: bool,
    /// The round of the agent's phase, from 1.
    pub round: u64,
    /// The try in that round, from 1.
    pub attempt: u64,
    /// Most time it may take, in milliseconds.
    pub time_limit_ms: u64,
}

/// What came of a spawn. Usage that is not known is absent, never guessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnReport {
    /// How it ended; whether the output is an answer is not the provider's to say, so never `unparsable`.
    pub outcome: SpawnOutcome,
    /// The raw output.
    pub output: Vec<u8>,
    /// Tokens read.
    pub tokens_in: Option<u64>,
    /// Tokens written.
    pub tokens_out: Option<u64>,
    /// Cost, in micro-units.
    pub money_micro: Option<u64>,
    /// The model that answered.
    pub model: Option<String>,
    /// The provider's or harness' session.
    pub session: Option<String>,
    /// For `limited`: how long to wait before trying again, in milliseconds from now.
    pub wake_ms: Option<u64>,
    /// What went wrong, in words.
    pub detail: Option<String>,
    /// Who executed it, with its version where that is known.
    pub provider: Option<String>,
    /// Why that one was chosen, in words.
    pub chosen: Option<String>,
    /// Requests to a model, where they were counted between the program and the endpoint.
    pub requests: Option<u64>,
    /// What a harness printed while it worked; empty where there was none.
    pub transcript: Vec<u8>,
}

/// What a spawn tells while it works. Nothing of it is recorded, and each replaces the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Live {
    /// The last thing the agent said or did, in one line: a model's words, so data.
    pub line: String,
    /// The model that answers, where it is known.
    pub model: Option<String>,
    /// Tokens read so far, where known.
    pub tokens_in: Option<u64>,
    /// Tokens written so far, where known.
    pub tokens_out: Option<u64>,
}

impl SpawnReport {
    /// Returns the report of a spawn that trying again cannot mend.
    pub fn broken(detail: String) -> Self {
        SpawnReport::without_answer(SpawnOutcome::Broken, detail)
    }

    /// Returns the report of a spawn of which nothing is known but how it ended.
    pub(crate) fn without_answer(outcome: SpawnOutcome, detail: String) -> Self {
        SpawnReport {
            outcome,
            output: Vec::new(),
            tokens_in: None,
            tokens_out: None,
            money_micro: None,
            model: None,
            session: None,
            wake_ms: None,
            detail: Some(detail),
            provider: None,
            chosen: None,
            requests: None,
            transcript: Vec::new(),
        }
    }
}

/// A way out for a program that has no network: a port on its own 127.0.0.1 that leads to a socket outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// The port, as the program sees it; outside, the same port leads there too.
    pub port: u16,
    /// The socket outside.
    pub socket: PathBuf,
}

/// A program that a provider wants run in the folder it works in.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The program and its arguments; no shell reads them.
    pub argv: Vec<String>,
    /// What it gets on standard input.
    pub stdin: Vec<u8>,
    /// Variables that it gets beside those of every program; where the names are equal, those stay. What must stay
    /// secret stands here and never in `argv`, which everybody on the machine can read.
    pub variables: Vec<(String, String)>,
    /// Most time it may take, in milliseconds.
    pub time_limit_ms: u64,
    /// Most time for which it may print nothing, in milliseconds; absent, it may be silent to its end.
    pub idle_limit_ms: Option<u64>,
    /// Where it may go besides what the executor lets it; nowhere where absent.
    pub door: Option<Door>,
}

impl fmt::Debug for Program {
    /// Names the variables and hides their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Program")
            .field("argv", &self.argv)
            .field("stdin", &self.stdin.len())
            .field("variables", &names)
            .field("time_limit_ms", &self.time_limit_ms)
            .field("idle_limit_ms", &self.idle_limit_ms)
            .field("door", &self.door)
            .finish()
    }
}

/// What came of a program. None of its descendants is left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// `ok` when it exited with 0; else `failed`, `timed-out` or `cancelled`.
    pub outcome: SpawnOutcome,
    /// What it printed on standard output, as much as is kept.
    pub output: Vec<u8>,
    /// How it ended, and what it printed on standard error, in words.
    pub detail: String,
}

/// What an executor lends to a provider. A provider starts no process but through it.
pub trait Hands {
    /// Whether the spawn is to be given up.
    fn is_cancelled(&self) -> bool;

    /// Runs a program in the spawn's folder, watched: it ends with its descendants when its time is over, it is silent
    /// for too long or the spawn is given up, its output is capped while it is read, its environment is minimal. A
    /// program that cannot be started is `broken`.
    ///
    /// `heard` gets each piece of its standard output as it comes; the program waits meanwhile.
    fn run(&self, program: &Program, heard: &mut dyn FnMut(&[u8])) -> Ended;

    /// Makes an empty folder of this name in the home folder of the programs that are run, and returns its path. What
    /// stood there, an earlier agent's doing among it, is removed.
    ///
    /// # Errors
    /// What the operating system says when it cannot.
    fn fresh_folder(&self, name: &str) -> io::Result<PathBuf>;

    /// Shows to whoever looks on what the spawn does just now. Never waits for them.
    fn tell(&self, live: Live);
}

/// Runs spawns: a model API, an agent harness, or a script.
pub trait Provider: Send + Sync {
    /// Returns the provider's name.
    fn name(&self) -> &str;

    /// Returns the credentials that it uses, so that they are kept from the record.
    fn credentials(&self) -> Vec<String> {
        Vec::new()
    }

    /// Runs one spawn to its end. Blocks; gives up soon after `hands` say so, or when its time is over.
    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport;
}
