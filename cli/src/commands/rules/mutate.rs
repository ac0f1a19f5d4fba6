//! `loom rules mutate`: which small changes of rules their cases do not notice (MUTATE-1).

use super::with_cases;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, FAINT, GOOD, Output};
use crate::text::{clean, clean_block};
use loom_bundles::{CaseReport, Fate, Mutant, MutationReport, Source, cases_of, mutate_rules};
use serde::Serialize;
use std::io::Write;
use std::path::Path;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Whether cases hold and notice as much as `--min` asks for.
    ok: bool,
    killed: usize,
    survived: usize,
    /// Mutants that are proven to decide alike; they are none of the others.
    alike: usize,
    /// Killed of those killed and survived, rounded down; 100 where there are none.
    percent: usize,
    sets: Vec<SetJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SetJson {
    set: String,
    file: String,
    killed: usize,
    alike: usize,
    survivors: Vec<SurvivorJson>,
    /// Why nothing could be mutated: files that do not load, cases that do not hold.
    problems: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SurvivorJson {
    /// Name of the rule or fact.
    of: String,
    line: u32,
    column: u32,
    what: String,
    from: String,
    /// Empty where it is dropped.
    to: String,
}

/// A file and what came of its mutants.
type Mutated = (String, Result<MutationReport, CaseReport>);

/// Answers `loom rules mutate`.
pub(super) fn mutate(file: Option<&Path>, min: Option<u64>, output: &mut Output) -> Result<Exit, CliError> {
    let mutated: Vec<Mutated> = match file {
        Some(file) => {
            let (rules, cases) = with_cases(file)?;
            let name = file.to_string_lossy().into_owned();
            let report = mutate_rules(&name, &rules, &cases);
            vec![(name, report)]
        }
        None => builtin(),
    };
    let count =
        |fate| mutated.iter().filter_map(|(_, report)| report.as_ref().ok()).map(|report| report.count(fate)).sum();
    let (killed, survived, alike): (usize, usize, usize) =
        (count(Fate::Killed), count(Fate::Survived), count(Fate::Alike));
    let percent = (killed * 100).checked_div(killed + survived).unwrap_or(100);
    let is_whole = mutated.iter().all(|(_, report)| report.is_ok());
    let ok = is_whole && min.is_none_or(|min| percent as u64 >= min);
    if output.json {
        let sets = mutated.iter().map(set_json).collect();
        output.document(&Document { loom: "rules-mutate/1", ok, killed, survived, alike, percent, sets })?;
    } else {
        for (file, report) in &mutated {
            match report {
                Ok(report) => survivors(report).try_for_each(|mutant| print(file, mutant, output))?,
                Err(report) => write!(output.out, "{}", clean_block(&report.to_string()))?,
            }
        }
        let style = if ok { GOOD } else { BAD };
        writeln!(
            output.out,
            "{style}{killed} killed, {survived} survived, {percent} %{style:#}; {alike} decide alike"
        )?;
    }
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

fn builtin() -> Vec<Mutated> {
    let mut mutated = Vec::new();
    for source in Source::builtin_names().iter().filter_map(|name| Source::builtin(name).ok()) {
        for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
            let (rules, cases) =
                (source.text(path).unwrap_or_default(), source.text(&cases_of(path)).unwrap_or_default());
            mutated.push((path.clone(), mutate_rules(path, rules, cases)));
        }
    }
    mutated
}

fn survivors(report: &MutationReport) -> impl Iterator<Item = &Mutant> {
    report.mutants.iter().filter(|mutant| mutant.fate == Fate::Survived)
}

fn print(file: &str, mutant: &Mutant, output: &mut Output) -> Result<(), CliError> {
    let Mutant { of, place, what, from, to, .. } = mutant;
    writeln!(output.out, "{}:{place}: {}: {what}, and no case notices", clean(file), clean(of))?;
    let lines = |text: &str| text.lines().map(|line| clean(line.trim_end())).collect::<Vec<_>>();
    for line in lines(from) {
        writeln!(output.out, "    {BAD}- {line}{BAD:#}")?;
    }
    for line in lines(to) {
        writeln!(output.out, "    {GOOD}+ {line}{GOOD:#}")?;
    }
    if to.is_empty() {
        writeln!(output.out, "    {FAINT}+{FAINT:#}")?;
    }
    Ok(())
}

fn set_json((file, report): &Mutated) -> SetJson {
    match report {
        Ok(report) => SetJson {
            set: report.set.clone(),
            file: file.clone(),
            killed: report.count(Fate::Killed),
            alike: report.count(Fate::Alike),
            survivors: survivors(report)
                .map(|mutant| SurvivorJson {
                    of: mutant.of.clone(),
                    line: mutant.place.line,
                    column: mutant.place.column,
                    what: mutant.what.clone(),
                    from: mutant.from.clone(),
                    to: mutant.to.clone(),
                })
                .collect(),
            problems: Vec::new(),
        },
        Err(report) => {
            let failed = report.cases.iter().filter(|case| !case.ok);
            let failed = failed.map(|case| format!("{}/{}: {} ({})", report.set, case.rule, case.name, case.told));
            SetJson {
                set: report.set.clone(),
                file: file.clone(),
                killed: 0,
                alike: 0,
                survivors: Vec::new(),
                problems: report.problems.iter().cloned().chain(failed).collect(),
            }
        }
    }
}
