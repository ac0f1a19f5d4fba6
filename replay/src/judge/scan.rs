//! A store, judged in chunks of positions by several threads.
//!
//! ```text
//! positions:  |---- chunk ----|---- chunk ----|
//! a thread:       takes the runs that open in its chunk, and goes on past its end for those alone
//! far past:       what is left of them is read by the index
//! ```
//!
//! A run is judged by one thread from its first event to its last, so that the result is the same for every number of
//! threads and every chunk (JUDGE-7). In the same pass each chunk is checked, and all of them are joined as `verify` does
//! (JUDGE-10). Where the log is not whole, every run is read by the index: then only the damaged ones are lost (CORPUS-4).

use super::judgement::{Cleared, Finding, JudgedRun, Why};
use super::run::{Bench, Broken, Course, damaged};
use super::sources::known_size;
use crate::chunk::Chunk;
use crate::corpus::Filter;
use crate::error::{Bad, ReplayError};
use crate::records::BATCH;
use crate::verify::{self, conclude, name};
use loom_core::event::{View, glance};
use loom_core::id::StreamId;
use loom_store::{Store, StoreError};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Fewest positions of a chunk.
const CHUNK_MIN: u64 = 65_536;
/// Chunks for each thread, so that none waits long for the last.
const CHUNKS: u64 = 4;
/// How far past its chunk a thread reads on before it asks the index for the rest.
const PAST: u64 = 65_536;

/// What came of one run.
pub(crate) struct Ended {
    /// Position of its first event.
    pub(crate) position: u64,
    pub(crate) stream: StreamId,
    pub(crate) outcome: Result<(JudgedRun, Vec<Finding>, Vec<Cleared>), Why>,
}

/// What came of a store.
#[derive(Default)]
pub(crate) struct Scanned {
    /// Runs, in the order of their first events.
    pub(crate) runs: Vec<Ended>,
    /// Runs that were not wanted.
    pub(crate) unwanted: u64,
    /// What is wrong with the log and belongs to no run.
    pub(crate) bad: Option<Bad>,
    /// What was checked of the log, where all of it is.
    chunks: Vec<Chunk>,
}

/// Judges the runs of a store that open before now, up to now.
pub(crate) fn store(
    bench: &Bench<'_>,
    store: &dyn Store,
    filter: &Filter,
    threads: usize,
) -> Result<Scanned, ReplayError> {
    let threads = threads.max(1);
    let chunk = store.size().div_ceil(threads as u64 * CHUNKS).max(CHUNK_MIN);
    in_chunks(bench, store, filter, threads, Reach { chunk, past: PAST })
}

/// How far a thread reads in one go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// Positions of a chunk.
    pub(super) chunk: u64,
    /// Positions past it.
    pub(super) past: u64,
}

pub(super) fn in_chunks(
    bench: &Bench<'_>,
    store: &dyn Store,
    filter: &Filter,
    threads: usize,
    reach: Reach,
) -> Result<Scanned, ReplayError> {
    let size = known_size(store)?;
    let origin = match bench.is_verified() && filter.wants_all() && size > 0 {
        true => match name(store, size)? {
            Ok(origin) => Some(origin),
            Err(bad) => return by_index(bench, store, filter, size, Some(bad)),
        },
        false => None,
    };
    // What is checked as a whole need not be checked run by run.
    let of_runs = Bench::new(bench.rules, bench.is_verified() && origin.is_none());
    let next = AtomicU64::new(0);
    let work = || -> Result<Scanned, ReplayError> {
        let mut scanned = Scanned::default();
        loop {
            let from = next.fetch_add(reach.chunk, Ordering::Relaxed);
            if from >= size {
                return Ok(scanned);
            }
            let to = (from + reach.chunk).min(size);
            let mut part = Part::new(&of_runs, store, filter, size);
            match origin {
                Some(origin) => scanned.chunks.push(part.check(Chunk::new(origin, from, to, false), reach.past)?),
                None => part.read(from, to, reach.past)?,
            }
            scanned.unwanted += part.unwanted;
            scanned.bad = scanned.bad.or(part.bad);
            scanned.runs.append(&mut part.ended);
        }
    };
    let parts: Vec<Result<Scanned, ReplayError>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut parts = vec![work()];
        for other in others {
            parts.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        parts
    });
    let mut whole = Scanned::default();
    for part in parts {
        let mut part = part?;
        whole.unwanted += part.unwanted;
        whole.bad = earlier(whole.bad, part.bad);
        whole.runs.append(&mut part.runs);
        whole.chunks.append(&mut part.chunks);
    }
    if let Some(origin) = origin {
        let chunks = std::mem::take(&mut whole.chunks);
        match conclude(store, size, origin, chunks, verify::Options { threads, blobs: false }) {
            Ok(report) => whole.bad = earlier(whole.bad, report.first_bad),
            Err(ReplayError::Store(StoreError::NewerEvent { .. })) => {
                return by_index(bench, store, filter, size, None);
            }
            Err(error) => return Err(error),
        }
    }
    if whole.bad.is_some() {
        return by_index(bench, store, filter, size, whole.bad);
    }
    whole.runs.sort_unstable_by_key(|run| run.position);
    begin_once(&mut whole.runs);
    Ok(whole)
}

