//! `loom verify`: is what is kept what was written? Of a store, a run, or an exported file.

use crate::app::Global;
use crate::depending::{self, DependentsJson};
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{BAD, FAINT, GOOD, Output, WARN};
use crate::project;
use crate::receipts::{self, LevelJson, ReceiptJson, is_receipt};
use crate::text::{bytes, clean, run8};
use crate::vouching::Vouching;
use loom_core::id::{StreamId, hex};
use loom_replay::corpus::Kind;
use loom_replay::evidence::{Checked, EvidenceError, History, Level};
use loom_replay::{
    Bad, Dependents, Options, Redriven, Redriver, ReplayError, Report, StoredRun, dependents, redrive, trace, verify,
};
use loom_store::StoreError;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Write};
use std::path::Path;

/// Checks every byte of a store, a run or an exported file: chains, commits, ids, tree.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A run, or a file that `loom export` or `loom prove` wrote; else the whole store.
    #[arg(value_name = "RUN|FILE")]
    target: Option<String>,
    /// Reads every blob that an event names, too.
    #[arg(long)]
    blobs: bool,
    /// Feeds the inputs of each run to the kernel again: everything else must come out as it is on record.
    #[arg(long)]
    redrive: bool,
    /// How many threads work [default: one for each core].
    #[arg(long, value_name = "COUNT")]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: Option<u16>,
    #[command(flatten)]
    vouching: Vouching,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    what: String,
    whole: bool,
    events: u64,
    commits: u64,
    streams: u64,
    bytes: u64,
    blobs: Option<u64>,
    absent_blobs: Option<u64>,
    /// Blobs that redactions on record name; where blobs were looked at, those of them that are gone.
    redacted_blobs: Option<u64>,
    /// Blobs that a redaction on record names and that are still there.
    unerased_blobs: Option<u64>,
    root: Option<String>,
    first_bad: Option<BadJson>,
    /// Of a store: what depends on it, where it lies at a position that is known.
    dependents: Option<DependentsJson>,
    redriven: Option<Vec<RedrivenJson>>,
    /// Checkpoints outside of the store that it is consistent with.
    held_against: Option<usize>,
    level: LevelJson,
    receipt: Option<ReceiptJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BadJson {
    position: Option<u64>,
    offset: Option<u64>,
    stream: Option<String>,
    sequence: Option<u64>,
    what: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RedrivenJson {
    run: String,
    result: &'static str,
    sequence: Option<u64>,
    what: Option<String>,
}

/// What was verified.
struct Verified {
    what: String,
    kind: Kind,
    report: Report,
    dependents: Option<Dependents>,
    absent: Option<u64>,
    redriven: Vec<(StreamId, Redriven)>,
    held_against: Option<usize>,
    receipt: Option<Checked>,
}

/// Answers `loom verify`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let verified = match &arguments.target {
        Some(file) if is_receipt(Path::new(file)) => of_receipt(Path::new(file), arguments)?,
        Some(file) if Path::new(file).is_file() => of_file(Path::new(file), arguments)?,
        target => match of_store(target.as_deref(), arguments, global, output) {
            // Damage is what this command is asked about: it is an answer.
            Err(CliError::Store(StoreError::Damaged(damage))) => found_bad(Kind::Store, damage.into()),
            verified => verified?,
        },
    };
    let exit = exit(&verified);
    if output.json {
        output.document(&document(&verified, arguments))?;
    } else {
        print(&verified, output)?;
    }
    Ok(exit)
}

fn found_bad(kind: Kind, bad: Bad) -> Verified {
    let report = Report { first_bad: Some(bad), ..Report::default() };
    Verified {
        what: "store".to_string(),
        kind,
        report,
        dependents: None,
        absent: None,
        redriven: Vec::new(),
        held_against: None,
        receipt: None,
    }
}

fn of_file(file: &Path, arguments: &Arguments) -> Result<Verified, CliError> {
    let path = file.to_path_buf();
    let input = File::open(file).map_err(|source| CliError::File { doing: "open", path, source })?;
    let what = format!("trace {}", file.display());
    let trace = match trace::read(&mut BufReader::with_capacity(1 << 16, input)) {
        Ok(trace) => trace,
        Err(ReplayError::Damaged(bad)) => return Ok(Verified { what, ..found_bad(Kind::Trace, bad) }),
        Err(error) => return Err(error.into()),
    };
    let redriven = if arguments.redrive { vec![(trace.stream, redrive(&trace)?)] } else { Vec::new() };
    Ok(Verified {
        what,
        kind: Kind::Trace,
        report: trace.report(),
        dependents: None,
        absent: Some(trace.absent.len() as u64),
        redriven,
        held_against: None,
        receipt: None,
    })
}

