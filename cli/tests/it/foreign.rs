//! Answers in forms of others, held against their own schemas.

use crate::made::Until;
use crate::redriving;
use crate::replaying::LATER;
use crate::rig::Place;
use loom_core::snapshot::{VERSION, encode};
use loom_replay::{StoredRun, refold};
use loom_store::{RedbStore, Snapshot, Store};
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

fn schema(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures/schemas").join(name)
}

/// A store, whole and damaged traces, and a candidate that finds something of every sort.
fn place() -> Place {
    let place = Place::with(&[Until::End, Until::Gate]);
    let more = "\nfact sum_of_all sum\n  add budget.settled: event.time_ms * 9000000000000000\n\n\
                rule unknown on stage.entered\n  require facts.sum_of_all >= 0\n  message \"<&\\\"'> \\u202e\"\n";
    fs::write(place.path().join("later.rules"), format!("{LATER}{more}")).unwrap();
    assert_eq!(place.loom("export run:last -o a&b.trace").code, 0);
    let whole = fs::read(place.path().join("a&b.trace")).unwrap();
    fs::write(place.path().join("cut.trace"), &whole[..whole.len() - 3]).unwrap();
    assert_eq!(place.loom("export run:last --no-blobs -o slim.trace").code, 0);
    place
}

const ASKED: [&str; 14] = [
    "judge --rules later.rules .loom a&b.trace cut.trace",
    "judge --rules later.rules .loom --run 0000",
    "verify .loom a&b.trace cut.trace",
    "verify .loom",
    "redrive .loom a&b.trace cut.trace slim.trace",
    "redrive --bundle code .loom",
    "refold .loom a&b.trace cut.trace",
    "refold .loom --run 0000",
    "diff a&b.trace run:last",
    "diff a&b.trace FIRST",
    "query --on gate.opened,finding.raised .loom a&b.trace cut.trace true",
    "query --on budget.settled .loom event.tokens/(event.tokens-event.tokens)>1",
    "query --facts runs .loom facts.accepted",
    "query --on check.finished --count .loom true",
];

/// Runs what is asked in a form; `FIRST` stands for the first run.
fn told(place: &Place, asked: &str, form: &str) -> String {
    let first = place.store().runs(9).unwrap().pop().unwrap().stream.to_string();
    let ran = place.replay(&format!("{} --format {form}", asked.replace("FIRST", &first)));
    assert!(!ran.out.is_empty(), "{asked}: {}", ran.err);
    assert!(!ran.out.contains('\u{202e}'), "{asked}");
    ran.out
}

fn json(place: &Place, asked: &str) -> Value {
    serde_json::from_str(&told(place, asked, "json")).unwrap()
}

fn results(place: &Place, asked: &str) -> Vec<Value> {
    let log: Value = serde_json::from_str(&told(place, asked, "sarif")).unwrap();
    log["runs"][0]["results"].as_array().unwrap().clone()
}

