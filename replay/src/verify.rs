//! Checks a whole store: every byte of every event, every link, every commit, the tree, on demand the blobs.
//!
//! Threads take chunks of the log, which are joined in order afterwards: chains, requests, tree. Nothing that the store
//! derived from the log is believed: heads and tree nodes are compared with what the log gives. The result is the same for
//! every number of threads.
//!
//! An altered event shows where something names it: at its successor, in the tree. Only when something is found wrong
//! is the log read once more against its seals, to tell the altered event itself; a whole store is read once.

use crate::chunk::{Chunk, Nodes};
use crate::error::{Bad, ReplayError};
use crate::evidence::History;
use crate::records::{BATCH, Records, StoredRun};
use crate::stretch::Stretch;
use loom_core::commit::{Blob, Head};
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::naming::within_bundle;
use loom_core::tree::{Frontier, NodeHash};
use loom_store::{Store, StoreError, redactions};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};

/// Positions of one chunk.
const CHUNK: u64 = 16_384;
/// More threads than this are never of use.
const THREADS_MAX: usize = 256;
/// Heights at which the store's tree nodes are compared with the log.
const TILE_HEIGHT: u8 = 8;

/// What to check, and how.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How many threads work: 1 to 256, anything else counts as the nearest of them.
    pub threads: usize,
    /// Whether every blob that an event names is read and checked against its digest.
    pub blobs: bool,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// Events that were found whole before the first bad one.
    pub events: u64,
    /// Commits they came in.
    pub commits: u64,
    /// Streams they belong to.
    pub streams: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Blobs that were read and checked.
    pub blobs: u64,
    /// Blobs that redactions on record name; where blobs were read, those of them that are gone.
    pub redacted: u64,
    /// Blobs that a redaction on record names and that are still there, whole or in part.
    pub unerased: u64,
    /// Root of the tree over the event ids, when all of them are whole.
    pub root: Option<NodeHash>,
    /// Where only some runs of a store were looked at, how many were not: then nothing is said of its tree, its ledger and its
    /// other streams.
    pub unwanted: Option<u64>,
    /// The first record that is not what was written.
    pub first_bad: Option<Bad>,
}

impl Report {
    /// Whether everything that was checked is whole.
    pub fn is_whole(&self) -> bool {
        self.first_bad.is_none()
    }
}

/// Verifies a store as of now. Damage is a finding, not an error; errors are what keeps from looking.
pub fn verify(store: &dyn Store, options: Options) -> Result<Report, ReplayError> {
    let options = Options { threads: options.threads.clamp(1, THREADS_MAX), ..options };
    let size = store.size();
    match name(store, size)? {
        Ok(origin) => conclude(store, size, origin, check_chunks(store, size, origin, options)?, options),
        Err(bad) => Ok(Report { first_bad: Some(bad), ..Report::default() }),
    }
}

/// Returns the name of the store, from its first event, or what is wrong with that.
pub(crate) fn name(store: &dyn Store, size: u64) -> Result<Result<[u8; 16], Bad>, ReplayError> {
    match origin(store, size) {
        Ok(origin) => Ok(Ok(origin)),
        Err(bad) => {
            let bad = bad?;
            Ok(Err(altered(store, 1, &bad).unwrap_or(bad)))
        }
    }
}

