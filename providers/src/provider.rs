//! The seam: what a model, an agent harness or a script is asked, and what it reports.

use loom_core::word::SpawnOutcome;
use std::path::PathBuf;

/// One spawn, as its provider sees it. Everything in it comes from the log, so a re-issued spawn gives an equal order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnOrder {
    /// The agent.
    pub agent: String,
    /// Which class of model it wants, in the bundle's words.
    pub tier: String,
    /// The rendered prompt.
    pub prompt: String,
    /// The folder to work in.
    pub work_dir: PathBuf,
    /// Whether it may change that folder.
    pub edits: bool,
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
}

impl SpawnReport {
    /// Returns the report of a spawn that trying again cannot mend.
    pub fn broken(detail: String) -> Self {
        SpawnReport {
            outcome: SpawnOutcome::Broken,
            output: Vec::new(),
            tokens_in: None,
            tokens_out: None,
            money_micro: None,
            model: None,
            session: None,
            wake_ms: None,
            detail: Some(detail),
        }
    }
}

/// Runs spawns: a model API, an agent harness, or a script.
pub trait Provider: Send + Sync {
    /// Returns the provider's name.
    fn name(&self) -> &str;

    /// Runs one spawn to its end. Blocks; gives up soon after `cancel` says so, or when its time is over.
    fn run(&self, order: &SpawnOrder, cancel: &dyn Fn() -> bool) -> SpawnReport;
}
