//! A recorded run that somebody altered who has every program: numbered, linked and named anew, and written as a trace.

use crate::base;
use arbitrary::Arbitrary;
use loom_core::commit::{Blob, Head};
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher, Stamp, StreamId};
use loom_core::kind::Event;
use loom_replay::trace::{self, TRACE_CONTEXT};
use loom_replay::{Records, ReplayError};
use std::collections::BTreeMap;

/// What is done to a run, before its chain is made anew.
#[derive(Debug, Arbitrary)]
pub enum Harm {
    /// A commit is left out.
    Drop(u8),
    /// An event is left out of its commit.
    Lose(u16),
    /// A commit comes once more, elsewhere.
    Again(u8, u8),
    /// Two commits change places.
    Swap(u8, u8),
    /// Everything from a commit on is left out.
    Cut(u8),
    /// An event says what one of another run says.
    Say(u16, u8, u16),
    /// A byte of an event is another, where it is an event still.
    Byte { event: u16, at: u16, xor: u8 },
    /// A commit has another time.
    Time(u8, u32, u16),
    /// The run names this rule set first.
    Rules(u8),
    /// A byte of a blob is another; whoever names it names the new one.
    Blob { which: u8, at: u16, xor: u8 },
    /// A blob is not there.
    Gone(u8),
}

/// A part of a file that is another.
#[derive(Debug, Arbitrary)]
pub struct Splice {
    at: u16,
    cut: u8,
    put: Vec<u8>,
}

/// A trace as it was altered.
#[derive(Debug, Arbitrary)]
pub struct Altered {
    base: u8,
    harms: Vec<Harm>,
    /// Whether the chain is left as it was: then each event stands by itself.
    is_unlinked: bool,
    splices: Vec<Splice>,
    /// Whether the end is left as it was.
    is_unmended: bool,
}

/// Replaces parts of a file.
pub fn splice(file: &mut Vec<u8>, splices: &[Splice]) {
    for splice in splices.iter().take(8) {
        let from = usize::from(splice.at) % (file.len() + 1);
        let to = file.len().min(from + usize::from(splice.cut));
        file.splice(from..to, splice.put.iter().copied());
    }
}

/// A run in memory.
struct Held {
    stream: StreamId,
    events: Vec<Recorded>,
    blobs: BTreeMap<Digest, Vec<u8>>,
}

impl Records for Held {
    fn stream(&self) -> StreamId {
        self.stream
    }

    fn read(&self, sequence: u64, max: usize) -> Result<Vec<Recorded>, ReplayError> {
        Ok(self.events.iter().skip(sequence as usize).take(max).cloned().collect())
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
        Ok(self.blobs.get(digest).cloned())
    }
}

impl Altered {
    /// Returns the file; `None` where no writer can write what was left.
    pub fn file(&self) -> Option<Vec<u8>> {
        let base = base::trace(self.base);
        let mut commits: Vec<Vec<Envelope>> = Vec::new();
        for event in &base.events {
            let envelope = Envelope::decode(&event.bytes).ok()?;
            match commits.last_mut() {
                Some(commit) if envelope.count.is_none() => commit.push(envelope),
                _ => commits.push(vec![envelope]),
            }
        }
        let mut blobs = base.blobs.clone();
        for harm in self.harms.iter().take(16) {
            done(harm, &mut commits, &mut blobs);
        }
        let events = match self.is_unlinked {
            true => commits.iter().flatten().map(|event| Recorded::of(event, &EventHasher::default())).collect(),
            false => linked(commits, base.origin),
        };
        let stream = Envelope::decode(&events.first()?.bytes).ok()?.stream;
        let mut file = Vec::new();
        let written = trace::write(&Held { stream, events, blobs }, base.origin, base.is_slim, &mut file).ok()?;
        if self.splices.is_empty() {
            return Some(file);
        }
        // The end item: head and kind, the two counts, two digests with their heads.
        let head = |count: u64| {
            if count < 24 {
                1
            } else if count < 256 {
                2
            } else {
                3
            }
        };
        let end = file.split_off(file.len() - 2 - head(written.events) - head(written.blobs) - 2 * 34);
        splice(&mut file, &self.splices);
        let digest = blake3::Hasher::new_derive_key(TRACE_CONTEXT).update(&file).finalize();
        file.extend(end);
        if !self.is_unmended {
            let at = file.len() - 32;
            file[at..].copy_from_slice(digest.as_bytes());
        }
        Some(file)
    }
}

fn pick<T>(of: &[T], number: usize) -> Option<usize> {
    (!of.is_empty()).then(|| number % of.len())
}