/// Joins the chunks that a store of `size` events was checked in, and checks what only the whole shows.
pub(crate) fn conclude(
    store: &dyn Store,
    size: u64,
    origin: [u8; 16],
    mut chunks: Vec<Chunk>,
    options: Options,
) -> Result<Report, ReplayError> {
    let mut whole = Stretch::new(Some(origin), options.blobs);
    let mut frontier = Frontier::default();
    let mut first_bad = None;
    let (mut newer, mut until) = (None, 0);
    chunks.retain(|chunk| chunk.start().is_some());
    chunks.sort_by_key(Chunk::start);
    for chunk in chunks {
        if chunk.start() != Some(frontier.size()) {
            first_bad = Some(Bad::at(frontier.size(), "no commit begins where the one before it ends (COMMIT-1)"));
            break;
        }
        if let Err(bad) = whole.join(chunk.stretch) {
            first_bad = Some(bad);
            break;
        }
        if chunk.bad.is_some() {
            (first_bad, newer) = (chunk.bad, chunk.newer);
            break;
        }
        if let Err(bad) = grow(&mut frontier, &chunk.nodes, store) {
            first_bad = Some(bad);
            // A node speaks for all the events below it: any of them may be the altered one.
            until = size;
            break;
        }
    }
    if first_bad.is_none() && frontier.size() != size {
        first_bad =
            Some(Bad::at(frontier.size(), format!("the log ends here, {} events early", size - frontier.size())).cut());
    }
    let first_bad = first_bad.or_else(|| whole.at_end());
    let first_bad = match first_bad {
        None => {
            until = size;
            match derived(store, size, &whole, &frontier, options.threads) {
                None => keys(store)?,
                found => found,
            }
        }
        found => found,
    };
    let altered = first_bad.as_ref().and_then(|bad| altered(store, until, bad));
    if let (None, Some((position, source))) = (&altered, newer) {
        return Err(StoreError::NewerEvent { position, source }.into());
    }
    let first_bad = altered.or(first_bad);
    let mut report = Report {
        events: whole.events.min(first_bad.as_ref().and_then(|bad| bad.position).unwrap_or(u64::MAX)),
        commits: whole.commits,
        streams: whole.threads.len() as u64,
        bytes: whole.bytes,
        root: first_bad.is_none().then(|| frontier.root()),
        first_bad,
        ..Report::default()
    };
    match (report.is_whole(), options.blobs) {
        (true, true) => check_blobs(store, &whole, options, &mut report)?,
        (true, false) => report.redacted = redactions(store)?.len() as u64,
        (false, _) => {}
    }
    Ok(report)
}

/// Finds the event at which the store's keys do not hold (KEYS-1, KEYS-2).
fn keys(store: &dyn Store) -> Result<Option<Bad>, ReplayError> {
    let Some(bad) = History::first_bad(&StoredRun::new(store, StreamId::STORE))? else { return Ok(None) };
    let found = bad.sequence.map(|sequence| store.read(StreamId::STORE, sequence, 1)).transpose()?;
    let position = found.and_then(|found| Some(found.first()?.position));
    Ok(Some(Bad { position, ..bad }))
}

/// Finds the first event whose bytes are not those that its commit was sealed with, before `until` or up to the place
/// where something was found wrong.
fn altered(store: &dyn Store, until: u64, bad: &Bad) -> Option<Bad> {
    let until = bad.position.map_or(until, |position| until.max(position + 1));
    let mut next = 0;
    while next < until {
        match store.events(next, BATCH) {
            Ok(events) => next = events.last()?.position + 1,
            Err(StoreError::Damaged(damage)) => return damage.position.is_some().then(|| damage.into()),
            // What keeps from looking closer takes nothing from what was found.
            Err(_) => return None,
        }
    }
    None
}

/// Returns the name of the store, from its first event.
fn origin(store: &dyn Store, size: u64) -> Result<[u8; 16], Result<Bad, ReplayError>> {
    let mut found = Err(Bad::at(0, "the log does not begin with the store's origin (KIND-1)"));
    if size > 0 {
        let mut visit = |_: u64, bytes: &[u8]| {
            found = match Envelope::decode(bytes).map(|envelope| envelope.body) {
                Ok(Event::StoreCreated(created)) => Ok(created.origin),
                Ok(_) => Err(Bad::at(0, "the log does not begin with the store's origin (KIND-1)")),
                Err(error) => Err(Bad::at(0, error.to_string())),
            };
            ControlFlow::Break(())
        };
        match store.scan(0, &mut visit) {
            Ok(_) => {}
            Err(StoreError::Damaged(damage)) => return Err(Ok(damage.into())),
            Err(error) => return Err(Err(error.into())),
        }
    }
    found.map_err(Ok)
}

