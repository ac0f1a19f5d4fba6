//! `loom rules check`: what is wrong with rule files before anything runs (PROVE-2, PROVE-3).

use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, GOOD, Output, WARN};
use crate::rule_file::read;
use crate::text::clean;
use loom_bundles::{LoadedBundle, RuleFlaw, Source, load, rule_flaws};
use loom_core::rules::RuleSet;
use loom_replay::reach::unreached;
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Whether there is no error; warnings are none.
    ok: bool,
    files: Vec<FileJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FileJson {
    file: String,
    /// The set's name, where the file loads.
    set: Option<String>,
    findings: Vec<FindingJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FindingJson {
    id: &'static str,
    /// `error` or `warning`.
    severity: &'static str,
    line: u32,
    column: u32,
    what: String,
    repair: String,
}

/// A file, its set where it loads, and what is wrong with it.
type Checked = (String, Option<RuleSet>, Vec<RuleFlaw>);

/// Answers `loom rules check`.
pub(super) fn check(files: &[PathBuf], depth: usize, output: &mut Output) -> Result<Exit, CliError> {
    let mut checked = Vec::new();
    let mut bundles = Vec::new();
    for file in files {
        let (set, flaws) = rule_flaws(&read(file)?, &[]);
        checked.push((file.to_string_lossy().into_owned(), set, flaws));
    }
    if files.is_empty() {
        for source in Source::builtin_names().iter().filter_map(|name| Source::builtin(name).ok()) {
            // Stages read facts too.
            let bundle = load(&source)?;
            let stages = bundle.bundle.flows.values().flat_map(|flow| &flow.stages);
            let conditions: Vec<&str> = stages.filter_map(|stage| stage.when.as_deref()).collect();
            for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
                let (set, flaws) = rule_flaws(source.text(path).unwrap_or_default(), &conditions);
                checked.push((path.clone(), set, flaws));
            }
        }
    }
    for source in Source::builtin_names().iter().filter_map(|name| Source::builtin(name).ok()) {
        bundles.push(load(&source)?);
    }
    add_unreached(&mut checked, &bundles, depth)?;
    let all = || checked.iter().flat_map(|(_, _, flaws)| flaws);
    let errors = all().filter(|flaw| flaw.is_error).count();
    let warnings = all().count() - errors;
    if output.json {
        let files = checked.iter().map(|(file, set, flaws)| FileJson {
            file: file.clone(),
            set: set.as_ref().map(|set| set.name().to_string()),
            findings: flaws.iter().map(finding).collect(),
        });
        output.document(&Document { loom: "rules-check/1", ok: errors == 0, files: files.collect() })?;
    } else {
        for (file, flaw) in checked.iter().flat_map(|(file, _, flaws)| flaws.iter().map(move |flaw| (file, flaw))) {
            print(file, flaw, output)?;
        }
        let style = if errors == 0 { GOOD } else { BAD };
        let files = checked.len();
        writeln!(output.out, "{style}{files} files, {errors} errors, {warnings} warnings{style:#}")?;
    }
    Ok(if errors == 0 { Exit::Ok } else { Exit::Failed })
}

/// Adds the rules that no walk through a bundle comes to ask (PROVE-4).
fn add_unreached(checked: &mut [Checked], bundles: &[LoadedBundle], depth: usize) -> Result<(), CliError> {
    let mut missing: BTreeSet<&'static str> = checked
        .iter()
        .flat_map(|(_, set, _)| set)
        .flat_map(RuleSet::rules)
        .flat_map(|rule| rule.kinds.clone())
        .collect();
    for bundle in bundles {
        missing = unreached(bundle, &missing, depth).map_err(|reason| CliError::NotArmed { reason })?;
    }
    for (_, set, flaws) in checked {
        let rules = set.iter().flat_map(RuleSet::rules);
        flaws.extend(rules.filter(|rule| rule.kinds.iter().all(|kind| missing.contains(kind))).map(|rule| RuleFlaw {
            id: "RULE_UNREACHED",
            is_error: false,
            place: rule.place,
            what: format!(
                "rule `{}` is asked by no walk of at most {depth} moves through the process: none came to {}",
                rule.name,
                rule.kinds.join(", ")
            ),
            repair: "ask about a kind that runs come to, or look further by --depth".to_string(),
        }));
        flaws.sort_by_key(|flaw| (flaw.place.line, flaw.place.column));
    }
    Ok(())
}

/// Writes what is wrong at one place.
pub(super) fn print(file: &str, flaw: &RuleFlaw, output: &mut Output) -> Result<(), CliError> {
    let RuleFlaw { id, is_error, place, what, repair } = flaw;
    let (style, word) = if *is_error { (BAD, "error") } else { (WARN, "warning") };
    writeln!(output.out, "{}:{place}: {style}{word}{style:#} {id}: {}", clean(file), clean(what))?;
    writeln!(output.out, "    {}", clean(repair))?;
    Ok(())
}

fn finding(flaw: &RuleFlaw) -> FindingJson {
    FindingJson {
        id: flaw.id,
        severity: if flaw.is_error { "error" } else { "warning" },
        line: flaw.place.line,
        column: flaw.place.column,
        what: flaw.what.clone(),
        repair: flaw.repair.clone(),
    }
}
