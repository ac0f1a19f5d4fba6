//! `loom-replay shrink`: the smallest run that still breaks a rule, as a trace.

use super::judging::{load, why};
use super::one::{One, all};
use super::sources::{Runs, Sources, path};
use crate::app::Global;
use crate::commands::export::to_file;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{GOOD, Output, STRONG, WARN};
use crate::text::{clean, clean_block, run8, shown};
use loom_bundles::nearest;
use loom_core::id::hex;
use loom_core::rules::Rules;
use loom_replay::judge::{Place, Why, why_not};
use loom_replay::shrink::{How, Shrunk, shrink, shrink_crash, shrink_divergence};
use loom_replay::{Records, ReplayError, trace};
use serde::Serialize;
use std::io::Write;
use std::panic;
use std::path::{Path, PathBuf};

/// Leaves out the inputs that a rule is broken without, and writes what core derives from the rest as a trace.
///
/// Takes the first run that breaks the rule. The trace is judged as any other; it belongs to no store.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("breaks").required(true).multiple(true))]
#[command(group = clap::ArgGroup::new("result").required(true).multiple(true))]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    /// A rule set that is broken. May be given several times.
    #[arg(long, value_name = "FILE", group = "breaks")]
    rules: Vec<PathBuf>,
    /// The rule that is to be broken still, RULE or SET/RULE [default: the first that a run breaks].
    #[arg(long, value_name = "NAME", requires = "rules")]
    rule: Option<String>,
    /// A run on which this program panics where it is driven again, or judged by --rules.
    #[arg(long, group = "breaks", conflicts_with = "rule")]
    crash: bool,
    /// A run that comes out otherwise when it is driven again, cut off behind the commit where it does.
    #[arg(long, group = "breaks", conflicts_with_all = ["rules", "crash"])]
    divergence: bool,
    /// Most runs that are derived and judged on the way.
    #[arg(long, value_name = "COUNT", default_value_t = 1000)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    budget: u64,
    /// The trace to write; it must not be there yet.
    #[arg(short, long, value_name = "FILE", group = "result")]
    output: Option<PathBuf>,
    /// A new folder for run.trace, rule.rules and a README.md that says what it shows.
    #[arg(long, value_name = "FOLDER", group = "result")]
    keep_as_fixture: Option<PathBuf>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// The recorded run.
    run: String,
    /// The smaller one; the same stream where it was only cut.
    shrunk: String,
    /// `derived` from some of the inputs, or `cut` off.
    how: &'static str,
    /// Absent for a run that comes out otherwise, and for one that crashes.
    rule: Option<String>,
    /// What is said where it crashes.
    crash: Option<String>,
    kind: Option<&'static str>,
    /// `event`, or `proposal` for a decision that was dropped.
    place: Option<&'static str>,
    /// Sequence in the smaller run where it breaks the rule, or comes out otherwise.
    sequence: u64,
    commits_before: u64,
    commits: u64,
    events_before: u64,
    events: u64,
    /// Runs that were derived and judged.
    judgements: u64,
    /// Whether no single input more can be left out.
    smallest: bool,
    files: Vec<String>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LeftOutJson {
    /// A source's path, or a run.
    source: String,
    /// `damaged`, `newer` or `unread`.
    why: &'static str,
    what: String,
}

/// Answers `loom-replay shrink`.
pub(super) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let rules = if arguments.rules.is_empty() { None } else { Some(load(&arguments.rules)?) };
    if let (Some(rules), Some(name)) = (&rules, &arguments.rule) {
        known(rules, name)?;
    }
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let (runs, failed) = all(&corpus, &filter);
    let unread = corpus.unread.into_iter().map(|unread| (unread.path, Why::Unread(unread.error.to_string())));
    let mut left_out: Vec<(String, Why)> = unread.map(|(source, why)| (path(&source), why)).collect();
    left_out.extend(failed.into_iter().map(|(source, error)| (path(&source), why_not(error))));
    for run in &runs {
        let records = run.records();
        let found = match smaller(arguments, rules.as_ref(), run.origin()?, records.as_ref()) {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(error) => {
                left_out.push((format!("run {}", run8(&records.stream())), why_not(error)));
                continue;
            }
        };
        let files = write(arguments, rules.as_ref(), &found)?;
        match output.json {
            true => output.document(&document(run, &found, &files, &left_out))?,
            false => print(run, &found, &files, output)?,
        }
        tell(&left_out, output);
        return Ok(Exit::Ok);
    }
    tell(&left_out, output);
    Err(CliError::NothingToShrink { runs: runs.len(), left_out: left_out.len() })
}

