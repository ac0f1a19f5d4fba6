//! Processes small enough to be explored to the end, built in code.
//!
//! Names are short because they are printed in counterexamples: `w` works, `a` and `b` review, `p` advises.

use crate::moves::{Repertoire, person, tree};
use loom_core::commit::{Blob, Checked};
use loom_core::id::{Digest, Stamp, StreamId};
use loom_core::kind::RunOpened;
use loom_core::process::{Agent, AgentKind, Bundle, Flow, Limits, OnRefused, Policy, Role, Stage, StageKind};
use loom_core::run::{Run, Terms};
use loom_core::step::{Declined, Input};
use loom_core::word::GateOutcome;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The rules that judge the explored runs: the ones that make `auto` safe, in few words.
pub const RULES: &str = include_str!("floor.rules");
/// A rule set that is added to runs under way.
pub const MORE_RULES: &str = include_str!("more.rules");

/// A process and how a run of it is opened.
#[derive(Debug, Clone)]
pub struct Process {
    /// Name, for the command line and for counterexamples.
    pub name: &'static str,
    /// What the run runs under.
    pub terms: Arc<Terms>,
    /// Its first event.
    pub opened: RunOpened,
    /// The blobs of that event.
    pub blobs: Vec<Blob>,
    /// The moves that are made in it.
    pub repertoire: Repertoire,
}

impl Process {
    /// Opens the run.
    pub fn open(&self) -> Result<Checked<Run>, Declined> {
        let input = Input {
            stamp: Stamp { ms: 1_000, counter: 0 },
            actor: person(),
            body: self.opened.clone().into(),
            blobs: self.blobs.clone(),
        };
        loom_core::open(self.terms.clone(), StreamId::of_run(b"sim", &self.opened.request), input)
    }
}

/// Returns every process that is explored.
pub fn all() -> Vec<Process> {
    let review = |name, policy, on_refused, reviewers: &[&str]| {
        let mut bundle = Shape::new();
        bundle.flow(
            "work",
            vec![
                worker("implement"),
                checks("check", Some("implement")),
                fanout("review", "validate", reviewers),
                Stage { on_refused, ..gate("decide", "final", Some("implement")) },
                finalize(),
            ],
        );
        bundle.role("final", policy);
        bundle.process(name, 7)
    };
    let escalates = |name, policy| {
        let mut bundle = Shape::new();
        bundle.limits.escalate_after = 1;
        bundle.flow(
            "work",
            vec![
                Stage {
                    kind: StageKind::Spawn { agent: "w".into(), escalate: Some("w2".into()) },
                    ..worker("implement")
                },
                fanout("review", "validate", &["a"]),
                gate("decide", "final", Some("implement")),
                finalize(),
            ],
        );
        bundle.role("final", policy);
        bundle.process(name, 6)
    };
    let classified = |name| {
        let mut bundle = Shape::new();
        bundle.classifier();
        bundle.flow("ask", vec![adviser("respond"), finalize()]);
        bundle.flow(
            "work",
            vec![worker("implement"), fanout("review", "validate", &["a"]), gate("decide", "final", None), finalize()],
        );
        bundle.role("final", Policy::OnBlockers);
        bundle.process(name, 5)
    };
    let planned = |name, policy| {
        let mut bundle = Shape::new();
        bundle.flow(
            "work",
            vec![
                adviser("plan"),
                fanout("plan-review", "plan", &["a"]),
                gate("approve", "plan", Some("plan")),
                worker("implement"),
                Stage { when: Some("size(facts.editors) > 0".into()), ..fanout("review", "validate", &["b"]) },
                gate("decide", "final", Some("implement")),
                finalize(),
            ],
        );
        bundle.role("plan", policy);
        bundle.role("final", policy);
        bundle.process(name, 6)
    };
    let gates_in_a_row = |name| {
        let mut bundle = Shape::new();
        bundle.flow(
            "work",
            vec![
                worker("implement"),
                gate("first", "plan", None),
                Stage { on_refused: OnRefused::Ask, ..gate("decide", "final", Some("implement")) },
                gate("publish", "publish", None),
                finalize(),
            ],
        );
        bundle.role("plan", Policy::OnBlockers);
        bundle.role("final", Policy::OnBlockers);
        bundle.role("publish", Policy::Human);
        bundle.process(name, 4)
    };
    let policy_gates = |name| {
        let mut bundle = Shape::new();
        bundle.flow(
            "work",
            vec![
                worker("implement"),
                gate("first", "plan", None),
                fanout("review", "validate", &["a"]),
                gate("second", "plan", None),
                gate("decide", "final", Some("implement")),
                finalize(),
            ],
        );
        bundle.role("plan", Policy::OnBlockers);
        bundle.role("final", Policy::OnBlockers);
        bundle.process(name, 4)
    };
    let capped = |mut process: Process, spawns| {
        process.opened.cap_spawns = spawns;
        process
    };
    let with = |process: Process, every_end, has_more: bool| Process {
        repertoire: Repertoire { every_end, more: has_more.then_some(MORE_RULES) },
        ..process
    };
    vec![
        // The first ones are small enough to be explored to the end.
        capped(review("two-reviewers-capped", Policy::OnBlockers, OnRefused::Ask, &["a", "b"]), 4),
        with(classified("classified"), true, true),
        gates_in_a_row("gates-in-a-row"),
        with(policy_gates("policy-gates"), false, true),
        with(review("human", Policy::Human, OnRefused::Ask, &["a"]), true, false),
        with(review("on-blockers", Policy::OnBlockers, OnRefused::WalkBack, &["a"]), true, true),
        review("auto", Policy::Auto, OnRefused::WalkBack, &["a"]),
        review("auto-fail", Policy::Auto, OnRefused::Fail, &["a"]),
        review("two-reviewers", Policy::OnBlockers, OnRefused::WalkBack, &["a", "b"]),
        review("two-reviewers-auto", Policy::Auto, OnRefused::Ask, &["a", "b"]),
        with(review("two-reviewers-rules", Policy::OnBlockers, OnRefused::Ask, &["a", "b"]), false, true),
        with(escalates("escalation", Policy::OnBlockers), true, false),
        escalates("escalation-auto", Policy::Auto),
        planned("planned", Policy::OnBlockers),
        with(planned("planned-human", Policy::Human), false, true),
    ]
}

