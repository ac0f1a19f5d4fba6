//! What follows from an observation: a spawn's, check's or merge's outcome, a timer, an orphaned effect.
//!
//! Records come first and always; what is decided on them may be refused (COMMIT-1, COMMIT-3).

use crate::answer::{Change, Claim, fingerprint};
use crate::draft::clipped;
use crate::id::Digest;
use crate::kind::*;
use crate::planted::planted;
use crate::process::{AgentKind, StageKind};
use crate::stage::{Drafted, Driver};
use crate::state::{Amount, Asked, Pending};
use crate::wait;
use crate::word::{
    CheckOutcome, ChosenBy, DecidedBy, GateOutcome, MergeOutcome, Origin, Resolution, Severity, SpawnOutcome, Verdict,
};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Paths of one `paths.changed`.
const PATHS_MAX: usize = 256;

/// What came with a spawn's outcome, read.
pub(crate) struct Brought {
    /// What the agent answered, where it ended well and the answer can be read.
    pub(crate) claim: Option<Claim>,
    /// The witnessed changes.
    pub(crate) changes: Vec<Change>,
}

/// What a spawn's records say about how to go on.
enum Next {
    /// The stage goes on.
    Delivered,
    /// The classifier chose.
    Flow(Option<String>),
    /// The same agent tries again.
    Again { attempt: u64, repair: Option<Digest> },
    /// It waits, then tries again.
    Wait { due_ms: u64, attempt: u64 },
    /// The machinery raised a blocker in a stage that nobody else works in.
    Stuck(String),
}

