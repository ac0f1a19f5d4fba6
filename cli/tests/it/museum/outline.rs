//! What of a run is the same whenever it is driven: kinds, places, words, trees; no ids of runs, times, salts.

use loom_core::event::{Recorded, View};
use loom_core::id::hex;
use loom_core::schema::{Field, Scalar, Type};
use std::fmt::Write;

/// Words that name this run, this machine or this Loom, and measured times in words.
const LEFT_OUT: &[&str] = &["branch", "loom", "provider", "detail", "fence", "enforced", "facts"];
/// Bytes that do not depend on salts or on the run's id.
const KEPT: &[&str] = &["tree", "tree_before", "tree_after", "base_commit", "base_tree", "fingerprint"];
/// Bytes that are text to their readers.
const PATHS: &[&str] = &["path", "paths"];

/// Returns a line for each event.
pub(crate) fn outline(events: &[Recorded]) -> Vec<String> {
    events.iter().map(line).collect()
}

fn line(event: &Recorded) -> String {
    let view = View::read(&event.bytes).unwrap();
    let actor = view.actor().unwrap();
    // The run's branch stands in sentences, too.
    let run = hex(&view.stream.0[..4]);
    let by = if actor.id().is_empty() { String::new() } else { format!(" by {}", actor.id()) };
    let mut line = format!("#{} {}{by}", view.sequence, view.schema.name);
    for field in view.schema.fields.iter().filter(|field| is_kept(field)) {
        let Some(mut decoder) = view.field(field.key) else { continue };
        let (scalar, count) = match field.ty {
            Type::One(scalar) => (scalar, 1),
            Type::List(scalar) => (scalar, decoder.array().unwrap()),
        };
        write!(line, " {}=", field.name).unwrap();
        for _ in 0..count {
            match scalar {
                Scalar::Int => write!(line, "{},", decoder.uint().unwrap()),
                Scalar::Bool => write!(line, "{},", decoder.bool().unwrap()),
                Scalar::Text => write!(line, "{:?},", decoder.text().unwrap().replace(&run, "RUN")),
                Scalar::Bytes if PATHS.contains(&field.name) => {
                    write!(line, "{},", decoder.bytes().unwrap().escape_ascii())
                }
                Scalar::Bytes => write!(line, "{},", hex(decoder.bytes().unwrap())),
            }
            .unwrap();
        }
    }
    line
}

fn is_kept(field: &Field) -> bool {
    let (Type::One(scalar) | Type::List(scalar)) = field.ty;
    match scalar {
        Scalar::Int => !field.name.ends_with("_ms"),
        Scalar::Bool | Scalar::Text => !LEFT_OUT.contains(&field.name),
        Scalar::Bytes => KEPT.contains(&field.name) || PATHS.contains(&field.name),
    }
}
