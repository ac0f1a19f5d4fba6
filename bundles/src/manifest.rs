//! `bundle.toml` as written: names and file paths, not yet resolved (format in `specs/bundle.md`).

use crate::error::LoadError;
use crate::table::{self, Section};
use loom_core::process::{AgentKind, Flow, Limits, OnRefused, Policy, Role, Stage, StageKind};
use loom_core::word::GateOutcome;
use std::collections::BTreeMap;

/// Name of the manifest in a bundle's folder.
pub(crate) const MANIFEST: &str = "bundle.toml";

/// What `bundle.toml` says.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) version: u64,
    pub(crate) classifier: Option<String>,
    pub(crate) default_flow: String,
    pub(crate) rules: Vec<String>,
    pub(crate) limits: Limits,
    pub(crate) agents: BTreeMap<String, AgentEntry>,
    pub(crate) roles: BTreeMap<String, Role>,
    pub(crate) flows: BTreeMap<String, Flow>,
    pub(crate) checks: BTreeMap<String, String>,
    pub(crate) presets: BTreeMap<String, BTreeMap<String, Policy>>,
    /// Lines of places as core names them, e.g. `flow standard, stage review`.
    pub(crate) lines: BTreeMap<String, u64>,
}

/// An agent as written.
#[derive(Debug)]
pub(crate) struct AgentEntry {
    pub(crate) kind: AgentKind,
    pub(crate) template: Vec<String>,
    pub(crate) schema: String,
    pub(crate) tier: String,
    pub(crate) passes: Vec<String>,
    pub(crate) fails: Vec<String>,
    pub(crate) reserve_tokens: u64,
    pub(crate) reserve_money_micro: u64,
    pub(crate) reserve_time_ms: u64,
    pub(crate) line: u64,
}

/// Reads the manifest and tells its flaws by line.
pub(crate) fn read(text: &str) -> (Manifest, Vec<LoadError>) {
    table::read(MANIFEST, text, |root| {
        let mut manifest = Manifest {
            name: root.need_text("name"),
            version: root.need_number("version"),
            classifier: root.text("classifier"),
            default_flow: root.need_text("default_flow"),
            rules: root.texts("rules"),
            ..Manifest::default()
        };
        manifest.lines.insert("classifier".to_string(), root.line_at("classifier"));
        manifest.lines.insert("default_flow".to_string(), root.line_at("default_flow"));
        manifest.lines.insert("limits".to_string(), root.line_at("limits"));
        manifest.lines.insert("rules".to_string(), root.line_at("rules"));
        if let Some(section) = root.section("limits") {
            manifest.limits = limits(&section);
        }
        for (name, section) in root.named("roles") {
            manifest.lines.insert(format!("role {name}"), section.line);
            manifest.roles.insert(name, role(&section));
        }
        for (name, section) in root.named("agents") {
            manifest.lines.insert(format!("agent {name}"), section.line);
            manifest.agents.insert(name, agent(&section));
        }
        for (name, section) in root.named("flows") {
            manifest.lines.insert(format!("flow {name}"), section.line);
            let stages = section.list("stages");
            for stage in &stages {
                let place = format!("flow {name}, stage {}", stage.text("name").unwrap_or_default());
                manifest.lines.insert(place, stage.line);
            }
            let flow = Flow {
                edits: section.flag("edits"),
                required_reviewers: section.texts("required_reviewers"),
                required_checks: section.texts("required_checks"),
                stages: stages.iter().map(stage).collect(),
            };
            section.finish();
            manifest.flows.insert(name, flow);
        }
        for (name, section) in root.named("checks") {
            manifest.checks.insert(name, section.need_text("what"));
            section.finish();
        }
        for (name, section) in root.named("presets") {
            manifest.lines.insert(format!("preset {name}"), section.line);
            manifest.presets.insert(name, preset(&section));
        }
        manifest
    })
}

