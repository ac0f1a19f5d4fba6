//! `loom rules check`: what is wrong with rule files before anything runs (PROVE-2, PROVE-3).

use super::read;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, GOOD, Output, WARN};
use crate::text::clean;
use loom_bundles::{RuleFlaw, Source, load, rule_flaws};
use serde::Serialize;
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

/// Answers `loom rules check`.
pub(super) fn check(files: &[PathBuf], output: &mut Output) -> Result<Exit, CliError> {
    let mut checked = Vec::new();
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
