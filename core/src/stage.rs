//! Moves a run through its process: entering stages, going on, walking back, asking, closing.
//!
//! Every function here drafts decisions; a refusal ends the derivation at once and is handled in
//! [`Driver::settle`], once per commit (COMMIT-4).

use crate::answer::{Recipe, artifact};
use crate::commit::Blob;
use crate::draft::{Draft, Refusal, clipped};
use crate::id::Digest;
use crate::kind::*;
use crate::planted::planted;
use crate::process::{
    ASK, Agent, AgentKind, Bundle, CLASSIFY, FINAL, Flow, OnRefused, Policy, REPLANS_CEILING, Role, Stage, StageKind,
};
use crate::rules::Outcome;
use crate::run::Terms;
use crate::state::{Amount, Asked};
use crate::word::{ChosenBy, DecidedBy, GateOutcome, Origin, Resolution, Verdict};
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// The result of drafting decisions.
pub(crate) type Drafted = Result<(), Refusal>;

/// A draft with the process that it follows.
pub(crate) struct Driver<'r> {
    pub(crate) draft: Draft<'r>,
    pub(crate) terms: Arc<Terms>,
}

impl<'r> Driver<'r> {
    /// Returns a driver of the draft.
    pub(crate) fn new(draft: Draft<'r>) -> Self {
        let terms = draft.run.terms.clone();
        Driver { draft, terms }
    }

    pub(crate) fn bundle(&self) -> &Bundle {
        self.terms.bundle()
    }

    /// Runs a derivation; when rules refuse it, derives what the stage says instead, once (COMMIT-4).
    pub(crate) fn settle(&mut self, derive: impl FnOnce(&mut Self) -> Drafted) {
        let Err(first) = derive(self) else { return };
        let reason = format!("a rule refused what was decided at `{}`", first.stage);
        let stage = self.stage_named(&first.stage);
        // Rules that refuse what a policy decided say that the policy is not enough: a person is asked (GATE-5).
        let on_refused = match &stage {
            Some(stage) if !first.by_policy => stage.on_refused,
            Some(_) | None => OnRefused::Ask,
        };
        // What a person's answer led to is not by itself; everything else is, and capped.
        let automatic = !self.draft.is_answer();
        let second = match (on_refused, stage) {
            (OnRefused::WalkBack, Some(Stage { revise_to: Some(to), .. })) => {
                match automatic.then(|| self.cannot_replan()).flatten() {
                    None => {
                        let under_way = self.under_way();
                        self.give_up(&under_way);
                        self.walk_back(&to, &reason, automatic)
                    }
                    Some(why) => {
                        self.ask(&why);
                        Ok(())
                    }
                }
            }
            (OnRefused::Fail, _) => {
                let under_way = self.under_way();
                self.give_up(&under_way);
                self.close(Verdict::Failed, &reason);
                Ok(())
            }
            (OnRefused::WalkBack | OnRefused::Ask, _) => self.ask_at_gate(first.until, &reason),
        };
        if second.is_err() {
            self.ask("a rule refused the way back as well");
        }
    }

    /// Decides again what had led to the last gate, so that no gate before it is passed without its decision, and
    /// asks there.
    fn ask_at_gate(&mut self, until: Vec<Event>, reason: &str) -> Drafted {
        for again in until {
            if matches!(again, Event::GateOpened(_) | Event::GateWithdrawn(_)) {
                self.draft.enact(again);
            } else {
                self.draft.decide(again)?;
            }
        }
        self.ask(reason);
        Ok(())
    }

    /// Returns the flow, if it is chosen.
    pub(crate) fn flow(&self) -> Option<&Flow> {
        self.terms.flow(self.draft.state())
    }

