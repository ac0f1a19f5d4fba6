//! A run's events as a table, stage by stage, below the picture of its lanes. Events are read from the source again: a
//! judgement holds none.

use super::lanes::{Lanes, Of};
use super::page::Page;
use crate::line::{Line, line};
use crate::replaying::sources;
use crate::text::{run8, span, time};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Actor, StreamId};
use loom_core::kind::Event;
use loom_replay::corpus::Kind;
use loom_replay::trace::{Item, scan};
use loom_store::Store;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most events of all timelines of a report together: a run of 10,000 has its own, and a page stays one that opens.
const EVENTS_MAX: u64 = 12_000;
/// Events of a timeline that stands open.
const OPEN_MAX: u64 = 200;
/// How many events are read at a time.
const BATCH: usize = 1024;

/// A run that may be drawn.
pub(super) struct Wanted<'w> {
    /// Its number in the report, which names its places.
    pub(super) index: usize,
    pub(super) path: &'w Path,
    pub(super) kind: Kind,
    pub(super) stream: StreamId,
    /// Events that are drawn; the run may have grown since.
    pub(super) events: u64,
    pub(super) marks: Vec<Mark>,
    /// Where the run would have gone another way, and how.
    pub(super) turn: Option<(u64, &'static str)>,
}

/// A finding at an event.
pub(super) struct Mark {
    pub(super) sequence: u64,
    /// Its number in the report.
    pub(super) finding: usize,
    pub(super) is_violation: bool,
}

/// What was read of the runs that are drawn, by their numbers; or why it was not.
pub(super) struct Drawn(BTreeMap<usize, Result<Vec<Envelope>, String>>);

impl Drawn {
    /// Whether a run has a timeline, so that there is a place for each of its events.
    pub(super) fn has(&self, run: usize) -> bool {
        self.0.get(&run).is_some_and(Result::is_ok)
    }
}

