//! The one thing that is changed, and where it can be.

use super::WhatIfError;
use crate::error::ReplayError;
use crate::records::Records;
use crate::refold::refold;
use crate::whole::Whole;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Assurance, Digest};
use loom_core::kind::{Event, GateAnswered, RulesAdded, RunOpened};
use loom_core::process::{Bundle, Policy};
use loom_core::rules::RuleSet;
use loom_core::state::State;
use loom_core::word::{Answer, CheckOutcome, MergeOutcome, SpawnOutcome};
use std::fmt;

/// Who asks for what was put in, and what its request is called.
const NAME: &str = "what-if";

/// What is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Another rule set judges: in place of that of its name, or beside the others. Its text.
    Rules(String),
    /// The bundle and its rule sets are these, where the run is opened (REDRIVE-4).
    Bundle {
        /// Its name and version, as `run.opened` has them.
        title: String,
        /// Its canonical bytes.
        bytes: Vec<u8>,
        /// The texts of its rule sets, in order.
        rules: Vec<String>,
    },
    /// A gate role has this policy.
    Policy {
        /// The role.
        role: String,
        /// The policy.
        policy: Policy,
    },
    /// A gate is answered so.
    Answer(Answer),
    /// A spawn, check or merge ended so: a word of its vocabulary.
    Outcome(String),
    /// A cap of the run.
    Cap {
        /// Which.
        of: Cap,
        /// How much.
        value: u64,
    },
}

/// What is capped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cap {
    /// Spawns.
    Spawns,
    /// Tokens, in and out together.
    Tokens,
    /// Money, in micro-units.
    Money,
    /// Time of spawns and checks together, in milliseconds.
    Time,
}

impl Cap {
    /// Every cap.
    pub const ALL: [Cap; 4] = [Cap::Spawns, Cap::Tokens, Cap::Money, Cap::Time];

    /// Returns its name on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Cap::Spawns => "spawns",
            Cap::Tokens => "tokens",
            Cap::Money => "money",
            Cap::Time => "time",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Change::Rules(text) => match RuleSet::load(text) {
                Ok(set) => write!(f, "--rules (set {})", set.name()),
                Err(_) => f.write_str("--rules"),
            },
            Change::Bundle { title, .. } => write!(f, "--bundle ({title})"),
            Change::Policy { role, policy } => write!(f, "--policy {role}={}", policy.word()),
            Change::Answer(answer) => write!(f, "--answer {}", answer.word()),
            Change::Outcome(word) => write!(f, "--outcome {word}"),
            Change::Cap { of, value } => write!(f, "--cap {}={value}", of.word()),
        }
    }
}

/// What is given to core at the place of the change.
pub(super) struct Planned {
    /// Events before this sequence are as they are on record.
    pub(super) from: u64,
    /// The changed or added input.
    pub(super) input: Envelope,
    /// What it names and is not on record: a rule set's text, a bundle with the texts of its sets.
    pub(super) extra: Vec<Blob>,
    /// Whether it stands in place of the recorded input at `from`, which is not given then.
    pub(super) is_instead: bool,
}

