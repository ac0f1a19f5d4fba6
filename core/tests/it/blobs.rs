//! `specs/vectors/blobs.jsonl`: the contents of blobs that core reads, written by hand, and contents that it refuses,
//! with the law they break. The layouts are in `specs/blobs.cddl`.

use crate::cddl::generated;
use crate::plain::{array, boolean, bytes, hex, map, text, uint};
use loom_core::answer::{Claim, Recipe, decode_checks, decode_delta, encode_checks, encode_delta};
use loom_core::cbor::CborError;
use loom_core::process::Bundle;
use std::fmt::Write;

/// Reads a content as what it is said to be and writes it again.
fn read(rule: &str, content: &[u8]) -> Result<Vec<u8>, CborError> {
    match rule {
        "bundle" => Bundle::decode(content).map(|bundle| bundle.encode()),
        "recipe" => Recipe::decode(content).map(|recipe| recipe.encode()),
        "claim" => Claim::decode(content).map(|claim| claim.encode()),
        "delta" => decode_delta(content).map(|delta| encode_delta(&delta)),
        "checks" => decode_checks(content).map(|checks| encode_checks(&checks)),
        other => panic!("there is no blob `{other}`"),
    }
}

fn texts(items: &[&str]) -> Vec<u8> {
    array(&items.iter().map(|item| text(item)).collect::<Vec<_>>())
}

fn agent(name: &str, kind: u64) -> Vec<u8> {
    let words = [texts(&["approve"]), texts(&["request-changes"])].concat();
    let head = [text(name), uint(kind), bytes(&[1; 32]), bytes(&[2; 32]), text("small")].concat();
    [vec![0x8a], head, words, uint(1000), uint(5000), uint(60_000)].concat()
}

fn stage(kind: Vec<u8>, when: &[&str], on_refused: u64) -> Vec<u8> {
    array(&[text("implement"), text("build"), kind, texts(when), texts(&["implement"]), uint(on_refused)])
}

fn bundle_entries() -> Vec<(u64, Vec<u8>)> {
    let kinds = [
        array(&[uint(0), text("coder"), texts(&["expert"])]),
        array(&[uint(0), text("coder"), texts(&[])]),
        array(&[uint(1), texts(&["logic", "safety"])]),
        array(&[uint(2), text("final")]),
        array(&[uint(3), texts(&["test"])]),
        array(&[uint(4)]),
    ];
    let stages: Vec<Vec<u8>> = kinds
        .into_iter()
        .enumerate()
        .map(|(n, kind)| stage(kind, if n == 0 { &["true"] } else { &[] }, n as u64 % 3))
        .collect();
    let flow = array(&[text("main"), boolean(true), texts(&["logic"]), texts(&["test"]), array(&stages)]);
    let role = array(&[text("final"), text("human"), uint(86_400_000), text("abandoned"), texts(&["true"])]);
    let agents: Vec<Vec<u8>> =
        ["a", "coder", "logic", "z"].iter().zip(0..).map(|(name, kind)| agent(name, kind)).collect();
    vec![
        (0, text("made")),
        (1, uint(1)),
        (2, array(&agents)),
        (3, array(&[role])),
        (4, array(&[flow])),
        (5, texts(&["a"])),
        (6, text("main")),
        (7, array(&(1..=9).map(uint).collect::<Vec<_>>())),
    ]
}

fn recipe_entries() -> Vec<(u64, Vec<u8>)> {
    vec![
        (0, bytes(&[1; 32])),
        (1, bytes(&[2; 32])),
        (2, array(&[bytes(&[3; 32])])),
        (3, array(&[array(&[text("architect"), bytes(&[4; 32])])])),
        (4, array(&[uint(7), uint(300)])),
        (5, bytes(&[5; 20])),
        (6, bytes(&[6; 20])),
    ]
}

