//! `loom-replay verify`: is what is kept what was written? Source by source.

use super::format::{Answer, Format};
use super::sources::{self, Sources, path, threads};
use super::{junit, report, sarif};
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, FAINT, GOOD, Output, WARN};
use crate::text::{bytes, clean, shown};
use loom_core::id::hex;
use loom_replay::{Inspected, Options, Standing, inspect};
use serde::Serialize;
use std::io::Write;

/// Checks every byte of stores and traces: chains, commits, ids, trees.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    sources: Sources,
    /// Reads every blob that an event of a store names, too; those of a trace are always read.
    #[arg(long)]
    blobs: bool,
    /// How many threads read a store [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    pub(super) answer: Answer,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    /// Whether there is a source, and every one is whole.
    whole: bool,
    sources: Vec<SourceJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SourceJson {
    path: String,
    kind: &'static str,
    /// `whole`, `truncated`, `altered`, `newer` or `unread`.
    standing: &'static str,
    events: u64,
    commits: u64,
    streams: u64,
    bytes: u64,
    blobs: u64,
    /// Of a trace: blobs that its events name and that it does not hold, erased or left out.
    absent_blobs: Option<u64>,
    root: Option<String>,
    /// The first record that is not what was written.
    first_bad: Option<BadJson>,
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
    let corpus = arguments.sources.find(global)?;
    let options = Options { threads: threads(arguments.threads), blobs: arguments.blobs };
    let inspected = inspect(&corpus, options, &sources::open);
    match format {
        Format::Text => print(&inspected, output)?,
        Format::Json => output.document(&document(&inspected))?,
        Format::Junit => arguments.answer.foreign(&junit::of_inspection(&inspected), output)?,
        Format::Sarif => arguments.answer.foreign(&sarif::of_inspection(&inspected)?, output)?,
        Format::Html => arguments.answer.foreign(&report::of_inspection(&inspected, arguments.blobs), output)?,
    }
    Ok(exit(&inspected))
}

/// Damage goes before what could not be read, that before nothing at all.
fn exit(inspected: &[Inspected]) -> Exit {
    let any = |is: fn(&Standing) -> bool| inspected.iter().any(|source| is(&source.standing));
    if any(|standing| standing.bad().is_some()) {
        Exit::Damaged
    } else if any(|standing| *standing != Standing::Whole) {
        Exit::Unavailable
    } else if inspected.is_empty() {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

/// Returns what keeps a source from being whole, in words.
pub(super) fn what(standing: &Standing) -> Option<String> {
    match standing {
        Standing::Whole => None,
        Standing::Truncated(bad) | Standing::Altered(bad) => Some(bad.to_string()),
        Standing::Newer(what) | Standing::Unread(what) => Some(what.clone()),
    }
}

fn document(inspected: &[Inspected]) -> Document {
    let source = |source: &Inspected| {
        let report = &source.report;
        SourceJson {
            path: path(&source.path),
            kind: source.kind.word(),
            standing: source.standing.word(),
            events: report.events,
            commits: report.commits,
            streams: report.streams,
            bytes: report.bytes,
            blobs: report.blobs,
            absent_blobs: source.absent_blobs,
            root: report.root.map(|root| hex(&root)),
            first_bad: source.standing.bad().map(|bad| BadJson {
                position: bad.position,
                offset: bad.offset,
                stream: bad.stream.map(|stream| hex(&stream.0)),
                sequence: bad.sequence,
                what: bad.what.clone(),
            }),
            what: what(&source.standing),
        }
    };
    Document {
        loom: "verify-sources/1",
        whole: exit(inspected) == Exit::Ok,
        sources: inspected.iter().map(source).collect(),
    }
}

fn print(inspected: &[Inspected], output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    for source in inspected {
        let (kind, path, word) = (source.kind.word(), shown(&source.path), source.standing.word());
        match what(&source.standing) {
            None => writeln!(out, "{GOOD}{word}{GOOD:#}  {kind} {path}")?,
            Some(what) => writeln!(out, "{BAD}{word}{BAD:#}  {kind} {path}: {}", clean(&what))?,
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
        if let Some(absent) = source.absent_blobs.filter(|absent| *absent > 0) {
            writeln!(out, "  {WARN}{absent} blobs are named and not in the file: erased, or left out{WARN:#}")?;
        }
        if let Some(root) = report.root {
            writeln!(out, "  {FAINT}tree {} {}{FAINT:#}", report.events, hex(&root))?;
        }
    }
    let whole = inspected.iter().filter(|source| source.standing == Standing::Whole).count();
    Ok(writeln!(out, "{whole} of {} sources are whole", inspected.len())?)
}
