//! `loom log`: events in the order they were committed, oldest first, as a graph or as JSON.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::following::follow;
use crate::graph::{Graph, Lane, Step};
use crate::identify;
use crate::json::EventJson;
use crate::line::{Line, line};
use crate::output::{FAINT, ID, Output};
use crate::project;
use crate::text::{run8, short};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SpanRelativeTo, Timestamp};
use loom_core::event::Envelope;
use loom_core::id::{EventId, StreamId, hex};
use loom_core::kind::{Event, KINDS};
use loom_core::schema::Class;
use loom_store::{RunState, Store, Stored};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// How many events are shown when nothing else is said and people read.
const SHOWN: usize = 100;
/// How many events are read at a time.
const BATCH: usize = 1024;

/// Shows events in the order they were committed, the newest at the end.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A run; else all of them.
    #[arg(value_name = "RUN")]
    run: Option<String>,
    /// How many of the last events; 0 for all [default: 100, with --jsonl all].
    #[arg(short, long, value_name = "COUNT")]
    n: Option<usize>,
    /// Only events of this kind; may be given several times, `gate` stands for all of `gate.*`.
    #[arg(long, value_name = "KIND")]
    kind: Vec<String>,
    /// Only events since then: a span like 7d, 12h or 90m, a day (UTC), or an RFC 3339 time.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// One JSON object a line.
    #[arg(long, conflicts_with = "json")]
    jsonl: bool,
    /// Goes on with each event as it comes; of a run, until the run has ended.
    #[arg(short, long, conflicts_with = "json")]
    follow: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document<'a> {
    loom: &'static str,
    left_out: u64,
    events: Vec<EventJson<'a>>,
}

/// The events to show.
struct Found {
    events: Vec<Stored>,
    /// How many there are before them.
    left_out: u64,
}

/// Answers `loom log`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let kinds = kinds(&arguments.kind)?;
    let since_ms = arguments.since.as_deref().map(since).transpose()?;
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let stream = arguments.run.as_deref().map(|run| identify::run(store, run)).transpose()?;
    let n = arguments.n.unwrap_or(if arguments.jsonl { 0 } else { SHOWN });
    if arguments.follow {
        let Some(next) = shown_before(arguments, store, stream, &kinds, since_ms, output)? else { return Ok(Exit::Ok) };
        let folder = opened.folder.clone();
        // Reading it would keep others from driving.
        drop(opened);
        let mut show = |stored: &Stored, output: &mut Output| show(stored, stream, &kinds, arguments.jsonl, output);
        return follow(&folder, (stream, next), global.quiet, output, &mut show);
    }
    if arguments.jsonl {
        // Line by line, so that a store of any size can be streamed.
        let from = first(store, stream, &kinds, since_ms, n)?;
        return stream_lines(store, stream, &kinds, from, output);
    }
    let found = find(store, stream, &kinds, since_ms, n)?;
    if output.json {
        let events = found.events.iter().map(EventJson).collect();
        output.document(&Document { loom: "log/1", left_out: found.left_out, events })?;
        return Ok(Exit::Ok);
    }
    draw(store, stream, &found, kinds.is_empty(), output)?;
    Ok(Exit::Ok)
}

/// Draws a whole run of the store in `folder`.
pub(crate) fn run_of(folder: &Path, stream: StreamId, output: &mut Output) -> Result<(), CliError> {
    let opened = project::open(Some(folder), output)?;
    let found = find(opened.store.as_ref(), Some(stream), &BTreeSet::new(), None, 0)?;
    draw(opened.store.as_ref(), Some(stream), &found, true, output)
}

/// Returns the codes of the kinds that the words mean; none for no words.
fn kinds(words: &[String]) -> Result<BTreeSet<u64>, CliError> {
    let mut codes = BTreeSet::new();
    for word in words {
        let group = format!("{word}.");
        let before = codes.len();
        codes.extend(
            KINDS.iter().filter(|kind| kind.name == word || kind.name.starts_with(&group)).map(|kind| kind.code),
        );
        if codes.len() == before && !KINDS.iter().any(|kind| kind.name == word || kind.name.starts_with(&group)) {
            return Err(CliError::Kind { kind: word.clone() });
        }
    }
    Ok(codes)
}

