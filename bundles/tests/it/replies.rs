//! Answers are found where the prompt asks for them, and what is no answer says why.

use loom_bundles::{Schema, parse_answer};
use loom_core::answer::FINDINGS_MAX;

const SCHEMA: &str = r#"{"type": "object", "required": ["summary"], "properties": {
    "summary": {"type": "string", "minLength": 1},
    "findings": {"type": "array", "items": {"type": "object", "required": ["severity"]}}}}"#;

#[track_caller]
fn check(raw: &str, wanted: &str) {
    let told = match parse_answer(raw, &Schema::parse(SCHEMA).unwrap()) {
        Ok(claim) => claim.summary,
        Err(unusable) => unusable.to_string(),
    };
    assert_eq!(told, wanted);
}

#[test]
fn the_last_json_block_is_the_answer() {
    check("```json\n{\"summary\": \"a\"}\n```\nthen\n```json\n{\"summary\": \"b\"}\n```\nbye", "b");
    check("```sh\n{\"summary\": \"a\"}\n```\n```JSON\n{\"summary\": \"b\"}\n```\n```\nnot this\n```", "b");
    check("````\n```json\n{\"summary\": \"quoted\"}\n```\n````\n```json\n{\"summary\": \"b\"}\n```", "b");
    check("```json\n{\"summary\": \"```json\"}\n```", "```json");
    check("cut off:\n```json\n{\"summary\": \"a\"}", "a");
}

#[test]
fn without_a_block_the_whole_text_is_the_answer() {
    check("  {\"summary\": \"a\"}\n", "a");
}

#[test]
fn else_the_last_object_is_the_answer() {
    check("I say {\"summary\": \"a\"} and {\"summary\": \"b\", \"findings\": [{\"severity\": \"x\"}]}.", "b");
    check("fn main() { {\"summary\": \"a\"} }", "a");
}

#[test]
fn what_is_no_answer_says_why() {
    check("", "there is no JSON object in it");
    check("I am done. {", "there is no JSON object in it");
    check("```json\n[1]\n```", "the last json block is not an object");
    check(
        "{\"summary\": \"a\"}\n```json\n{oops}\n```",
        "the last json block is not valid JSON: key must be a string at line 1 column 2",
    );
    check("{}", "it does not fit the schema: \"summary\" is a required property");
    check("{\"summary\": 3}", "it does not fit the schema: at /summary: 3 is not of type \"string\"");
}

#[test]
fn too_many_findings_are_unusable() {
    let findings = vec!["{\"severity\": \"info\"}"; FINDINGS_MAX + 1].join(",");
    check(&format!("{{\"summary\": \"a\", \"findings\": [{findings}]}}"), "it has 201 findings; at most 200 are taken");
}

#[test]
fn hostile_output_ends_soon() {
    check(&"{".repeat(500_000), "there is no JSON object in it");
    check(&"{\"a\":".repeat(100_000), "there is no JSON object in it");
    check(&"```".repeat(300_000), "there is no JSON object in it");
    let raw = "x".repeat(5 * 1024 * 1024);
    check(&raw, "the output has 5242880 bytes; at most 4194304 are read");
}

#[test]
fn schemas_load_nothing_from_elsewhere() {
    for place in ["https://example.org/schema", "file:///etc/passwd"] {
        assert!(Schema::parse(&format!("{{\"$ref\": \"{place}\"}}")).is_err(), "{place}");
    }
}
