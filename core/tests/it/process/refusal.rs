//! Refusals: what rules drop, what follows, and that nothing wedges a run.

use super::script::{FLOOR, check_under};

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

const NO_WAY: &str = r#"
loom rules 1
set no-way "Refuses a merge and every way back."
fact never flag
  add run.closed
rule no-merge on merge.intended, walked.back
  require facts.never
  message "no"
"#;

const NO_SPAWN: &str = r#"
loom rules 1
set no-spawn "Refuses every spawn."
fact never flag
  add run.closed
rule no-spawn on spawn.requested
  require facts.never
  message "no"
"#;

const NO_WAIVER: &str = r#"
loom rules 1
set no-waiver "Refuses every waiver."
fact never flag
  add run.closed
rule no-waiver on finding.waived
  require facts.never
  message "no"
"#;

const NO_OUTCOME: &str = r#"
loom rules 1
set no-outcome "Is broken by every outcome."
fact never flag
  add run.closed
rule no-outcome on spawn.finished, budget.settled
  require facts.never
  message "no"
"#;

const NO_RETRY: &str = r#"
loom rules 1
set no-retry "Refuses second attempts."
fact never flag
  add run.closed
rule no-retry on spawn.requested
  require event.attempt == 1
  message "no"
"#;

#[test]
fn acceptance_over_a_blocker_is_refused_and_the_person_is_asked_again() {
    check_under(
        FLOOR,
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
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
        > a: pass
          verdict.given a passed (pass)
        > b: fail high@1
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > answer accept
          refused merge.intended by floor/no-open-blocker
          gate.withdrawn the question is put anew
          gate.opened final: a rule refused what was decided at `decide` [1]
        "#,
    );
}

#[test]
fn acceptance_over_a_blocker_walks_back_where_the_stage_says_so() {
    check_under(
        FLOOR,
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement !walk-back | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1
        answer accept note it is fine
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
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > answer accept note it is fine
          refused merge.intended by floor/no-open-blocker
          gate.withdrawn the run walks back
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 note, 1 to mend
        "#,
    );
}

#[test]
fn acceptance_over_a_blocker_fails_the_run_where_the_stage_says_so() {
    check_under(
        FLOOR,
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement !fail | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1
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
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > answer accept
          refused merge.intended by floor/no-open-blocker
          gate.withdrawn the run ends
          run.closed failed: a rule refused what was decided at `decide`
        "#,
    );
}

#[test]
fn what_a_policy_decided_and_rules_refuse_goes_to_a_person() {
    check_under(
        FLOOR,
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement !walk-back | end\nrole final on-blockers",
        r#"
        w: edit tests/x
        a: pass
        answer accept
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit tests/x
          paths.changed tests/x
          stage.entered review, round 1
          spawn.requested a attempt 1
        > a: pass
          verdict.given a passed (pass)
          refused merge.intended by floor/tests-need-person
          stage.entered decide, round 1
          gate.opened final: a rule refused what was decided at `decide`
        > answer accept
          gate.decided final accepted by person
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

#[test]
fn way_back_that_is_refused_as_well_asks_a_person() {
    check_under(
        NO_WAY,
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement !walk-back | end\nrole final human",
        r#"
        w: edit
        a: pass
        answer accept
        answer reject
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
        > a: pass
          verdict.given a passed (pass)
          stage.entered decide, round 1
          gate.opened final: the policy asks a person
        > answer accept
          refused merge.intended by no-way/no-merge
          refused walked.back by no-way/no-merge
          gate.withdrawn the question is put anew
          gate.opened final: a rule refused the way back as well
        > answer reject
          gate.decided final rejected by person
          run.closed rejected: rejected by uid:1000
        "#,
    );
}

#[test]
fn refused_spawn_asks_a_person_and_never_wedges_the_run() {
    check_under(
        NO_SPAWN,
        REVIEWED,
        r#"
        answer accept
        answer abandon
        "#,
        r#"
        > open
          refused spawn.requested by no-spawn/no-spawn
          gate.opened ask: a rule refused what was decided at ``
        > answer accept
          refused spawn.requested by no-spawn/no-spawn
          gate.withdrawn the question is put anew
          gate.opened ask: a rule refused what was decided at ``
        > answer abandon
          gate.decided ask abandoned by person
          run.closed abandoned: abandoned by uid:1000
        "#,
    );
}

#[test]
fn refused_waiver_leaves_the_run_where_it_was() {
    check_under(
        NO_WAIVER,
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        risk b
        answer reject
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
        > risk b
          refused finding.waived by no-waiver/no-waiver
        > answer reject
          gate.decided final rejected by person
          run.closed rejected: rejected by uid:1000
        "#,
    );
}

#[test]
fn rule_on_an_input_is_violated_but_refuses_nothing() {
    check_under(
        NO_OUTCOME,
        REVIEWED,
        r#"
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          violation no-outcome/no-outcome by spawn.finished
          violation no-outcome/no-outcome by budget.settled
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn gate_before_the_one_that_is_asked_at_keeps_its_decision() {
    check_under(
        FLOOR,
        "flow work: implement=spawn w | first=gate plan | decide=gate final ->implement | end\nrole plan on-blockers\nrole final on-blockers",
        r#"
        w: edit tests/x
        answer accept
        answer accept
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit tests/x
          paths.changed tests/x
          refused merge.intended by floor/tests-need-person
          stage.entered first, round 1
          gate.decided plan accepted by policy
          stage.entered decide, round 1
          gate.opened final: a rule refused what was decided at `decide`
        > answer accept
          gate.decided final accepted by person
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > answer accept
          request.declined gate 0 is not waiting: it was decided, withdrawn or never opened
        "#,
    );
}

#[test]
fn walk_back_after_a_refusal_gives_up_what_is_under_way() {
    check_under(
        NO_RETRY,
        "flow work: implement=spawn w | review=fanout a b ->implement !walk-back | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        a: failed
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
        > a: failed
          refused spawn.requested by no-retry/no-retry
          budget.settled worst case, 10 tokens
          walked.back to implement, by itself
          stage.entered implement, round 2
          spawn.requested w attempt 1
        "#,
    );
}

#[test]
fn outcome_that_arrives_while_a_person_is_asked_passes_nothing() {
    check_under(
        NO_RETRY,
        REVIEWED,
        r#"
        w: edit
        a: failed
        b: pass
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
        > a: failed
          refused spawn.requested by no-retry/no-retry
          gate.opened ask: a rule refused what was decided at `review`
        > b: pass
          verdict.given b passed (pass)
        > answer accept
          gate.decided ask accepted by person
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}