/// Returns a point in time, milliseconds since the epoch.
pub(crate) fn since(text: &str) -> Result<u64, CliError> {
    let fail = |source| CliError::Since { text: text.to_string(), source };
    let day = || text.parse::<Date>().ok()?.to_zoned(TimeZone::UTC).ok().map(|day| day.timestamp());
    let ms = match text.parse::<Timestamp>().ok().or_else(day) {
        Some(at) => at.as_millisecond(),
        None => {
            let span: jiff::Span = text.parse().map_err(fail)?;
            let back = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(fail)?;
            Timestamp::now().checked_sub(back.abs()).map_err(fail)?.as_millisecond()
        }
    };
    Ok(u64::try_from(ms).unwrap_or(0))
}

/// Returns the events to show: the last `n` of those that are asked for.
fn find(
    store: &dyn Store,
    stream: Option<StreamId>,
    kinds: &BTreeSet<u64>,
    since_ms: Option<u64>,
    n: usize,
) -> Result<Found, CliError> {
    let most = if n == 0 { usize::MAX } else { n };
    if let Some(stream) = stream {
        let next = store.head(stream)?.next;
        if kinds.is_empty() && since_ms.is_none() {
            let from = next.saturating_sub(most as u64);
            return Ok(Found { events: store.read(stream, from, most)?, left_out: from });
        }
        let mut events = Vec::new();
        let mut at = 0;
        while at < next {
            let batch = store.read(stream, at, BATCH)?;
            at += batch.len().max(1) as u64;
            for event in batch {
                let view = identify::view(&event)?;
                let wanted = (kinds.is_empty() || kinds.contains(&view.schema.code))
                    && since_ms.is_none_or(|since| view.stamp.ms >= since);
                if wanted {
                    events.push(event);
                }
            }
        }
        return Ok(last(events, most));
    }
    let from = since_ms.map_or(Ok(0), |since| store.at_time(since))?;
    if kinds.is_empty() {
        let start = store.size().saturating_sub(most as u64).max(from);
        return Ok(Found { events: store.events(start, most)?, left_out: start - from });
    }
    let codes: Vec<u64> = kinds.iter().copied().collect();
    let positions = store.by_kind(&codes, from, usize::MAX)?;
    let left_out = positions.len().saturating_sub(most);
    let mut events = Vec::new();
    for position in &positions[left_out..] {
        events.extend(store.events(*position, 1)?);
    }
    Ok(Found { events, left_out: left_out as u64 })
}

fn last(mut events: Vec<Stored>, most: usize) -> Found {
    let left_out = events.len().saturating_sub(most);
    Found { events: events.split_off(left_out), left_out: left_out as u64 }
}

/// Returns the sequence (in a run) or position (in the store) from which lines are streamed.
fn first(
    store: &dyn Store,
    stream: Option<StreamId>,
    kinds: &BTreeSet<u64>,
    since_ms: Option<u64>,
    n: usize,
) -> Result<u64, CliError> {
    if n != 0 || (stream.is_some() && since_ms.is_some()) {
        let found = find(store, stream, kinds, since_ms, n)?;
        return match (found.events.first(), stream) {
            (Some(event), Some(_)) => Ok(identify::view(event)?.sequence),
            (Some(event), None) => Ok(event.position),
            (None, _) => Ok(u64::MAX),
        };
    }
    Ok(since_ms.map_or(Ok(0), |since| store.at_time(since))?)
}

fn stream_lines(
    store: &dyn Store,
    stream: Option<StreamId>,
    kinds: &BTreeSet<u64>,
    from: u64,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let mut next = from;
    loop {
        let batch = match stream {
            Some(stream) => store.read(stream, next, BATCH)?,
            None => store.events(next, BATCH)?,
        };
        if batch.is_empty() {
            return Ok(Exit::Ok);
        }
        next = next.saturating_add(batch.len() as u64);
        for event in &batch {
            if kinds.is_empty() || kinds.contains(&identify::view(event)?.schema.code) {
                output.line(&EventJson(event))?;
            }
        }
    }
}

