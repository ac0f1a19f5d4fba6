//! What the engine asks an executor to do, and what comes back.
//!
//! An order carries everything that its execution needs; an executor never looks into the store (ORDER-1).

use crate::request::{Answered, Opening, Request};
use loom_bundles::PromptParts;
use loom_core::answer::{Change, Claim};
use loom_core::id::StreamId;
use loom_core::word::{CheckOutcome, MergeOutcome, SpawnOutcome};
use std::sync::mpsc::Sender;

/// Where executors and people put what the drive loop is to see next.
pub type Outbox = Sender<Message>;

/// Something for the drive loop.
#[derive(Debug)]
pub enum Message {
    /// Open a run.
    Open(Box<Opening>, Sender<Answered>),
    /// A person's request.
    Request(Request, Sender<Answered>),
    /// Nothing: whoever drives looks again whether to go on.
    Look,
    /// An order's outcome.
    Finished {
        /// The run.
        stream: StreamId,
        /// The effect.
        id: u64,
        /// What happened.
        report: Box<Report>,
    },
}

/// One thing to do.
#[derive(Debug, Clone)]
pub struct Order {
    /// The run.
    pub stream: StreamId,
    /// The effect: sequence of the event that asked for it.
    pub id: u64,
    /// How long it may take, in milliseconds.
    pub time_ms: u64,
    /// The commit that the run's workspace starts from.
    pub base_commit: Vec<u8>,
    /// What to do.
    pub work: Work,
}

/// What an order is about.
#[derive(Debug, Clone)]
pub enum Work {
    /// Execute an agent.
    Spawn(Box<SpawnWork>),
    /// Run a check on a tree.
    Check {
        /// Its name.
        check: String,
        /// Its command; `None` where none was found.
        argv: Option<Vec<String>>,
        /// The tree.
        tree: Vec<u8>,
    },
    /// Make the branch.
    Merge {
        /// The tree.
        tree: Vec<u8>,
        /// The branch.
        branch: String,
        /// The commit's message; wholly derived from the intent (MERGE-1).
        message: String,
        /// The commit's date, milliseconds since the epoch: the intent's stamp.
        date_ms: u64,
    },
}

/// An agent's execution.
#[derive(Debug, Clone)]
pub struct SpawnWork {
    /// The agent.
    pub agent: String,
    /// Its model tier.
    pub tier: String,
    /// The round of its phase.
    pub round: u64,
    /// The attempt in this round.
    pub attempt: u64,
    /// Whether it may change the tree.
    pub edits: bool,
    /// The tree it starts from.
    pub tree: Vec<u8>,
    /// The tree the run started from.
    pub base_tree: Vec<u8>,
    /// The prompt's template.
    pub template: String,
    /// The prompt's parts; the executor adds the diff.
    pub parts: PromptParts,
}

/// What came of an order.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a report travels in a box as a whole")]
pub enum Report {
    /// Of a spawn.
    Spawn(SpawnReport),
    /// Of a check.
    Check {
        /// What was witnessed.
        outcome: CheckOutcome,
        /// The exit code, where it exited.
        exit_code: Option<u64>,
        /// What it printed.
        output: Vec<u8>,
        /// How long it took.
        duration_ms: u64,
        /// The fence that it ran in; absent where nothing was run.
        fence: Option<Confined>,
    },
    /// Of a merge.
    Merge {
        /// How it ended.
        outcome: MergeOutcome,
        /// The commit.
        commit: Option<Vec<u8>>,
        /// What went wrong.
        detail: Option<String>,
    },
}

/// What came of an agent's execution.
#[derive(Debug, Clone)]
pub struct SpawnReport {
    /// How it ended.
    pub outcome: SpawnOutcome,
    /// The rendered prompt; empty where there was none.
    pub prompt: Vec<u8>,
    /// The raw output.
    pub output: Vec<u8>,
    /// The typed answer, where there is one.
    pub claim: Option<Claim>,
    /// The witnessed changes.
    pub delta: Vec<Change>,
    /// The tree afterwards.
    pub tree_after: Vec<u8>,
    /// Tokens read, where known.
    pub tokens_in: Option<u64>,
    /// Tokens written, where known.
    pub tokens_out: Option<u64>,
    /// Cost in micro-units, where known.
    pub money_micro: Option<u64>,
    /// How long it took.
    pub duration_ms: u64,
    /// The model.
    pub model: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// What went wrong.
    pub detail: Option<String>,
    /// For a rate limit: when to try again.
    pub wake_ms: Option<u64>,
    /// Who executed it, with its version where that is known.
    pub provider: Option<String>,
    /// Why that one was chosen.
    pub chosen: Option<String>,
    /// Requests to a model, where they were counted.
    pub requests: Option<u64>,
    /// What a harness printed while it worked; empty where there was none.
    pub transcript: Vec<u8>,
    /// The fence that its programs ran in; absent where none was run.
    pub fence: Option<Confined>,
}

/// A fence, and what it was measured to enforce from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// The fence's name.
    pub name: String,
    /// What was measured, in the words of `specs/fences.md`.
    pub enforced: Vec<String>,
}

/// Does orders.
pub trait Executor: Send + Sync {
    /// Begins an order and returns at once; its outcome goes into the outbox.
    fn start(&self, order: Order, outbox: Outbox);
    /// Ends an order if it is under way.
    fn stop(&self, stream: StreamId, id: u64);
    /// The run has ended: nothing of it is needed any more.
    fn forget(&self, stream: StreamId);
}
