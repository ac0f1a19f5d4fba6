//! An executor that answers at once with outcomes of a fixed size, so that what is measured is the engine.
//!
//! A spawn has a 4 KB prompt and a 2 KB answer; a worker changes three paths, a reviewer raises one finding.

use loom_bundles::{LoadedBundle, Source, load};
use loom_core::answer::{Change, Claim, Found};
use loom_core::id::{Actor, Assurance, StreamId};
use loom_core::state::Amount;
use loom_core::word::{CheckOutcome, MergeOutcome, SpawnOutcome};
use loom_host::order::{Executor, Message, Order, Outbox, Report, SpawnReport, SpawnWork, Work};
use loom_host::request::Opening;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Answers every order at once.
#[derive(Default)]
pub(crate) struct Instant {
    /// How often each run's worker was asked; every fourth time it is turned away by a rate limit first.
    pub asked: Mutex<BTreeMap<StreamId, u64>>,
    /// Whether rate limits occur.
    pub limits: bool,
    /// Whether prompts and outputs are a few bytes: where only events are of interest.
    pub is_terse: bool,
}

impl Executor for Instant {
    fn start(&self, order: Order, outbox: Outbox) {
        let report = match &order.work {
            Work::Spawn(work) => Report::Spawn(self.spawn(order.stream, order.id, work)),
            Work::Check { .. } => Report::Check {
                outcome: CheckOutcome::Pass,
                exit_code: Some(0),
                output: Vec::new(),
                duration_ms: 5,
                fence: None,
            },
            Work::Merge { .. } => {
                Report::Merge { outcome: MergeOutcome::Done, commit: Some(vec![7; 20]), detail: None }
            }
        };
        let message = Message::Finished { stream: order.stream, id: order.id, report: Box::new(report) };
        outbox.send(message).expect("the benchmark listens");
    }

    fn stop(&self, _: StreamId, _: u64) {}

    fn forget(&self, _: StreamId) {}
}

impl Instant {
    fn spawn(&self, stream: StreamId, id: u64, work: &SpawnWork) -> SpawnReport {
        let mut asked = self.asked.lock().expect("nobody panics while asking");
        let count = asked.entry(stream).or_default();
        *count += 1;
        let limited = self.limits && work.edits && count.is_multiple_of(4);
        let words = if self.is_terse { 8 } else { 1_700 };
        let mut claim = Claim { summary: "x".repeat(words), ..Claim::default() };
        let mut delta = Vec::new();
        let mut tree_after = work.tree.clone();
        if work.edits {
            tree_after = [&id.to_be_bytes()[..], &[3; 12]].concat();
            delta = ["src/lib.rs", "src/limit.rs", "README.md"]
                .map(|path| Change { path: path.into(), how: "modified".into() })
                .to_vec();
        } else if work.agent == "acceptance" {
            claim.verdict = Some("pass".into());
        } else if work.agent.starts_with("reviewer") {
            claim.verdict = Some("approve".into());
            claim.findings.push(Found {
                severity: "info".into(),
                category: "naming".into(),
                path: Some(b"src/limit.rs".to_vec()),
                line: Some(12),
                summary: "the name says less than it could".into(),
                evidence: None,
            });
        }
        SpawnReport {
            outcome: if limited { SpawnOutcome::Limited } else { SpawnOutcome::Ok },
            prompt: vec![b'p'; if self.is_terse { 8 } else { 4_096 }],
            output: vec![b'o'; if self.is_terse { 8 } else { 2_048 }],
            claim: Some(claim),
            delta: if limited { Vec::new() } else { delta },
            tree_after: if limited { work.tree.clone() } else { tree_after },
            tokens_in: Some(900),
            tokens_out: Some(300),
            money_micro: Some(4_000),
            duration_ms: 40,
            model: Some("scripted-1".into()),
            session: None,
            detail: None,
            wake_ms: limited.then_some(0),
            provider: None,
            chosen: None,
            requests: None,
            transcript: Vec::new(),
            fence: None,
        }
    }
}

/// Returns the built-in bundle.
pub(crate) fn bundle() -> Arc<LoadedBundle> {
    let source = Source::builtin("code").expect("the bundle is compiled in");
    Arc::new(load(&source).expect("the bundle loads"))
}

/// Returns who asks.
pub(crate) fn person() -> Actor {
    Actor::Person { id: "uid:1000".into(), assurance: Assurance::Asserted, descends: None }
}

/// Returns a request to open a run whose flow is pinned, whose caps are far away, and whose final gate is decided
/// by `policy`.
pub(crate) fn opening(bundle: &Arc<LoadedBundle>, number: u64, flow: &str, policy: &str) -> Opening {
    let far = 1 << 50;
    Opening {
        id: number.to_be_bytes().to_vec(),
        actor: person(),
        task: format!("add rate limiting to the login endpoint, part {number}"),
        bundle: bundle.clone(),
        rules: Vec::new(),
        base_commit: vec![1; 20],
        base_tree: vec![2; 20],
        flow: Some(flow.into()),
        policies: vec![("final".into(), policy.into())],
        checks: Vec::new(),
        checks_waived: Vec::new(),
        caps: Amount { spawns: far, tokens: far, money_micro: far, time_ms: far },
        owner: "uid:1000".into(),
    }
}
