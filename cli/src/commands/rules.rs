//! `loom rules`: the invariants, as they stand in the built-in bundles and in the runs of this store.

mod add;
mod check;
mod diff;
mod explain;
mod mutate;

pub(super) use add::Document as ArmedDocument;
pub(super) use check::Document as CheckDocument;
pub(super) use diff::Document as DiffDocument;
pub(super) use explain::Document as ExplainDocument;
pub(super) use mutate::Document as MutateDocument;

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{BAD, FAINT, GOOD, ID, Output, STRONG};
use crate::project::{self, Opened};
use crate::rule_file::read;
use crate::text::{clean, clean_block, clip, short, time};
use loom_bundles::{CaseReport, Source, cases_of, test_rules};
use loom_core::arming::ArmedSet;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Digest, hex};
use loom_core::kind::{Event, RulesAdded, RunOpened};
use loom_core::rules::{RuleInfo, RuleSet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// Lists, shows and tests rule sets.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: RulesCommand,
}

#[derive(Debug, clap::Subcommand)]
enum RulesCommand {
    /// Lists the rule sets of the built-in bundles and of the runs.
    List,
    /// Shows a rule set or one of its rules.
    Show {
        /// A set's name or the first digits of its digest; or SET/RULE.
        #[arg(value_name = "SET[/RULE]")]
        name: String,
    },
    /// Says what is wrong with rule files before anything runs; without one, with those of the built-in bundles.
    Check {
        /// Rule files.
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Moves of a walk through the bundle's process, by which is seen whether a rule is ever asked.
        #[arg(long, value_name = "COUNT", default_value_t = 48, value_parser = clap::value_parser!(u16).range(1..=1000))]
        depth: u16,
    },
    /// Changes rules a little and says which changes their cases do not notice; without a file, of the built-in bundles.
    Mutate {
        /// A rule file; its cases stand beside it, in `NAME.cases.toml`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Ends with 1 where the cases notice a smaller part.
        #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u64).range(0..=100))]
        min: Option<u64>,
    },
    /// Says in plain words what rules mean, with an event of recorded runs that each passes and one that it refuses.
    Explain(explain::Arguments),
    /// Says what two rule sets decide differently over recorded runs; ends with 1 where they do.
    Diff(diff::Arguments),
    /// Arms a rule set: every run that is opened from now on is judged by it too.
    ///
    /// Its text is taken as it is now; what becomes of the file changes nothing. Runs that are under way are judged as
    /// they were.
    Add {
        /// A rule file, where no agent can write.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Retires an armed rule set: runs that are opened from now on are not judged by it.
    Retire {
        /// The set's name.
        #[arg(value_name = "SET")]
        name: String,
    },
    /// Runs the cases beside a rule file; without a file, those of the built-in bundles.
    Test {
        /// A rule file; its cases stand beside it, in `NAME.cases.toml`.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
}

/// A rule set and where it is from.
pub(super) struct Known {
    pub(super) set: RuleSet,
    /// The built-in bundles that have it.
    pub(super) bundles: Vec<String>,
    runs: u64,
    /// Who armed it and when, where it is armed.
    armed: Option<ArmedSet>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct ListDocument {
    loom: &'static str,
    sets: Vec<SetJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct ShowDocument {
    loom: &'static str,
    #[serde(flatten)]
    set: SetJson,
    text: String,
    facts: Vec<FactJson>,
    rules: Vec<RuleJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SetJson {
    set: String,
    about: String,
    digest: String,
    bundles: Vec<String>,
    runs: u64,
    /// Where it is armed for new runs.
    armed: Option<ArmedJson>,
    rule_count: usize,
    fact_count: usize,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ArmedJson {
    by: String,
    /// Milliseconds since the epoch.
    since_ms: u64,
    /// Sequence in the store's stream.
    sequence: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct FactJson {
    fact: String,
    r#type: String,
    kinds: Vec<&'static str>,
    line: u32,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RuleJson {
    rule: String,
    message: String,
    severity: &'static str,
    origin: Option<String>,
    kinds: Vec<&'static str>,
    expression: String,
    cost: u64,
    line: u32,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct TestDocument {
    loom: &'static str,
    ok: bool,
    sets: Vec<TestJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TestJson {
    set: String,
    cases: Vec<CaseJson>,
    problems: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct CaseJson {
    rule: String,
    case: String,
    ok: bool,
    told: String,
}

/// Answers `loom rules`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    match &arguments.command {
        RulesCommand::List => list(global, output),
        RulesCommand::Show { name } => show(name, global, output),
        RulesCommand::Check { files, depth } => check::check(files, usize::from(*depth), output),
        RulesCommand::Mutate { file, min } => mutate::mutate(file.as_deref(), *min, output),
        RulesCommand::Explain(arguments) => explain::explain(arguments, global, output),
        RulesCommand::Diff(arguments) => diff::diff(arguments, global, output),
        RulesCommand::Add { file } => add::add(file, global, output),
        RulesCommand::Retire { name } => add::retire(name, global, output),
        RulesCommand::Test { file } => test(file.as_deref(), output),
    }
}

fn list(global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let known = known(global, output)?;
    if output.json {
        output.document(&ListDocument { loom: "rules-list/1", sets: known.iter().map(set_json).collect() })?;
        return Ok(Exit::Ok);
    }
    for Known { set, bundles, runs, armed } in &known {
        let from = if bundles.is_empty() { String::new() } else { format!(", bundle {}", bundles.join(", ")) };
        let (id, name, rules) = (short(&set.digest()), clean(set.name()), set.rules().count());
        writeln!(output.out, "{ID}{id}{ID:#} {STRONG}{name:<14}{STRONG:#} {rules:>2} rules, {runs} runs{from}")?;
        if let Some(armed) = armed {
            let since = time(armed.since.ms);
            writeln!(output.out, "         {GOOD}armed{GOOD:#} for new runs by {} at {since} UTC", clean(&armed.by))?;
        }
        writeln!(output.out, "         {FAINT}{}{FAINT:#}", clip(set.about(), 90))?;
    }
    Ok(Exit::Ok)
}

fn show(name: &str, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let known = known(global, output)?;
    let (set_name, rule_name) = match name.split_once('/') {
        Some((set, rule)) => (set, Some(rule)),
        None => (name, None),
    };
    let found = named(&known, set_name)?;
    let rules: Vec<&RuleInfo> =
        found.set.rules().filter(|rule| rule_name.is_none_or(|name| rule.name == name)).collect();
    if rule_name.is_some() && rules.is_empty() {
        return Err(CliError::NoRuleSet { name: name.to_string() });
    }
    let set = &found.set;
    if output.json {
        let facts = set.facts().map(|fact| FactJson {
            fact: fact.name.clone(),
            r#type: fact.ty.clone(),
            kinds: fact.kinds.clone(),
            line: fact.place.line,
        });
        output.document(&ShowDocument {
            loom: "rules-show/1",
            set: set_json(found),
            text: set.text().to_string(),
            facts: facts.collect(),
            rules: rules.into_iter().map(rule_json).collect(),
        })?;
        return Ok(Exit::Ok);
    }
    match rule_name {
        None => {
            writeln!(output.out, "{FAINT}# digest {}{FAINT:#}", set.digest())?;
            write!(output.out, "{}", clean_block(set.text()))?;
        }
        Some(_) => {
            for rule in rules {
                print_rule(set.name(), rule, output)?;
            }
            writeln!(output.out, "  set      {}", set.digest())?;
        }
    }
    Ok(Exit::Ok)
}

/// Returns the set of this name, or whose digest begins so.
fn named<'k>(known: &'k [Known], name: &str) -> Result<&'k Known, CliError> {
    let is_named =
        |known: &&Known| known.set.name() == name || (name.len() >= 4 && hex(&known.set.digest().0).starts_with(name));
    let found: Vec<&Known> = known.iter().filter(is_named).collect();
    match found[..] {
        [] => Err(CliError::NoRuleSet { name: name.to_string() }),
        [one] => Ok(one),
        _ => {
            let candidates = found.iter().map(|known| format!("{} {}", known.set.name(), short(&known.set.digest())));
            Err(CliError::Ambiguous { text: name.to_string(), candidates: candidates.collect() })
        }
    }
}

/// Writes a rule as people read it.
pub(crate) fn print_rule(set: &str, rule: &RuleInfo, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    writeln!(out, "{STRONG}{}/{}{STRONG:#} ({})", clean(set), clean(&rule.name), rule.severity.word())?;
    writeln!(out, "  says     {}", clean(&rule.message))?;
    writeln!(out, "  on       {}", rule.kinds.join(", "))?;
    writeln!(out, "  requires {}", clean(&rule.expression))?;
    if let Some(origin) = &rule.origin {
        writeln!(out, "  from     {}", clean(origin))?;
    }
    writeln!(out, "  cost     at most {} on one event, line {}", rule.cost, rule.place.line)?;
    Ok(())
}

fn test(file: Option<&Path>, output: &mut Output) -> Result<Exit, CliError> {
    let reports = match file {
        Some(file) => vec![test_file(file)?],
        None => test_builtin(),
    };
    let ok = reports.iter().all(CaseReport::is_ok);
    if output.json {
        let sets = reports.into_iter().map(|report| TestJson {
            set: report.set,
            cases: report
                .cases
                .into_iter()
                .map(|case| CaseJson { rule: case.rule, case: case.name, ok: case.ok, told: case.told })
                .collect(),
            problems: report.problems,
        });
        output.document(&TestDocument { loom: "rules-test/1", ok, sets: sets.collect() })?;
    } else {
        let (mut passed, mut failed) = (0, 0);
        for report in &reports {
            write!(output.out, "{}", clean_block(&report.to_string()))?;
            passed += report.cases.iter().filter(|case| case.ok).count();
            failed += report.cases.iter().filter(|case| !case.ok).count() + report.problems.len();
        }
        let style = if ok { GOOD } else { BAD };
        writeln!(output.out, "{style}{passed} passed, {failed} failed{style:#}")?;
    }
    Ok(if ok { Exit::Ok } else { Exit::Failed })
}

fn test_file(file: &Path) -> Result<CaseReport, CliError> {
    let (rules, cases) = with_cases(file)?;
    Ok(test_rules(&file.to_string_lossy(), &rules, &cases))
}

/// Reads a rule file and the cases beside it.
fn with_cases(file: &Path) -> Result<(String, String), CliError> {
    let rules = read(file)?;
    let beside = file.file_name().map(|name| cases_of(&name.to_string_lossy())).unwrap_or_default();
    let beside = file.with_file_name(beside);
    match read(&beside) {
        Err(CliError::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
            Err(CliError::NoCases { rules: file.to_path_buf(), cases: beside })
        }
        cases => Ok((rules, cases?)),
    }
}

fn test_builtin() -> Vec<CaseReport> {
    let mut reports = Vec::new();
    for source in Source::builtin_names().iter().filter_map(|name| Source::builtin(name).ok()) {
        for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
            if let Some(rules) = source.text(path) {
                reports.push(test_rules(path, rules, source.text(&cases_of(path)).unwrap_or_default()));
            }
        }
    }
    reports
}

/// Returns the rule sets of the built-in bundles and, inside a project, of its runs.
pub(super) fn known(global: &Global, output: &Output) -> Result<Vec<Known>, CliError> {
    let mut sets: Vec<Known> = Vec::new();
    for name in Source::builtin_names() {
        let source = Source::builtin(name)?;
        for path in source.files.keys().filter(|path| path.ends_with(".rules")) {
            let Some(text) = source.text(path) else { continue };
            let set = RuleSet::load(text).map_err(|errors| CliError::Rules { file: PathBuf::from(path), errors })?;
            note(&mut sets, set, Some(name), 0);
        }
    }
    match project::open(global.dir.as_deref(), output) {
        Ok(opened) => {
            of_runs(&opened, &mut sets)?;
            of_store(&opened, &mut sets)?;
        }
        // Outside of a project there are only the built-in ones.
        Err(CliError::NoStore { .. }) if global.dir.is_none() => {}
        Err(error) => return Err(error),
    }
    sets.sort_by(|a, b| a.set.name().cmp(b.set.name()).then(a.set.digest().cmp(&b.set.digest())));
    Ok(sets)
}

fn of_runs(opened: &Opened, sets: &mut Vec<Known>) -> Result<(), CliError> {
    let store = opened.store.as_ref();
    let mut runs: BTreeMap<Digest, u64> = BTreeMap::new();
    for position in store.by_kind(&[RunOpened::SCHEMA.code, RulesAdded::SCHEMA.code], 0, usize::MAX)? {
        for event in store.events(position, 1)? {
            identify::view(&event)?;
            let body = Envelope::decode(&event.event.bytes).map(|envelope| envelope.body);
            match body.map_err(|source| CliError::Event { position, source })? {
                Event::RunOpened(opened) => {
                    opened.rules.iter().for_each(|rules| *runs.entry(*rules).or_default() += 1);
                }
                Event::RulesAdded(added) => *runs.entry(added.rules).or_default() += 1,
                _ => {}
            }
        }
    }
    for (blob, count) in runs {
        let Some(bytes) = store.blob(&blob)? else { continue };
        let text = Blob::content(&bytes).and_then(|content| std::str::from_utf8(content).ok()).unwrap_or_default();
        // A set that this Loom cannot load is one of another Loom; its runs say so when they are looked at.
        if let Ok(set) = RuleSet::load(text) {
            note(sets, set, None, count);
        }
    }
    Ok(())
}

/// Adds the sets that are armed, and says of those there are that they are.
fn of_store(opened: &Opened, sets: &mut Vec<Known>) -> Result<(), CliError> {
    let store = opened.store.as_ref();
    for armed in loom_host::armed::armed(store, None)?.sets() {
        let text = loom_host::armed::text(store, armed.rules)?;
        let Ok(set) = RuleSet::load(&text) else { continue };
        let digest = set.digest();
        note(sets, set, None, 0);
        if let Some(known) = sets.iter_mut().find(|known| known.set.digest() == digest) {
            known.armed = Some(armed.clone());
        }
    }
    Ok(())
}

fn note(sets: &mut Vec<Known>, set: RuleSet, bundle: Option<&str>, runs: u64) {
    let bundle = bundle.map(str::to_string);
    match sets.iter_mut().find(|known| known.set.digest() == set.digest()) {
        Some(known) => {
            known.bundles.extend(bundle);
            known.runs += runs;
        }
        None => sets.push(Known { set, bundles: bundle.into_iter().collect(), runs, armed: None }),
    }
}

fn set_json(known: &Known) -> SetJson {
    let Known { set, bundles, runs, armed } = known;
    SetJson {
        set: set.name().to_string(),
        about: set.about().to_string(),
        digest: hex(&set.digest().0),
        bundles: bundles.clone(),
        runs: *runs,
        armed: armed.as_ref().map(|armed| ArmedJson {
            by: armed.by.clone(),
            since_ms: armed.since.ms,
            sequence: armed.sequence,
        }),
        rule_count: set.rules().count(),
        fact_count: set.facts().count(),
    }
}

fn rule_json(rule: &RuleInfo) -> RuleJson {
    RuleJson {
        rule: rule.name.clone(),
        message: rule.message.clone(),
        severity: rule.severity.word(),
        origin: rule.origin.clone(),
        kinds: rule.kinds.clone(),
        expression: rule.expression.clone(),
        cost: rule.cost,
        line: rule.place.line,
    }
}