/// Finds out what is given to core instead of, or before, the event at `at`.
pub(super) fn plan(records: &dyn Records, whole: &Whole, at: u64, change: &Change) -> Result<Planned, WhatIfError> {
    if at > whole.len() {
        return Err(WhatIfError::NoEvent { at, len: whole.len() });
    }
    let found = whole.at(at);
    let kind = found.map_or("the end", |found| found.body.schema().name);
    let not_here = |why: String| WhatIfError::NotHere { change: change.to_string(), at, kind, why };
    if let Some(input) = found.map(|found| found.input).filter(|input| *input != at) {
        return Err(not_here(format!("{}; it follows from the input at {input}: --at {input}", asked(whole, at))));
    }
    let instead = |input: Envelope, extra| Planned { from: at, input, extra, is_instead: true };
    let before = |body: Event, extra| {
        let stamp = found.or(whole.envelopes().last()).map(|event| event.stamp).unwrap_or_default();
        let actor = Actor::Person { id: NAME.to_string(), assurance: Assurance::Asserted, descends: None };
        let input = Envelope {
            stream: whole.stream(),
            sequence: at,
            previous: Digest::default(),
            stamp,
            actor,
            input: at,
            count: Some(1),
            body,
        };
        Planned { from: at, input, extra, is_instead: false }
    };
    let at_opening = || not_here("it is set where a run is opened: --at 0".to_string());
    match (change, found.map(|found| (found, &found.body))) {
        (Change::Policy { .. } | Change::Cap { .. }, Some((input, Event::RunOpened(opened)))) => {
            let mut opened = opened.clone();
            reopen(records, &mut opened, change).map_err(|error| error.told(&not_here))?;
            Ok(instead(Envelope { body: opened.into(), ..input.clone() }, Vec::new()))
        }
        (Change::Bundle { title, bytes, rules }, Some((input, Event::RunOpened(opened)))) => {
            let (mut opened, bundle) = (opened.clone(), Blob::plain(bytes));
            let mut extra: Vec<Blob> = rules.iter().map(|text| Blob::plain(text.as_bytes())).collect();
            let replaced: Result<Vec<_>, _> =
                rules.iter().map(|text| with_name(records, &opened.rules, text)).collect();
            let replaced = replaced?;
            let kept = opened.rules.iter().zip(0..).filter(|(_, place)| !replaced.contains(&Some(*place)));
            // A run names the sets of its bundle and behind them the others (ARM-1).
            opened.rules = extra.iter().map(|blob| blob.digest).chain(kept.map(|(kept, _)| *kept)).collect();
            (opened.bundle, opened.bundle_name) = (bundle.digest, title.clone());
            extra.push(bundle);
            Ok(instead(Envelope { body: opened.into(), ..input.clone() }, extra))
        }
        (Change::Policy { .. } | Change::Cap { .. } | Change::Bundle { .. }, _) => Err(at_opening()),
        (Change::Rules(text), Some((input, Event::RunOpened(opened)))) => {
            let (mut opened, blob) = (opened.clone(), Blob::plain(text.as_bytes()));
            let mut rules = opened.rules.to_vec();
            match with_name(records, &rules, text)? {
                Some(place) => rules[place] = blob.digest,
                None => rules.push(blob.digest),
            }
            opened.rules = rules.into();
            Ok(instead(Envelope { body: opened.into(), ..input.clone() }, vec![blob]))
        }
        (Change::Rules(text), found) => {
            let (blob, state) = (Blob::plain(text.as_bytes()), before_event(records, at)?);
            if state.closed.is_some() {
                return Err(not_here("the run has ended there; rules judge it from an event before".to_string()));
            }
            if let Some((input, Event::RulesAdded(added))) = found {
                let body = RulesAdded { rules: blob.digest, ..added.clone() };
                return Ok(instead(Envelope { body: body.into(), ..input.clone() }, vec![blob]));
            }
            if with_name(records, &state.rules, text)?.is_some() {
                let why = "a set of this name judges the run by then, and none is replaced later: --at 0";
                return Err(not_here(why.to_string()));
            }
            let added = RulesAdded { request: NAME.as_bytes().to_vec(), rules: blob.digest };
            Ok(before(added.into(), vec![blob]))
        }
        (Change::Answer(answer), Some((input, Event::GateAnswered(given)))) => {
            let mut body = GateAnswered { answer: *answer, ..given.clone() };
            let mut actor = input.actor.clone();
            // A signature is over the answer that was given: another one is not signed.
            if body.answer != given.answer && body.signature.is_some() {
                (body.signature, body.signer) = (None, None);
                if let Actor::Person { assurance, .. } = &mut actor {
                    *assurance = Assurance::Asserted;
                }
            }
            Ok(instead(Envelope { actor, body: body.into(), ..input.clone() }, Vec::new()))
        }
        (Change::Answer(answer), found) => {
            let Some(gate) = before_event(records, at)?.gate else {
                return Err(not_here(format!("no gate waits there; {}", answers(whole))));
            };
            let body = GateAnswered {
                request: NAME.as_bytes().to_vec(),
                gate: gate.sequence,
                answer: *answer,
                note: None,
                artifact: Some(gate.artifact),
                signature: None,
                signer: None,
            };
            // A gate whose time was up is answered instead; anything else comes after the answer.
            let is_its_time = matches!(found, Some((_, Event::TimerFired(fired))) if fired.subject == gate.sequence);
            Ok(Planned { is_instead: is_its_time, ..before(body.into(), Vec::new()) })
        }
        (Change::Outcome(word), found) => {
            let Some((input, body)) = found else { return Err(not_here(outcomes(whole))) };
            let body = ended(body, word).unwrap_or_else(|| Err(outcomes(whole))).map_err(not_here)?;
            Ok(instead(Envelope { body, ..input.clone() }, Vec::new()))
        }
    }
}

/// Why a run cannot be opened so.
enum NotSo {
    Replay(ReplayError),
    Why(String),
}

impl NotSo {
    fn told(self, not_here: &impl Fn(String) -> WhatIfError) -> WhatIfError {
        match self {
            NotSo::Replay(error) => error.into(),
            NotSo::Why(why) => not_here(why),
        }
    }
}

