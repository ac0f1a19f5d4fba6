//! `--json`: one versioned document a command; `--jsonl`: one object a line.

use crate::rig::Place;
use serde_json::Value;

#[test]
fn every_document_names_its_command_and_version() {
    let place = Place::usual();
    for (arguments, name) in [
        ("status", "status/1"),
        ("log", "log/1"),
        ("show @", "show/1"),
        ("show run:last", "show/1"),
        ("at @", "at/1"),
        ("verify", "verify/1"),
        ("rules list", "rules-list/1"),
        ("rules show floor", "rules-show/1"),
        ("rules test", "rules-test/1"),
        ("export run:last -o a.trace", "export/1"),
        ("backup a.backup", "backup/1"),
        ("gc", "gc/1"),
    ] {
        let ran = place.loom(&format!("{arguments} --json"));
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
        let document: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!(document["loom"], name);
        assert!(ran.out.starts_with("{\n  \"loom\": "), "{arguments}: the version comes first");
    }
}

#[test]
fn events_have_their_fields_by_their_names() {
    let place = Place::usual();
    let line = place.loom(&format!("show {} --json", place.first("finding.raised"))).out;
    let event = &serde_json::from_str::<Value>(&line).unwrap()["event"];
    let keys: Vec<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
    for key in ["actor", "body", "class", "id", "input", "kind", "position", "previous", "sequence", "stamp", "stream"]
    {
        assert!(keys.contains(&key), "{key}");
    }
    let body = &event["body"];
    assert_eq!(body["severity"], "blocking");
    assert_eq!(body["path"], "7372632fff2e7273");
    assert_eq!(body["path_text"], "src/\u{fffd}.rs");
    assert_eq!(body["line"], 7);
    assert_eq!(body["summary"], "a \u{1b}[31mpath\u{202e} leads out");
    // The order is that of the schema.
    let at = |name: &str| line.find(&format!("\"{name}\"")).unwrap();
    assert!(at("source") < at("agent") && at("agent") < at("origin") && at("origin") < at("severity"));
}

#[test]
fn lines_and_documents_hold_the_same_events() {
    let place = Place::usual();
    let lines: Vec<Value> =
        place.loom("log --jsonl").out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let document: Value = serde_json::from_str(&place.loom("log --json -n 0").out).unwrap();
    assert_eq!(document["events"].as_array().unwrap(), &lines);
    let some: Value = serde_json::from_str(&place.loom("log --json -n 5").out).unwrap();
    assert_eq!(some["events"].as_array().unwrap()[..], lines[lines.len() - 5..]);
    assert_eq!(some["left_out"], lines.len() as u64 - 5);
    let positions: Vec<u64> = lines.iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert_eq!(positions, (0..lines.len() as u64).collect::<Vec<_>>());
}

#[test]
fn a_refusal_is_told_whole() {
    let place = Place::usual();
    let shown: Value =
        serde_json::from_str(&place.loom(&format!("show {} --json", place.first("refused"))).out).unwrap();
    let refusal = &shown["refusal"];
    let kinds: Vec<&str> =
        refusal["proposal"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["gate.decided", "stage.entered", "merge.intended"]);
    let rule = &refusal["rules"][0];
    assert_eq!(rule["rule"], "floor/no-blocker");
    assert_eq!(rule["expression"], "size(facts.blockers) == 0");
    assert_eq!(rule["facts"][0]["cleared_by"][0], "remove finding.resolved, finding.waived");
}

#[test]
fn the_state_at_an_event_is_that_of_the_time() {
    let place = Place::usual();
    let at = |id: &str| serde_json::from_str::<Value>(&place.loom(&format!("at {id} --json")).out).unwrap();
    let refused = at(&place.first("refused"));
    assert_eq!(refused["findings"][0]["severity"], "blocking");
    assert_eq!(refused["verdict"], Value::Null);
    let closed = at(&place.first("run.closed"));
    assert_eq!(closed["verdict"], "accepted");
    assert_eq!(closed["findings"].as_array().unwrap().len(), 0);
    assert_eq!(closed["facts"][0]["fact"], "floor/blockers");
    assert_eq!(closed["facts"][0]["value"], "{}");
}