fn found(more: &[(u64, Vec<u8>)]) -> Vec<(u64, Vec<u8>)> {
    let mut entries = vec![(0, text("blocking")), (1, text("path-escape")), (4, text("a path leads out"))];
    entries.extend_from_slice(more);
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn claim(findings: &[Vec<u8>]) -> Vec<(u64, Vec<u8>)> {
    vec![(2, array(findings)), (3, text("done"))]
}

fn without(entries: Vec<(u64, Vec<u8>)>, key: u64) -> Vec<(u64, Vec<u8>)> {
    entries.into_iter().filter(|(found, _)| *found != key).collect()
}

fn with(entries: Vec<(u64, Vec<u8>)>, key: u64, value: Vec<u8>) -> Vec<(u64, Vec<u8>)> {
    let mut entries = without(entries, key);
    entries.push((key, value));
    entries.sort_by_key(|(key, _)| *key);
    entries
}

fn pair(path: &[u8], how: &str) -> Vec<u8> {
    array(&[bytes(path), text(how)])
}

fn good() -> Vec<(&'static str, &'static str, Vec<u8>)> {
    let all = [(2, bytes(b"src/\xff.rs")), (3, uint(7)), (5, text("line 7"))];
    let chosen =
        [vec![(0, text("main")), (1, text("approve"))], claim(&[map(&found(&[])), map(&found(&all))])].concat();
    vec![
        ("every kind of stage and agent", "bundle", map(&bundle_entries())),
        ("all parts", "recipe", map(&with(recipe_entries(), 7, bytes(&[7; 32])))),
        ("no optional part", "recipe", map(&recipe_entries())),
        ("empty lists are written", "recipe", {
            let entries = with(with(with(recipe_entries(), 2, array(&[])), 3, array(&[])), 4, array(&[]));
            map(&entries)
        }),
        ("all fields", "claim", map(&chosen)),
        ("no optional field", "claim", map(&claim(&[]))),
        ("two paths", "delta", array(&[pair(b"a", "added"), pair(b"src/\xff.rs", "modified")])),
        ("nothing changed", "delta", array(&[])),
        (
            "two commands",
            "checks",
            array(&[
                array(&[text("lint"), texts(&["cargo", "clippy"])]),
                array(&[text("test"), texts(&["./test.sh"])]),
            ]),
        ),
        ("none", "checks", array(&[])),
    ]
}

fn bad() -> Vec<(&'static str, &'static str, &'static str, Vec<u8>)> {
    let bundle = || bundle_entries();
    let unsorted = array(&[agent("z", 0), agent("a", 1)]);
    let twice = array(&[agent("a", 0), agent("a", 1)]);
    let foreign = [map(&claim(&[])), vec![0]].concat();
    let many: Vec<Vec<u8>> = (0..201).map(|_| map(&found(&[]))).collect();
    let with_role = |role: Vec<u8>| map(&with(bundle_entries(), 3, array(&[role])));
    vec![
        ("a bundle without limits", "bundle", "SCHEMA-3", map(&without(bundle(), 7))),
        ("a bundle with a key too many", "bundle", "SCHEMA-3", map(&with(bundle(), 8, uint(0)))),
        ("agents that do not ascend", "bundle", "BLOB-2", map(&with(bundle(), 2, unsorted))),
        ("an agent twice", "bundle", "BLOB-2", map(&with(bundle(), 2, twice))),
        (
            "an agent of a kind that is not known",
            "bundle",
            "SCHEMA-4",
            map(&with(bundle(), 2, array(&[agent("a", 4)]))),
        ),
        (
            "a policy that is not known",
            "bundle",
            "SCHEMA-4",
            with_role(array(&[text("final"), text("never"), uint(1), text("abandoned"), texts(&[])])),
        ),
        ("eight limits", "bundle", "SCHEMA-4", map(&with(bundle(), 7, array(&(1..=8).map(uint).collect::<Vec<_>>())))),
        ("two classifiers", "bundle", "SCHEMA-4", map(&with(bundle(), 5, texts(&["a", "b"])))),
        ("a recipe without a tree", "recipe", "SCHEMA-3", map(&without(recipe_entries(), 6))),
        ("a recipe without its list of notes", "recipe", "SCHEMA-3", map(&without(recipe_entries(), 2))),
        ("a recipe with a key too many", "recipe", "SCHEMA-3", map(&with(recipe_entries(), 8, uint(0)))),
        ("a template of 31 bytes", "recipe", "SCHEMA-4", map(&with(recipe_entries(), 0, bytes(&[1; 31])))),
        (
            "advice of nobody",
            "recipe",
            "SCHEMA-4",
            map(&with(recipe_entries(), 3, array(&[array(&[bytes(&[4; 32])])]))),
        ),
        ("a claim without a summary", "claim", "SCHEMA-3", map(&without(claim(&[]), 3))),
        ("a claim without its list of findings", "claim", "SCHEMA-3", map(&without(claim(&[]), 2))),
        ("a finding without a severity", "claim", "SCHEMA-3", map(&claim(&[map(&without(found(&[]), 0))]))),
        ("a finding with a status", "claim", "SCHEMA-3", map(&claim(&[map(&found(&[(6, text("resolved"))]))]))),
        ("more findings than are taken", "claim", "SCHEMA-4", map(&claim(&many))),
        ("a line that is text", "claim", "SCHEMA-4", map(&claim(&[map(&found(&[(3, text("7"))]))]))),
        ("a claim and a byte", "claim", "CBOR-2", foreign),
        ("keys that do not ascend", "claim", "CBOR-2", map(&[(3, text("done")), (2, array(&[]))])),
        ("null for no verdict", "claim", "CBOR-1", map(&[(1, vec![0xf6]), (2, array(&[])), (3, text("done"))])),
        ("a path without what happened", "delta", "SCHEMA-4", array(&[array(&[bytes(b"a")])])),
        ("a path that is text", "delta", "SCHEMA-4", array(&[array(&[text("a"), text("added")])])),
        ("a longer length than needed", "delta", "CBOR-2", vec![0x98, 0]),
        ("a list without an end", "delta", "CBOR-1", vec![0x9f, 0xff]),
        ("a length beyond the end", "delta", "CBOR-2", vec![0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (
            "a command that a shell would read",
            "checks",
            "SCHEMA-4",
            array(&[array(&[text("test"), text("./test.sh")])]),
        ),
    ]
}

#[test]
fn every_blob_is_read_or_refused_as_it_says() {
    let mut lines = String::new();
    for (name, rule, content) in good() {
        let again = read(rule, &content).unwrap_or_else(|error| panic!("{rule}, {name}: {error}"));
        assert_eq!(again, content, "{rule}, {name} is written as it was read");
        writeln!(lines, r#"{{"name": "{name}", "rule": "{rule}", "bytes": "{}"}}"#, hex(&content))
            .expect("a string takes all");
    }
    for (name, rule, law, content) in bad() {
        let error = read(rule, &content).expect_err(name);
        let found = match error.problem {
            // Names of a bundle are not keys of a map, but they ascend like them.
            loom_core::cbor::Problem::KeyOrder if rule == "bundle" => "BLOB-2",
            _ => crate::vectors::law_of(&error.into()),
        };
        assert_eq!(found, law, "{rule}, {name}");
        writeln!(lines, r#"{{"name": "{name}", "rule": "{rule}", "bytes": "{}", "refused": "{law}"}}"#, hex(&content))
            .expect("a string takes all");
    }
    generated("vectors/blobs.jsonl", &lines);
}

#[test]
fn text_is_clipped_between_characters() {
    let table = [("añb", 4, "añb"), ("añb", 3, "añ"), ("añb", 2, "a"), ("añb", 1, "a"), ("añb", 0, ""), ("🧵", 3, "")];
    for (text, max, expected) in table {
        assert_eq!(loom_core::answer::clip(text, max), expected, "{text} to {max}");
    }
}

#[test]
fn a_claim_has_at_most_200_findings() {
    for (count, is_read) in [(200, true), (201, false)] {
        let content = map(&claim(&vec![map(&found(&[])); count]));
        assert_eq!(Claim::decode(&content).map(|claim| claim.findings.len()).ok(), is_read.then_some(count));
    }
}