/// A bundle in the making.
struct Shape {
    flows: BTreeMap<String, Flow>,
    roles: BTreeMap<String, Role>,
    classifier: bool,
    limits: Limits,
}

impl Shape {
    fn new() -> Self {
        let limits = Limits {
            replans_max: 2,
            attempts_max: 2,
            escalate_after: 2,
            ask_deadline_ms: 1_000,
            check_time_ms: 10,
            spawns: 8,
            tokens: 1_000,
            money_micro: 1_000,
            time_ms: 1_000_000,
        };
        Shape { flows: BTreeMap::new(), roles: BTreeMap::new(), classifier: false, limits }
    }

    fn flow(&mut self, name: &str, stages: Vec<Stage>) {
        let named = |wanted: fn(&StageKind) -> &[String]| -> Vec<String> {
            let mut names: Vec<String> = stages.iter().flat_map(|stage| wanted(&stage.kind)).cloned().collect();
            names.dedup();
            names
        };
        let edits = stages.iter().any(|stage| matches!(&stage.kind, StageKind::Spawn { agent, .. } if agent == "w"));
        let flow = Flow {
            required_reviewers: named(|kind| match kind {
                StageKind::Fanout { agents } => agents,
                StageKind::Spawn { .. } | StageKind::Gate { .. } | StageKind::Step { .. } | StageKind::Finalize => &[],
            })
            .into_iter()
            .filter(|_| edits)
            .collect(),
            required_checks: named(|kind| match kind {
                StageKind::Step { checks } => checks,
                StageKind::Spawn { .. } | StageKind::Gate { .. } | StageKind::Fanout { .. } | StageKind::Finalize => {
                    &[]
                }
            }),
            edits,
            stages,
        };
        self.flows.insert(name.into(), flow);
    }

    fn role(&mut self, name: &str, policy: Policy) {
        let floor = vec!["no-open-blocker".into()];
        let default = if name == "final" { GateOutcome::Rejected } else { GateOutcome::Abandoned };
        self.roles.insert(name.into(), Role { policy, deadline_ms: 500, default, floor });
    }

    fn classifier(&mut self) {
        self.classifier = true;
    }

