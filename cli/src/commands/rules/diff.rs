//! `loom rules diff`: what two rule sets decide differently over recorded runs.

use super::{known, named, read};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, ID, Output, STRONG, WARN};
use crate::replaying::left_out::{self, LeftOutJson};
use crate::replaying::sources::{self, Runs, Sources, path};
use crate::text::{clean, clip};
use loom_core::id::hex;
use loom_core::rules::{Outcome, RuleSet, Rules};
use loom_replay::judge::{Differing, Parting, Partings, Place, Says, differ};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Findings that are told one by one to people; a document has all that are listed.
const TOLD_MAX: usize = 50;
/// Most characters of what a rule read.
const READ_MAX: usize = 160;

/// Which sets, over which runs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The one: a rule file, a set's name, or the first digits of its digest.
    #[arg(value_name = "A")]
    one: String,
    /// The other.
    #[arg(value_name = "B")]
    other: String,
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// The one set, and the other.
    sets: [SetJson; 2],
    /// Whether they decide alike about everything they were asked about.
    equal: bool,
    /// What the counts are out of.
    sources: u64,
    runs: u64,
    unwanted_runs: u64,
    events: u64,
    partings: PartingsJson,
    rules: Vec<RuleJson>,
    /// The first of them; all are counted.
    findings: Vec<FindingJson>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SetJson {
    set: String,
    digest: String,
    /// Events that one of its rules was asked about.
    asked: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct PartingsJson {
    /// The one passes, the other is violated.
    gained: u64,
    /// The one is violated, the other passes.
    lost: u64,
    /// Unknowable under exactly one of them.
    unknowable: u64,
    /// After the run would have gone another way under one of them.
    counterfactual: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleJson {
    rule: String,
    /// Events that it was asked about in the one set; null where that does not have it.
    asked_by_one: Option<u64>,
    asked_by_other: Option<u64>,
    partings: PartingsJson,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FindingJson {
    source: String,
    run: String,
    slug: String,
    sequence: u64,
    kind: &'static str,
    /// `event`, or `proposal` for what the `refused` at this sequence dropped.
    place: &'static str,
    rule: String,
    one: SaysJson,
    other: SaysJson,
    counterfactual: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SaysJson {
    /// `passes`, `violated` or `unknowable`.
    says: &'static str,
    /// What is missing or wrong.
    why: Option<String>,
    read: Vec<ReadJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ReadJson {
    name: String,
    value: String,
}

/// Answers `loom rules diff`.
pub(super) fn diff(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let one = set(&arguments.one, global, output)?;
    let other = set(&arguments.other, global, output)?;
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let alone = |set: &Arc<RuleSet>, name: &str| {
        let wrong = |error| CliError::Rules { file: PathBuf::from(name), errors: vec![error] };
        Rules::new(vec![set.clone()]).map_err(wrong)
    };
    let rules = [alone(&one, &arguments.one)?, alone(&other, &arguments.other)?];
    let differing = differ(&corpus, rules.each_ref(), &filter, &sources::open)?;
    let sets = [one.as_ref(), other.as_ref()];
    match output.json {
        true => output.document(&document(sets, &differing))?,
        false => print((&arguments.one, &arguments.other), &differing, output)?,
    }
    Ok(exit(&differing))
}

/// Returns the set in a file, else the one that the built-in bundles or the runs of the project have by that name.
fn set(name: &str, global: &Global, output: &Output) -> Result<Arc<RuleSet>, CliError> {
    let text = match Path::new(name).is_file() {
        true => read(Path::new(name))?,
        false => named(&known(global, output)?, name)?.set.text().to_string(),
    };
    let wrong = |errors| CliError::Rules { file: PathBuf::from(name), errors };
    Ok(Arc::new(RuleSet::load(&text).map_err(wrong)?))
}

/// Damage goes before what differs, that before what could not be read, that before nothing at all (RULEDIFF-3).
fn exit(differing: &Differing) -> Exit {
    if left_out::is_damaged(&differing.left_out) {
        Exit::Damaged
    } else if !differing.is_equal() {
        Exit::Failed
    } else if !differing.left_out.is_empty() {
        Exit::Unavailable
    } else if differing.asked == [0, 0] {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

fn partings(partings: Partings) -> PartingsJson {
    let Partings { gained, lost, unknowable, counterfactual } = partings;
    PartingsJson { gained, lost, unknowable, counterfactual }
}

/// Returns what is missing or wrong, where it is not just false.
fn why(says: &Says) -> Option<String> {
    let said = says.said().filter(|said| said.outcome != Outcome::False)?;
    Some(said.outcome.to_string())
}

fn document(sets: [&RuleSet; 2], differing: &Differing) -> Document {
    let says = |says: &Says| SaysJson {
        says: says.word(),
        why: why(says),
        read: says
            .said()
            .iter()
            .flat_map(|said| &said.read)
            .map(|(name, value)| ReadJson { name: name.clone(), value: value.clone() })
            .collect(),
    };
    let [one, other] = sets;
    let set = |set: &RuleSet, asked| SetJson { set: set.name().to_string(), digest: hex(&set.digest().0), asked };
    let finding = |parting: &Parting| FindingJson {
        source: path(&parting.source),
        run: hex(&parting.stream.0),
        slug: parting.slug.clone(),
        sequence: parting.sequence,
        kind: parting.kind,
        place: match parting.place {
            Place::Event => "event",
            Place::Proposal => "proposal",
        },
        rule: name(differing, parting.rule).to_string(),
        one: says(&parting.says[0]),
        other: says(&parting.says[1]),
        counterfactual: parting.is_counterfactual,
    };
    Document {
        loom: "rules-diff/1",
        sets: [set(one, differing.asked[0]), set(other, differing.asked[1])],
        equal: differing.is_equal(),
        sources: differing.sources,
        runs: differing.runs,
        unwanted_runs: differing.unwanted,
        events: differing.events,
        partings: partings(differing.partings()),
        rules: differing
            .rules
            .iter()
            .map(|rule| RuleJson {
                rule: rule.name.clone(),
                asked_by_one: rule.is_there[0].then_some(rule.asked[0]),
                asked_by_other: rule.is_there[1].then_some(rule.asked[1]),
                partings: partings(rule.partings),
            })
            .collect(),
        findings: differing.findings.iter().map(finding).collect(),
        left_out: differing.left_out.iter().map(LeftOutJson::from).collect(),
    }
}

fn name(differing: &Differing, rule: usize) -> &str {
    differing.rules.get(rule).map_or("", |rule| rule.name.as_str())
}

fn print(named: (&str, &str), differing: &Differing, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let width = differing.rules.iter().map(|rule| rule.name.chars().count()).max().unwrap_or(0).max(4);
    let heading =
        ["only B violated", "only A violated", "unknowable in one", "counterfactual", "asked by A", "asked by B"];
    writeln!(out, "{STRONG}{:width$}  {}{STRONG:#}", "rule", heading.join("  "))?;
    for rule in &differing.rules {
        let Partings { gained, lost, unknowable, counterfactual } = rule.partings;
        let asked = |side: usize| match rule.is_there[side] {
            true => rule.asked[side].to_string(),
            false => "none".to_string(),
        };
        let style = if rule.partings.total() == 0 { GOOD } else { BAD };
        let (a, b) = (asked(0), asked(1));
        writeln!(
            out,
            "{style}{:width$}{style:#}  {gained:>15}  {lost:>15}  {unknowable:>17}  {counterfactual:>14}  {a:>10}  {b:>10}",
            clean(&rule.name)
        )?;
    }
    let listed = differing.findings.iter().take(TOLD_MAX);
    for parting in listed.clone() {
        print_parting(parting, name(differing, parting.rule), output)?;
    }
    let untold = differing.partings().total().saturating_sub(listed.len() as u64);
    if untold > 0 {
        let listed = differing.findings.len();
        writeln!(output.out, "{FAINT}{untold} more; --json lists the first {listed}{FAINT:#}")?;
    }
    left_out::print(&differing.left_out, output)?;
    let out = &mut output.out;
    let Differing { runs, sources, events, unwanted, asked: [one, other], .. } = differing;
    let (a, b) = (clean(named.0), clean(named.1));
    writeln!(
        out,
        "A is {a}, asked about {one} events; B is {b}, asked about {other}; of {events} events in {runs} runs of {sources} sources"
    )?;
    if *unwanted > 0 {
        writeln!(out, "{unwanted} runs were not asked for")?;
    }
    let sum = differing.partings().total();
    match (differing.asked, sum) {
        ([0, 0], _) => writeln!(out, "{WARN}nothing was asked, so nothing is equal{WARN:#}")?,
        (_, 0) => writeln!(out, "{GOOD}both decide alike{GOOD:#}")?,
        _ => writeln!(out, "{BAD}they part {sum} times{BAD:#}")?,
    }
    Ok(())
}

fn print_parting(parting: &Parting, rule: &str, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let id = told(&parting.stream, parting.sequence);
    let [one, other] = &parting.says;
    let later = if parting.is_counterfactual { ", counterfactual" } else { "" };
    let proposed = match parting.place {
        Place::Event => "",
        Place::Proposal => ", proposed",
    };
    let (kind, slug) = (parting.kind, clean(&parting.slug));
    writeln!(out, "{ID}{id}{ID:#} {STRONG}{kind}{STRONG:#}{proposed} of {slug}")?;
    writeln!(out, "  {}: A {}, B {}{later}", clean(rule), one.word(), other.word())?;
    for (side, says) in [("A", one), ("B", other)] {
        if let Some(why) = why(says) {
            writeln!(out, "  {WARN}{side}: {}{WARN:#}", clean(&why))?;
        }
        for (name, value) in says.said().iter().flat_map(|said| &said.read) {
            writeln!(out, "  {FAINT}{side}: {}{FAINT:#}", clip(&format!("{name} = {value}"), READ_MAX))?;
        }
    }
    Ok(())
}
