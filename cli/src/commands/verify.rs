//! `loom verify`: is what is kept what was written? Of a store, a run, or an exported file.
//!
//! A file is opened once and read from its beginning to its end: it may be a pipe. A trace is not held, but to be driven again.

use crate::app::Global;
use crate::depending::{self, DependentsJson};
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify;
use crate::output::{BAD, FAINT, GOOD, Output, WARN};
use crate::project;
use crate::receipts::{self, LevelJson, ReceiptJson};
use crate::replaying::sources::WHOLE_MAX;
use crate::text::{bytes, clean, run8};
use crate::vouching::Vouching;
use loom_core::id::{StreamId, hex};
use loom_replay::corpus::Kind;
use loom_replay::evidence::{Checked, EvidenceError, History, Level, MAGIC};
use loom_replay::{
    Bad, Dependents, Options, Redriven, Redriver, ReplayError, Report, StoredRun, dependents, redrive, trace, verify,
    verify_run,
};
use loom_store::StoreError;
use serde::Serialize;
use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::ops::ControlFlow;
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

/// What is to be verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    Store,
    Run,
    Trace,
    Receipt,
}

impl Subject {
    fn words(self) -> &'static str {
        match self {
            Subject::Store => "a store",
            Subject::Run => "a run in a store",
            Subject::Trace => "a trace",
            Subject::Receipt => "a receipt",
        }
    }

    /// Refuses an option that can do nothing here: whoever gives it counts on it (CLI-9).
    fn takes(self, arguments: &Arguments) -> Result<(), CliError> {
        let Arguments { vouching, blobs, redrive, .. } = arguments;
        let no_blobs = "it has no blobs, only their digests";
        let unsigned = "nothing in it is signed by the store, and it is held against nothing; a receipt of its run is: \
                        `loom prove`";
        let of_receipts = "that is looked at in a receipt alone: `loom prove`";
        let (is_trace, is_receipt) = (self == Subject::Trace, self == Subject::Receipt);
        let refused = [
            ("--blobs", *blobs && is_receipt, no_blobs),
            ("--redrive", *redrive && is_receipt, no_blobs),
            ("--checkpoint", vouching.checkpoint.is_some() && is_trace, unsigned),
            ("--key", vouching.key.is_some() && is_trace, unsigned),
            ("--witness", !vouching.witness.is_empty() && !is_receipt, of_receipts),
            ("--person", !vouching.person.is_empty() && !is_receipt, of_receipts),
        ];
        match refused.into_iter().find(|(_, is_refused, _)| *is_refused) {
            Some((option, _, why)) => Err(CliError::Unfitting { option, what: self.words(), why }),
            None => Ok(()),
        }
    }
}

/// What a store, or a run in it, was held against.
#[derive(Debug, Clone, Copy)]
struct Held {
    checkpoints: usize,
    /// Whether the newest of them has all that was verified; of a store that grows all that it had then.
    is_covered: bool,
}

/// What was verified.
struct Verified {
    what: String,
    kind: Kind,
    report: Report,
    dependents: Option<Dependents>,
    absent: Option<u64>,
    redriven: Vec<(StreamId, Redriven)>,
    held: Option<Held>,
    receipt: Option<Checked>,
}

impl Verified {
    fn of(kind: Kind, what: String, report: Report) -> Self {
        Verified { what, kind, report, dependents: None, absent: None, redriven: Vec::new(), held: None, receipt: None }
    }
}

