//! `loom-replay what-if`, `diff`, `shrink` and `query`, from outside.

use crate::explaining::is_of_its_schema;
use crate::made::Until;
use crate::replaying::LATER;
use crate::rig::{Place, Ran, field, same};
use loom_store::Store;
use serde_json::Value;
use std::fs;

fn place(runs: &[Until]) -> Place {
    let place = Place::with(runs);
    fs::write(place.path().join("later.rules"), LATER).unwrap();
    place
}

/// Returns the first digits of the run that was opened so long after the first.
fn run(place: &Place, number: usize) -> String {
    let mut runs = place.store().runs(9).unwrap();
    runs.reverse();
    runs[number].stream.to_string()[..8].to_string()
}

fn told(place: &Place, arguments: &[&str]) -> (i32, Value) {
    let mut command = place.replay_command("");
    let ran: Ran = command.args(arguments).arg("--json").output().unwrap().into();
    let document = serde_json::from_str(&ran.out);
    let document = document.unwrap_or_else(|error| panic!("{error}: {} {}", ran.out, ran.err));
    is_of_its_schema(place, &document);
    (ran.code, document)
}

fn text(place: &Place, arguments: &[&str]) -> Ran {
    place.replay_command("").args(arguments).output().unwrap().into()
}

/// Returns the sequences of the events of a kind.
fn at(place: &Place, run: &str, kind: &str) -> Vec<String> {
    let lines = place.loom(&format!("log {run} --jsonl --kind {kind}")).out;
    lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["sequence"].to_string()).collect()
}

#[test]
fn a_changed_outcome_stands_beside_the_record_and_is_counterfactual() {
    let place = place(&[Until::End]);
    let id = run(&place, 0);
    let check = at(&place, &id, "check.finished")[0].clone();
    let (code, document) = told(&place, &["what-if", "--at", &check, "--outcome", "fail"]);
    assert_eq!((code, &document["loom"]), (8, &"what-if/1".into()));
    assert_eq!(document["turn"].to_string(), check);
    assert_eq!((&document["end"]["how"], &document["end"]["counterfactual"]), (&"unanswered".into(), &true.into()));
    assert_eq!(document["end"]["what"], "spawn.requested of logic at review, round 1");
    let events = document["events"].as_array().unwrap();
    assert!(events.len() > 5 && events.iter().all(|event| event["counterfactual"] == true));
    assert_eq!(events[0]["event"]["body"]["outcome"], "fail");
    for row in document["rows"].as_array().unwrap() {
        let is_later = row["right"].as_u64().is_some_and(|at| at >= check.parse().unwrap());
        assert_eq!(row["counterfactual"], is_later, "{row}");
    }

    let ran = text(&place, &["what-if", "--at", &check, "--outcome", "fail"]);
    let heading = format!("--outcome fail at {check}; ~ is counterfactual, from #{check} on");
    for line in [
        heading.as_str(),
        "outcome: pass → fail",
        "alike",
        "is the recorded outcome",
        "whose prompt would have said something else",
        "was never asked for on record; nobody knows what would have come of it",
    ] {
        assert!(ran.out.contains(line), "{line}\n{}", ran.out);
    }
    assert!(!ran.out.contains('\u{1b}'), "what an agent wrote steers no terminal");
    // What stands in the right column from there on is marked, line by line or as a stretch.
    let turn: u64 = check.parse().unwrap();
    for line in ran.out.lines().filter(|line| line.starts_with(['!', '+'])) {
        let right = line.rsplit_once(" ~#").unwrap_or_else(|| panic!("not marked: {line}")).1;
        assert!(right.split(' ').next().unwrap().parse::<u64>().unwrap() >= turn, "{line}");
    }
    assert!(ran.out.contains("events alike, ~ on the right"), "{}", ran.out);
}

#[test]
fn what_is_on_record_is_told_to_be() {
    let place = place(&[Until::End]);
    let ran = text(&place, &["what-if", "--at", "0", "--cap", "spawns=40"]);
    assert_eq!(ran.out, "--cap spawns=40 at event 0 is what is on record: all 54 events are the same\n");
    let (code, document) = told(&place, &["what-if", "--at", "0", "--cap", "spawns=40"]);
    assert_eq!((code, &document["turn"], document["events"].as_array().unwrap().len()), (0, &Value::Null, 0));
    // Asking leaves the store as it is.
    let before = fs::read(place.store_folder().join("store.redb")).unwrap();
    assert_eq!(text(&place, &["what-if", "--at", "0", "--cap", "spawns=2"]).code, 0);
    assert_eq!(fs::read(place.store_folder().join("store.redb")).unwrap(), before);
}

