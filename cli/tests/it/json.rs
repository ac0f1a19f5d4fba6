//! `--json`: one versioned document a command; `--jsonl`: one object a line.

use crate::made::Until;
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
        ("rules check", "rules-check/1"),
        ("rules explain floor", "rules-explain/1"),
        ("rules mutate", "rules-mutate/1"),
        ("export run:last -o a.trace", "export/1"),
        ("backup a.backup", "backup/1"),
        ("gc --quiet", "gc/1"),
        ("--version", "version/1"),
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

#[test]
fn a_big_store_answers_every_choice_as_its_whole_log_does() {
    // More than one batch of the index.
    let place = Place::with(&[Until::End; 90]);
    let log = |choice: &str| place.loom(&format!("log --jsonl {choice}")).out;
    let values = |lines: &str| lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
    let all = values(&log(""));
    assert!(all.len() > 4096 + 256, "{}", all.len());
    assert!(all.iter().enumerate().all(|(position, event)| event["position"] == position as u64));
    let run = all[2000]["stream"].as_str().unwrap();
    let times = [1500, 4500].map(|position: usize| all[position]["time"].as_str().unwrap());
    let ms = |event: &Value| event["stamp"]["ms"].as_u64().unwrap();
    let kinds: [&[&str]; 4] = [&[], &["refused"], &["gate"], &["gate.opened", "run"]];
    for stream in [None, Some(run)] {
        for kinds in kinds {
            for since in [None, Some(times[0]), Some(times[1]), Some("2099-01-01T00:00:00Z")] {
                let since_ms = since.map(|since| match all.iter().find(|event| event["time"] == since) {
                    Some(event) => ms(event),
                    None => u64::MAX,
                });
                let is_kind = |event: &Value| {
                    let name = event["kind"].as_str().unwrap();
                    let is = |kind: &&str| {
                        name == *kind || name.strip_prefix(*kind).is_some_and(|rest| rest.starts_with('.'))
                    };
                    kinds.is_empty() || kinds.iter().any(is)
                };
                let picked: Vec<&Value> = all
                    .iter()
                    .filter(|event| stream.is_none_or(|stream| event["stream"] == stream))
                    .filter(|event| is_kind(event) && since_ms.is_none_or(|since| ms(event) >= since))
                    .collect();
                for n in [0, 3, 1500] {
                    let mut choice = format!("-n {n} {}", stream.unwrap_or_default());
                    kinds.iter().for_each(|kind| choice += &format!(" --kind {kind}"));
                    choice += &since.map(|since| format!(" --since {since}")).unwrap_or_default();
                    let from = if n == 0 { 0 } else { picked.len().saturating_sub(n) };
                    let lines = values(&log(&choice));
                    assert!(lines.iter().eq(picked[from..].iter().copied()), "log --jsonl {choice}: {}", lines.len());
                    // The document and the drawing pick alike; a sample of them.
                    if n == 3 {
                        let document: Value =
                            serde_json::from_str(&place.loom(&format!("log --json {choice}")).out).unwrap();
                        assert_eq!(document["events"], Value::from(lines), "{choice}");
                        assert_eq!(document["left_out"], from as u64, "{choice}");
                        let drawn = place.loom(&format!("log {choice}")).out;
                        let earlier = format!("… {from} earlier\n");
                        assert_eq!(drawn.starts_with(&earlier), from > 0, "{choice}: {drawn}");
                        assert_eq!(drawn.lines().count(), picked.len() - from + 1 + usize::from(from > 0), "{drawn}");
                    }
                }
            }
        }
    }
    let status: Value = serde_json::from_str(&place.loom("status --json -n 100").out).unwrap();
    assert_eq!(status["events"], all.len() as u64);
    assert_eq!(status["runs"].as_array().unwrap().len(), 90);
    assert_eq!(status["streams"], 91);
    assert_eq!(place.loom("status").out.lines().filter(|line| line.contains("  accepted  ")).count(), 10);
}

fn told(place: &Place, arguments: &str) -> Value {
    let ran = place.loom(arguments);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
    serde_json::from_str(&ran.out).unwrap()
}

