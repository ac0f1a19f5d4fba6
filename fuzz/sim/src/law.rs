//! What holds after every commit, whatever was put in. Each law looks at recorded bytes and public state only.

use loom_core::commit::Checked;
use loom_core::event::Envelope;
use loom_core::id::{ARTIFACT_CONTEXT, Actor, Digest, digest};
use loom_core::kind::{Event, GateDecided, GateOpened};
use loom_core::process::{FINAL, Policy, StageKind};
use loom_core::run::Run;
use loom_core::schema::Class;
use loom_core::state::{Amount, Asked, NOTES_MAX, State};
use loom_core::step::Input;
use loom_core::word::{Answer, DecidedBy, GateOutcome, Verdict};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Returns the law that this commit breaks, in words.
pub fn broken(before: Option<&Run>, input: &Input, checked: &Checked<Run>) -> Result<(), String> {
    let after = checked.next();
    let events = decoded(checked)?;
    chain(before, input, checked, &events)?;
    let mut run = before.cloned().unwrap_or_else(|| {
        let mut run = Run::new(after.terms.clone());
        run.state.stream = checked.stream();
        run
    });
    let mut path = Path::of(&run, input);
    for (event, recorded) in events.iter().zip(checked.events()) {
        path.event(&run, event)?;
        let wider = match &event.body {
            Event::RulesAdded(_) => {
                let [blob] = checked.blobs() else { return Err("rules.added names one blob".into()) };
                Some(Arc::new(run.terms.extended(blob).map_err(|error| error.to_string())?))
            }
            _ => None,
        };
        run.apply(recorded, wider).map_err(|error| format!("a recorded event does not fold: {error}"))?;
    }
    if run.state != after.state {
        return Err(format!("refolded state differs (STATE-2):\n{:#?}\n{:#?}", run.state, after.state));
    }
    if run.facts != after.facts {
        return Err("refolded facts differ (STATE-2)".into());
    }
    settled(&after.state)?;
    budget(&after.state, &events)?;
    effects(before, checked)
}

fn decoded(checked: &Checked<Run>) -> Result<Vec<Envelope>, String> {
    checked
        .events()
        .iter()
        .map(|event| Envelope::decode(&event.bytes).map_err(|error| format!("an event does not decode: {error}")))
        .collect()
}

/// COMMIT-1, CHAIN-1: input, records, decisions; counted, chained, of one stamp.
fn chain(before: Option<&Run>, input: &Input, checked: &Checked<Run>, events: &[Envelope]) -> Result<(), String> {
    let head = before.map(|run| run.state.head()).unwrap_or_default();
    if checked.expected() != head {
        return Err("the commit expects another head than the run's (CHAIN-1)".into());
    }
    let mut previous = head.last;
    let mut class = Class::Input;
    for (index, (event, recorded)) in events.iter().zip(checked.events()).enumerate() {
        let place = head.next + index as u64;
        let found = event.body.schema().class;
        let in_order = match (class, found) {
            (Class::Input, Class::Input) => index == 0,
            (Class::Input, Class::Record | Class::Decision) => index > 0,
            (Class::Record, Class::Record | Class::Decision) | (Class::Decision, Class::Decision) => true,
            (Class::Record | Class::Decision, Class::Input) | (Class::Decision, Class::Record) => false,
        };
        class = found;
        let count = (index == 0).then_some(events.len() as u64);
        let actor_fits = if index == 0 { event.actor == input.actor } else { event.actor == Actor::Kernel };
        if !in_order || event.sequence != place || event.input != head.next || event.count != count || !actor_fits {
            return Err(format!("event {index} is out of place (COMMIT-1): {event:?}"));
        }
        if event.previous != previous || event.stamp != input.stamp || event.stream != checked.stream() {
            return Err(format!("event {index} is not chained (CHAIN-1): {event:?}"));
        }
        previous = recorded.id;
    }
    if checked.head() != checked.next().state.head() {
        return Err("the commit's head is not the state's (CHAIN-1)".into());
    }
    Ok(())
}

/// Follows the position in the flow through a commit.
struct Path<'a> {
    input: &'a Input,
    /// The stage entered last in this commit.
    entered: Option<String>,
    /// The role of the gate that was accepted since the present stage was entered.
    accepted: Option<String>,
    walked: bool,
}

impl<'a> Path<'a> {
    fn of(_: &Run, input: &'a Input) -> Self {
        Path { input, entered: None, accepted: None, walked: false }
    }

