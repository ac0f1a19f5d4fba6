//! `specs/vectors/events.jsonl`: events that every reader accepts, and bytes that every reader refuses, with the law
//! that they break. Written by hand-made encoding, so that the codec is checked against something else than itself.

use crate::cddl::generated;
use loom_core::cbor::{Encoder, Problem};
use loom_core::event::{Envelope, EventError, FORMAT};
use loom_core::id::{EventHasher, hex};
use loom_core::kind::KINDS;
use loom_core::schema::{Class, Field, KindSchema, Scalar, Type};
use std::fmt::Write;

#[test]
fn every_vector_is_read_or_refused_as_it_says() {
    let mut text = String::new();
    for kind in KINDS {
        for (name, all) in [("all fields", true), ("required fields", false)] {
            let bytes = Event::of(kind, all).bytes();
            let event = Envelope::decode(&bytes).unwrap_or_else(|error| panic!("{} with {name}: {error}", kind.name));
            assert_eq!(event.encode(), bytes, "{} with {name} is written as it was read", kind.name);
            assert_eq!(event.body.schema().name, kind.name);
            let id = EventHasher::default().id(&bytes);
            writeln!(
                text,
                r#"{{"name": "{}, {name}", "bytes": "{}", "kind": "{}", "id": "{id}"}}"#,
                kind.name,
                hex(&bytes),
                kind.name
            )
            .expect("a string takes all");
        }
    }
    for (name, law, bytes) in refused() {
        let error = Envelope::decode(&bytes).expect_err(name);
        assert_eq!(law_of(&error), law, "{name}: {error}");
        writeln!(text, r#"{{"name": "{name}", "bytes": "{}", "refused": "{law}"}}"#, hex(&bytes))
            .expect("a string takes all");
    }
    generated("vectors/events.jsonl", &text);
}

/// Returns the law that an error speaks of.
pub(crate) fn law_of(error: &EventError) -> &'static str {
    match error {
        EventError::Format(_) | EventError::Kind(_) | EventError::Version { .. } => "KIND-2",
        EventError::Shape(_) => "COMMIT-1",
        EventError::Cbor(error) => match error.problem {
            Problem::Foreign => "CBOR-1",
            Problem::Truncated | Problem::NotShortest | Problem::Utf8 | Problem::KeyOrder | Problem::Trailing => {
                "CBOR-2"
            }
            Problem::Depth => "CBOR-3",
            Problem::Expected(what) if what.contains("SCHEMA-1") => "SCHEMA-1",
            Problem::Expected(_) | Problem::Range(_) => "SCHEMA-4",
            Problem::UnknownKey(_) | Problem::MissingKey(_) => "SCHEMA-3",
        },
    }
}

/// An event in parts, each an encoded item.
#[derive(Clone)]
struct Event {
    entries: Vec<(u64, Vec<u8>)>,
}

impl Event {
    fn of(kind: &KindSchema, all: bool) -> Self {
        let is_input = kind.class == Class::Input;
        let mut entries = vec![
            (0, item(|e| e.uint(FORMAT))),
            (1, item(|e| e.bytes(&[0x11; 16]))),
            (2, item(|e| e.uint(7))),
            (3, item(|e| e.bytes(&[0x22; 32]))),
            (4, item(|e| numbers(e, &[1_700_000_000_000, 3]))),
            (5, item(|e| numbers(e, &[u64::from(is_input)]))),
            (6, item(|e| e.uint(if is_input { 7 } else { 6 }))),
            (7, item(|e| e.uint(kind.code))),
            (8, item(|e| e.uint(kind.version))),
            (9, body(kind, all)),
        ];
        if is_input {
            entries.push((10, item(|e| e.uint(2))));
        }
        Event { entries }
    }

    fn named(name: &str, all: bool) -> Self {
        Self::of(KINDS.iter().find(|kind| kind.name == name).expect("the kind is known"), all)
    }

    fn with(mut self, key: u64, value: Vec<u8>) -> Self {
        self.entries.retain(|(found, _)| *found != key);
        let place = self.entries.partition_point(|(found, _)| *found < key);
        self.entries.insert(place, (key, value));
        self
    }