#[test]
fn a_file_is_verified_as_a_store_is() {
    let place = Place::with(&[Until::End]);
    let written = told(&place, "export run:last -o run.trace --json");
    let found = told(&place, "verify run.trace --redrive --json");
    assert_eq!(found["loom"], "verify/1");
    assert_eq!(found["what"], "trace run.trace");
    assert_eq!((&found["whole"], &found["events"]), (&true.into(), &written["events"]));
    assert_eq!((&found["blobs"], &found["absent_blobs"]), (&written["blobs"], &0.into()));
    let same = serde_json::json!([{ "run": written["run"], "result": "same", "sequence": null, "what": null }]);
    assert_eq!((&found["redriven"], &found["first_bad"]), (&same, &Value::Null));
}

#[test]
fn a_restored_store_is_told_by_its_root() {
    let place = Place::usual();
    let kept = told(&place, "backup all.backup --json");
    let elsewhere = Place::empty();
    let back = told(&elsewhere, &format!("restore {} --json", place.path().join("all.backup").display()));
    assert_eq!(back["loom"], "restore/1");
    assert_eq!((&back["events"], &back["root"]), (&kept["events"], &kept["root"]));
    assert_eq!(told(&elsewhere, "status --json")["tree"]["root"], kept["root"]);
}

#[test]
fn a_gate_is_told_with_what_became_of_it() {
    let place = Place::usual();
    let shown = told(&place, &format!("show {} --json", place.first("gate.opened")));
    assert_eq!((&shown["loom"], &shown["event"]["kind"]), (&"show/1".into(), &"gate.opened".into()));
    let related: Vec<&str> =
        shown["related"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(related, ["finding.raised", "gate.answered", "gate.withdrawn"]);
    assert_eq!(shown["refusal"], Value::Null);
}

/// Writes the keys of a value: `{a, b{c}}` for an object, `[…]` for what a list has.
fn keys(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let field = |(key, value): (&String, &Value)| format!("{key}{}", keys(value));
            format!("{{{}}}", fields.iter().map(field).collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let mut all: Vec<String> = items.iter().map(keys).collect();
            all.sort();
            all.dedup();
            format!("[{}]", all.join(" | "))
        }
        _ => String::new(),
    }
}

#[test]
fn documents_have_the_keys_that_scripts_know() {
    let place = Place::usual();
    for (arguments, wanted) in [
        ("--version", "{loom, version}"),
        (
            "status",
            "{commits, damage, encoded_bytes, events, file_bytes, folder, format, gates[{deadline, opened, owner, role, run, \
             sequence}], index_lag, loom, runs[{events, last, opened, run, slug, state, verdict}], streams, tree{root, size}}",
        ),
        ("export run:last -o a.trace", "{absent_blobs, blobs, bytes, events, file, loom, redacted_blobs, run}"),
        ("backup a.backup", "{events, file, loom, root}"),
        ("gc --quiet", "{bytes, deleted, files[], loom}"),
        ("rules list", "{loom, sets[{about, armed, bundles[], digest, fact_count, rule_count, runs, set}]}"),
        (
            "rules show floor",
            "{about, armed, bundles[], digest, fact_count, facts[{fact, kinds[], line, type}], loom, rule_count, rules[{cost, \
             expression, kinds[], line, message, origin, rule, severity}], runs, set, text}",
        ),
        ("rules test", "{loom, ok, sets[{cases[{case, ok, rule, told}], problems[], set}]}"),
    ] {
        let found = keys(&told(&place, &format!("{arguments} --json")));
        assert_eq!(found, wanted, "{arguments}");
    }
}

#[test]
fn a_document_steers_no_terminal() {
    let place = Place::usual();
    let task = "a\u{9b}31m\u{202e}\u{61c}\u{7f}b";
    assert_eq!(place.command("queue add").arg(task).status().unwrap().code(), Some(0));
    let ran = place.loom("queue --json");
    assert!(!ran.out.contains(['\u{9b}', '\u{202e}', '\u{61c}', '\u{7f}']), "{}", ran.out);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["tasks"][0]["task"], task);
}
