//! Stores that are made by the kernel alone: inputs go in, what it asks for is answered from here.
//!
//! Shared by the tests of `replay` and `cli`. Equal arguments give equal bytes: time and chance are counted.

use loom_core::answer::{Change, Claim, Found, encode_delta};
use loom_core::commit::Blob;
use loom_core::id::{Actor, Assurance, Stamp, StreamId};
use loom_core::kind::*;
use loom_core::process::{Agent, AgentKind, Bundle, Flow, Limits, OnRefused, Policy, Role, Stage, StageKind};
use loom_core::run::{Run, Terms};
use loom_core::schema::List;
use loom_core::state::Asked;
use loom_core::step::Input;
use loom_core::word::{Answer, CheckOutcome, GateOutcome, MergeOutcome, SpawnOutcome};
use loom_store::{Append, Store};
use std::sync::Arc;

/// The rules of every made run.
pub(crate) const RULES: &str = r#"loom rules 1
set floor "What every made run is judged by."

fact blockers set of int
  add finding.raised: event.sequence if event.severity == "blocking"
  remove finding.resolved, finding.waived: event.finding

rule no-blocker on merge.intended
  require size(facts.blockers) == 0
  message "a blocking finding stands"
  origin "promise: nothing is merged over a blocker"
"#;

/// When the first made store begins: 2026-11-18 19:06:40 UTC.
pub(crate) const BEGIN_MS: u64 = 1_795_028_800_000;
/// Name of every made store.
pub(crate) const ORIGIN: [u8; 16] = *b"a store for test";

/// How far a made run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// Its first spawn is under way.
    Spawned,
    /// The final gate waits over a blocking finding.
    Gate,
    /// A person accepted over the blocker, was refused, and it ended accepted after another round.
    End,
}

/// Begins a made store's log.
pub(crate) fn origin() -> loom_core::commit::Checked<()> {
    loom_core::origin::create(ORIGIN, "0.1.0", Stamp { ms: BEGIN_MS, counter: 0 })
}

/// Makes a run in a store and returns its stream. `number` names it and sets its time.
pub(crate) fn made_run(store: &dyn Store, number: u64, until: Until) -> StreamId {
    made_answered_run(store, number, until, &|_, _| ann())
}

/// Makes a run whose answers are changed before they are given; what changes them says who gives them.
pub(crate) fn made_answered_run(store: &dyn Store, number: u64, until: Until, change: &Answers<'_>) -> StreamId {
    Maker::open(store, number).drive(until, change)
}

/// What changes an answer of a run.
type Answers<'c> = dyn Fn(StreamId, &mut GateAnswered) -> Actor + 'c;

/// The bundle of every made run, and the blobs that it names.
pub(crate) fn bundle() -> (Bundle, Vec<Blob>) {
    let (template, schema) = (Blob::plain(b"Do it."), Blob::plain(b"{}"));
    let agent = |kind| Agent {
        kind,
        template: template.digest,
        schema: schema.digest,
        tier: "small".to_string(),
        passes: vec!["approve".to_string()],
        fails: vec!["request-changes".to_string()],
        reserve_tokens: 1000,
        reserve_money_micro: 5000,
        reserve_time_ms: 60_000,
    };
    let stage = |name: &str, phase: &str, kind, on_refused| Stage {
        name: name.to_string(),
        phase: phase.to_string(),
        kind,
        when: None,
        revise_to: (name != "implement" && name != "finalize").then(|| "implement".to_string()),
        on_refused,
    };
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_string()).collect::<Vec<_>>();
    let stages = vec![
        stage("implement", "build", StageKind::Spawn { agent: "coder".to_string(), escalate: None }, OnRefused::Ask),
        stage("checks", "build", StageKind::Step { checks: names(&["test"]) }, OnRefused::Ask),
        stage("review", "review", StageKind::Fanout { agents: names(&["logic", "safety"]) }, OnRefused::Ask),
        stage("final", "review", StageKind::Gate { role: "final".to_string() }, OnRefused::WalkBack),
        stage("finalize", "review", StageKind::Finalize, OnRefused::Ask),
    ];
    let flow = Flow {
        stages,
        required_reviewers: names(&["logic", "safety"]),
        required_checks: names(&["test"]),
        edits: true,
    };
    let role =
        Role { policy: Policy::Human, deadline_ms: 86_400_000, default: GateOutcome::Abandoned, floor: Vec::new() };
    let bundle = Bundle {
        name: "made".to_string(),
        version: 1,
        agents: [("coder", AgentKind::Worker), ("logic", AgentKind::Reviewer), ("safety", AgentKind::Reviewer)]
            .map(|(name, kind)| (name.to_string(), agent(kind)))
            .into(),
        roles: [("final".to_string(), role)].into(),
        flows: [("main".to_string(), flow)].into(),
        classifier: None,
        default_flow: "main".to_string(),
        limits: Limits::default(),
    };
    (bundle, vec![template, schema])
}

