//! One run as a portable file: its events in order and the blobs they name (format in `specs/trace.md`).
//!
//! Reading believes nothing: every length is bounded before it is read, every event and chain link is checked, and
//! whatever the writer would not have written is refused with its place.

use crate::blobs::{self, within_bundle};
use crate::error::{Bad, ReplayError};
use crate::records::{BATCH, Records};
use crate::stretch::Stretch;
use crate::verify::Report;
use loom_core::cbor::Encoder;
use loom_core::commit::Blob;
use loom_core::event::{Recorded, View};
use loom_core::id::{Digest, StreamId};
use loom_core::kind::Event;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};

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
            let wanted = if is_slim { blobs::terms(&body) } else { blobs::named(&body) };
            written.absent += if is_slim { blobs::named(&body).len() as u64 - wanted.len() as u64 } else { 0 };
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
            match records.blob(&digest)? {
                Some(bytes) => {
                    out.item(BLOB, |e| e.bytes(&bytes))?;
                    self.blobs += 1;
                }
                None => self.absent += 1,
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

/// Reads and checks a whole trace.
pub fn read(input: &mut dyn Read) -> Result<Trace, ReplayError> {
    let mut reader = Reader::new(input);
    let (origin, stream, is_slim) = reader.header()?;
    let mut stretch = Stretch::new(Some(origin), true);
    let mut trace = Trace {
        stream,
        origin,
        is_slim,
        events: Vec::new(),
        blobs: BTreeMap::new(),
        absent: BTreeSet::new(),
        commits: 0,
    };
    let mut blobs = Naming::default();
    loop {
        let start = reader.offset;
        let so_far = reader.hasher.finalize();
        let items = reader.array()?;
        let kind = reader.uint()?;
        match (kind, items) {
            (BLOB, 2) => {
                let blob = Blob::stored(reader.bytes(BLOB_BYTES_MAX)?);
                blobs.waiting.push((start, blob.digest));
                if trace.blobs.insert(blob.digest, blob.bytes).is_some() {
                    return Err(damaged(start, format!("blob {} is there twice (TRACE-4)", blob.digest)));
                }
            }
            (EVENT, 2) => {
                let bytes = reader.bytes(EVENT_BYTES_MAX)?;
                let sequence = trace.events.len() as u64;
                let passed = match stretch.push(sequence, &bytes) {
                    Ok(passed) => passed,
                    Err(bad) => return Err(reader.wrong(start, &bytes, sequence, bad)),
                };
                if stretch.threads.len() != 1 || !stretch.threads.contains_key(&stream) {
                    return Err(damaged(start, "the event is of another stream"));
                }
                if let Some(event) = passed.event.as_deref() {
                    blobs.event(event, &trace)?;
                }
                trace.events.push(Recorded { id: passed.id, bytes });
            }
            (END, 5) => {
                let told = (reader.uint()?, reader.uint()?, reader.array_of()?, reader.array_of()?);
                let last = trace.events.last().map(|event| event.id).unwrap_or_default();
                let found = (trace.events.len() as u64, trace.blobs.len() as u64, last.0, *so_far.as_bytes());
                if told != found {
                    return Err(damaged(start, "the end does not belong to what comes before it (TRACE-3)"));
                }
                if let Some((offset, digest)) = blobs.waiting.first() {
                    return Err(unnamed(*offset, digest));
                }
                reader.end()?;
                break;
            }
            _ => return Err(damaged(start, "the item is of no kind of this format")),
        }
    }
    trace.absent = blobs.named.into_iter().filter(|digest| !trace.blobs.contains_key(digest)).collect();
    finish(trace, stretch, reader.offset)
}

/// Which blobs stand where they may (TRACE-4, TRACE-6).
#[derive(Default)]
struct Naming {
    /// Blobs since the last event, with their places.
    waiting: Vec<(u64, Digest)>,
    /// What the events so far name.
    named: BTreeSet<Digest>,
}

impl Naming {
    /// The next event must be the first to name every blob that waits.
    fn event(&mut self, event: &Event, trace: &Trace) -> Result<(), ReplayError> {
        let mut names: BTreeSet<Digest> = blobs::named(event).into_iter().collect();
        let mut terms: BTreeSet<Digest> = blobs::terms(event).into_iter().collect();
        if let Event::RunOpened(opened) = event
            && let Some(content) = trace.blobs.get(&opened.bundle).and_then(|bytes| Blob::content(bytes))
        {
            let inside = within_bundle(content);
            names.extend(inside.iter().copied());
            terms.extend(inside);
        }
        for (offset, digest) in std::mem::take(&mut self.waiting) {
            if !names.contains(&digest) || self.named.contains(&digest) {
                return Err(unnamed(offset, &digest));
            }
            if trace.is_slim && !terms.contains(&digest) {
                return Err(damaged(offset, format!("blob {digest} is not one that a slim trace has (TRACE-6)")));
            }
        }
        self.named.append(&mut names);
        Ok(())
    }
}

fn unnamed(offset: u64, digest: &Digest) -> ReplayError {
    damaged(offset, format!("the next event is not the first that names blob {digest} (TRACE-4)"))
}

fn finish(mut trace: Trace, stretch: Stretch, offset: u64) -> Result<Trace, ReplayError> {
    if trace.events.is_empty() {
        return Err(damaged(offset, "there is no event: a trace is of a run"));
    }
    if !stretch.is_between_commits() {
        return Err(damaged(offset, "the run ends inside a commit (COMMIT-1)"));
    }
    let mut whole = Stretch::new(Some(trace.origin), false);
    let joined = whole.join(stretch);
    if let Some(bad) = joined.err().or_else(|| whole.repeated_request()) {
        return Err(ReplayError::Damaged(Bad { position: None, ..bad }));
    }
    trace.commits = whole.commits;
    Ok(trace)
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
            root: None,
            first_bad: None,
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

fn damaged(offset: u64, what: impl Into<String>) -> ReplayError {
    ReplayError::Damaged(Bad { offset: Some(offset), ..Bad::of(what) })
}

/// Reads canonical items of bounded length from a stream of bytes.
struct Reader<'r> {
    input: &'r mut dyn Read,
    hasher: blake3::Hasher,
    offset: u64,
}

impl<'r> Reader<'r> {
    fn new(input: &'r mut dyn Read) -> Self {
        Reader { input, hasher: blake3::Hasher::new_derive_key(TRACE_CONTEXT), offset: 0 }
    }

    fn header(&mut self) -> Result<([u8; 16], StreamId, bool), ReplayError> {
        let magic = self.take(MAGIC.len() as u64).map_err(|error| match error {
            ReplayError::Damaged(_) => ReplayError::NotATrace,
            error => error,
        })?;
        if magic != MAGIC {
            return Err(ReplayError::NotATrace);
        }
        let start = self.offset;
        let items = self.array()?;
        if self.uint()? != HEADER || items < 2 {
            return Err(damaged(start, "the header is missing"));
        }
        let found = self.uint()?;
        if found > FORMAT {
            return Err(ReplayError::Newer { found, known: FORMAT });
        }
        if found == 0 || items != 5 {
            return Err(damaged(start, "the header is not one of this format"));
        }
        Ok((self.array_of()?, StreamId(self.array_of()?), self.bool()?))
    }

    /// Reads `length` bytes; a declared length allocates nothing that is not there.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, ReplayError> {
        let mut bytes = Vec::new();
        let read = self.input.take(length).read_to_end(&mut bytes).map_err(io("read"))?;
        if (read as u64) < length {
            return Err(damaged(self.offset + read as u64, "the file ends inside the run (TRACE-2)"));
        }
        self.hasher.update(&bytes);
        self.offset += length;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, ReplayError> {
        Ok(self.take(1)?[0])
    }

    fn head(&mut self, major: u8, what: &'static str) -> Result<u64, ReplayError> {
        let start = self.offset;
        let first = self.byte()?;
        let (width, floor) = match first & 0x1f {
            small @ 0..=23 if first >> 5 == major => return Ok(u64::from(small)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(damaged(start, format!("there is no {what} here"))),
        };
        let value = self.take(width)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        if first >> 5 != major || value < floor {
            return Err(damaged(start, format!("there is no canonical {what} here")));
        }
        Ok(value)
    }

    fn uint(&mut self) -> Result<u64, ReplayError> {
        self.head(0, "unsigned integer")
    }

    fn array(&mut self) -> Result<u64, ReplayError> {
        self.head(4, "item")
    }

    fn bool(&mut self) -> Result<bool, ReplayError> {
        let start = self.offset;
        match self.byte()? {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(damaged(start, "there is no boolean here")),
        }
    }

    fn bytes(&mut self, max: u64) -> Result<Vec<u8>, ReplayError> {
        let start = self.offset;
        let length = self.head(2, "byte string")?;
        if length > max {
            return Err(damaged(start, format!("{length} bytes are more than the {max} that may be here (TRACE-5)")));
        }
        self.take(length)
    }

    fn array_of<const N: usize>(&mut self) -> Result<[u8; N], ReplayError> {
        let start = self.offset;
        self.bytes(N as u64)?.try_into().map_err(|_| damaged(start, format!("there are not {N} bytes here")))
    }

    /// Tells an event of a newer Loom from a damaged one: the end item vouches for what is not damaged.
    fn wrong(&mut self, offset: u64, bytes: &[u8], sequence: u64, bad: Bad) -> ReplayError {
        match View::read(bytes) {
            Err(source) if source.is_newer() && self.ends_well() => ReplayError::NewerEvent { sequence, source },
            Ok(_) | Err(_) => ReplayError::Damaged(Bad { position: None, offset: Some(offset), ..bad }),
        }
    }

    /// Whether the rest of the file leads to an end item whose digest is that of the file (TRACE-3).
    fn ends_well(&mut self) -> bool {
        let mut digest = || -> Result<bool, ReplayError> {
            loop {
                let so_far = self.hasher.finalize();
                match (self.array()?, self.uint()?) {
                    (2, BLOB) => drop(self.bytes(BLOB_BYTES_MAX)?),
                    (2, EVENT) => drop(self.bytes(EVENT_BYTES_MAX)?),
                    (5, END) => {
                        let _counts = (self.uint()?, self.uint()?);
                        let _last: [u8; 32] = self.array_of()?;
                        return Ok(self.array_of()? == *so_far.as_bytes());
                    }
                    _ => return Ok(false),
                }
            }
        };
        digest().unwrap_or(false)
    }

    fn end(&mut self) -> Result<(), ReplayError> {
        let mut rest = [0];
        match self.input.read(&mut rest).map_err(io("read"))? {
            0 => Ok(()),
            _ => Err(damaged(self.offset, "bytes follow the end of the trace (TRACE-2)")),
        }
    }
}
