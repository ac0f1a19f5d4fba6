//! What holds in a run: a pure fold over its events, and nothing else.
//!
//! The state is bounded by what is live (pending effects, open findings, notes not yet read), never by the length
//! of the history (STATE-1). Snapshots of it are rkyv bytes: a cache that can be thrown away at any time.

use crate::commit::Head;
use crate::id::{Digest, Stamp, StreamId};
use crate::process::{Agent, Policy};
use crate::schema::Bytes;
use crate::word::{GateOutcome, Origin, Severity, Verdict};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use rkyv::{Archive, Deserialize, Serialize};

/// Most notes of people that wait to be read; a further one is declined.
pub const NOTES_MAX: usize = 32;

/// The state of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct State {
    /// The run.
    pub stream: StreamId,
    /// Sequence that the next event gets.
    pub next: u64,
    /// Id of the last event.
    pub last: Digest,
    /// Stamp of the last commit.
    pub stamp: Stamp,
    /// What the run was opened with.
    pub opened: Opened,
    /// The flow, once it is chosen.
    pub flow: Option<String>,
    /// Name of the present stage.
    pub stage: String,
    /// Phase of the present stage.
    pub phase: String,
    /// How often each phase was begun.
    pub rounds: BTreeMap<String, u64>,
    /// The tree as the last worker left it.
    pub tree: Bytes,
    /// The tree that the present stage began with.
    pub tree_entered: Bytes,
    /// Effects under way, by the sequence of the event that asked for them.
    pub pending: BTreeMap<u64, Pending>,
    /// Effects whose outcome is in, but whose reservation is not settled yet (within a commit).
    pub settling: BTreeMap<u64, Pending>,
    /// Effects that were given up: an outcome may still arrive and has no consequences.
    pub given_up: BTreeSet<u64>,
    /// Effects that wait for a point in time before they are asked for again.
    pub timers: BTreeMap<u64, Timer>,
    /// How often in a row each agent was turned away by a rate limit.
    pub limited: BTreeMap<String, u64>,
    /// Agents that have delivered in the present fanout.
    pub delivered: BTreeSet<String>,
    /// Reviewers that blocked in the round before: they run first.
    pub blocked: BTreeSet<String>,
    /// Rounds that ended with blockers, by the stage they walked back to.
    pub blocked_rounds: BTreeMap<String, u64>,
    /// Stages that were escalated, with the agent that works there now.
    pub escalated: BTreeMap<String, String>,
    /// Findings that stand, by sequence.
    pub findings: BTreeMap<u64, Standing>,
    /// Risks that were taken: fingerprint and person.
    pub waived: BTreeMap<[u8; 16], String>,
    /// Blocking findings to mend, listed in the next prompts.
    pub to_mend: Vec<u64>,
    /// Fingerprints of the code blockers that the last walk-back superseded, sorted.
    pub last_blockers: Vec<[u8; 16]>,
    /// The gate that waits for a person.
    pub gate: Option<Gate>,
    /// The last acceptance of the final gate, if no walk-back has voided it.
    pub approval: Option<Approval>,
    /// Walk-backs that Loom made by itself.
    pub replans: u64,
    /// Notes of people, oldest first.
    pub notes: Vec<Note>,
    /// A note that came with an answer which is not decided yet (within a commit).
    pub note_in_hand: Option<Digest>,
    /// The last answer of each adviser.
    pub advice: BTreeMap<String, Digest>,
    /// What was reserved and used.
    pub budget: Budget,
    /// Rule sets that judge the run, in order.
    pub rules: Vec<Digest>,
    /// What holds the run, while something does.
    pub hold: Option<Hold>,
    /// How the run ended.
    pub closed: Option<Verdict>,
}

