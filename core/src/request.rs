//! What follows from a person's request: an answer, a note, a way out, a risk taken, a rule set, a cancellation.
//!
//! No request passes a gate but an answer to that gate, and none skips a stage (RECOVERY-1).

use crate::id::Actor;
use crate::kind::*;
use crate::planted::planted;
use crate::process::{ASK, StageKind};
use crate::stage::{Drafted, Driver};
use crate::state::{Amount, Asked, Gate, Standing};
use crate::word::{Answer, DecidedBy, GateOutcome, Recovery, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

impl Driver<'_> {
    /// Records that a request does not apply; nothing follows from it.
    pub(crate) fn decline(&mut self, reason: &str) {
        self.draft.record(RequestDeclined { reason: crate::draft::clipped(reason, 400) });
    }

    /// Derives what follows from an answer to a gate.
    pub(crate) fn gate_answered(&mut self, body: &GateAnswered, actor: &Actor) {
        let Some(gate) = self.draft.state().gate.clone().filter(|gate| gate.sequence == body.gate || planted(2)) else {
            return self
                .decline(&format!("gate {} is not waiting: it was decided, withdrawn or never opened", body.gate));
        };
        if body.artifact.is_some_and(|shown| shown != gate.artifact) {
            return self.decline("the digest is stale: what is to be approved has changed since it was shown");
        }
        let person = actor.id().to_string();
        let answer = body.answer;
        // Whatever the answer is, the stage begins again or is left: nobody waits for what is under way in it.
        let under_way = self.under_way();
        self.give_up(&under_way);
        self.settle(|driver| driver.decide_by_person(&gate, answer, &person));
    }

    fn decide_by_person(&mut self, gate: &Gate, answer: Answer, person: &str) -> Drafted {
        let decided = GateDecided {
            gate: Some(gate.sequence),
            role: gate.role.clone(),
            outcome: answer.outcome(),
            by: DecidedBy::Person,
            decider: person.to_string(),
            artifact: gate.artifact,
            tree: self.draft.state().tree.clone(),
        };
        match answer.outcome() {
            GateOutcome::Accepted => {
                self.draft.decide(decided)?;
                if gate.role == ASK { self.retry_stage() } else { self.advance() }
            }
            GateOutcome::Revised => {
                self.draft.decide(decided)?;
                match self.revision_target() {
                    Some(to) => self.walk_back(&to, &format!("{person} asks for a revision"), false),
                    // To enter a gate or the end again would let a policy accept what a person has just sent back.
                    None if self
                        .stage()
                        .is_some_and(|stage| matches!(stage.kind, StageKind::Gate { .. } | StageKind::Finalize)) =>
                    {
                        self.ask("there is no stage to revise");
                        Ok(())
                    }
                    None => self.retry_stage(),
                }
            }
            GateOutcome::Rejected => {
                self.draft.enact(decided);
                self.close(Verdict::Rejected, &format!("rejected by {person}"));
                Ok(())
            }
            GateOutcome::Abandoned => {
                self.draft.enact(decided);
                self.close(Verdict::Abandoned, &format!("abandoned by {person}"));
                Ok(())
            }
        }
    }

    /// Returns where a revision walks back to: the stage's own target, or else the next later stage's, or else the
    /// last earlier stage's.
    fn revision_target(&self) -> Option<String> {
        let flow = self.flow()?;
        let here = flow.position(&self.draft.state().stage)?;
        let (earlier, later) = flow.stages.split_at(here);
        later
            .iter()
            .chain(earlier.iter().rev())
            .filter_map(|stage| stage.revise_to.as_ref())
            .find(|to| flow.position(to).is_some_and(|target| target <= here))
            .cloned()
    }

    /// Derives what follows from a request for a way out.
    pub(crate) fn recover(&mut self, body: &RecoveryRequested, actor: &Actor) {
        let person = actor.id();
        let under_way = self.under_way();
        let merging = self.draft.state().pending.len() > under_way.len();
        match body.choice {
            Recovery::Abandon | Recovery::ForceClose if merging => {
                self.decline("the merge is under way; its outcome decides");
            }
            Recovery::Abandon => {
                self.give_up(&under_way);
                self.close(Verdict::Abandoned, &format!("abandoned by {person}"));
            }
            Recovery::ForceClose => {
                self.give_up(&under_way);
                self.close(Verdict::Failed, &format!("closed by force by {person}"));
            }
            Recovery::Retry => {
                let asked = self.draft.state().gate.as_ref().is_some_and(|gate| gate.role == ASK);
                if !under_way.is_empty() || merging {
                    self.decline("something is under way; retry applies to a run that is stuck");
                } else if self.draft.state().gate.is_none() {
                    self.decline("the run waits for a point in time; cancel-pending ends the wait");
                } else if !asked {
                    self.decline("a gate of the process waits; only an answer passes it");
                } else {
                    self.settle(|driver| {
                        driver.withdraw_gate("the stage is tried again");
                        driver.retry_stage()
                    });
                }
            }
            Recovery::RetryFailed => self.retry_failed(&body.spawns),
            Recovery::CancelPending if under_way.is_empty() && self.draft.state().timers.is_empty() => {
                self.decline("nothing is under way");
            }
            Recovery::CancelPending => {
                self.give_up(&under_way);
                if self.draft.state().gate.is_some() {
                    return;
                }
                self.settle(|driver| {
                    driver.ask("what was under way was cancelled");
                    Ok(())
                });
            }
        }
    }

    fn retry_failed(&mut self, spawns: &[u64]) {
        let pending = &self.draft.state().pending;
        let unknown: Vec<String> = spawns
            .iter()
            .filter(|id| !matches!(pending.get(id).map(|found| &found.what), Some(Asked::Spawn { .. })))
            .map(ToString::to_string)
            .collect();
        if spawns.is_empty() || !unknown.is_empty() {
            return self.decline(&format!("no such spawn is under way: {}", unknown.join(", ")));
        }
        let mut given_up: Vec<(u64, Amount)> = Vec::new();
        let mut again = Vec::new();
        for id in spawns {
            let Some(found) = self.draft.state().pending.get(id) else { continue };
            let Asked::Spawn { agent, attempt, .. } = &found.what else { continue };
            if again.iter().any(|(known, _): &(String, u64)| known == agent) {
                continue;
            }
            given_up.push((*id, found.reserved));
            again.push((agent.clone(), attempt + 1));
        }
        self.give_up(&given_up);
        self.settle(|driver| driver.spawn_all(&again, None));
    }

    /// Derives what follows from a risk that a person takes.
    pub(crate) fn risk_accepted(&mut self, body: &RiskAccepted, actor: &Actor) {
        let Some(found) = self.draft.state().findings.get(&body.finding).cloned() else {
            return self.decline(&format!("finding {} does not stand", body.finding));
        };
        if found.waived {
            return self.decline(&format!("the risk of finding {} is taken already", body.finding));
        }
        let person = crate::draft::clipped(actor.id(), 120);
        // A stage that was done again may have raised the same once more: it is one risk.
        let state = self.draft.state();
        let alike = |(sequence, other): (&u64, &Standing)| {
            (other.fingerprint == found.fingerprint && !other.waived).then_some(*sequence)
        };
        let same: Vec<u64> = state.findings.iter().filter_map(alike).collect();
        for finding in same {
            let waived = FindingWaived { finding, fingerprint: found.fingerprint, person: person.clone() };
            if self.draft.decide(waived).is_err() {
                // The refusal is on record, and leaves the run where it was: nobody need be asked.
                return;
            }
        }
    }

    /// A further rule set changes what a waiting gate would approve: the question is put anew (GATE-4).
    pub(crate) fn rules_added(&mut self) {
        let Some(gate) = self.draft.state().gate.clone() else { return };
        self.withdraw_gate("a rule set was added");
        self.open_gate(&gate.role, ASK, "a rule set was added since the question was put");
    }

    /// A person ends the run.
    pub(crate) fn cancel(&mut self, actor: &Actor) {
        let under_way = self.under_way();
        if self.draft.state().pending.len() > under_way.len() {
            return self.decline("the merge is under way; its outcome decides");
        }
        self.give_up(&under_way);
        let person = actor.id().to_string();
        self.close(Verdict::Cancelled, &format!("cancelled by {person}"));
    }
}
