//! What is said of a rule file before anything runs.

use loom_bundles::{Source, load, rule_flaws};

/// Rule files after their first two lines, and the first flaw of each.
pub(crate) const FLAWS: &[(&str, &str, &str)] = &[
    (
        "RULES_INVALID",
        "rule r on run.closd require true message \"m\"",
        "3:11: error RULES_INVALID: there is no event kind `run.closd` (hint: did you mean `run.closed`?)",
    ),
    (
        "RULE_VACUOUS",
        "rule r on run.closed require size(event.reason) >= 0 message \"m\"",
        "3:6: error RULE_VACUOUS: rule `r` is proven to never refuse: no run.closed makes it false \
         (hint: require something that an event can make false, or remove the rule)",
    ),
    (
        "RULE_FIRES",
        "rule r on run.closed, spawn.requested require has(event.attempt) && event.attempt > 3 message \"m\"",
        "3:6: error RULE_FIRES: rule `r` is proven to always refuse: no run.closed makes it true \
         (hint: require something that an event can make true, or leave out run.closed)",
    ),
    (
        "RULE_VACUOUS_ON",
        "rule r on run.closed, spawn.requested require !has(event.attempt) || event.attempt > 3 message \"m\"",
        "3:6: warning RULE_VACUOUS_ON: rule `r` is proven to never refuse run.closed (hint: leave out run.closed)",
    ),
    (
        "RULE_UNJUDGED",
        "rule r on run.closed require event.verdict != \"rejected\" message \"m\"",
        "3:6: error RULE_UNJUDGED: rule `r` is proven to never refuse: each run.closed that makes it false is never judged, \
         so that no rule can wedge a run (COMMIT-5) (hint: name what leads there: an input or record, of which a violation \
         is recorded, or a decision like stage.entered; or read it as a fact)",
    ),
    (
        "RULE_UNJUDGED_ON",
        "rule r on gate.opened, stage.entered require event.sequence > 3 message \"m\"",
        "3:6: warning RULE_UNJUDGED_ON: rule `r` is proven to never refuse gate.opened: each gate.opened that makes it false \
         is never judged, so that no rule can wedge a run (COMMIT-5) (hint: leave out gate.opened; name what leads there: \
         an input or record, of which a violation is recorded, or a decision like stage.entered; or read it as a fact)",
    ),
    (
        "CLAUSE_DEAD",
        "fact f flag\n  add run.closed if event.verdict == \"failed\"\n  add run.closed if size(event.reason) > 400\n\
         rule r on run.closed require !facts.f message \"m\"",
        "5:3: error CLAUSE_DEAD: this clause of fact `f` is proven to never apply: no run.closed makes its condition \
         true (hint: mend the condition, or remove the clause)",
    ),
    (
        "CLAUSE_DEAD_ON",
        "fact f flag\n  add run.closed, walked.back if event.kind == \"run.closed\"\n\
         rule r on run.closed require !facts.f message \"m\"",
        "4:3: warning CLAUSE_DEAD_ON: this clause of fact `f` is proven to never apply to walked.back \
         (hint: leave out walked.back)",
    ),
    (
        "CONDITION_IDLE",
        "fact f flag\n  add walked.back if event.sequence >= 0\nrule r on run.closed require !facts.f message \"m\"",
        "4:3: warning CONDITION_IDLE: the condition of this clause of fact `f` is proven to be false on no walked.back \
         (hint: remove the condition)",
    ),
    (
        "FACT_UNREAD",
        "fact f flag\n  add walked.back\nrule r on run.closed require size(event.reason) > 3 message \"m\"",
        "3:6: warning FACT_UNREAD: no rule reads fact `f`, nor does a fact that a rule reads \
         (hint: remove the fact, or let a rule read it)",
    ),
    (
        "RULE_SUBSUMED",
        "rule a on run.closed require size(event.reason) > 3 message \"m\"\n\
         rule b on run.closed require size(event.reason) > 2 message \"m\"",
        "4:6: warning RULE_SUBSUMED: rule `b` adds nothing to rule `a`: wherever it is false, that one is not true \
         (hint: remove rule `b`, or let it require what `a` does not)",
    ),
];

#[test]
fn every_flaw_is_told_with_place_and_repair() {
    for (id, rules, wanted) in FLAWS {
        let (_, flaws) = rule_flaws(&format!("loom rules 1\nset s \"\"\n{rules}\n"), &[]);
        assert_eq!(flaws.first().map(ToString::to_string).as_deref(), Some(*wanted), "{flaws:?}");
        assert_eq!(flaws[0].id, *id);
    }
}

#[test]
fn a_fact_that_a_stage_reads_is_not_unread() {
    let text = "loom rules 1\nset s \"\"\nfact f flag\n  add walked.back\nfact fa flag\n  add walked.back\n";
    let told = |conditions: &[&str]| -> Vec<u32> {
        rule_flaws(text, conditions).1.iter().map(|flaw| flaw.place.line).collect()
    };
    assert_eq!(told(&[]), [3, 5]);
    assert_eq!(told(&["size(facts.x) > 0 && facts.fa"]), [3]);
}

#[test]
fn the_shipped_rules_have_no_flaw() {
    let source = Source::builtin("code").unwrap();
    let bundle = load(&source).unwrap();
    let flows = bundle.bundle.flows.values();
    let conditions: Vec<&str> = flows.flat_map(|flow| &flow.stages).filter_map(|stage| stage.when.as_deref()).collect();
    assert!(!conditions.is_empty());
    for text in &bundle.rule_texts {
        assert_eq!(rule_flaws(text, &conditions).1, []);
    }
}