    fn process(self, name: &'static str, spawns: u64) -> Process {
        let used: Vec<String> = self
            .flows
            .values()
            .flat_map(|flow| &flow.stages)
            .flat_map(|stage| match &stage.kind {
                StageKind::Spawn { agent, escalate } => {
                    [Some(agent.clone()), escalate.clone()].into_iter().flatten().collect()
                }
                StageKind::Fanout { agents } => agents.clone(),
                StageKind::Gate { .. } | StageKind::Step { .. } | StageKind::Finalize => Vec::new(),
            })
            .chain(self.classifier.then(|| "c".to_string()))
            .collect();
        let bundle = Bundle {
            name: name.into(),
            version: 1,
            agents: used.into_iter().map(|name| (name.clone(), agent(&name))).collect(),
            roles: self.roles,
            default_flow: "work".into(),
            flows: self.flows,
            classifier: self.classifier.then(|| "c".into()),
            limits: self.limits,
        };
        assert_eq!(bundle.flaws(), [], "the explored processes are sound");
        process(name, &bundle, &[RULES], spawns)
    }
}

/// Returns a process of this bundle under these rules, with a cap on spawns.
///
/// Panics when the terms do not load: the explored processes are written by hand.
pub fn process(name: &'static str, bundle: &Bundle, rules: &[&str], spawns: u64) -> Process {
    let bundle_blob = Blob::plain(&bundle.encode());
    let rule_blobs: Vec<Blob> = rules.iter().map(|text| Blob::plain(text.as_bytes())).collect();
    let task = Blob::salted([7; 16], b"do it");
    let terms = Terms::load(&bundle_blob, &rule_blobs).unwrap_or_else(|error| panic!("the terms load: {error}"));
    let opened = RunOpened {
        request: b"request-1".to_vec(),
        task: task.digest,
        slug: "do-it".into(),
        bundle: bundle_blob.digest,
        bundle_name: format!("{name} 1"),
        rules: rule_blobs.iter().map(|blob| blob.digest).collect(),
        base_commit: vec![0xc0; 20],
        base_tree: tree(0),
        flow: None,
        gate_roles: Vec::new().into(),
        gate_policies: Vec::new().into(),
        checks_found: Vec::new().into(),
        checks_waived: Vec::new().into(),
        cap_spawns: spawns,
        cap_tokens: 100,
        cap_money_micro: 100,
        cap_time_ms: 10_000,
        owner: "uid:1000".into(),
        loom: "0.1.0".into(),
        checks: None,
    };
    let blobs = [vec![task, bundle_blob], rule_blobs].concat();
    let repertoire = Repertoire { every_end: false, more: None };
    Process { name, terms: Arc::new(terms), opened, blobs, repertoire }
}

fn agent(name: &str) -> Agent {
    let kind = match name {
        "c" => AgentKind::Classifier,
        "p" => AgentKind::Adviser,
        "w" | "w2" => AgentKind::Worker,
        _ => AgentKind::Reviewer,
    };
    Agent {
        kind,
        template: Digest([1; 32]),
        schema: Digest([2; 32]),
        tier: "any".into(),
        passes: vec!["pass".into()],
        fails: vec!["fail".into()],
        reserve_tokens: 5,
        reserve_money_micro: 5,
        reserve_time_ms: 20,
    }
}

fn stage(name: &str, phase: &str, kind: StageKind) -> Stage {
    Stage { name: name.into(), phase: phase.into(), kind, when: None, revise_to: None, on_refused: OnRefused::Ask }
}

fn worker(name: &str) -> Stage {
    stage(name, name, StageKind::Spawn { agent: "w".into(), escalate: None })
}

fn adviser(name: &str) -> Stage {
    stage(name, name, StageKind::Spawn { agent: "p".into(), escalate: None })
}

fn fanout(name: &str, phase: &str, agents: &[&str]) -> Stage {
    stage(name, phase, StageKind::Fanout { agents: agents.iter().map(ToString::to_string).collect() })
}

fn checks(name: &str, back: Option<&str>) -> Stage {
    Stage { revise_to: back.map(Into::into), ..stage(name, "validate", StageKind::Step { checks: vec!["t".into()] }) }
}

fn gate(name: &str, role: &str, back: Option<&str>) -> Stage {
    Stage { revise_to: back.map(Into::into), ..stage(name, "validate", StageKind::Gate { role: role.into() }) }
}

fn finalize() -> Stage {
    stage("finish", "finish", StageKind::Finalize)
}