    fn without(mut self, key: u64) -> Self {
        self.entries.retain(|(found, _)| *found != key);
        self
    }

    fn bytes(&self) -> Vec<u8> {
        map(&self.entries)
    }
}

fn item(write: impl FnOnce(&mut Encoder)) -> Vec<u8> {
    let mut encoder = Encoder::default();
    write(&mut encoder);
    encoder.finish()
}

fn numbers(e: &mut Encoder, values: &[u64]) {
    e.array(values.len());
    values.iter().for_each(|value| e.uint(*value));
}

fn map(entries: &[(u64, Vec<u8>)]) -> Vec<u8> {
    item(|e| {
        e.map(entries.len());
        for (key, value) in entries {
            e.uint(*key);
            e.raw(value);
        }
    })
}

fn body(kind: &KindSchema, all: bool) -> Vec<u8> {
    let entries: Vec<(u64, Vec<u8>)> = kind
        .fields
        .iter()
        .filter(|field| all || !(field.optional || matches!(field.ty, Type::List(_))))
        .map(|field| (field.key, value(field)))
        .collect();
    map(&entries)
}

fn value(field: &Field) -> Vec<u8> {
    let one = |e: &mut Encoder, scalar| match scalar {
        Scalar::Int => e.uint(300 + field.key),
        Scalar::Bool => e.bool(true),
        Scalar::Text => {
            e.text(field.words.map_or(&field.name[..field.name.len().min(field.bytes_max)], |words| words[0]))
        }
        Scalar::Bytes => e.bytes(&vec![0x33; field.size.unwrap_or(20).min(field.bytes_max)]),
    };
    item(|e| match field.ty {
        Type::One(scalar) => one(e, scalar),
        Type::List(scalar) => {
            e.array(2);
            one(e, scalar);
            one(e, scalar);
        }
    })
}

