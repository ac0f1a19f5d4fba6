//! `loom rules`: the invariants as people read and test them.

use crate::explaining::is_of_its_schema;
use crate::made::{RULES as FLOOR, Until};
use crate::rig::{Place, same};
use serde_json::Value;
use std::fs;

const RULES: &str = r#"loom rules 1
set small "One rule."
fact runs counter
  add run.opened
rule once on run.opened
  require facts.runs == 0
  message "a run is opened once"
  origin "promise: for a test"
"#;

const CASES: &str = r#"
[[given]]
kind = "run.opened"

[[rule.once.passes]]
name = "the first one"

[[rule.once.refuses]]
name = "the second one"
events = [{ kind = "run.opened" }]
"#;

#[test]
fn a_rule_is_shown_with_what_it_costs() {
    same(
        &Place::usual().says("rules show floor/no-blocker"),
        "
floor/no-blocker (error)
  says     a blocking finding stands
  on       merge.intended
  requires size(facts.blockers) == 0
  from     promise: nothing is merged over a blocker
  cost     at most 4 on one event, line 8
  set      ID
",
    );
}

#[test]
fn sets_of_runs_and_bundles_are_listed() {
    let out = Place::usual().says("rules list");
    assert!(out.contains("floor           1 rules, 3 runs\n"), "{out}");
    assert!(out.contains(" rules, 0 runs, bundle code\n"), "{out}");
    let outside = Place::empty().says("rules list");
    assert!(!outside.contains("floor") && outside.contains("bundle code"), "{outside}");
}

#[test]
fn cases_beside_a_rule_file_are_run() {
    let place = Place::empty();
    fs::write(place.path().join("small.rules"), RULES).unwrap();
    fs::write(place.path().join("small.cases.toml"), CASES).unwrap();
    same(
        &place.says("rules test small.rules"),
        "
ok   small/once: the first one (passes)
ok   small/once: the second one (refused at event 2)
2 passed, 0 failed
",
    );
    fs::write(place.path().join("small.rules"), RULES.replace("== 0", "<= 1")).unwrap();
    let ran = place.loom("rules test small.rules");
    assert_eq!(ran.code, 1, "{}", ran.out);
    assert!(ran.out.ends_with("1 passed, 1 failed\n"), "{}", ran.out);
}

#[test]
fn a_rule_file_that_does_not_load_is_told_with_its_place_and_repair() {
    let place = Place::empty();
    let path = |name: &str| place.path().join(name);
    fs::create_dir(path("mine")).unwrap();
    fs::write(path("mine/small.rules"), RULES.replace("facts.runs ==", "facts.run ==")).unwrap();
    fs::write(path("mine/small.cases.toml"), CASES).unwrap();
    let ran = place.loom("rules test mine/small.rules");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    same(
        &ran.out,
        "
FAIL mine/small.rules:6:11: there is no fact `run` above (hint: did you mean `runs`?)
0 passed, 1 failed
",
    );
    // And one whose cases cannot be read, or are about something else.
    fs::write(path("mine/small.rules"), RULES).unwrap();
    fs::write(path("mine/small.cases.toml"), format!("given = 7\n{CASES}")).unwrap();
    let ran = place.loom("rules test mine/small.rules");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    assert!(ran.out.starts_with("FAIL mine/small.cases.toml:3: TOML_SYNTAX: "), "{}", ran.out);
    fs::write(path("mine/small.cases.toml"), CASES.replace("once.passes", "twice.passes")).unwrap();
    let ran = place.loom("rules test mine/small.rules");
    assert_eq!((ran.code, ran.err.as_str()), (1, ""));
    same(
        &ran.out,
        "
ok   small/once: the second one (refused at event 2)
FAIL mine/small.cases.toml:5: there is no rule `twice` in the set
FAIL mine/small.cases.toml: rule `once` has no case that passes: add [[rule.once.passes]]
1 passed, 2 failed
",
    );
}

#[test]
fn rules_without_cases_are_told_where_they_were_looked_for() {
    let place = Place::empty();
    fs::write(place.path().join("small.rules"), RULES).unwrap();
    let ran = place.loom("rules test small.rules");
    let told = "\
error: there are no cases beside small.rules: small.cases.toml is not there
hint: write that file, with a case that each rule lets pass and one that it refuses; \
a bundle's `rules/*.cases.toml` are examples
";
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (2, "", told));
}

fn explained(place: &Place, arguments: &str) -> Value {
    let ran = place.loom(&format!("rules explain {arguments} --json"));
    assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}");
    let document: Value = serde_json::from_str(&ran.out).unwrap();
    is_of_its_schema(place, &document);
    document
}

