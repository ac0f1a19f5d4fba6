//! `loom-replay what-if`: one thing is changed, and what is on record is driven on as long as it applies.

use super::one::one;
use super::sides;
use super::sources::{Runs, Sources};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::json::BytesJson;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, WARN};
use crate::rule_file;
use crate::text::clean;
use loom_core::id::hex;
use loom_core::process::Policy;
use loom_core::rules::RuleSet;
use loom_core::word::Answer;
use loom_replay::diff::diff;
use loom_replay::what_if::{Cap, Change, End, WhatIf, what_if};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Changes one thing at an event of a run and drives on with the recorded outcomes while they apply.
///
/// From where it differs everything is counterfactual. It stops at the first thing that nobody ever answered: nothing is
/// invented, nothing is recorded.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("change").required(true).multiple(false))]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    /// The event, by its sequence; one past the last is the end.
    #[arg(long, value_name = "SEQUENCE")]
    at: u64,
    /// This rule set judges: at 0 in place of the one of its name or beside the others, later beside the others.
    #[arg(long, value_name = "FILE", group = "change")]
    rules: Option<PathBuf>,
    /// A gate role has this policy: human, on-blockers or auto; at 0.
    #[arg(long, value_name = "ROLE=POLICY", group = "change", value_parser = policy)]
    policy: Option<Change>,
    /// A gate is answered so: where it was answered, or while it waits.
    #[arg(long, value_name = "accept|reject|revise|abandon", group = "change", value_parser = answer)]
    answer: Option<Change>,
    /// A spawn, check or merge ended so: a word that its kind knows.
    #[arg(long, value_name = "WORD", group = "change")]
    outcome: Option<String>,
    /// The run has this cap: spawns, tokens, money (micro-units) or time (milliseconds); at 0.
    #[arg(long, value_name = "WHAT=AMOUNT", group = "change", value_parser = cap)]
    cap: Option<Change>,
}

fn policy(text: &str) -> Result<Change, String> {
    let (role, word) = text.split_once('=').ok_or("write ROLE=POLICY")?;
    let policy = Policy::of(word).ok_or("there are human, on-blockers and auto")?;
    Ok(Change::Policy { role: role.to_string(), policy })
}

fn answer(text: &str) -> Result<Change, String> {
    Answer::of(text).map(Change::Answer).ok_or_else(|| "there are accept, reject, revise and abandon".to_string())
}

