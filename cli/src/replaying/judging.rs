//! `loom-replay judge`: would these rules have refused something, and where?

use super::format::{Answer, Format};
use super::sources::{self, Runs, Sources, threads};
use super::{judged, junit, report, sarif};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, ID, Output, STRONG, WARN};
pub(super) use crate::rule_file::load;
use crate::text::{clean, clip, run8, shown};
use loom_core::rules::{Outcome, Severity};
use loom_core::schema::Class;
use loom_replay::cause::Step;
use loom_replay::judge::{Compared, Finding, Judgement, Options, Place, RuleTotals, Totals, Why, judge};
use std::io::Write;
use std::path::PathBuf;

/// Findings that are told one by one to people; the other forms have all that are listed.
const TOLD_MAX: usize = 50;
/// Most characters of what a rule read.
const READ_MAX: usize = 160;

/// Why a rule is not reached where events of its kinds are there.
pub(crate) const NEVER_JUDGED: &str = "never judged (COMMIT-5)";

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
    #[command(flatten)]
    pub(super) answer: Answer,
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
        Format::Json => output.document(&judged::document(&judgement))?,
        Format::Junit => arguments.answer.file.foreign(&junit::of_judgement(&judgement), output)?,
        Format::Sarif => arguments.answer.file.foreign(&sarif::of_judgement(&judgement)?, output)?,
        Format::Html => arguments.answer.file.foreign(&report::of_judgement(&judgement), output)?,
    }
    Ok(exit(&judgement, arguments.fail_on))
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
    for (index, rule) in judgement.rules.iter().enumerate() {
        let RuleTotals { not_reached, never_judged, .. } = judgement.rule_totals(index);
        if never_judged > 0 {
            let name = clean(&rule.name);
            writeln!(
                out,
                "{WARN}{name}: of {not_reached} runs not reached, in {never_judged} what there is of its kinds is {NEVER_JUDGED}{WARN:#}"
            )?;
        }
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
pub(super) fn word(finding: &Finding, severity: Severity) -> &'static str {
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