/// Refuses the name of a rule, RULE or SET/RULE, that the rules do not have.
fn known(rules: &Rules, name: &str) -> Result<(), CliError> {
    let all = rules.sets().iter().flat_map(|set| set.rules().map(|rule| (set.name(), rule.name.as_str())));
    let all: Vec<(String, &str)> = all.map(|(set, rule)| (format!("{set}/{rule}"), rule)).collect();
    if all.iter().any(|(whole, rule)| [whole.as_str(), rule].contains(&name)) {
        return Ok(());
    }
    let near = nearest(name, all.iter().flat_map(|(whole, rule)| [whole.as_str(), rule]));
    Err(CliError::NoSuchRule { name: name.to_string(), near: near.map(str::to_string) })
}

/// Warns of what could not be looked at.
fn tell(left_out: &[(String, Why)], output: &Output) {
    for (source, left) in left_out {
        let (word, what) = why(left);
        output.warn(&format!("left out, {word}: {source}: {what}"));
    }
}

fn smaller<'r>(
    arguments: &Arguments,
    rules: Option<&Rules>,
    origin: [u8; 16],
    records: &'r dyn Records,
) -> Result<Option<Shrunk<'r>>, ReplayError> {
    match rules {
        _ if arguments.crash => {
            // Each panic is looked for; only what the first one says is told.
            let hook = panic::take_hook();
            panic::set_hook(Box::new(|_| ()));
            let found = shrink_crash(records, origin, rules, arguments.budget);
            panic::set_hook(hook);
            found
        }
        Some(rules) => shrink(records, origin, rules, arguments.rule.as_deref(), arguments.budget),
        None => shrink_divergence(records, origin),
    }
}

fn write(arguments: &Arguments, rules: Option<&Rules>, found: &Shrunk<'_>) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    let trace = |file: &Path| -> Result<(), CliError> {
        to_file(file, false, |sink| Ok(trace::write(&found.run, found.origin, false, sink)?)).map(drop)
    };
    if let Some(file) = &arguments.output {
        trace(file)?;
        files.push(file.clone());
    }
    let Some(folder) = &arguments.keep_as_fixture else { return Ok(files) };
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AlreadyExists => CliError::FileExists { path: folder.clone() },
        _ => CliError::File { doing: "create", path: folder.clone(), source },
    };
    std::fs::create_dir(folder).map_err(failed)?;
    trace(&folder.join("run.trace"))?;
    let mut texts = vec![("README.md", shows(rules, found))];
    let set_of = |rule: &str| rule.split_once('/').map_or("", |(set, _)| set).to_string();
    let set = found.target.as_ref().map(|target| set_of(&target.rule));
    let set = rules.and_then(|rules| rules.sets().iter().find(|known| Some(known.name()) == set.as_deref()));
    texts.extend(set.map(|set| ("rule.rules", set.text().to_string())));
    // A crash may be one of judging.
    let judged = rules.filter(|_| found.crash.is_some()).and_then(|rules| rules.sets().first());
    texts.extend(judged.map(|set| ("rule.rules", set.text().to_string())));
    files.push(folder.join("run.trace"));
    for (name, text) in texts {
        let file = folder.join(name);
        to_file(&file, false, |sink| Ok(sink.write_all(text.as_bytes())?))?;
        files.push(file);
    }
    Ok(files)
}

