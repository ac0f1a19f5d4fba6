//! Folds one event into a state. Nothing else changes a state (STATE-2).
//!
//! Folding judges nothing and never fails: an event that is on record happened. It needs neither bundle nor
//! rules, so a verifier can refold a run from its events alone.

use crate::event::Envelope;
use crate::kind::Event;
use crate::planted::planted;
use crate::process::{FINAL, Policy};
use crate::state::{
    Amount, Approval, Asked, Budget, Gate, Hold, NOTES_MAX, Note, Opened, Pending, Standing, State, Timer,
};
use crate::word::{GateOutcome, Origin, Resolution, Severity, SpawnOutcome};

/// How long after the executor's own limit the kernel gives an effect up, in milliseconds.
const GRACE_MS: u64 = 60_000;
/// How long a person may hold a run, in milliseconds: seven days (PAUSE-2).
const HOLD_MS: u64 = 7 * 24 * 3_600_000;

/// Folds an event into the state.
pub fn fold(state: &mut State, event: &Envelope) {
    let sequence = event.sequence;
    let now_ms = event.stamp.ms;
    state.stream = event.stream;
    state.next = sequence + 1;
    state.stamp = event.stamp;
    match &event.body {
        Event::RunOpened(body) => {
            state.opened = Opened {
                task: body.task,
                slug: body.slug.clone(),
                bundle: body.bundle,
                base_commit: body.base_commit.clone(),
                base_tree: body.base_tree.clone(),
                flow: body.flow.clone(),
                policies: body
                    .gate_roles
                    .iter()
                    .zip(body.gate_policies.iter())
                    .filter_map(|(role, policy)| Some((role.clone(), Policy::of(policy)?)))
                    .collect(),
                checks_waived: body.checks_waived.iter().cloned().collect(),
                caps: Amount {
                    spawns: body.cap_spawns,
                    tokens: body.cap_tokens,
                    money_micro: body.cap_money_micro,
                    time_ms: body.cap_time_ms,
                },
                owner: body.owner.clone(),
            };
            state.tree = body.base_tree.clone();
            state.rules = body.rules.to_vec();
        }
        Event::GateAnswered(body) => state.note_in_hand = body.note,
        // A note for a run that has ended is on record, but nobody will read it.
        Event::RunSteered(body) => {
            if state.closed.is_none() {
                note(state, body.note);
            }
        }
        Event::RulesAdded(body) => state.rules.push(body.rules),
        // A second pause is declined and moves nothing, nor does one of a run that has ended.
        Event::RunPaused(_) => {
            if state.closed.is_none() && state.hold.is_none() {
                state.hold = Some(Hold { since: sequence, deadline_ms: now_ms.saturating_add(HOLD_MS) });
            }
        }
        Event::RunResumed(_) => lift(state, now_ms),
        Event::RecoveryRequested(_)
        | Event::RiskAccepted(_)
        | Event::RunCancelled(_)
        | Event::RequestRefused(_)
        | Event::EffectOrphaned(_)
        | Event::VerdictGiven(_)
        | Event::PathsChanged(_)
        | Event::Violation(_)
        | Event::StoreCreated(_)
        | Event::KeyAdded(_)
        | Event::KeyRetired(_)
        | Event::RulesArmed(_)
        | Event::RulesRetired(_)
        | Event::BlobsRedacted(_) => {}
        Event::TimerFired(body) => {
            if let Some(timer) = state.timers.remove(&body.subject) {
                // What was waited is used, as long as it was to be; what nobody drove the run for afterwards is not (BUDGET-3).
                let used = &mut state.budget.used;
                used.time_ms = used.time_ms.saturating_add(timer.due_ms.saturating_sub(timer.since_ms));
            }
            if state.hold.is_some_and(|hold| hold.since == body.subject) {
                lift(state, now_ms);
            }
        }
        Event::SpawnFinished(body) => {
            // A late outcome is taken once; after that it is a duplicate (EFFECT-3).
            state.given_up.remove(&body.spawn);
            let Some(mut pending) = state.pending.remove(&body.spawn) else { return };
            if let Asked::Spawn { agent, edits, .. } = &pending.what {
                if body.outcome == SpawnOutcome::Limited {
                    *state.limited.entry(agent.clone()).or_default() += 1;
                    // Turned away, it is no spawn of the cap (BUDGET-2).
                    let reserved = &mut state.budget.reserved;
                    reserved.spawns = reserved.spawns.saturating_sub(pending.reserved.spawns);
                    pending.reserved.spawns = 0;
                } else {
                    state.limited.remove(agent);
                }
                // Work that ended in an error is done again from where it started; an answer that could not be read
                // is only asked for again.
                if *edits && matches!(body.outcome, SpawnOutcome::Ok | SpawnOutcome::Unparsable) {
                    state.tree = body.tree_after.clone();
                }
                if body.outcome == SpawnOutcome::Ok {
                    state.delivered.insert(agent.clone());
                    if let Some(answer) = body.answer {
                        state.advice.insert(agent.clone(), answer);
                    }
                }
            }
            state.settling.insert(body.spawn, pending);
        }
        Event::CheckFinished(body) => {
            state.given_up.remove(&body.request);
            if let Some(pending) = state.pending.remove(&body.request) {
                state.settling.insert(body.request, pending);
            }
        }
        Event::MergeFinished(body) => {
            state.pending.remove(&body.merge);
        }
        Event::FindingRaised(body) => {
            state.findings.insert(
                sequence,
                Standing {
                    fingerprint: body.fingerprint,
                    severity: body.severity,
                    origin: body.origin,
                    agent: body.agent.clone(),
                    phase: body.phase.clone(),
                    waived: false,
                },
            );
            // A reviewer whose answer could not be used has delivered all the same: with a blocker.
            state.delivered.insert(body.agent.clone());
        }
        Event::BudgetSettled(body) => {
            let settled = state.settling.remove(&body.effect).or_else(|| {
                let given_up = state.pending.remove(&body.effect)?;
                state.given_up.insert(body.effect);
                Some(given_up)
            });
            if let Some(Pending { reserved, .. }) = settled {
                release(&mut state.budget, &reserved);
            }
            let used = &mut state.budget.used;
            used.tokens = used.tokens.saturating_add(body.tokens);
            used.money_micro = used.money_micro.saturating_add(body.money_micro);
            used.time_ms = used.time_ms.saturating_add(body.time_ms);
        }
        Event::Refused(_) => {
            // What a person wrote with an answer that rules refused is still theirs to have read.
            if let Some(digest) = state.note_in_hand.take() {
                note(state, digest);
            }
        }
        Event::RequestDeclined(_) => state.note_in_hand = None,
        Event::FlowChosen(body) => state.flow = Some(body.flow.clone()),
        Event::StageEntered(body) => {
            state.stage = body.stage.clone();
            state.phase = body.phase.clone();
            state.rounds.insert(body.phase.clone(), body.round);
            state.tree_entered = state.tree.clone();
            state.delivered.clear();
            state.timers.clear();
        }
        Event::SpawnRequested(body) => {
            let reserved = Amount {
                spawns: 1,
                tokens: body.reserve_tokens,
                money_micro: body.reserve_money_micro,
                time_ms: body.reserve_time_ms,
            };
            let what = Asked::Spawn {
                agent: body.agent.clone(),
                attempt: body.attempt,
                round: state.round(&state.phase),
                recipe: body.recipe,
                tree: body.tree.clone(),
                edits: body.edits,
            };
            reserve(state, sequence, what, reserved, now_ms);
            state.notes.iter_mut().for_each(|note| note.read = true);
        }
        Event::CheckRequested(body) => {
            let reserved = Amount { time_ms: body.reserve_time_ms, ..Amount::default() };
            let what = Asked::Check { check: body.check.clone(), tree: body.tree.clone() };
            reserve(state, sequence, what, reserved, now_ms);
        }
        Event::GateOpened(body) => {
            state.gate = Some(Gate {
                sequence,
                role: body.role.clone(),
                artifact: body.artifact,
                deadline_ms: body.deadline_ms,
                default: body.default,
            });
        }
        Event::GateWithdrawn(_) => state.gate = None,
        Event::GateDecided(body) => {
            if body.gate.is_some() {
                state.gate = None;
            }
            if let Some(digest) = state.note_in_hand.take() {
                note(state, digest);
            }
            // Only the final gate approves what is merged; being asked by the kernel afterwards takes nothing away.
            if body.outcome == GateOutcome::Accepted && body.role == FINAL {
                state.approval = Some(Approval {
                    decision: sequence,
                    role: body.role.clone(),
                    artifact: body.artifact,
                    tree: body.tree.clone(),
                });
            }
        }
        Event::FindingResolved(body) => {
            if let Some(finding) = state.findings.remove(&body.finding)
                && body.how == Resolution::Superseded
                && finding.severity == Severity::Blocking
                && !finding.waived
                && finding.origin != Origin::Harness
            {
                state.to_mend.push(body.finding);
                if let Err(place) = state.last_blockers.binary_search(&finding.fingerprint) {
                    state.last_blockers.insert(place, finding.fingerprint);
                }
            }
        }
        Event::FindingWaived(body) => {
            if let Some(finding) = state.findings.get_mut(&body.finding) {
                finding.waived = true;
            }
            state.waived.insert(body.fingerprint, body.person.clone());
        }
        Event::WalkedBack(body) => {
            state.blocked = state
                .blockers()
                .filter(|(_, finding)| finding.origin != Origin::Check)
                .map(|(_, finding)| finding.agent.clone())
                .collect();
            if state.blockers().next().is_some() {
                *state.blocked_rounds.entry(body.to.clone()).or_default() += 1;
            }
            if body.automatic {
                state.replans += 1;
            }
            *state.rounds.entry(body.phase.clone()).or_insert(1) += 1;
            state.stage = body.to.clone();
            state.phase = body.phase.clone();
            if !planted(4) {
                state.approval = None;
            }
            state.to_mend.clear();
            state.last_blockers.clear();
        }
        Event::AgentEscalated(body) => {
            state.escalated.insert(body.stage.clone(), body.to.clone());
        }
        Event::TimerSet(body) => {
            let timer =
                Timer { since_ms: now_ms, due_ms: body.due_ms, agent: body.agent.clone(), attempt: body.attempt };
            state.timers.insert(body.subject, timer);
        }
        Event::MergeIntended(body) => {
            let what = Asked::Merge { tree: body.tree.clone(), base: body.base.clone(), branch: body.branch.clone() };
            reserve(state, sequence, what, Amount::default(), now_ms);
        }
        Event::RunClosed(body) => {
            state.closed = Some(body.verdict);
            // What is under way is given up with the run, at its reserved worst case (BUDGET-2).
            for (effect, pending) in core::mem::take(&mut state.pending) {
                state.given_up.insert(effect);
                release(&mut state.budget, &pending.reserved);
                let used = &mut state.budget.used;
                used.tokens = used.tokens.saturating_add(pending.reserved.tokens);
                used.money_micro = used.money_micro.saturating_add(pending.reserved.money_micro);
                used.time_ms = used.time_ms.saturating_add(pending.reserved.time_ms);
            }
            state.timers.clear();
            state.gate = None;
            state.hold = None;
        }
    }
}

