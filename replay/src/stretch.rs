//! A stretch of history, checked event by event: bytes, ids, commits, chains, stamps, actors.
//!
//! ```text
//! commit = input, record …, decision …      the input says how many; one stamp; each names the one before it
//! ```
//!
//! Each event is hashed once. What reaches across the stretch's borders is kept for the next one to be joined.

use crate::error::Bad;
use crate::evidence::answer_flaw;
use loom_core::cbor::Decoder;
use loom_core::commit::Head;
use loom_core::event::{EventError, View};
use loom_core::id::{Actor, Digest, EventHasher, EventId, Stamp, StreamId};
use loom_core::kind::{BlobsRedacted, Event, GateAnswered, RunOpened, StoreCreated};
use loom_core::naming;
use loom_core::redaction;
use loom_core::schema::{Class, Scalar, Type};
use std::collections::BTreeMap;

/// Kinds from this number on belong to the store's own stream (KIND-1).
const STORE_KINDS: u64 = 80;

/// What was checked of one stream, and what it must follow.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    first: Link,
    pub(crate) head: Head,
    stamp: Stamp,
}

/// The first commit of a stream in the stretch.
#[derive(Debug, Clone)]
struct Link {
    position: u64,
    sequence: u64,
    previous: EventId,
    stamp: Stamp,
}

/// A commit whose events are not all in yet.
struct Commit {
    stream: StreamId,
    input: u64,
    stamp: Stamp,
    next: u64,
    previous: EventId,
    left: u64,
    class: Class,
}

/// Events in commit order, checked so far.
pub(crate) struct Stretch {
    origin: Option<[u8; 16]>,
    keep_blobs: bool,
    hasher: EventHasher,
    commit: Option<Commit>,
    pub(crate) threads: BTreeMap<StreamId, Thread>,
    pub(crate) requests: Vec<(StreamId, Vec<u8>, u64)>,
    /// The first answer that is not signed as it says (SIGNED-2).
    unsigned: Option<Bad>,
    pub(crate) blobs: BTreeMap<Digest, u64>,
    pub(crate) bundles: Vec<Digest>,
    pub(crate) events: u64,
    pub(crate) commits: u64,
    pub(crate) bytes: u64,
}

/// An event that was found whole.
pub(crate) struct Passed {
    pub(crate) id: EventId,
    /// The event, where its content is looked at: at a stream's beginning, for what is signed, for the blobs it names.
    pub(crate) event: Option<Box<Event>>,
}

impl Stretch {
    /// Begins a stretch of the store with this name; without a name runs are not held against it (ID-4).
    pub(crate) fn new(origin: Option<[u8; 16]>, keep_blobs: bool) -> Self {
        Stretch {
            origin,
            keep_blobs,
            hasher: EventHasher::default(),
            commit: None,
            threads: BTreeMap::new(),
            requests: Vec::new(),
            unsigned: None,
            blobs: BTreeMap::new(),
            bundles: Vec::new(),
            events: 0,
            commits: 0,
            bytes: 0,
        }
    }

    /// Whether the last commit has all of its events.
    pub(crate) fn is_between_commits(&self) -> bool {
        self.commit.is_none()
    }

    /// Reads and checks the next event.
    pub(crate) fn push(&mut self, position: u64, bytes: &[u8]) -> Result<Passed, Bad> {
        match View::read_strictly(bytes) {
            Ok(view) => self.check(position, &view, bytes),
            Err(error) => Err(self.unreadable(position, bytes, &error)),
        }
    }

    /// Checks the next event, which was read strictly.
    pub(crate) fn check(&mut self, position: u64, view: &View<'_>, bytes: &[u8]) -> Result<Passed, Bad> {
        let bad = |what: String| Bad {
            position: Some(position),
            offset: None,
            stream: Some(view.stream),
            sequence: Some(view.sequence),
            what,
            is_cut: false,
        };
        let is_looked_at = self.keep_blobs
            || view.sequence == 0
            || [BlobsRedacted::SCHEMA.code, GateAnswered::SCHEMA.code].contains(&view.schema.code);
        let event = is_looked_at.then(|| decode(view)).transpose().map_err(|error| bad(error.to_string()))?;
        let id = self.hasher.id(bytes);
        self.place(position, view).map_err(|what| bad(what.to_string()))?;
        check_speaker(view).map_err(|what| bad(what.to_string()))?;
        if let (0, Some(event)) = (view.sequence, &event) {
            self.beginning(view, event).map_err(|what| bad(what.to_string()))?;
        }
        self.follow(view, id);
        self.remember(position, view, event.as_ref()).map_err(|error| bad(error.to_string()))?;
        if self.unsigned.is_none()
            && let (Some(Event::GateAnswered(body)), Ok(actor)) = (&event, view.actor())
        {
            self.unsigned = answer_flaw(&view.stream, &actor, body).map(|what| bad(format!("{what} (SIGNED-2)")));
        }
        self.events += 1;
        self.bytes += bytes.len() as u64;
        Ok(Passed { id, event: event.map(Box::new) })
    }