fn cap(text: &str) -> Result<Change, String> {
    let (word, amount) = text.split_once('=').ok_or("write WHAT=AMOUNT")?;
    let of = Cap::ALL.into_iter().find(|cap| cap.word() == word);
    let of = of.ok_or("there are spawns, tokens, money and time")?;
    let value = amount.parse().map_err(|_| "the amount is a whole number".to_string())?;
    Ok(Change::Cap { of, value })
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document<'w> {
    loom: &'static str,
    run: String,
    at: u64,
    change: String,
    /// Sequence of the first event that is not the recorded one; everything from there on is counterfactual.
    turn: Option<u64>,
    end: EndJson,
    /// Recorded inputs that were given after the change.
    given: Vec<GivenJson>,
    /// Recorded inputs that were not.
    passed_over: Vec<PassedJson<'w>>,
    /// Events that both timelines have, alike, before the turn.
    alike: u64,
    /// What differs, and everything that is counterfactual: the record on the left, the changed timeline on the right.
    rows: Vec<sides::RowJson>,
    /// The changed timeline from its turn on.
    events: Vec<SupposedJson<'w>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct EndJson {
    /// `closed`, `out-of-record`, or `unanswered` where it asks for what nobody ever answered.
    how: &'static str,
    counterfactual: bool,
    verdict: Option<&'static str>,
    /// Of what is unanswered: the event that asks for it.
    sequence: Option<u64>,
    what: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct GivenJson {
    recorded: u64,
    changed: u64,
    /// Whether it is the outcome of a spawn whose prompt would have said something else.
    otherwise_asked: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
struct PassedJson<'w> {
    sequence: u64,
    why: &'w str,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SupposedJson<'w> {
    counterfactual: bool,
    event: BytesJson<'w>,
}

/// Answers `loom-replay what-if`.
pub(super) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let change = change(arguments)?;
    let run = one(&arguments.sources, &arguments.runs, global, output)?;
    let found = what_if(run.records().as_ref(), arguments.at, &change)?;
    match output.json {
        true => output.document(&document(&found, arguments.at, &change))?,
        false => print(&found, arguments.at, &change, output)?,
    }
    Ok(match found.end {
        End::Unanswered { .. } => Exit::Unknowable,
        End::Closed(_) | End::OutOfRecord => Exit::Ok,
    })
}

fn change(arguments: &Arguments) -> Result<Change, CliError> {
    if let Some(file) = &arguments.rules {
        let text = rule_file::read(file)?;
        RuleSet::load(&text).map_err(|errors| CliError::Rules { file: file.clone(), errors })?;
        return Ok(Change::Rules(text));
    }
    let outcome = arguments.outcome.clone().map(Change::Outcome);
    let given = [arguments.policy.clone(), arguments.answer.clone(), arguments.cap.clone(), outcome];
    // The command line requires exactly one.
    given.into_iter().flatten().next().ok_or(CliError::NoValue)
}

fn document<'w>(found: &'w WhatIf, at: u64, change: &Change) -> Document<'w> {
    let rows = diff(&found.recorded, &found.changed);
    let first = found.turn.unwrap_or(found.changed.len());
    let events = found.changed.events().iter().zip(0..).filter(|(_, sequence)| *sequence >= first);
    let (how, verdict, sequence, what) = match &found.end {
        End::Closed(verdict) => ("closed", Some(verdict.word()), None, None),
        End::OutOfRecord => ("out-of-record", None, None, None),
        End::Unanswered { sequence, what } => ("unanswered", None, Some(*sequence), Some(what.clone())),
    };
    Document {
        loom: "what-if/1",
        run: hex(&found.recorded.stream().0),
        at,
        change: change.to_string(),
        turn: found.turn,
        end: EndJson { how, counterfactual: found.turn.is_some(), verdict, sequence, what },
        given: found
            .given
            .iter()
            .map(|given| GivenJson {
                recorded: given.recorded,
                changed: given.changed,
                otherwise_asked: given.is_otherwise_asked,
            })
            .collect(),
        passed_over: found.passed_over.iter().map(|(sequence, why)| PassedJson { sequence: *sequence, why }).collect(),
        alike: rows.iter().filter(|row| row.is_alike() && row.right.is_some_and(|at| at < first)).count() as u64,
        rows: sides::rows(&rows, found.turn),
        events: events
            .map(|(event, _)| SupposedJson {
                counterfactual: true,
                event: BytesJson { position: None, id: Some(event.id), bytes: &event.bytes },
            })
            .collect(),
    }
}

fn print(found: &WhatIf, at: u64, change: &Change, output: &mut Output) -> Result<(), CliError> {
    let change = clean(&change.to_string());
    let Some(turn) = found.turn else {
        let len = found.recorded.len();
        return Ok(writeln!(
            output.out,
            "{GOOD}{change} at event {at} is what is on record: all {len} events are the same{GOOD:#}"
        )?);
    };
    let rows = diff(&found.recorded, &found.changed);
    let heading = format!("{change} at {at}; ~ is counterfactual, from #{turn} on");
    sides::print((&found.recorded, &found.changed), &rows, Some(turn), ("recorded", &heading), output)?;
    let out = &mut output.out;
    for given in found.given.iter().filter(|given| given.is_otherwise_asked) {
        writeln!(
            out,
            "{FAINT}~#{} is the recorded outcome #{}, whose prompt would have said something else{FAINT:#}",
            given.changed, given.recorded
        )?;
    }
    for (sequence, why) in &found.passed_over {
        writeln!(out, "{FAINT}#{sequence} on record is not given: {}{FAINT:#}", clean(why))?;
    }
    match &found.end {
        End::Closed(verdict) => {
            writeln!(out, "{STRONG}counterfactual:{STRONG:#} the run would have ended {}", verdict.word())?;
        }
        End::OutOfRecord => {
            writeln!(out, "{STRONG}counterfactual:{STRONG:#} what is on record ends here, and the run would go on")?;
        }
        End::Unanswered { sequence, what } => writeln!(
            out,
            "{BAD}stops at ~#{sequence}:{BAD:#} {}, which was never asked for on record; {WARN}nobody knows what would have come \
             of it{WARN:#}",
            clean(what)
        )?,
    }
    Ok(())
}