/// What a run was opened with.
#[derive(Debug, Clone, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Opened {
    /// The task (blob).
    pub task: Digest,
    /// What the branch is called after.
    pub slug: String,
    /// The bundle (blob).
    pub bundle: Digest,
    /// The commit the run starts from.
    pub base_commit: Bytes,
    /// Its tree.
    pub base_tree: Bytes,
    /// The flow, where the request pinned it.
    pub flow: Option<String>,
    /// Policies that the request set.
    pub policies: BTreeMap<String, Policy>,
    /// Checks declared not applicable.
    pub checks_waived: BTreeSet<String>,
    /// Caps.
    pub caps: Amount,
    /// Who owns the waits.
    pub owner: String,
}

/// An amount of everything that is budgeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Amount {
    /// Spawns.
    pub spawns: u64,
    /// Tokens, in and out together.
    pub tokens: u64,
    /// Money in micro-units.
    pub money_micro: u64,
    /// Time in milliseconds.
    pub time_ms: u64,
}

impl Amount {
    /// Returns what is reserved for one spawn of an agent.
    pub(crate) fn of_spawn(agent: &Agent) -> Self {
        Amount {
            spawns: 1,
            tokens: agent.reserve_tokens,
            money_micro: agent.reserve_money_micro,
            time_ms: agent.reserve_time_ms,
        }
    }
}

/// What was reserved and used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Archive, Serialize, Deserialize)]
pub struct Budget {
    /// Reserved by effects under way.
    pub reserved: Amount,
    /// Settled.
    pub used: Amount,
}

impl Budget {
    /// Returns the name, the sum and the cap of the first budget that `more` would exceed.
    pub fn exceeded(&self, caps: &Amount, more: &Amount) -> Option<(&'static str, u64, u64)> {
        let sum = |reserved: u64, used: u64, more: u64| reserved.saturating_add(used).saturating_add(more);
        [
            ("spawns", sum(self.reserved.spawns, self.used.spawns, more.spawns), caps.spawns),
            ("tokens", sum(self.reserved.tokens, self.used.tokens, more.tokens), caps.tokens),
            (
                "money (micro-units)",
                sum(self.reserved.money_micro, self.used.money_micro, more.money_micro),
                caps.money_micro,
            ),
            ("time (ms)", sum(self.reserved.time_ms, self.used.time_ms, more.time_ms), caps.time_ms),
        ]
        .into_iter()
        .find(|(_, sum, cap)| sum > cap)
    }
}

/// An effect under way.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Pending {
    /// What was asked for.
    pub what: Asked,
    /// What was reserved for it.
    pub reserved: Amount,
    /// When the kernel gives it up, milliseconds since the epoch.
    pub deadline_ms: u64,
}

/// What an effect is.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub enum Asked {
    /// An agent's execution.
    Spawn {
        /// The agent.
        agent: String,
        /// 1 for the first try in this round.
        attempt: u64,
        /// The round of its phase.
        round: u64,
        /// The prompt's recipe (blob).
        recipe: Digest,
        /// The tree it starts from.
        tree: Bytes,
        /// Whether it may change the tree.
        edits: bool,
    },
    /// A deterministic check.
    Check {
        /// Its name.
        check: String,
        /// The tree to check.
        tree: Bytes,
    },
    /// The merge of an accepted tree.
    Merge {
        /// The tree.
        tree: Bytes,
        /// The commit it is based on.
        base: Bytes,
        /// The branch.
        branch: String,
    },
}

/// A wait before an effect is asked for again.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Timer {
    /// When it was set, milliseconds since the epoch.
    pub since_ms: u64,
    /// When it is over, milliseconds since the epoch.
    pub due_ms: u64,
    /// The agent to spawn again.
    pub agent: String,
    /// The attempt that it will be.
    pub attempt: u64,
}

/// A finding that stands.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Standing {
    /// Its fingerprint.
    pub fingerprint: [u8; 16],
    /// How bad it is.
    pub severity: Severity,
    /// Who raised it.
    pub origin: Origin,
    /// The agent or check.
    pub agent: String,
    /// The phase it speaks of.
    pub phase: String,
    /// Whether a person took its risk.
    pub waived: bool,
}

