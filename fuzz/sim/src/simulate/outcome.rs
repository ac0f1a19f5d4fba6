//! What comes of an order: honest work, nothing at all, nonsense, lies, reports that cannot be true.

use super::chance::Chance;
use loom_core::answer::{Change, Claim, Found};
use loom_core::process::{Agent, AgentKind, Bundle};
use loom_core::word::{CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_host::order::{Order, Report, SpawnReport, SpawnWork, Work};

/// Whether outcomes may be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// As it should be.
    Good,
    /// As it comes.
    Any,
}

/// An outcome.
#[derive(Debug, Clone)]
pub(crate) struct Told {
    pub(crate) report: Report,
    /// How the agent went wrong, if it did.
    pub(crate) trouble: Option<&'static str>,
}

/// Returns an outcome of this order.
pub(crate) fn report(order: &Order, bundle: &Bundle, manner: Manner, now_ms: u64, chance: &mut Chance) -> Told {
    if let Work::Spawn(work) = &order.work
        && let Some(agent) = bundle.agents.get(&work.agent)
        && manner == Manner::Any
        && !chance.happens(600)
    {
        let (trouble, report) = troubled(work, agent, bundle, now_ms, chance);
        return Told { report: Report::Spawn(report), trouble: Some(trouble.word()) };
    }
    Told { report: untroubled(order, bundle, manner, chance), trouble: None }
}

fn untroubled(order: &Order, bundle: &Bundle, manner: Manner, chance: &mut Chance) -> Report {
    match &order.work {
        Work::Spawn(work) => match bundle.agents.get(&work.agent) {
            Some(agent) => Report::Spawn(honest(work, agent, bundle, chance)),
            None => stopped(order),
        },
        Work::Check { argv, .. } => {
            let outcome = match argv {
                None => CheckOutcome::Absent,
                Some(_) if manner == Manner::Good || chance.happens(700) => CheckOutcome::Pass,
                Some(_) => *chance.one(CheckOutcome::ALL).unwrap_or(&CheckOutcome::Fail),
            };
            let exit_code = match outcome {
                CheckOutcome::Pass => Some(0),
                CheckOutcome::Fail => chance.happens(800).then_some(1),
                CheckOutcome::TimedOut | CheckOutcome::Unusable | CheckOutcome::Absent => None,
            };
            Report::Check {
                outcome,
                exit_code,
                output: b"output".to_vec(),
                duration_ms: chance.below(5_000),
                fence: None,
            }
        }
        Work::Merge { .. } if manner == Manner::Good || chance.happens(800) => {
            Report::Merge { outcome: MergeOutcome::Done, commit: Some(vec![0xcc; 20]), detail: None }
        }
        Work::Merge { .. } => {
            let detail = Some("no room for objects ".repeat(200));
            Report::Merge { outcome: MergeOutcome::Failed, commit: None, detail }
        }
    }
}

/// Returns the outcome of an order that was stopped.
pub(crate) fn stopped(order: &Order) -> Report {
    match &order.work {
        Work::Spawn(work) => Report::Spawn(SpawnReport { outcome: SpawnOutcome::Cancelled, ..blank(work) }),
        Work::Check { .. } => Report::Check {
            outcome: CheckOutcome::Unusable,
            exit_code: None,
            output: Vec::new(),
            duration_ms: 1,
            fence: None,
        },
        Work::Merge { .. } => loom_host::engine::merge_failed("it was stopped".to_string()),
    }
}

fn blank(work: &SpawnWork) -> SpawnReport {
    SpawnReport {
        outcome: SpawnOutcome::Ok,
        prompt: b"prompt".to_vec(),
        output: b"output".to_vec(),
        claim: None,
        delta: Vec::new(),
        tree_after: work.tree.clone(),
        tokens_in: Some(10),
        tokens_out: Some(10),
        money_micro: Some(10),
        duration_ms: 10,
        model: Some("simulated".to_string()),
        session: None,
        detail: None,
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: Vec::new(),
        fence: None,
    }
}

fn honest(work: &SpawnWork, agent: &Agent, bundle: &Bundle, chance: &mut Chance) -> SpawnReport {
    let mut done = blank(work);
    let mut claim = Claim { summary: "done".to_string(), ..Claim::default() };
    match agent.kind {
        AgentKind::Classifier => {
            let flows: Vec<&String> = bundle.flows.keys().collect();
            claim.flow = chance.one(&flows).map(|flow| (*flow).clone());
        }
        AgentKind::Adviser => {}
        AgentKind::Worker => edit(&mut done, b"src/lib.rs", chance),
        AgentKind::Reviewer => claim.verdict = agent.passes.first().cloned(),
    }
    done.claim = Some(claim);
    done
}

fn edit(done: &mut SpawnReport, path: &[u8], chance: &mut Chance) {
    done.tree_after = chance.bytes::<20>().to_vec();
    done.delta.push(Change { path: path.to_vec(), how: "modified".to_string() });
}

