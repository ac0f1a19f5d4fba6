//! One run as a portable file: its events in order and the blobs they name (format in `specs/trace.md`).
//!
//! Reading believes nothing: every length is bounded before it is read, every event and chain link is checked, and
//! whatever the writer would not have written is refused with its place. [`scan`] shows a trace item by item and holds no
//! more of it than the item at hand; [`read`] keeps all of it.

mod read;
mod reader;

pub use read::{Header, Item, Summary, scan};

use crate::error::ReplayError;
use crate::records::{BATCH, Records};
use crate::verify::Report;
use loom_core::cbor::Encoder;
use loom_core::commit::Blob;
use loom_core::event::Recorded;
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use loom_core::naming::{self, within_bundle};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;

/// The trace format's version.
///
/// 1: first.
pub const FORMAT: u64 = 1;
/// The first bytes of every trace, of whatever version.
pub const MAGIC: &[u8] = b"loom-trace\n";
/// Context of the digest in the end item (TRACE-3).
pub const TRACE_CONTEXT: &str = "loom 2026-11 trace v1";
/// Most bytes of one event.
pub const EVENT_BYTES_MAX: u64 = 4 << 20;
/// Most bytes of one blob.
pub const BLOB_BYTES_MAX: u64 = 256 << 20;

const HEADER: u64 = 0;
const BLOB: u64 = 1;
const EVENT: u64 = 2;
const END: u64 = 3;

/// A trace, read and checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The run.
    pub stream: StreamId,
    /// Name of the store it comes from.
    pub origin: [u8; 16],
    /// Whether prompts, outputs and notes were left out.
    pub is_slim: bool,
    /// Its events.
    pub events: Vec<Recorded>,
    /// Its blobs.
    pub blobs: BTreeMap<Digest, Vec<u8>>,
    /// Blobs that events name and that are not in it.
    pub absent: BTreeSet<Digest>,
    /// Commits of the run.
    pub commits: u64,
}

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Written {
    /// Events.
    pub events: u64,
    /// Blobs.
    pub blobs: u64,
    /// Blobs that events name and that are not there any more, or were left out.
    pub absent: u64,
    /// Those of them that a redaction on record had erased.
    pub redacted: u64,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes a run. Slim traces hold the blobs that verifying and judging need, but no prompts, outputs or notes.
pub fn write(
    records: &dyn Records,
    origin: [u8; 16],
    is_slim: bool,
    out: &mut dyn Write,
) -> Result<Written, ReplayError> {
    let mut out = Sink { out, hasher: blake3::Hasher::new_derive_key(TRACE_CONTEXT), bytes: 0 };
    out.put(MAGIC)?;
    out.item(HEADER, |e| {
        e.uint(FORMAT);
        e.bytes(&origin);
        e.bytes(&records.stream().0);
        e.bool(is_slim);
    })?;
    let (mut written, mut seen, mut last) = (Written::default(), BTreeSet::new(), Digest::default());
    loop {
        let events = records.read(written.events, BATCH)?;
        if events.is_empty() {
            break;
        }
        for event in events {
            let body = crate::refold::envelope(&event, written.events)?.body;
            let wanted = if is_slim { naming::terms(&body) } else { naming::named(&body) };
            written.absent += if is_slim { naming::named(&body).len() as u64 - wanted.len() as u64 } else { 0 };
            for digest in wanted {
                written.blob(records, digest, &mut seen, &mut out)?;
            }
            if let Event::RunOpened(opened) = &body
                && let Some(bytes) = records.blob(&opened.bundle)?
            {
                for digest in Blob::content(&bytes).map(within_bundle).unwrap_or_default() {
                    written.blob(records, digest, &mut seen, &mut out)?;
                }
            }
            out.item(EVENT, |e| e.bytes(&event.bytes))?;
            last = event.id;
            written.events += 1;
        }
    }
    if written.events == 0 {
        return Err(ReplayError::NoRun(records.stream()));
    }
    let digest = *out.hasher.finalize().as_bytes();
    out.item(END, |e| {
        e.uint(written.events);
        e.uint(written.blobs);
        e.bytes(&last.0);
        e.bytes(&digest);
    })?;
    out.out.flush().map_err(io("write"))?;
    written.bytes = out.bytes;
    Ok(written)
}

impl Written {
    fn blob(
        &mut self,
        records: &dyn Records,
        digest: Digest,
        seen: &mut BTreeSet<Digest>,
        out: &mut Sink<'_>,
    ) -> Result<(), ReplayError> {
        if seen.insert(digest) {
            // What is being erased is not written anew.
            let is_redacted = records.redaction(&digest)?.is_some();
            match if is_redacted { None } else { records.blob(&digest)? } {
                Some(bytes) => {
                    out.item(BLOB, |e| e.bytes(&bytes))?;
                    self.blobs += 1;
                }
                None => {
                    self.absent += 1;
                    self.redacted += u64::from(is_redacted);
                }
            }
        }
        Ok(())
    }
}

struct Sink<'w> {
    out: &'w mut dyn Write,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Sink<'_> {
    fn put(&mut self, bytes: &[u8]) -> Result<(), ReplayError> {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(io("write"))
    }

    fn item(&mut self, kind: u64, fill: impl FnOnce(&mut Encoder)) -> Result<(), ReplayError> {
        let mut encoder = Encoder::default();
        encoder.array(if kind == HEADER || kind == END { 5 } else { 2 });
        encoder.uint(kind);
        fill(&mut encoder);
        self.put(&encoder.finish())
    }
}

fn io(doing: &'static str) -> impl Fn(io::Error) -> ReplayError {
    move |source| ReplayError::Io { doing, source }
}

/// Reads and checks a whole trace, blobs and all.
pub fn read(input: &mut dyn Read) -> Result<Trace, ReplayError> {
    let (mut events, mut blobs) = (Vec::new(), BTreeMap::new());
    let summary = scan(input, BLOB_BYTES_MAX, &mut |_, item| {
        match item {
            Item::Blob { digest, bytes } => drop(blobs.insert(digest, bytes.unwrap_or_default().to_vec())),
            Item::Event(event) => events.push(event.clone()),
        }
        ControlFlow::Continue(())
    })?;
    let Some(Summary { header: Header { stream, origin, is_slim }, absent, commits, .. }) = summary else {
        return Err(ReplayError::NotATrace);
    };
    Ok(Trace { stream, origin, is_slim, events, blobs, absent, commits })
}

impl Trace {
    /// Returns what was verified by reading.
    pub fn report(&self) -> Report {
        Report {
            events: self.events.len() as u64,
            commits: self.commits,
            streams: 1,
            bytes: self.events.iter().map(|event| event.bytes.len() as u64).sum(),
            blobs: self.blobs.len() as u64,
            ..Report::default()
        }
    }
}

impl Records for Trace {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        let from = usize::try_from(sequence).unwrap_or(usize::MAX);
        Ok(self.events.iter().skip(from).take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(self.blobs.get(digest).cloned())
    }
}
