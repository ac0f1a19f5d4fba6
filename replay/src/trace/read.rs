//! Reads a trace item by item and checks it on the way.

use super::reader::{Reader, damaged};
use super::{BLOB, BLOB_BYTES_MAX, END, EVENT, EVENT_BYTES_MAX};
use crate::error::{Bad, ReplayError};
use crate::stretch::Stretch;
use crate::verify::Report;
use loom_core::commit::Blob;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::naming::{self, within_bundle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::ControlFlow;

/// Most blobs and requests that a trace may name: what is remembered of each takes memory (TRACE-7).
pub(super) const NAMES_MAX: usize = 500_000;
/// Most bytes of a blob before the first event that is looked into: the bundle is one of them.
const TERM_MAX: u64 = 16 << 20;
/// Most bytes of all of them.
const TERMS_MAX: u64 = 32 << 20;

/// What the header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The run.
    pub stream: StreamId,
    /// Name of the store it comes from.
    pub origin: [u8; 16],
    /// Whether prompts, outputs and notes were left out.
    pub is_slim: bool,
}

/// An item between the header and the end.
#[derive(Debug, Clone, Copy)]
pub enum Item<'i> {
    /// A blob.
    Blob {
        /// Its name.
        digest: Digest,
        /// Its stored bytes, where they are no more than what was asked for.
        bytes: Option<&'i [u8]>,
    },
    /// An event, checked against those before it.
    Event(&'i Recorded),
}

/// What a whole trace came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// What the header says.
    pub header: Header,
    /// Events.
    pub events: u64,
    /// Commits they came in.
    pub commits: u64,
    /// Bytes of the events.
    pub bytes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Blobs that events name and that are not in it.
    pub absent: BTreeSet<Digest>,
}

impl Summary {
    /// Returns what was verified by reading.
    pub fn report(&self) -> Report {
        let Summary { events, commits, bytes, blobs, .. } = *self;
        Report { events, commits, streams: 1, bytes, blobs, ..Report::default() }
    }
}

