//! What other threads may ask of the process that drives: to open a run, to take a request, to show what is done now.
//!
//! Whatever they ask goes through the drive loop's inbox; what takes time, such as a workspace to be made, is done in
//! the thread that asks.

use crate::armed::{ArmError, Arming, armed_texts, put};
use crate::error::HostError;
use crate::keys::{self, KeysError};
use crate::live::Board;
use crate::local::LocalExecutor;
use crate::order::{Message, Outbox};
use crate::orders::Orders;
use crate::redactions::{self, RedactError};
use crate::request::{Answered, Ground, Opening, Request};
use crate::session::Wishes;
use crate::world::{Machine, World};
use loom_bundles::{LoadedBundle, Source, discover, load};
use loom_core::answer::CheckCommand;
use loom_core::id::{Actor, Digest, StreamId};
use loom_core::kind::KeyAdded;
use loom_core::state::Amount;
use loom_store::Store;
use loom_tools::{Choosing, Project};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::channel;

/// Returns the bundle of a name that this Loom brings along.
///
/// # Errors
/// A sentence that says what is wrong with the name.
pub fn bundle(name: &str) -> Result<Arc<LoadedBundle>, String> {
    let source = Source::builtin(name).map_err(|error| error.to_string())?;
    load(&source).map(Arc::new).map_err(|error| error.to_string())
}

/// Who was named to think when a driver was started. What is not named is as its settings say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The provider of every agent.
    pub provider: Option<String>,
    /// The model of every tier.
    pub model: Option<String>,
    /// The digest of a model script.
    pub script: Option<Digest>,
}

/// How a process drives: whoever joins it gets this and nothing else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manner {
    /// The process.
    pub process: u32,
    /// The fence that agents and checks run in, or `none`.
    pub fence: String,
    /// Why it is no better one; absent where there is none, or where it was asked for.
    pub why: Option<String>,
    /// Who was named to think.
    pub named: Named,
}

/// A way to the process that drives. Clones are the same.
#[derive(Clone)]
pub struct Driver {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) executor: Arc<LocalExecutor>,
    pub(crate) project: Arc<Project>,
    pub(crate) origin: [u8; 16],
    pub(crate) outbox: Outbox,
    pub(crate) fence: Arc<Choosing>,
    pub(crate) named: Named,
}

impl Driver {
    /// Returns the board that the spawns of this driver write on.
    pub fn board(&self) -> Board {
        self.executor.board()
    }

    /// Returns the same way, which says that these were named to think.
    pub fn thinking(self, named: Named) -> Self {
        Driver { named, ..self }
    }

    /// Returns how it drives, once its fence is chosen.
    pub fn manner(&self) -> Manner {
        let choice = self.fence.choice();
        let (fence, why) = (choice.fence.name().to_string(), choice.why.clone());
        Manner { process: std::process::id(), fence, why, named: self.named.clone() }
    }

    /// Puts a request to a run and waits until it is on record; `None` where the driver ends before it can say.
    pub fn request(&self, request: Request) -> Option<Answered> {
        let (reply, answer) = channel();
        self.outbox.send(Message::Request(request, reply)).ok()?;
        answer.recv().ok()
    }

    /// Puts a request about armed rule sets on record, and returns its sequence in the store's stream, and whether
    /// it was on record before.
    ///
    /// # Errors
    /// [`ArmError`].
    pub fn arm(&self, request: &[u8], actor: &Actor, asked: &Arming) -> Result<(u64, bool), ArmError> {
        put(self.store.as_ref(), request, actor, asked)
    }

    /// Puts a key that the store signs with on record (KEYS-1).
    ///
    /// # Errors
    /// [`KeysError`].
    pub fn add_key(&self, added: KeyAdded) -> Result<(), KeysError> {
        keys::put(self.store.as_ref(), added, Machine.now_ms())
    }

    /// Has blobs erased, and returns the request's sequence in the store's stream, and whether it was on record before.
    ///
    /// # Errors
    /// [`RedactError`].
    pub fn redact(
        &self,
        request: &[u8],
        actor: &Actor,
        blobs: &BTreeSet<Digest>,
        why: &str,
    ) -> Result<(u64, bool), RedactError> {
        redactions::put(self.store.as_ref(), &self.executor.redactor(), request, actor, blobs, why)
    }

