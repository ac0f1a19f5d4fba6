//! Processes in a few lines of text.
//!
//! ```text
//! flow work: implement=spawn w>w2 | check=step t ->implement | review=fanout a b | decide=gate final ->implement !fail | end
//! role final human
//! spawns 8
//! ```
//!
//! The first letter of an agent says what it is for: `w` works, `p` advises, `c` classifies, all others review.
//! `->stage` is where a revision goes, `!walk-back` and `!fail` what follows a refusal, `?cond` a condition.
//! A flow that names a worker edits. Phases: a spawn's is its own name, `validate` for all else.

use loom_core::id::Digest;
use loom_core::process::{Agent, AgentKind, Bundle, Flow, Limits, OnRefused, Policy, Role, Stage, StageKind};
use loom_core::word::GateOutcome;

pub(crate) fn bundle(text: &str) -> Bundle {
    let mut bundle = Bundle { name: "test".into(), version: 1, ..Bundle::default() };
    bundle.limits = Limits { ask_deadline_ms: 1_000_000, check_time_ms: 100, ..Limits::default() };
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (word, rest) = line.split_once(' ').expect("a line has a word and its value");
        let number = || rest.parse().expect("the value is a number");
        match word {
            "flow" => flow(&mut bundle, rest),
            "role" => {
                let (name, policy) = rest.split_once(' ').expect("a role has a policy");
                let policy = Policy::of(policy).expect("a policy's word");
                let role =
                    Role { policy, deadline_ms: 500_000, default: GateOutcome::Rejected, floor: vec!["safe".into()] };
                bundle.roles.insert(name.into(), role);
            }
            "classifier" => {
                bundle.classifier = Some(rest.into());
                bundle.agents.insert(rest.into(), agent(rest));
            }
            "replans" => bundle.limits.replans_max = number(),
            "attempts" => bundle.limits.attempts_max = number(),
            "escalate-after" => bundle.limits.escalate_after = number(),
            "check-time" => bundle.limits.check_time_ms = number(),
            other => panic!("`{other}` is no line of a process"),
        }
    }
    bundle
}

fn flow(bundle: &mut Bundle, text: &str) {
    let (name, stages) = text.split_once(": ").expect("a flow has a name");
    let mut flow = Flow::default();
    for part in stages.split('|').map(str::trim) {
        let stage = stage(part);
        match &stage.kind {
            StageKind::Spawn { agent: first, escalate } => {
                for name in [Some(first), escalate.as_ref()].into_iter().flatten() {
                    bundle.agents.insert(name.clone(), agent(name));
                }
                flow.edits |= first.starts_with('w');
            }
            StageKind::Fanout { agents } => {
                bundle.agents.extend(agents.iter().map(|name| (name.clone(), agent(name))));
                flow.required_reviewers.extend(agents.clone());
            }
            StageKind::Step { checks } => flow.required_checks.extend(checks.clone()),
            StageKind::Gate { .. } | StageKind::Finalize => {}
        }
        flow.stages.push(stage);
    }
    if bundle.default_flow.is_empty() {
        bundle.default_flow = name.into();
    }
    bundle.flows.insert(name.into(), flow);
}

fn stage(text: &str) -> Stage {
    let (text, when) = text.split_once(" ?").map_or((text, None), |(text, when)| (text, Some(when.to_string())));
    let (name, text) = text.split_once('=').unwrap_or(("finish", text));
    let mut words = text.split(' ');
    let kind = words.next().expect("a stage has a kind");
    let (mut names, mut revise_to, mut on_refused) = (Vec::new(), None, OnRefused::Ask);
    for word in words {
        match word {
            "!walk-back" => on_refused = OnRefused::WalkBack,
            "!fail" => on_refused = OnRefused::Fail,
            _ => match word.strip_prefix("->") {
                Some(target) => revise_to = Some(target.to_string()),
                None => names.push(word.to_string()),
            },
        }
    }
    let kind = match kind {
        "spawn" => match names[0].split_once('>') {
            Some((agent, stronger)) => StageKind::Spawn { agent: agent.into(), escalate: Some(stronger.into()) },
            None => StageKind::Spawn { agent: names[0].clone(), escalate: None },
        },
        "fanout" => StageKind::Fanout { agents: names },
        "step" => StageKind::Step { checks: names },
        "gate" => StageKind::Gate { role: names.remove(0) },
        "end" => StageKind::Finalize,
        other => panic!("`{other}` is no kind of stage"),
    };
    let phase = match kind {
        StageKind::Spawn { .. } => name,
        StageKind::Fanout { .. } | StageKind::Step { .. } | StageKind::Gate { .. } => "validate",
        StageKind::Finalize => "finish",
    };
    Stage { name: name.into(), phase: phase.into(), kind, when, revise_to, on_refused }
}

fn agent(name: &str) -> Agent {
    let kind = match name.as_bytes()[0] {
        b'w' => AgentKind::Worker,
        b'p' => AgentKind::Adviser,
        b'c' => AgentKind::Classifier,
        _ => AgentKind::Reviewer,
    };
    Agent {
        kind,
        template: Digest([1; 32]),
        schema: Digest([2; 32]),
        tier: "any".into(),
        passes: vec!["pass".into()],
        fails: vec!["fail".into()],
        reserve_tokens: 10,
        reserve_money_micro: 10,
        reserve_time_ms: 1_000,
    }
}
