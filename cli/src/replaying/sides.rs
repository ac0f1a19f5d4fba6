//! Two timelines side by side: one row for each spot in the process, what is alike folded.

use crate::error::CliError;
use crate::line::plain;
use crate::output::{FAINT, Output, STRONG, WARN};
use crate::text::{clean, clip};
use loom_replay::Whole;
use loom_replay::diff::{Difference, Row};
use serde::Serialize;
use std::io::Write;

/// Characters of a column.
const WIDTH: usize = 58;
/// Most characters of a value that differs.
const VALUE_MAX: usize = 100;

/// A spot that one or both timelines passed.
#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct RowJson {
    /// Sequence on the left.
    left: Option<u64>,
    /// Sequence on the right.
    right: Option<u64>,
    stage: String,
    round: u64,
    kind: &'static str,
    /// The agent with its attempt, the check, the gate's role, the finding, the rule.
    subject: String,
    /// Which of those that are alike in all this, from 1.
    nth: u32,
    /// `verdicts`, `findings`, `gates`, `trees`, `budgets`, `refusals` or `course`.
    topic: &'static str,
    /// Whether what stands on the right did not happen.
    counterfactual: bool,
    differences: Vec<DifferenceJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct DifferenceJson {
    field: &'static str,
    left: Option<String>,
    right: Option<String>,
}

/// Returns the rows that are not alike, and those on the right from `turn` on, which are counterfactual.
pub(super) fn rows(rows: &[Row], turn: Option<u64>) -> Vec<RowJson> {
    let later = |row: &Row| row.right.zip(turn).is_some_and(|(at, turn)| at >= turn);
    let told = rows.iter().filter(|row| !row.is_alike() || later(row));
    told.map(|row| RowJson {
        left: row.left,
        right: row.right,
        stage: row.spot.stage.clone(),
        round: row.spot.round,
        kind: row.spot.kind,
        subject: row.spot.subject.clone(),
        nth: row.spot.nth,
        topic: row.topic.word(),
        counterfactual: later(row),
        differences: row
            .differences
            .iter()
            .map(|Difference { field, left, right }| DifferenceJson { field, left: left.clone(), right: right.clone() })
            .collect(),
    })
    .collect()
}

/// Prints two timelines in two columns. From `turn` on the right one is counterfactual, and each of its events is marked so.
pub(super) fn print(
    (left, right): (&Whole, &Whole),
    rows: &[Row],
    turn: Option<u64>,
    headings: (&str, &str),
    output: &mut Output,
) -> Result<(), CliError> {
    let out = &mut output.out;
    writeln!(out, "{STRONG}  {:WIDTH$}  {}{STRONG:#}", headings.0, headings.1)?;
    let is_later = |at: u64| turn.is_some_and(|turn| at >= turn);
    let mut alike = Alike::default();
    for row in rows {
        let row_is_later = row.right.is_some_and(is_later);
        if row.is_alike() && (alike.count == 0 || alike.is_later == row_is_later) {
            alike = Alike { count: alike.count + 1, is_later: row_is_later };
            continue;
        }
        alike.fold(out)?;
        alike = Alike { count: u64::from(row.is_alike()), is_later: row_is_later };
        if row.is_alike() {
            continue;
        }
        let a = cell(left, row.left, "");
        let b = cell(right, row.right, if row_is_later { "~" } else { "" });
        let mark = match (row.left, row.right) {
            (Some(_), Some(_)) if row.differences.is_empty() => ' ',
            (Some(_), Some(_)) => '!',
            (Some(_), None) => '-',
            (None, _) => '+',
        };
        let line = format!("{a}{:fill$}  {b}", "", fill = WIDTH.saturating_sub(a.chars().count()));
        writeln!(out, "{WARN}{mark}{WARN:#} {}", line.trim_end())?;
        for Difference { field, left, right } in &row.differences {
            let value =
                |value: &Option<String>| value.as_ref().map_or("absent".to_string(), |text| clip(text, VALUE_MAX));
            writeln!(out, "    {FAINT}{field}: {} → {}{FAINT:#}", value(left), value(right))?;
        }
    }
    alike.fold(out)
}

/// A stretch in which both timelines are alike.
#[derive(Default)]
struct Alike {
    count: u64,
    is_later: bool,
}

impl Alike {
    fn fold(&self, out: &mut impl Write) -> Result<(), CliError> {
        let what = if self.count == 1 { "event" } else { "events" };
        let later = if self.is_later { ", ~ on the right" } else { "" };
        if self.count > 0 {
            writeln!(out, "  {FAINT}… {} {what} alike{later}{FAINT:#}", self.count)?;
        }
        Ok(())
    }
}

fn cell(whole: &Whole, at: Option<u64>, mark: &str) -> String {
    let Some(event) = at.and_then(|at| whole.at(at)) else { return String::new() };
    let text = plain(&event.body);
    clip(&clean(&format!("{mark}#{} {} {text}", event.sequence, event.body.schema().name)), WIDTH)
}