/// Changes a policy or a cap where the run is opened. What holds already stays as it is written.
fn reopen(records: &dyn Records, opened: &mut RunOpened, change: &Change) -> Result<(), NotSo> {
    match change {
        Change::Policy { role, policy } => {
            let bytes = records.blob(&opened.bundle).map_err(NotSo::Replay)?.unwrap_or_default();
            let bundle = Blob::content(&bytes).and_then(|content| Bundle::decode(content).ok());
            let usual = bundle.as_ref().and_then(|bundle| bundle.roles.get(role)).map(|role| role.policy);
            if let (Some(bundle), None) = (&bundle, usual) {
                let known: Vec<&str> = bundle.roles.keys().map(String::as_str).collect();
                return Err(NotSo::Why(format!("the bundle has no gate role `{role}`; it has {}", known.join(", "))));
            }
            let (roles, mut policies) = (opened.gate_roles.to_vec(), opened.gate_policies.to_vec());
            match roles.iter().position(|known| known == role) {
                Some(place) if place < policies.len() => policies[place] = policy.word().to_string(),
                _ if usual == Some(*policy) => return Ok(()),
                _ => {
                    policies.push(policy.word().to_string());
                    opened.gate_roles = roles.into_iter().chain([role.clone()]).collect();
                }
            }
            opened.gate_policies = policies.into();
        }
        Change::Cap { of, value } => match of {
            Cap::Spawns => opened.cap_spawns = *value,
            Cap::Tokens => opened.cap_tokens = *value,
            Cap::Money => opened.cap_money_micro = *value,
            Cap::Time => opened.cap_time_ms = *value,
        },
        Change::Rules(_) | Change::Bundle { .. } | Change::Answer(_) | Change::Outcome(_) => {}
    }
    Ok(())
}

/// Returns which of these recorded sets has the name of the one with this text.
fn with_name(records: &dyn Records, rules: &[Digest], text: &str) -> Result<Option<usize>, ReplayError> {
    let Ok(wanted) = RuleSet::load(text) else { return Ok(None) };
    for (place, digest) in rules.iter().enumerate() {
        let Some(bytes) = records.blob(digest)? else { continue };
        let known = Blob::content(&bytes).and_then(|content| std::str::from_utf8(content).ok());
        if known.and_then(|text| RuleSet::load(text).ok()).is_some_and(|set| set.name() == wanted.name()) {
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Returns the state before an event.
fn before_event(records: &dyn Records, at: u64) -> Result<State, ReplayError> {
    match at.checked_sub(1) {
        Some(last) => Ok(refold(records, Some(last))?.state),
        None => Ok(State::default()),
    }
}

/// Returns an outcome with another word; `None` for what is none, and what words there are for a wrong one.
fn ended(body: &Event, word: &str) -> Option<Result<Event, String>> {
    let wrong = |words: Vec<&str>| format!("`{word}` is none of its outcomes: {}", words.join(", "));
    Some(match body {
        Event::SpawnFinished(body) => match SpawnOutcome::of(word) {
            Some(outcome) => Ok(loom_core::kind::SpawnFinished { outcome, ..body.clone() }.into()),
            None => Err(wrong(SpawnOutcome::ALL.iter().map(|known| known.word()).collect())),
        },
        Event::CheckFinished(body) => match CheckOutcome::of(word) {
            Some(outcome) => {
                // The exit code is what the recorded outcome was witnessed by.
                let exit_code = body.exit_code.filter(|_| outcome == body.outcome);
                Ok(loom_core::kind::CheckFinished { outcome, exit_code, ..body.clone() }.into())
            }
            None => Err(wrong(CheckOutcome::ALL.iter().map(|known| known.word()).collect())),
        },
        Event::MergeFinished(body) => match MergeOutcome::of(word) {
            Some(outcome) => Ok(loom_core::kind::MergeFinished { outcome, ..body.clone() }.into()),
            None => Err(wrong(MergeOutcome::ALL.iter().map(|known| known.word()).collect())),
        },
        _ => return None,
    })
}

/// Says of a derived event where on record it is answered, if it asks for something.
fn asked(whole: &Whole, at: u64) -> String {
    let ends = |event: &Envelope| match &event.body {
        Event::SpawnFinished(body) => body.spawn == at,
        Event::CheckFinished(body) => body.request == at,
        Event::MergeFinished(body) => body.merge == at,
        Event::GateAnswered(body) => body.gate == at,
        _ => false,
    };
    match whole.envelopes().iter().find(|event| ends(event)) {
        Some(event) => format!("it is answered at {} (--at {})", event.sequence, event.sequence),
        None => "it is no input".to_string(),
    }
}

/// Says where gates are answered on record.
fn answers(whole: &Whole) -> String {
    listed(whole, "gates are answered", |body| matches!(body, Event::GateAnswered(_)))
}

/// Says where outcomes are on record.
fn outcomes(whole: &Whole) -> String {
    let is_outcome =
        |body: &Event| matches!(body, Event::SpawnFinished(_) | Event::CheckFinished(_) | Event::MergeFinished(_));
    format!("it has no outcome; {}", listed(whole, "spawns, checks and merges end", is_outcome))
}

fn listed(whole: &Whole, what: &str, is_one: impl Fn(&Event) -> bool) -> String {
    let found: Vec<String> = whole
        .envelopes()
        .iter()
        .filter(|event| is_one(&event.body))
        .map(|event| event.sequence.to_string())
        .take(20)
        .collect();
    if found.is_empty() { format!("{what} nowhere in this run") } else { format!("{what} at {}", found.join(", ")) }
}