    /// Returns the stage of that name in the present flow; the classifier's stage stands before all flows.
    pub(crate) fn stage_named(&self, name: &str) -> Option<Stage> {
        if name == CLASSIFY {
            let agent = self.bundle().classifier.clone()?;
            return Some(Stage {
                name: CLASSIFY.to_string(),
                phase: CLASSIFY.to_string(),
                kind: StageKind::Spawn { agent, escalate: None },
                when: None,
                revise_to: None,
                on_refused: OnRefused::Ask,
            });
        }
        self.flow()?.stages.iter().find(|stage| stage.name == name).cloned()
    }

    /// Returns the present stage.
    pub(crate) fn stage(&self) -> Option<Stage> {
        self.stage_named(&self.draft.state().stage)
    }

    /// Chooses the flow, or has it chosen.
    pub(crate) fn set_out(&mut self) -> Drafted {
        if let Some(flow) = self.draft.state().opened.flow.clone() {
            return self.choose_flow(&flow, ChosenBy::Pin);
        }
        match self.stage_named(CLASSIFY) {
            Some(stage) => self.enter(&stage),
            None => {
                let flow = self.bundle().default_flow.clone();
                self.choose_flow(&flow, ChosenBy::Default)
            }
        }
    }

    /// Settles the flow and enters its first stage.
    pub(crate) fn choose_flow(&mut self, name: &str, by: ChosenBy) -> Drafted {
        let terms = self.terms.clone();
        let Some(flow) = terms.bundle().flows.get(name) else {
            self.ask(&format!("the bundle has no flow `{name}`"));
            return Ok(());
        };
        let waived = self.draft.state().opened.checks_waived.clone();
        self.draft.decide(FlowChosen {
            flow: name.to_string(),
            by,
            required_reviewers: flow.required_reviewers.clone().into(),
            required_checks: flow.required_checks.iter().filter(|check| !waived.contains(*check)).cloned().collect(),
            edits: flow.edits,
        })?;
        self.enter_from(flow, 0)
    }

    /// Goes on to the stage after the present one.
    pub(crate) fn advance(&mut self) -> Drafted {
        let terms = self.terms.clone();
        let Some(flow) = terms.flow(self.draft.state()) else {
            self.ask("the run has no flow to go on in");
            return Ok(());
        };
        let next = flow.position(&self.draft.state().stage).map_or(0, |index| index + 1);
        self.enter_from(flow, next)
    }

    /// Enters the first stage from `index` whose condition is not false.
    fn enter_from(&mut self, flow: &Flow, index: usize) -> Drafted {
        for stage in flow.stages.iter().skip(index) {
            if self.applies(stage) {
                return self.enter(stage);
            }
        }
        self.ask("the flow has no stage left to enter");
        Ok(())
    }

    /// A condition that is unknown or an error does not let a stage be passed by (STAGE-2).
    fn applies(&self, stage: &Stage) -> bool {
        let Some(condition) = stage.when.as_ref().and_then(|text| self.terms.condition(text)) else { return true };
        self.terms.rules().evaluate(condition, &self.draft.run.facts) != Outcome::False
    }

    fn entered(&self, stage: &Stage) -> StageEntered {
        let state = self.draft.state();
        let round = match state.rounds.get(&stage.phase) {
            None => 1,
            Some(round) if state.phase == stage.phase => *round,
            Some(round) => round + 1,
        };
        StageEntered { stage: stage.name.clone(), phase: stage.phase.clone(), round }
    }

    /// Enters a stage and begins its work.
    pub(crate) fn enter(&mut self, stage: &Stage) -> Drafted {
        let entered = self.entered(stage);
        self.draft.decide(entered)?;
        match &stage.kind {
            StageKind::Spawn { agent, escalate } => {
                let agent = self.worker_of(stage, agent, escalate.as_deref())?;
                self.spawn_all(&[(agent, 1)], None)
            }
            StageKind::Fanout { agents } => {
                let blocked = &self.draft.state().blocked;
                let first: Vec<_> = agents.iter().filter(|agent| blocked.contains(*agent)).cloned().collect();
                let wave = if first.is_empty() { agents.clone() } else { first };
                self.spawn_all(&wave.into_iter().map(|agent| (agent, 1)).collect::<Vec<_>>(), None)
            }
            StageKind::Gate { role } => self.decide_by_policy(stage, role),
            StageKind::Step { checks } => self.request_checks(stage, checks),
            StageKind::Finalize => self.finalize(),
        }
    }

