//! Law ids tie code, documents and tests: an id that source names has its text in `specs/`, and an id that stands there
//! is named in source or in a test.

use crate::tree::{File, files, none};
use std::collections::{BTreeMap, BTreeSet};

/// Names of others' making that look like law ids.
const NO_LAWS: &[&str] = &["SHA", "UTF", "RFC", "ISO", "BLAKE", "CVE", "RUSTSEC"];

/// Returns the law ids in a text: capitals, a hyphen, a number.
fn ids(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    text.split(move |c: char| !is_part(c)).filter(|word| {
        word.split_once('-').is_some_and(|(family, number)| {
            family.len() >= 2
                && family.chars().all(|c| c.is_ascii_uppercase())
                && !NO_LAWS.contains(&family)
                && !number.is_empty()
                && number.chars().all(|c| c.is_ascii_digit())
        })
    })
}

fn is_law(file: &File) -> bool {
    file.is("md") && file.is_below("specs") && !file.is_below("specs/decisions")
}

#[test]
fn every_law_that_source_names_is_written_in_specs() {
    let files = files();
    let written: Vec<&str> = files
        .iter()
        .filter(|file| is_law(file))
        .flat_map(|file| ids(file.text.as_deref().unwrap_or_default()))
        .collect();
    let mut missing: BTreeMap<&str, &str> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is("rs") && file.path.contains("/src/")) {
        for id in ids(file.text.as_deref().unwrap_or_default()).filter(|id| !written.contains(id)) {
            missing.entry(id).or_insert(&file.path);
        }
    }
    none(missing.iter().map(|(id, path)| format!("{id}, named in {path}")).collect(), "laws without a text in specs/");
}

/// Says nothing of what is named beside the id; that is for who reads it.
#[test]
fn every_law_in_specs_is_named_in_source_or_in_a_test() {
    let files = files();
    let is_code = |file: &&File| file.is("rs") && !file.is_below("specs");
    let named: BTreeSet<&str> =
        files.iter().filter(is_code).flat_map(|file| ids(file.text.as_deref().unwrap_or_default())).collect();
    let mut written = BTreeMap::new();
    for file in files.iter().filter(|file| is_law(file)) {
        for id in ids(file.text.as_deref().unwrap_or_default()) {
            written.entry(id).or_insert(&file.path);
        }
    }
    assert!(written.len() > 100, "only {} laws were found", written.len());
    let nowhere = written.iter().filter(|(id, _)| !named.contains(*id));
    none(nowhere.map(|(id, path)| format!("{id} of {path}")).collect(), "laws that no source and no test names");
}

#[test]
fn ids_are_told_from_other_words() {
    let found: Vec<&str> = ids("(COMMIT-3), SHA-256, UTF-8, x-1, A-1, RULE-, `GATE-12`; STORE-7.").collect();
    assert_eq!(found, ["COMMIT-3", "GATE-12", "STORE-7"]);
}

/// The kernel's own laws are kept where it decides, or checked where it is explored.
#[test]
fn every_law_of_the_kernel_is_named_in_core_or_in_what_explores_it() {
    let files = files();
    let is_kernel = |file: &&File| {
        file.is("rs")
            && ["core/src", "fuzz/sim/src", "replay/src/moves.rs"].iter().any(|place| file.path.starts_with(place))
    };
    let named: BTreeSet<&str> =
        files.iter().filter(is_kernel).flat_map(|file| ids(file.text.as_deref().unwrap_or_default())).collect();
    let documents = files.iter().filter(|file| ["specs/events.md", "specs/process.md"].contains(&file.path.as_str()));
    let (mut defined, mut wrong) = (BTreeSet::new(), Vec::new());
    for file in documents {
        let text = file.text.as_deref().unwrap_or_default();
        for law in text.lines().filter_map(|line| line.strip_prefix("**")?.split([':', '*', ' ']).next()) {
            if !named.contains(law) {
                wrong.push(format!("{law} of {} is named nowhere there", file.path));
            }
            if !defined.insert(law) {
                wrong.push(format!("{law} stands twice"));
            }
        }
    }
    assert!(defined.len() > 40, "only {} laws were found", defined.len());
    none(wrong, "laws of the kernel that are kept nowhere, or twice");
}
