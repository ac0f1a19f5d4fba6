//! Where an event stands in the process, whatever its sequence: stage, round, kind, and what it is about (DIFF-1).
//!
//! The match names every kind: a new kind stops the build here, where it must be thought of.

use crate::cause::named;
use loom_core::event::Envelope;
use loom_core::kind::Event;
use loom_core::state::State;
use std::collections::BTreeMap;
use std::fmt;

/// A place in the process, unique within a run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The stage; empty before the first.
    pub stage: String,
    /// The round of the stage's phase, from 1.
    pub round: u64,
    /// The kind.
    pub kind: &'static str,
    /// The agent with its attempt, the check, the gate's role, the finding, the rule; empty where the kind says all.
    pub subject: String,
    /// Which of those that are alike in all this, from 1.
    pub nth: u32,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)?;
        if !self.subject.is_empty() {
            write!(f, " of {}", self.subject)?;
        }
        if !self.stage.is_empty() {
            write!(f, " at {}, round {}", self.stage, self.round)?;
        }
        if self.nth > 1 {
            write!(f, ", time {}", self.nth)?;
        }
        Ok(())
    }
}

/// Gives each event of one run its spot, in order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spotter {
    /// By sequence.
    pub(crate) spots: Vec<Spot>,
    seen: BTreeMap<Spot, u32>,
}

impl Spotter {
    /// Places the next event; `before` is the state without it.
    pub(crate) fn push(&mut self, before: &State, envelope: &Envelope) {
        let (stage, round, subject) = match (own(&envelope.body), reference(&envelope.body)) {
            // What answers or follows up an earlier event stands where that one does.
            (Subject::Inherited, Some(earlier)) => match self.at(earlier) {
                Some(spot) => (spot.stage.clone(), spot.round, spot.subject.clone()),
                None => here(before, String::new()),
            },
            (Subject::Own(subject), Some(earlier)) => match self.at(earlier) {
                Some(spot) => (spot.stage.clone(), spot.round, subject),
                None => here(before, subject),
            },
            (Subject::Inherited, None) => here(before, String::new()),
            (Subject::Own(subject), None) => match &envelope.body {
                Event::StageEntered(entered) => (entered.stage.clone(), entered.round, subject),
                _ => here(before, subject),
            },
        };
        let spot = Spot { stage, round, kind: envelope.body.schema().name, subject, nth: 0 };
        let nth = self.seen.entry(spot.clone()).or_insert(0);
        *nth += 1;
        self.spots.push(Spot { nth: *nth, ..spot });
    }

    fn at(&self, sequence: u64) -> Option<&Spot> {
        self.spots.get(usize::try_from(sequence).ok()?)
    }
}

fn here(before: &State, subject: String) -> (String, u64, String) {
    (before.stage.clone(), before.round(&before.phase), subject)
}

enum Subject {
    /// What the event is about by its own words.
    Own(String),
    /// What the event that it names is about.
    Inherited,
}

/// Returns the one earlier event that an event belongs to.
fn reference(event: &Event) -> Option<u64> {
    match event {
        // These name earlier events and stand for themselves.
        Event::GateOpened(_) | Event::MergeIntended(_) | Event::RecoveryRequested(_) => None,
        other => named(other).first().map(|cause| cause.sequence),
    }
}

fn own(event: &Event) -> Subject {
    let own = |text: &str| Subject::Own(text.to_string());
    match event {
        Event::SpawnRequested(body) => match body.attempt {
            1 => own(&body.agent),
            attempt => Subject::Own(format!("{} (attempt {attempt})", body.agent)),
        },
        Event::CheckRequested(body) => own(&body.check),
        Event::GateOpened(body) => own(&body.role),
        Event::FindingRaised(body) => {
            let path = body.path.as_ref().map(|path| format!(" {}", String::from_utf8_lossy(path)));
            let line = body.line.map(|line| format!(":{line}"));
            let place = format!("{}{}", path.unwrap_or_default(), line.unwrap_or_default());
            Subject::Own(format!("{}: {}{place}", body.agent, body.category))
        }
        Event::Refused(body) => own(&body.kind),
        Event::Violation(body) => own(&body.rule),
        Event::RequestRefused(body) => own(&body.what),
        Event::AgentEscalated(body) => own(&body.from),
        Event::GateDecided(body) => own(&body.role),
        Event::SpawnFinished(_)
        | Event::CheckFinished(_)
        | Event::MergeFinished(_)
        | Event::EffectOrphaned(_)
        | Event::TimerFired(_)
        | Event::TimerSet(_)
        | Event::GateAnswered(_)
        | Event::GateWithdrawn(_)
        | Event::RiskAccepted(_)
        | Event::FindingResolved(_)
        | Event::FindingWaived(_)
        | Event::VerdictGiven(_)
        | Event::PathsChanged(_)
        | Event::BudgetSettled(_) => Subject::Inherited,
        Event::RunOpened(_)
        | Event::RunSteered(_)
        | Event::RecoveryRequested(_)
        | Event::RulesAdded(_)
        | Event::RunCancelled(_)
        | Event::RunPaused(_)
        | Event::RunResumed(_)
        | Event::RequestDeclined(_)
        | Event::FlowChosen(_)
        | Event::StageEntered(_)
        | Event::WalkedBack(_)
        | Event::MergeIntended(_)
        | Event::RunClosed(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::KeyRetired(_)
        | Event::RulesArmed(_)
        | Event::RulesRetired(_)
        | Event::BlobsRedacted(_) => own(""),
    }
}
