//! Answers in forms of others, held against their own schemas.

use crate::made::Until;
use crate::replaying::LATER;
use crate::rig::Place;
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
    place
}

const ASKED: [&str; 4] = [
    "judge --rules later.rules .loom a&b.trace cut.trace",
    "judge --rules later.rules .loom --run 0000",
    "verify .loom a&b.trace cut.trace",
    "verify .loom",
];

#[test]
fn sarif_is_of_its_schema_and_has_every_finding() {
    let place = place();
    let text = fs::read_to_string(schema("sarif-schema-2.1.0.json")).unwrap();
    // The pattern of a language has a bracket too many, which not every reader of patterns takes; nothing here names one.
    let text = text.replace("^[a-zA-Z]{2}|^[a-zA-Z]{2}-[a-zA-Z]{2}]?$", "^[a-zA-Z]{2}(-[a-zA-Z]{2})?$");
    let validator = jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap();
    for asked in ASKED {
        let ran = place.replay(&format!("{asked} --format sarif"));
        let log: Value = serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{asked}: {error}: {}", ran.err));
        let errors: Vec<String> =
            validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{asked}: {errors:#?}");
        assert!(!ran.out.contains('\u{202e}'), "{asked}");
    }
    let log: Value = serde_json::from_str(&place.replay(&format!("{} --format sarif", ASKED[0])).out).unwrap();
    let told: Value = serde_json::from_str(&place.replay(&format!("{} --json", ASKED[0])).out).unwrap();
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
        fs::write(&file, place.replay(&format!("{asked} --format junit")).out).unwrap();
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
    let told: Value = serde_json::from_str(&place.replay(&format!("{} --json", ASKED[0])).out).unwrap();
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