/// A stream that begins twice is damaged, wherever its beginnings lie.
fn begin_once(runs: &mut Vec<Ended>) {
    let mut times = BTreeMap::new();
    runs.iter().for_each(|run| *times.entry(run.stream).or_insert(0u32) += 1);
    runs.retain_mut(|run| match times.get_mut(&run.stream) {
        // The first of several stands for all of them.
        Some(times) if *times > 1 => {
            *times = 0;
            run.outcome = Err(why(damaged(run.stream, 0, "the stream begins twice (CHAIN-1)")));
            true
        }
        Some(0) => false,
        Some(_) | None => true,
    });
}

fn earlier(one: Option<Bad>, other: Option<Bad>) -> Option<Bad> {
    match (one, other) {
        (Some(one), Some(other)) => Some(if other.position < one.position { other } else { one }),
        (one, other) => one.or(other),
    }
}

/// A run that is under way, and where it began.
struct Open {
    position: u64,
    stream: StreamId,
    course: Result<Course, Why>,
}

/// The stream of the event before, and its place: events of a commit follow each other.
struct At {
    stream: StreamId,
    place: Option<usize>,
}

impl Default for At {
    fn default() -> Self {
        At { stream: StreamId::STORE, place: None }
    }
}

/// What one thread makes of one chunk.
struct Part<'p> {
    bench: &'p Bench<'p>,
    store: &'p dyn Store,
    filter: &'p Filter,
    /// Positions from here on came after the judging began.
    size: u64,
    /// By stream: its place in `runs`.
    places: BTreeMap<StreamId, usize>,
    /// None where the run is not wanted or has ended.
    runs: Vec<Option<Open>>,
    ended: Vec<Ended>,
    unwanted: u64,
    bad: Option<Bad>,
}

impl<'p> Part<'p> {
    fn new(bench: &'p Bench<'p>, store: &'p dyn Store, filter: &'p Filter, size: u64) -> Self {
        let (places, runs, ended) = (BTreeMap::new(), Vec::new(), Vec::new());
        Part { bench, store, filter, size, places, runs, ended, unwanted: 0, bad: None }
    }

    /// Judges the runs that open at `from..to`, each to its end.
    fn read(&mut self, from: u64, to: u64, past: u64) -> Result<(), ReplayError> {
        let mut at = At::default();
        self.scan(from, to, |part, position, stream, is_first, bytes| {
            part.take(&mut at, position, stream, is_first, bytes, None)?;
            Ok(true)
        })?;
        self.end(to, past)
    }

    /// Checks the commits that begin in a chunk, and judges the runs that open there, each to its end.
    fn check(&mut self, mut chunk: Chunk, past: u64) -> Result<Chunk, ReplayError> {
        let (mut at, mut failed) = (At::default(), None);
        let scanned = self.store.scan(chunk.next, &mut |position, bytes| {
            let more = chunk.look(position, bytes, |view| {
                failed = self.take(&mut at, position, view.stream, view.sequence == 0, bytes, Some(view)).err();
            });
            if failed.is_some() { ControlFlow::Break(()) } else { more }
        });
        let damage = match (failed, scanned) {
            (Some(error), _) => return Err(error),
            (None, Ok(_)) => None,
            (None, Err(StoreError::Damaged(damage))) => Some(damage),
            (None, Err(error)) => return Err(error.into()),
        };
        chunk.end(damage);
        // A store that is not whole is read anew, run by run.
        if chunk.bad.is_none() {
            self.end(chunk.next, past)?;
        }
        Ok(chunk)
    }