/// Shows what is on record already and returns the sequence (in a run) or position (in the store) that comes next;
/// nothing where the run has ended.
fn shown_before(
    arguments: &Arguments,
    store: &dyn Store,
    stream: Option<StreamId>,
    kinds: &BTreeSet<u64>,
    since_ms: Option<u64>,
    output: &mut Output,
) -> Result<Option<u64>, CliError> {
    let found = find(store, stream, kinds, since_ms, arguments.n.unwrap_or(SHOWN))?;
    let next = match stream {
        Some(stream) => store.head(stream)?.next,
        None => store.size(),
    };
    let is_closed = |run: &loom_store::Run| Some(run.stream) == stream && matches!(run.state, RunState::Closed(_));
    let ended = store.runs(usize::MAX)?.iter().any(is_closed);
    for stored in &found.events {
        show(stored, stream, kinds, arguments.jsonl, output)?;
    }
    output.out.flush()?;
    if ended {
        return Ok(None);
    }
    // It may have grown between the two questions: what came is told, and nothing is told twice.
    let after_shown = match (found.events.last(), stream) {
        (Some(last), Some(_)) => identify::view(last)?.sequence + 1,
        (Some(last), None) => last.position + 1,
        (None, _) => next,
    };
    Ok(Some(if kinds.is_empty() { after_shown } else { next.max(after_shown) }))
}

/// Shows one event on a line of its own; returns whether its run has ended with it.
fn show(
    stored: &Stored,
    stream: Option<StreamId>,
    kinds: &BTreeSet<u64>,
    jsonl: bool,
    output: &mut Output,
) -> Result<bool, CliError> {
    let envelope = Envelope::decode(&stored.event.bytes)
        .map_err(|source| CliError::Event { position: stored.position, source })?;
    let ended = stream.is_some() && matches!(envelope.body, Event::RunClosed(_));
    if !kinds.is_empty() && !kinds.contains(&envelope.body.schema().code) {
        return Ok(ended);
    }
    if jsonl {
        output.line(&EventJson(stored))?;
    } else {
        let place = match stream {
            Some(_) => format!("#{:<4}", envelope.sequence),
            None => format!("{:<13}", identify::told(&envelope.stream, envelope.sequence)),
        };
        write_line(stored, &envelope, &place, output)?;
    }
    Ok(ended)
}

/// Writes an event's line from its id on.
fn write_line(stored: &Stored, envelope: &Envelope, place: &str, output: &mut Output) -> Result<(), CliError> {
    let Line { subject, verdict, cost } = line(&envelope.body);
    let kind = envelope.body.schema().name;
    let id = short(&stored.event.id);
    write!(output.out, "{ID}{id}{ID:#} {FAINT}{place}{FAINT:#} ")?;
    let mut words = vec![kind.to_string()];
    if !subject.is_empty() {
        words = vec![format!("{kind:<17} {subject}")];
    } else if verdict.is_some() {
        words = vec![format!("{kind:<16}")];
    }
    words.extend(verdict.map(|(style, word)| format!("{style}{word}{style:#}")));
    words.extend(cost.map(|cost| format!("{FAINT}{cost}{FAINT:#}")));
    writeln!(output.out, "{}", words.join("  "))?;
    Ok(())
}

/// A spawn's lane, from the first event of its fan-out to the records of its outcome.
type Spawns = BTreeMap<(StreamId, u64), Lane>;

fn draw(
    store: &dyn Store,
    stream: Option<StreamId>,
    found: &Found,
    is_gapless: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    let envelopes = found
        .events
        .iter()
        .map(|event| {
            Envelope::decode(&event.event.bytes).map_err(|source| CliError::Event { position: event.position, source })
        })
        .collect::<Result<Vec<_>, _>>()?;
    if found.left_out > 0 {
        writeln!(output.out, "{FAINT}… {} earlier{FAINT:#}", found.left_out)?;
    }
    let fanouts = fanouts(&envelopes);
    let streams: BTreeSet<StreamId> = envelopes.iter().map(|envelope| envelope.stream).collect();
    let (mut graph, mut spawns) = (Graph::default(), Spawns::new());
    let mut drawings = Vec::with_capacity(envelopes.len());
    for (index, envelope) in envelopes.iter().enumerate() {
        let (lane, step) = if is_gapless {
            place(envelope, envelopes.get(index + 1), &fanouts, &mut spawns, &graph)
        } else {
            (Lane { stream: envelope.stream, spawn: None }, Step::On)
        };
        drawings.push(graph.draw(lane, step));
    }
    let width = drawings.iter().map(|drawing| drawing.chars().count()).max().unwrap_or_default();
    for ((event, envelope), drawing) in found.events.iter().zip(&envelopes).zip(&drawings) {
        let place = match streams.len() {
            1 => format!("#{:<4}", envelope.sequence),
            _ => format!("{:<13}", identify::told(&envelope.stream, envelope.sequence)),
        };
        write!(output.out, "{drawing:<width$} ")?;
        write_line(event, envelope, &place, output)?;
    }
    last_line(store, stream, &found.events, is_gapless && is_linked(&envelopes, &found.events), output)
}