impl Driver<'_> {
    /// Derives what follows from a spawn's outcome.
    pub(crate) fn spawn_finished(&mut self, body: &SpawnFinished, was: &Pending, brought: Brought) {
        let Asked::Spawn { agent, attempt, .. } = &was.what else { return };
        let (agent, attempt) = (agent.clone(), *attempt);
        self.settle_spawn(body, was);
        self.record_changes(body.spawn, &brought.changes);
        let next = self.record_outcome(body, &agent, attempt, brought.claim);
        let spawn = body.spawn;
        self.settle(|driver| driver.after_spawn(spawn, &agent, next));
    }

    /// A late outcome of a spawn that was given up: records only (EFFECT-3).
    pub(crate) fn spawn_late(&mut self, body: &SpawnFinished, changes: &[Change]) {
        // The reserved worst case was settled when it was given up; that stands.
        self.record_changes(body.spawn, changes);
        if planted(8) && self.draft.state().closed.is_none() && self.draft.state().gate.is_none() {
            self.settle(Driver::after_wave);
        }
    }

    fn settle_spawn(&mut self, body: &SpawnFinished, was: &Pending) {
        if planted(1) {
            return;
        }
        // Turned away by a rate limit, nothing was used. Otherwise what is not known counts as reserved (BUDGET-2).
        let limited = body.outcome == SpawnOutcome::Limited;
        let tokens = used_tokens(body).or(limited.then_some(0));
        let money = body.money_micro.or(limited.then_some(0));
        self.draft.record(BudgetSettled {
            effect: body.spawn,
            tokens: tokens.unwrap_or(was.reserved.tokens),
            money_micro: money.unwrap_or(was.reserved.money_micro),
            time_ms: body.duration_ms,
            known: tokens.is_some() && money.is_some(),
        });
    }

    fn record_changes(&mut self, spawn: u64, changes: &[Change]) {
        for part in changes.chunks(PATHS_MAX) {
            self.draft.record(PathsChanged {
                spawn,
                paths: part.iter().map(|change| change.path.clone()).collect(),
                how: part.iter().map(|change| clipped(&change.how, 12)).collect(),
            });
        }
    }

    fn record_outcome(&mut self, body: &SpawnFinished, agent: &str, attempt: u64, claim: Option<Claim>) -> Next {
        let attempts_max = if planted(6) { u64::MAX } else { self.bundle().limits.attempts_max };
        let detail = body.detail.as_deref().unwrap_or("no detail was given");
        match body.outcome {
            SpawnOutcome::Ok => match claim {
                Some(claim) => self.record_claim(body, agent, attempt, claim),
                None => self.unusable(body, agent, attempt, "its answer is not of the canonical form"),
            },
            SpawnOutcome::Unparsable => self.unusable(body, agent, attempt, detail),
            SpawnOutcome::Failed | SpawnOutcome::TimedOut | SpawnOutcome::Cancelled if attempt < attempts_max => {
                Next::Again { attempt: attempt + 1, repair: None }
            }
            SpawnOutcome::Failed | SpawnOutcome::TimedOut | SpawnOutcome::Cancelled | SpawnOutcome::Broken => {
                let what = format!("{agent} {} after {attempt} attempt(s): {detail}", body.outcome.word());
                self.harness_blocker(body.spawn, agent, "spawn-failed", &what)
            }
            SpawnOutcome::Limited => {
                let now_ms = self.draft.now_ms();
                let times = self.draft.state().limited.get(agent).copied().unwrap_or(1);
                let due_ms = wait::due_ms(now_ms, body.wake_ms, times, self.bundle().limits.ask_deadline_ms);
                Next::Wait { due_ms, attempt }
            }
        }
    }

    /// An answer that cannot be used: once more, then a blocker of the machinery (LOOP-6).
    fn unusable(&mut self, body: &SpawnFinished, agent: &str, attempt: u64, why: &str) -> Next {
        if attempt < 2 {
            return Next::Again { attempt: attempt + 1, repair: body.output };
        }
        self.harness_blocker(body.spawn, agent, "unparsable-output", &format!("{agent} gave no usable answer: {why}"))
    }

    fn harness_blocker(&mut self, source: u64, agent: &str, category: &str, summary: &str) -> Next {
        self.raise(source, agent, Origin::Harness, Severity::Blocking, category, None, None, summary, None);
        Next::Stuck(summary.to_string())
    }

    #[expect(clippy::too_many_arguments, reason = "the fields of one finding, used three times below")]
    fn raise(
        &mut self,
        source: u64,
        agent: &str,
        origin: Origin,
        severity: Severity,
        category: &str,
        path: Option<Vec<u8>>,
        line: Option<u64>,
        summary: &str,
        evidence: Option<&str>,
    ) -> u64 {
        let category = clipped(category, 60);
        let path = path.filter(|path| path.len() <= crate::schema::BYTES_MAX);
        let (phase, round) = (self.draft.state().phase.clone(), self.draft.state().round(&self.draft.state().phase));
        self.draft.record(FindingRaised {
            source,
            agent: agent.to_string(),
            origin,
            severity,
            fingerprint: fingerprint(agent, &category, path.as_deref(), line),
            category,
            path,
            line,
            summary: clipped(summary, 2000),
            evidence: evidence.map(|text| clipped(text, 2000)),
            phase,
            round,
        })
    }

    fn record_claim(&mut self, body: &SpawnFinished, agent: &str, attempt: u64, claim: Claim) -> Next {
        let Some(known) = self.bundle().agents.get(agent).cloned() else { return Next::Delivered };
        let unchanged = body.tree_before == body.tree_after;
        match known.kind {
            AgentKind::Classifier if unchanged => Next::Flow(claim.flow),
            AgentKind::Adviser if unchanged => Next::Delivered,
            // A try before this one may have done the work and said so in a way that could not be read.
            AgentKind::Worker if body.tree_after != self.draft.state().tree_entered => Next::Delivered,
            AgentKind::Worker if attempt < 2 => Next::Again { attempt: attempt + 1, repair: body.output },
            AgentKind::Worker => {
                self.harness_blocker(body.spawn, agent, "no-effect", &format!("{agent} said done and changed nothing"))
            }
            AgentKind::Classifier | AgentKind::Adviser => self.harness_blocker(
                body.spawn,
                agent,
                "edited-read-only",
                &format!("{agent} may not change the tree and did; its changes were not taken over"),
            ),
            AgentKind::Reviewer => {
                self.record_review(body, agent, &known, claim, unchanged);
                Next::Delivered
            }
        }
    }

    fn record_review(
        &mut self,
        body: &SpawnFinished,
        agent: &str,
        known: &crate::process::Agent,
        claim: Claim,
        unchanged: bool,
    ) {
        let word = claim.verdict.unwrap_or_default();
        let passes = known.passes.contains(&word);
        let mut blocking = 0;
        for found in claim.findings {
            let severity = found.severity();
            blocking += u64::from(severity == Severity::Blocking);
            let evidence = found.evidence.as_deref();
            self.raise(
                body.spawn,
                agent,
                Origin::Agent,
                severity,
                &found.category,
                found.path,
                found.line,
                &found.summary,
                evidence,
            );
        }
        if !unchanged {
            blocking += 1;
            let what = format!("{agent} may not change the tree and did; its changes were not taken over");
            self.raise(
                body.spawn,
                agent,
                Origin::Harness,
                Severity::Blocking,
                "edited-read-only",
                None,
                None,
                &what,
                None,
            );
        }
        if !passes && blocking == 0 {
            blocking += 1;
            let known_word = known.fails.contains(&word);
            let (origin, category, what) = if known_word {
                (Origin::Agent, "verdict", format!("{agent} says {word} without naming a blocker"))
            } else {
                (
                    Origin::Harness,
                    "unknown-verdict",
                    format!("{agent} says `{}`, which is no verdict", clipped(&word, 40)),
                )
            };
            self.raise(body.spawn, agent, origin, Severity::Blocking, category, None, None, &what, None);
        }
        self.draft.record(VerdictGiven {
            spawn: body.spawn,
            agent: agent.to_string(),
            word: clipped(&word, 40),
            passed: passes && blocking == 0,
            tree: body.tree_before.clone(),
            blocking,
        });
    }

    fn after_spawn(&mut self, spawn: u64, agent: &str, next: Next) -> Drafted {
        self.waive_known()?;
        if self.draft.state().gate.is_some() {
            // A person is asked: what arrives meanwhile is on record, and the answer says how it goes on (GATE-1).
            return Ok(());
        }
        match next {
            Next::Again { attempt, repair } => self.spawn_all(&[(agent.to_string(), attempt)], repair),
            Next::Wait { due_ms, attempt } => {
                if self.waits_in_vain(agent, due_ms) {
                    return Ok(());
                }
                self.draft.decide(TimerSet { subject: spawn, due_ms, agent: agent.to_string(), attempt }).map(drop)
            }
            Next::Flow(chosen) => {
                let known = chosen.filter(|flow| self.bundle().flows.contains_key(flow));
                let by = if known.is_some() { ChosenBy::Classifier } else { ChosenBy::Default };
                let flow = known.unwrap_or_else(|| self.bundle().default_flow.clone());
                self.choose_flow(&flow, by)
            }
            Next::Stuck(why) if self.works_alone() => {
                self.ask(&why);
                Ok(())
            }
            Next::Stuck(_) | Next::Delivered if self.is_wave_over() => self.after_wave(),
            Next::Stuck(_) | Next::Delivered => Ok(()),
        }
    }

    /// Closes the run when the wait and what it is for do not fit into its budget (BUDGET-3).
    fn waits_in_vain(&mut self, agent: &str, due_ms: u64) -> bool {
        let wait_ms = due_ms.saturating_sub(self.draft.now_ms());
        let Some(mut more) = self.bundle().agents.get(agent).map(Amount::of_spawn) else { return false };
        more.time_ms = more.time_ms.saturating_add(wait_ms);
        let state = self.draft.state();
        let Some((name, sum, cap)) = state.budget.exceeded(&state.opened.caps, &more) else { return false };
        self.close(
            Verdict::Exhausted,
            &format!(
                "{agent} waits for a rate limit, for which the budget of {name} is too small: {sum} needed of {cap}"
            ),
        );
        true
    }

    fn works_alone(&self) -> bool {
        match self.stage().map(|stage| stage.kind) {
            Some(StageKind::Fanout { .. }) => false,
            Some(StageKind::Spawn { .. } | StageKind::Gate { .. } | StageKind::Step { .. } | StageKind::Finalize)
            | None => true,
        }
    }

    /// A risk that was taken stays taken when the same finding comes back (FINDING-4).
    fn waive_known(&mut self) -> Drafted {
        if planted(9) {
            return Ok(());
        }
        let state = self.draft.state();
        let known: Vec<_> = state
            .findings
            .iter()
            .filter(|(_, finding)| !finding.waived)
            .filter_map(|(sequence, finding)| {
                Some((*sequence, finding.fingerprint, state.waived.get(&finding.fingerprint)?.clone()))
            })
            .collect();
        for (finding, fingerprint, person) in known {
            self.draft.decide(FindingWaived { finding, fingerprint, person })?;
        }
        Ok(())
    }

    /// Derives what follows from a check's outcome.
    pub(crate) fn check_finished(&mut self, body: &CheckFinished) {
        self.draft.record(BudgetSettled {
            effect: body.request,
            tokens: 0,
            money_micro: 0,
            time_ms: body.duration_ms,
            known: true,
        });
        let check = body.check.clone();
        match body.outcome {
            CheckOutcome::Pass => {}
            CheckOutcome::Fail | CheckOutcome::TimedOut => {
                let what = match body.exit_code {
                    Some(code) => format!("check {check} failed with exit code {code}"),
                    None => format!("check {check}: {}", body.outcome.word()),
                };
                self.raise(
                    body.request,
                    &check,
                    Origin::Check,
                    Severity::Blocking,
                    "check-failed",
                    None,
                    None,
                    &what,
                    None,
                );
            }
            CheckOutcome::Unusable | CheckOutcome::Absent => {
                let what = format!("check {check} gave no result: {}", body.outcome.word());
                self.raise(
                    body.request,
                    &check,
                    Origin::Check,
                    Severity::Warn,
                    "check-absent",
                    None,
                    None,
                    &what,
                    None,
                );
            }
        }
        let passed = body.outcome == CheckOutcome::Pass;
        self.settle(|driver| {
            if passed {
                driver.clear_check(&check)?;
            }
            driver.waive_known()?;
            driver.after_check()
        });
    }

    fn after_check(&mut self) -> Drafted {
        if self.draft.state().gate.is_none() && self.is_wave_over() { self.after_wave() } else { Ok(()) }
    }

    fn clear_check(&mut self, check: &str) -> Drafted {
        let cleared: Vec<_> = self
            .draft
            .state()
            .findings
            .iter()
            .filter(|(_, finding)| finding.origin == Origin::Check && finding.agent == check)
            .map(|(sequence, finding)| (*sequence, finding.fingerprint))
            .collect();
        for (finding, fingerprint) in cleared {
            self.draft.decide(FindingResolved { finding, fingerprint, how: Resolution::Cleared })?;
        }
        Ok(())
    }

    /// Derives what follows from a merge's outcome: "completed" only with the branch present (MERGE-2).
    pub(crate) fn merge_finished(&mut self, body: &MergeFinished) {
        let detail = body.detail.clone().unwrap_or_default();
        match body.outcome {
            MergeOutcome::Done => self.settle(|driver| {
                let branch = driver.draft.state().branch();
                let closed =
                    RunClosed { verdict: Verdict::Accepted, reason: format!("accepted; the work is on {branch}") };
                driver.draft.decide(closed).map(drop)
            }),
            MergeOutcome::Failed => self.ask(&format!("the merge failed: {detail}")),
        }
    }

    /// Gives up effects that are under way, at their reserved worst case (BUDGET-2).
    pub(crate) fn give_up(&mut self, effects: &[(u64, Amount)]) {
        for (effect, reserved) in effects {
            self.draft.record(BudgetSettled {
                effect: *effect,
                tokens: reserved.tokens,
                money_micro: reserved.money_micro,
                time_ms: reserved.time_ms,
                known: false,
            });
        }
    }

    /// Returns what is under way and was reserved, merges apart: they are never given up.
    pub(crate) fn under_way(&self) -> Vec<(u64, Amount)> {
        self.draft
            .state()
            .pending
            .iter()
            .filter(|(_, pending)| !matches!(pending.what, Asked::Merge { .. }))
            .map(|(sequence, pending)| (*sequence, pending.reserved))
            .collect()
    }

    /// An effect whose driver died, or that the kernel gives up at its deadline: once more while it may (EFFECT-2).
    pub(crate) fn effect_lost(&mut self, effect: u64, was: &Pending, why: &str) {
        self.give_up(&[(effect, was.reserved)]);
        match &was.what {
            Asked::Spawn { agent, attempt, .. } => {
                let (agent, attempt) = (agent.clone(), *attempt);
                let next = if attempt < self.bundle().limits.attempts_max {
                    Next::Again { attempt: attempt + 1, repair: None }
                } else {
                    let what = format!("{agent} {why} after {attempt} attempt(s)");
                    self.harness_blocker(effect, &agent, "spawn-lost", &what)
                };
                self.settle(|driver| driver.after_spawn(effect, &agent, next));
            }
            Asked::Check { check, .. } => {
                let what = format!("check {check} {why}");
                self.raise(effect, check, Origin::Check, Severity::Blocking, "check-failed", None, None, &what, None);
                self.settle(Driver::after_check);
            }
            Asked::Merge { .. } => {}
        }
    }

    /// A hold ends by itself: the run is abandoned, unless what it holds back is a merge that was decided (PAUSE-2).
    pub(crate) fn hold_expired(&mut self) {
        let under_way = self.under_way();
        if self.draft.state().pending.len() == under_way.len() {
            self.give_up(&under_way);
            self.close(Verdict::Abandoned, "nobody let the held run go on in time");
        }
    }

    /// A gate's deadline passed: its default applies, which is never an acceptance (GATE-3).
    pub(crate) fn gate_expired(&mut self) {
        let Some(gate) = self.draft.state().gate.clone() else { return };
        let tree = self.draft.state().tree.clone();
        self.draft.enact(GateDecided {
            gate: Some(gate.sequence),
            role: gate.role.clone(),
            outcome: if planted(5) { GateOutcome::Accepted } else { gate.default },
            by: DecidedBy::Deadline,
            decider: "deadline".to_string(),
            artifact: gate.artifact,
            tree,
        });
        let verdict = match gate.default {
            GateOutcome::Rejected => Verdict::Rejected,
            GateOutcome::Accepted | GateOutcome::Revised | GateOutcome::Abandoned => Verdict::Abandoned,
        };
        self.close(verdict, &format!("nobody answered gate `{}` in time", gate.role));
    }
}

fn used_tokens(body: &SpawnFinished) -> Option<u64> {
    Some(body.tokens_in?.saturating_add(body.tokens_out?))
}