#[test]
fn sarif_is_of_its_schema_and_has_every_finding() {
    let place = place();
    let text = fs::read_to_string(schema("sarif-schema-2.1.0.json")).unwrap();
    // The pattern of a language has a bracket too many, which not every reader of patterns takes; nothing here names one.
    let text = text.replace("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    for asked in ASKED {
        let log: Value = serde_json::from_str(&told(&place, asked, "sarif")).unwrap();
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{asked}: {errors:#?}");
    }
    let log: Value = serde_json::from_str(&told(&place, ASKED[0], "sarif")).unwrap();
    let told = json(&place, ASKED[0]);
    let results = log["runs"][0]["results"].as_array().unwrap();
    assert_eq!(results.len(), told["findings"].as_array().unwrap().len() + told["cleared"].as_array().unwrap().len());
    let kinds: Vec<&str> = results.iter().map(|result| result["kind"].as_str().unwrap()).collect();
    assert!(kinds.contains(&"fail") && kinds.contains(&"open"), "{kinds:?}");
    assert!(results.iter().any(|result| result["codeFlows"][0]["threadFlows"][0]["locations"].as_array().is_some()));
    assert_eq!(log["runs"][0]["invocations"][0]["executionSuccessful"], false);
    let uri = "/locations/0/physicalLocation/artifactLocation/uri";
    assert!(results.iter().any(|result| result.pointer(uri) == Some(&"a%26b.trace".into())));
}

#[test]
fn junit_is_of_its_schema() {
    needs!("xmllint");
    let place = place();
    for asked in ASKED {
        let file = place.path().join("report.xml");
        fs::write(&file, told(&place, asked, "junit")).unwrap();
        let output = Command::new("xmllint")
            .args(["--noout", "--schema"])
            .args([&schema("junit-4.xsd"), &file])
            .output()
            .unwrap();
        assert!(output.status.success(), "{asked}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn junit_has_a_case_for_every_run_and_rule() {
    let place = place();
    let xml = place.replay(&format!("{} --format junit", ASKED[0])).out;
    let told = json(&place, ASKED[0]);
    let count = |what: &str| xml.matches(what).count();
    let of = |verdicts: &[&str]| {
        let runs = told["runs"].as_array().unwrap().iter();
        let rules = runs.flat_map(|run| run["rules"].as_array().unwrap());
        rules.filter(|rule| verdicts.contains(&rule["verdict"].as_str().unwrap())).count()
    };
    let left_out = told["left_out"].as_array().unwrap().len();
    assert_eq!((left_out, count("<testsuite ")), (1, 3), "{xml}");
    assert_eq!(count("<testcase "), of(&["holds", "violated", "unknowable", "not-reached"]) + left_out);
    assert_eq!((count("<failure "), count("<skipped>")), (of(&["violated"]), of(&["unknowable", "not-reached"])));
    assert_eq!(count("<error "), left_out);
    assert!(of(&["violated"]) > 0 && of(&["unknowable"]) > 0 && of(&["not-reached"]) > 0);
    assert!(xml.contains("name=\"a&amp;b.trace\"") && xml.contains("&#10;") && !xml.contains('\u{202e}'), "{xml}");
}

/// Returns how many cases there are, and of them failures, skipped and errors.
fn counts(xml: &str) -> [usize; 4] {
    ["<testcase ", "<failure ", "<skipped>", "<error "].map(|what| xml.matches(what).count())
}

#[test]
fn a_run_that_comes_out_otherwise_is_a_failure_and_one_that_nobody_can_know_is_skipped() {
    let place = place();
    let asked = "redrive .loom a&b.trace cut.trace slim.trace";
    assert_eq!(counts(&told(&place, asked, "junit")), [5, 0, 1, 1]);
    let found = results(&place, asked);
    assert_eq!((found.len(), &found[0]["kind"], &found[0]["ruleId"]), (1, &"open".into(), &"redrive".into()));
    // Runs under a bundle of another name are not driven, and are said to be so.
    let xml = told(&place, "redrive --bundle code .loom", "junit");
    assert_eq!(counts(&xml), [2, 0, 2, 0], "{xml}");

    let museum =
        redriving::place("bundle.toml", |text| text.replace("deadline_ms = 86_400_000", "deadline_ms = 3_600_000"));
    let asked = format!("redrive --quiet --bundle museum {}", redriving::fixtures().join("runs").display());
    let of = |form: &str| museum.replay(&format!("{asked} --format {form}"));
    let document: Value = serde_json::from_str(&of("json").out).unwrap();
    let runs = document["runs"].as_array().unwrap();
    let diverged: Vec<&Value> = runs.iter().filter(|run| run["result"] == "diverged").collect();
    let xml = of("junit");
    assert_eq!((counts(&xml.out), xml.code), ([runs.len(), diverged.len(), 0, 0], 7));
    assert!(
        !diverged.is_empty() && xml.out.contains("<failure type=\"diverged\" message=\"diverged at "),
        "{}",
        xml.out
    );
    let log: Value = serde_json::from_str(&of("sarif").out).unwrap();
    for (result, run) in log["runs"][0]["results"].as_array().unwrap().iter().zip(diverged) {
        let at = format!("{}#{}", run["run"].as_str().unwrap(), run["sequence"]);
        assert_eq!(result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"], at);
        assert!(result["message"]["text"].as_str().unwrap().contains(run["what"].as_str().unwrap()), "{result}");
        assert_eq!((&result["kind"], &result["level"]), (&"fail".into(), &"error".into()));
    }

    // Nothing was folded from a snapshot: there is none. One that holds another state is a failure.
    assert_eq!(counts(&told(&place, "refold .loom", "junit")), [2, 0, 2, 0]);
    {
        let store = RedbStore::open(&place.store_folder()).unwrap();
        let stream = store.runs(9).unwrap().pop().unwrap().stream;
        let run = refold(&StoredRun::new(&store, stream), Some(9)).unwrap().run.unwrap();
        let last = store.read(stream, 8, 1).unwrap().pop().unwrap().event.id;
        store.put_snapshot(stream, Snapshot { version: VERSION, next: 9, last, bytes: encode(&run).unwrap() });
    }
    let xml = told(&place, "refold .loom", "junit");
    assert_eq!(counts(&xml), [2, 1, 1, 0], "{xml}");
    assert_eq!(results(&place, "refold .loom")[0]["ruleId"], "refold");
}

#[test]
fn what_differs_is_a_failure_and_what_matches_is_a_note() {
    let place = place();
    assert_eq!(counts(&told(&place, "diff a&b.trace run:last", "junit")), [1, 0, 0, 0]);
    assert!(results(&place, "diff a&b.trace run:last").is_empty());
    let rows = json(&place, "diff a&b.trace FIRST")["rows"].as_array().unwrap().len();
    assert_eq!(counts(&told(&place, "diff a&b.trace FIRST", "junit")), [rows, rows, 0, 0]);
    let found = results(&place, "diff a&b.trace FIRST");
    assert!(rows > 3 && found.len() == rows && found.iter().all(|result| result["kind"] == "fail"), "{rows}");

    let asked = "query --on gate.opened,finding.raised .loom true";
    let matches = json(&place, asked)["matches"].as_array().unwrap().len();
    assert_eq!(counts(&told(&place, asked, "junit")), [matches, 0, 0, 0]);
    let found = results(&place, asked);
    assert!(matches > 2 && found.len() == matches, "{found:?}");
    assert!(found.iter().all(|result| result["kind"] == "informational" && result["level"] == "none"), "{found:?}");
    let asked = "query --on budget.settled .loom event.tokens/(event.tokens-event.tokens)>1";
    let [cases, failures, skipped, _] = counts(&told(&place, asked, "junit"));
    assert!(cases > 0 && failures == 0 && skipped == cases, "{cases} {failures} {skipped}");
    assert!(results(&place, asked).iter().all(|result| result["kind"] == "open"));

    // The answer goes to a file as a whole; what has no such form says so.
    assert_eq!(place.replay("refold --format sarif -o refold.sarif").code, 0);
    assert!(place.path().join("refold.sarif").is_file());
    for refused in [
        "redrive --format html",
        "query --format html --on gate.opened true",
        "redrive --format text -o told.txt",
        "query --jsonl --format junit --on gate.opened true",
        "shrink --format junit --rules later.rules -o small.trace",
        "what-if --format sarif --at 0 --cap spawns=3",
    ] {
        assert_eq!(place.replay(refused).code, 2, "{refused}");
    }
}