    /// Returns who works at the stage: the escalation after enough blocked rounds, recorded once (LOOP-4).
    fn worker_of(&mut self, stage: &Stage, agent: &str, escalate: Option<&str>) -> Result<String, Refusal> {
        let state = self.draft.state();
        if let Some(worker) = state.escalated.get(&stage.name) {
            return Ok(worker.clone());
        }
        let blocked = state.blocked_rounds.get(&stage.name).copied().unwrap_or(0);
        match escalate {
            Some(stronger) if blocked >= self.bundle().limits.escalate_after => {
                self.draft.decide(AgentEscalated {
                    stage: stage.name.clone(),
                    from: agent.to_string(),
                    to: stronger.to_string(),
                })?;
                Ok(stronger.to_string())
            }
            Some(_) | None => Ok(agent.to_string()),
        }
    }

    /// Requests spawns of agents, each with its attempt; none of them if the budget does not hold for all.
    pub(crate) fn spawn_all(&mut self, wave: &[(String, u64)], repair: Option<Digest>) -> Drafted {
        let mut more = Amount::default();
        let mut orders = Vec::with_capacity(wave.len());
        for (name, attempt) in wave {
            let Some(agent) = self.bundle().agents.get(name).cloned() else {
                self.ask(&format!("the bundle has no agent `{name}`"));
                return Ok(());
            };
            let one = Amount::of_spawn(&agent);
            more.spawns += one.spawns;
            more.tokens = more.tokens.saturating_add(one.tokens);
            more.money_micro = more.money_micro.saturating_add(one.money_micro);
            more.time_ms = more.time_ms.saturating_add(one.time_ms);
            orders.push((name, agent, *attempt));
        }
        if self.exhausted(&more) {
            return Ok(());
        }
        for (name, agent, attempt) in orders {
            self.spawn(name, &agent, attempt, repair)?;
        }
        Ok(())
    }

    /// Closes the run when `more` does not fit into its budget; nothing is called without a budget (BUDGET-1).
    fn exhausted(&mut self, more: &Amount) -> bool {
        let state = self.draft.state();
        let Some((name, sum, cap)) = state.budget.exceeded(&state.opened.caps, more) else { return false };
        self.close(Verdict::Exhausted, &format!("the budget of {name} is exhausted: {sum} needed of {cap}"));
        true
    }

    fn spawn(&mut self, name: &str, agent: &Agent, attempt: u64, repair: Option<Digest>) -> Drafted {
        let state = self.draft.state();
        let advice = state
            .advice
            .iter()
            .filter(|(adviser, _)| {
                self.bundle().agents.get(*adviser).is_some_and(|found| found.kind == AgentKind::Adviser)
            })
            .map(|(adviser, answer)| (adviser.clone(), *answer))
            .collect();
        let recipe = Recipe {
            template: agent.template,
            task: state.opened.task,
            notes: state.notes.iter().map(|note| note.digest).collect(),
            advice,
            findings: state.to_mend.iter().copied().chain(state.blockers().map(|(sequence, _)| sequence)).collect(),
            base_tree: state.opened.base_tree.clone(),
            tree: state.tree.clone(),
            repair,
        };
        let blob = Blob::plain(&recipe.encode());
        let request = SpawnRequested {
            agent: name.to_string(),
            stage: state.stage.clone(),
            attempt,
            recipe: blob.digest,
            tree: state.tree.clone(),
            edits: agent.kind == AgentKind::Worker,
            reserve_tokens: agent.reserve_tokens,
            reserve_money_micro: agent.reserve_money_micro,
            reserve_time_ms: agent.reserve_time_ms,
        };
        self.draft.decide(request)?;
        self.draft.blob(blob);
        Ok(())
    }

