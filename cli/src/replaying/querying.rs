//! `loom-replay query`: the language of rules over events, or over whole runs, with counts and groups.

use super::cases::{Case, Cases, Went};
use super::format::{Format, Plain};
use super::judging::why;
use super::sources::{self, Runs, Sources, path};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, ID, Output, STRONG, WARN, note};
use crate::rule_file;
use crate::text::{clean, clip, rfc3339, run8, shown};
use loom_core::id::hex;
use loom_core::rules::Outcome;
use loom_replay::judge::Why;
use loom_replay::query::{Answer, Match, Mode, QueryError, Question, READY_MADE, Tally, query};
use serde::Serialize;
use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Matches that are told one by one to people.
const TOLD_MAX: usize = 50;
/// Matches that a document lists.
const LISTED_MAX: usize = 10_000;
/// Groups that are told to people.
const GROUPS_MAX: usize = 100;
/// Most characters of what was read.
const READ_MAX: usize = 160;

/// Asks recorded runs in the language of rules: which events are such, or with facts alone which runs are; with counts and groups.
///
/// With --on each event of these kinds is asked with the facts before it, else each run with its facts at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Stores, exported traces, and folders of them, else the project's store; and last the expression.
    #[arg(value_name = "[SOURCE]... EXPRESSION", required = true)]
    words: Vec<OsString>,
    #[command(flatten)]
    runs: Runs,
    /// The kinds of events that it is about, with commas between them.
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    on: Vec<String>,
    /// Facts: a rule file, or ready-made ones by name: runs, spending (a file of that name is ./runs).
    #[arg(long, value_name = "FILE|NAME")]
    facts: Option<PathBuf>,
    /// Counts alone, without the matches.
    #[arg(long)]
    count: bool,
    /// Counts by the value of this field, or of kind, actor or actor_class; for runs, of this fact.
    #[arg(long, value_name = "FIELD")]
    group_by: Option<String>,
    /// One line of JSON for each match, as its run is found whole; the counts go to stderr.
    #[arg(long, conflicts_with_all = ["json", "count", "format"])]
    jsonl: bool,
    #[command(flatten)]
    pub(super) answer: Plain,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document<'q> {
    loom: &'static str,
    expression: &'q str,
    /// `events` or `runs`.
    about: &'static str,
    on: &'q [String],
    /// What the counts are out of.
    sources: u64,
    runs: u64,
    events: u64,
    unwanted_runs: u64,
    total: TallyJson,
    group_by: Option<&'q str>,
    groups: Vec<GroupJson<'q>>,
    /// The first matches; all are counted.
    matches: Vec<MatchJson>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct TallyJson {
    /// Events or runs that were asked about.
    asked: u64,
    matched: u64,
    /// For which it cannot be known: neither yes nor no.
    unknowable: u64,
    /// For which it cannot be computed: neither yes nor no.
    failed: u64,
}

#[derive(Serialize, schemars::JsonSchema)]
struct GroupJson<'q> {
    group: &'q str,
    tally: TallyJson,
}