/// Reads what there is room for, the first first.
pub(super) fn pick(wanted: &[Wanted<'_>]) -> Drawn {
    let mut room = EVENTS_MAX;
    let mut drawn = BTreeMap::new();
    let mut opened = None;
    for run in wanted {
        if run.events <= room {
            room -= run.events;
            drawn.insert(run.index, read(run, &mut opened));
        }
    }
    Drawn(drawn)
}

/// The store that was read last.
type Last = Option<(PathBuf, Arc<dyn Store>)>;

fn read(run: &Wanted<'_>, last: &mut Last) -> Result<Vec<Envelope>, String> {
    let decoded = |recorded: &Recorded| Envelope::decode(&recorded.bytes).map_err(|error| error.to_string());
    let events = usize::try_from(run.events).unwrap_or(usize::MAX);
    let mut found = Vec::with_capacity(events);
    match run.kind {
        Kind::Store => {
            let store = match last {
                Some((path, store)) if path == run.path => store.clone(),
                _ => {
                    let store = sources::open(run.path).map_err(|error| error.to_string())?.store;
                    *last = Some((run.path.to_path_buf(), store.clone()));
                    store
                }
            };
            while found.len() < events {
                let most = BATCH.min(events - found.len());
                let batch = store.read(run.stream, found.len() as u64, most).map_err(|error| error.to_string())?;
                if batch.is_empty() {
                    return Err("the run is shorter than it was".to_string());
                }
                for stored in &batch {
                    found.push(decoded(&stored.event)?);
                }
            }
        }
        // Who opens a pipe again waits for ever.
        Kind::Trace if !run.path.is_file() => return Err("it came through a pipe, which is read once".to_string()),
        Kind::Trace => {
            let file = File::open(run.path).map_err(|error| error.to_string())?;
            let mut wrong = None;
            let mut visit = |_: &_, item: Item<'_>| {
                if let Item::Event(recorded) = item {
                    match decoded(recorded) {
                        Ok(envelope) => found.push(envelope),
                        Err(error) => wrong = Some(error),
                    }
                }
                if wrong.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            scan(&mut BufReader::with_capacity(1 << 16, file), 0, &mut visit).map_err(|error| error.to_string())?;
            if let Some(error) = wrong {
                return Err(error);
            }
            if found.len() != events || found.first().is_some_and(|first| first.stream != run.stream) {
                return Err("the file is not what it was".to_string());
            }
        }
    }
    Ok(found)
}

/// Writes the timelines.
pub(super) fn all(page: &mut Page, wanted: &[Wanted<'_>], drawn: &Drawn) {
    page.raw("<section aria-labelledby=timelines>\n<h2 id=timelines>Timelines</h2>\n");
    let is_one = drawn.0.len() == 1;
    for run in wanted {
        match drawn.0.get(&run.index) {
            None => {}
            Some(Ok(events)) => one(page, run, events, is_one),
            Some(Err(why)) => {
                page.raw("<p class=warn>Run <span class=id>").text(&run8(&run.stream));
                page.raw("</span> could not be read again: ").text(why).raw("</p>\n");
            }
        }
    }
    let left = (wanted.len() - drawn.0.len()) as u64;
    if left > 0 {
        page.raw("<p>").count(left, "run").raw(" without a timeline: a report draws at most ").number(EVENTS_MAX);
        page.raw(" events. Name a run with <code>--run</code> to see its own.</p>\n");
    }
    page.raw("</section>\n");
}

fn one(page: &mut Page, run: &Wanted<'_>, events: &[Envelope], is_one: bool) {
    let slug = match events.first().map(|first| &first.body) {
        Some(Event::RunOpened(opened)) => opened.slug.as_str(),
        _ => "",
    };
    let opened_ms = events.first().map_or(0, |first| first.stamp.ms);
    page.raw("<h3 id=run").number(run.index as u64).raw(">Run <span class=id>").text(&run8(&run.stream));
    page.raw("</span> <bdi>").text(slug).raw("</bdi></h3>\n<p class=faint>").count(events.len() as u64, "event");
    page.raw(" from ").text(&time(opened_ms)).raw(", times after that. <code>").path(run.path).raw("</code></p>\n");
    let mut lanes = Lanes::default();
    let whose: Vec<Option<(Of, String)>> = events.iter().map(|event| lanes.push(event)).collect();
    lanes.end();
    let mut marked: Vec<u64> = run.marks.iter().map(|mark| mark.sequence).collect();
    marked.dedup();
    lanes.draw(page, &marked, run.turn.map(|(sequence, _)| sequence));
    let is_open = is_one && run.events <= OPEN_MAX;
    page.raw(if is_open { "<details open>" } else { "<details>" }).raw("\n<summary>");
    page.count(events.len() as u64, "event").raw(" of <span class=id>").text(&run8(&run.stream));
    page.raw("</span>, one by one</summary>\n<table class=events>\n<caption>Events of run ").text(&run8(&run.stream));
    page.raw("</caption>\n<thead><tr><th scope=col class=n>Event</th><th scope=col>After</th><th scope=col>Whose</th><th scope=col>Kind</th><th scope=col>What</th></tr></thead>\n<tbody>\n");
    let mut marks = run.marks.iter().peekable();
    let mut is_later = false;
    for (event, whose) in events.iter().zip(&whose) {
        if let Event::StageEntered(_) = event.body {
            group(page, is_later);
            page.raw("<tr class=at");
        } else {
            page.raw("<tr");
        }
        page.raw(" id=r").number(run.index as u64).raw("e").number(event.sequence).raw("><th scope=row class=n>");
        page.number(event.sequence).raw("<td>").text(&span(event.stamp.ms.saturating_sub(opened_ms))).raw("<td>");
        match whose {
            Some((of, name)) => {
                page.raw(of.word()).raw(if name.is_empty() { "" } else { " " }).text(name);
            }
            None => {
                if let Actor::Person { id, .. } = &event.actor {
                    page.raw("person ").text(id);
                }
            }
        }
        page.raw("<td>").raw(event.body.schema().name).raw("<td>");
        words(page, &event.body);
        while let Some(mark) = marks.next_if(|mark| mark.sequence <= event.sequence) {
            page.raw(" <a class=").raw(if mark.is_violation { "bad" } else { "warn" }).raw(" href=\"#f");
            page.number(mark.finding as u64).raw("\">").raw(if mark.is_violation { "violated" } else { "unknowable" });
            page.raw("</a>");
        }
        page.raw("\n");
        if let Some((sequence, how)) = run.turn
            && sequence == event.sequence
        {
            is_later = true;
            group(page, true);
            page.raw("<tr class=turn><td colspan=5>From here on counterfactual").raw(how).raw("</td></tr>\n");
        }
    }
    page.raw("</tbody>\n</table>\n</details>\n");
}

/// Begins a group of rows.
fn group(page: &mut Page, is_later: bool) {
    page.raw(if is_later { "</tbody>\n<tbody class=later>\n" } else { "</tbody>\n<tbody>\n" });
}

fn words(page: &mut Page, event: &Event) {
    let Line { subject, verdict, cost } = line(event);
    page.text(&subject);
    if let Some((_, word)) = verdict {
        page.raw(" <b>").raw(word).raw("</b>");
    }
    if let Some(cost) = cost {
        page.raw(" ").text(&cost);
    }
}
