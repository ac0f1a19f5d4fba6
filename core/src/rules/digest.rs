//! Names a rule set by everything its meaning depends on (RULE-13): its text, the schema of exactly the kinds and
//! fields that it names, and the version of the language. Nothing else, so that neither a new kind nor a new
//! compiler renames it.

use super::LANGUAGE;
use crate::cbor::Encoder;
use crate::id::{Digest, digest};
use crate::schema::{Field, KindSchema, Scalar, Type};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;

/// Context of rule set digests (RULE-13).
const CONTEXT: &str = "loom 2026-11 rule set v1";

/// The kinds that a set names, and the fields it names of each; a name that the kind lacks counts as such.
pub(crate) type Named = BTreeMap<&'static str, (&'static KindSchema, BTreeSet<String>)>;

pub(crate) fn of(text: &str, named: &Named) -> Digest {
    let mut encoder = Encoder::with_capacity(text.len() + 1024);
    encoder.array(3);
    encoder.uint(LANGUAGE);
    encoder.text(text);
    encoder.array(named.len());
    for (name, (kind, fields)) in named {
        encoder.array(4);
        encoder.text(name);
        encoder.uint(kind.code);
        encoder.text(kind.class.word());
        encoder.array(fields.len());
        for field in fields {
            match kind.field(field) {
                Some(found) => schema(&mut encoder, found),
                None => {
                    encoder.array(1);
                    encoder.text(field);
                }
            }
        }
    }
    digest(CONTEXT, &[&encoder.finish()])
}

fn schema(encoder: &mut Encoder, field: &Field) {
    let (list, scalar) = match field.ty {
        Type::One(scalar) => (false, scalar),
        Type::List(scalar) => (true, scalar),
    };
    encoder.array(9);
    encoder.text(field.name);
    encoder.uint(field.key);
    encoder.bool(list);
    encoder.uint(match scalar {
        Scalar::Int => 0,
        Scalar::Bool => 1,
        Scalar::Text => 2,
        Scalar::Bytes => 3,
    });
    encoder.bool(field.optional);
    encoder.uint(field.bytes_max as u64);
    encoder.uint(field.items_max as u64);
    encoder.uint(field.since);
    let words = field.words.unwrap_or(&[]);
    encoder.array(words.len());
    words.iter().for_each(|word| encoder.text(word));
}
