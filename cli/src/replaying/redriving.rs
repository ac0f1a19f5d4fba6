//! `loom-replay redrive`: do today's kernel, or today's kernel and bundle, derive the same from the recorded inputs?

use super::cases::{Cases, Went};
use super::format::{Format, Plain};
use super::left_out::{self, LeftOutJson};
use super::sources::{Kept, Runs, Sources, keep, path};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{BAD, FAINT, GOOD, ID, Output, WARN};
use crate::text::{clean, run8, shown};
use loom_bundles::{LoadedBundle, Source, load};
use loom_core::id::{StreamId, hex};
use loom_replay::judge::{LeftOut, why_not};
use loom_replay::{Drift, Records, Redriven, Redriver, ReplayError, StoredRun, Today, drift, redrive_today};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

/// This Loom.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Feeds the inputs of runs to the kernel again: everything else must come out as it is on record.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    /// Feeds them also to the kernel under this bundle as it is now, and its rule sets: a built-in one by name, or a folder.
    #[arg(long, value_name = "NAME|FOLDER")]
    bundle: Option<String>,
    #[command(flatten)]
    pub(super) answer: Plain,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// The bundle that runs were driven under, where one was named.
    bundle: Option<BundleJson>,
    /// Runs that came out byte by byte; under a bundle, but for what follows from other terms alone.
    same: u64,
    runs: Vec<RunJson>,
    /// Runs under bundles of other names, which were not driven.
    other_bundles: BTreeMap<String, u64>,
    left_out: Vec<LeftOutJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BundleJson {
    /// Name and version.
    title: String,
    digest: String,
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
    /// Outcomes of spawns whose prompts would have said something else.
    otherwise_asked: u64,
    /// Recorded rule sets that stayed beside those of the bundle.
    kept_sets: Vec<String>,
}

struct Driven {
    source: PathBuf,
    stream: StreamId,
    redriven: Redriven,
    drift: Option<Drift>,
    otherwise_asked: u64,
    kept: Vec<String>,
}

/// What was driven, under which bundle, and what was not.
struct Answer {
    bundle: Option<LoadedBundle>,
    driven: Vec<Driven>,
    /// Runs under bundles of other names, and those names.
    others: Vec<(PathBuf, StreamId, String)>,
    left_out: Vec<LeftOut>,
}

/// Answers `loom-replay redrive`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let bundle = arguments.bundle.as_deref().map(bundle).transpose()?;
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let left_out = left_out::unread(&corpus);
    let mut answer = Answer { bundle, driven: Vec::new(), others: Vec::new(), left_out };
    for source in &corpus.sources {
        let mut redriver = Redriver::default();
        match keep(source, &filter) {
            Ok(Kept::Store(store, streams)) => {
                streams.into_iter().for_each(|stream| {
                    answer.take(&source.path, &StoredRun::new(store.as_ref(), stream), &mut redriver);
                });
            }
            Ok(Kept::Trace(trace)) => answer.take(&source.path, trace.as_ref(), &mut redriver),
            Ok(Kept::Unwanted) => {}
            Err(error) => {
                let (path, stream) = (source.path.clone(), None);
                answer.left_out.push(LeftOut { path, stream, why: why_not(error) });
            }
        }
    }
    match format {
        Format::Text => print(&answer, output)?,
        Format::Json => output.document(&document(&answer))?,
        Format::Junit | Format::Sarif | Format::Html => {
            arguments.answer.file.cases(&cases(&answer), format, output)?;
        }
    }
    Ok(exit(&answer))
}

/// Loads the built-in bundle of that name, else the one in that folder.
fn bundle(text: &str) -> Result<LoadedBundle, CliError> {
    let source = match Path::new(text).is_dir() && !Source::builtin_names().contains(&text) {
        true => Source::folder(Path::new(text))?,
        false => Source::builtin(text)?,
    };
    Ok(load(&source)?)
}

impl Answer {
    fn take(&mut self, source: &Path, records: &dyn Records, redriver: &mut Redriver) {
        let (source, stream) = (source.to_path_buf(), records.stream());
        match of_run(records, self.bundle.as_ref(), redriver) {
            Ok(Today::Driven { redriven, drift, otherwise_asked, kept }) => {
                self.driven.push(Driven { source, stream, redriven, drift, otherwise_asked, kept });
            }
            Ok(Today::OtherBundle(name)) => self.others.push((source, stream, name)),
            Err(error) => self.left_out.push(LeftOut { path: source, stream: Some(stream), why: why_not(error) }),
        }
    }

    fn other_bundles(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        self.others.iter().for_each(|(_, _, name)| *counts.entry(name.clone()).or_default() += 1);
        counts
    }

    /// Says what is asked.
    fn promise(&self) -> String {
        match &self.bundle {
            None => "comes out again byte by byte".to_string(),
            Some(bundle) => format!("goes the same way under {} as it is now", bundle.title()),
        }
    }

