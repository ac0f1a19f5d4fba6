//! A process as data: the stages of a flow, the agents that work in them, the gates and the limits.
//!
//! A bundle is read once from its canonical bytes (a blob that `run.opened` names) and checked there: a process
//! that could leave a run without a way on is refused at load (PROCESS-1). Core knows the shapes, never a trade.

use crate::cbor::{CborError, Decoder, Encoder, MapReader, Problem};
use crate::id::Digest;
use crate::schema::FieldValue;
use crate::word::{Answer, GateOutcome};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most walk-backs that Loom makes by itself in one run, whatever a bundle says (LOOP-2).
pub const REPLANS_CEILING: u64 = 10;
/// Most bytes of a name: what events can hold.
pub const NAME_MAX: usize = 40;
/// Most reviewers, and most checks, that a flow can require: what events can hold.
pub const REQUIRED_MAX: usize = 32;
/// Longest wait for a person, in milliseconds: a year (GATE-3).
pub const DEADLINE_MAX_MS: u64 = 366 * 24 * 3_600_000;
/// Name of the stage that classifies a task whose flow is not pinned.
pub const CLASSIFY: &str = "classify";
/// The kernel's own gate role: a person is asked because the process cannot go on by itself.
pub const ASK: &str = "ask";
/// The gate role that an accepted run must have passed.
pub const FINAL: &str = "final";

/// A trade's process: everything of a bundle that core needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    /// Name, e.g. `code`.
    pub name: String,
    /// Version of the bundle.
    pub version: u64,
    /// The agents by name.
    pub agents: BTreeMap<String, Agent>,
    /// The gate roles by name.
    pub roles: BTreeMap<String, Role>,
    /// The flows by name.
    pub flows: BTreeMap<String, Flow>,
    /// The agent that chooses the flow, if any does.
    pub classifier: Option<String>,
    /// The flow of a run whose classifier gave no usable answer.
    pub default_flow: String,
    /// Limits.
    pub limits: Limits,
}

/// What an agent is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentKind {
    /// Chooses the flow.
    Classifier,
    /// Gives advice that later prompts contain; may not change the tree.
    Adviser,
    /// Changes the tree.
    Worker,
    /// Judges the tree; may not change it.
    Reviewer,
}

impl AgentKind {
    /// Returns the kind as a bundle writes it.
    pub fn word(self) -> &'static str {
        match self {
            AgentKind::Classifier => "classifier",
            AgentKind::Adviser => "adviser",
            AgentKind::Worker => "worker",
            AgentKind::Reviewer => "reviewer",
        }
    }
}

/// A role with a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// What it is for.
    pub kind: AgentKind,
    /// The prompt's template (blob).
    pub template: Digest,
    /// The JSON Schema of its answer (blob).
    pub schema: Digest,
    /// Which class of model it wants, in the bundle's words.
    pub tier: String,
    /// Verdict words that count as a pass.
    pub passes: Vec<String>,
    /// Verdict words that count as a failure; all others are unknown and fail closed (VERDICT-1).
    pub fails: Vec<String>,
    /// Tokens reserved for one spawn.
    pub reserve_tokens: u64,
    /// Money reserved for one spawn, in micro-units.
    pub reserve_money_micro: u64,
    /// Time reserved for one spawn, in milliseconds.
    pub reserve_time_ms: u64,
}

/// How a gate is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
pub enum Policy {
    /// A person is always asked.
    Human,
    /// A person is asked while blocking findings stand; else it is accepted.
    OnBlockers,
    /// Blockers walk back by themselves while they may; needs a floor.
    Auto,
}

impl Policy {
    /// Returns the word.
    pub fn word(self) -> &'static str {
        match self {
            Policy::Human => "human",
            Policy::OnBlockers => "on-blockers",
            Policy::Auto => "auto",
        }
    }

    /// Returns the policy of a word.
    pub fn of(word: &str) -> Option<Self> {
        match word {
            "human" => Some(Policy::Human),
            "on-blockers" => Some(Policy::OnBlockers),
            "auto" => Some(Policy::Auto),
            _ => None,
        }
    }
}

/// A gate role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Policy where the request sets none.
    pub policy: Policy,
    /// How long a person may take, in milliseconds.
    pub deadline_ms: u64,
    /// What happens then: rejected or abandoned.
    pub default: GateOutcome,
    /// Rules (by name) that make `auto` safe here; without any, `auto` is refused.
    pub floor: Vec<String>,
}