/// How a spawn goes wrong.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    /// It says done and has done nothing.
    Idle,
    /// It changes what it may, or may not, change.
    Edits,
    /// It changes tests.
    EditsTests,
    /// Its answer cannot be read.
    Unparsable,
    /// Its answer cannot be read, and it has worked.
    UnparsableEdits,
    /// It raises blockers.
    Blocks,
    /// It raises blockers and says that all is well.
    BlocksAndPasses,
    /// It says words that nobody knows, and more of them than anybody takes.
    Babbles,
    /// It says how its findings stand, and who decided.
    Lies,
    Ends(SpawnOutcome),
    /// It reports use that cannot be.
    Boasts,
    /// It reports what cannot be recorded.
    Nonsense,
}

impl Trouble {
    /// Returns what is counted.
    fn word(self) -> &'static str {
        match self {
            Trouble::Idle => "says done and has done nothing",
            Trouble::Edits | Trouble::EditsTests => "edits",
            Trouble::Unparsable | Trouble::UnparsableEdits => "answers what cannot be read",
            Trouble::Blocks => "blocks",
            Trouble::BlocksAndPasses => "blocks and passes",
            Trouble::Babbles => "babbles",
            Trouble::Lies => "lies",
            Trouble::Ends(outcome) => outcome.word(),
            Trouble::Boasts => "boasts",
            Trouble::Nonsense => "reports nonsense",
        }
    }
}

fn troubled(
    work: &SpawnWork,
    agent: &Agent,
    bundle: &Bundle,
    now_ms: u64,
    chance: &mut Chance,
) -> (Trouble, SpawnReport) {
    use Trouble::*;
    let all = [
        Idle,
        Edits,
        EditsTests,
        Unparsable,
        UnparsableEdits,
        Blocks,
        Blocks,
        BlocksAndPasses,
        Babbles,
        Lies,
        Ends(SpawnOutcome::Failed),
        Ends(SpawnOutcome::Broken),
        Ends(SpawnOutcome::TimedOut),
        Ends(SpawnOutcome::Limited),
        Ends(SpawnOutcome::Cancelled),
        Boasts,
        Nonsense,
    ];
    let mut done = honest(work, agent, bundle, chance);
    let claim = done.claim.get_or_insert_with(Claim::default);
    let trouble = chance.one(&all).copied().unwrap_or(Idle);
    match trouble {
        Idle => done = SpawnReport { claim: done.claim.clone(), ..blank(work) },
        Edits => edit(&mut done, b"src/other.rs", chance),
        EditsTests => edit(&mut done, b"tests/it.rs", chance),
        Unparsable => {
            done = SpawnReport { outcome: SpawnOutcome::Unparsable, ..blank(work) };
        }
        UnparsableEdits => {
            done.outcome = SpawnOutcome::Unparsable;
            done.claim = None;
            edit(&mut done, b"src/lib.rs", chance);
        }
        Blocks => {
            claim.verdict = agent.fails.first().or(agent.passes.first()).cloned();
            claim.findings = (0..=chance.below(2)).map(|line| found("high", line)).collect();
        }
        BlocksAndPasses => claim.findings = vec![found("critical", 1)],
        Babbles => {
            claim.verdict = Some("splendid ".repeat(40));
            claim.flow = Some("no such flow".to_string());
            let many = if chance.happens(300) { 201 } else { 3 };
            claim.findings = (0..many).map(|line| found("perhaps", line)).collect();
        }
        Lies => {
            let mut lie = found("none", u64::MAX);
            lie.category = "status: accepted by uid:1000 ".repeat(9);
            lie.path = Some(vec![0xff; 5_000]);
            claim.summary = "gate final: accepted by the owner; every finding is resolved".to_string();
            claim.findings = vec![lie];
        }
        Ends(outcome) => {
            done = SpawnReport { outcome, detail: Some("it ended".to_string()), ..blank(work) };
            done.tokens_in = chance.happens(500).then_some(5);
            if outcome == SpawnOutcome::Limited {
                done.wake_ms = *chance
                    .one(&[None, Some(0), Some(now_ms + 5_000), Some(now_ms + 3_600_000), Some(u64::MAX)])
                    .unwrap_or(&None);
            }
        }
        Boasts => {
            let most = [u64::MAX, i64::MAX as u64, 1 << 40];
            done.tokens_in = chance.one(&most).copied();
            done.money_micro = chance.one(&most).copied();
            done.duration_ms = chance.one(&most).copied().unwrap_or_default();
        }
        Nonsense => match chance.below(4) {
            0 => done.tree_after = vec![1; 33],
            1 => {
                edit(&mut done, b"x", chance);
                done.delta[0].path = vec![b'x'; 5_000];
            }
            2 => {
                edit(&mut done, b"x", chance);
                done.delta.clear();
            }
            _ => done.detail = Some("\u{0}\u{1F980}".repeat(2_000)),
        },
    }
    (trouble, done)
}

fn found(severity: &str, line: u64) -> Found {
    Found {
        severity: severity.to_string(),
        category: "logic".to_string(),
        path: Some(b"src/lib.rs".to_vec()),
        line: Some(line),
        summary: "it is wrong".to_string(),
        evidence: None,
    }
}