/// Ends a hold: what it held back has its time from now on.
fn lift(state: &mut State, now_ms: u64) {
    if let Some(hold) = state.hold.take() {
        for (_, pending) in state.pending.range_mut(hold.since..) {
            pending.deadline_ms = deadline_ms(&pending.what, &pending.reserved, now_ms);
        }
    }
}

/// Ends a reservation. Sums saturate, so that folding what is on record never fails.
fn release(budget: &mut Budget, reserved: &Amount) {
    let sum = &mut budget.reserved;
    sum.spawns = sum.spawns.saturating_sub(reserved.spawns);
    sum.tokens = sum.tokens.saturating_sub(reserved.tokens);
    sum.money_micro = sum.money_micro.saturating_sub(reserved.money_micro);
    sum.time_ms = sum.time_ms.saturating_sub(reserved.time_ms);
    budget.used.spawns = budget.used.spawns.saturating_add(reserved.spawns);
}

/// Returns when the kernel gives up what begins now.
fn deadline_ms(what: &Asked, reserved: &Amount, now_ms: u64) -> u64 {
    match what {
        Asked::Spawn { .. } | Asked::Check { .. } => now_ms.saturating_add(reserved.time_ms).saturating_add(GRACE_MS),
        // A merge takes as long as it takes: it is looked for before it is done again.
        Asked::Merge { .. } => u64::MAX,
    }
}

fn reserve(state: &mut State, sequence: u64, what: Asked, reserved: Amount, now_ms: u64) {
    let deadline_ms = deadline_ms(&what, &reserved, now_ms);
    let sum = &mut state.budget.reserved;
    sum.spawns += reserved.spawns;
    sum.tokens = sum.tokens.saturating_add(reserved.tokens);
    sum.money_micro = sum.money_micro.saturating_add(reserved.money_micro);
    sum.time_ms = sum.time_ms.saturating_add(reserved.time_ms);
    state.pending.insert(sequence, Pending { what, reserved, deadline_ms });
}

fn note(state: &mut State, digest: crate::id::Digest) {
    if state.notes.len() >= NOTES_MAX
        && let Some(read) = state.notes.iter().position(|note| note.read)
    {
        state.notes.remove(read);
    }
    state.notes.push(Note { digest, read: false });
}