    /// Judges an event of a run that opens in the chunk; what belongs to others is passed by.
    #[inline]
    fn take(
        &mut self,
        at: &mut At,
        position: u64,
        stream: StreamId,
        is_first: bool,
        bytes: &[u8],
        checked: Option<&View<'_>>,
    ) -> Result<(), ReplayError> {
        if at.stream != stream || is_first {
            if let Some(place) = at.place {
                self.leave(place)?;
            }
            if is_first && stream != StreamId::STORE && !self.places.contains_key(&stream) {
                self.open(position, stream, bytes);
            }
            *at = At { stream, place: self.places.get(&stream).copied() };
        }
        if let Some(place) = at.place {
            self.push(place, bytes, checked);
        }
        Ok(())
    }

    /// Judges what lies past the chunk, which was read up to `to`, and ends its runs.
    fn end(&mut self, to: u64, past: u64) -> Result<(), ReplayError> {
        let mut left = self.left()?;
        let past = to.saturating_add(past).min(self.size);
        if !left.is_empty() && self.bad.is_none() {
            self.scan(to, past, |part, _, stream, _, bytes| {
                if let Some(until) = left.get(&stream).copied()
                    && let Some(place) = part.places.get(&stream).copied()
                    && part.push(place, bytes, None).is_none_or(|next| next >= until)
                {
                    left.remove(&stream);
                }
                Ok(!left.is_empty())
            })?;
        }
        if self.bad.is_none() {
            for place in 0..self.runs.len() {
                self.finish(place)?;
            }
        }
        Ok(())
    }