    fn event(&mut self, run: &Run, event: &Envelope) -> Result<(), String> {
        let state = &run.state;
        if state.closed.is_some() && event.body.schema().class == Class::Decision {
            return Err(format!("decided after the end: {event:?}"));
        }
        match &event.body {
            Event::StageEntered(body) => {
                self.enter(run, &body.stage)?;
                self.entered = Some(body.stage.clone());
                self.accepted = None;
                self.walked = false;
            }
            Event::WalkedBack(_) => self.walked = true,
            Event::GateOpened(body) => gate_opened(state, event.stamp.ms, body)?,
            Event::GateDecided(body) => {
                self.gate_decided(run, body)?;
                if body.outcome == GateOutcome::Accepted {
                    self.accepted = Some(body.role.clone());
                }
            }
            Event::GateWithdrawn(body) if state.gate.as_ref().is_none_or(|gate| gate.sequence != body.gate) => {
                return Err("a gate is withdrawn that does not wait (GATE-1)".into());
            }
            Event::MergeIntended(body) => {
                let Some(approval) = &state.approval else { return Err("a merge without an acceptance".into()) };
                let fits = approval.role == FINAL
                    && approval.decision == body.decision
                    && body.artifact == approval.artifact
                    && body.artifact == artifact(state)
                    && body.tree == state.tree
                    && approval.tree == state.tree
                    && body.base == state.opened.base_commit;
                if !fits {
                    return Err(format!("a merge of something that no acceptance stands for (MERGE-3): {body:?}"));
                }
            }
            Event::RunClosed(body) if body.verdict == Verdict::Accepted => {
                if state.blockers().next().is_some() {
                    return Err("accepted with an open blocker (FINDING-5)".into());
                }
                if !matches!(self.input.body, Event::MergeFinished(_)) {
                    return Err("accepted before its branch exists (MERGE-2)".into());
                }
            }
            Event::SpawnRequested(body) => {
                let twice = state
                    .pending
                    .values()
                    .any(|pending| matches!(&pending.what, Asked::Spawn { agent, .. } if *agent == body.agent));
                if twice {
                    return Err(format!("agent {} is under way twice (EFFECT-4)", body.agent));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// GATE-1, RECOVERY-1: no stage is passed by, and no gate is left forwards without its acceptance.
    fn enter(&self, run: &Run, stage: &str) -> Result<(), String> {
        let state = &run.state;
        let Some(flow) = state.flow.as_ref().and_then(|flow| run.terms.bundle().flows.get(flow)) else { return Ok(()) };
        let Some(to) = flow.position(stage) else { return Ok(()) };
        let from = flow.position(&state.stage);
        if from.is_some_and(|from| to <= from) {
            return Ok(());
        }
        let between = from.map_or(0, |from| from + 1)..to;
        if let Some(skipped) = flow.stages[between].iter().find(|stage| stage.when.is_none()) {
            return Err(format!("stage {} is passed by (RECOVERY-1)", skipped.name));
        }
        let Some(left) = from.map(|from| &flow.stages[from]) else { return Ok(()) };
        if self.walked {
            return Err("walked back and then entered a later stage".into());
        }
        if let StageKind::Gate { role } = &left.kind
            && self.accepted.as_ref() != Some(role)
        {
            return Err(format!("gate {} is left forwards without an acceptance (GATE-1)", left.name));
        }
        let asks = match &self.input.body {
            Event::RecoveryRequested(_) | Event::RunSteered(_) | Event::RiskAccepted(_) | Event::RulesAdded(_) => true,
            Event::TimerFired(body) => state.gate.as_ref().is_some_and(|gate| gate.sequence == body.subject),
            _ => false,
        };
        if asks && self.entered.as_ref() != Some(&left.name) {
            return Err(format!("stage {} is left by a request that passes nothing (RECOVERY-1)", left.name));
        }
        Ok(())
    }

    /// GATE-1: whoever is said to have decided did.
    fn gate_decided(&self, run: &Run, body: &GateDecided) -> Result<(), String> {
        let state = &run.state;
        let fits = match body.by {
            DecidedBy::Person => {
                let Event::GateAnswered(answer) = &self.input.body else {
                    return Err("a person decided without an answer (GATE-1)".into());
                };
                matches!(self.input.actor, Actor::Person { descends: None, .. })
                    && answer.answer.outcome() == body.outcome
                    && body.gate == Some(answer.gate)
                    && state.gate.as_ref().is_some_and(|gate| {
                        gate.sequence == answer.gate && gate.artifact == body.artifact && gate.role == body.role
                    })
            }
            DecidedBy::Policy => {
                let set = state.opened.policies.get(&body.role).copied();
                let policy = set.or_else(|| run.terms.bundle().roles.get(&body.role).map(|role| role.policy));
                body.gate.is_none()
                    && state.gate.is_none()
                    && match (policy, body.outcome) {
                        (Some(Policy::OnBlockers | Policy::Auto), GateOutcome::Accepted) => {
                            state.blockers().next().is_none()
                        }
                        (Some(Policy::Auto), GateOutcome::Revised) => true,
                        _ => false,
                    }
            }
            DecidedBy::Deadline => {
                body.outcome != GateOutcome::Accepted
                    && matches!(&self.input.body, Event::TimerFired(fired) if Some(fired.subject) == body.gate)
            }
        };
        let sent_back = matches!(&self.input.body, Event::GateAnswered(answer) if answer.answer == Answer::Revise);
        if sent_back && body.outcome == GateOutcome::Accepted {
            return Err("a policy accepts what a person has just sent back (GATE-5)".into());
        }
        if fits { Ok(()) } else { Err(format!("a gate is decided by nobody who may (GATE-1): {body:?}")) }
    }
}

/// GATE-3: one gate at a time; a deadline, an owner, a default that is never an acceptance.
fn gate_opened(state: &State, now_ms: u64, body: &GateOpened) -> Result<(), String> {
    if state.gate.is_some() {
        return Err("a gate is opened over one that waits (GATE-1)".into());
    }
    let dated = body.deadline_ms >= now_ms && body.deadline_ms < u64::MAX;
    let safe = matches!(body.default, GateOutcome::Rejected | GateOutcome::Abandoned);
    if !dated || !safe || body.owner.is_empty() || body.artifact != artifact(state) || body.tree != state.tree {
        return Err(format!("a gate that could wait for ever or speaks of something else (GATE-3): {body:?}"));
    }
    Ok(())
}

/// STATE-1, STATE-3: nothing is left half done, nothing hangs, nothing grows.
fn settled(state: &State) -> Result<(), String> {
    if !state.settling.is_empty() || state.note_in_hand.is_some() {
        return Err("something is left half done after the commit".into());
    }
    let waits = !state.pending.is_empty() || !state.timers.is_empty() || state.gate.is_some() || state.hold.is_some();
    match state.closed {
        None if !waits => Err("the run is open and nothing can move it: a dead end (STATE-3)".into()),
        Some(_) if waits => Err("the run is closed and something still waits".into()),
        _ if state.notes.len() > NOTES_MAX => Err("notes grow without bound (STATE-1)".into()),
        _ => Ok(()),
    }
}

/// BUDGET-1, BUDGET-2: what is reserved is what is pending, and nothing is asked for beyond the caps.
fn budget(state: &State, events: &[Envelope]) -> Result<(), String> {
    let mut reserved = Amount::default();
    for pending in state.pending.values() {
        reserved.spawns += pending.reserved.spawns;
        reserved.tokens += pending.reserved.tokens;
        reserved.money_micro += pending.reserved.money_micro;
        reserved.time_ms += pending.reserved.time_ms;
    }
    if reserved != state.budget.reserved {
        return Err(format!("reserved {:?}, but pending is {reserved:?} (BUDGET-2)", state.budget.reserved));
    }
    let asked = events.iter().any(|event| matches!(event.body, Event::SpawnRequested(_) | Event::CheckRequested(_)));
    if asked && let Some(over) = state.budget.exceeded(&state.opened.caps, &Amount::default()) {
        return Err(format!("asked for more than the caps hold (BUDGET-1): {over:?}"));
    }
    Ok(())
}

/// EFFECT-1: what is started is what became pending, what is stopped is what nobody waits for any more. PAUSE-1: what
/// became pending while the run is held is started when it goes on.
fn effects(before: Option<&Run>, checked: &Checked<Run>) -> Result<(), String> {
    use loom_core::effect::Effect;
    let after = &checked.next().state;
    let none = std::collections::BTreeMap::new();
    let pending = before.map_or(&none, |run| &run.state.pending);
    let mut started = BTreeSet::new();
    let mut stopped = BTreeSet::new();
    for effect in checked.effects() {
        match effect {
            Effect::Start { id, .. } => started.insert(*id),
            Effect::Stop { id } => stopped.insert(*id),
        };
    }
    let held = |state: &State, id: u64| state.hold.is_some_and(|hold| id > hold.since);
    let begun = |id: &u64| before.is_some_and(|run| run.state.pending.contains_key(id) && !held(&run.state, *id));
    let wanted: BTreeSet<u64> = after.pending.keys().filter(|id| !begun(id) && !held(after, **id)).copied().collect();
    let unwanted: BTreeSet<u64> = pending.keys().filter(|id| after.given_up.contains(id)).copied().collect();
    if started == wanted && stopped == unwanted {
        Ok(())
    } else {
        Err(format!("started {started:?} of {wanted:?}, stopped {stopped:?} of {unwanted:?} (EFFECT-1)"))
    }
}

/// Returns the digest of what a gate approves in this state, computed apart from the kernel (ID-5).
pub fn artifact(state: &State) -> Digest {
    let mut parts: Vec<Vec<u8>> = vec![state.opened.base_commit.clone(), state.tree.clone()];
    parts.extend(state.rules.iter().map(|rules| rules.0.to_vec()));
    for (agent, answer) in &state.advice {
        parts.extend([agent.as_bytes().to_vec(), answer.0.to_vec()]);
    }
    let whole: Vec<u8> = parts
        .iter()
        .flat_map(|part| (part.len() as u64).to_be_bytes().into_iter().chain(part.iter().copied()))
        .collect();
    digest(ARTIFACT_CONTEXT, &[&whole])
}
