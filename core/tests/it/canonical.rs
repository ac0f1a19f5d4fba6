//! The reader accepts exactly what the writer writes. The oracle is ciborium: it reads more, and writes in the order
//! that it is given.

use ciborium::Value;
use loom_core::cbor::{DEPTH_MAX, Decoder, Encoder};
use loom_core::event::{Envelope, View};
use loom_core::id::Actor;
use loom_core::schema::Class;
use proptest::prelude::*;

/// Whether a value is of the data model (CBOR-1), with keys that ascend (CBOR-2).
fn is_ours(value: &Value, depth: usize) -> bool {
    depth <= DEPTH_MAX
        && match value {
            Value::Integer(number) => u64::try_from(*number).is_ok(),
            Value::Bytes(_) | Value::Text(_) | Value::Bool(_) => true,
            Value::Array(items) => items.iter().all(|item| is_ours(item, depth + 1)),
            Value::Map(entries) => {
                let keys: Vec<Option<u64>> =
                    entries.iter().map(|(key, _)| key.as_integer().and_then(|key| u64::try_from(key).ok())).collect();
                keys.iter().all(Option::is_some)
                    && keys.windows(2).all(|pair| pair[0] < pair[1])
                    && entries.iter().all(|(_, value)| is_ours(value, depth + 1))
            }
            _ => false,
        }
}

fn write(value: &Value, e: &mut Encoder) {
    match value {
        Value::Integer(number) => e.uint(u64::try_from(*number).expect("the value is ours")),
        Value::Bytes(bytes) => e.bytes(bytes),
        Value::Text(text) => e.text(text),
        Value::Bool(is) => e.bool(*is),
        Value::Array(items) => {
            e.array(items.len());
            items.iter().for_each(|item| write(item, e));
        }
        Value::Map(entries) => {
            e.map(entries.len());
            for (key, value) in entries {
                write(key, e);
                write(value, e);
            }
        }
        other => panic!("{other:?} is not ours"),
    }
}

fn oracle(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("a vector takes all");
    bytes
}

fn accepts(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(bytes);
    decoder.skip().is_ok() && decoder.finish().is_ok()
}

fn ours() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        prop_oneof![any::<u64>(), 0u64..30, 250u64..260, 65_530u64..65_540].prop_map(Value::from),
        proptest::collection::vec(any::<u8>(), 0..30).prop_map(Value::Bytes),
        ".{0,30}".prop_map(Value::Text),
        any::<bool>().prop_map(Value::Bool),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
            proptest::collection::btree_map(any::<u64>(), inner, 0..6).prop_map(|entries| {
                Value::Map(entries.into_iter().map(|(key, value)| (Value::from(key), value)).collect())
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn both_writers_write_the_same_and_the_reader_takes_it(value in ours()) {
        let bytes = oracle(&value);
        let mut encoder = Encoder::default();
        write(&value, &mut encoder);
        prop_assert_eq!(&encoder.finish(), &bytes);
        prop_assert!(accepts(&bytes));
    }

    #[test]
    fn bytes_are_accepted_exactly_when_they_are_canonical(
        value in ours(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 0..3),
    ) {
        let mut bytes = oracle(&value);
        for (index, byte, what) in edits {
            match what {
                0 if !bytes.is_empty() => { let at = index.index(bytes.len()); bytes[at] = byte; }
                1 => { let at = index.index(bytes.len() + 1); bytes.insert(at, byte); }
                _ if !bytes.is_empty() => { let at = index.index(bytes.len()); bytes.remove(at); }
                _ => {}
            }
        }
        let mut rest = bytes.as_slice();
        let read: Result<Value, _> = ciborium::from_reader(&mut rest);
        let canonical = rest.is_empty() && read.is_ok_and(|value| is_ours(&value, 0) && oracle(&value) == bytes);
        prop_assert_eq!(accepts(&bytes), canonical, "{:02x?}", bytes);
    }

    #[test]
    fn an_event_that_is_read_is_written_as_it_was(
        line in any::<prop::sample::Index>(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let vectors = include_str!("../../../specs/vectors/events.jsonl");
        let lines: Vec<&str> = vectors.lines().collect();
        let text = lines[line.index(lines.len())].split("\"bytes\": \"").nth(1).and_then(|rest| rest.split('"').next());
        let mut bytes = loom_core::id::unhex(text.expect("a vector has bytes")).expect("they are hexadecimal");
        for (index, byte) in edits {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = byte;
            }
        }
        let decoded = Envelope::decode(&bytes);
        let strict = View::read_strictly(&bytes);
        match &decoded {
            Ok(event) => {
                prop_assert_eq!(event.encode(), bytes.clone());
                prop_assert!(View::read(&bytes).is_ok());
                prop_assert!(strict.is_ok());
            }
            // All but the actor is checked alike.
            Err(error) => {
                let of_actor = strict.as_ref().is_ok_and(|view| match view.actor() {
                    Err(_) => true,
                    Ok(actor) => (view.schema.class == Class::Input) == (actor == Actor::Kernel),
                });
                prop_assert!(strict.is_err() || of_actor, "{} is not found: {:02x?}", error, bytes);
            }
        }
    }
}