/// Says in a few lines what a kept run shows.
fn shows(rules: Option<&Rules>, found: &Shrunk<'_>) -> String {
    if let Some(crash) = &found.crash {
        let judged = rules.map_or("", |_| "    loom-replay judge --rules rule.rules run.trace\n");
        let (crash, at) = (clean_block(crash), found.sequence);
        return format!(
            "Loom panics where the run is driven or judged again, at event {at}:\n\n    {crash}\n\n    loom-replay redrive run.trace\n{judged}"
        );
    }
    let Some(target) = &found.target else {
        return format!(
            "The run comes out otherwise at event {} when it is driven again.\n\n    loom-replay redrive run.trace\n",
            found.sequence
        );
    };
    let is_rule = |set: &str, name: &str| target.rule == format!("{set}/{name}");
    let message = rules
        .into_iter()
        .flat_map(|rules| rules.sets())
        .find_map(|set| set.rules().find(|rule| is_rule(set.name(), &rule.name)).map(|rule| rule.message.clone()));
    let message = message.map(|message| format!(": {message}")).unwrap_or_default();
    let (rule, kind, at) = (&target.rule, target.kind, found.sequence);
    format!(
        "`{rule}` is violated at {kind}, event {at}{message}.\n\n    loom-replay judge --rules rule.rules run.trace\n"
    )
}

fn place(place: Place) -> &'static str {
    match place {
        Place::Event => "event",
        Place::Proposal => "proposal",
    }
}

fn document(run: &One, found: &Shrunk<'_>, files: &[PathBuf], left_out: &[(String, Why)]) -> Document {
    let target = found.target.as_ref();
    Document {
        loom: "shrink/1",
        run: hex(&run.records().stream().0),
        shrunk: hex(&found.run.stream().0),
        how: found.how.word(),
        rule: target.map(|target| target.rule.clone()),
        crash: found.crash.clone(),
        kind: target.map(|target| target.kind),
        place: target.map(|target| place(target.place)),
        sequence: found.sequence,
        commits_before: found.before.commits,
        commits: found.after.commits,
        events_before: found.before.events,
        events: found.after.events,
        judgements: found.judgements,
        smallest: found.is_smallest,
        files: files.iter().map(|file| path(file)).collect(),
        left_out: left_out
            .iter()
            .map(|(source, left)| {
                let (why, what) = why(left);
                LeftOutJson { source: source.clone(), why, what }
            })
            .collect(),
    }
}

fn print(run: &One, found: &Shrunk<'_>, files: &[PathBuf], output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let run = run8(&run.records().stream());
    let (before, after) = (found.before, found.after);
    match (&found.target, &found.crash) {
        (None, Some(crash)) => writeln!(out, "{STRONG}run {run} crashes{STRONG:#}: {}", clean(crash))?,
        (Some(target), _) => {
            writeln!(out, "{STRONG}{}{STRONG:#} is violated at {} by run {run}", clean(&target.rule), target.kind)?;
        }
        (None, None) => writeln!(out, "run {run} comes out otherwise when it is driven again")?,
    }
    let sizes =
        format!("{} of {} commits, {} of {} events", after.commits, before.commits, after.events, before.events);
    writeln!(out, "{GOOD}{sizes}{GOOD:#}, at event {}", found.sequence)?;
    let judged = found.judgements;
    match (found.how, found.is_smallest) {
        (How::Derived, true) => {
            writeln!(out, "derived anew; no single input more can be left out; {judged} runs were judged")?;
        }
        (How::Derived, false) => {
            writeln!(out, "{WARN}derived anew; the budget ended the search after {judged} runs{WARN:#}")?;
        }
        (How::Cut, _) => {
            writeln!(out, "{WARN}cut off behind that commit: core derives no such run from its inputs{WARN:#}")?
        }
    }
    files.iter().try_for_each(|file| writeln!(out, "{}", shown(file)))?;
    Ok(())
}