fn limits(section: &Section<'_>) -> Limits {
    let d = Limits::default();
    let limits = Limits {
        replans_max: section.number("replans_max").unwrap_or(d.replans_max),
        attempts_max: section.number("attempts_max").unwrap_or(d.attempts_max),
        escalate_after: section.number("escalate_after").unwrap_or(d.escalate_after),
        ask_deadline_ms: section.number("ask_deadline_ms").unwrap_or(d.ask_deadline_ms),
        check_time_ms: section.number("check_time_ms").unwrap_or(d.check_time_ms),
        spawns: section.number("spawns").unwrap_or(d.spawns),
        tokens: section.number("tokens").unwrap_or(d.tokens),
        money_micro: section.number("money_micro").unwrap_or(d.money_micro),
        time_ms: section.number("time_ms").unwrap_or(d.time_ms),
    };
    section.finish();
    limits
}

fn role(section: &Section<'_>) -> Role {
    section.need("policy");
    let outcomes: Vec<&str> = GateOutcome::ALL.iter().map(|outcome| outcome.word()).collect();
    let role = Role {
        policy: section.word("policy", &POLICIES, Policy::of).unwrap_or(Policy::Human),
        deadline_ms: section.need_number("deadline_ms"),
        default: section.word("default", &outcomes, GateOutcome::of).unwrap_or(GateOutcome::Rejected),
        floor: section.texts("floor"),
    };
    section.finish();
    role
}

const POLICIES: [&str; 3] = ["human", "on-blockers", "auto"];

fn agent(section: &Section<'_>) -> AgentEntry {
    section.need("kind");
    section.need("template");
    let kind = section.word("kind", &["classifier", "adviser", "worker", "reviewer"], |word| match word {
        "classifier" => Some(AgentKind::Classifier),
        "adviser" => Some(AgentKind::Adviser),
        "worker" => Some(AgentKind::Worker),
        "reviewer" => Some(AgentKind::Reviewer),
        _ => None,
    });
    let entry = AgentEntry {
        kind: kind.unwrap_or(AgentKind::Adviser),
        template: section.texts("template"),
        schema: section.need_text("schema"),
        tier: section.need_text("tier"),
        passes: section.texts("passes"),
        fails: section.texts("fails"),
        reserve_tokens: section.need_number("reserve_tokens"),
        reserve_money_micro: section.need_number("reserve_money_micro"),
        reserve_time_ms: section.need_number("reserve_time_ms"),
        line: section.line,
    };
    section.finish();
    entry
}

fn stage(section: &Section<'_>) -> Stage {
    let mut kinds = Vec::new();
    if let Some(agent) = section.text("spawn") {
        kinds.push(StageKind::Spawn { agent, escalate: section.text("escalate") });
    }
    if section.has("fanout") {
        kinds.push(StageKind::Fanout { agents: section.texts("fanout") });
    }
    if let Some(role) = section.text("gate") {
        kinds.push(StageKind::Gate { role });
    }
    if section.has("checks") {
        kinds.push(StageKind::Step { checks: section.texts("checks") });
    }
    if section.flag("finalize") {
        kinds.push(StageKind::Finalize);
    }
    if kinds.len() != 1 {
        section.flaw(
            "STAGE_KIND",
            format!("the stage says {} things to do", if kinds.is_empty() { "no" } else { "several" }),
            "name exactly one of spawn, fanout, gate, checks, finalize".to_string(),
        );
    }
    let on_refused = section.word("on_refused", &["ask", "walk-back", "fail"], |word| match word {
        "ask" => Some(OnRefused::Ask),
        "walk-back" => Some(OnRefused::WalkBack),
        "fail" => Some(OnRefused::Fail),
        _ => None,
    });
    let stage = Stage {
        name: section.need_text("name"),
        phase: section.need_text("phase"),
        kind: kinds.pop().unwrap_or(StageKind::Finalize),
        when: section.text("when"),
        revise_to: section.text("revise_to"),
        on_refused: on_refused.unwrap_or_default(),
    };
    section.finish();
    stage
}

fn preset(section: &Section<'_>) -> BTreeMap<String, Policy> {
    let mut policies = BTreeMap::new();
    for (role, line, value) in section.entries() {
        match value.as_str().and_then(Policy::of) {
            Some(policy) => {
                policies.insert(role, policy);
            }
            None => section.flaw_at(
                "WORD_UNKNOWN",
                line,
                format!("role `{role}` has no known policy"),
                format!("one of {}", POLICIES.join(", ")),
            ),
        }
    }
    policies
}
