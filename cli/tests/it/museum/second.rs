//! The second verifier, `specs/verifier.py`, comes to the same verdicts and exit codes over the museum as `loom-replay judge`,
//! and names rule sets as Loom does.

use super::exhibit::{Exhibit, exhibits, fixtures};
use crate::missing::skip;
use crate::rig::Place;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// A run's stream, and of each rule what it came to and where first.
type Told = Vec<(String, Vec<(String, String, Option<u64>)>)>;

fn is_missing() -> bool {
    let imports = Command::new("python3").args(["-c", "import blake3, nacl.signing"]).output();
    let is_missing = !imports.is_ok_and(|done| done.status.success());
    if is_missing {
        skip("python packages", "python3 -m pip install -r specs/verifier.requirements.txt");
    }
    is_missing
}

/// Judges traces by rule files, and returns the exit code and what is said.
fn second(rules: &[PathBuf], traces: &[PathBuf], form: &[&str]) -> (i32, String) {
    let mut command = Command::new("python3");
    command.arg(fixtures().join("../specs/verifier.py")).arg("judge").args(form);
    for file in rules {
        command.arg("--rules").arg(file);
    }
    let done = command.args(traces).output().unwrap();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
}

fn first(place: &Place, rules: &[PathBuf], traces: &[PathBuf]) -> (i32, String) {
    let mut command = place.replay_command("judge --json --quiet --fail-on unknowable");
    for file in rules {
        command.arg("--rules").arg(file);
    }
    let done = command.args(traces).output().unwrap();
    (done.status.code().unwrap(), String::from_utf8(done.stdout).unwrap())
}

/// Returns what a document says of each run, by its names for that.
fn told(document: &str, runs: &str, verdict: &str, first: &str) -> Told {
    let document: Value = serde_json::from_str(document).unwrap_or_else(|error| panic!("{error}: {document}"));
    let word = |value: &Value| value.as_str().unwrap().to_string();
    let rule = |rule: &Value| {
        let verdict = word(&rule[verdict]);
        let is_told = ["violated", "unknowable"].contains(&verdict.as_str());
        (word(&rule["rule"]), verdict, rule[first].as_u64().filter(|_| is_told))
    };
    let run = |run: &Value| (word(&run["run"]), run["rules"].as_array().unwrap().iter().map(rule).collect());
    let mut told: Told = document[runs].as_array().unwrap().iter().map(run).collect();
    told.sort();
    told
}

/// Both judge; returns the exit code that both end with.
#[track_caller]
fn agree(rules: &[PathBuf], traces: &[PathBuf]) -> i32 {
    let place = Place::empty();
    let (code, ours) = first(&place, rules, traces);
    let (theirs, document) = second(rules, traces, &["--json"]);
    assert_eq!(told(&ours, "runs", "verdict", "first"), told(&document, "results", "result", "sequence"));
    let (text, lines) = second(rules, traces, &[]);
    assert_eq!((theirs, text), (code, code), "{ours} {lines}");
    code
}

#[test]
fn the_second_verifier_comes_to_the_same_over_every_incident_and_every_honest_run() {
    needs!("python3");
    if is_missing() {
        return;
    }
    let (incidents, runs) = (exhibits("incidents"), exhibits("runs"));
    let rules: Vec<PathBuf> = incidents.iter().map(|exhibit| exhibit.folder.join("candidate.rules")).collect();
    let traces = |exhibits: &[Exhibit]| exhibits.iter().map(Exhibit::trace_path).collect::<Vec<_>>();
    for (exhibit, own) in incidents.iter().zip(&rules) {
        let code = agree(std::slice::from_ref(own), &[exhibit.trace_path()]);
        assert_eq!(code, 4, "{}", exhibit.name);
    }
    assert_eq!(agree(&rules, &traces(&incidents)), 4);
    assert_eq!(agree(&rules, &traces(&runs)), 0);
    // What was asked about nothing holds nowhere, and what cannot be known is told.
    let place = Place::empty();
    let file = place.path().join("one.rules");
    for (fact, on, require, code) in [
        ("", "recovery.requested", "true", 8),
        (
            "fact huge sum\n  add run.opened: 9223372036854775807\n  add stage.entered: 1",
            "stage.entered",
            "facts.huge > 0",
            8,
        ),
        ("", "stage.entered", "true", 0),
        ("", "stage.entered", "event.round < 0", 4),
    ] {
        let text = format!(
            "loom rules 1\nset one \"One.\"\n\n{fact}\n\nrule r on {on}\n  require {require}\n  message \"m\"\n"
        );
        fs::write(&file, text).unwrap();
        assert_eq!(agree(std::slice::from_ref(&file), &[runs[0].trace_path()]), code, "{require}");
    }
}

#[test]
fn the_second_verifier_names_the_rule_sets_of_the_built_in_bundles_as_loom_does() {
    needs!("python3");
    if is_missing() {
        return;
    }
    let place = Place::empty();
    let listed: Value = serde_json::from_str(&place.loom("rules list --json").out).unwrap();
    let mut digests: Vec<&str> =
        listed["sets"].as_array().unwrap().iter().map(|set| set["digest"].as_str().unwrap()).collect();
    digests.sort_unstable();
    let folders = fs::read_dir(fixtures().join("../bundles")).unwrap().map(|entry| entry.unwrap().path().join("rules"));
    let files = folders.filter(|folder| folder.is_dir()).flat_map(|folder| fs::read_dir(folder).unwrap());
    let files =
        files.map(|file| file.unwrap().path()).filter(|file| file.extension().is_some_and(|end| end == "rules"));
    let cases: Vec<String> = files.map(|file| json!({"text": fs::read_to_string(file).unwrap()}).to_string()).collect();
    fs::write(place.path().join("cases"), cases.join("\n")).unwrap();
    let mut command = Command::new("python3");
    command.arg(fixtures().join("../specs/verifier.py")).arg("batch").arg(place.path().join("cases"));
    let told = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let mut found: Vec<String> = told
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["digest"].as_str().unwrap().to_string())
        .collect();
    found.sort_unstable();
    assert_eq!(found, digests);
}
