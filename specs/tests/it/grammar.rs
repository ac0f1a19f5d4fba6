//! The grammars are read by a CDDL tool that knows nothing of us, and every vector is held against them.
//!
//! A grammar speaks of values, not of their spelling: what CBOR-2 refuses is a valid value, spelt otherwise. Nor can it
//! say how fields belong together. Those vectors are listed here, so that one more is noticed.

use crate::tree::root;
use cddl_cat::cbor::validate_cbor_bytes;
use serde_json::Value;
use std::fs;

/// Vectors that every reader refuses and that no grammar can.
const BEYOND_GRAMMAR: &[&str] = &[
    "a byte too many",
    "an integer in two bytes that fits into one",
    "an integer in nine bytes that fits into one",
    "a length in two bytes that fits into one",
    "envelope keys that do not ascend",
    "body keys that do not ascend",
    "a map of indefinite length",
    "an input whose commit has no event",
    "an input that names another input",
    "a record that is its own input",
    "agents that do not ascend",
    "an agent twice",
    "a claim and a byte",
    "keys that do not ascend",
    "a longer length than needed",
    "a list without an end",
];

fn text(name: &str) -> String {
    fs::read_to_string(root().join("specs").join(name)).expect("the file can be read")
}

fn unhex(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("bytes are written in hexadecimal");
    (0..digits.len()).step_by(2).map(digit).collect()
}

/// Holds each vector against the rule that it names, and collects those that only a reader refuses.
fn check(grammar: &str, vectors: &str, rule_of: impl Fn(&Value) -> String) -> Vec<String> {
    let grammar = text(grammar);
    let mut beyond = Vec::new();
    let mut accepted = 0;
    for line in text(vectors).lines() {
        let vector: Value = serde_json::from_str(line).expect("a vector is a JSON object");
        let word = |name: &str| vector[name].as_str().unwrap_or_default().to_string();
        let (name, rule) = (word("name"), rule_of(&vector));
        let told = validate_cbor_bytes(&rule, &grammar, &unhex(&word("bytes")));
        match (vector["refused"].is_null(), told) {
            (true, Ok(())) => accepted += 1,
            (true, Err(error)) => panic!("{name} is not a {rule}: {error}"),
            (false, Ok(())) => beyond.push(name),
            (false, Err(_)) => {}
        }
    }
    assert!(accepted > 0, "{vectors} has valid vectors");
    beyond
}

#[test]
fn every_vector_is_what_its_grammar_says() {
    let mut beyond =
        check("events.cddl", "vectors/events.jsonl", |vector| vector["kind"].as_str().unwrap_or("event").to_string());
    beyond.extend(check("blobs.cddl", "vectors/blobs.jsonl", |vector| {
        vector["rule"].as_str().expect("a blob names its rule").to_string()
    }));
    assert_eq!(beyond, BEYOND_GRAMMAR, "vectors that a grammar accepts and a reader refuses");
}

#[test]
fn an_event_of_any_kind_is_an_event() {
    check("events.cddl", "vectors/events.jsonl", |_| "event".to_string());
    check("blobs.cddl", "vectors/blobs.jsonl", |_| "blob".to_string());
}

#[test]
fn every_receipt_that_holds_is_of_the_grammar() {
    let grammar = text("receipts.cddl");
    let magic = b"loom-receipt\n";
    let mut held = 0;
    for line in text("vectors/receipts.jsonl").lines() {
        let vector: Value = serde_json::from_str(line).expect("a vector is a JSON object");
        let bytes = unhex(vector["receipt"].as_str().expect("a receipt is in hexadecimal"));
        if vector["refused"].is_null() {
            let item = bytes.strip_prefix(magic).expect("a receipt begins with its magic");
            validate_cbor_bytes("receipt", &grammar, item)
                .unwrap_or_else(|error| panic!("{}: {error}", vector["name"]));
            held += 1;
        }
    }
    assert!(held > 10, "there are receipts that hold");
}