/// A way through the stages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flow {
    /// The stages in order; the last one is `finalize`.
    pub stages: Vec<Stage>,
    /// Reviewers whose verdict on the final tree is required.
    pub required_reviewers: Vec<String>,
    /// Checks that are required.
    pub required_checks: Vec<String>,
    /// Whether the flow may change the tree.
    pub edits: bool,
}

impl Flow {
    /// Returns the place of the stage with this name.
    pub fn position(&self, stage: &str) -> Option<usize> {
        self.stages.iter().position(|found| found.name == stage)
    }
}

/// One stage of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stage {
    /// Name, unique in the flow.
    pub name: String,
    /// The phase it belongs to.
    pub phase: String,
    /// What happens in it.
    pub kind: StageKind,
    /// A condition over facts; the stage is passed by when it is false.
    pub when: Option<String>,
    /// Where a revision, a failed check or a refusal walks back to.
    pub revise_to: Option<String>,
    /// What follows when rules refuse the decisions made here.
    pub on_refused: OnRefused,
}

/// The closed set of stage kinds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StageKind {
    /// One agent works.
    Spawn {
        /// The agent.
        agent: String,
        /// The agent that takes over after two blocked rounds.
        escalate: Option<String>,
    },
    /// Several agents work on the same tree.
    Fanout {
        /// The agents.
        agents: Vec<String>,
    },
    /// A policy or a person decides.
    Gate {
        /// The gate's role.
        role: String,
    },
    /// Deterministic checks run.
    Step {
        /// The checks, as far as the flow requires them.
        checks: Vec<String>,
    },
    /// The run ends: an accepted tree becomes a branch, a question is answered.
    Finalize,
}

/// What follows a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRefused {
    /// A person is asked.
    #[default]
    Ask,
    /// The run walks back to the stage's `revise_to`.
    WalkBack,
    /// The run ends as failed.
    Fail,
}

/// Limits of a bundle; the request may lower the caps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Most walk-backs Loom makes by itself, at most [`REPLANS_CEILING`].
    pub replans_max: u64,
    /// Tries of one spawn that fails, at least 1.
    pub attempts_max: u64,
    /// Blocked rounds after which the escalation works.
    pub escalate_after: u64,
    /// How long a person may take who is asked by the kernel, in milliseconds.
    pub ask_deadline_ms: u64,
    /// Time reserved for one check, in milliseconds.
    pub check_time_ms: u64,
    /// Default cap on spawns.
    pub spawns: u64,
    /// Default cap on tokens.
    pub tokens: u64,
    /// Default cap on money, in micro-units.
    pub money_micro: u64,
    /// Default cap on time, in milliseconds.
    pub time_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            replans_max: 3,
            attempts_max: 2,
            escalate_after: 2,
            ask_deadline_ms: 7 * 24 * 3_600_000,
            check_time_ms: 600_000,
            spawns: 40,
            tokens: 4_000_000,
            money_micro: 20_000_000,
            time_ms: 4 * 3_600_000,
        }
    }
}

/// A flaw of a process, with its place and the repair.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code} at {place}: {what}")]
pub struct Flaw {
    /// Stable code.
    pub code: &'static str,
    /// Where, e.g. `flow standard, stage review`.
    pub place: String,
    /// What is wrong and how it is mended.
    pub what: String,
}