/// Answers `loom verify`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let verified = match &arguments.target {
        Some(file) if Path::new(file).metadata().is_ok_and(|found| !found.is_dir()) => {
            of_file(Path::new(file), arguments)?
        }
        target => match of_store(target.as_deref(), arguments, global, output) {
            // Damage is what this command is asked about: it is an answer.
            Err(CliError::Store(StoreError::Damaged(damage))) => {
                found_bad(Kind::Store, "store".to_string(), damage.into())
            }
            verified => verified.map_err(|error| misnamed(target.as_deref(), error))?,
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

fn found_bad(kind: Kind, what: String, bad: Bad) -> Verified {
    Verified::of(kind, what, Report { first_bad: Some(bad), ..Report::default() })
}

/// Says of what names no run what it is, where it is a path: no id has a slash or a dot.
fn misnamed(target: Option<&str>, error: CliError) -> CliError {
    let (Some(text), CliError::NoStore { .. } | CliError::NotAnId { .. } | CliError::Unknown { .. }) = (target, &error)
    else {
        return error;
    };
    let path = Path::new(text).to_path_buf();
    match path.metadata() {
        Ok(_) => CliError::Folder { path },
        Err(source) if text.contains(['/', '.']) || path.is_symlink() => CliError::File { doing: "find", path, source },
        Err(_) => error,
    }
}

/// Checks a trace or a receipt, told apart by how it begins.
fn of_file(path: &Path, arguments: &Arguments) -> Result<Verified, CliError> {
    let failed = |doing| move |source| CliError::File { doing, path: path.to_path_buf(), source };
    let mut file = File::open(path).map_err(failed("open"))?;
    let mut begin = Vec::new();
    Read::by_ref(&mut file).take(MAGIC.len() as u64).read_to_end(&mut begin).map_err(failed("read"))?;
    let is_receipt = begin == MAGIC;
    let input = begin.chain(file);
    match is_receipt {
        true => of_receipt(input, path, arguments),
        false => of_trace(BufReader::with_capacity(1 << 16, input), path, arguments),
    }
}

fn of_trace(mut input: impl Read, path: &Path, arguments: &Arguments) -> Result<Verified, CliError> {
    Subject::Trace.takes(arguments)?;
    let what = format!("trace {}", path.display());
    let checked = match arguments.redrive {
        true => redriven(&mut input),
        false => scanned(&mut input),
    };
    let (origin, report, absent, redriven) = match checked {
        Ok(checked) => checked,
        Err(CliError::Replay(ReplayError::Damaged(bad))) => return Ok(found_bad(Kind::Trace, what, bad)),
        Err(error) => return Err(error),
    };
    if let Some(wanted) = arguments.vouching.origin.filter(|wanted| *wanted != origin) {
        return Err(EvidenceError::OtherStore { found: origin, wanted }.into());
    }
    Ok(Verified { absent: Some(absent), redriven, ..Verified::of(Kind::Trace, what, report) })
}

/// Name of a trace's store, what was verified, how many blobs are absent, and how it was driven again.
type Looked = ([u8; 16], Report, u64, Vec<(StreamId, Redriven)>);

/// Checks a trace item by item and holds none (CORPUS-5).
fn scanned(input: &mut dyn Read) -> Result<Looked, CliError> {
    let summary = trace::scan(input, 0, &mut |_, _| ControlFlow::Continue(()))?;
    let summary = summary.ok_or(ReplayError::NotATrace)?;
    Ok((summary.header.origin, summary.report(), summary.absent.len() as u64, Vec::new()))
}

/// Reads a trace whole and drives it again.
fn redriven(input: &mut dyn Read) -> Result<Looked, CliError> {
    let mut input = input.take(WHOLE_MAX + 1);
    let trace = trace::read(&mut input);
    if input.limit() == 0 {
        return Err(ReplayError::TooMany { what: "bytes in a trace that is read whole", max: WHOLE_MAX }.into());
    }
    let trace = trace?;
    Ok((trace.origin, trace.report(), trace.absent.len() as u64, vec![(trace.stream, redrive(&trace)?)]))
}

/// Checks a receipt. The report counts what it has; there is nothing more to read.
fn of_receipt(input: impl Read, path: &Path, arguments: &Arguments) -> Result<Verified, CliError> {
    Subject::Receipt.takes(arguments)?;
    let checked = receipts::check(input, path, &arguments.vouching)?;
    let report = Report { events: checked.events, root: Some(checked.root), ..Report::default() };
    let what = format!("receipt {}", path.display());
    Ok(Verified { receipt: Some(checked), ..Verified::of(Kind::Trace, what, report) })
}

/// Holds a store that is whole, or has a run that is, against what is kept of it elsewhere.
fn held(arguments: &Arguments, run: Option<StreamId>, opened: &project::Opened) -> Result<Option<Held>, CliError> {
    let store = opened.store.as_ref();
    let history = History::of_store(store)?;
    let vouching = &arguments.vouching;
    if let Some(wanted) = vouching.origin.filter(|wanted| *wanted != history.origin) {
        return Err(EvidenceError::OtherStore { found: history.origin, wanted }.into());
    }
    match (vouching.pinned()?, history.keys.last()) {
        (Some(pinned), None) => {
            let what = format!("the key {} is pinned, and the store has no key on record", hex(&pinned));
            return Err(EvidenceError::Broken { law: "KEYS-4", what }.into());
        }
        (Some(pinned), Some(present)) if !history.leads(&pinned, &present.key) => {
            return Err(EvidenceError::OtherKey { found: present.key, pinned }.into());
        }
        (Some(_) | None, _) => {}
    }
    let Some(place) = &vouching.checkpoint else { return Ok(None) };
    place.outside_of(&opened.folder)?;
    let project = opened.folder.parent().unwrap_or(&opened.folder);
    let witnessed = place.read(&history.origin, project)?;
    if witnessed.checkpoints.is_empty() {
        return Err(CliError::NoCheckpoint { place: place.to_string() });
    }
    let is_covered = match run {
        None => witnessed.hold(store, &history).map(|()| true)?,
        Some(run) => witnessed.hold_run(store, &history, run)?,
    };
    Ok(Some(Held { checkpoints: witnessed.checkpoints.len(), is_covered }))
}

/// Returns what may be concluded.
fn level(verified: &Verified) -> Level {
    match &verified.receipt {
        Some(checked) => checked.level.clone(),
        None if verified.absent.is_some() => Level::of_trace(verified.report.is_whole()),
        None => {
            let is_covered = verified.held.is_some_and(|held| held.is_covered);
            let level = Level::of_store(verified.report.is_whole(), is_covered);
            match verified.held {
                Some(Held { is_covered: false, .. }) => {
                    let missing = "a newer checkpoint, which has all of the run: `loom witness`".to_string();
                    Level { missing: Some(missing), ..level }
                }
                Some(_) | None => level,
            }
        }
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
            Subject::Run.takes(arguments)?;
            let mut report = verify_run(&StoredRun::new(store, stream), arguments.blobs)?;
            if report.is_whole() && arguments.vouching.is_asked() {
                // Whose keys they are, the store's own stream says.
                report.first_bad = verify_run(&StoredRun::new(store, StreamId::STORE), false)?.first_bad;
            }
            (format!("run {}", run8(&stream)), report, vec![stream])
        }
        None => {
            Subject::Store.takes(arguments)?;
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
    let run = target.and(streams.first().copied());
    let held = match (report.is_whole(), target) {
        (false, _) => None,
        // Of a run alone the rest of the store is not looked at, unless somebody vouches for that.
        (true, Some(_)) if !arguments.vouching.is_asked() => None,
        (true, _) => held(arguments, run, &opened)?,
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
    Ok(Verified { dependents, redriven, held, ..Verified::of(Kind::Store, what, report) })
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
        held_against: verified.held.map(|held| held.checkpoints),
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
    if let Some(Held { checkpoints: count, .. }) = verified.held {
        writeln!(out, "{GOOD}consistent{GOOD:#} with {count} checkpoints that lie elsewhere")?;
    }
    receipts::level(&level(verified), output)
}
