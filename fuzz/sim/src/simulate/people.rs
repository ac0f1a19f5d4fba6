//! People: they open runs, answer gates well and badly, change their minds, ask twice, and reuse request ids.
//!
//! What they were told is kept: whatever was acknowledged must be on record at the end.

use super::chance::Chance;
use super::point::Points;
use loom_bundles::LoadedBundle;
use loom_core::answer::CheckCommand;
use loom_core::id::{Actor, Assurance, Digest, StreamId};
use loom_core::run::Run;
use loom_core::state::Amount;
use loom_core::word::{Answer, Recovery};
use loom_host::error::HostError;
use loom_host::order::Message;
use loom_host::request::{Answered, Ask, Opening, Request};
use loom_store::Store;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// Most runs of one simulation.
const RUNS_MAX: usize = 3;
/// A rule set that people add to runs under way.
const MORE_RULES: &str = include_str!("../more.rules");

pub(crate) struct People {
    chance: Chance,
    bundle: Arc<LoadedBundle>,
    asked: Vec<Asked>,
    pub(crate) streams: Vec<StreamId>,
    waiting: Vec<(usize, Receiver<Answered>)>,
    /// What was acknowledged, by stream and request id.
    told: BTreeMap<(StreamId, Vec<u8>), Told>,
    pub(crate) counts: Counts,
}

/// How often what was asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) requests: u64,
    pub(crate) again: u64,
    pub(crate) reused: u64,
}

/// What was said about a request.
#[derive(Debug, Clone, Copy)]
struct Told {
    sequence: u64,
    /// Whether it was what a reused request id says instead.
    other: bool,
    /// Whether somebody was told that it was new.
    new: bool,
}

#[derive(Clone)]
enum Asked {
    Opening(Box<Opening>),
    Request(Request),
}

impl Asked {
    fn id(&self) -> &[u8] {
        match self {
            Asked::Opening(opening) => &opening.id,
            Asked::Request(request) => &request.id,
        }
    }

    /// Whether it says what a reused request id says instead.
    fn says_other(&self) -> bool {
        match self {
            Asked::Opening(opening) => opening.task == OTHER,
            Asked::Request(request) => matches!(&request.ask, Ask::Steer { note } if note == OTHER),
        }
    }

    /// Whether it is told from the first content of its id by what is on record.
    fn is_other(&self) -> bool {
        match self {
            // What a spawn's descendant asked is not on record, only that it was refused: its contents are all one.
            Asked::Request(Request { actor: Actor::Person { descends: Some(_), .. }, .. }) => false,
            Asked::Opening(_) | Asked::Request(_) => self.says_other(),
        }
    }
}

fn person(descends: Option<u64>) -> Actor {
    Actor::Person { id: "uid:1000".to_string(), assurance: Assurance::Asserted, descends }
}

impl People {
    pub(crate) fn new(bundle: Arc<LoadedBundle>, chance: Chance) -> Self {
        People {
            chance,
            bundle,
            asked: Vec::new(),
            streams: Vec::new(),
            waiting: Vec::new(),
            told: BTreeMap::new(),
            counts: Counts::default(),
        }
    }

    /// Returns what people ask now.
    pub(crate) fn ask(&mut self, run: impl Fn(StreamId) -> Option<Run>) -> Vec<Message> {
        let mut messages = Vec::new();
        if self.streams.is_empty() || (self.streams.len() < RUNS_MAX && self.chance.happens(60)) {
            let opening = self.opening();
            messages.extend(self.send(Asked::Opening(Box::new(opening))));
        }
        let waits = self.streams.iter().any(|stream| run(*stream).is_some_and(|run| run.state.gate.is_some()));
        while self.chance.happens(if waits { 450 } else { 60 }) {
            let Some(stream) = self.chance.one(&self.streams).copied() else { break };
            let ask = match run(stream) {
                Some(run) => self.wish(&run),
                // It has ended, or nothing of it is on record: whatever is asked comes too late.
                None => Ask::Steer { note: "too late".to_string() },
            };
            let descends = self.chance.happens(40).then_some(1);
            let id = self.chance.bytes::<8>().to_vec();
            messages.extend(self.send(Asked::Request(Request { stream, id, actor: person(descends), ask })));
        }
        if self.chance.happens(60)
            && let Some(before) = self.chance.one(&self.asked).cloned()
        {
            let asked = if self.chance.happens(300) { changed(before) } else { before };
            messages.extend(self.send(asked));
        }
        messages
    }

