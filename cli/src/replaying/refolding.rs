//! `loom-replay refold`: is the state that snapshots hold the one that the log gives?

use super::cases::{Cases, Went};
use super::format::{Format, Plain};
use super::left_out::{self, LeftOutJson};
use super::sources::{Kept, Runs, Sources, keep, path};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, GOOD, ID, Output, WARN};
use crate::text::{clean, shown};
use loom_core::id::{StreamId, hex};
use loom_replay::judge::{LeftOut, why_not};
use loom_replay::{Records, Resumed, StoredRun, refold, resumed};
use loom_store::Store;
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Folds runs from their first event, and from the snapshot that the store holds of each: the states must be equal.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    #[command(flatten)]
    pub(super) answer: Plain,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Whether no snapshot gives another state than the log.
    equal: bool,
    runs: Vec<RunJson>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RunJson {
    source: String,
    run: String,
    /// Events that were folded from the first one on.
    events: u64,
    stage: String,
    verdict: Option<&'static str>,
    /// `none`; `stale` where this Loom does not read it, or the log does not have its event; `equal` or `differs`.
    snapshot: &'static str,
    /// Sequence of the first event that the snapshot does not hold.
    from: Option<u64>,
    /// What differs, or what keeps from knowing.
    what: Option<String>,
}

struct Folded {
    source: PathBuf,
    stream: StreamId,
    events: u64,
    stage: String,
    verdict: Option<&'static str>,
    resumed: Resumed,
}

/// Answers `loom-replay refold`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let (mut folded, mut left_out) = (Vec::new(), left_out::unread(&corpus));
    for source in &corpus.sources {
        let place = source.path.clone();
        let mut one = |records: &dyn Records, store: Option<&dyn Store>| {
            let run = refold(records, None).and_then(|run| {
                let resumed = store.map_or(Ok(Resumed::None), |store| resumed(store, records, &run))?;
                Ok((run, resumed))
            });
            match run {
                Ok((run, resumed)) => folded.push(Folded {
                    source: place.clone(),
                    stream: records.stream(),
                    events: run.state.next,
                    stage: run.state.stage.clone(),
                    verdict: run.state.closed.map(|verdict| verdict.word()),
                    resumed,
                }),
                Err(error) => {
                    let stream = Some(records.stream());
                    left_out.push(LeftOut { path: place.clone(), stream, why: why_not(error) });
                }
            }
        };
        match keep(source, &filter) {
            Ok(Kept::Store(store, streams)) => {
                for stream in streams {
                    one(&StoredRun::new(store.as_ref(), stream), Some(store.as_ref()));
                }
            }
            Ok(Kept::Trace(trace)) => one(trace.as_ref(), None),
            Ok(Kept::Unwanted) => {}
            Err(error) => left_out.push(LeftOut { path: place, stream: None, why: why_not(error) }),
        }
    }
    let differs = folded.iter().any(|run| matches!(run.resumed, Resumed::Differs { .. }));
    match format {
        Format::Text => print(&folded, &left_out, output)?,
        Format::Json => output.document(&document(&folded, &left_out, !differs))?,
        Format::Junit | Format::Sarif | Format::Html => {
            arguments.answer.file.cases(&cases(&folded, &left_out), format, output)?;
        }
    }
    Ok(match () {
        () if left_out::is_damaged(&left_out) => Exit::Damaged,
        () if differs => Exit::Diverged,
        () if !left_out.is_empty() => Exit::Unavailable,
        () if folded.is_empty() || folded.iter().any(|run| matches!(run.resumed, Resumed::Unknowable(_))) => {
            Exit::Unknowable
        }
        () => Exit::Ok,
    })
}

fn in_words(resumed: &Resumed) -> (&'static str, Option<u64>, Option<String>) {
    match resumed {
        Resumed::None => ("none", None, None),
        Resumed::Stale => ("stale", None, None),
        Resumed::Equal { from } => ("equal", Some(*from), None),
        Resumed::Differs { from, what } => ("differs", Some(*from), Some(what.to_string())),
        Resumed::Unknowable(missing) => ("unknowable", None, Some(missing.clone())),
    }
}

fn document(folded: &[Folded], left_out: &[LeftOut], equal: bool) -> Document {
    let run = |run: &Folded| {
        let (snapshot, from, what) = in_words(&run.resumed);
        RunJson {
            source: path(&run.source),
            run: hex(&run.stream.0),
            events: run.events,
            stage: run.stage.clone(),
            verdict: run.verdict,
            snapshot,
            from,
            what,
        }
    };
    Document {
        loom: "refold/1",
        equal,
        runs: folded.iter().map(run).collect(),
        left_out: left_out.iter().map(LeftOutJson::from).collect(),
    }
}

fn cases(folded: &[Folded], left_out: &[LeftOut]) -> Cases {
    let promise = "its snapshot gives the state that the log gives".to_string();
    let mut cases = Cases::begin("refold", promise, left_out);
    for run in folded {
        let (_, from, what) = in_words(&run.resumed);
        let what = what.unwrap_or_default();
        let went = match &run.resumed {
            Resumed::Equal { .. } => Went::Passed,
            Resumed::None => Went::Skipped { message: "there is no snapshot of it".to_string() },
            Resumed::Stale => Went::Skipped { message: "its snapshot is stale, and not used".to_string() },
            Resumed::Unknowable(missing) => Went::Unknowable { message: missing.clone() },
            Resumed::Differs { from, .. } => {
                let message = format!("differs from {}: {what}", told(&run.stream, *from));
                Went::Failed { word: "diverged", message, text: String::new() }
            }
        };
        cases.run(&run.source, run.stream, from, went);
    }
    cases
}

fn print(folded: &[Folded], left_out: &[LeftOut], output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    for run in folded {
        let (word, from, what) = in_words(&run.resumed);
        let place = shown(&run.source);
        if let (Some(from), Some(what)) = (from, &what) {
            let id = told(&run.stream, from);
            writeln!(out, "{BAD}{word}{BAD:#} from {ID}{id}{ID:#} of {place}: {}", clean(what))?;
        } else if let Some(what) = what {
            writeln!(out, "{WARN}{word}{WARN:#} {} of {place}: {}", told(&run.stream, 0), clean(&what))?;
        }
    }
    left_out::print(left_out, output)?;
    let count = |is: fn(&Resumed) -> bool| folded.iter().filter(|run| is(&run.resumed)).count();
    let equal = count(|resumed| matches!(resumed, Resumed::Equal { .. }));
    let differs = count(|resumed| matches!(resumed, Resumed::Differs { .. }));
    let style = if differs == 0 { GOOD } else { BAD };
    let all = folded.len();
    Ok(writeln!(
        output.out,
        "{style}{all} runs folded from their first event; from snapshots {equal} equal, {differs} other{style:#}"
    )?)
}