/// Checks a receipt. The report counts what it has; there is nothing more to read.
fn of_receipt(file: &Path, arguments: &Arguments) -> Result<Verified, CliError> {
    let checked = receipts::check(file, &arguments.vouching)?;
    let report = Report { events: checked.events, root: Some(checked.root), ..Report::default() };
    let what = format!("receipt {}", file.display());
    Ok(Verified {
        what,
        kind: Kind::Trace,
        report,
        dependents: None,
        absent: None,
        redriven: Vec::new(),
        held_against: None,
        receipt: Some(checked),
    })
}

/// Holds a store that is whole against what is kept of it elsewhere.
fn held(arguments: &Arguments, opened: &project::Opened) -> Result<Option<usize>, CliError> {
    let store = opened.store.as_ref();
    let history = History::of_store(store)?;
    let vouching = &arguments.vouching;
    if let Some(wanted) = vouching.origin.filter(|wanted| *wanted != history.origin) {
        return Err(EvidenceError::OtherStore { found: history.origin, wanted }.into());
    }
    if let (Some(pinned), Some(present)) = (vouching.pinned()?, history.keys.last())
        && !history.leads(&pinned, &present.key)
    {
        return Err(EvidenceError::OtherKey { found: present.key, pinned }.into());
    }
    let Some(place) = &vouching.checkpoint else { return Ok(None) };
    let project = opened.folder.parent().unwrap_or(&opened.folder);
    let witnessed = place.read(&history.origin, project)?;
    if witnessed.checkpoints.is_empty() {
        return Err(CliError::NoCheckpoint { place: place.to_string() });
    }
    witnessed.hold(store, &history)?;
    Ok(Some(witnessed.checkpoints.len()))
}

/// Returns what may be concluded.
fn level(verified: &Verified) -> Level {
    match &verified.receipt {
        Some(checked) => checked.level.clone(),
        None if verified.absent.is_some() => Level::of_trace(verified.report.is_whole()),
        None => Level::of_store(verified.report.is_whole(), verified.held_against.is_some()),
    }
}

fn of_store(
    target: Option<&str>,
    arguments: &Arguments,
    global: &Global,
    output: &Output,
) -> Result<Verified, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let (what, report, streams) = match target {
        Some(run) => {
            let stream = identify::run(store, run)?;
            let report = loom_replay::verify_run(&StoredRun::new(store, stream), arguments.blobs)?;
            (format!("run {}", run8(&stream)), report, vec![stream])
        }
        None => {
            let threads = arguments
                .threads
                .map(usize::from)
                .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get));
            let report = verify(store, Options { threads, blobs: arguments.blobs })?;
            let mut streams: Vec<StreamId> = store.runs(usize::MAX)?.into_iter().map(|run| run.stream).collect();
            streams.reverse();
            ("store".to_string(), report, streams)
        }
    };
    let held_against = match (report.is_whole(), target) {
        (false, _) => None,
        // Of a run alone the rest of the store is not looked at, unless somebody vouches for that.
        (true, Some(_)) if !arguments.vouching.is_asked() => None,
        (true, _) => held(arguments, &opened)?,
    };
    let mut redriven = Vec::new();
    if arguments.redrive && report.is_whole() {
        let mut redriver = Redriver::default();
        for stream in streams.into_iter().filter(|stream| *stream != StreamId::STORE) {
            redriven.push((stream, redriver.redrive(&StoredRun::new(store, stream))?));
        }
    }
    // What keeps from saying this takes nothing from what was found.
    let dependents = report.first_bad.as_ref().and_then(|bad| dependents(store, bad).ok()).flatten();
    Ok(Verified { what, kind: Kind::Store, report, dependents, absent: None, redriven, held_against, receipt: None })
}

/// Damage goes before divergence, divergence before what cannot be known.
fn exit(verified: &Verified) -> Exit {
    let any = |wanted: fn(&Redriven) -> bool| verified.redriven.iter().any(|(_, redriven)| wanted(redriven));
    if !verified.report.is_whole() {
        Exit::Damaged
    } else if any(|redriven| matches!(redriven, Redriven::Diverged { .. })) {
        Exit::Diverged
    } else if any(|redriven| matches!(redriven, Redriven::Unknowable { .. })) {
        Exit::Unknowable
    } else {
        Exit::Ok
    }
}

