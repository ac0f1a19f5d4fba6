//! `loom-replay diff`: two runs by where their events stand in the process.

use super::cases::{Case, Cases, Went};
use super::format::{Format, Plain};
use super::one::named;
use super::sides;
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{GOOD, Output, STRONG};
use crate::text::{money, run8, span};
use loom_core::id::hex;
use loom_replay::Whole;
use loom_replay::diff::{Difference, Row, Topic, diff};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

/// Compares two runs by where their events stand in the process; ends with 1 where something differs.
///
/// A run is a trace, a store with one run, SOURCE#RUN, or a run of the project's store by its first digits or as run:last.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The one run.
    #[arg(value_name = "A")]
    left: String,
    /// The other.
    #[arg(value_name = "B")]
    right: String,
    #[command(flatten)]
    pub(super) answer: Plain,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    left: SideJson,
    right: SideJson,
    equal: bool,
    /// Events that both have, alike.
    alike: u64,
    /// How many rows differ, by what they are about.
    differences: BTreeMap<&'static str, u64>,
    /// What differs.
    rows: Vec<sides::RowJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SideJson {
    run: String,
    slug: String,
    events: u64,
    /// Absent for a run that has not ended.
    verdict: Option<&'static str>,
    spawns: u64,
    tokens: u64,
    money_micro: u64,
    time_ms: u64,
}

/// Answers `loom-replay diff`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let (left, right) = (named(&arguments.left, global)?, named(&arguments.right, global)?);
    let path = left.path.clone();
    let (left, right) = (Whole::read(left.records().as_ref())?, Whole::read(right.records().as_ref())?);
    let rows = diff(&left, &right);
    let is_equal = rows.iter().all(Row::is_alike);
    match format {
        Format::Text => print(&left, &right, &rows, output)?,
        Format::Json => output.document(&document(&left, &right, &rows))?,
        Format::Junit | Format::Sarif | Format::Html => {
            arguments.answer.file.cases(&cases(&path, (&left, &right), &rows), format, output)?;
        }
    }
    Ok(if is_equal { Exit::Ok } else { Exit::Failed })
}

fn side(whole: &Whole) -> SideJson {
    let (state, used) = (whole.state(), whole.state().budget.used);
    SideJson {
        run: hex(&whole.stream().0),
        slug: state.opened.slug.clone(),
        events: whole.len(),
        verdict: state.closed.map(|verdict| verdict.word()),
        spawns: used.spawns,
        tokens: used.tokens,
        money_micro: used.money_micro,
        time_ms: used.time_ms,
    }
}

/// Counts the rows that differ, by topic.
fn counts(rows: &[Row]) -> impl Iterator<Item = (Topic, u64)> {
    let count = |topic| rows.iter().filter(|row| !row.is_alike() && row.topic == topic).count() as u64;
    Topic::ALL.into_iter().map(move |topic| (topic, count(topic))).filter(|(_, count)| *count > 0)
}

fn document(left: &Whole, right: &Whole, rows: &[Row]) -> Document {
    Document {
        loom: "diff-runs/1",
        left: side(left),
        right: side(right),
        equal: rows.iter().all(Row::is_alike),
        alike: rows.iter().filter(|row| row.is_alike()).count() as u64,
        differences: counts(rows).map(|(topic, count)| (topic.word(), count)).collect(),
        rows: sides::rows(rows, None),
    }
}

/// A case for each spot that differs, placed in the one run: at its event, or before what the other alone has.
fn cases(path: &Path, (left, right): (&Whole, &Whole), rows: &[Row]) -> Cases {
    let promise = format!("{} goes as {} does", run8(&left.stream()), run8(&right.stream()));
    let mut cases = Cases::begin("diff", promise, &[]);
    let mut at = 0;
    for row in rows {
        at = row.left.unwrap_or(at);
        if row.is_alike() {
            continue;
        }
        let message = match (row.left, row.right) {
            (Some(left), Some(right)) => format!("#{left} and #{right} of the other differ"),
            (Some(left), None) => format!("#{left} is not in the other"),
            (None, right) => format!("#{} of the other is not there", right.unwrap_or_default()),
        };
        let value = |value: &Option<String>| value.as_deref().unwrap_or("absent").to_string();
        let lines = row
            .differences
            .iter()
            .map(|Difference { field, left, right }| format!("{field}: {} → {}", value(left), value(right)));
        let text = lines.collect::<Vec<_>>().join("\n");
        let (class, name) = (row.topic.word().to_string(), row.spot.to_string());
        let went = Went::Failed { word: "differs", message: format!("{name}: {message}"), text };
        cases.cases.push(Case { path: path.to_path_buf(), place: Some((left.stream(), at)), class, name, went });
    }
    if cases.cases.is_empty() {
        cases.run(path, left.stream(), None, Went::Passed);
    }
    cases
}

fn print(left: &Whole, right: &Whole, rows: &[Row], output: &mut Output) -> Result<(), CliError> {
    let heading = |whole: &Whole| {
        let side = side(whole);
        let (verdict, money, time) = (side.verdict.unwrap_or("not ended"), money(side.money_micro), span(side.time_ms));
        let used = format!("{} spawns, {} tokens, {money}, {time}", side.spawns, side.tokens);
        (format!("{} {}: {verdict}", run8(&whole.stream()), side.slug), used)
    };
    let ((a, a_used), (b, b_used)) = (heading(left), heading(right));
    if rows.iter().all(Row::is_alike) {
        return Ok(writeln!(output.out, "{GOOD}no difference{GOOD:#} between {a} and {b}: {} events", rows.len())?);
    }
    sides::print((left, right), rows, None, (&a, &b), output)?;
    let counts: Vec<String> = counts(rows).map(|(topic, count)| format!("{} {count}", topic.word())).collect();
    writeln!(output.out, "{STRONG}differs:{STRONG:#} {}", counts.join(", "))?;
    Ok(writeln!(output.out, "used: {a_used} | {b_used}")?)
}