impl Bundle {
    /// Returns every flaw of the process, in a pinned order; empty for a bundle that may be used (PROCESS-1).
    pub fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |code, place: String, what: String| flaws.push(Flaw { code, place, what });
        if self.flows.is_empty() {
            flaw("PROCESS_EMPTY", "bundle".to_string(), "it has no flow; add one under flows".to_string());
        }
        if !self.flows.contains_key(&self.default_flow) {
            flaw("FLOW_UNKNOWN", "default_flow".to_string(), format!("there is no flow `{}`", self.default_flow));
        }
        if let Some(name) = &self.classifier {
            match self.agents.get(name) {
                None => flaw("AGENT_UNKNOWN", "classifier".to_string(), format!("there is no agent `{name}`")),
                Some(agent) if agent.kind != AgentKind::Classifier => {
                    flaw("AGENT_KIND", "classifier".to_string(), format!("agent `{name}` is not a classifier"));
                }
                Some(_) => {}
            }
        }
        let names = self.agents.keys().chain(self.roles.keys()).chain(self.flows.keys()).map(String::as_str);
        let inner = self.flows.values().flat_map(|flow| &flow.stages).flat_map(|stage| {
            let checks: &[String] = match &stage.kind {
                StageKind::Step { checks } => checks,
                StageKind::Spawn { .. } | StageKind::Fanout { .. } | StageKind::Gate { .. } | StageKind::Finalize => {
                    &[]
                }
            };
            [stage.name.as_str(), stage.phase.as_str()].into_iter().chain(checks.iter().map(String::as_str))
        });
        for name in names.chain(inner).filter(|name| name.is_empty() || name.len() > NAME_MAX) {
            flaw("NAME_RANGE", format!("name `{name}`"), format!("a name has 1 to {NAME_MAX} bytes"));
        }
        for (name, flow) in &self.flows {
            if flow.required_reviewers.len() > REQUIRED_MAX || flow.required_checks.len() > REQUIRED_MAX {
                flaw(
                    "REQUIRED_RANGE",
                    format!("flow {name}"),
                    format!("a flow requires at most {REQUIRED_MAX} reviewers and as many checks"),
                );
            }
        }
        let deadlines = self.roles.iter().map(|(name, role)| (format!("role {name}"), role.deadline_ms));
        let ask = ("limits, ask_deadline_ms".to_string(), self.limits.ask_deadline_ms);
        for (place, _) in deadlines.chain([ask]).filter(|(_, ms)| !(1..=DEADLINE_MAX_MS).contains(ms)) {
            flaw("DEADLINE_RANGE", place, "a person has at least a millisecond and at most a year".to_string());
        }
        if self.limits.attempts_max == 0 || self.limits.replans_max > REPLANS_CEILING {
            flaw(
                "LIMIT_RANGE",
                "limits".to_string(),
                format!("attempts_max is at least 1 and replans_max at most {REPLANS_CEILING}"),
            );
        }
        for (name, role) in &self.roles {
            let place = format!("role {name}");
            if name == ASK {
                flaw("ROLE_RESERVED", place.clone(), "`ask` is the kernel's own gate; use another name".to_string());
            }
            if role.policy == Policy::Auto && role.floor.is_empty() {
                flaw(
                    "AUTO_WITHOUT_FLOOR",
                    place.clone(),
                    "policy `auto` needs a floor: name the rules that make it safe".to_string(),
                );
            }
            if !matches!(role.default, GateOutcome::Rejected | GateOutcome::Abandoned) {
                flaw(
                    "ROLE_DEFAULT",
                    place,
                    "the default is `rejected` or `abandoned`, never an acceptance".to_string(),
                );
            }
        }
        for (name, flow) in &self.flows {
            self.flow_flaws(name, flow, &mut flaws);
        }
        let used: BTreeSet<&str> = self
            .flows
            .values()
            .flat_map(|flow| flow.stages.iter())
            .flat_map(|stage| match &stage.kind {
                StageKind::Spawn { agent, escalate } => {
                    core::iter::once(agent).chain(escalate.iter()).map(String::as_str).collect::<Vec<_>>()
                }
                StageKind::Fanout { agents } => agents.iter().map(String::as_str).collect(),
                StageKind::Gate { .. } | StageKind::Step { .. } | StageKind::Finalize => Vec::new(),
            })
            .chain(self.classifier.as_deref())
            .collect();
        for name in self.agents.keys().filter(|name| !used.contains(name.as_str())) {
            flaws.push(Flaw {
                code: "AGENT_UNUSED",
                place: format!("agent {name}"),
                what: "no stage uses it; remove it or name it in a stage".to_string(),
            });
        }
        flaws
    }

    fn flow_flaws(&self, name: &str, flow: &Flow, flaws: &mut Vec<Flaw>) {
        let mut flaw = |code, place: String, what: String| flaws.push(Flaw { code, place, what });
        let whole = format!("flow {name}");
        let mut seen = BTreeSet::new();
        let mut requests = BTreeSet::new();
        let mut reviewers = BTreeSet::new();
        let mut checks = BTreeSet::new();
        for (index, stage) in flow.stages.iter().enumerate() {
            let place = format!("flow {name}, stage {}", stage.name);
            if !seen.insert(stage.name.as_str()) || stage.name == CLASSIFY {
                flaw(
                    "STAGE_DUPLICATE",
                    place.clone(),
                    "the name is taken; stage names are unique in a flow".to_string(),
                );
            }
            let mut agent = |agent: &str, kinds: &[AgentKind]| match self.agents.get(agent) {
                None => flaw("AGENT_UNKNOWN", place.clone(), format!("there is no agent `{agent}`")),
                Some(found) if !kinds.contains(&found.kind) => {
                    flaw("AGENT_KIND", place.clone(), format!("agent `{agent}` is of a kind that does not work here"));
                }
                Some(found) if found.kind == AgentKind::Worker && !flow.edits => flaw(
                    "FLOW_READ_ONLY",
                    place.clone(),
                    format!("agent `{agent}` changes the tree, but the flow does not say `edits`"),
                ),
                Some(_) => {}
            };
            match &stage.kind {
                StageKind::Spawn { agent: name, escalate } => {
                    agent(name, &[AgentKind::Adviser, AgentKind::Worker]);
                    if let Some(escalate) = escalate {
                        agent(escalate, &[AgentKind::Adviser, AgentKind::Worker]);
                    }
                }
                StageKind::Fanout { agents } => {
                    for name in agents {
                        agent(name, &[AgentKind::Reviewer]);
                        reviewers.insert(name.as_str());
                    }
                    if agents.is_empty() {
                        flaw("STAGE_EMPTY", place.clone(), "a fanout names at least one agent".to_string());
                    }
                }
                StageKind::Step { checks: names } => {
                    for check in names {
                        checks.insert(check.as_str());
                        if !requests.insert(check.as_str()) {
                            flaw(
                                "STEP_EFFECT_COLLISION",
                                place.clone(),
                                format!("check `{check}` is run by two steps; keep one"),
                            );
                        }
                    }
                }
                StageKind::Gate { role } => {
                    if !self.roles.contains_key(role) {
                        flaw("ROLE_UNKNOWN", place.clone(), format!("there is no gate role `{role}`"));
                    }
                }
                StageKind::Finalize => {
                    if index + 1 != flow.stages.len() {
                        flaw(
                            "STAGE_ORPHAN",
                            place.clone(),
                            "stages after `finalize` are never reached; move it to the end".to_string(),
                        );
                    }
                }
            }
            if let Some(target) = &stage.revise_to {
                match flow.position(target) {
                    Some(found) if found <= index => {}
                    Some(_) => flaw("WALK_FORWARD", place.clone(), format!("`{target}` is not an earlier stage")),
                    None => {
                        flaw("STAGE_UNKNOWN", place.clone(), format!("there is no stage `{target}` to walk back to"))
                    }
                }
            } else if stage.on_refused == OnRefused::WalkBack {
                flaw("STAGE_UNKNOWN", place.clone(), "on_refused walks back, but revise_to is missing".to_string());
            }
        }
        if !flow.stages.last().is_some_and(|stage| stage.kind == StageKind::Finalize) {
            flaw("FLOW_OPEN_END", whole.clone(), "the last stage is `finalize`".to_string());
        }
        let decided = flow.stages.iter().rposition(|stage| {
            matches!(&stage.kind, StageKind::Gate { role } if role == FINAL) && stage.when.is_none()
        });
        let edited = flow.stages.iter().rposition(|stage| match &stage.kind {
            StageKind::Spawn { agent, .. } => {
                self.agents.get(agent).is_some_and(|agent| agent.kind == AgentKind::Worker)
            }
            StageKind::Fanout { .. } | StageKind::Gate { .. } | StageKind::Step { .. } | StageKind::Finalize => false,
        });
        if flow.edits && (decided.is_none() || decided < edited) {
            flaw(
                "FINAL_GATE_MISSING",
                whole.clone(),
                "a flow that edits has an unconditional gate of role `final` after its last edit".to_string(),
            );
        }
        for name in &flow.required_reviewers {
            if !reviewers.contains(name.as_str()) {
                flaw("REVIEWER_ABSENT", whole.clone(), format!("required reviewer `{name}` is in no fanout"));
            }
        }
        for name in &flow.required_checks {
            if !checks.contains(name.as_str()) {
                flaw("CHECK_ABSENT", whole.clone(), format!("required check `{name}` is in no step"));
            }
        }
    }

    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::with_capacity(4096);
        e.map(8);
        e.uint(0);
        e.text(&self.name);
        e.uint(1);
        e.uint(self.version);
        e.uint(2);
        e.array(self.agents.len());
        for (name, agent) in &self.agents {
            agent.encode(name, &mut e);
        }
        e.uint(3);
        e.array(self.roles.len());
        for (name, role) in &self.roles {
            e.array(5);
            e.text(name);
            e.text(role.policy.word());
            e.uint(role.deadline_ms);
            e.text(role.default.word());
            texts(&role.floor, &mut e);
        }
        e.uint(4);
        e.array(self.flows.len());
        for (name, flow) in &self.flows {
            e.array(5);
            e.text(name);
            e.bool(flow.edits);
            texts(&flow.required_reviewers, &mut e);
            texts(&flow.required_checks, &mut e);
            e.array(flow.stages.len());
            flow.stages.iter().for_each(|stage| stage.encode(&mut e));
        }
        e.uint(5);
        maybe(self.classifier.as_deref(), &mut e);
        e.uint(6);
        e.text(&self.default_flow);
        e.uint(7);
        let l = &self.limits;
        let limits = [
            l.replans_max,
            l.attempts_max,
            l.escalate_after,
            l.ask_deadline_ms,
            l.check_time_ms,
            l.spawns,
            l.tokens,
            l.money_micro,
            l.time_ms,
        ];
        e.array(limits.len());
        limits.iter().for_each(|limit| e.uint(*limit));
        e.finish()
    }

    /// Reads canonical bytes; flaws are not looked for (see [`Bundle::flaws`]).
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut decoder = Decoder::new(bytes);
        let mut bundle = Bundle::default();
        let mut keys = 0;
        let mut map = MapReader::new(&mut decoder)?;
        while let Some(key) = map.key()? {
            keys += 1;
            let d = map.value();
            match key {
                0 => bundle.name = d.text()?.to_string(),
                1 => bundle.version = d.uint()?,
                2 => {
                    for _ in 0..d.array()? {
                        let (name, agent) = Agent::decode(d)?;
                        bundle.agents.insert(name, agent);
                    }
                }
                3 => {
                    for _ in 0..d.array()? {
                        tuple(d, 5)?;
                        let name = d.text()?.to_string();
                        let policy = word(d, Policy::of)?;
                        let deadline_ms = d.uint()?;
                        let default = GateOutcome::get(d)?;
                        bundle.roles.insert(name, Role { policy, deadline_ms, default, floor: read_texts(d)? });
                    }
                }
                4 => {
                    for _ in 0..d.array()? {
                        tuple(d, 5)?;
                        let name = d.text()?.to_string();
                        let edits = d.bool()?;
                        let required_reviewers = read_texts(d)?;
                        let required_checks = read_texts(d)?;
                        let mut stages = Vec::new();
                        for _ in 0..d.array()? {
                            stages.push(Stage::decode(d)?);
                        }
                        bundle.flows.insert(name, Flow { stages, required_reviewers, required_checks, edits });
                    }
                }
                5 => bundle.classifier = read_maybe(d)?,
                6 => bundle.default_flow = d.text()?.to_string(),
                7 => {
                    tuple(d, 9)?;
                    bundle.limits = Limits {
                        replans_max: d.uint()?,
                        attempts_max: d.uint()?,
                        escalate_after: d.uint()?,
                        ask_deadline_ms: d.uint()?,
                        check_time_ms: d.uint()?,
                        spawns: d.uint()?,
                        tokens: d.uint()?,
                        money_micro: d.uint()?,
                        time_ms: d.uint()?,
                    };
                }
                unknown => return Err(d.error(Problem::UnknownKey(unknown))),
            }
        }
        if keys != 8 {
            return Err(decoder.error(Problem::MissingKey(keys)));
        }
        decoder.finish()?;
        // Sorted names and the one spelling of every optional item are checked at once: only what the writer
        // would have written is read.
        if bundle.encode() == bytes { Ok(bundle) } else { Err(decoder.error(Problem::KeyOrder)) }
    }
}

