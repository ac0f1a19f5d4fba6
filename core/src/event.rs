//! The envelope of an event, its strict codec, and the lazy view that scans read through.
//!
//! ```text
//! { 0: format, 1: stream, 2: sequence, 3: previous id, 4: [ms, counter], 5: actor, 6: sequence of the input,
//!   7: kind, 8: kind version, 9: body, ? 10: events in the commit (inputs only) }
//! ```

use crate::cbor::{CborError, Decoder, Encoder, MapReader, Problem};
use crate::id::{Actor, EventHasher, EventId, Stamp, StreamId};
use crate::kind::{Event, schema_of};
use crate::schema::{Class, Field, KEYS_MAX, KindSchema};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The envelope's format version.
///
/// 1: first.
pub const FORMAT: u64 = 1;

/// An event with its envelope, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream, from 0.
    pub sequence: u64,
    /// Id of the event before it; all zero for the first (CHAIN-1).
    pub previous: EventId,
    /// The stamp of its commit.
    pub stamp: Stamp,
    /// Who caused the input; the kernel for everything derived.
    pub actor: Actor,
    /// Sequence of the input of its commit; its own for an input.
    pub input: u64,
    /// For an input: how many events the commit has, this one counted (COMMIT-1).
    pub count: Option<u64>,
    /// What it says.
    pub body: Event,
}

/// Why bytes are not an event this Loom can read.
///
/// What a newer Loom wrote is refused with a sentence that says so, never read in part (KIND-2).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventError {
    /// The bytes are not canonical or not of the schema.
    #[error(transparent)]
    Cbor(#[from] CborError),
    /// The envelope has another format version.
    #[error("event format {}", unread(*.0, "format", FORMAT))]
    Format(u64),
    /// The kind is unknown.
    #[error("event kind {0} is not known to this loom; a newer loom can read it")]
    Kind(u64),
    /// The version of the kind is unknown.
    #[error("{name} version {}", unread(*.found, "version", *.known))]
    Version {
        /// Name of the kind.
        name: &'static str,
        /// Version found.
        found: u64,
        /// Newest version known.
        known: u64,
    },
    /// A field of the envelope contradicts the kind's class.
    #[error("{0}")]
    Shape(&'static str),
}

impl EventError {
    /// Whether a newer Loom may have written this; else the bytes are nobody's.
    pub fn is_newer(&self) -> bool {
        match self {
            EventError::Format(found) => *found > FORMAT,
            EventError::Kind(_) => true,
            EventError::Version { found, known, .. } => found > known,
            EventError::Cbor(_) | EventError::Shape(_) => false,
        }
    }
}

/// Says why a number is not read here: all begin at 1.
fn unread(found: u64, what: &str, known: u64) -> String {
    match found {
        0 => String::from("0 is none"),
        _ => format!("{found} is newer than this loom reads ({what} {known}); a newer loom can read it"),
    }
}

impl Envelope {
    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let schema = self.body.schema();
        let mut encoder = Encoder::with_capacity(256);
        encoder.map(10 + usize::from(self.count.is_some()));
        encoder.uint(0);
        encoder.uint(FORMAT);
        encoder.uint(1);
        encoder.bytes(&self.stream.0);
        encoder.uint(2);
        encoder.uint(self.sequence);
        encoder.uint(3);
        encoder.bytes(&self.previous.0);
        encoder.uint(4);
        encoder.array(2);
        encoder.uint(self.stamp.ms);
        encoder.uint(self.stamp.counter);
        encoder.uint(5);
        self.actor.encode(&mut encoder);
        encoder.uint(6);
        encoder.uint(self.input);
        encoder.uint(7);
        encoder.uint(schema.code);
        encoder.uint(8);
        encoder.uint(schema.version);
        encoder.uint(9);
        self.body.encode(&mut encoder);
        if let Some(count) = self.count {
            encoder.uint(10);
            encoder.uint(count);
        }
        encoder.finish()
    }

    /// Reads canonical bytes; anything the writer would not have written is refused.
    pub fn decode(bytes: &[u8]) -> Result<Self, EventError> {
        let view = View::read(bytes)?;
        let mut decoder = Decoder::new(view.body);
        let body = Event::decode(view.schema.code, &mut decoder).ok_or(EventError::Kind(view.schema.code))??;
        decoder.finish()?;
        let actor = view.actor()?;
        match (view.schema.class, &actor) {
            (Class::Input, Actor::Host | Actor::Person { .. }) | (Class::Record | Class::Decision, Actor::Kernel) => {}
            (Class::Input, Actor::Kernel) => return Err(EventError::Shape("the kernel gives no input (COMMIT-1)")),
            (Class::Record | Class::Decision, _) => {
                return Err(EventError::Shape("what is derived is the kernel's (COMMIT-1)"));
            }
        }
        Ok(Envelope {
            stream: view.stream,
            sequence: view.sequence,
            previous: view.previous,
            stamp: view.stamp,
            actor,
            input: view.input,
            count: view.count,
            body,
        })
    }
}

