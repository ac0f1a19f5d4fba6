//! Drives the changed timeline on with recorded inputs, in the order in which they are on record.
//!
//! An outcome that nothing has asked for yet is set aside and given once something does; a request of a person is given
//! when its turn comes, or never.

use super::change::Planned;
use super::effects::{Keys, is_waited_for};
use super::{Change, End, Given, WhatIf, WhatIfError};
use crate::diff::is_same_but_terms;
use crate::error::ReplayError;
use crate::records::Records;
use crate::refold::refold;
use crate::timeline::{Fed, Timeline};
use crate::whole::Whole;
use loom_core::answer::Recipe;
use loom_core::commit::Blob;
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, Digest, EventHasher};
use loom_core::kind::*;
use std::collections::BTreeMap;

/// Gives the change and then what is on record.
pub(super) fn drive(
    records: &dyn Records,
    recorded: Whole,
    planned: Planned,
    at: u64,
    change: &Change,
) -> Result<WhatIf, WhatIfError> {
    let Planned { from, input, extra, is_instead } = planned;
    let run = match from.checked_sub(1) {
        None => None,
        Some(last) => {
            let missing = |missing| WhatIfError::Unknowable { sequence: from, missing };
            Some(refold(records, Some(last))?.run.map_err(missing)?)
        }
    };
    let prefix = &recorded.events()[..usize::try_from(from).unwrap_or(usize::MAX).min(recorded.events().len())];
    let timeline = Timeline::after(records, extra, prefix, run)?;
    let mut drive = Drive {
        records,
        keys: Keys::of_run(&timeline.whole),
        recorded_keys: Keys::of_run(&recorded),
        recorded,
        timeline,
        are_terms_changed: matches!(change, Change::Bundle { .. }),
        turn: None,
        end: None,
        given: Vec::new(),
    };
    match drive.timeline.feed(input)? {
        Fed::Committed(first) => drive.committed(first),
        Fed::Declined(source) => return Err(WhatIfError::Declined { change: change.to_string(), at, source }),
        Fed::Missing(missing) => return Err(WhatIfError::Unknowable { sequence: from, missing }),
    }
    let passed_over = drive.go_on(from + u64::from(is_instead))?;
    let Drive { recorded, timeline, turn, end, given, .. } = drive;
    let changed = timeline.whole;
    let end = end.unwrap_or(match changed.state().closed {
        Some(verdict) => End::Closed(verdict),
        None => End::OutOfRecord,
    });
    let turn = turn.or((changed.len() < recorded.len()).then_some(changed.len()));
    Ok(WhatIf { recorded, changed, turn, given, passed_over, end })
}

struct Drive<'r> {
    records: &'r dyn Records,
    recorded: Whole,
    recorded_keys: Keys,
    timeline: Timeline<'r>,
    keys: Keys,
    /// Whether what differs by the terms alone turns nothing (REDRIVE-4).
    are_terms_changed: bool,
    turn: Option<u64>,
    end: Option<End>,
    given: Vec<Given>,
}

/// What became of a recorded input.
enum Tried {
    Given,
    /// It may be given later.
    NotYet(String),
    Never(String),
}

