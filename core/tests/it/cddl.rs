//! `specs/events.cddl` is what the table of kinds says, in the words of RFC 8610.
//!
//! `LOOM_UPDATE=1 cargo test -p loom-core` writes it anew.

use loom_core::event::FORMAT;
use loom_core::kind::KINDS;
use loom_core::schema::{Class, Field, KindSchema, Scalar, Type};
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Returns a file of `specs/`.
fn specs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../specs").join(name)
}

/// Compares a generated file with what is in the tree, or writes it.
#[track_caller]
pub(crate) fn generated(name: &str, text: &str) {
    let path = specs(name);
    if std::env::var_os("LOOM_UPDATE").is_some() {
        std::fs::write(&path, text).expect("the file can be written");
        return;
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "specs/{name} is not what core says; write it anew with LOOM_UPDATE=1");
}

#[test]
fn grammar_of_events_is_the_table_of_kinds() {
    generated("events.cddl", &grammar());
}

fn grammar() -> String {
    let mut text = format!(
        "; Events of Loom, envelope format {FORMAT}. Laws: events.md.\n\
         ; Generated from the table of kinds in core/src/kind.rs; `LOOM_UPDATE=1 cargo test -p loom-core` writes it.\n\
         ; The encoding is deterministic (CBOR-2), so every event has exactly one spelling.\n\nevent = input / record / decision\n\n"
    );
    for class in [Class::Input, Class::Record, Class::Decision] {
        let names: Vec<&str> = KINDS.iter().filter(|kind| kind.class == class).map(|kind| kind.name).collect();
        let lines = names.iter().map(|name| format!("  / {name}")).collect::<Vec<_>>().join("\n");
        writeln!(text, "{} =\n{}\n", class.word(), lines.replacen("  / ", "    ", 1)).expect("a string takes all");
    }
    text.push_str(
        "stream = bytes .size 16\n\
         digest = bytes .size 32\n\
         stamp = [ms: uint, counter: uint]\n\
         kernel = [0]\n\
         host = [1]\n\
         person = [2, id: text, assurance: 0..2, ? descends: uint]\n\
         actor = kernel / host / person\n\n",
    );
    for kind in KINDS {
        kind_rule(kind, &mut text);
    }
    text
}

fn kind_rule(kind: &KindSchema, text: &mut String) {
    let (actor, count) = match kind.class {
        Class::Input => ("host / person", "  10 => uint,           ; events in the commit, this one counted\n"),
        Class::Record | Class::Decision => ("kernel", ""),
    };
    write!(
        text,
        "{} = {{\n  0 => {FORMAT},\n  1 => stream,\n  2 => uint,            ; sequence\n  3 => digest,          ; id of the event before\n  4 => stamp,\n  5 => {actor},\n  6 => uint,            ; sequence of the input\n  7 => {},\n  8 => {},\n  9 => {{\n",
        kind.name, kind.code, kind.version
    )
    .expect("a string takes all");
    for field in kind.fields {
        let optional = if field.optional || matches!(field.ty, Type::List(_)) { "? " } else { "" };
        let since = if field.since > 1 { format!(", since version {}", field.since) } else { String::new() };
        writeln!(text, "    {optional}{} => {}, ; {}{since}", field.key, value(field), field.name)
            .expect("a string takes all");
    }
    write!(text, "  }},\n{count}}}\n\n").expect("a string takes all");
}

fn value(field: &Field) -> String {
    let one = match (field.words, field.size, scalar(field)) {
        (Some(words), _, _) => words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" / "),
        (None, Some(32), _) => "digest".into(),
        (None, Some(size), _) => format!("bytes .size {size}"),
        (None, None, Scalar::Int) => "uint".into(),
        (None, None, Scalar::Bool) => "bool".into(),
        (None, None, Scalar::Text) => format!("text .size (0..{})", field.bytes_max),
        (None, None, Scalar::Bytes) => format!("bytes .size (0..{})", field.bytes_max),
    };
    match field.ty {
        Type::One(_) => one,
        Type::List(_) => format!("[1*{} {one}]", field.items_max),
    }
}

fn scalar(field: &Field) -> Scalar {
    match field.ty {
        Type::One(scalar) | Type::List(scalar) => scalar,
    }
}
