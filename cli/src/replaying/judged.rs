//! The document of `loom-replay judge`: a judgement as JSON.

use super::judging::why;
use super::sources::path;
use crate::text::rfc3339;
use loom_core::id::hex;
use loom_replay::judge::{Compared, Finding, JudgedRun, Judgement, LeftOut, Place, Tally, Totals, Way};
use serde::Serialize;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document<'j> {
    loom: &'static str,
    /// Whether what was judged was verified in the same pass.
    verified: bool,
    totals: TotalsJson,
    rules: Vec<RuleJson<'j>>,
    sources: Vec<SourceJson>,
    runs: Vec<RunJson<'j>>,
    findings: Vec<FindingJson<'j>>,
    cleared: Vec<ClearedJson<'j>>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TotalsJson {
    sources: u64,
    runs: u64,
    events: u64,
    /// Decisions on record that a rule was asked about.
    decisions: u64,
    /// Inputs and records that a rule was asked about.
    observations: u64,
    /// Dropped decisions that a rule was asked about.
    proposals: u64,
    /// How many of those came after their run would have gone another way.
    counterfactual: u64,
    turned_runs: u64,
    violating_runs: u64,
    newly_violating_runs: u64,
    unknowable_runs: u64,
    cleared: u64,
    findings: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleJson<'j> {
    rule: &'j str,
    message: &'j str,
    severity: &'static str,
    kinds: &'j [&'static str],
    expression: &'j str,
    origin: Option<&'j str>,
    line: u32,
    /// Runs, by what the rule came to in them.
    holds: u64,
    not_reached: u64,
    /// Of those not reached: runs that have events of its kinds, which are never judged (COMMIT-5).
    never_judged: u64,
    violated: u64,
    newly_violated: u64,
    unknowable: u64,
    /// Refusals and violations on record by this name that would not be.
    cleared: u64,
    /// Events it was asked about.
    judged: u64,
    counterfactual_judged: u64,
    counterfactual_violated: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SourceJson {
    path: String,
    kind: &'static str,
    runs: u64,
    unwanted: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RunJson<'j> {
    /// Its source, by its place in the list.
    source: usize,
    run: String,
    slug: &'j str,
    opened: String,
    events: u64,
    decisions: u64,
    observations: u64,
    proposals: u64,
    counterfactual: u64,
    /// Where it would have gone another way.
    turn: Option<TurnJson>,
    rules: Vec<TallyJson<'j>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TurnJson {
    sequence: u64,
    /// `refused`, or `let-pass` where what was refused would have stood.
    how: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TallyJson<'j> {
    rule: &'j str,
    /// `holds`, `not-reached`, `violated` or `unknowable`.
    verdict: &'static str,
    judged: u32,
    /// Events of its kinds that are never judged (COMMIT-5).
    never_judged: u32,
    violated: u32,
    new: u32,
    unknowable: u32,
    cleared: u32,
    first: Option<u64>,
    counterfactual_judged: u32,
    counterfactual_violated: u32,
    counterfactual_unknowable: u32,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FindingJson<'j> {
    /// The run, by its place in the list.
    run: usize,
    rule: &'j str,
    sequence: u64,
    time: String,
    kind: &'static str,
    class: &'static str,
    /// `event`, or `proposal` for a decision that was refused then.
    place: &'static str,
    /// `violated` or `unknowable`.
    result: &'static str,
    /// What the rule gave: false, or what is missing or wrong.
    outcome: String,
    read: Vec<ReadJson<'j>>,
    /// `new`, or `same` where a recorded rule refused or reported it.
    compared: &'static str,
    counterfactual: bool,
    /// The shortest chain from the event back to a person or an input.
    chain: Vec<StepJson<'j>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ReadJson<'j> {
    name: &'j str,
    value: &'j str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct StepJson<'j> {
    sequence: u64,
    kind: &'static str,
    person: Option<&'j str>,
    /// What it is to the event before it in the chain.
    what: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ClearedJson<'j> {
    run: usize,
    sequence: u64,
    rule: &'j str,
    counterfactual: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LeftOutJson {
    path: String,
    run: Option<String>,
    /// `damaged`, `newer` or `unread`.
    why: &'static str,
    what: String,
}

/// Returns a judgement as its document.
pub(super) fn document(judgement: &Judgement) -> Document<'_> {
    let Totals {
        sources,
        runs,
        events,
        decisions,
        observations,
        proposals,
        counterfactual,
        findings,
        turned,
        violating,
        newly_violating,
        cleared,
        unknowable,
    } = judgement.totals();
    let (turned_runs, violating_runs, unknowable_runs) = (turned, violating, unknowable);
    let totals = TotalsJson {
        sources,
        runs,
        events,
        decisions,
        observations,
        proposals,
        counterfactual,
        turned_runs,
        violating_runs,
        newly_violating_runs: newly_violating,
        unknowable_runs,
        cleared,
        findings,
    };
    let name = |rule: usize| judgement.rules.get(rule).map_or("", |rule| rule.name.as_str());
    Document {
        loom: "judge/1",
        verified: judgement.is_verified,
        totals,
        rules: (0..judgement.rules.len()).map(|rule| rule_json(judgement, rule)).collect(),
        sources: judgement
            .sources
            .iter()
            .map(|source| SourceJson {
                path: path(&source.path),
                kind: source.kind.word(),
                runs: source.runs,
                unwanted: source.unwanted,
            })
            .collect(),
        runs: judgement.runs.iter().map(|run| run_json(run, &name)).collect(),
        findings: judgement.findings.iter().map(|finding| finding_json(finding, &name)).collect(),
        cleared: judgement
            .cleared
            .iter()
            .map(|cleared| ClearedJson {
                run: cleared.run,
                sequence: cleared.sequence,
                rule: &cleared.rule,
                counterfactual: cleared.is_counterfactual,
            })
            .collect(),
        left_out: judgement.left_out.iter().map(left_out_json).collect(),
    }
}

fn rule_json(judgement: &Judgement, rule: usize) -> RuleJson<'_> {
    let asked = &judgement.rules[rule];
    let totals = judgement.rule_totals(rule);
    RuleJson {
        rule: &asked.name,
        message: &asked.message,
        severity: asked.severity.word(),
        kinds: &asked.kinds,
        expression: &asked.expression,
        origin: asked.origin.as_deref(),
        line: asked.line,
        holds: totals.holds,
        not_reached: totals.not_reached,
        never_judged: totals.never_judged,
        violated: totals.violated,
        newly_violated: totals.newly_violated,
        unknowable: totals.unknowable,
        cleared: totals.cleared,
        judged: totals.judged,
        counterfactual_judged: totals.later_judged,
        counterfactual_violated: totals.later_violated,
    }
}

fn run_json<'j>(run: &'j JudgedRun, name: &impl Fn(usize) -> &'j str) -> RunJson<'j> {
    let tally = |(rule, tally): (usize, &Tally)| TallyJson {
        rule: name(rule),
        verdict: tally.verdict().word(),
        judged: tally.judged,
        never_judged: tally.never_judged,
        violated: tally.violated,
        new: tally.new,
        unknowable: tally.unknowable,
        cleared: tally.cleared,
        first: tally.first,
        counterfactual_judged: tally.later_judged,
        counterfactual_violated: tally.later_violated,
        counterfactual_unknowable: tally.later_unknowable,
    };
    RunJson {
        source: run.source,
        run: hex(&run.stream.0),
        slug: &run.slug,
        opened: rfc3339(run.opened_ms),
        events: run.events,
        decisions: run.decisions,
        observations: run.observations,
        proposals: run.proposals,
        counterfactual: run.counterfactual,
        turn: run.turn.map(|turn| TurnJson { sequence: turn.sequence, how: way(turn.how) }),
        rules: run.tallies.iter().enumerate().map(tally).collect(),
    }
}

fn way(way: Way) -> &'static str {
    match way {
        Way::Refused => "refused",
        Way::LetPass => "let-pass",
    }
}

fn finding_json<'j>(finding: &'j Finding, name: &impl Fn(usize) -> &'j str) -> FindingJson<'j> {
    FindingJson {
        run: finding.run,
        rule: name(finding.rule),
        sequence: finding.sequence,
        time: rfc3339(finding.at_ms),
        kind: finding.kind,
        class: finding.class.word(),
        place: match finding.place {
            Place::Event => "event",
            Place::Proposal => "proposal",
        },
        result: if finding.is_violation() { "violated" } else { "unknowable" },
        outcome: finding.outcome.to_string(),
        read: finding.read.iter().map(|(name, value)| ReadJson { name, value }).collect(),
        compared: match finding.compared {
            Compared::New => "new",
            Compared::Same => "same",
        },
        counterfactual: finding.is_counterfactual,
        chain: finding
            .chain
            .iter()
            .map(|step| StepJson {
                sequence: step.sequence,
                kind: step.kind,
                person: step.person.as_deref(),
                what: step.what,
            })
            .collect(),
    }
}

fn left_out_json(left: &LeftOut) -> LeftOutJson {
    let (why, what) = why(&left.why);
    LeftOutJson { path: path(&left.path), run: left.stream.map(|stream| hex(&stream.0)), why, what }
}