/// Returns bytes that are no event, the law they break, and what is wrong in words.
fn refused() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let steered = || Event::named("run.steered", true);
    let verdict = || Event::named("verdict.given", true);
    let changed = || Event::named("paths.changed", true);
    let body_of = |entries: &[(u64, Vec<u8>)]| steered().with(9, map(entries)).bytes();
    let request = || (0, item(|e| e.bytes(b"r")));
    let note = || (1, item(|e| e.bytes(&[0x33; 32])));
    let deep = vec![0x81; 40].into_iter().chain([0]).collect::<Vec<u8>>();
    let plain = steered().bytes();
    let swapped = {
        let mut event = steered();
        event.entries.swap(1, 2);
        event.bytes()
    };
    let twice = {
        let mut event = steered();
        event.entries[2] = event.entries[1].clone();
        event.bytes()
    };
    let verdict_body = |key: u64, value: Vec<u8>| {
        let kind = KINDS.iter().find(|kind| kind.name == "verdict.given").expect("the kind is known");
        let mut entries: Vec<_> = kind.fields.iter().map(|field| (field.key, self::value(field))).collect();
        entries[usize::try_from(key).expect("a small key")].1 = value;
        verdict().with(9, map(&entries)).bytes()
    };
    vec![
        ("nothing", "CBOR-2", Vec::new()),
        ("cut off before the last byte", "CBOR-2", plain[..plain.len() - 1].to_vec()),
        ("a byte too many", "CBOR-2", [plain.as_slice(), &[0]].concat()),
        ("an integer in two bytes that fits into one", "CBOR-2", steered().with(2, vec![0x18, 7]).bytes()),
        (
            "an integer in nine bytes that fits into one",
            "CBOR-2",
            steered().with(2, vec![0x1b, 0, 0, 0, 0, 0, 0, 0, 7]).bytes(),
        ),
        ("a length in two bytes that fits into one", "CBOR-2", body_of(&[(0, vec![0x58, 1, b'r']), note()])),
        ("envelope keys that do not ascend", "SCHEMA-3", swapped),
        ("an envelope key twice", "SCHEMA-3", twice),
        ("body keys that do not ascend", "CBOR-2", body_of(&[note(), request()])),
        ("a body key twice", "CBOR-2", body_of(&[request(), request()])),
        ("text that is not UTF-8", "CBOR-2", verdict_body(1, vec![0x61, 0xff])),
        (
            "a length beyond the end",
            "CBOR-2",
            body_of(&[request(), (1, vec![0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])]),
        ),
        ("a float", "CBOR-1", steered().with(2, vec![0xfb, 0x40, 0x1c, 0, 0, 0, 0, 0, 0]).bytes()),
        ("a half float", "CBOR-1", steered().with(2, vec![0xf9, 0x47, 0]).bytes()),
        ("a negative integer", "CBOR-1", steered().with(2, vec![0x20]).bytes()),
        ("null for an absent field", "CBOR-1", body_of(&[request(), (1, vec![0xf6])])),
        ("undefined", "CBOR-1", body_of(&[request(), (1, vec![0xf7])])),
        ("a tag", "CBOR-1", steered().with(2, vec![0xc1, 7]).bytes()),
        ("a byte string of indefinite length", "CBOR-1", body_of(&[request(), (1, vec![0x5f, 0x41, 0, 0xff])])),
        ("a map of indefinite length", "CBOR-1", [&[0xbf][..], &plain[1..], &[0xff]].concat()),
        ("nesting of forty arrays", "CBOR-3", body_of(&[request(), (1, deep)])),
        ("an empty list that is written", "SCHEMA-1", changed().with(9, map(&[(0, vec![7]), (1, vec![0x80])])).bytes()),
        ("a body key that the kind lacks", "SCHEMA-3", body_of(&[request(), note(), (23, vec![0])])),
        ("a body key beyond all kinds", "SCHEMA-3", body_of(&[request(), note(), (1_000, vec![0])])),
        ("a required field that is absent", "SCHEMA-3", body_of(&[request()])),
        ("an envelope without a stamp", "COMMIT-1", verdict().without(4).bytes()),
        ("a text where an integer belongs", "SCHEMA-4", verdict_body(0, vec![0x61, b'7'])),
        ("an integer where a boolean belongs", "SCHEMA-4", verdict_body(3, vec![1])),
        ("a digest of 31 bytes", "SCHEMA-4", body_of(&[request(), (1, item(|e| e.bytes(&[0; 31])))])),
        ("a stream of 15 bytes", "SCHEMA-4", steered().with(1, item(|e| e.bytes(&[0; 15]))).bytes()),
        ("a stamp of three numbers", "SCHEMA-4", steered().with(4, item(|e| numbers(e, &[1, 2, 3]))).bytes()),
        ("a text longer than its field", "SCHEMA-4", verdict_body(1, item(|e| e.text(&"x".repeat(41))))),
        ("a word outside of its vocabulary", "SCHEMA-4", {
            let kind = KINDS.iter().find(|kind| kind.name == "run.closed").expect("the kind is known");
            Event::of(kind, true)
                .with(9, map(&[(0, item(|e| e.text("perfect"))), (1, item(|e| e.text("why")))]))
                .bytes()
        }),
        ("an actor that nobody is", "SCHEMA-4", steered().with(5, item(|e| numbers(e, &[3]))).bytes()),
        ("a newer envelope", "KIND-2", steered().with(0, item(|e| e.uint(FORMAT + 1))).bytes()),
        ("a kind that is not known", "KIND-2", steered().with(7, item(|e| e.uint(9_999))).bytes()),
        ("a newer version of a kind", "KIND-2", steered().with(8, item(|e| e.uint(99))).bytes()),
        ("a version before the first", "KIND-2", steered().with(8, item(|e| e.uint(0))).bytes()),
        ("an input that does not count its commit", "COMMIT-1", steered().without(10).bytes()),
        ("an input whose commit has no event", "COMMIT-1", steered().with(10, vec![0]).bytes()),
        ("an input that names another input", "COMMIT-1", steered().with(6, vec![6]).bytes()),
        ("an input of the kernel", "COMMIT-1", steered().with(5, item(|e| numbers(e, &[0]))).bytes()),
        ("a record that counts a commit", "COMMIT-1", verdict().with(10, vec![2]).bytes()),
        ("a record that is its own input", "COMMIT-1", verdict().with(6, vec![7]).bytes()),
        ("a record of the host", "COMMIT-1", verdict().with(5, item(|e| numbers(e, &[1]))).bytes()),
    ]
}