    fn request_checks(&mut self, stage: &Stage, checks: &[String]) -> Drafted {
        let waived = &self.draft.state().opened.checks_waived;
        let required = self.flow().map_or(&[][..], |flow| &flow.required_checks);
        let wanted: Vec<String> =
            checks.iter().filter(|check| required.contains(check) && !waived.contains(*check)).cloned().collect();
        if wanted.is_empty() {
            return self.advance();
        }
        let time_ms = self.bundle().limits.check_time_ms;
        let more = Amount { time_ms: time_ms.saturating_mul(wanted.len() as u64), ..Amount::default() };
        if self.exhausted(&more) {
            return Ok(());
        }
        let tree = self.draft.state().tree.clone();
        for check in wanted {
            self.draft.decide(CheckRequested {
                check,
                stage: stage.name.clone(),
                tree: tree.clone(),
                reserve_time_ms: time_ms,
            })?;
        }
        Ok(())
    }

    /// Returns the digest of exactly what a gate approves: base, tree, advice and rules (ID-5).
    pub(crate) fn artifact(&self) -> Digest {
        let state = self.draft.state();
        let advice = state.advice.iter().map(|(adviser, answer)| (adviser.as_str(), answer));
        artifact(&state.opened.base_commit, &state.tree, &state.rules, advice)
    }

    /// Returns the effective policy of a gate role.
    fn policy(&self, role: &str) -> Policy {
        let given = self.draft.state().opened.policies.get(role).copied();
        given.unwrap_or_else(|| self.bundle().roles.get(role).map_or(Policy::Human, |found| found.policy))
    }

    /// Decides a gate by its policy, or asks (GATE-2).
    fn decide_by_policy(&mut self, stage: &Stage, role: &str) -> Drafted {
        let blockers = self.draft.state().blockers().count();
        let harness = self.draft.state().blockers().any(|(_, finding)| finding.origin == Origin::Harness);
        let policy = self.policy(role);
        match policy {
            Policy::Human => self.open_gate(role, policy.word(), "the policy asks a person"),
            Policy::OnBlockers | Policy::Auto if blockers == 0 => {
                self.decided_by_policy(role, policy, GateOutcome::Accepted)?;
                return self.advance();
            }
            Policy::OnBlockers => {
                self.open_gate(role, policy.word(), &format!("{blockers} blocking finding(s) stand"));
            }
            Policy::Auto => {
                if harness {
                    self.open_gate(role, policy.word(), "the machinery itself raised a blocker");
                } else if let Some(why) = self.cannot_replan() {
                    self.open_gate(role, policy.word(), &why);
                } else if let Some(to) = &stage.revise_to {
                    self.decided_by_policy(role, policy, GateOutcome::Revised)?;
                    return self.walk_back(to, &format!("{blockers} blocking finding(s) stand"), true);
                } else {
                    self.open_gate(role, policy.word(), "blockers stand and the stage has no way back");
                }
            }
        }
        Ok(())
    }

    fn decided_by_policy(&mut self, role: &str, policy: Policy, outcome: GateOutcome) -> Result<u64, Refusal> {
        let decided = GateDecided {
            gate: None,
            role: role.to_string(),
            outcome,
            by: DecidedBy::Policy,
            decider: policy.word().to_string(),
            artifact: self.artifact(),
            tree: self.draft.state().tree.clone(),
        };
        self.draft.decide(decided)
    }

    /// Returns why Loom may not walk back by itself once more: the cap (LOOP-2), or a stall (LOOP-3).
    pub(crate) fn cannot_replan(&self) -> Option<String> {
        let state = self.draft.state();
        let cap = self.bundle().limits.replans_max.min(REPLANS_CEILING);
        if state.replans >= cap {
            return Some(format!("blockers stand after {cap} automatic round(s)"));
        }
        let blockers = state.code_blockers();
        (!blockers.is_empty() && blockers == state.last_blockers)
            .then(|| "the same blockers stand as in the round before".to_string())
    }

