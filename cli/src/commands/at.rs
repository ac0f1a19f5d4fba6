//! `loom at EVENT`: what held in a run once that event was folded in.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, told};
use crate::line::verdict_style;
use crate::output::{BAD, FAINT, ID, Output, STRONG, WARN};
use crate::project;
use crate::text::{clean, lossy, money, rfc3339, run8, short, span, time};
use loom_core::id::hex;
use loom_core::state::{Amount, Asked, State};
use loom_replay::{Refolded, StoredRun, refold};
use serde::Serialize;
use std::io::Write;

/// Shows the state of a run as it was at an event: stage, findings, gate, budget, facts.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An event; for a run, its last one.
    #[arg(value_name = "EVENT", default_value = "@")]
    event: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    #[serde(flatten)]
    state: StateJson,
}

/// A run's state, for JSON.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct StateJson {
    run: String,
    sequence: u64,
    id: String,
    time: String,
    flow: Option<String>,
    stage: String,
    phase: String,
    round: u64,
    tree: String,
    verdict: Option<&'static str>,
    gate: Option<GateJson>,
    findings: Vec<FindingJson>,
    pending: Vec<PendingJson>,
    timers: Vec<TimerJson>,
    budget: BudgetJson,
    rules: Vec<String>,
    facts: Option<Vec<FactJson>>,
    facts_missing: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct GateJson {
    sequence: u64,
    role: String,
    artifact: String,
    deadline: String,
    default: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FindingJson {
    sequence: u64,
    severity: &'static str,
    origin: &'static str,
    agent: String,
    phase: String,
    waived: bool,
    fingerprint: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct PendingJson {
    sequence: u64,
    what: &'static str,
    name: String,
    deadline: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TimerJson {
    subject: u64,
    agent: String,
    due: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BudgetJson {
    used: AmountJson,
    reserved: AmountJson,
    caps: AmountJson,
}

#[derive(Serialize, schemars::JsonSchema)]
struct AmountJson {
    spawns: u64,
    tokens: u64,
    money_micro: u64,
    time_ms: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FactJson {
    fact: String,
    value: String,
}

/// Answers `loom at`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let event = identify::event(opened.store.as_ref(), &arguments.event)?;
    let view = identify::view(&event)?;
    let refolded = refold(&StoredRun::new(opened.store.as_ref(), view.stream), Some(view.sequence))?;
    if output.json {
        output.document(&Document { loom: "at/1", state: state_json(&refolded) })?;
    } else {
        print(&refolded, output)?;
    }
    Ok(Exit::Ok)
}

fn amount(amount: &Amount) -> AmountJson {
    let Amount { spawns, tokens, money_micro, time_ms } = *amount;
    AmountJson { spawns, tokens, money_micro, time_ms }
}

/// Returns a state for JSON.
pub(crate) fn state_json(refolded: &Refolded) -> StateJson {
    let state = &refolded.state;
    let facts = refolded.run.as_ref();
    StateJson {
        run: hex(&state.stream.0),
        sequence: state.next.saturating_sub(1),
        id: hex(&state.last.0),
        time: rfc3339(state.stamp.ms),
        flow: state.flow.clone(),
        stage: state.stage.clone(),
        phase: state.phase.clone(),
        round: state.round(&state.phase),
        tree: hex(&state.tree),
        verdict: state.closed.map(|verdict| verdict.word()),
        gate: state.gate.as_ref().map(|gate| GateJson {
            sequence: gate.sequence,
            role: gate.role.clone(),
            artifact: hex(&gate.artifact.0),
            deadline: rfc3339(gate.deadline_ms),
            default: gate.default.word(),
        }),
        findings: state
            .findings
            .iter()
            .map(|(sequence, finding)| FindingJson {
                sequence: *sequence,
                severity: finding.severity.word(),
                origin: finding.origin.word(),
                agent: finding.agent.clone(),
                phase: finding.phase.clone(),
                waived: finding.waived,
                fingerprint: hex(&finding.fingerprint),
            })
            .collect(),
        pending: state
            .pending
            .iter()
            .map(|(sequence, pending)| {
                let (what, name) = asked(&pending.what);
                let deadline = (pending.deadline_ms != u64::MAX).then(|| rfc3339(pending.deadline_ms));
                PendingJson { sequence: *sequence, what, name: name.to_string(), deadline }
            })
            .collect(),
        timers: state
            .timers
            .iter()
            .map(|(subject, timer)| TimerJson {
                subject: *subject,
                agent: timer.agent.clone(),
                due: rfc3339(timer.due_ms),
            })
            .collect(),
        budget: BudgetJson {
            used: amount(&state.budget.used),
            reserved: amount(&state.budget.reserved),
            caps: amount(&state.opened.caps),
        },
        rules: state.rules.iter().map(|rules| hex(&rules.0)).collect(),
        facts: facts
            .ok()
            .map(|run| run.facts.all().map(|(fact, value)| FactJson { fact: fact.to_string(), value }).collect()),
        facts_missing: facts.err().cloned(),
    }
}

fn asked(what: &Asked) -> (&'static str, &str) {
    match what {
        Asked::Spawn { agent, .. } => ("spawn", agent),
        Asked::Check { check, .. } => ("check", check),
        Asked::Merge { branch, .. } => ("merge", branch),
    }
}

fn print(refolded: &Refolded, output: &mut Output) -> Result<(), CliError> {
    let state = &refolded.state;
    let id = told(&state.stream, state.next.saturating_sub(1));
    writeln!(output.out, "{STRONG}at{STRONG:#} {ID}{id}{ID:#} {} UTC", time(state.stamp.ms))?;
    print_state(state, output)?;
    match &refolded.run {
        Ok(run) => {
            writeln!(output.out, "{STRONG}facts{STRONG:#}")?;
            for (name, value) in run.facts.all() {
                writeln!(output.out, "  {name} = {}", clean(&value))?;
            }
        }
        Err(missing) => writeln!(output.out, "{WARN}facts cannot be known:{WARN:#} {}", clean(missing))?,
    }
    Ok(())
}

/// Writes what a state holds, facts apart.
pub(crate) fn print_state(state: &State, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let flow = state.flow.as_deref().unwrap_or("not chosen yet");
    writeln!(out, "  run      {} {}", run8(&state.stream), clean(&state.opened.slug))?;
    writeln!(out, "  flow     {}", clean(flow))?;
    let round = state.round(&state.phase);
    writeln!(out, "  stage    {} (phase {}, round {round})", clean(&state.stage), clean(&state.phase))?;
    writeln!(out, "  tree     {}", hex(&state.tree))?;
    if let Some(verdict) = state.closed {
        let style = verdict_style(verdict);
        writeln!(out, "  ended    {style}{}{style:#}", verdict.word())?;
    }
    if let Some(gate) = &state.gate {
        let until = time(gate.deadline_ms);
        let default = gate.default.word();
        let artifact = short(&gate.artifact);
        let role = clean(&gate.role);
        writeln!(
            out,
            "  gate     {WARN}#{}{WARN:#} {role}, artifact {artifact}, {default} after {until} UTC",
            gate.sequence
        )?;
    }
    for (sequence, pending) in &state.pending {
        let (what, name) = asked(&pending.what);
        writeln!(out, "  pending  #{sequence} {what} {}", lossy(name.as_bytes()))?;
    }
    for (subject, timer) in &state.timers {
        writeln!(out, "  timer    #{subject} {} at {} UTC", clean(&timer.agent), time(timer.due_ms))?;
    }
    let line = |amount: &Amount| {
        format!(
            "{} spawns, {} tokens, {}, {}",
            amount.spawns,
            amount.tokens,
            money(amount.money_micro),
            span(amount.time_ms)
        )
    };
    writeln!(out, "  used     {}", line(&state.budget.used))?;
    writeln!(out, "  reserved {}", line(&state.budget.reserved))?;
    writeln!(out, "  caps     {FAINT}{}{FAINT:#}", line(&state.opened.caps))?;
    if state.findings.is_empty() {
        writeln!(out, "  no findings stand")?;
    }
    for (sequence, finding) in &state.findings {
        let waived = if finding.waived { ", waived" } else { "" };
        let (severity, agent) = (finding.severity.word(), clean(&finding.agent));
        writeln!(out, "  finding  {BAD}#{sequence}{BAD:#} {severity} by {agent} in {}{waived}", clean(&finding.phase))?;
    }
    Ok(())
}
