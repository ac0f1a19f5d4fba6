//! `loom rules`: the invariants as people read and test them.

use crate::rig::{Place, same};
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
