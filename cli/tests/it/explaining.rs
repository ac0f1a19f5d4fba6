//! Errors have codes and pages, rules and laws are explained, documents have schemas; completions and manual pages.

use crate::made::Until;
use crate::rig::{MORE, Place};
use loom_bundles::Source;
use loom_core::rules::RuleSet;
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

/// What goes wrong, and its code.
const CODES: &[(&str, &str)] = &[
    ("show xyzw", "LOOM-E003"),
    ("show ffffffffffffffff", "LOOM-E004"),
    ("log --kind nonsense", "LOOM-E008"),
    ("history --since 7", "LOOM-E009"),
    ("rules show no-such-set", "LOOM-E010"),
    ("export run:last -o .", "LOOM-E013"),
    ("export run:last -o . --force", "LOOM-E014"),
    ("verify no-such-run-or-file", "LOOM-E003"),
    ("restore no-such-file", "LOOM-E049"),
    ("answer run:last accept", "LOOM-E020"),
    ("explain no-such-thing", "LOOM-E025"),
    ("schema no-such-document", "LOOM-E026"),
    ("man no-such-command", "LOOM-E001"),
    ("reset", "LOOM-E027"),
    ("ship run:last --pr-body", "LOOM-E092"),
    ("diff run:last --spawn run:last#0", "LOOM-E091"),
    ("log --no-such-flag", "LOOM-E001"),
    ("--dir no-such-folder status", "LOOM-E002"),
];

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn every_error_is_told_with_its_code_in_text_and_as_a_document() {
    let place = Place::usual();
    for (arguments, code) in CODES {
        let output = place.command(arguments).output().unwrap();
        let (exit, out) = (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap());
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(exit != 0 && out.is_empty(), "{arguments}: {out}");
        let usage = *code == "LOOM-E001" && !err.contains("hint: ");
        assert!(usage || err.ends_with(&format!("{MORE}{code}\n")), "{arguments}: {err}");
        let told = place.loom(&format!("{arguments} --json"));
        assert_eq!(told.code, exit, "{arguments}");
        let document = json(&told.out);
        assert_eq!((&document["loom"], &document["code"]), (&"error/1".into(), &(*code).into()), "{arguments}");
        for field in ["message", "repair"] {
            assert!(document[field].as_str().is_some_and(|text| !text.is_empty()), "{arguments}: {document}");
        }
        let first = err.lines().next().unwrap().trim_start_matches("error: ");
        assert_eq!(document["message"], first, "{arguments}");
    }
}

#[test]
fn a_command_that_found_something_bad_prints_its_own_document_and_no_other() {
    let place = Place::empty();
    fs::write(place.path().join("broken.rules"), "loom rules 1\nno such word\n").unwrap();
    fs::write(place.path().join("broken.cases.toml"), "").unwrap();
    let ran = place.loom("rules test broken.rules --json");
    assert_eq!((ran.code, json(&ran.out)["loom"].as_str()), (1, Some("rules-test/1")));
}

#[test]
fn everything_that_is_listed_is_explained() {
    let place = Place::empty();
    let listed = json(&place.loom("explain --json").out);
    for (list, name, what) in [("codes", "code", "code"), ("rules", "rule", "rule"), ("laws", "law", "law")] {
        let entries = listed[list].as_array().unwrap();
        assert!(entries.len() > 10, "{list}: {}", entries.len());
        // A few of each; all of them would start a process each.
        for entry in entries.iter().step_by(entries.len() / 6) {
            let name = entry[name].as_str().unwrap();
            let ran = place.loom(&format!("explain {name} --json"));
            assert_eq!(ran.code, 0, "{name}: {}", ran.err);
            let page = json(&ran.out);
            assert_eq!((&page["what"], &page["name"]), (&what.into(), &name.into()));
            assert!(!page["text"].as_str().unwrap().is_empty(), "{name}");
        }
    }
    assert!(place.loom("explain e47").out.starts_with("LOOM-E047: "));
    assert!(place.loom("explain cli-3").out.starts_with("- **CLI-3** "));
}

#[test]
fn every_shipped_rule_has_an_explanation_from_its_own_text() {
    let place = Place::empty();
    let listed = json(&place.loom("explain --json").out);
    let told: BTreeSet<&str> =
        listed["rules"].as_array().unwrap().iter().map(|rule| rule["rule"].as_str().unwrap()).collect();
    let source = Source::builtin("code").unwrap();
    for text in source.files.keys().filter(|path| path.ends_with(".rules")).filter_map(|path| source.text(path)) {
        let set = RuleSet::load(text).unwrap();
        for rule in set.rules() {
            let name = format!("{}/{}", set.name(), rule.name);
            assert!(told.contains(name.as_str()), "{name}");
            assert!(!rule.message.is_empty() && rule.origin.is_some(), "{name} says nothing of itself");
        }
    }
    let page = place.loom("explain no-open-blocker").out;
    for part in [
        "says     a blocking finding stands",
        "on       merge.intended",
        "requires size(facts.open_blockers) == 0",
        "from     promise: ",
        "bundle   code",
        "add finding.raised: event.sequence",
        "cleared by findings/open_blockers: remove finding.resolved, finding.waived",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
}

/// Closes every object that has named fields: what a document has beyond its schema is found.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            if fields.contains_key("properties") {
                fields.insert("additionalProperties".to_string(), false.into());
            }
            fields.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A document is what its schema says, all of it.
