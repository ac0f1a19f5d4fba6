//! `loom-replay verify`: is what is kept what was written? Source by source.

use super::format::{Answer, Format};
use super::sources::{self, Runs, Sources, path, threads};
use super::{junit, report, sarif};
use crate::app::Global;
use crate::depending::{self, DependentsJson};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, FAINT, GOOD, Output, WARN};
use crate::places::{Place, place_of};
use crate::receipts::{self, LevelJson};
use crate::text::{bytes, clean, shown};
use loom_core::id::hex;
use loom_replay::corpus::Kind;
use loom_replay::{Inspected, Options, Standing, inspect};
use serde::Serialize;
use std::io::Write;

/// What is not said of a store of which only some runs were asked for.
pub(super) const PART: &str = "its tree, its ledger and its other streams were not looked at";

/// Checks every byte of stores and traces: chains, commits, ids, trees.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    #[command(flatten)]
    runs: Runs,
    /// Reads every blob that an event of a store names, too; those of a trace are always read.
    #[arg(long)]
    blobs: bool,
    /// How many threads read a store [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    /// Holds each store against its checkpoints at a place outside of it: a folder, a file, `git-note` or `git-note:REF`.
    #[arg(long, value_name = "PLACE", value_parser = place_of, conflicts_with_all = ["since", "runs", "project"])]
    checkpoint: Option<Place>,
    #[command(flatten)]
    pub(super) answer: Answer,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Whether there is a source, and every one is whole.
    whole: bool,
    /// Runs that were not asked for, those of sources of which none was among them.
    unwanted_runs: u64,
    sources: Vec<SourceJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SourceJson {
    path: String,
    kind: &'static str,
    /// `whole`, `truncated`, `altered`, `forked`, `newer` or `unread`.
    standing: &'static str,
    events: u64,
    commits: u64,
    streams: u64,
    /// Of a store of which only some runs were asked for: how many were not. Its tree, its ledger and those were not looked at.
    unwanted_runs: Option<u64>,
    bytes: u64,
    blobs: u64,
    /// Of a trace: blobs that its events name and that it does not hold, erased or left out.
    absent_blobs: Option<u64>,
    /// Blobs that redactions on record name; where blobs were read, those of them that are gone.
    redacted_blobs: u64,
    /// Blobs that a redaction on record names and that are still there.
    unerased_blobs: u64,
    root: Option<String>,
    /// Of a store: checkpoints at the place that was named, which it is consistent with.
    held_against: Option<usize>,
    level: LevelJson,
    /// The first record that is not what was written.
    first_bad: Option<BadJson>,
    /// Of a store: what depends on it, where it lies at a position that is known.
    dependents: Option<DependentsJson>,
    /// What keeps from looking.
    what: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BadJson {
    position: Option<u64>,
    offset: Option<u64>,
    stream: Option<String>,
    sequence: Option<u64>,
    what: String,
}

/// Answers `loom-replay verify`.
pub(super) fn run(
    arguments: &Arguments,
    global: &Global,
    format: Format,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let filter = arguments.runs.filter(output)?;
    let corpus = arguments.sources.find(global)?;
    let options = Options { threads: threads(arguments.threads), blobs: arguments.blobs };
    let mut inspected = inspect(&corpus, &filter, options, &sources::open);
    let unwanted = inspected.iter().filter_map(|source| source.report.unwanted).sum();
    inspected.retain(|source| !source.is_aside());
    if let Some(place) = &arguments.checkpoint {
        inspected.iter_mut().try_for_each(|source| hold(source, place))?;
    }
    match format {
        Format::Text => print(&inspected, unwanted, arguments.checkpoint.as_ref(), output)?,
        Format::Json => output.document(&document(&inspected, unwanted))?,
        Format::Junit => arguments.answer.file.foreign(&junit::of_inspection(&inspected), output)?,
        Format::Sarif => arguments.answer.file.foreign(&sarif::of_inspection(&inspected)?, output)?,
        Format::Html => arguments
            .answer
            .file
            .foreign(&report::of_inspection(&inspected, arguments.blobs, arguments.checkpoint.is_some()), output)?,
    }
    Ok(exit(&inspected))
}

/// Holds a store that is whole against what lies elsewhere of it (CORPUS-6).
fn hold(source: &mut Inspected, place: &Place) -> Result<(), CliError> {
    if source.kind != Kind::Store || source.standing != Standing::Whole {
        return Ok(());
    }
    place.outside_of(&source.path)?;
    let store = sources::open(&source.path)?.store;
    let project = source.path.parent().unwrap_or(&source.path).to_path_buf();
    source.hold(store.as_ref(), |origin| place.read(origin, &project))
}

/// Damage goes before what could not be read, that before nothing at all, and a store of which nothing lies elsewhere.
fn exit(inspected: &[Inspected]) -> Exit {
    let any = |is: fn(&Standing) -> bool| inspected.iter().any(|source| is(&source.standing));
    if any(|standing| standing.bad().is_some()) {
        Exit::Damaged
    } else if any(|standing| *standing != Standing::Whole) {
        Exit::Unavailable
    } else if inspected.is_empty() || inspected.iter().any(|source| source.held_against == Some(0)) {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

/// Returns what keeps a source from being whole, in words.
pub(super) fn what(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Whole => None,
        Standing::Truncated(bad) | Standing::Altered(bad) | Standing::Forked(bad) => Some(bad.to_string()),
        Standing::Newer(what) | Standing::Unread(what) => Some(what.clone()),
    }
}

/// Returns what depends on the first bad record of a source, in words.
pub(super) fn depends(source: &Inspected) -> Option<String> {
    let is_elsewhere = matches!(source.standing, Standing::Forked(_));
    Some(depending::words(source.kind, source.standing.bad()?, is_elsewhere, source.dependents.as_ref()))
}

fn document(inspected: &[Inspected], unwanted_runs: u64) -> Document {
    let source = |source: &Inspected| {
        let report = &source.report;
        SourceJson {
            path: path(&source.path),
            kind: source.kind.word(),
            standing: source.standing.word(),
            events: report.events,
            commits: report.commits,
            streams: report.streams,
            unwanted_runs: report.unwanted,
            bytes: report.bytes,
            blobs: report.blobs,
            absent_blobs: source.absent_blobs,
            redacted_blobs: report.redacted,
            unerased_blobs: report.unerased,
            root: report.root.map(|root| hex(&root)),
            held_against: source.held_against,
            level: LevelJson::from(&source.level()),
            first_bad: source.standing.bad().map(|bad| BadJson {
                position: bad.position,
                offset: bad.offset,
                stream: bad.stream.map(|stream| hex(&stream.0)),
                sequence: bad.sequence,
                what: bad.what.clone(),
            }),
            dependents: source.dependents.as_ref().map(depending::json),
            what: what(&source.standing),
        }
    };
    Document {
        loom: "verify-sources/1",
        whole: exit(inspected) == Exit::Ok,
        unwanted_runs,
        sources: inspected.iter().map(source).collect(),
    }
}

fn print(inspected: &[Inspected], unwanted: u64, place: Option<&Place>, output: &mut Output) -> Result<(), CliError> {
    for source in inspected {
        let out = &mut output.out;
        let (kind, path, word) = (source.kind.word(), shown(&source.path), source.standing.word());
        match what(&source.standing) {
            None => writeln!(out, "{GOOD}{word}{GOOD:#}  {kind} {path}")?,
            Some(what) => writeln!(out, "{BAD}{word}{BAD:#}  {kind} {path}: {}", clean(&what))?,
        }
        if let Some(depends) = depends(source) {
            writeln!(out, "  depends on it: {depends}")?;
        }
        let report = &source.report;
        if report.events > 0 {
            let (events, commits, streams) = (report.events, report.commits, report.streams);
            let size = bytes(report.bytes);
            writeln!(
                out,
                "  {events} events in {commits} commits of {streams} streams, {size}, {} blobs",
                report.blobs
            )?;
        }
        if let Some(unwanted) = report.unwanted {
            writeln!(out, "  {WARN}{unwanted} runs of it were not asked for; {PART}{WARN:#}")?;
        }
        if let Some(absent) = source.absent_blobs.filter(|absent| *absent > 0) {
            writeln!(out, "  {WARN}{absent} blobs are named and not in the file: erased, or left out{WARN:#}")?;
        }
        if report.redacted > 0 {
            writeln!(out, "  {WARN}{} blobs are redacted, as is on record{WARN:#}", report.redacted)?;
        }
        if report.unerased > 0 {
            let what = "blobs are not erased: a redaction is on record, and their bytes are still there";
            writeln!(out, "  {BAD}{} {what}{BAD:#}", report.unerased)?;
        }
        if let Some(root) = report.root {
            writeln!(out, "  {FAINT}tree {} {}{FAINT:#}", report.events, hex(&root))?;
        }
        let Some(place) = place else { continue };
        match source.held_against {
            Some(0) => writeln!(out, "  {WARN}there is no checkpoint of it at {}{WARN:#}", clean(&place.to_string()))?,
            Some(count) => {
                writeln!(out, "  {GOOD}consistent{GOOD:#} with {count} checkpoints that lie elsewhere")?;
            }
            None => {}
        }
        write!(out, "  ")?;
        receipts::level(&source.level(), output)?;
    }
    let whole = inspected.iter().filter(|source| source.standing == Standing::Whole).count();
    if unwanted > 0 {
        writeln!(output.out, "{unwanted} runs were not asked for")?;
    }
    Ok(writeln!(output.out, "{whole} of {} sources are whole", inspected.len())?)
}