impl Agent {
    fn encode(&self, name: &str, e: &mut Encoder) {
        e.array(10);
        e.text(name);
        e.uint(match self.kind {
            AgentKind::Classifier => 0,
            AgentKind::Adviser => 1,
            AgentKind::Worker => 2,
            AgentKind::Reviewer => 3,
        });
        e.bytes(&self.template.0);
        e.bytes(&self.schema.0);
        e.text(&self.tier);
        texts(&self.passes, e);
        texts(&self.fails, e);
        e.uint(self.reserve_tokens);
        e.uint(self.reserve_money_micro);
        e.uint(self.reserve_time_ms);
    }

    fn decode(d: &mut Decoder<'_>) -> Result<(String, Self), CborError> {
        tuple(d, 10)?;
        let name = d.text()?.to_string();
        let kind = match d.uint()? {
            0 => AgentKind::Classifier,
            1 => AgentKind::Adviser,
            2 => AgentKind::Worker,
            3 => AgentKind::Reviewer,
            _ => return Err(d.error(Problem::Expected("agent kind"))),
        };
        let agent = Agent {
            kind,
            template: Digest(d.array_of()?),
            schema: Digest(d.array_of()?),
            tier: d.text()?.to_string(),
            passes: read_texts(d)?,
            fails: read_texts(d)?,
            reserve_tokens: d.uint()?,
            reserve_money_micro: d.uint()?,
            reserve_time_ms: d.uint()?,
        };
        Ok((name, agent))
    }
}