    /// Opens a run on the project's present commit and waits until it is on record; `None` where the driver ends before
    /// it can say. Asked again, the run is the one on record, wherever the project stands by then.
    pub fn open(
        &self,
        request: Vec<u8>,
        actor: Actor,
        task: &str,
        bundle: Arc<LoadedBundle>,
        wishes: Wishes,
    ) -> Option<Answered> {
        let opening = match self.opening(request, actor, task, bundle, wishes) {
            Ok(opening) => opening,
            Err(error) => return Some(Answered::Not(error)),
        };
        let stream = StreamId::of_run(&self.origin, &opening.id);
        let (reply, answer) = channel();
        self.outbox.send(Message::Open(Box::new(opening), reply)).ok()?;
        let answered = answer.recv().ok()?;
        if matches!(answered, Answered::Not(_)) {
            self.discard(stream);
        }
        Some(answered)
    }

    /// Makes what opens a run; its workspace is made by then.
    pub(crate) fn opening(
        &self,
        request: Vec<u8>,
        actor: Actor,
        task: &str,
        bundle: Arc<LoadedBundle>,
        wishes: Wishes,
    ) -> Result<Opening, HostError> {
        // Before a workspace is made, which somebody would have to remove.
        let mut policies = wishes.policies;
        for (role, policy) in wishes.policy.map(|name| bundle.policies(&name)).transpose()?.into_iter().flatten() {
            if policies.iter().all(|(given, _)| *given != role) {
                policies.push((role, policy));
            }
        }
        let stream = StreamId::of_run(&self.origin, &request);
        let ground = match Orders::new(self.store.clone()).ground(stream)? {
            Some(ground) => ground,
            None => self.present_ground(stream).inspect_err(|_| self.executor.discard(stream))?,
        };
        // What is armed already or comes with the bundle is not said twice.
        let mut rules = armed_texts(self.store.as_ref(), stream)?;
        rules.extend(wishes.rules.into_iter().filter(|text| !rules.contains(text)).collect::<Vec<_>>());
        rules.retain(|text| !bundle.rule_texts.contains(text));
        let limits = &bundle.bundle.limits;
        let caps = wishes.caps.unwrap_or(Amount {
            spawns: limits.spawns,
            tokens: limits.tokens,
            money_micro: limits.money_micro,
            time_ms: limits.time_ms,
        });
        Ok(Opening {
            id: request,
            owner: actor.id().to_string(),
            actor,
            task: task.to_string(),
            bundle,
            rules,
            base_commit: ground.base_commit,
            base_tree: ground.base_tree,
            flow: wishes.flow,
            policies,
            checks: ground.checks,
            checks_waived: ground.checks_waived,
            caps,
        })
    }

    /// Removes the workspace of a run that could not be opened, unless it is on record all the same.
    pub(crate) fn discard(&self, stream: StreamId) {
        if self.store.head(stream).is_ok_and(|head| head.next == 0) {
            self.executor.discard(stream);
        }
    }

    /// Returns where a run that is opened now starts from. Checks are found in its base commit, never in what an agent
    /// could have written.
    fn present_ground(&self, stream: StreamId) -> Result<Ground, HostError> {
        // The project's head may have moved since the session was opened.
        let head = self.project.present_head()?;
        let work = self.executor.prepare(stream, head.commit)?;
        let file = |name: &str| {
            let path = work.join(name);
            let is_file = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
            is_file.then(|| std::fs::read(&path).ok()).flatten()
        };
        let checks = discover(&file).map_err(|errors| {
            HostError::Checks(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
        })?;
        Ok(Ground {
            base_commit: head.commit.as_bytes().to_vec(),
            base_tree: head.tree.as_bytes().to_vec(),
            checks: checks
                .found
                .into_iter()
                .map(|found| CheckCommand { check: found.name, argv: found.argv })
                .collect(),
            checks_waived: checks.waived,
        })
    }
}