    fn send(&mut self, asked: Asked) -> Vec<Message> {
        let mut messages = Vec::new();
        // Somebody presses the button twice: the same request in the same turn.
        let times = if self.chance.happens(40) { 2 } else { 1 };
        self.asked.push(asked);
        let index = self.asked.len() - 1;
        for _ in 0..times {
            self.counts.requests += 1;
            let (reply, answer) = channel();
            self.waiting.push((index, answer));
            messages.push(match self.asked[index].clone() {
                Asked::Opening(opening) => Message::Open(opening, reply),
                Asked::Request(request) => Message::Request(request, reply),
            });
        }
        messages
    }

    /// Hears the answers to what was asked in the last turn; an error is what is wrong with them. Before each answer
    /// the process may die, and then it and those after it are lost: returns whether that happened.
    pub(crate) fn hear(&mut self, died: bool, points: &Points) -> Result<bool, String> {
        let mut dies = false;
        for (index, answer) in std::mem::take(&mut self.waiting) {
            dies |= !died && !dies && points.is_last();
            if dies {
                continue;
            }
            let asked = self.asked[index].clone();
            match answer.try_recv() {
                Ok(Answered::Recorded { stream, sequence, again }) => {
                    self.recorded(&asked, stream, sequence, again)?;
                }
                Ok(Answered::Not(error)) => self.refused(&asked, &error)?,
                Err(TryRecvError::Disconnected) if died => {}
                Err(TryRecvError::Disconnected | TryRecvError::Empty) => {
                    return Err("a request was neither answered nor refused".to_string());
                }
            }
        }
        Ok(dies)
    }

    fn recorded(&mut self, asked: &Asked, stream: StreamId, sequence: u64, again: bool) -> Result<(), String> {
        if matches!(asked, Asked::Opening(_)) && !self.streams.contains(&stream) {
            self.streams.push(stream);
        }
        self.counts.again += u64::from(again);
        let (other, new) = (asked.is_other(), !again);
        let told = Told { sequence, other, new };
        let key = (stream, asked.id().to_vec());
        let first = self.told.get(&key).copied().unwrap_or(Told { new: false, ..told });
        self.told.insert(key, Told { new: first.new || new, ..first });
        if first.other != other {
            return Err(format!(
                "a request id was taken for two contents, at {} and {sequence} (LEDGER-1)",
                first.sequence
            ));
        }
        // Two that were sent at once are answered in either order, but only one of them was new.
        if first.sequence != sequence || new && first.new {
            return Err(format!(
                "the first answer was {}, the next {sequence}, again {again} (LEDGER-1)",
                first.sequence
            ));
        }
        Ok(())
    }

    fn refused(&mut self, asked: &Asked, error: &HostError) -> Result<(), String> {
        match error {
            HostError::Append(_) | HostError::Declined(_) | HostError::RunUnknown => Ok(()),
            // Another content may have been recorded under this id, also one whose answer was lost.
            HostError::RequestReused { .. } if self.is_ambiguous(asked.id()) => {
                self.counts.reused += 1;
                Ok(())
            }
            error => Err(format!("a request was refused for no reason: {error}")),
        }
    }

    /// Whether two contents were asked for under this id.
    fn is_ambiguous(&self, id: &[u8]) -> bool {
        self.asked.iter().any(|asked| asked.id() == id && asked.says_other())
    }

    /// Whatever was acknowledged is on record, under its id and at its place.
    pub(crate) fn check(&self, store: &dyn Store) -> Result<(), String> {
        for ((stream, id), told) in &self.told {
            let found = store.request(*stream, id).map_err(|error| error.to_string())?;
            if found.is_none_or(|found| found.sequence != told.sequence) {
                return Err(format!("event {} of run {stream:?} was acknowledged and is not on record", told.sequence));
            }
        }
        Ok(())
    }