#[track_caller]
pub(crate) fn is_of_its_schema(place: &Place, document: &Value) {
    let name = document["loom"].as_str().unwrap_or("log-line");
    let ran = place.loom(&format!("schema {name}"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "schema {name}");
    let mut schema = json(&ran.out);
    jsonschema::meta::validate(&schema).unwrap();
    close(&mut schema);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let wrong: Vec<String> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{name}: {}", wrong.join("\n"));
}

/// Commands whose documents need no driver, on the usual store. Those of a driver are validated where they are driven.
const DOCUMENTS: &[&str] = &[
    "status",
    "history",
    "log",
    "show @",
    "show run:last",
    "at @",
    "why",
    "gates",
    "verify --blobs --redrive",
    "rules list",
    "rules show floor",
    "rules test",
    "export run:last -o a.trace",
    "backup a.backup",
    "gc --quiet",
    "reset --dry-run",
    "doctor",
    "explain",
    "explain LOOM-E002",
    "explain no-open-blocker",
    "schema",
    "completions bash",
    "man status",
    "--version",
    "show xyzw",
];

#[test]
fn what_is_printed_is_what_the_schema_says() {
    let place = Place::usual();
    for arguments in DOCUMENTS {
        is_of_its_schema(&place, &json(&place.loom(&format!("{arguments} --json")).out));
    }
    for kind in ["refused", "finding.raised", "spawn.requested", "gate.opened"] {
        let id = place.first(kind);
        for command in ["show", "why"] {
            is_of_its_schema(&place, &json(&place.loom(&format!("{command} {id} --json")).out));
        }
    }
    let lines = place.loom("log --jsonl").out;
    lines.lines().step_by(lines.lines().count() / 8).for_each(|line| is_of_its_schema(&place, &json(line)));
    let elsewhere = Place::empty();
    let file = place.path().join("a.backup");
    is_of_its_schema(&elsewhere, &json(&elsewhere.loom(&format!("restore {} --json", file.display())).out));
}

#[test]
fn every_document_has_a_schema_that_names_it() {
    let place = Place::with(&[Until::Spawned]);
    let listed = json(&place.loom("schema --json").out);
    for name in listed["documents"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()) {
        let schema = json(&place.loom(&format!("schema {name}")).out);
        assert!(schema.to_string().contains(&format!("{{\"const\":\"{name}\"}}")) != name.ends_with("-line"), "{name}");
    }
    for (words, name) in [
        ("rules list", "rules-list/1"),
        ("rules", "rules-list/1"),
        ("loom rules list", "rules-list/1"),
        ("models list", "models/1"),
        ("models test", "models-test/1"),
        ("queue add", "queue/1"),
        ("config path", "config-path/1"),
        ("loom-replay what-if", "what-if/1"),
        ("schema", "schema-list/1"),
    ] {
        let quoted = place.command("schema").arg(words).output().unwrap();
        assert!(
            String::from_utf8_lossy(&quoted.stdout).contains(&format!("{{\n      \"const\": \"{name}\"")),
            "{words}"
        );
        assert_eq!(place.loom(&format!("schema {words}")).out.as_bytes(), quoted.stdout, "{words}");
    }
    assert_eq!(place.loom("schema log --jsonl").out, place.loom("schema log-line").out);
    assert_eq!(place.loom("schema query --jsonl").out, place.loom("schema query-line").out);
    for (words, told) in [
        ("schema rules lost", "did you mean `rules-list`?"),
        ("schema log nonsense", "`loom schema` lists them"),
        ("schema status --jsonl", "`loom schema` lists them"),
    ] {
        let ran = place.loom(words);
        assert!(ran.code == 2 && ran.err.contains(told), "{words}: {}", ran.err);
    }
    // The source names every document; each is listed.
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut files: Vec<_> =
        fs::read_dir(format!("{source}/commands")).unwrap().chain(fs::read_dir(source).unwrap()).collect();
    files.retain(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|kind| kind == "rs"));
    for entry in files {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        for name in text.split('"').filter(|word| word.ends_with("/1") && !word.contains([' ', '`', '<', '.'])) {
            let found = listed["documents"].as_array().unwrap().iter().any(|listed| listed == name);
            assert!(found || name == "a/1", "document {name} has no schema");
        }
    }
}

#[test]
fn a_shell_completes_commands_and_options() {
    needs!("bash");
    let place = Place::empty();
    let script = place.loom("completions bash").out;
    fs::write(place.path().join("loom.bash"), &script).unwrap();
    let complete = |words: &str| {
        let count = words.split_whitespace().count() - 1;
        let ask = format!(
            "source ./loom.bash; COMP_WORDS=({words}); COMP_CWORD={count}; \
             cur=${{COMP_WORDS[COMP_CWORD]}}; _loom loom \"$cur\" \"${{COMP_WORDS[COMP_CWORD-1]}}\"; echo \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &ask]).current_dir(place.path()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(complete("loom hist").trim(), "history");
    assert_eq!(complete("loom ship --squ").trim(), "--squash");
    for shell in ["zsh", "fish", "powershell"] {
        let script = place.loom(&format!("completions {shell}")).out;
        assert!(script.contains("history") && script.contains("squash"), "{shell}");
    }
    assert_eq!(place.loom("completions tcsh").code, 2);
}

#[test]
fn manual_pages_are_made_for_every_command() {
    let place = Place::empty();
    let ran = place.loom("man -o pages");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let pages: BTreeSet<String> = fs::read_dir(place.path().join("pages"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["loom.1", "loom-run.1", "loom-rules-list.1", "loom-man.1"] {
        assert!(pages.contains(page), "{pages:?}");
    }
    let page = place.loom("man rules list").out;
    assert!(page.contains(".TH loom-rules-list 1") && page.contains("Lists the rule sets"), "{page}");
    assert_eq!(fs::read_to_string(place.path().join("pages/loom-rules-list.1")).unwrap(), page);
}