    fn same(&self) -> u64 {
        self.driven.iter().filter(|run| matches!(run.redriven, Redriven::Same { .. })).count() as u64
    }
}

fn of_run(records: &dyn Records, bundle: Option<&LoadedBundle>, redriver: &mut Redriver) -> Result<Today, ReplayError> {
    if let Some(bundle) = bundle {
        return redrive_today(records, bundle, VERSION);
    }
    let redriven = redriver.redrive(records)?;
    let drift = drift(records, &redriven, VERSION)?;
    Ok(Today::Driven { redriven, drift, otherwise_asked: 0, kept: Vec::new() })
}

/// Damage goes before divergence, that before what could not be read, that before what cannot be known.
fn exit(answer: &Answer) -> Exit {
    let any = |is: fn(&Redriven) -> bool| answer.driven.iter().any(|run| is(&run.redriven));
    if left_out::is_damaged(&answer.left_out) {
        Exit::Damaged
    } else if any(|redriven| matches!(redriven, Redriven::Diverged { .. })) {
        Exit::Diverged
    } else if !answer.left_out.is_empty() {
        Exit::Unavailable
    } else if answer.driven.is_empty() || any(|redriven| matches!(redriven, Redriven::Unknowable { .. })) {
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

fn document(answer: &Answer) -> Document {
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
            otherwise_asked: run.otherwise_asked,
            kept_sets: run.kept.clone(),
        }
    };
    let bundle = |bundle: &LoadedBundle| BundleJson { title: bundle.title(), digest: hex(&bundle.digest.0) };
    Document {
        loom: "redrive/1",
        bundle: answer.bundle.as_ref().map(bundle),
        same: answer.same(),
        runs: answer.driven.iter().map(run).collect(),
        other_bundles: answer.other_bundles(),
        left_out: answer.left_out.iter().map(LeftOutJson::from).collect(),
    }
}

fn cases(answer: &Answer) -> Cases {
    let mut cases = Cases::begin("redrive", answer.promise(), &answer.left_out);
    for run in &answer.driven {
        let (_, sequence, what) = in_words(&run.redriven);
        let what = what.unwrap_or_default();
        let went = match &run.redriven {
            Redriven::Same { .. } => Went::Passed,
            Redriven::Unknowable { .. } => Went::Unknowable { message: what },
            Redriven::Diverged { sequence, .. } => {
                let message = format!("diverged at {}: {what}", told(&run.stream, *sequence));
                let drift = |drift: &Drift| format!("{} drift: {drift}", drift.word());
                Went::Failed { word: "diverged", message, text: run.drift.as_ref().map(drift).unwrap_or_default() }
            }
        };
        cases.run(&run.source, run.stream, sequence, went);
    }
    for (source, stream, name) in &answer.others {
        let message = format!("it is under the bundle {name}");
        cases.run(source, *stream, None, Went::Skipped { message });
    }
    cases
}

fn print(answer: &Answer, output: &mut Output) -> Result<(), CliError> {
    for run in &answer.driven {
        let out = &mut output.out;
        let place = shown(&run.source);
        if run.otherwise_asked > 0 && matches!(run.redriven, Redriven::Same { .. }) {
            let (id, asked) = (run8(&run.stream), run.otherwise_asked);
            writeln!(out, "{FAINT}{id} of {place}: {asked} spawns would have been asked something else{FAINT:#}")?;
        }
        let (result, sequence, what) = in_words(&run.redriven);
        let (Some(sequence), Some(what)) = (sequence, what) else { continue };
        let id = told(&run.stream, sequence);
        let style = if matches!(run.redriven, Redriven::Diverged { .. }) { BAD } else { WARN };
        writeln!(out, "{style}{result}{style:#} at {ID}{id}{ID:#} of {place}: {}", clean(&what))?;
        if let Some(drift) = &run.drift {
            writeln!(out, "  {} drift: {}", drift.word(), clean(&drift.to_string()))?;
        }
        if !run.kept.is_empty() {
            writeln!(out, "  {FAINT}recorded rule sets that stayed: {}{FAINT:#}", clean(&run.kept.join(", ")))?;
        }
    }
    left_out::print(&answer.left_out, output)?;
    let out = &mut output.out;
    for (name, count) in &answer.other_bundles() {
        writeln!(out, "{WARN}{count} runs under the bundle {} were not driven{WARN:#}", clean(name))?;
    }
    let (same, all) = (answer.same(), answer.driven.len() as u64);
    let style = if same == all && all > 0 { GOOD } else { WARN };
    match &answer.bundle {
        None => writeln!(out, "{style}{same} of {all} runs come out again byte by byte{style:#}")?,
        Some(bundle) => {
            let title = clean(&bundle.title());
            writeln!(out, "{style}{same} of {all} runs go the same way under {title} as it is now{style:#}")?;
        }
    }
    Ok(())
}