/// Returns the spawns that were requested beside others of the same commit.
fn fanouts(envelopes: &[Envelope]) -> BTreeSet<(StreamId, u64)> {
    let mut waves: BTreeMap<(StreamId, u64), Vec<u64>> = BTreeMap::new();
    for envelope in envelopes {
        if let Event::SpawnRequested(_) = envelope.body {
            waves.entry((envelope.stream, envelope.input)).or_default().push(envelope.sequence);
        }
    }
    let wide = waves.into_iter().filter(|(_, spawns)| spawns.len() > 1);
    wide.flat_map(|((stream, _), spawns)| spawns.into_iter().map(move |spawn| (stream, spawn))).collect()
}

/// Returns the lane of an event: a spawn's outcome and what is recorded of it stay on the spawn's lane.
fn place(
    envelope: &Envelope,
    next: Option<&Envelope>,
    fanouts: &BTreeSet<(StreamId, u64)>,
    spawns: &mut Spawns,
    graph: &Graph,
) -> (Lane, Step) {
    let stream = envelope.stream;
    let main = Lane { stream, spawn: None };
    let lane_of = |spawn: u64| Lane { stream, spawn: Some(spawn) };
    let here = match &envelope.body {
        Event::SpawnRequested(_) if fanouts.contains(&(stream, envelope.sequence)) => {
            return (lane_of(envelope.sequence), Step::Fork);
        }
        Event::SpawnFinished(body) => Some(body.spawn),
        Event::EffectOrphaned(body) => Some(body.effect),
        Event::RunClosed(_) => return (main, Step::End),
        _ => None,
    };
    if let Some(spawn) = here
        && graph.has(lane_of(spawn))
    {
        spawns.insert((stream, envelope.sequence), lane_of(spawn));
    }
    // The commit's records follow their input.
    let Some(lane) = spawns.get(&(stream, envelope.input)).copied() else { return (main, Step::On) };
    if envelope.body.schema().class == Class::Decision {
        return (main, Step::On);
    }
    let goes_on = next.is_some_and(|next| {
        next.stream == stream && next.input == envelope.input && next.body.schema().class == Class::Record
    });
    (lane, if goes_on { Step::On } else { Step::Join })
}

/// Whether each shown event names the one before it in its stream.
fn is_linked(envelopes: &[Envelope], events: &[Stored]) -> bool {
    let mut last: BTreeMap<StreamId, EventId> = BTreeMap::new();
    envelopes.iter().zip(events).all(|(envelope, event)| {
        let before = last.insert(envelope.stream, event.event.id);
        before.is_none_or(|before| before == envelope.previous)
    })
}

fn last_line(
    store: &dyn Store,
    stream: Option<StreamId>,
    shown: &[Stored],
    is_linked: bool,
    output: &mut Output,
) -> Result<(), CliError> {
    let chain = if is_linked { "chain whole in what is shown" } else { "chain not looked at" };
    match stream {
        Some(stream) => {
            let head = store.head(stream)?;
            let id = short(&head.last);
            writeln!(output.out, "{FAINT}{} head {id} after {} events, {chain}{FAINT:#}", run8(&stream), head.next)?;
        }
        None if shown.is_empty() => writeln!(output.out, "{FAINT}no events{FAINT:#}")?,
        None => match store.tree_head() {
            Ok((size, root)) => {
                writeln!(output.out, "{FAINT}tree {size} {}, {chain}{FAINT:#}", &hex(&root)[..16])?;
            }
            Err(error) => writeln!(output.out, "{FAINT}{error}{FAINT:#}")?,
        },
    }
    Ok(())
}