    /// Shows the events at `from..to`, with their streams, until `visit` says stop or an event cannot be read.
    fn scan(
        &mut self,
        from: u64,
        to: u64,
        mut visit: impl FnMut(&mut Self, u64, StreamId, bool, &[u8]) -> Result<bool, ReplayError>,
    ) -> Result<(), ReplayError> {
        let store = self.store;
        let mut failed = None;
        let scanned = store.scan(from, &mut |position, bytes| {
            if position >= to {
                return ControlFlow::Break(());
            }
            let Some((stream, is_first)) = glance(bytes) else {
                self.bad = Some(Bad::at(position, "an event cannot be read"));
                return ControlFlow::Break(());
            };
            match visit(self, position, stream, is_first, bytes) {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        match (failed, scanned) {
            (Some(error), _) => Err(error),
            (None, Ok(_)) => Ok(()),
            (None, Err(StoreError::Damaged(damage))) => {
                self.bad = self.bad.take().or(Some(damage.into()));
                Ok(())
            }
            (None, Err(error)) => Err(error.into()),
        }
    }

    /// Begins a run with its first event, which is pushed next.
    fn open(&mut self, position: u64, stream: StreamId, bytes: &[u8]) {
        let course = Course::begin(self.bench, stream, bytes).map_err(why);
        let is_wanted = course.as_ref().map_or(true, |course| self.filter.wants_run(stream, course.judged.opened_ms));
        self.unwanted += u64::from(!is_wanted);
        self.places.insert(stream, self.runs.len());
        self.runs.push(is_wanted.then_some(Open { position, stream, course }));
    }

    /// Judges an event of a run that is under way; returns the sequence that comes next.
    #[inline]
    fn push(&mut self, place: usize, bytes: &[u8], checked: Option<&View<'_>>) -> Option<u64> {
        let open = self.runs.get_mut(place)?.as_mut()?;
        let course = open.course.as_mut().ok()?;
        let pushed = match checked {
            Some(view) => course.push_checked(self.bench, view),
            None => course.push(self.bench, bytes),
        };
        match pushed {
            Ok(()) => Some(course.head().0),
            Err(broken) => {
                open.course = Err(why(broken));
                None
            }
        }
    }

    /// Ends a run that was closed, so that little is held of those that are over.
    fn leave(&mut self, place: usize) -> Result<(), ReplayError> {
        let open = self.runs.get(place).and_then(Option::as_ref);
        match open.is_some_and(|open| open.course.as_ref().is_ok_and(|course| course.is_closed)) {
            true => self.finish(place),
            false => Ok(()),
        }
    }

    /// Returns the runs whose last event is still to come, with the sequence that follows it.
    fn left(&self) -> Result<BTreeMap<StreamId, u64>, ReplayError> {
        let mut left = BTreeMap::new();
        for open in self.runs.iter().flatten() {
            if let Ok(course) = &open.course {
                let head = self.store.head(open.stream)?;
                if head.next > course.head().0 {
                    left.insert(open.stream, head.next);
                }
            }
        }
        Ok(left)
    }

    /// Reads what is left of a run by the index, and ends it.
    fn finish(&mut self, place: usize) -> Result<(), ReplayError> {
        let Some(Open { position, stream, mut course }) = self.runs.get_mut(place).and_then(Option::take) else {
            return Ok(());
        };
        if let Ok(known) = &mut course
            && let Err(found) = rest(self.bench, self.store, stream, known, self.size)?
        {
            course = Err(found);
        }
        self.ended.push(Ended { position, stream, outcome: course.map(Course::end) });
        Ok(())
    }
}

/// Reads the events of a run that are before `size` and were not judged yet, and compares its end with its head.
fn rest(
    bench: &Bench<'_>,
    store: &dyn Store,
    stream: StreamId,
    course: &mut Course,
    size: u64,
) -> Result<Result<(), Why>, ReplayError> {
    loop {
        let (next, last) = course.head();
        let head = store.head(stream)?;
        if head.next == next {
            let is_last = !bench.is_verified() || last == head.last;
            let what = "the stream does not end where its head in the index says";
            return Ok(if is_last { Ok(()) } else { Err(why(damaged(stream, next.saturating_sub(1), what))) });
        }
        let events = match store.read(stream, next, BATCH) {
            Ok(events) => events,
            Err(StoreError::Damaged(damage)) => return Ok(Err(Why::Damaged(damage.into()))),
            Err(StoreError::NewerEvent { source, .. }) => return Ok(Err(Why::Newer(source.to_string()))),
            Err(error) => return Err(error.into()),
        };
        let is_over = events.is_empty();
        for stored in events {
            if stored.position >= size {
                return Ok(Ok(()));
            }
            if let Err(broken) = course.push(bench, &stored.event.bytes) {
                return Ok(Err(why(broken)));
            }
        }
        if is_over {
            return Ok(Err(why(damaged(stream, next, "the index does not lead to the stream's last event"))));
        }
    }
}

/// Judges run by run: what is damaged of the log is lost, and no more.
fn by_index(
    bench: &Bench<'_>,
    store: &dyn Store,
    filter: &Filter,
    size: u64,
    bad: Option<Bad>,
) -> Result<Scanned, ReplayError> {
    let mut scanned = Scanned { bad, ..Scanned::default() };
    let mut runs = store.runs(usize::MAX)?;
    runs.sort_unstable_by_key(|run| run.position);
    for run in runs.into_iter().filter(|run| run.position < size) {
        if !filter.wants_run(run.stream, run.opened.ms) {
            scanned.unwanted += 1;
            continue;
        }
        let first = match store.read(run.stream, 0, 1) {
            Ok(mut first) => first.pop().ok_or_else(|| damaged(run.stream, 0, "the run's first event is missing")),
            Err(StoreError::Damaged(damage)) => Err(Broken::Damaged(damage.into())),
            Err(StoreError::NewerEvent { source, .. }) => Err(Broken::Newer(source)),
            Err(error) => return Err(error.into()),
        };
        let course = first.and_then(|first| Course::begin(bench, run.stream, &first.event.bytes)).map_err(why);
        let outcome = match course {
            Ok(mut course) => rest(bench, store, run.stream, &mut course, size)?.map(|()| course.end()),
            Err(why) => Err(why),
        };
        // What is wrong with a run is told of the run.
        if matches!(outcome, Err(Why::Damaged(_))) {
            scanned.bad = scanned.bad.filter(|bad| bad.stream != Some(run.stream));
        }
        scanned.runs.push(Ended { position: run.position, stream: run.stream, outcome });
    }
    Ok(scanned)
}

pub(crate) fn why(broken: Broken) -> Why {
    match broken {
        Broken::Damaged(bad) => Why::Damaged(bad),
        Broken::Newer(error) => Why::Newer(error.to_string()),
    }
}
