//! What people ask of a run, before it is an event.
//!
//! Request ids are unique per stream for ever: the same id with the same content gets the first answer again,
//! with other content it is refused (LEDGER-1).

use crate::error::HostError;
use crate::keys::Signed;
use loom_bundles::LoadedBundle;
use loom_core::answer::CheckCommand;
use loom_core::commit::Blob;
use loom_core::id::{Actor, Digest, StreamId};
use loom_core::kind::*;
use loom_core::state::Amount;
use loom_core::word::{Answer, Recovery};
use std::sync::Arc;

/// A request to a run.
#[derive(Debug, Clone)]
pub struct Request {
    /// The run.
    pub stream: StreamId,
    /// Its id, unique in the stream for ever.
    pub id: Vec<u8>,
    /// Who asks, as the channel knows them.
    pub actor: Actor,
    /// What is asked.
    pub ask: Ask,
}

/// What is asked of a run.
#[derive(Debug, Clone)]
pub enum Ask {
    /// Decide a gate.
    Answer {
        /// Sequence of the gate.
        gate: u64,
        /// The answer.
        answer: Answer,
        /// What is said with it.
        note: Option<String>,
        /// Digest of what was shown.
        artifact: Option<Digest>,
        /// A person's signature over all of it but the note (SIGNED-1).
        signed: Option<Box<Signed>>,
    },
    /// A note for the next prompts.
    Steer {
        /// The note.
        note: String,
    },
    /// A way out.
    Recover {
        /// Which.
        choice: Recovery,
        /// The spawns, for `retry-failed`.
        spawns: Vec<u64>,
    },
    /// Take the risk of a finding.
    AcceptRisk {
        /// Sequence of the finding.
        finding: u64,
        /// Why.
        reason: String,
    },
    /// Judge the rest of the run by one more rule set.
    AddRules {
        /// Its text.
        text: String,
    },
    /// Hold the run: nothing new begins.
    Pause,
    /// Let a held run go on.
    Resume,
    /// End the run.
    Cancel {
        /// Why.
        reason: Option<String>,
    },
}

/// A request to open a run.
#[derive(Debug, Clone)]
pub struct Opening {
    /// Its id; the run's stream derives from it.
    pub id: Vec<u8>,
    /// Who asks.
    pub actor: Actor,
    /// The task.
    pub task: String,
    /// The bundle.
    pub bundle: Arc<LoadedBundle>,
    /// Texts of rule sets beside the bundle's own.
    pub rules: Vec<String>,
    /// The project's commit.
    pub base_commit: Vec<u8>,
    /// Its tree.
    pub base_tree: Vec<u8>,
    /// The flow, where it is pinned.
    pub flow: Option<String>,
    /// Policies by gate role.
    pub policies: Vec<(String, String)>,
    /// Commands of the checks that were found.
    pub checks: Vec<CheckCommand>,
    /// Checks declared not applicable.
    pub checks_waived: Vec<String>,
    /// Caps.
    pub caps: Amount,
    /// Who owns the waits.
    pub owner: String,
}

/// Where a run starts from: what its opening takes from the project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ground {
    /// The commit.
    pub base_commit: Vec<u8>,
    /// Its tree.
    pub base_tree: Vec<u8>,
    /// Commands of the checks that were found.
    pub checks: Vec<CheckCommand>,
    /// Checks declared not applicable.
    pub checks_waived: Vec<String>,
}

/// The answer to a request: what is on record now.
#[derive(Debug)]
pub enum Answered {
    /// It is on record.
    Recorded {
        /// The run.
        stream: StreamId,
        /// Sequence of the request's event.
        sequence: u64,
        /// Whether it was on record before.
        again: bool,
    },
    /// It is not, and why.
    Not(HostError),
}

/// Longest task, in bytes.
pub const TASK_BYTES_MAX: usize = 1024 * 1024;
/// Longest note or reason, in bytes.
pub const NOTE_BYTES_MAX: usize = 64 * 1024;

impl Ask {
    /// Returns the event and its blobs; salts are asked for in the order of the blobs.
    pub fn event(&self, id: &[u8], mut salt: impl FnMut() -> [u8; 16]) -> (Event, Vec<Blob>) {
        let mut blobs = Vec::new();
        let mut salted = |text: &str| {
            let blob = Blob::salted(salt(), text.as_bytes());
            let digest = blob.digest;
            blobs.push(blob);
            digest
        };
        let request = id.to_vec();
        let event: Event = match self {
            Ask::Answer { gate, answer, note, artifact, signed } => GateAnswered {
                request,
                gate: *gate,
                answer: *answer,
                note: note.as_deref().map(salted),
                artifact: *artifact,
                signature: signed.as_ref().map(|signed| signed.signature),
                signer: signed.as_ref().map(|signed| signed.signer),
            }
            .into(),
            Ask::Steer { note } => RunSteered { request, note: salted(note) }.into(),
            Ask::Recover { choice, spawns } => {
                RecoveryRequested { request, choice: *choice, spawns: spawns.clone().into() }.into()
            }
            Ask::AcceptRisk { finding, reason } => {
                RiskAccepted { request, finding: *finding, reason: salted(reason) }.into()
            }
            Ask::AddRules { text } => {
                let blob = Blob::plain(text.as_bytes());
                let rules = blob.digest;
                blobs.push(blob);
                RulesAdded { request, rules }.into()
            }
            Ask::Pause => RunPaused { request }.into(),
            Ask::Resume => RunResumed { request }.into(),
            Ask::Cancel { reason } => RunCancelled { request, reason: reason.as_deref().map(salted) }.into(),
        };
        (event, blobs)
    }