/// An event as canonical bytes with its id: what stores keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The event's id.
    pub id: EventId,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
}

impl Recorded {
    /// Encodes and names an event.
    pub fn of(envelope: &Envelope, hasher: &EventHasher) -> Self {
        let bytes = envelope.encode();
        Recorded { id: hasher.id(&bytes), bytes }
    }
}

/// Chains an event that was encoded as if it were the first of its stream and alone in its commit: writes its predecessor
/// in, and for an input the number of its commit's events.
pub(crate) fn chain(bytes: &mut Vec<u8>, previous: EventId, count: Option<u64>) {
    // As in `glance`; then the sequence, the fourth key, and a byte string of 32.
    let sequence = match bytes[22] {
        0x18 => 2,
        0x19 => 3,
        0x1a => 5,
        0x1b => 9,
        _ => 1,
    };
    let at = 22 + sequence + 3;
    bytes[at..at + 32].copy_from_slice(&previous.0);
    if let Some(count) = count {
        // The last value is a 1.
        bytes.pop();
        let mut encoder = Encoder::default();
        encoder.uint(count);
        bytes.extend(encoder.finish());
    }
}

/// A lazy view of an event: the envelope read, the body's fields indexed once, values decoded when asked for.
///
/// Reading checks that the whole is canonical and that the body's keys are those of the schema, none missing; it does
/// not check types, lengths and vocabularies of the body's values (that is [`Envelope::decode`]).
#[derive(Debug, Clone)]
pub struct View<'a> {
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Its place in the stream.
    pub sequence: u64,
    /// Id of the event before it.
    pub previous: EventId,
    /// The stamp of its commit.
    pub stamp: Stamp,
    /// Sequence of the input of its commit.
    pub input: u64,
    /// For an input: how many events the commit has.
    pub count: Option<u64>,
    /// Schema of its kind.
    pub schema: &'static KindSchema,
    /// Version of the kind that wrote it.
    pub version: u64,
    /// The body's bytes.
    pub body: &'a [u8],
    actor: &'a [u8],
    /// Where each value begins in the body; 0 for what is not there.
    fields: [u32; KEYS_MAX],
}

impl<'a> View<'a> {
    /// Reads an event's envelope and indexes its body.
    pub fn read(bytes: &'a [u8]) -> Result<Self, EventError> {
        Self::index(bytes, |decoder, _| decoder.skip().map(drop))
    }

    /// Reads as strictly as [`Envelope::decode`] does, but for the actor, and keeps nothing: for who checks many.
    pub fn read_strictly(bytes: &'a [u8]) -> Result<Self, EventError> {
        Self::index(bytes, |decoder, field| field.check(decoder))
    }

