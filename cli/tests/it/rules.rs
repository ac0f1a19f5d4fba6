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