    /// Checks the texts of it.
    ///
    /// # Errors
    /// [`HostError::TooLong`], and [`HostError::TextUnusable`] for one that says nothing where it must.
    pub fn check(&self) -> Result<(), HostError> {
        let (name, length) = match self {
            Ask::Answer { note, .. } => ("note", note.as_ref().map_or(0, String::len)),
            Ask::Steer { note } => ("note", note.len()),
            Ask::AcceptRisk { reason, .. } => ("reason", reason.len()),
            Ask::Cancel { reason } => ("reason", reason.as_ref().map_or(0, String::len)),
            Ask::AddRules { text } => ("rule set", text.len() / 16),
            Ask::Recover { .. } | Ask::Pause | Ask::Resume => ("", 0),
        };
        if length > NOTE_BYTES_MAX {
            return Err(HostError::TooLong { name, length });
        }
        match self {
            Ask::Steer { note } if is_unusable(note) => {
                Err(HostError::TextUnusable { name, repair: "say what the next prompts are to have" })
            }
            Ask::AcceptRisk { reason, .. } if is_unusable(reason) => {
                Err(HostError::TextUnusable { name, repair: "say why it may stand" })
            }
            _ => Ok(()),
        }
    }
}

/// Checks a task, before anything is made for it.
///
/// # Errors
/// [`HostError::TooLong`] and [`HostError::TextUnusable`].
pub fn check_task(task: &str) -> Result<(), HostError> {
    if task.len() > TASK_BYTES_MAX {
        return Err(HostError::TooLong { name: "task", length: task.len() });
    }
    if is_unusable(task) {
        return Err(HostError::TextUnusable { name: "task", repair: "say what is to be done" });
    }
    Ok(())
}

fn is_unusable(text: &str) -> bool {
    text.trim().is_empty() || text.contains('\0')
}

impl Opening {
    /// Returns the event and its blobs; salts are asked for in the order of the blobs.
    pub fn event(&self, mut salt: impl FnMut() -> [u8; 16]) -> (Event, Vec<Blob>) {
        let task = Blob::salted(salt(), self.task.as_bytes());
        let checks = (!self.checks.is_empty()).then(|| Blob::plain(&loom_core::answer::encode_checks(&self.checks)));
        let rules: Vec<Blob> = self.rule_blobs();
        let event = RunOpened {
            request: self.id.clone(),
            task: task.digest,
            slug: slug(&self.task),
            bundle: Blob::plain(&self.bundle.bytes).digest,
            bundle_name: format!("{} {}", self.bundle.bundle.name, self.bundle.bundle.version),
            rules: rules.iter().map(|blob| blob.digest).collect(),
            base_commit: self.base_commit.clone(),
            base_tree: self.base_tree.clone(),
            flow: self.flow.clone(),
            gate_roles: self.policies.iter().map(|(role, _)| role.clone()).collect(),
            gate_policies: self.policies.iter().map(|(_, policy)| policy.clone()).collect(),
            checks_found: self.checks.iter().map(|check| check.check.clone()).collect(),
            checks_waived: self.checks_waived.iter().cloned().collect(),
            cap_spawns: self.caps.spawns,
            cap_tokens: self.caps.tokens,
            cap_money_micro: self.caps.money_micro,
            cap_time_ms: self.caps.time_ms,
            owner: self.owner.clone(),
            loom: env!("CARGO_PKG_VERSION").to_string(),
            checks: checks.as_ref().map(|blob| blob.digest),
        };
        let mut blobs = vec![task];
        blobs.extend(checks);
        blobs.extend(self.bundle.blobs.iter().cloned());
        blobs.extend(rules);
        blobs.sort_by_key(|blob| blob.digest);
        blobs.dedup_by_key(|blob| blob.digest);
        (event.into(), blobs)
    }

    /// Returns the blobs of all rule sets: the bundle's, then those beside it.
    pub fn rule_blobs(&self) -> Vec<Blob> {
        self.bundle.rule_texts.iter().chain(&self.rules).map(|text| Blob::plain(text.as_bytes())).collect()
    }
}

/// Returns what a branch is called after: the task's first words as `[a-z0-9-]`, at most 40 bytes.
pub fn slug(task: &str) -> String {
    let mut slug = String::new();
    for letter in task.chars().take(400) {
        if letter.is_ascii_alphanumeric() {
            slug.push(letter.to_ascii_lowercase());
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
        if slug.len() >= 40 {
            break;
        }
    }
    let slug = slug.trim_matches('-').to_string();
    if slug.is_empty() { "task".to_string() } else { slug }
}