struct Maker<'s> {
    store: &'s dyn Store,
    run: Run,
    now_ms: u64,
    salts: u8,
}

impl<'s> Maker<'s> {
    fn open(store: &'s dyn Store, number: u64) -> Self {
        let (bundle, mut blobs) = bundle();
        let (bundle, rules) = (Blob::plain(&bundle.encode()), Blob::plain(RULES.as_bytes()));
        let terms = Arc::new(Terms::load(&bundle, std::slice::from_ref(&rules)).expect("the made terms load"));
        let request = format!("made {number}").into_bytes();
        let stream = StreamId::of_run(&ORIGIN, &request);
        let mut maker = Maker { store, run: Run::new(terms.clone()), now_ms: BEGIN_MS + 1_000_000 * number, salts: 0 };
        let task = maker.salted(format!("task {number}").as_bytes());
        let body = RunOpened {
            request,
            task: task.digest,
            slug: format!("task-{number}"),
            bundle: bundle.digest,
            bundle_name: "made 1".to_string(),
            rules: vec![rules.digest].into(),
            base_commit: vec![1; 20],
            base_tree: vec![2; 20],
            flow: Some("main".to_string()),
            gate_roles: Vec::new().into(),
            gate_policies: Vec::new().into(),
            checks_found: vec!["test".to_string()].into(),
            checks_waived: Vec::new().into(),
            cap_spawns: 40,
            cap_tokens: 1_000_000,
            cap_money_micro: 1_000_000,
            cap_time_ms: 86_400_000,
            owner: "ann".to_string(),
            loom: "0.1.0".to_string(),
            checks: None,
        };
        blobs.extend([task, bundle, rules]);
        let input = maker.input(ann(), body.into(), blobs);
        let checked = loom_core::open(terms, stream, input).expect("the made run opens");
        maker.append(checked);
        maker
    }

    fn drive(mut self, until: Until, change: &Answers<'_>) -> StreamId {
        let stream = self.run.state.stream;
        loop {
            let state = &self.run.state;
            let pending = state.pending.iter().next_back().map(|(id, pending)| (*id, pending.what.clone()));
            let round = state.round("build");
            match (pending, state.gate.clone()) {
                _ if state.closed.is_some() || until == Until::Spawned => return stream,
                (Some((id, Asked::Spawn { agent, tree, edits, .. })), _) => {
                    self.spawn_ends(id, &agent, tree, edits, round);
                }
                (Some((id, Asked::Check { check, tree })), _) => self.check_ends(id, check, tree),
                (Some((id, Asked::Merge { .. })), _) => {
                    let done = MergeFinished {
                        merge: id,
                        outcome: MergeOutcome::Done,
                        commit: Some(vec![9; 20]),
                        detail: None,
                    };
                    self.step(Actor::Host, done.into(), Vec::new());
                }
                (None, Some(_)) if until == Until::Gate => return stream,
                (None, Some(gate)) => {
                    let request = format!("answer {}", gate.sequence).into_bytes();
                    let mut body = GateAnswered {
                        request,
                        gate: gate.sequence,
                        answer: Answer::Accept,
                        note: None,
                        artifact: Some(gate.artifact),
                        signature: None,
                        signer: None,
                    };
                    let actor = change(stream, &mut body);
                    self.step(actor, body.into(), Vec::new());
                }
                (None, None) => unreachable!("a run waits for something or has ended"),
            }
        }
    }