impl Stage {
    fn encode(&self, e: &mut Encoder) {
        e.array(6);
        e.text(&self.name);
        e.text(&self.phase);
        match &self.kind {
            StageKind::Spawn { agent, escalate } => {
                e.array(3);
                e.uint(0);
                e.text(agent);
                maybe(escalate.as_deref(), e);
            }
            StageKind::Fanout { agents } => {
                e.array(2);
                e.uint(1);
                texts(agents, e);
            }
            StageKind::Gate { role } => {
                e.array(2);
                e.uint(2);
                e.text(role);
            }
            StageKind::Step { checks } => {
                e.array(2);
                e.uint(3);
                texts(checks, e);
            }
            StageKind::Finalize => {
                e.array(1);
                e.uint(4);
            }
        }
        maybe(self.when.as_deref(), e);
        maybe(self.revise_to.as_deref(), e);
        e.uint(match self.on_refused {
            OnRefused::Ask => 0,
            OnRefused::WalkBack => 1,
            OnRefused::Fail => 2,
        });
    }

    fn decode(d: &mut Decoder<'_>) -> Result<Self, CborError> {
        tuple(d, 6)?;
        let name = d.text()?.to_string();
        let phase = d.text()?.to_string();
        let items = d.array()?;
        let kind = match (d.uint()?, items) {
            (0, 3) => StageKind::Spawn { agent: d.text()?.to_string(), escalate: read_maybe(d)? },
            (1, 2) => StageKind::Fanout { agents: read_texts(d)? },
            (2, 2) => StageKind::Gate { role: d.text()?.to_string() },
            (3, 2) => StageKind::Step { checks: read_texts(d)? },
            (4, 1) => StageKind::Finalize,
            _ => return Err(d.error(Problem::Expected("stage kind"))),
        };
        let when = read_maybe(d)?;
        let revise_to = read_maybe(d)?;
        let on_refused = match d.uint()? {
            0 => OnRefused::Ask,
            1 => OnRefused::WalkBack,
            2 => OnRefused::Fail,
            _ => return Err(d.error(Problem::Expected("on_refused"))),
        };
        Ok(Stage { name, phase, kind, when, revise_to, on_refused })
    }
}

