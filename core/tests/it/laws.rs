//! The laws of `events.md` and `process.md`: each is kept or checked somewhere, under its own id.
//!
//! The other way round, that an id named in source has its text, is a test of `specs/`.

use crate::cddl::specs;
use std::path::Path;

const DOCUMENTS: &[&str] = &["events.md", "process.md"];

/// Returns the ids that a document defines: lines that begin with `**ID-n`.
fn defined(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("**")?.split([':', '*', ' ']).next()).collect()
}

fn sources(folder: &Path, text: &mut String) {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    for entry in entries.map(|entry| entry.expect("the entry can be read").path()) {
        if entry.is_dir() {
            sources(&entry, text);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&entry).expect("source is UTF-8"));
        }
    }
}

#[test]
fn every_law_is_named_where_it_is_kept() {
    let mut source = String::new();
    for folder in ["core/src", "fuzz/sim/src"] {
        sources(&specs("..").join(folder), &mut source);
    }
    let mut laws = 0;
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(specs(document)).expect("the document is there");
        let mut seen = Vec::new();
        for law in defined(&text) {
            let after = |rest: &str| rest.chars().next().is_none_or(|next| !next.is_ascii_digit());
            let named = source.match_indices(law).any(|(at, _)| after(&source[at + law.len()..]));
            assert!(named, "{law} of {document} is named nowhere in core or the simulator");
            assert!(!seen.contains(&law), "{law} stands twice in {document}");
            seen.push(law);
        }
        laws += seen.len();
    }
    assert!(laws > 40, "only {laws} laws were found");
}
