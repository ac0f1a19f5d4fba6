//! What a run came to: who asked what, what was found, checked, decided and refused, what it cost, what it made.
//!
//! Read from the run's events alone. It says what is on record and judges nothing.

use crate::error::CliError;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, EventId, StreamId};
use loom_core::kind::{CheckFinished, Event, FindingRaised, GateDecided, Refused, VerdictGiven};
use loom_core::state::State;
use loom_core::word::Verdict;
use loom_store::Store;
use std::collections::BTreeMap;

/// How many events are read at a time.
const BATCH: usize = 1024;

/// What a run came to.
#[derive(Default)]
pub(crate) struct Account {
    /// Its state after its last event.
    pub(crate) state: State,
    /// The task, where its text is still there.
    pub(crate) task: Option<String>,
    /// When it was opened, in milliseconds since the epoch.
    pub(crate) opened_ms: u64,
    /// How, why and when it ended.
    pub(crate) ended: Option<(Verdict, String, u64)>,
    /// What reviewers said last, by agent.
    pub(crate) reviews: BTreeMap<String, VerdictGiven>,
    /// What was found, by sequence, and what became of it.
    pub(crate) findings: BTreeMap<u64, (FindingRaised, Fate)>,
    /// How checks ended last, by name.
    pub(crate) checks: BTreeMap<String, CheckFinished>,
    /// What was decided at gates, by sequence, and how sure it is who decided.
    pub(crate) gates: BTreeMap<u64, (GateDecided, Option<&'static str>)>,
    /// What rules refused, by sequence.
    pub(crate) refused: BTreeMap<u64, Refused>,
    /// Executions of agents that were asked for.
    pub(crate) spawns: u64,
    /// The commit that it made.
    pub(crate) commit: Option<Vec<u8>>,
    /// The event that asked for that commit, which its trailers name.
    pub(crate) head: Option<EventId>,
}

/// What became of a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stands.
    Open,
    /// It no longer stands, and how.
    Resolved(&'static str),
    /// A person took its risk.
    Waived(String),
}

impl Account {
    /// Reads what a run came to.
    pub(crate) fn read(store: &dyn Store, stream: StreamId) -> Result<Self, CliError> {
        let mut account = Account::default();
        let mut next = 0;
        let mut assurance = None;
        loop {
            let events = store.read(stream, next, BATCH)?;
            if events.is_empty() {
                return Ok(account);
            }
            next += events.len() as u64;
            for stored in events {
                let envelope = Envelope::decode(&stored.event.bytes)
                    .map_err(|source| CliError::Event { position: stored.position, source })?;
                loom_core::fold(&mut account.state, &envelope);
                account.state.last = stored.event.id;
                if envelope.input == envelope.sequence {
                    assurance = match &envelope.actor {
                        Actor::Person { assurance, .. } => Some(assurance.word()),
                        Actor::Kernel | Actor::Host => None,
                    };
                }
                if let Event::RunOpened(opened) = &envelope.body {
                    account.opened_ms = envelope.stamp.ms;
                    let bytes = store.blob(&opened.task)?;
                    let task = bytes.as_deref().and_then(Blob::content);
                    account.task = task.map(|task| String::from_utf8_lossy(task).into_owned());
                }
                account.take(envelope, stored.event.id, assurance);
            }
        }
    }

    fn take(&mut self, envelope: Envelope, id: EventId, assurance: Option<&'static str>) {
        let Envelope { sequence, stamp, body, .. } = envelope;
        match body {
            Event::VerdictGiven(body) => drop(self.reviews.insert(body.agent.clone(), body)),
            Event::FindingRaised(body) => drop(self.findings.insert(sequence, (body, Fate::Open))),
            Event::FindingResolved(body) => self.settle(body.finding, Fate::Resolved(body.how.word())),
            Event::FindingWaived(body) => self.settle(body.finding, Fate::Waived(body.person)),
            Event::CheckFinished(body) => drop(self.checks.insert(body.check.clone(), body)),
            Event::GateDecided(body) => drop(self.gates.insert(sequence, (body, assurance))),
            Event::Refused(body) => drop(self.refused.insert(sequence, body)),
            Event::SpawnRequested(_) => self.spawns += 1,
            Event::MergeIntended(_) => self.head = Some(id),
            Event::MergeFinished(body) => self.commit = body.commit.or(self.commit.take()),
            Event::RunClosed(body) => self.ended = Some((body.verdict, body.reason, stamp.ms)),
            _ => {}
        }
    }

    fn settle(&mut self, finding: u64, fate: Fate) {
        if let Some((_, found)) = self.findings.get_mut(&finding) {
            *found = fate;
        }
    }

    /// Says in a word where the run stands.
    pub(crate) fn word(&self) -> &'static str {
        match (&self.ended, &self.state.gate) {
            (Some((verdict, ..)), _) => verdict.word(),
            (None, Some(_)) => "waiting",
            (None, None) => "running",
        }
    }
}