    /// Reads an event as [`View::read`] does if its kind, by number, is wanted; else no further than to its kind.
    #[inline]
    pub fn read_if(bytes: &'a [u8], wanted: impl Fn(u64) -> bool) -> Result<Sight<'a>, EventError> {
        let (mut decoder, entries, start) = Start::read(bytes)?;
        if !wanted(start.schema.code) {
            return Ok(Sight::Passed { sequence: start.sequence, previous: start.previous });
        }
        Self::rest(bytes, &mut decoder, entries, start, |decoder, _| decoder.skip().map(drop)).map(Sight::View)
    }

    #[inline(always)]
    fn index(
        bytes: &'a [u8],
        value: impl Fn(&mut Decoder<'a>, &'static Field) -> Result<(), CborError>,
    ) -> Result<Self, EventError> {
        let (mut decoder, entries, start) = Start::read(bytes)?;
        Self::rest(bytes, &mut decoder, entries, start, value)
    }

    #[inline(always)]
    fn rest(
        bytes: &'a [u8],
        decoder: &mut Decoder<'a>,
        entries: u64,
        start: Start<'a>,
        value: impl Fn(&mut Decoder<'a>, &'static Field) -> Result<(), CborError>,
    ) -> Result<Self, EventError> {
        let Start { stream, sequence, previous, stamp, actor, input, schema } = start;
        key(decoder, 8)?;
        let version = decoder.uint()?;
        if version > schema.version || version == 0 {
            return Err(EventError::Version { name: schema.name, found: version, known: schema.version });
        }
        key(decoder, 9)?;
        let body_start = decoder.offset();
        let mut fields = [0; KEYS_MAX];
        let mut map = MapReader::new(decoder)?;
        let mut known = schema.fields.iter();
        let mut missing = None;
        while let Some(key) = map.key()? {
            // Both ascend.
            let field = loop {
                match known.next() {
                    Some(field) if field.key == key => break field,
                    Some(field) if field.key < key => missing = missing.or(field.is_required().then_some(field)),
                    Some(_) | None => return Err(map.value().error(Problem::UnknownKey(key)).into()),
                }
            };
            fields[key as usize] = (map.value().offset() - body_start) as u32;
            value(map.value(), field)?;
        }
        if let Some(field) = missing.or_else(|| known.find(|field| field.is_required())) {
            return Err(CborError { offset: body_start, problem: Problem::MissingKey(field.key) }.into());
        }
        let body = &bytes[body_start..decoder.offset()];
        let count = if entries == 11 {
            key(decoder, 10)?;
            Some(decoder.uint()?)
        } else {
            None
        };
        decoder.finish()?;
        match (schema.class, count) {
            (Class::Input, Some(count)) if count >= 1 && input == sequence => {}
            (Class::Record | Class::Decision, None) if input < sequence => {}
            (Class::Input, _) => {
                return Err(EventError::Shape("an input names itself and states the commit's length (COMMIT-1)"));
            }
            (Class::Record | Class::Decision, _) => {
                return Err(EventError::Shape(
                    "a derived event names an earlier input and states no length (COMMIT-1)",
                ));
            }
        }
        Ok(View { stream, sequence, previous, stamp, input, count, schema, version, body, actor, fields })
    }

    /// Returns the actor.
    pub fn actor(&self) -> Result<Actor, CborError> {
        Actor::decode(&mut Decoder::new(self.actor))
    }

    /// Returns a decoder at the value of the field with this key, or `None` when the field is absent.
    #[inline]
    pub fn field(&self, key: u64) -> Option<Decoder<'a>> {
        let start = *self.fields.get(usize::try_from(key).ok()?)?;
        (start > 0).then(|| Decoder::new(&self.body[start as usize..]))
    }
}

/// What was seen of an event by [`View::read_if`].
#[derive(Debug, Clone)]
pub enum Sight<'a> {
    /// Its kind is wanted.
    View(View<'a>),
    /// Its kind is not; nothing behind its kind was checked.
    Passed {
        /// Its place in the stream.
        sequence: u64,
        /// Id of the event before it.
        previous: EventId,
    },
}

/// Returns the stream of an event and whether it is the first of it, by the first bytes alone; `None` where they are not
/// those of an event of this format.
#[inline]
pub fn glance(bytes: &[u8]) -> Option<(StreamId, bool)> {
    // A map, its first key, the format, the second key, a byte string of 16, the third key, the sequence.
    let (head, rest) = bytes.split_first_chunk::<5>()?;
    let (stream, rest) = rest.split_first_chunk::<16>()?;
    let is_event =
        matches!(head[0], 0xaa | 0xab) && u64::from(head[2]) == FORMAT && [head[1], head[3], head[4]] == [0, 1, 0x50];
    (is_event && rest.first() == Some(&2)).then(|| (StreamId(*stream), rest.get(1) == Some(&0)))
}

/// An envelope up to its kind.
struct Start<'a> {
    stream: StreamId,
    sequence: u64,
    previous: EventId,
    stamp: Stamp,
    actor: &'a [u8],
    input: u64,
    schema: &'static KindSchema,
}