    /// Asks a person at the present stage; never judged (COMMIT-5).
    pub(crate) fn ask(&mut self, reason: &str) {
        let role = match self.stage().map(|stage| stage.kind) {
            Some(StageKind::Gate { role }) => role,
            Some(StageKind::Spawn { .. } | StageKind::Fanout { .. } | StageKind::Step { .. } | StageKind::Finalize)
            | None => ASK.to_string(),
        };
        self.withdraw_gate("the question is put anew");
        self.open_gate(&role, ASK, reason);
    }

    /// Withdraws the gate that waits, if one does.
    pub(crate) fn withdraw_gate(&mut self, reason: &str) {
        if let Some(gate) = &self.draft.state().gate {
            let gate = gate.sequence;
            self.draft.enact(GateWithdrawn { gate, reason: clipped(reason, 400) });
        }
    }

    /// Opens a gate for a person; never judged (COMMIT-5). Every gate has a deadline, an owner and a default (GATE-3).
    pub(crate) fn open_gate(&mut self, role: &str, policy: &str, reason: &str) {
        let ask = Role {
            policy: Policy::Human,
            deadline_ms: self.bundle().limits.ask_deadline_ms,
            default: GateOutcome::Abandoned,
            floor: Vec::new(),
        };
        let found = self.bundle().roles.get(role).cloned().unwrap_or(ask);
        let state = self.draft.state();
        let opened = GateOpened {
            role: role.to_string(),
            stage: state.stage.clone(),
            artifact: self.artifact(),
            policy: policy.to_string(),
            owner: state.opened.owner.clone(),
            deadline_ms: self.draft.now_ms().saturating_add(found.deadline_ms),
            default: found.default,
            reason: clipped(reason, 1000),
            blockers: state.blockers().map(|(sequence, _)| sequence).take(256).collect(),
            tree: state.tree.clone(),
        };
        self.draft.enact(opened);
    }

    /// Walks back to an earlier stage: its findings are superseded, its phase begins again (LOOP-1).
    pub(crate) fn walk_back(&mut self, to: &str, reason: &str, automatic: bool) -> Drafted {
        let terms = self.terms.clone();
        let (Some(flow), Some(target)) = (terms.flow(self.draft.state()), self.stage_named(to)) else {
            self.ask(&format!("there is no stage `{to}` to walk back to"));
            return Ok(());
        };
        self.withdraw_gate("the run walks back");
        let from = flow.position(to).unwrap_or(0);
        let phases: BTreeSet<&str> = flow.stages[from..].iter().map(|stage| stage.phase.as_str()).collect();
        let superseded: Vec<_> = self
            .draft
            .state()
            .findings
            .iter()
            .filter(|(_, finding)| phases.contains(finding.phase.as_str()))
            .map(|(sequence, finding)| (*sequence, finding.fingerprint))
            .collect();
        self.draft.decide(WalkedBack {
            from: self.draft.state().stage.clone(),
            to: to.to_string(),
            phase: target.phase.clone(),
            reason: clipped(reason, 400),
            automatic,
        })?;
        for (finding, fingerprint) in superseded {
            if planted(3) {
                break;
            }
            self.draft.decide(FindingResolved { finding, fingerprint, how: Resolution::Superseded })?;
        }
        self.enter(&target)
    }

    /// Does the present stage again: what the machinery raised in it is superseded, nothing is passed by.
    pub(crate) fn retry_stage(&mut self) -> Drafted {
        // Rules refused the very first stage: there is none yet to enter again.
        let Some(stage) = self.stage() else { return self.set_out() };
        let phase = stage.phase.as_str();
        let superseded: Vec<_> = self
            .draft
            .state()
            .findings
            .iter()
            .filter(|(_, finding)| finding.origin == Origin::Harness && finding.phase == phase)
            .map(|(sequence, finding)| (*sequence, finding.fingerprint))
            .collect();
        for (finding, fingerprint) in superseded {
            self.draft.decide(FindingResolved { finding, fingerprint, how: Resolution::Superseded })?;
        }
        self.enter(&stage)
    }