fn check_chunks(store: &dyn Store, size: u64, origin: [u8; 16], options: Options) -> Result<Vec<Chunk>, ReplayError> {
    let next = AtomicU64::new(0);
    // Chunks after a bad one need not be looked at.
    let bad_chunk = AtomicU64::new(u64::MAX);
    let work = || -> Result<Vec<Chunk>, ReplayError> {
        let mut chunks = Vec::new();
        loop {
            let from = next.fetch_add(CHUNK, Ordering::Relaxed);
            if from >= size || from > bad_chunk.load(Ordering::Relaxed) {
                return Ok(chunks);
            }
            let chunk = check_chunk(store, from, size, origin, options.blobs)?;
            if chunk.bad.is_some() {
                bad_chunk.fetch_min(from, Ordering::Relaxed);
            }
            chunks.push(chunk);
        }
    };
    let results: Vec<Result<Vec<Chunk>, ReplayError>> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..options.threads).map(|_| scope.spawn(work)).collect();
        let mut results = vec![work()];
        for other in others {
            results.push(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    let mut chunks = Vec::new();
    for result in results {
        chunks.extend(result?);
    }
    Ok(chunks)
}

/// Checks the commits that begin in a chunk.
fn check_chunk(store: &dyn Store, from: u64, size: u64, origin: [u8; 16], blobs: bool) -> Result<Chunk, ReplayError> {
    let mut chunk = Chunk::new(origin, from, (from + CHUNK).min(size), blobs);
    let damage = match store.scan(from, &mut |position, bytes| chunk.look(position, bytes, |_| {})) {
        Ok(_) => None,
        Err(StoreError::Damaged(damage)) => Some(damage),
        Err(error) => return Err(error.into()),
    };
    chunk.end(damage);
    Ok(chunk)
}

/// Appends a chunk's subtrees and compares the store's nodes with what they complete.
fn grow(frontier: &mut Frontier, nodes: &Nodes, store: &dyn Store) -> Result<(), Bad> {
    for (height, _, hash) in &nodes.0 {
        for (height, hash) in frontier.push_subtree(*height, *hash) {
            if height >= TILE_HEIGHT {
                let index = (frontier.size() >> height) - 1;
                let stored = store.tree_node(height, index);
                if stored.as_ref().ok() != Some(&hash) {
                    let what = format!("the tree's node of height {height} does not belong to its events (TREE-1)");
                    return Err(Bad::at(index << height, what));
                }
            }
        }
    }
    Ok(())
}

/// Compares what the store derived from the log with what the log gives.
fn derived(store: &dyn Store, size: u64, whole: &Stretch, frontier: &Frontier, threads: usize) -> Option<Bad> {
    match store.tree_root(size) {
        Ok(root) if root == frontier.root() => {}
        Ok(_) => return Some(Bad::of("the tree's root does not belong to its events (TREE-1)")),
        Err(error) => return Some(Bad::of(error.to_string())),
    }
    let all: Vec<(&StreamId, &Head)> = whole.threads.iter().map(|(stream, thread)| (stream, &thread.head)).collect();
    let share = all.len().div_ceil(threads.max(1)).max(1);
    let check =
        |part: &[(&StreamId, &Head)]| part.iter().find_map(|(stream, head)| ends(store, size, **stream, **head));
    std::thread::scope(|scope| {
        let parts: Vec<_> = all.chunks(share).map(|part| scope.spawn(|| check(part))).collect();
        let found = parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // Every part is waited for; the first in order of streams is told.
        found.collect::<Vec<_>>().into_iter().flatten().next()
    })
}

/// Compares where the index says that a stream ends with where it ends.
fn ends(store: &dyn Store, size: u64, stream: StreamId, head: Head) -> Option<Bad> {
    let last = head.next.checked_sub(1)?;
    let bad = |what: String| Some(Bad { stream: Some(stream), sequence: Some(last), ..Bad::of(what) });
    // A store that grew meanwhile has later heads, which a later look will check.
    if store.head(stream).ok() != Some(head) && store.size() == size {
        return bad("the stream's head in the index is not that of the log".to_string());
    }
    match store.read(stream, last, 1).as_deref() {
        Ok([stored]) if stored.event.id == head.last => None,
        Ok(_) => bad("the index does not lead to the stream's last event".to_string()),
        Err(StoreError::Damaged(damage)) => bad(damage.what.clone()),
        Err(error) => bad(error.to_string()),
    }
}

fn check_blobs(store: &dyn Store, whole: &Stretch, options: Options, report: &mut Report) -> Result<(), ReplayError> {
    let mut wanted = whole.blobs.clone();
    let mut bundles = whole.bundles.clone();
    bundles.sort_unstable();
    bundles.dedup();
    for bundle in bundles {
        if let Ok(Some(bytes)) = store.blob(&bundle) {
            let position = wanted.get(&bundle).copied().unwrap_or_default();
            for digest in Blob::content(&bytes).map(within_bundle).unwrap_or_default() {
                wanted.entry(digest).or_insert(position);
            }
        }
    }
    let recorded = redactions(store)?;
    let wanted: Vec<(Digest, u64)> = wanted.into_iter().collect();
    let share = wanted.len().div_ceil(options.threads.max(1)).max(1);
    let (redacted, unerased) = (AtomicU64::new(0), AtomicU64::new(0));
    let check = |part: &[(Digest, u64)]| -> Result<Option<Bad>, ReplayError> {
        let mut first: Option<Bad> = None;
        for (digest, position) in part {
            let is_redacted = recorded.contains_key(digest);
            let what = match store.blob(digest) {
                Ok(None) if is_redacted => {
                    redacted.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                // What is half erased does not match its digest any more.
                Ok(Some(_)) | Err(StoreError::Damaged(_)) if is_redacted => {
                    unerased.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                Ok(Some(_)) => continue,
                Ok(None) => format!("blob {digest} is missing"),
                Err(StoreError::Damaged(damage)) => format!("blob {digest}: {}", damage.what),
                Err(error) => return Err(error.into()),
            };
            if first.as_ref().is_none_or(|first| first.position > Some(*position)) {
                first = Some(Bad::at(*position, what));
            }
        }
        Ok(first)
    };
    let found: Vec<Result<Option<Bad>, ReplayError>> = std::thread::scope(|scope| {
        let parts: Vec<_> = wanted.chunks(share).map(|part| scope.spawn(|| check(part))).collect();
        parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    });
    report.redacted = redacted.into_inner();
    report.unerased = unerased.into_inner();
    report.blobs = wanted.len() as u64 - report.redacted - report.unerased;
    for part in found {
        if let Some(bad) = part?
            && report.first_bad.as_ref().is_none_or(|first| first.position > bad.position)
        {
            report.first_bad = Some(bad);
        }
    }
    Ok(())
}

/// Verifies one run wherever it is kept: what [`verify`] checks, but for the tree and the other streams.
pub fn verify_run(records: &dyn Records, blobs: bool) -> Result<Report, ReplayError> {
    let mut stretch = Stretch::new(None, blobs);
    let mut bad = None;
    let mut next = 0;
    'reading: loop {
        let events = match records.read(next, BATCH) {
            Ok(events) if events.is_empty() => break,
            Ok(events) => events,
            Err(ReplayError::Store(StoreError::Damaged(damage))) => {
                bad = Some(damage.into());
                break;
            }
            Err(error) => return Err(error),
        };
        for event in events {
            if let Err(found) = stretch.push(next, &event.bytes) {
                bad = Some(found);
                break 'reading;
            }
            next += 1;
        }
    }
    if next == 0 && bad.is_none() {
        return Err(ReplayError::NoRun(records.stream()));
    }
    if bad.is_none() && !stretch.is_between_commits() {
        bad = Some(Bad { sequence: Some(next), ..Bad::of("the run ends inside a commit (COMMIT-1)") });
    }
    let mut wanted: Vec<(Digest, u64)> = stretch.blobs.iter().map(|(digest, sequence)| (*digest, *sequence)).collect();
    wanted.sort_by_key(|(_, sequence)| *sequence);
    let mut report = Report {
        events: stretch.events,
        commits: stretch.commits,
        streams: 1,
        bytes: stretch.bytes,
        ..Report::default()
    };
    let mut whole = Stretch::new(None, false);
    let bad: Option<Bad> = bad.or(whole.join(stretch).err()).or_else(|| whole.at_end());
    let bad = match bad {
        None if records.stream() == StreamId::STORE => History::first_bad(records)?,
        found => found,
    };
    // Within a run there are sequences, no positions.
    report.first_bad = bad.map(|bad| Bad { position: None, sequence: bad.sequence.or(bad.position), ..bad });
    if report.is_whole() {
        for (digest, sequence) in wanted {
            let is_redacted = records.redaction(&digest)?.is_some();
            match records.blob(&digest) {
                Ok(None) if is_redacted => report.redacted += 1,
                Ok(Some(_)) | Err(ReplayError::Store(StoreError::Damaged(_))) if is_redacted => report.unerased += 1,
                Ok(Some(_)) => report.blobs += 1,
                Ok(None) => {
                    report.first_bad =
                        Some(Bad { sequence: Some(sequence), ..Bad::of(format!("blob {digest} is missing")) });
                    break;
                }
                Err(ReplayError::Store(StoreError::Damaged(damage))) => {
                    report.first_bad = Some(damage.into());
                    break;
                }
                Err(error) => return Err(error),
            }
        }
    }
    Ok(report)
}