#[test]
fn what_cannot_be_driven_has_no_changed_timeline() {
    let place = place(&[Until::End]);
    assert_eq!(place.loom("export run:last --no-blobs -o slim.trace").code, 0);
    let (code, document) = told(&place, &["what-if", "slim.trace", "--at", "0", "--cap", "spawns=3"]);
    assert_eq!((code, &document["code"]), (8, &"LOOM-E128".into()));
    let ran = text(&place, &["what-if", "--at", "3", "--cap", "spawns=3"]);
    assert_eq!(ran.code, 2);
    let why = "error: --cap spawns=3 is not possible at event 3, spawn.requested: it is answered at 4 (--at 4); it follows from the \
               input at 0: --at 0";
    assert_eq!(ran.err.lines().next(), Some(why));
}

#[test]
fn two_runs_are_compared_wherever_they_are_kept() {
    let place = place(&[Until::End, Until::Gate]);
    let (one, other) = (run(&place, 0), run(&place, 1));
    assert_eq!(place.loom(&format!("export {one} -o one.trace")).code, 0);
    let ran = text(&place, &["diff", &one, "one.trace"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("no difference between"), "{}", ran.out);
    let (code, document) = told(&place, &["diff", &format!(".loom#{one}"), "run:last"]);
    assert_eq!((code, &document["loom"], &document["equal"]), (1, &"diff-runs/1".into(), &false.into()));
    assert_eq!((&document["left"]["verdict"], &document["right"]["verdict"]), (&"accepted".into(), &Value::Null));
    assert_eq!(document["differences"]["refusals"], 1);
    let (_, same) = told(&place, &["diff", &one, &other]);
    assert_eq!(document, same);
    let ran = text(&place, &["diff", &one, &other]);
    assert!(ran.out.contains("slug: task-1 → task-2") && ran.out.contains("refusals 1"), "{}", ran.out);
}

#[test]
fn a_shrunk_run_is_judged_the_same_and_kept_as_a_fixture() {
    let place = place(&[Until::Gate, Until::End]);
    let (code, document) = told(
        &place,
        &["shrink", "--rules", "later.rules", "--rule", "never-over-a-blocker", "--keep-as-fixture", "kept"],
    );
    assert_eq!((code, &document["loom"], &document["how"]), (0, &"shrink/1".into(), &"derived".into()));
    // The first run is not merged and breaks nothing of this; the second is.
    assert!(document["run"].as_str().unwrap().starts_with(&run(&place, 1)));
    assert_eq!((&document["smallest"], &document["commits"]), (&true.into(), &6.into()));
    assert!(document["events"].as_u64() < document["events_before"].as_u64());
    let readme = fs::read_to_string(place.path().join("kept/README.md")).unwrap();
    let line = "`later/never-over-a-blocker` is violated at merge.intended, event ";
    assert!(readme.starts_with(line) && readme.contains("a blocking finding was raised in this run"), "{readme}");
    let (code, judged) = told(&place, &["judge", "--rules", "kept/rule.rules", "kept/run.trace"]);
    assert_eq!(code, 4);
    let found = judged["findings"].as_array().unwrap().iter().find(|found| found["rule"] == document["rule"]).unwrap();
    assert_eq!(
        (&found["sequence"], &found["kind"], &found["place"]),
        (&document["sequence"], &document["kind"], &document["place"])
    );
    assert_eq!(place.replay("redrive kept/run.trace").code, 0);
    let (code, verified) = told(&place, &["verify", "kept/run.trace"]);
    assert_eq!((code, &verified["whole"]), (0, &true.into()));

    // What is damaged is left out and told, and the others are looked at.
    fs::write(place.path().join("damaged.trace"), "loom-trace\nnothing").unwrap();
    let ran =
        text(&place, &["shrink", "damaged.trace", "kept/run.trace", "--rules", "later.rules", "-o", "other.trace"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.err.contains("left out, damaged: damaged.trace"), "{}", ran.err);

    let bounded = told(&place, &["shrink", "--rules", "later.rules", "--budget", "2", "-o", "bounded.trace"]).1;
    assert_eq!((&bounded["smallest"], &bounded["judgements"]), (&false.into(), &2.into()));
    assert!(place.path().join("bounded.trace").is_file());
    let ran = text(&place, &["shrink", "--rules", "later.rules", "--budget", "2", "-o", "again.trace"]);
    assert!(ran.out.contains("the budget ended the search after 2 runs"), "{}", ran.out);
    let read = |name: &str| fs::read(place.path().join(name)).unwrap();
    assert!(read("bounded.trace") == read("again.trace"), "the same bytes");
}

#[test]
fn events_are_asked_for_with_counts_and_groups() {
    let place = place(&[Until::End, Until::Gate, Until::Spawned]);
    let ran = text(&place, &["query", "--on", "verdict.given", "!event.passed", "--group-by", "agent", "--count"]);
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    same(
        &ran.out,
        "
group    matched        of
logic          0         3
safety         2         3
2 of 6 events match; asked 3 runs of 1 sources, 81 events",
    );
}

#[test]
fn runs_are_asked_for_by_their_facts() {
    let place = place(&[Until::End, Until::Gate, Until::Spawned]);
    let question = ["query", "--facts", "runs", "facts.refusals > 0 && facts.accepted", "--group-by", "verdict"];
    let (code, document) = told(&place, &question);
    assert_eq!((code, &document["loom"], &document["about"]), (0, &"query/1".into(), &"runs".into()));
    assert_eq!(document["total"], serde_json::json!({ "asked": 3, "matched": 1, "unknowable": 0, "failed": 0 }));
    assert_eq!(document["groups"].as_array().unwrap().len(), 2);
    let found = &document["matches"][0];
    assert_eq!(
        (&found["slug"], &found["kind"], &found["result"]),
        (&"task-1".into(), &"run.closed".into(), &"matched".into())
    );
    assert_eq!(found["read"][0], serde_json::json!({ "name": "runs/accepted", "value": "true" }));
}

#[test]
fn matches_come_line_by_line_and_their_counts_apart() {
    let place = place(&[Until::End, Until::Gate]);
    let ran = text(&place, &["query", "--on", "finding.raised", ".loom", "event.severity == \"blocking\"", "--jsonl"]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let lines: Vec<&str> = ran.out.lines().collect();
    assert_eq!(lines.len(), 2);
    let schema: Value = serde_json::from_str(&place.loom("schema query-line").out).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(lines.iter().all(|line| validator.is_valid(&serde_json::from_str(line).unwrap())), "{}", ran.out);
    assert_eq!(field(lines[0], "kind"), "finding.raised");
    assert!(ran.err.contains("2 of 2 events match; asked 2 runs of 1 sources"), "{}", ran.err);
    let quiet = text(&place, &["query", "--on", "finding.raised", "true", "--jsonl", "--quiet"]);
    assert_eq!((quiet.out.lines().count(), quiet.err.as_str()), (2, ""));
}

#[test]
fn a_damaged_source_is_left_out_and_told_and_the_others_are_asked() {
    let place = place(&[Until::End]);
    assert_eq!(place.loom("export run:last -o a.trace").code, 0);
    let mut bytes = fs::read(place.path().join("a.trace")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(place.path().join("b.trace"), bytes).unwrap();
    let (code, document) = told(&place, &["query", "a.trace", "b.trace", "--on", "run.opened", "true"]);
    assert_eq!((code, &document["total"]["matched"], &document["runs"]), (6, &1.into(), &1.into()));
    assert_eq!(document["left_out"][0]["why"], "damaged");
    // Of a damaged trace no line is shown either.
    assert_eq!(text(&place, &["query", "b.trace", "--on", "run.opened", "true", "--jsonl"]).out, "");
}

#[test]
fn a_rule_to_shrink_for_that_no_set_has_is_told_with_the_nearest() {
    let place = Place::with(&[Until::End]);
    fs::write(place.path().join("later.rules"), LATER).unwrap();
    for (name, code, told) in [
        ("few-spawn", 2, "have no rule `few-spawn`\nhint: did you mean `few-spawns`?"),
        ("later/few-spwans", 2, "hint: did you mean `later/few-spawns`?"),
        ("other/few-spawns", 2, "have no rule `other/few-spawns`"),
        ("few-spawns", 1, "nothing to shrink"),
    ] {
        let ran = place.replay(&format!("shrink --rules later.rules --rule {name} -o small.trace"));
        assert_eq!(ran.code, code, "{name}: {}", ran.err);
        assert!(ran.err.contains(told), "{name}: {}", ran.err);
    }
}
