//! A field of an event in words, equal for equal values.

use loom_core::cbor::Decoder;
use loom_core::event::View;
use loom_core::id::hex;
use loom_core::schema::{Field, Scalar, Type};

/// Returns a field's value: bytes as hexadecimal digits, paths as text, a list in brackets; `None` where it is absent.
pub(crate) fn text(view: &View<'_>, field: &Field) -> Option<String> {
    let is_path = matches!(field.name, "path" | "paths");
    let mut decoder = match (view.field(field.key), field.ty) {
        (Some(decoder), _) => decoder,
        // An empty list is written by leaving it out (SCHEMA-1).
        (None, Type::List(_)) => return Some("[]".to_string()),
        (None, Type::One(_)) => return None,
    };
    match field.ty {
        Type::One(kind) => scalar(&mut decoder, kind, is_path),
        Type::List(kind) => {
            let count = decoder.array().ok()?;
            let items: Option<Vec<String>> = (0..count).map(|_| scalar(&mut decoder, kind, is_path)).collect();
            Some(format!("[{}]", items?.join(", ")))
        }
    }
}

fn scalar(decoder: &mut Decoder<'_>, kind: Scalar, is_path: bool) -> Option<String> {
    Some(match kind {
        Scalar::Int => decoder.uint().ok()?.to_string(),
        Scalar::Bool => decoder.bool().ok()?.to_string(),
        Scalar::Text => decoder.text().ok()?.to_string(),
        Scalar::Bytes if is_path => String::from_utf8_lossy(decoder.bytes().ok()?).into_owned(),
        Scalar::Bytes => hex(decoder.bytes().ok()?),
    })
}
