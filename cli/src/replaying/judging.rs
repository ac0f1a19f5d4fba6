//! `loom-replay judge`: would these rules have refused something, and where?

use super::format::{Format, foreign};
use super::sources::{self, Runs, Sources, path, threads};
use super::{junit, sarif};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, ID, Output, STRONG, WARN};
use crate::text::{clean, clip, rfc3339, run8, shown};
use loom_core::id::hex;
use loom_core::rules::{Outcome, RuleSet, Rules};
use loom_replay::cause::Step;
use loom_replay::judge::{
    Compared, Finding, JudgedRun, Judgement, LeftOut, Options, Place, RuleTotals, Tally, Totals, Way, Why, judge,
};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Findings that are told one by one to people; the other forms have all that are listed.
const TOLD_MAX: usize = 50;
/// Most characters of what a rule read.
const READ_MAX: usize = 160;

/// Judges recorded runs by other rules: what would have been refused, where, and what that is out of.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    /// A rule set to judge by. May be given several times; sets of a recorded name stand in for the recorded ones.
    #[arg(long, value_name = "FILE", required = true)]
    rules: Vec<PathBuf>,
    /// What ends the command with 4, or with 8 for what cannot be known.
    #[arg(long, value_name = "WHAT", default_value = "violations")]
    fail_on: FailOn,
    /// Does not hash what it reads: faster, and what is damaged may be judged.
    #[arg(long)]
    unverified: bool,
    /// How many threads judge a store [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// The form of the answer [default: text, or json with --json].
    #[arg(long, value_name = "FORM")]
    pub(super) format: Option<Format>,
}

/// What ends the command otherwise than with 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum FailOn {
    /// A violated rule.
    Violations,
    /// A rule violated where no recorded rule refused or reported.
    NewViolations,
    /// A violated rule, or one that cannot be known.
    Unknowable,
    /// Nothing that rules gave.
    Never,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document<'j> {
    loom: &'static str,
    /// Whether the chains of all runs were checked while they were judged.
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

/// Answers `loom-replay judge`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let rules = load(&arguments.rules)?;
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let options = Options { threads: threads(arguments.threads), verify: !arguments.unverified, filter };
    let judgement = judge(&corpus, &rules, &options, &sources::open);
    match format {
        Format::Text => print(&judgement, output)?,
        Format::Json => output.document(&document(&judgement))?,
        Format::Junit => foreign(&junit::of_judgement(&judgement), output)?,
        Format::Sarif => foreign(&sarif::of_judgement(&judgement)?, output)?,
    }
    Ok(exit(&judgement, arguments.fail_on))
}

/// Loads the rule files, in order.
fn load(files: &[PathBuf]) -> Result<Rules, CliError> {
    let mut sets = Vec::new();
    let wrong = |file: &Path, errors| CliError::Rules { file: file.to_path_buf(), errors };
    for file in files {
        let failed = |source| CliError::File { doing: "read", path: file.clone(), source };
        let text = std::fs::read_to_string(file).map_err(failed)?;
        sets.push(Arc::new(RuleSet::load(&text).map_err(|errors| wrong(file, errors))?));
    }
    let last = files.last().map(PathBuf::as_path).unwrap_or(Path::new(""));
    Rules::new(sets).map_err(|error| wrong(last, vec![error]))
}

/// Damage goes before what was found, that before what could not be read, that before what cannot be known (JUDGE-9).
fn exit(judgement: &Judgement, fail_on: FailOn) -> Exit {
    let totals = judgement.totals();
    let (violations, unknowable) = match fail_on {
        FailOn::Violations => (totals.violating, 0),
        FailOn::NewViolations => (totals.newly_violating, 0),
        FailOn::Unknowable => (totals.violating, totals.unknowable),
        FailOn::Never => (0, 0),
    };
    if judgement.is_damaged() {
        Exit::Damaged
    } else if violations > 0 {
        Exit::Refused
    } else if !judgement.left_out.is_empty() {
        Exit::Unavailable
    } else if unknowable > 0 || judgement.is_empty() {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

fn document(judgement: &Judgement) -> Document<'_> {
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

/// Returns why something was left out, in a word and in words.
pub(super) fn why(why: &Why) -> (&'static str, String) {
    match why {
        Why::Damaged(bad) => ("damaged", bad.to_string()),
        Why::Newer(what) => ("newer", what.clone()),
        Why::Unread(what) => ("unread", what.clone()),
    }
}

fn print(judgement: &Judgement, output: &mut Output) -> Result<(), CliError> {
    let totals = judgement.totals();
    print_rules(judgement, output)?;
    let told = judgement.findings.iter().take(TOLD_MAX);
    told.clone().try_for_each(|finding| print_finding(judgement, finding, output))?;
    let out = &mut output.out;
    let untold = totals.findings.saturating_sub(told.len() as u64);
    if untold > 0 {
        writeln!(out, "{FAINT}{untold} more findings; --json lists the first {}{FAINT:#}", judgement.findings.len())?;
    }
    for cleared in judgement.cleared.iter().take(TOLD_MAX) {
        let id = told_id(judgement, cleared.run, cleared.sequence);
        let rule = clean(&cleared.rule);
        writeln!(out, "{GOOD}no longer violated{GOOD:#} {rule} at {ID}{id}{ID:#}{}", later(cleared.is_counterfactual))?;
    }
    let untold = totals.cleared.saturating_sub(judgement.cleared.len().min(TOLD_MAX) as u64);
    if untold > 0 {
        writeln!(out, "{FAINT}{untold} more no longer violated{FAINT:#}")?;
    }
    for left in &judgement.left_out {
        let (word, what) = why(&left.why);
        let run = left.stream.map(|stream| format!(", run {}", run8(&stream))).unwrap_or_default();
        writeln!(out, "{BAD}left out, {word}:{BAD:#} {}{run}: {}", shown(&left.path), clean(&what))?;
    }
    print_totals(judgement, &totals, output)
}

fn print_rules(judgement: &Judgement, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let width = judgement.rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0).max(4);
    let heading = ["holds", "not reached", "violated", "of them new", "unknowable"];
    writeln!(out, "{STRONG}{:width$}  {}{STRONG:#}", "rule", heading.join("  "))?;
    for (index, rule) in judgement.rules.iter().enumerate() {
        let RuleTotals { holds, not_reached, violated, newly_violated, unknowable, .. } = judgement.rule_totals(index);
        let name = clean(&rule.name);
        let style = match (violated, unknowable) {
            (0, 0) => GOOD,
            (0, _) => WARN,
            _ => BAD,
        };
        writeln!(
            out,
            "{style}{name:width$}{style:#}  {holds:>5}  {not_reached:>11}  {violated:>8}  {newly_violated:>11}  {unknowable:>10}"
        )?;
    }
    Ok(())
}

fn told_id(judgement: &Judgement, run: usize, sequence: u64) -> String {
    judgement.runs.get(run).map(|run| told(&run.stream, sequence)).unwrap_or_default()
}

fn later(is_counterfactual: bool) -> &'static str {
    if is_counterfactual { ", counterfactual" } else { "" }
}