    /// An event whose envelope cannot be read is placed by the commit that it should belong to.
    pub(crate) fn unreadable(&self, position: u64, bytes: &[u8], error: &EventError) -> Bad {
        let place = match View::read(bytes) {
            Ok(view) => Some((view.stream, view.sequence)),
            Err(_) => self.commit.as_ref().map(|commit| (commit.stream, commit.next)),
        };
        Bad {
            position: Some(position),
            offset: None,
            stream: place.map(|(stream, _)| stream),
            sequence: place.map(|(_, sequence)| sequence),
            what: error.to_string(),
            is_cut: false,
        }
    }

    fn place(&mut self, position: u64, view: &View<'_>) -> Result<(), &'static str> {
        match (&mut self.commit, view.count) {
            (None, None) => Err("a commit does not begin with its input (COMMIT-1)"),
            (Some(_), Some(_)) => Err("a commit has fewer events than its input states (COMMIT-1)"),
            (None, Some(count)) => {
                self.commits += 1;
                self.link(position, view)?;
                self.commit = Some(Commit {
                    stream: view.stream,
                    input: view.sequence,
                    stamp: view.stamp,
                    next: view.sequence,
                    previous: view.previous,
                    left: count,
                    class: Class::Input,
                });
                Ok(())
            }
            (Some(commit), None) => {
                if view.stream != commit.stream || view.sequence != commit.next || view.input != commit.input {
                    return Err("an event does not follow the one before it (CHAIN-1)");
                }
                if view.previous != commit.previous {
                    return Err("the previous id is not that of the event before it (CHAIN-1)");
                }
                if view.stamp != commit.stamp {
                    return Err("the events of a commit do not share its stamp (STAMP-1)");
                }
                if (commit.class, view.schema.class) == (Class::Decision, Class::Record) {
                    return Err("a record follows a decision (COMMIT-1)");
                }
                commit.class = view.schema.class;
                Ok(())
            }
        }
    }

    /// Links a commit to the one before it in its stream.
    fn link(&mut self, position: u64, view: &View<'_>) -> Result<(), &'static str> {
        match self.threads.get(&view.stream) {
            Some(thread) => follows(thread.head, thread.stamp, view.sequence, view.previous, view.stamp),
            None => {
                let first = Link { position, sequence: view.sequence, previous: view.previous, stamp: view.stamp };
                let head = Head { next: view.sequence, last: view.previous };
                self.threads.insert(view.stream, Thread { first, head, stamp: view.stamp });
                Ok(())
            }
        }
    }

    fn beginning(&self, view: &View<'_>, event: &Event) -> Result<(), &'static str> {
        match event {
            Event::StoreCreated(_) if view.stream == StreamId::STORE => Ok(()),
            Event::RunOpened(opened) if view.stream != StreamId::STORE => match self.origin {
                Some(origin) if StreamId::of_run(&origin, &opened.request) != view.stream => {
                    Err("the stream's name does not derive from its opening request (ID-4)")
                }
                Some(_) | None => Ok(()),
            },
            _ => Err("a stream does not begin with the kind that opens it (KIND-1)"),
        }
    }

    fn follow(&mut self, view: &View<'_>, id: EventId) {
        let Some(commit) = &mut self.commit else { return };
        // The last number of all has no successor: what comes after it never fits.
        commit.next = view.sequence.saturating_add(1);
        commit.previous = id;
        commit.left -= 1;
        if commit.left == 0 {
            if let Some(thread) = self.threads.get_mut(&view.stream) {
                thread.head = Head { next: view.sequence.saturating_add(1), last: id };
                thread.stamp = view.stamp;
            }
            self.commit = None;
        }
    }

    fn remember(&mut self, position: u64, view: &View<'_>, event: Option<&Event>) -> Result<(), EventError> {
        let belongs = (view.schema.code >= STORE_KINDS) == (view.stream == StreamId::STORE);
        let again = matches!(view.schema.code, c if c == RunOpened::SCHEMA.code || c == StoreCreated::SCHEMA.code)
            && view.sequence != 0;
        if !belongs || again {
            return Err(EventError::Shape("an event of this kind does not belong here (KIND-1)"));
        }
        if let Some(Event::BlobsRedacted(body)) = event
            && let Some(flaw) = redaction::flaw(body)
        {
            return Err(EventError::Shape(flaw));
        }
        if let Some(key) = request_field(view)
            && let Some(mut value) = view.field(key)
        {
            self.requests.push((view.stream, value.bytes()?.to_vec(), position));
        }
        if let (true, Some(event)) = (self.keep_blobs, event) {
            for digest in naming::named(event) {
                self.blobs.entry(digest).or_insert(position);
            }
            if let Event::RunOpened(opened) = event {
                self.bundles.push(opened.bundle);
            }
        }
        Ok(())
    }

    /// Brings its requests in order, so that less is left to do when stretches are joined.
    pub(crate) fn sort(&mut self) {
        self.requests.sort_unstable();
    }

    /// Joins the stretch that comes after this one.
    pub(crate) fn join(&mut self, next: Stretch) -> Result<(), Bad> {
        for (stream, thread) in next.threads {
            let Thread { first, .. } = &thread;
            let (head, stamp) = match self.threads.get(&stream) {
                Some(known) => (known.head, Some(known.stamp)),
                None => (Head::default(), None),
            };
            let linked = match stamp {
                Some(stamp) => follows(head, stamp, first.sequence, first.previous, first.stamp),
                None if (head.next, head.last) == (first.sequence, first.previous) => Ok(()),
                None => Err("the stream does not begin at sequence 0 (CHAIN-1)"),
            };
            if let Err(what) = linked {
                return Err(Bad {
                    position: Some(first.position),
                    offset: None,
                    stream: Some(stream),
                    sequence: Some(first.sequence),
                    what: what.to_string(),
                    is_cut: false,
                });
            }
            match self.threads.get_mut(&stream) {
                Some(known) => (known.head, known.stamp) = (thread.head, thread.stamp),
                None => {
                    self.threads.insert(stream, thread);
                }
            }
        }
        self.requests.extend(next.requests);
        self.unsigned = self.unsigned.take().or(next.unsigned);
        for (digest, position) in next.blobs {
            self.blobs.entry(digest).or_insert(position);
        }
        self.bundles.extend(next.bundles);
        self.events += next.events;
        self.commits += next.commits;
        self.bytes += next.bytes;
        Ok(())
    }

    /// Returns what only the end shows: a request id that is used twice, or else an answer that is not signed as it says.
    pub(crate) fn at_end(&mut self) -> Option<Bad> {
        self.repeated_request().or_else(|| self.unsigned.take())
    }

    /// Returns the position of the first request whose id was used before in its stream (LEDGER-1).
    pub(crate) fn repeated_request(&mut self) -> Option<Bad> {
        // Each stretch's are in order already, which a stable sort makes use of.
        self.requests.sort();
        let repeated = self.requests.windows(2).filter(|pair| pair[0].0 == pair[1].0 && pair[0].1 == pair[1].1);
        let (stream, _, position) = repeated.map(|pair| &pair[1]).min_by_key(|(_, _, position)| *position)?;
        let what = "a request id is used twice in a stream (LEDGER-1)".to_string();
        Some(Bad { stream: Some(*stream), ..Bad::at(*position, what) })
    }
}

/// Requests come from persons, observations from the host, everything else from the kernel (COMMIT-1).
pub(crate) fn check_speaker(view: &View<'_>) -> Result<(), &'static str> {
    let actor = view.actor().map_err(|_| "the actor cannot be read")?;
    let is_request = || request_field(view).is_some();
    let fits = match (view.schema.class, &actor) {
        (Class::Record | Class::Decision, Actor::Kernel) => true,
        (Class::Record | Class::Decision, Actor::Host | Actor::Person { .. }) => false,
        (Class::Input, Actor::Kernel) => false,
        (Class::Input, Actor::Host) => !is_request() || view.schema.name == "request.refused",
        (Class::Input, Actor::Person { descends: None, .. }) => is_request(),
        (Class::Input, Actor::Person { descends: Some(_), .. }) => view.schema.name == "request.refused",
    };
    if fits { Ok(()) } else { Err("the actor may not have caused an event of this kind (COMMIT-1)") }
}

fn follows(head: Head, stamp: Stamp, sequence: u64, previous: EventId, next: Stamp) -> Result<(), &'static str> {
    if (head.next, head.last) != (sequence, previous) {
        Err("an event does not follow the one before it in its stream (CHAIN-1)")
    } else if next <= stamp {
        Err("a stamp is not after the one before it in its stream (STAMP-1)")
    } else {
        Ok(())
    }
}

/// Returns the key of the request id, for kinds that are requests.
fn request_field(view: &View<'_>) -> Option<u64> {
    if view.schema.class != Class::Input {
        return None;
    }
    let field = view.schema.fields.first()?;
    (field.name == "request" && field.ty == Type::One(Scalar::Bytes)).then_some(field.key)
}

fn decode(view: &View<'_>) -> Result<Event, EventError> {
    let mut decoder = Decoder::new(view.body);
    let event = Event::decode(view.schema.code, &mut decoder).ok_or(EventError::Kind(view.schema.code))??;
    decoder.finish()?;
    Ok(event)
}