/// An event or a run for which it holds, or cannot be told.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct MatchJson {
    source: String,
    run: String,
    slug: String,
    sequence: u64,
    time: String,
    kind: &'static str,
    /// `matched`, `unknowable` or `failed`.
    result: &'static str,
    /// What is missing or wrong, where it is not a match.
    why: Option<String>,
    read: Vec<ReadJson>,
    group: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ReadJson {
    name: String,
    value: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LeftOutJson {
    path: String,
    run: Option<String>,
    /// `damaged`, `newer` or `unread`.
    why: &'static str,
    what: String,
}

/// Answers `loom-replay query`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let (expression, named) = arguments.words.split_last().ok_or(CliError::NoValue)?;
    let expression = expression.to_str().ok_or(CliError::TaskNotText)?;
    let question = question(arguments, expression)?;
    let filter = arguments.runs.filter(output)?;
    let corpus = Sources::of(named.iter().map(PathBuf::from).collect()).find(global)?;
    let mut listed = Vec::new();
    let mut failed = None;
    let mut cases = Vec::new();
    let max = match (arguments.count, format) {
        (true, _) => 0,
        (false, Format::Text) => TOLD_MAX,
        (false, Format::Json | Format::Junit | Format::Sarif | Format::Html) => LISTED_MAX,
    };
    let is_foreign = !matches!(format, Format::Text | Format::Json);
    let mut show = |source: &Path, found: &Match| {
        if arguments.jsonl && failed.is_none() {
            failed = output.line(&one(source, found)).err();
        } else if is_foreign && cases.len() < max {
            cases.push(case(source, found));
        } else if !is_foreign && listed.len() < max {
            listed.push(one(source, found));
        }
    };
    let answer = query(&corpus, &question, &filter, &sources::open, &mut show)?;
    if let Some(error) = failed {
        return Err(error);
    }
    if arguments.jsonl {
        output.out.flush()?;
        if !global.quiet {
            totals(&question, &answer).iter().for_each(|line| note(line));
        }
        for left in &answer.left_out {
            let (word, what) = why(&left.why);
            output.warn(&format!("left out, {word}: {}: {what}", shown(&left.path)));
        }
    } else if is_foreign {
        let mut told = Cases::begin("query", format!("asked: {expression}"), &answer.left_out);
        told.cases.append(&mut cases);
        arguments.answer.file.cases(&told, format, output)?;
    } else if output.json {
        output.document(&document(arguments, expression, &question, &answer, listed))?;
    } else {
        print(arguments, &question, &answer, &listed, output)?;
    }
    Ok(exit(&answer))
}

fn question(arguments: &Arguments, expression: &str) -> Result<Question, CliError> {
    let ready = |file: &PathBuf| READY_MADE.iter().find(|ready| Path::new(ready.name) == file);
    let text = match &arguments.facts {
        None => None,
        Some(file) => Some(match ready(file) {
            Some(ready) => ready.text.to_string(),
            None => rule_file::read(file)?,
        }),
    };
    let asked = Question::new(&arguments.on, expression, text.as_deref(), arguments.group_by.as_deref());
    asked.map_err(|error| match (error, &arguments.facts) {
        (QueryError::Facts(errors), Some(file)) => CliError::Rules { file: file.clone(), errors },
        (error, _) => CliError::Query(error),
    })
}

/// Damage goes before what could not be read, that before what cannot be known (QUERY-4).
fn exit(answer: &Answer) -> Exit {
    let Tally { asked, unknowable, failed, .. } = answer.total;
    if answer.left_out.iter().any(|left| matches!(left.why, Why::Damaged(_))) {
        Exit::Damaged
    } else if !answer.left_out.is_empty() {
        Exit::Unavailable
    } else if asked == 0 || unknowable + failed > 0 {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

/// What was looked for is met; that is neither good nor bad.
fn case(source: &Path, found: &Match) -> Case {
    let read: Vec<String> = found.read.iter().map(|(name, value)| format!("{name} = {value}")).collect();
    let at = told(&found.stream, found.sequence);
    let went = match &found.outcome {
        Outcome::True | Outcome::False => Went::Met { message: format!("{} at {at}: {}", found.kind, read.join(", ")) },
        Outcome::Unknown(why) | Outcome::Error(why) => {
            Went::Unknowable { message: format!("{} at {at}: {why}", found.kind) }
        }
    };
    let class = format!("{} {}", run8(&found.stream), found.slug);
    let (path, place, name) = (source.to_path_buf(), Some((found.stream, found.sequence)), found.kind.to_string());
    Case { path, place, class, name: format!("{name} #{}", found.sequence), went }
}

fn one(source: &Path, found: &Match) -> MatchJson {
    let (result, why) = match &found.outcome {
        Outcome::True | Outcome::False => ("matched", None),
        Outcome::Unknown(missing) => ("unknowable", Some(missing.clone())),
        Outcome::Error(wrong) => ("failed", Some(wrong.clone())),
    };
    let read = found.read.iter().map(|(name, value)| ReadJson { name: name.clone(), value: value.clone() });
    MatchJson {
        source: path(source),
        run: hex(&found.stream.0),
        slug: found.slug.clone(),
        sequence: found.sequence,
        time: rfc3339(found.at_ms),
        kind: found.kind,
        result,
        why,
        read: read.collect(),
        group: found.group.clone(),
    }
}

fn tally(tally: Tally) -> TallyJson {
    let Tally { asked, matched, unknowable, failed } = tally;
    TallyJson { asked, matched, unknowable, failed }
}

fn about(question: &Question) -> &'static str {
    match question.mode() {
        Mode::Events => "events",
        Mode::Runs => "runs",
    }
}

fn document<'q>(
    arguments: &'q Arguments,
    expression: &'q str,
    question: &Question,
    answer: &'q Answer,
    matches: Vec<MatchJson>,
) -> Document<'q> {
    Document {
        loom: "query/1",
        expression,
        about: about(question),
        on: &arguments.on,
        sources: answer.sources,
        runs: answer.runs,
        events: answer.events,
        unwanted_runs: answer.unwanted,
        total: tally(answer.total),
        group_by: arguments.group_by.as_deref(),
        groups: answer.groups.iter().map(|(group, count)| GroupJson { group, tally: tally(*count) }).collect(),
        matches,
        left_out: answer
            .left_out
            .iter()
            .map(|left| {
                let (why, what) = why(&left.why);
                LeftOutJson { path: path(&left.path), run: left.stream.map(|stream| hex(&stream.0)), why, what }
            })
            .collect(),
    }
}