#[test]
fn examples_are_of_the_text_at_hand_and_not_of_another_of_its_name() {
    let place = Place::with(&[Until::End, Until::Gate]);
    let known = explained(&place, "floor");
    let rule = &known["rules"][0];
    let (passed, refused) = (rule["passed"].as_str().unwrap(), rule["refused"].as_str().unwrap());
    assert!(passed.ends_with(" (merge.intended)"), "{passed}");
    assert!(refused.contains(" (merge.intended), dropped then, where floor/blockers = {"), "{refused}");
    // Both are of the first run.
    assert_eq!((&known["looked_at"]["runs"], &known["looked_at"]["until"]), (&1.into(), &"enough".into()));

    let other = FLOOR.replace("size(facts.blockers) == 0", "event.sequence > 1000000");
    fs::write(place.path().join("other.rules"), other).unwrap();
    let told = explained(&place, "other.rules");
    let rule = &told["rules"][0];
    assert_eq!((&told["set"], &rule["passed"], &rule["asked"]), (&"floor".into(), &Value::Null, &2.into()));
    let refused = rule["refused"].as_str().unwrap();
    assert!(refused.contains("where event.sequence = ") && !refused.contains("blockers"), "{refused}");
    assert_eq!((&told["looked_at"]["runs"], &told["looked_at"]["until"]), (&2.into(), &"end".into()));
    let said = place.says("rules explain other.rules");
    assert!(said.contains("passes none of the 2 events that it was asked about"), "{said}");
    assert!(said.contains("examples are out of 2 runs with "), "{said}");
    // Outside of a project there are words alone.
    let outside = Place::empty();
    fs::write(outside.path().join("small.rules"), RULES).unwrap();
    assert_eq!(explained(&outside, "small.rules")["looked_at"], Value::Null);
}

#[test]
fn a_rule_that_no_run_was_judged_by_has_examples_too() {
    let place = Place::empty();
    let incidents = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/incidents");
    let incidents = incidents.canonicalize().unwrap().display().to_string();
    let told = explained(&place, &format!("{incidents}/06-over-a-blocker/candidate.rules {incidents} --quiet"));
    let rule = &told["rules"][0];
    let refused = rule["refused"].as_str().unwrap();
    assert!(
        refused.starts_with("e6bf83ef#40 (merge.intended), where over-a-blocker/open_blockers = {28}"),
        "{refused}"
    );
    assert!(rule["passed"].as_str().unwrap().ends_with(" (merge.intended)"), "{rule}");
    assert_eq!((&rule["never_judged"], &rule["unknowable"]), (&0.into(), &0.into()));
}

#[test]
fn rules_about_what_is_never_judged_are_told_as_such() {
    let place = Place::with(&[Until::End, Until::Gate]);
    let of = |on: &str, require: &str| {
        let text = format!(
            "loom rules 1\nset asking \"What the kernel asks.\"\n\nrule never on {on}\n  require {require}\n  message \"m\"\n"
        );
        fs::write(place.path().join("asking.rules"), text).unwrap();
    };
    for (on, require) in [
        ("gate.opened", "event.sequence > 100000"),
        ("gate.opened, gate.withdrawn", "false"),
        ("run.closed", "event.verdict != \"rejected\""),
        ("run.closed", "event.verdict == \"accepted\""),
        ("gate.decided", "event.by != \"deadline\""),
        ("gate.decided", "event.by == \"policy\" || event.outcome != \"abandoned\""),
    ] {
        of(on, require);
        let ran = place.loom("rules check asking.rules");
        assert_eq!((ran.code, ran.err.as_str()), (1, ""), "{on} {require}: {}", ran.out);
        for told in ["asking.rules:4:6: error RULE_UNJUDGED", "(COMMIT-5)", "name what leads there", "1 errors"] {
            assert!(ran.out.contains(told), "{told}: {}", ran.out);
        }
        let ran = place.loom("rules add asking.rules");
        assert!(ran.code == 1 && ran.err.contains("RULE_UNJUDGED"), "{on} {require}: {}", ran.err);
    }
    // What is judged of these kinds can be false, and one kind among others is a warning.
    for (on, require) in [
        ("run.closed", "event.sequence > 3"),
        ("run.closed", "event.verdict != \"accepted\" || size(event.reason) > 3"),
        ("gate.decided", "event.by != \"policy\""),
        ("gate.decided", "event.outcome != \"revised\""),
    ] {
        of(on, require);
        same(&place.says("rules check asking.rules"), "1 files, 0 errors, 0 warnings\n");
    }
    of("gate.opened, stage.entered", "event.sequence > 3");
    let ran = place.loom("rules check asking.rules");
    assert!(ran.code == 0 && ran.out.contains("warning RULE_UNJUDGED_ON"), "{}", ran.out);

    of("gate.opened", "event.sequence > 100000");
    let ran = place.replay("judge --rules asking.rules");
    let told = "asking/never: of 2 runs not reached, in 2 what there is of its kinds is never judged (COMMIT-5)\n";
    assert!(ran.code == 8 && ran.out.contains(told), "{}", ran.out);
    let told: Value = serde_json::from_str(&place.replay("judge --rules asking.rules --json").out).unwrap();
    assert_eq!((&told["rules"][0]["not_reached"], &told["rules"][0]["never_judged"]), (&2.into(), &2.into()));
    let junit = place.replay("judge --rules asking.rules --format junit").out;
    assert_eq!(junit.matches("<skipped>never judged (COMMIT-5)</skipped>").count(), 2, "{junit}");
    let page = place.replay("judge --rules asking.rules --format html").out;
    assert!(page.contains("never judged (COMMIT-5)"), "{page}");
    let said = place.says("rules explain asking.rules");
    assert!(said.contains("was asked about nothing") && said.contains("are never judged (COMMIT-5)"), "{said}");
}