/// A gate that waits.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Gate {
    /// Sequence of its `gate.opened`.
    pub sequence: u64,
    /// Its role.
    pub role: String,
    /// What is to be approved.
    pub artifact: Digest,
    /// When the default applies, milliseconds since the epoch.
    pub deadline_ms: u64,
    /// What happens then.
    pub default: GateOutcome,
}

/// An acceptance that stands.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Approval {
    /// Sequence of the `gate.decided`.
    pub decision: u64,
    /// Role of the gate.
    pub role: String,
    /// What was approved.
    pub artifact: Digest,
    /// The tree it speaks of.
    pub tree: Bytes,
}

/// A run that a person holds (PAUSE-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Hold {
    /// Sequence of the `run.paused`.
    pub since: u64,
    /// When it ends by itself, milliseconds since the epoch.
    pub deadline_ms: u64,
}

/// A person's note.
#[derive(Debug, Clone, PartialEq, Eq, Archive, Serialize, Deserialize)]
pub struct Note {
    /// The note (blob).
    pub digest: Digest,
    /// Whether a prompt contained it.
    pub read: bool,
}

impl State {
    /// Returns where the stream ends.
    pub fn head(&self) -> Head {
        Head { next: self.next, last: self.last }
    }

    /// Returns the round of a phase, from 1.
    pub fn round(&self, phase: &str) -> u64 {
        self.rounds.get(phase).copied().unwrap_or(1)
    }

    /// Returns the findings that block: blocking, standing, not waived.
    pub fn blockers(&self) -> impl Iterator<Item = (u64, &Standing)> {
        self.findings
            .iter()
            .filter(|(_, finding)| finding.severity == Severity::Blocking && !finding.waived)
            .map(|(sequence, finding)| (*sequence, finding))
    }

    /// Returns the sorted fingerprints of the blockers that speak of the work, not of the machinery.
    pub fn code_blockers(&self) -> Vec<[u8; 16]> {
        let mut prints: Vec<_> = self
            .blockers()
            .filter(|(_, finding)| finding.origin != Origin::Harness)
            .map(|(_, finding)| finding.fingerprint)
            .collect();
        prints.sort_unstable();
        prints.dedup();
        prints
    }

    /// Returns every deadline with the sequence whose time is up then.
    pub fn deadlines(&self) -> impl Iterator<Item = (u64, u64)> {
        let gate = self.gate.iter().map(|gate| (gate.deadline_ms, gate.sequence));
        let timers = self.timers.iter().map(|(subject, timer)| (timer.due_ms, *subject));
        // A merge has no deadline: it is looked for before it is done again.
        let pending = self
            .pending
            .iter()
            .filter(|(id, pending)| !matches!(pending.what, Asked::Merge { .. }) && !self.is_held(**id))
            .map(|(sequence, pending)| (pending.deadline_ms, *sequence));
        let hold = self.hold.iter().map(|hold| (hold.deadline_ms, hold.since));
        gate.chain(hold).chain(timers).chain(pending)
    }

    /// Whether an effect was asked for while the run is held, so that it was never begun (PAUSE-1).
    pub fn is_held(&self, effect: u64) -> bool {
        self.hold.is_some_and(|hold| effect > hold.since)
    }

    /// Whether something is under way, or a point in time is waited for that is no gate's.
    pub fn is_busy(&self) -> bool {
        self.pending.keys().any(|id| !self.is_held(*id)) || !self.timers.is_empty() && self.hold.is_none()
    }

    /// Whether the run waits for a person.
    pub fn is_parked(&self) -> bool {
        let is_waiting = self.gate.is_some() || self.hold.is_some();
        self.closed.is_none() && is_waiting && self.pending.keys().all(|id| self.is_held(*id))
    }

    /// Returns the name of the branch that an accepted run makes.
    pub fn branch(&self) -> String {
        alloc::format!("loom/{}-{}", self.opened.slug, crate::id::hex(&self.stream.0[..4]))
    }
}