impl<'a> Start<'a> {
    /// Returns where the kind ends, how many entries the envelope has, and what came before.
    #[inline(always)]
    fn read(bytes: &'a [u8]) -> Result<(Decoder<'a>, u64, Start<'a>), EventError> {
        let mut decoder = Decoder::new(bytes);
        let entries = decoder.map()?;
        if entries != 10 && entries != 11 {
            return Err(EventError::Shape("an envelope has 10 or 11 entries"));
        }
        key(&mut decoder, 0)?;
        let format = decoder.uint()?;
        if format != FORMAT {
            return Err(EventError::Format(format));
        }
        key(&mut decoder, 1)?;
        let stream = StreamId(decoder.array_of()?);
        key(&mut decoder, 2)?;
        let sequence = decoder.uint()?;
        key(&mut decoder, 3)?;
        let previous = crate::id::Digest(decoder.array_of()?);
        key(&mut decoder, 4)?;
        let offset = decoder.offset();
        if decoder.array()? != 2 {
            return Err(CborError { offset, problem: Problem::Expected("stamp") }.into());
        }
        let stamp = Stamp { ms: decoder.uint()?, counter: decoder.uint()? };
        key(&mut decoder, 5)?;
        let actor = decoder.skip()?;
        key(&mut decoder, 6)?;
        let input = decoder.uint()?;
        key(&mut decoder, 7)?;
        let code = decoder.uint()?;
        let schema = schema_of(code).ok_or(EventError::Kind(code))?;
        Ok((decoder, entries, Start { stream, sequence, previous, stamp, actor, input, schema }))
    }
}

/// Reads past the key that must be next, which is below 24.
#[inline(always)]
fn key(decoder: &mut Decoder<'_>, expected: u64) -> Result<(), CborError> {
    if decoder.passes(expected) { Ok(()) } else { Err(other_key(decoder, expected)) }
}

#[cold]
fn other_key(decoder: &Decoder<'_>, expected: u64) -> CborError {
    match decoder.clone().uint() {
        Ok(_) => decoder.error(Problem::MissingKey(expected)),
        Err(error) => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Digest;
    use crate::kind::{RunClosed, TimerFired};
    use crate::word::Verdict;

    #[test]
    fn what_is_chained_is_what_is_encoded_with_its_place_known() {
        for sequence in [0, 23, 24, 255, 256, 65_535, 65_536, 1 << 32, u64::MAX - 1] {
            for count in [None, Some(1), Some(23), Some(24), Some(300)] {
                let mut envelope = Envelope {
                    stream: StreamId([7; 16]),
                    sequence,
                    previous: EventId::default(),
                    stamp: Stamp { ms: 9, counter: 0 },
                    actor: Actor::Host,
                    input: sequence,
                    count: count.map(|_| 1),
                    body: TimerFired { subject: 3 }.into(),
                };
                let mut bytes = envelope.encode();
                chain(&mut bytes, Digest([5; 32]), count);
                (envelope.previous, envelope.count) = (Digest([5; 32]), count);
                assert_eq!(bytes, envelope.encode(), "{sequence} {count:?}");
            }
        }
    }

    #[test]
    fn a_glance_and_a_sight_say_what_a_view_says() {
        for (sequence, stream) in [(0, 1), (7, 2), (24, 0xaa), (1 << 40, 0)] {
            let input: Event = TimerFired { subject: 3 }.into();
            let decision = RunClosed { verdict: Verdict::Failed, reason: String::from("why") }.into();
            for body in [input, decision] {
                let is_input = body.schema().class == Class::Input;
                let (sequence, count) = if is_input { (sequence, Some(2)) } else { (sequence + 1, None) };
                let envelope = Envelope {
                    stream: StreamId([stream; 16]),
                    sequence,
                    previous: Digest([5; 32]),
                    stamp: Stamp { ms: 9, counter: 0 },
                    actor: if is_input { Actor::Host } else { Actor::Kernel },
                    input: if is_input { sequence } else { sequence - 1 },
                    count,
                    body,
                };
                let bytes = envelope.encode();
                assert_eq!(glance(&bytes), Some((envelope.stream, sequence == 0)));
                let wanted = envelope.body.schema().code;
                let Ok(Sight::View(view)) = View::read_if(&bytes, |kind| kind == wanted) else { panic!("wanted") };
                assert_eq!((view.sequence, view.body), (sequence, View::read(&bytes).expect("an event").body));
                let Ok(Sight::Passed { sequence: passed, previous }) = View::read_if(&bytes, |_| false) else {
                    panic!("not wanted")
                };
                assert_eq!((passed, previous), (sequence, envelope.previous));
                // What is cut off is read by neither.
                for end in 0..23 {
                    assert!(glance(&bytes[..end]).is_none_or(|(found, _)| found == envelope.stream && end > 21));
                    assert!(View::read_if(&bytes[..end], |_| false).is_err());
                }
            }
        }
        let mut other = [0; 30];
        other[..5].copy_from_slice(&[0xaa, 0, 2, 1, 0x50]);
        assert_eq!(glance(&other), None, "another format");
    }
}
