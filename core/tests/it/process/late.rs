//! Outcomes that come late, twice, or never.

use super::script::check;

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn duplicate_outcome_is_answered_and_leaves_nothing() {
    check(
        REVIEWED,
        r#"
        w: edit
        again
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        > again
          declined: the outcome of effect 3 is recorded already
        "#,
    );
}

#[test]
fn late_outcome_of_what_was_given_up_is_recorded_once_and_has_no_consequences() {
    check(
        REVIEWED,
        r#"
        recover retry-failed w
        late: edit
        again
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > recover retry-failed w
          budget.settled worst case, 10 tokens
          spawn.requested w attempt 2
        > late: edit
          paths.changed src/x
        > again
          declined: the outcome of effect 3 is recorded already
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn orphaned_spawn_is_settled_at_worst_case_and_tried_again_once() {
    check(
        REVIEWED,
        r#"
        orphan w
        orphan w
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > orphan w
          budget.settled worst case, 10 tokens
          spawn.requested w attempt 2
        > orphan w
          budget.settled worst case, 10 tokens
          finding.raised blocking by w (harness): spawn-lost
          gate.opened ask: w lost its driver after 2 attempt(s) [1]
        "#,
    );
}

#[test]
fn spawn_that_gives_no_sign_until_its_deadline_is_tried_again() {
    check(
        REVIEWED,
        r#"
        timer w
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > timer w
          budget.settled worst case, 10 tokens
          spawn.requested w attempt 2
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn check_that_gives_no_sign_until_its_deadline_failed() {
    check(
        "flow work: implement=spawn w | check=step t ->implement | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        timer t
        "#,
        r#"
        > open
          flow.chosen work by default, checks t
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered check, round 1
          check.requested t
        > timer t
          budget.settled worst case, 0 tokens
          finding.raised blocking by t (check): check-failed
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        "#,
    );
}