fn document(verified: &Verified, arguments: &Arguments) -> Document {
    let report = &verified.report;
    Document {
        loom: "verify/1",
        what: verified.what.clone(),
        whole: report.is_whole(),
        events: report.events,
        commits: report.commits,
        streams: report.streams,
        bytes: report.bytes,
        blobs: (arguments.blobs || report.blobs > 0).then_some(report.blobs),
        absent_blobs: verified.absent,
        redacted_blobs: (arguments.blobs || report.redacted > 0).then_some(report.redacted),
        unerased_blobs: arguments.blobs.then_some(report.unerased),
        root: report.root.map(|root| hex(&root)),
        first_bad: report.first_bad.as_ref().map(|bad| BadJson {
            position: bad.position,
            offset: bad.offset,
            stream: bad.stream.map(|stream| hex(&stream.0)),
            sequence: bad.sequence,
            what: bad.what.clone(),
        }),
        dependents: verified.dependents.as_ref().map(depending::json),
        held_against: verified.held_against,
        level: LevelJson::from(&level(verified)),
        receipt: verified.receipt.as_ref().map(receipts::json),
        redriven: arguments.redrive.then(|| {
            let entries = verified.redriven.iter();
            entries
                .map(|(stream, redriven)| {
                    let (result, sequence, what) = told(redriven);
                    RedrivenJson { run: hex(&stream.0), result, sequence, what }
                })
                .collect()
        }),
    }
}

fn told(redriven: &Redriven) -> (&'static str, Option<u64>, Option<String>) {
    match redriven {
        Redriven::Same { .. } => ("same", None, None),
        Redriven::Diverged { sequence, what, .. } => ("diverged", Some(*sequence), Some(what.clone())),
        Redriven::Unknowable { sequence, missing } => ("unknowable", Some(*sequence), Some(missing.clone())),
    }
}

/// Says which blobs were erased, and which were to be.
fn redacted(report: &Report, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    if report.redacted > 0 {
        writeln!(out, "{WARN}{} blobs are redacted{WARN:#}, as is on record", report.redacted)?;
    }
    if report.unerased > 0 {
        let what = "a redaction is on record and their bytes are still there; `loom gc` erases them";
        writeln!(out, "{BAD}{} blobs are not erased{BAD:#}: {what}", report.unerased)?;
    }
    Ok(())
}

fn print(verified: &Verified, output: &mut Output) -> Result<(), CliError> {
    if let Some(checked) = &verified.receipt {
        return receipts::print(&verified.what, checked, output);
    }
    let report = &verified.report;
    let out = &mut output.out;
    let what = clean(&verified.what);
    match &report.first_bad {
        Some(bad) => {
            writeln!(out, "{BAD}{what} is damaged{BAD:#} at {}", clean(&bad.to_string()))?;
            let depends = depending::words(verified.kind, bad, false, verified.dependents.as_ref());
            writeln!(out, "depends on it: {depends}")?;
        }
        None => writeln!(out, "{GOOD}{what} is whole{GOOD:#}")?,
    }
    writeln!(
        out,
        "{} events in {} commits of {} streams, {}",
        report.events,
        report.commits,
        report.streams,
        bytes(report.bytes)
    )?;
    if report.blobs > 0 {
        writeln!(out, "{} blobs", report.blobs)?;
    }
    if let Some(absent) = verified.absent.filter(|absent| *absent > 0) {
        writeln!(out, "{WARN}{absent} blobs are named and not in the file{WARN:#}")?;
    }
    redacted(report, output)?;
    let out = &mut output.out;
    if let Some(root) = report.root {
        writeln!(out, "{FAINT}tree {} {}{FAINT:#}", report.events, hex(&root))?;
    }
    let mut same = 0;
    for (stream, redriven) in &verified.redriven {
        match told(redriven) {
            ("same", ..) => same += 1,
            (result, sequence, what) => {
                let id = identify::told(stream, sequence.unwrap_or_default());
                writeln!(out, "{BAD}{result}{BAD:#} at {id}: {}", clean(&what.unwrap_or_default()))?;
            }
        }
    }
    if !verified.redriven.is_empty() {
        writeln!(out, "{same} of {} runs come out again byte by byte", verified.redriven.len())?;
    }
    if let Some(count) = verified.held_against {
        writeln!(out, "{GOOD}consistent{GOOD:#} with {count} checkpoints that lie elsewhere")?;
    }
    receipts::level(&level(verified), output)
}