    /// Ends a run: an accepted tree becomes a branch, a question is answered.
    fn finalize(&mut self) -> Drafted {
        let terms = self.terms.clone();
        let Some(flow) = terms.flow(self.draft.state()) else {
            self.ask("the run has no flow to end");
            return Ok(());
        };
        if !flow.edits {
            self.close(Verdict::Answered, "the question is answered");
            return Ok(());
        }
        // What is merged is exactly what stands accepted (MERGE-3).
        let state = self.draft.state();
        let artifact = self.artifact();
        let standing = state.approval.clone().filter(|found| found.artifact == artifact && found.tree == state.tree);
        let Some(approval) = standing else { return self.approve_anew(flow) };
        let intended = MergeIntended {
            decision: approval.decision,
            artifact: approval.artifact,
            tree: state.tree.clone(),
            base: state.opened.base_commit.clone(),
            branch: state.branch(),
        };
        self.draft.decide(intended).map(drop)
    }

    /// An acceptance is void once what it approved has drifted: the final gate decides anew (GATE-4).
    fn approve_anew(&mut self, flow: &Flow) -> Drafted {
        let gate = flow
            .stages
            .iter()
            .rfind(|stage| matches!(&stage.kind, StageKind::Gate { role } if role == FINAL) && stage.when.is_none());
        match gate {
            Some(gate) => self.enter(gate),
            None => {
                self.ask("no acceptance of a final gate stands for this tree");
                Ok(())
            }
        }
    }

    /// Ends the run as anything but accepted; never judged (COMMIT-5).
    pub(crate) fn close(&mut self, verdict: Verdict, reason: &str) {
        debug_assert_ne!(verdict, Verdict::Accepted, "an acceptance is judged");
        self.withdraw_gate("the run ends");
        self.draft.enact(RunClosed { verdict, reason: clipped(reason, 400) });
    }

    /// Returns the agents of the present wave that are still under way or wait to be tried again.
    pub(crate) fn is_wave_over(&self) -> bool {
        let state = self.draft.state();
        state.timers.is_empty()
            && !state.pending.values().any(|pending| match &pending.what {
                Asked::Spawn { .. } | Asked::Check { .. } => true,
                Asked::Merge { .. } => false,
            })
    }

    /// Goes on after a fanout's wave: a round in which only those ran that had blocked, and that is clean now,
    /// runs all others on the same tree (LOOP-5).
    pub(crate) fn after_wave(&mut self) -> Drafted {
        let Some(stage) = self.stage() else { return Ok(()) };
        match &stage.kind {
            StageKind::Fanout { agents } => {
                let state = self.draft.state();
                let left: Vec<_> = agents.iter().filter(|agent| !state.delivered.contains(*agent)).cloned().collect();
                if left.is_empty() || state.blockers().next().is_some() {
                    self.advance()
                } else {
                    self.spawn_all(&left.into_iter().map(|agent| (agent, 1)).collect::<Vec<_>>(), None)
                }
            }
            StageKind::Step { .. } => self.after_checks(&stage),
            StageKind::Spawn { .. } | StageKind::Gate { .. } | StageKind::Finalize => self.advance(),
        }
    }

    /// Failed checks skip the reviewers of this round and walk back, as often as Loom may by itself (CHECK-3).
    fn after_checks(&mut self, stage: &Stage) -> Drafted {
        let failed = self.draft.state().blockers().filter(|(_, finding)| finding.origin == Origin::Check).count();
        if failed == 0 {
            return self.advance();
        }
        match (&stage.revise_to, self.cannot_replan()) {
            (Some(to), None) => self.walk_back(to, &format!("{failed} check(s) failed"), true),
            (_, Some(why)) => {
                self.ask(&why);
                Ok(())
            }
            (None, None) => {
                self.ask(&format!("{failed} check(s) failed"));
                Ok(())
            }
        }
    }
}