/// The commit and the place in it of an event.
fn place(commits: &[Vec<Envelope>], event: u16) -> Option<(usize, usize)> {
    let all: Vec<_> =
        commits.iter().enumerate().flat_map(|(at, commit)| (0..commit.len()).map(move |event| (at, event))).collect();
    pick(&all, event.into()).map(|at| all[at])
}

fn done(harm: &Harm, commits: &mut Vec<Vec<Envelope>>, blobs: &mut BTreeMap<Digest, Vec<u8>>) -> Option<()> {
    match harm {
        Harm::Drop(at) => drop(commits.remove(pick(commits, (*at).into())?)),
        Harm::Lose(event) => {
            let (commit, at) = place(commits, *event)?;
            commits[commit].remove(at);
        }
        Harm::Again(from, to) => {
            let commit = commits[pick(commits, (*from).into())?].clone();
            commits.insert(pick(commits, (*to).into())?, commit);
        }
        Harm::Swap(one, other) => {
            let (one, other) = (pick(commits, (*one).into())?, pick(commits, (*other).into())?);
            commits.swap(one, other);
        }
        Harm::Cut(at) => commits.truncate(pick(commits, (*at).into())?),
        Harm::Say(event, run, other) => {
            let (commit, at) = place(commits, *event)?;
            let events = &base::trace(*run).events;
            commits[commit][at].body = Envelope::decode(&events[pick(events, (*other).into())?].bytes).ok()?.body;
        }
        Harm::Byte { event, at, xor } => {
            let (commit, place) = place(commits, *event)?;
            let mut bytes = commits[commit][place].encode();
            let at = pick(&bytes, (*at).into())?;
            bytes[at] ^= xor;
            commits[commit][place] = Envelope::decode(&bytes).ok()?;
        }
        Harm::Time(at, ms, counter) => {
            let at = pick(commits, (*at).into())?;
            for event in &mut commits[at] {
                event.stamp = Stamp { ms: (*ms).into(), counter: (*counter).into() };
            }
        }
        Harm::Rules(which) => {
            let blob = Blob::plain(base::RULES[pick(base::RULES, (*which).into())?].as_bytes());
            if let Event::RunOpened(opened) = &mut commits.first_mut()?.first_mut()?.body {
                let others = opened.rules.iter().skip(1).copied();
                opened.rules = std::iter::once(blob.digest).chain(others).collect::<Vec<_>>().into();
                blobs.insert(blob.digest, blob.bytes);
            }
        }
        Harm::Blob { which, at, xor } => {
            let names: Vec<Digest> = blobs.keys().copied().collect();
            let name = names[pick(&names, (*which).into())?];
            let mut bytes = blobs.remove(&name)?;
            let at = pick(&bytes, (*at).into())?;
            bytes[at] ^= xor;
            let blob = Blob::stored(bytes);
            for event in commits.iter_mut().flatten() {
                let mut bytes = event.encode();
                for at in 0..bytes.len().saturating_sub(31) {
                    if bytes[at..at + 32] == name.0 {
                        bytes[at..at + 32].copy_from_slice(&blob.digest.0);
                    }
                }
                *event = Envelope::decode(&bytes).ok()?;
            }
            blobs.insert(blob.digest, blob.bytes);
        }
        Harm::Gone(which) => {
            let names: Vec<Digest> = blobs.keys().copied().collect();
            blobs.remove(&names[pick(&names, (*which).into())?]);
        }
    }
    Some(())
}

/// Numbers and links events, and names the run by the request that opens it.
fn linked(commits: Vec<Vec<Envelope>>, origin: [u8; 16]) -> Vec<Recorded> {
    let hasher = EventHasher::default();
    let (mut head, mut last, mut stream, mut events) = (Head::default(), Stamp::default(), None, Vec::new());
    for commit in commits {
        let count = commit.len() as u64;
        let (input, before) = (head.next, last);
        for mut event in commit {
            if let (None, Event::RunOpened(opened)) = (stream, &event.body) {
                stream = Some(StreamId::of_run(&origin, &opened.request));
            }
            event.stream = stream.unwrap_or(event.stream);
            (event.sequence, event.previous, event.input) = (head.next, head.last, input);
            event.count = (head.next == input).then_some(count);
            if event.stamp <= before && input > 0 {
                event.stamp = Stamp::after(before, 0);
            }
            last = event.stamp;
            let event = Recorded::of(&event, &hasher);
            head = Head { next: head.next + 1, last: event.id };
            events.push(event);
        }
    }
    events
}