    /// The first round of `safety` blocks; what it says holds what must not reach a terminal.
    fn spawn_ends(&mut self, id: u64, agent: &str, tree: Vec<u8>, edits: bool, round: u64) {
        let blocks = agent == "safety" && round == 1;
        let found = Found {
            severity: "blocking".to_string(),
            category: "path-escape".to_string(),
            path: Some(b"src/\xff.rs".to_vec()),
            line: Some(7),
            summary: "a \u{1b}[31mpath\u{202e} leads out".to_string(),
            evidence: None,
        };
        let claim = Claim {
            flow: None,
            verdict: (!edits).then(|| if blocks { "request-changes" } else { "approve" }.to_string()),
            findings: if blocks { vec![found] } else { Vec::new() },
            summary: "done".to_string(),
        };
        let prompt = self.salted(format!("You are {agent}.\nDo it.\n").as_bytes());
        let output = self.salted(format!("{agent} says \u{7}done").as_bytes());
        let answer = self.salted(&claim.encode());
        let delta =
            Blob::plain(&encode_delta(&[Change { path: b"src/\xff.rs".to_vec(), how: "modified".to_string() }]));
        let body = SpawnFinished {
            spawn: id,
            outcome: SpawnOutcome::Ok,
            agent: agent.to_string(),
            prompt: Some(prompt.digest),
            output: Some(output.digest),
            answer: Some(answer.digest),
            delta: edits.then_some(delta.digest),
            tree_after: if edits { vec![2 + round as u8; 20] } else { tree.clone() },
            tree_before: tree,
            tokens_in: Some(100),
            tokens_out: Some(20),
            money_micro: Some(1500),
            duration_ms: 2500,
            model: Some("made-1".to_string()),
            session: None,
            detail: None,
            wake_ms: None,
            provider: None,
            chosen: None,
            requests: None,
            transcript: None,
            fence: None,
            enforced: List::default(),
        };
        let mut blobs = vec![prompt, output, answer];
        blobs.extend(edits.then_some(delta));
        self.step(Actor::Host, body.into(), blobs);
    }

    fn check_ends(&mut self, id: u64, check: String, tree: Vec<u8>) {
        let output = self.salted(b"1 passed\n");
        let body = CheckFinished {
            request: id,
            check,
            outcome: CheckOutcome::Pass,
            exit_code: Some(0),
            tree,
            output: Some(output.digest),
            duration_ms: 40,
            fence: None,
            enforced: List::default(),
        };
        self.step(Actor::Host, body.into(), vec![output]);
    }

    fn step(&mut self, actor: Actor, body: Event, blobs: Vec<Blob>) {
        let input = self.input(actor, body, blobs);
        let checked = loom_core::step(&self.run, input).expect("the made input is well formed");
        self.append(checked);
    }

    fn append(&mut self, checked: loom_core::commit::Checked<Run>) {
        let appended = self.store.append(vec![Append::from(&checked)]).pop().expect("one answer for one commit");
        appended.expect("the made commit is appended");
        self.run = checked.into_next();
    }

    fn input(&mut self, actor: Actor, body: Event, blobs: Vec<Blob>) -> Input {
        self.now_ms += 1000;
        Input { stamp: Stamp { ms: self.now_ms, counter: 0 }, actor, body, blobs }
    }

    fn salted(&mut self, content: &[u8]) -> Blob {
        self.salts += 1;
        Blob::salted([self.salts; 16], content)
    }
}

fn ann() -> Actor {
    Actor::Person { id: "ann".to_string(), assurance: Assurance::Asserted, descends: None }
}