fn print_finding(judgement: &Judgement, finding: &Finding, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let (Some(rule), Some(run)) = (judgement.rules.get(finding.rule), judgement.runs.get(finding.run)) else {
        return Ok(());
    };
    let style = if finding.is_violation() { BAD } else { WARN };
    let id = told(&run.stream, finding.sequence);
    let (name, message, slug) = (clean(&rule.name), clean(&rule.message), clean(&run.slug));
    let compared = match finding.compared {
        Compared::New => "new",
        Compared::Same => "as recorded",
    };
    let counterfactual = later(finding.is_counterfactual);
    writeln!(
        out,
        "{style}{}{style:#} {ID}{id}{ID:#} {STRONG}{}{STRONG:#} of {slug}",
        word(finding, rule.severity),
        finding.kind
    )?;
    writeln!(out, "  {name}: {message} ({compared}{counterfactual})")?;
    if !matches!(finding.outcome, Outcome::False) {
        writeln!(out, "  {WARN}{}{WARN:#}", clean(&finding.outcome.to_string()))?;
    }
    for (name, value) in &finding.read {
        writeln!(out, "  {FAINT}{}{FAINT:#}", clip(&format!("{name} = {value}"), READ_MAX))?;
    }
    if let Some(chain) = chain(&finding.chain) {
        writeln!(out, "  {FAINT}{}{FAINT:#}", clean(&chain))?;
    }
    Ok(())
}

/// Says what would have become of an event.
fn word(finding: &Finding, severity: loom_core::rules::Severity) -> &'static str {
    use loom_core::rules::Severity;
    use loom_core::schema::Class;
    match (finding.is_violation(), finding.class, severity, finding.place) {
        (false, ..) => "unknowable at",
        (true, Class::Decision, Severity::Error, Place::Event) => "would have been refused at",
        (true, Class::Decision, Severity::Error, Place::Proposal) => "would have been refused, as it was, at",
        (true, Class::Decision, Severity::Warn, _) => "would have been warned of at",
        (true, Class::Input | Class::Record, ..) => "violation at",
    }
}

/// Returns a chain of causes on one line.
pub(super) fn chain(steps: &[Step]) -> Option<String> {
    let told = steps.iter().map(|step| {
        let by = step.person.as_ref().map(|person| format!(" by {person}")).unwrap_or_default();
        let what = if step.what.is_empty() { String::new() } else { format!("← {} ", step.what) };
        format!("{what}#{} {}{by}", step.sequence, step.kind)
    });
    (!steps.is_empty()).then(|| told.collect::<Vec<_>>().join(" "))
}

fn print_totals(judgement: &Judgement, totals: &Totals, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let Totals { sources, runs, events, decisions, observations, proposals, .. } = totals;
    writeln!(
        out,
        "judged {runs} runs of {sources} sources: {events} events, of them {decisions} decisions and {observations} \
         observations asked about, and {proposals} dropped decisions"
    )?;
    let unwanted: u64 = judgement.sources.iter().map(|source| source.unwanted).sum();
    if unwanted > 0 {
        writeln!(out, "{unwanted} runs were not asked for")?;
    }
    writeln!(
        out,
        "{} runs violate, {} of them where nothing was refused or reported then; {} refusals and violations would not be; \
         {} runs are unknowable",
        totals.violating, totals.newly_violating, totals.cleared, totals.unknowable
    )?;
    if totals.turned > 0 {
        let (turned, later) = (totals.turned, totals.counterfactual);
        writeln!(out, "{turned} runs would have gone another way; {later} of what was asked about came after that")?;
    }
    if !judgement.is_verified {
        writeln!(out, "{WARN}stores were judged without being verified{WARN:#}")?;
    }
    match judgement.is_empty() {
        true => writeln!(out, "{WARN}nothing was judged, so nothing holds{WARN:#}")?,
        false if totals.violating == 0 && totals.unknowable == 0 && judgement.left_out.is_empty() => {
            writeln!(out, "{GOOD}every rule that was reached holds{GOOD:#}")?;
        }
        false => {}
    }
    Ok(())
}