impl Drive<'_> {
    /// Gives the recorded inputs from this sequence on; returns those that were passed over.
    fn go_on(&mut self, from: u64) -> Result<Vec<(u64, String)>, WhatIfError> {
        let script: Vec<u64> = self
            .recorded
            .envelopes()
            .iter()
            .filter(|event| event.count.is_some() && event.sequence >= from)
            .map(|event| event.sequence)
            .collect();
        let (mut passed_over, mut aside) = (Vec::new(), BTreeMap::new());
        for input in script {
            if let Some(end) = &self.end {
                let why = match end {
                    End::Closed(_) => "the changed timeline has ended by then",
                    End::OutOfRecord | End::Unanswered { .. } => "the changed timeline stops before it",
                };
                passed_over.push((input, why.to_string()));
                continue;
            }
            match self.try_input(input)? {
                Tried::Given => self.try_again(&mut aside)?,
                Tried::NotYet(why) => drop(aside.insert(input, why)),
                Tried::Never(why) => passed_over.push((input, why)),
            }
        }
        passed_over.extend(aside);
        passed_over.sort();
        Ok(passed_over)
    }

    /// Gives what was set aside, the earliest first, as long as something asks for it.
    fn try_again(&mut self, aside: &mut BTreeMap<u64, String>) -> Result<(), WhatIfError> {
        loop {
            let mut is_given = false;
            for input in aside.keys().copied().collect::<Vec<_>>() {
                if self.end.is_some() {
                    return Ok(());
                }
                match self.try_input(input)? {
                    Tried::Given => {
                        aside.remove(&input);
                        is_given = true;
                        break;
                    }
                    Tried::NotYet(why) | Tried::Never(why) => drop(aside.insert(input, why)),
                }
            }
            if !is_given {
                return Ok(());
            }
        }
    }

    fn try_input(&mut self, sequence: u64) -> Result<Tried, WhatIfError> {
        let Some(input) = self.recorded.at(sequence).cloned() else {
            return Ok(Tried::Never("there is no such event".to_string()));
        };
        // The request that a descendant of a spawn made is not on record, only that it was refused (REDRIVE-1).
        let is_refused_request =
            matches!((&input.body, &input.actor), (Event::RequestRefused(_), Actor::Person { descends: Some(_), .. }));
        if is_refused_request {
            if self.turn.is_some() {
                return Ok(Tried::Never("it was refused, and nothing followed from it".to_string()));
            }
            let event = Envelope { previous: self.timeline.whole.state().last, ..input };
            self.timeline.apply(&[Recorded::of(&event, &EventHasher::default())])?;
            self.committed(sequence);
            return Ok(Tried::Given);
        }
        let body = match self.translated(&input) {
            Ok(body) => body,
            Err(tried) => return Ok(tried),
        };
        let is_otherwise_asked = self.is_otherwise_asked(&input.body, &body)?;
        match self.timeline.feed(Envelope { body, ..input })? {
            Fed::Committed(first) => {
                self.given.push(Given { recorded: sequence, changed: first, is_otherwise_asked });
                self.committed(first);
                Ok(Tried::Given)
            }
            Fed::Declined(why) => Ok(Tried::NotYet(why.to_string())),
            Fed::Missing(missing) => Err(WhatIfError::Unknowable { sequence, missing }),
        }
    }

    /// Takes note of a commit that begins at `first`: whether it turned the run, and whether it asks for what nobody answered.
    fn committed(&mut self, first: u64) {
        self.keys.extend(&self.timeline.whole, first);
        self.turn = self.turn.or_else(|| self.first_other(first));
        if self.turn.is_none() {
            return;
        }
        let (whole, from) = (&self.timeline.whole, usize::try_from(first).unwrap_or(usize::MAX));
        let unanswered = whole.envelopes().iter().zip(whole.spots()).skip(from).find(|(event, _)| {
            let is_on_record = |key| self.recorded_keys.sequence(key).is_some();
            is_waited_for(whole.state(), event) && !self.keys.key(event.sequence).is_some_and(is_on_record)
        });
        self.end = match (whole.state().closed, unanswered) {
            (Some(verdict), _) => Some(End::Closed(verdict)),
            (None, Some((event, spot))) => Some(End::Unanswered { sequence: event.sequence, what: spot.to_string() }),
            (None, None) => None,
        };
    }

    /// Returns the first event of the commit at `first` that is not the recorded one.
    fn first_other(&self, first: u64) -> Option<u64> {
        let from = usize::try_from(first).unwrap_or(usize::MAX);
        let (derived, recorded) = (self.timeline.whole.events(), self.recorded.events());
        let (derived, recorded) = (derived.get(from..)?, recorded.get(from..).unwrap_or_default());
        let is_same = |(derived, recorded): &(&Recorded, &Recorded)| match self.are_terms_changed {
            true => is_same_but_terms(&derived.bytes, &recorded.bytes),
            false => derived == recorded,
        };
        let same = derived.iter().zip(recorded).take_while(is_same).count();
        // With other terms the first event may be the same and the commit a shorter one.
        let count = self.recorded.at(first).and_then(|input| input.count).unwrap_or_default();
        let is_whole = same == derived.len() && derived.len() as u64 >= count;
        (!is_whole).then_some(first + same as u64)
    }

    /// Returns where a recorded reference leads in the changed timeline.
    fn place(&self, recorded: u64) -> Option<u64> {
        if self.turn.is_none() {
            return Some(recorded);
        }
        self.keys.sequence(self.recorded_keys.key(recorded)?)
    }

    /// Returns a recorded input with the references of the changed timeline.
    fn translated(&self, input: &Envelope) -> Result<Event, Tried> {
        let state = self.timeline.whole.state();
        let is_turned = self.turn.is_some();
        let place = |recorded: u64| {
            let missing = || Tried::NotYet(format!("nothing is there that event {recorded} was on record"));
            self.place(recorded).ok_or_else(missing)
        };
        let is_open = |effect: u64| {
            let is_there = state.pending.contains_key(&effect) || state.given_up.contains(&effect);
            let not_yet = || Tried::NotYet("nobody asks for it".to_string());
            (is_there || !is_turned).then_some(effect).ok_or_else(not_yet)
        };
        if is_turned && self.was_declined(input.sequence) {
            return Err(Tried::Never("it was declined on record".to_string()));
        }
        Ok(match input.body.clone() {
            Event::SpawnFinished(body) => SpawnFinished { spawn: is_open(place(body.spawn)?)?, ..body }.into(),
            Event::CheckFinished(body) => CheckFinished { request: is_open(place(body.request)?)?, ..body }.into(),
            Event::MergeFinished(body) => MergeFinished { merge: is_open(place(body.merge)?)?, ..body }.into(),
            Event::EffectOrphaned(body) => EffectOrphaned { effect: is_open(place(body.effect)?)? }.into(),
            Event::TimerFired(body) => TimerFired { subject: place(body.subject)? }.into(),
            Event::GateAnswered(body) => {
                let gate = place(body.gate)?;
                let waits = state.gate.as_ref().filter(|found| found.sequence == gate).map(|gate| gate.artifact);
                if is_turned && waits.is_none() {
                    return Err(Tried::NotYet("its gate does not wait".to_string()));
                }
                // As long as nothing turns, what was shown is what waits; under other terms its digest is another one.
                let was_shown = match self.recorded.at(body.gate).map(|event| &event.body) {
                    Some(Event::GateOpened(opened)) => body.artifact == Some(opened.artifact),
                    _ => false,
                };
                let artifact = match body.artifact {
                    Some(_) if is_turned => waits,
                    Some(shown) if was_shown => waits.or(Some(shown)),
                    given => given,
                };
                if is_turned && body.signature.is_some() && artifact != body.artifact {
                    return Err(Tried::Never("it is signed, and over something else than waits here".to_string()));
                }
                GateAnswered { gate, artifact, ..body }.into()
            }
            Event::RiskAccepted(body) => RiskAccepted { finding: place(body.finding)?, ..body }.into(),
            Event::RecoveryRequested(body) => {
                let spawns: Result<Vec<u64>, Tried> = body.spawns.iter().map(|spawn| place(*spawn)).collect();
                RecoveryRequested { spawns: spawns?.into(), ..body }.into()
            }
            other => other,
        })
    }

    /// Whether a request was declined when it was made.
    fn was_declined(&self, input: u64) -> bool {
        let from = usize::try_from(input).unwrap_or(usize::MAX);
        let commit = self.recorded.envelopes().iter().skip(from).take_while(|event| event.input == input);
        commit.into_iter().any(|event| matches!(event.body, Event::RequestDeclined(_)))
    }

    /// Whether an outcome is that of a spawn whose prompt would have said something else (WHATIF-5).
    fn is_otherwise_asked(&self, recorded: &Event, changed: &Event) -> Result<bool, ReplayError> {
        let (Event::SpawnFinished(recorded), Event::SpawnFinished(changed)) = (recorded, changed) else {
            return Ok(false);
        };
        let recipe = |whole: &Whole, spawn: u64| match whole.at(spawn).map(|event| &event.body) {
            Some(Event::SpawnRequested(body)) => Some(body.recipe),
            _ => None,
        };
        let then = recipe(&self.recorded, recorded.spawn);
        let now = recipe(&self.timeline.whole, changed.spawn);
        if then == now {
            return Ok(false);
        }
        let asked = |digest: Option<Digest>, records: &dyn Records, keys: &Keys| -> Result<_, ReplayError> {
            let Some(digest) = digest else { return Ok(None) };
            let bytes = records.blob(&digest)?;
            let recipe = bytes.as_deref().and_then(Blob::content).and_then(|content| Recipe::decode(content).ok());
            Ok(recipe.map(|mut recipe| {
                // Findings are numbered otherwise; which they are is told by their fingerprints.
                let prints: Vec<Option<[u8; 16]>> =
                    std::mem::take(&mut recipe.findings).iter().map(|finding| keys.print(*finding).copied()).collect();
                (recipe, prints)
            }))
        };
        let then = asked(then, self.records, &self.recorded_keys)?;
        let now = asked(now, &self.timeline, &self.keys)?;
        Ok(then.is_none() || then != now)
    }
}