/// Returns the counts and what they are out of.
fn totals(question: &Question, answer: &Answer) -> Vec<String> {
    let Tally { asked, matched, unknowable, failed } = answer.total;
    let about = about(question);
    let Answer { runs, sources, events, unwanted, .. } = answer;
    let mut lines =
        vec![format!("{matched} of {asked} {about} match; asked {runs} runs of {sources} sources, {events} events")];
    if *unwanted > 0 {
        lines.push(format!("{unwanted} runs were not asked for"));
    }
    if unknowable + failed > 0 {
        lines.push(format!("of {unknowable} {about} it cannot be known, of {failed} not computed: neither yes nor no"));
    }
    lines
}

fn print(
    arguments: &Arguments,
    question: &Question,
    answer: &Answer,
    listed: &[MatchJson],
    output: &mut Output,
) -> Result<(), CliError> {
    let out = &mut output.out;
    for found in listed {
        let stream = answer_id(found);
        let read: Vec<String> = found.read.iter().map(|read| format!("{} = {}", read.name, read.value)).collect();
        let style = if found.result == "matched" { STRONG } else { WARN };
        let slug = clean(&found.slug);
        writeln!(out, "{ID}{stream}{ID:#}  {}  {style}{}{style:#}  {slug}", found.time, found.kind)?;
        if let Some(why) = &found.why {
            writeln!(out, "  {WARN}{}: {}{WARN:#}", found.result, clean(why))?;
        }
        if !read.is_empty() {
            writeln!(out, "  {FAINT}{}{FAINT:#}", clip(&read.join(", "), READ_MAX))?;
        }
    }
    let Tally { matched, unknowable, failed, .. } = answer.total;
    let untold = (matched + unknowable + failed).saturating_sub(listed.len() as u64);
    if untold > 0 && !arguments.count {
        writeln!(out, "{FAINT}{untold} more; --jsonl has all of them{FAINT:#}")?;
    }
    if question.is_grouped() {
        let width = answer.groups.keys().map(|group| group.chars().count()).max().unwrap_or(0).clamp(5, 40);
        writeln!(out, "{STRONG}{:width$}  {:>8}  {:>8}{STRONG:#}", "group", "matched", "of")?;
        for (group, tally) in answer.groups.iter().take(GROUPS_MAX) {
            writeln!(out, "{:width$}  {:>8}  {:>8}", clip(group, width), tally.matched, tally.asked)?;
        }
        let untold = answer.groups.len().saturating_sub(GROUPS_MAX);
        if untold > 0 {
            writeln!(out, "{FAINT}{untold} more groups; --json has all of them{FAINT:#}")?;
        }
    }
    for left in &answer.left_out {
        let (word, what) = why(&left.why);
        writeln!(out, "{BAD}left out, {word}:{BAD:#} {}: {}", shown(&left.path), clean(&what))?;
    }
    totals(question, answer).iter().try_for_each(|line| writeln!(out, "{line}"))?;
    Ok(())
}

/// Returns how people name what matched.
fn answer_id(found: &MatchJson) -> String {
    format!("{}#{}", &found.run[..8.min(found.run.len())], found.sequence)
}