    fn opening(&mut self) -> Opening {
        let chance = &mut self.chance;
        let limits = &self.bundle.bundle.limits;
        let mut policies = Vec::new();
        for (role, often) in [("plan", 400), ("final", 700)] {
            if chance.happens(often) {
                let policy = chance.one(&["human", "on-blockers", "auto"]).copied().unwrap_or("human");
                policies.push((role.to_string(), policy.to_string()));
            }
        }
        let flows: Vec<String> = self.bundle.bundle.flows.keys().cloned().collect();
        let mut caps = Amount {
            spawns: limits.spawns,
            tokens: limits.tokens,
            money_micro: limits.money_micro,
            time_ms: limits.time_ms,
        };
        if chance.happens(300) {
            caps.spawns = 1 + chance.below(8);
        }
        if chance.happens(100) {
            caps.tokens = 1 + chance.below(1_000_000);
        }
        let checks = ["lint", "test", "type-check"]
            .into_iter()
            .filter(|_| chance.happens(700))
            .map(|check| CheckCommand { check: check.to_string(), argv: vec!["true".to_string()] })
            .collect();
        Opening {
            id: chance.bytes::<8>().to_vec(),
            actor: person(None),
            task: "Do the same as everybody".to_string(),
            bundle: self.bundle.clone(),
            rules: Vec::new(),
            base_commit: vec![0xc0; 20],
            base_tree: vec![0x7e; 20],
            flow: chance.happens(800).then(|| chance.one(&flows).cloned()).flatten(),
            policies,
            checks,
            checks_waived: if chance.happens(200) { vec!["lint".to_string()] } else { Vec::new() },
            caps,
            owner: "uid:1000".to_string(),
        }
    }

    fn wish(&mut self, run: &Run) -> Ask {
        let chance = &mut self.chance;
        let state = &run.state;
        let note = chance.happens(200).then(|| "mind the gap".to_string());
        if let Some(gate) = &state.gate
            && chance.happens(750)
        {
            let answers =
                [Answer::Accept, Answer::Accept, Answer::Accept, Answer::Revise, Answer::Revise, Answer::Reject];
            let answer = chance.one(&answers).copied().unwrap_or(Answer::Abandon);
            let (sequence, artifact) = match chance.below(12) {
                0 => (gate.sequence.saturating_sub(1 + chance.below(5)), None),
                1 => (gate.sequence, Some(Digest(chance.bytes()))),
                2 => (gate.sequence + 1 + chance.below(5), None),
                3..8 => (gate.sequence, Some(gate.artifact)),
                _ => (gate.sequence, None),
            };
            return Ask::Answer { gate: sequence, answer, note, artifact, signed: None };
        }
        let findings: Vec<u64> = state.findings.keys().copied().collect();
        if state.hold.is_some() && chance.happens(300) {
            return Ask::Resume;
        }
        match chance.below(22) {
            0..6 => {
                Ask::AcceptRisk { finding: chance.one(&findings).copied().unwrap_or(3), reason: "I know".to_string() }
            }
            6..10 => Ask::Steer { note: "be brief".to_string() },
            10 => Ask::Answer {
                gate: chance.below(state.next),
                answer: Answer::Accept,
                note,
                artifact: None,
                signed: None,
            },
            11 => Ask::AddRules { text: MORE_RULES.to_string() },
            20 => Ask::Pause,
            21 => Ask::Resume,
            12 => Ask::Cancel { reason: note },
            13 => Ask::Recover { choice: Recovery::Abandon, spawns: Vec::new() },
            14 => Ask::AddRules { text: "these are no rules".to_string() },
            _ => {
                let choices = [Recovery::Retry, Recovery::RetryFailed, Recovery::RetryFailed, Recovery::CancelPending];
                let choice = chance.one(&choices).copied().unwrap_or(Recovery::Retry);
                let pending: Vec<u64> = state.pending.keys().copied().collect();
                let spawns = match choice {
                    Recovery::RetryFailed => chance.one(&pending).copied().into_iter().collect(),
                    Recovery::Abandon | Recovery::ForceClose | Recovery::Retry | Recovery::CancelPending => Vec::new(),
                };
                Ask::Recover { choice, spawns }
            }
        }
    }
}

/// What a reused request id says instead.
const OTHER: &str = "another content under the same id";

fn changed(asked: Asked) -> Asked {
    match asked {
        Asked::Opening(mut opening) => {
            opening.task = OTHER.to_string();
            Asked::Opening(opening)
        }
        Asked::Request(mut request) => {
            request.ask = Ask::Steer { note: OTHER.to_string() };
            Asked::Request(request)
        }
    }
}