/// Reads and checks a trace; shows each item once it is checked, and keeps none. Blobs of more than `keep` bytes are only
/// named.
///
/// What was shown before an error is part of a file that is not whole. Where `visit` says stop there is no summary.
pub fn scan(
    input: &mut dyn Read,
    keep: u64,
    visit: &mut dyn FnMut(&Header, Item<'_>) -> ControlFlow<()>,
) -> Result<Option<Summary>, ReplayError> {
    let mut reader = Reader::new(input);
    let (origin, stream, is_slim) = reader.header()?;
    let header = Header { stream, origin, is_slim };
    let mut stretch = Stretch::new(Some(origin), true);
    let mut naming = Naming::default();
    let (mut events, mut blobs, mut last) = (0, 0, Digest::default());
    loop {
        let start = reader.offset;
        let so_far = reader.hasher.finalize();
        let items = reader.array()?;
        let kind = reader.uint()?;
        match (kind, items) {
            (BLOB, 2) => {
                let is_before_all = events == 0;
                let (digest, bytes) =
                    reader.blob(BLOB_BYTES_MAX, if is_before_all { keep.max(TERM_MAX) } else { keep })?;
                naming.blob(start, digest, bytes.as_deref().filter(|_| is_before_all))?;
                blobs += 1;
                if visit(&header, Item::Blob { digest, bytes: bytes.as_deref() }).is_break() {
                    return Ok(None);
                }
            }
            (EVENT, 2) => {
                let bytes = reader.bytes(EVENT_BYTES_MAX)?;
                let passed = match stretch.push(events, &bytes) {
                    Ok(passed) => passed,
                    Err(bad) => return Err(reader.wrong(start, &bytes, events, bad)),
                };
                if stretch.threads.len() != 1 || !stretch.threads.contains_key(&stream) {
                    return Err(damaged(start, "the event is of another stream (TRACE-8)"));
                }
                if let Some(event) = passed.event.as_deref() {
                    naming.event(event, is_slim)?;
                }
                // Who reads a trace has no use for where blobs were named.
                stretch.blobs.clear();
                stretch.bundles.clear();
                naming.bounded(stretch.requests.len())?;
                events += 1;
                last = passed.id;
                if visit(&header, Item::Event(&Recorded { id: passed.id, bytes })).is_break() {
                    return Ok(None);
                }
            }
            (END, 5) => {
                let told = (reader.uint()?, reader.uint()?, reader.array_of()?, reader.array_of()?);
                if told != (events, blobs, last.0, *so_far.as_bytes()) {
                    return Err(damaged(start, "the end does not belong to what comes before it (TRACE-3)"));
                }
                if let Some((offset, digest)) = naming.waiting.first() {
                    return Err(unnamed(*offset, digest));
                }
                reader.end()?;
                break;
            }
            _ => return Err(damaged(start, "the item is of no kind of this format (TRACE-8)")),
        }
    }
    let bytes = stretch.bytes;
    let commits = finish(&header, stretch, events, reader.offset)?;
    let absent = naming.named.into_iter().filter(|(_, is_there)| !is_there).map(|(digest, _)| digest).collect();
    Ok(Some(Summary { header, events, commits, bytes, blobs, absent }))
}

/// Which blobs stand where they may (TRACE-4, TRACE-6).
#[derive(Default)]
struct Naming {
    /// Blobs since the last event, with their places.
    waiting: Vec<(u64, Digest)>,
    /// The same, to be found.
    waits: BTreeSet<Digest>,
    /// What the events so far name, and whether it is there.
    named: BTreeMap<Digest, bool>,
    /// Blobs that wait for the first event, which names the bundle among them.
    terms: BTreeMap<Digest, Vec<u8>>,
    /// Bytes of all of them, counted along: summed anew for each blob they took time with the square of the blobs.
    terms_bytes: u64,
}

impl Naming {
    /// A blob stands there once. Its content is kept where it may be the bundle.
    fn blob(&mut self, offset: u64, digest: Digest, content: Option<&[u8]>) -> Result<(), ReplayError> {
        if self.named.get(&digest) == Some(&true) || !self.waits.insert(digest) {
            return Err(damaged(offset, format!("blob {digest} is there twice (TRACE-4)")));
        }
        self.waiting.push((offset, digest));
        if let Some(content) = content.filter(|content| self.terms_bytes + content.len() as u64 <= TERMS_MAX) {
            self.terms_bytes += content.len() as u64;
            self.terms.insert(digest, content.to_vec());
        }
        self.bounded(0)
    }

    fn bounded(&self, requests: usize) -> Result<(), ReplayError> {
        if self.named.len() + self.waiting.len() + requests > NAMES_MAX {
            return Err(ReplayError::TooMany { what: "blobs and requests in a trace", max: NAMES_MAX as u64 });
        }
        Ok(())
    }

    /// The next event must be the first to name every blob that waits.
    fn event(&mut self, event: &Event, is_slim: bool) -> Result<(), ReplayError> {
        let mut names: BTreeSet<Digest> = naming::named(event).into_iter().collect();
        let mut terms: BTreeSet<Digest> = naming::terms(event).into_iter().collect();
        if let Event::RunOpened(opened) = event
            && let Some(content) = self.terms.get(&opened.bundle).and_then(|bytes| Blob::content(bytes))
        {
            let inside = within_bundle(content);
            names.extend(inside.iter().copied());
            terms.extend(inside);
        }
        self.terms.clear();
        self.waits.clear();
        for (offset, digest) in std::mem::take(&mut self.waiting) {
            if !names.remove(&digest) || self.named.contains_key(&digest) {
                return Err(unnamed(offset, &digest));
            }
            self.named.insert(digest, true);
            if is_slim && !terms.contains(&digest) {
                return Err(damaged(offset, format!("blob {digest} is not one that a slim trace has (TRACE-6)")));
            }
        }
        for digest in names {
            self.named.entry(digest).or_insert(false);
        }
        Ok(())
    }
}

fn unnamed(offset: u64, digest: &Digest) -> ReplayError {
    damaged(offset, format!("the next event is not the first that names blob {digest} (TRACE-4)"))
}

/// Checks what only the end shows, and returns the number of commits.
fn finish(header: &Header, stretch: Stretch, events: u64, offset: u64) -> Result<u64, ReplayError> {
    if events == 0 {
        return Err(damaged(offset, "there is no event: a trace is of a run (TRACE-8)"));
    }
    if !stretch.is_between_commits() {
        return Err(damaged(offset, "the run ends inside a commit (COMMIT-1)"));
    }
    let mut whole = Stretch::new(Some(header.origin), false);
    let joined = whole.join(stretch);
    if let Some(bad) = joined.err().or_else(|| whole.at_end()) {
        return Err(ReplayError::Damaged(Bad { position: None, ..bad }));
    }
    Ok(whole.commits)
}
