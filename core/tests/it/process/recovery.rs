//! Ways out of a run that is stuck. None of them passes a gate.

use super::script::check;

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn cancelling_what_is_pending_passes_no_gate_and_no_stage() {
    check(
        REVIEWED,
        r#"
        w: edit
        recover cancel-pending
        answer accept
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
        > recover cancel-pending
          budget.settled worst case, 10 tokens
          budget.settled worst case, 10 tokens
          gate.opened ask: what was under way was cancelled
        > answer accept
          gate.decided ask accepted by person
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn cancelling_what_is_pending_leaves_a_waiting_gate_alone() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        recover cancel-pending
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
        > a: pass
          verdict.given a passed (pass)
        > b: fail high@1
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > recover cancel-pending
          request.declined nothing is under way
        "#,
    );
}

#[test]
fn retry_applies_only_to_a_run_that_is_stuck() {
    check(
        REVIEWED,
        r#"
        recover retry
        w: broken
        recover retry
        w: edit
        a: fail high@1
        b: pass
        recover retry
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > recover retry
          request.declined something is under way; retry applies to a run that is stuck
        > w: broken
          budget.settled worst case, 10 tokens
          finding.raised blocking by w (harness): spawn-failed
          gate.opened ask: w broken after 1 attempt(s): no detail was given [1]
        > recover retry
          gate.withdrawn the stage is tried again
          finding.resolved superseded
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > recover retry
          request.declined a gate of the process waits; only an answer passes it
        "#,
    );
}

#[test]
fn retry_failed_names_spawns_that_are_under_way() {
    check(
        REVIEWED,
        r#"
        recover retry-failed a
        recover retry-failed w
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > recover retry-failed a
          request.declined no such spawn is under way: 0
        > recover retry-failed w
          budget.settled worst case, 10 tokens
          spawn.requested w attempt 2
        "#,
    );
}

#[test]
fn retry_failed_gives_each_named_agent_one_more_attempt() {
    check(
        REVIEWED,
        r#"
        w: edit
        recover retry-failed a b a
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
        > recover retry-failed a b a
          budget.settled worst case, 10 tokens
          budget.settled worst case, 10 tokens
          spawn.requested a attempt 2
          spawn.requested b attempt 2
        "#,
    );
}

/// What the machinery raised in a stage is gone when the stage is done again; what was found in the work stands.
#[test]
fn stage_that_is_done_again_keeps_the_findings_of_agents() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: fail high@1
        recover cancel-pending
        answer accept
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
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
        > recover cancel-pending
          budget.settled worst case, 10 tokens
          gate.opened ask: what was under way was cancelled [1]
        > answer accept
          gate.decided ask accepted by person
          stage.entered review, round 1
          spawn.requested a attempt 1, 1 to mend
          spawn.requested b attempt 1, 1 to mend
        "#,
    );
}

#[test]
fn revision_where_no_stage_says_whereto_does_the_stage_again() {
    check(
        "flow work: implement=spawn w | decide=gate final | end\nrole final human",
        r#"
        w: broken
        answer revise
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: broken
          budget.settled worst case, 10 tokens
          finding.raised blocking by w (harness): spawn-failed
          gate.opened ask: w broken after 1 attempt(s): no detail was given [1]
        > answer revise
          gate.decided ask revised by person
          finding.resolved superseded
          stage.entered implement, round 1
          spawn.requested w attempt 1
        "#,
    );
}

#[test]
fn abandon_and_force_close_end_the_run_without_an_acceptance() {
    check(
        REVIEWED,
        r#"
        recover force-close
        recover abandon
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > recover force-close
          budget.settled worst case, 10 tokens
          run.closed failed: closed by force by uid:1000
        > recover abandon
          request.declined the run has ended
        "#,
    );
}

#[test]
fn wait_for_a_rate_limit_can_be_cancelled() {
    check(
        REVIEWED,
        r#"
        w: limited
        recover cancel-pending
        recover retry
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: limited
          timer.set w attempt 1 at 60000
        > recover cancel-pending
          gate.opened ask: what was under way was cancelled
        > recover retry
          gate.withdrawn the stage is tried again
          stage.entered implement, round 1
          spawn.requested w attempt 1
        "#,
    );
}

#[test]
fn merge_under_way_is_not_given_up() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: pass
        recover abandon
        cancel
        recover cancel-pending
        merge: done
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
        > a: pass
          verdict.given a passed (pass)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > recover abandon
          request.declined the merge is under way; its outcome decides
        > cancel
          request.declined the merge is under way; its outcome decides
        > recover cancel-pending
          request.declined nothing is under way
        > merge: done
          run.closed accepted: accepted; the work is on loom/task-6407d68d
        "#,
    );
}
