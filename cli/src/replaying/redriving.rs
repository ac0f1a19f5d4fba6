//! `loom-replay redrive`: does today's kernel derive the same from the recorded inputs?

use super::sources::{Kept, Runs, Sources, keep, path};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, GOOD, ID, Output, WARN};
use crate::text::{clean, shown};
use loom_core::id::{StreamId, hex};
use loom_replay::judge::{Why, why_not};
use loom_replay::{Drift, Records, Redriven, ReplayError, StoredRun, drift, redrive};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Feeds the inputs of runs to the kernel again: everything else must come out as it is on record.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Runs that came out byte by byte.
    same: u64,
    runs: Vec<RunJson>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RunJson {
    source: String,
    run: String,
    /// `same`, `diverged` or `unknowable`.
    result: &'static str,
    /// Of what diverged: `rule`, `bundle`, `kernel` or `record`.
    drift: Option<&'static str>,
    /// Of what diverged: why it is that drift.
    because: Option<String>,
    sequence: Option<u64>,
    what: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct LeftOutJson {
    source: String,
    run: Option<String>,
    /// `damaged`, `newer` or `unread`.
    why: &'static str,
    what: String,
}

struct Driven {
    source: PathBuf,
    stream: StreamId,
    redriven: Redriven,
    drift: Option<Drift>,
}

struct LeftOut {
    source: PathBuf,
    stream: Option<StreamId>,
    why: Why,
}

/// Answers `loom-replay redrive`.
pub(super) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let (mut driven, mut left_out) = (Vec::new(), Vec::new());
    for unread in &corpus.unread {
        let why = Why::Unread(unread.error.to_string());
        left_out.push(LeftOut { source: unread.path.clone(), stream: None, why });
    }
    for source in &corpus.sources {
        let place = source.path.clone();
        let mut one = |records: &dyn Records| match of_run(records) {
            Ok((redriven, drift)) => {
                driven.push(Driven { source: place.clone(), stream: records.stream(), redriven, drift });
            }
            Err(error) => {
                let stream = Some(records.stream());
                left_out.push(LeftOut { source: place.clone(), stream, why: why_not(error) });
            }
        };
        match keep(source, &filter) {
            Ok(Kept::Store(store, streams)) => {
                streams.into_iter().for_each(|stream| one(&StoredRun::new(store.as_ref(), stream)));
            }
            Ok(Kept::Trace(trace)) => one(trace.as_ref()),
            Ok(Kept::Unwanted) => {}
            Err(error) => left_out.push(LeftOut { source: place, stream: None, why: why_not(error) }),
        }
    }
    match output.json {
        true => output.document(&document(&driven, &left_out))?,
        false => print(&driven, &left_out, output)?,
    }
    Ok(exit(&driven, &left_out))
}

fn of_run(records: &dyn Records) -> Result<(Redriven, Option<Drift>), ReplayError> {
    let redriven = redrive(records)?;
    let drift = drift(records, &redriven, env!("CARGO_PKG_VERSION"))?;
    Ok((redriven, drift))
}

/// Damage goes before divergence, that before what could not be read, that before what cannot be known.
fn exit(driven: &[Driven], left_out: &[LeftOut]) -> Exit {
    let any = |is: fn(&Redriven) -> bool| driven.iter().any(|run| is(&run.redriven));
    if left_out.iter().any(|left| matches!(left.why, Why::Damaged(_))) {
        Exit::Damaged
    } else if any(|redriven| matches!(redriven, Redriven::Diverged { .. })) {
        Exit::Diverged
    } else if !left_out.is_empty() {
        Exit::Unavailable
    } else if driven.is_empty() || any(|redriven| matches!(redriven, Redriven::Unknowable { .. })) {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

fn in_words(redriven: &Redriven) -> (&'static str, Option<u64>, Option<String>) {
    match redriven {
        Redriven::Same { .. } => ("same", None, None),
        Redriven::Diverged { sequence, what, .. } => ("diverged", Some(*sequence), Some(what.clone())),
        Redriven::Unknowable { sequence, missing } => ("unknowable", Some(*sequence), Some(missing.clone())),
    }
}

fn same(driven: &[Driven]) -> u64 {
    driven.iter().filter(|run| matches!(run.redriven, Redriven::Same { .. })).count() as u64
}

fn document(driven: &[Driven], left_out: &[LeftOut]) -> Document {
    let run = |run: &Driven| {
        let (result, sequence, what) = in_words(&run.redriven);
        RunJson {
            source: path(&run.source),
            run: hex(&run.stream.0),
            result,
            drift: run.drift.as_ref().map(Drift::word),
            because: run.drift.as_ref().map(ToString::to_string),
            sequence,
            what,
        }
    };
    let left = |left: &LeftOut| {
        let (why, what) = super::judging::why(&left.why);
        LeftOutJson { source: path(&left.source), run: left.stream.map(|stream| hex(&stream.0)), why, what }
    };
    Document {
        loom: "redrive/1",
        same: same(driven),
        runs: driven.iter().map(run).collect(),
        left_out: left_out.iter().map(left).collect(),
    }
}

fn print(driven: &[Driven], left_out: &[LeftOut], output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    for run in driven {
        let (result, sequence, what) = in_words(&run.redriven);
        let (Some(sequence), Some(what)) = (sequence, what) else { continue };
        let (id, place) = (told(&run.stream, sequence), shown(&run.source));
        let style = if matches!(run.redriven, Redriven::Diverged { .. }) { BAD } else { WARN };
        writeln!(out, "{style}{result}{style:#} at {ID}{id}{ID:#} of {place}: {}", clean(&what))?;
        if let Some(drift) = &run.drift {
            writeln!(out, "  {} drift: {}", drift.word(), clean(&drift.to_string()))?;
        }
    }
    for left in left_out {
        let (word, what) = super::judging::why(&left.why);
        writeln!(out, "{BAD}left out, {word}:{BAD:#} {}: {}", shown(&left.source), clean(&what))?;
    }
    let (same, all) = (same(driven), driven.len() as u64);
    let style = if same == all && all > 0 { GOOD } else { WARN };
    Ok(writeln!(out, "{style}{same} of {all} runs come out again byte by byte{style:#}")?)
}