impl Answer {
    /// Returns what a gate is decided as by this answer.
    pub fn outcome(self) -> GateOutcome {
        match self {
            Answer::Accept => GateOutcome::Accepted,
            Answer::Revise => GateOutcome::Revised,
            Answer::Reject => GateOutcome::Rejected,
            Answer::Abandon => GateOutcome::Abandoned,
        }
    }
}

fn texts(items: &[String], e: &mut Encoder) {
    e.array(items.len());
    items.iter().for_each(|item| e.text(item));
}

fn read_texts(d: &mut Decoder<'_>) -> Result<Vec<String>, CborError> {
    (0..d.array()?).map(|_| d.text().map(String::from)).collect()
}

fn maybe(text: Option<&str>, e: &mut Encoder) {
    e.array(usize::from(text.is_some()));
    if let Some(text) = text {
        e.text(text);
    }
}

fn read_maybe(d: &mut Decoder<'_>) -> Result<Option<String>, CborError> {
    match d.array()? {
        0 => Ok(None),
        1 => Ok(Some(d.text()?.to_string())),
        _ => Err(d.error(Problem::Expected("array of at most one text"))),
    }
}

fn tuple(d: &mut Decoder<'_>, items: u64) -> Result<(), CborError> {
    let offset = d.offset();
    if d.array()? == items {
        Ok(())
    } else {
        Err(CborError { offset, problem: Problem::Expected("array of the declared length") })
    }
}

fn word<T>(d: &mut Decoder<'_>, of: impl Fn(&str) -> Option<T>) -> Result<T, CborError> {
    let offset = d.offset();
    of(d.text()?).ok_or(CborError { offset, problem: Problem::Expected("word of the vocabulary") })
}
