//! Rounds: trying again, walking back, escalating, and when a person is asked instead.

use super::script::{FLOOR, LENIENT, Opening, World, check, check_under};
use loom_core::state::Asked;

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn unparsable_output_is_asked_for_once_more_and_then_blocks() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: unparsable
        b: pass
        a: unparsable
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
        > a: unparsable
          spawn.requested a attempt 2, 1 to repair
        > b: pass
          verdict.given b passed (pass)
        > a: unparsable
          finding.raised blocking by a (harness): unparsable-output
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn lone_agent_without_a_usable_answer_asks_a_person_and_an_acceptance_tries_again() {
    check(
        REVIEWED,
        r#"
        w: unparsable
        w: garbage
        answer accept
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: unparsable
          spawn.requested w attempt 2, 1 to repair
        > w: garbage
          finding.raised blocking by w (harness): unparsable-output
          gate.opened ask: w gave no usable answer: its answer is not of the canonical form [1]
        > answer accept
          gate.decided ask accepted by person
          finding.resolved superseded
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn work_done_before_an_unreadable_answer_need_not_be_done_twice() {
    check(
        REVIEWED,
        r#"
        w: unparsable +edit
        w: nothing
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: unparsable +edit
          paths.changed src/x
          spawn.requested w attempt 2, 1 to repair
        > w: nothing
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

#[test]
fn worker_that_changes_nothing_is_asked_once_more_and_then_blocks() {
    check(
        REVIEWED,
        r#"
        w: nothing
        w: nothing
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: nothing
          spawn.requested w attempt 2, 1 to repair
        > w: nothing
          finding.raised blocking by w (harness): no-effect
          gate.opened ask: w said done and changed nothing [1]
        "#,
    );
}

#[test]
fn failed_spawn_is_tried_again_while_it_may() {
    check(
        REVIEWED,
        r#"
        w: failed
        w: timed-out
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: failed
          spawn.requested w attempt 2
        > w: timed-out
          finding.raised blocking by w (harness): spawn-failed
          gate.opened ask: w timed-out after 2 attempt(s): no detail was given [1]
        "#,
    );
}

#[test]
fn broken_spawn_is_not_tried_again() {
    check(
        REVIEWED,
        r#"
        w: broken
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
        "#,
    );
}

#[test]
fn rate_limited_spawn_waits_and_costs_no_attempt() {
    check(
        REVIEWED,
        r#"
        w: limited
        timer w
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: limited
          timer.set w attempt 1 at 60000
        > timer w
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}

/// Plays so many rate limits in a row, each after its wait, and returns the waits in seconds.
fn waits_s(world: &mut World, limit: &str, times: usize) -> Vec<u64> {
    let wait = |_| {
        world.play(limit);
        let due_ms = world.run.state.timers.values().next().expect("it waits").due_ms;
        let wait_ms = due_ms - world.run.state.stamp.ms;
        world.play("timer w");
        wait_ms / 1000
    };
    (0..times).map(wait).collect()
}

#[test]
fn waits_for_a_rate_limit_without_a_time_double_until_a_person_would_have_been_asked() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { time_ms: Some(1 << 40), ..Opening::default() });
    let waited = waits_s(&mut world, "w: limited unsaid", 9);
    assert_eq!(waited, [60, 120, 240, 480, 960, 1_000, 1_000, 1_000, 1_000]);
    // Whoever works in between begins anew.
    world.play("w: failed");
    assert_eq!(waits_s(&mut world, "w: limited unsaid", 1), [60]);
}

#[test]
fn an_endpoint_that_says_now_again_and_again_is_asked_ever_more_seldom() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { time_ms: Some(1 << 40), ..Opening::default() });
    assert_eq!(waits_s(&mut world, "w: limited 0", 9), [0, 1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn a_stage_of_checks_waits_for_all_of_them() {
    check(
        "flow work: implement=spawn w | check=step t u ->implement | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        t: fail
        u: pass
        "#,
        r#"
        > open
          flow.chosen work by default, checks t u
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered check, round 1
          check.requested t
          check.requested u
        > t: fail
          finding.raised blocking by t (check): check-failed
        > u: pass
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        "#,
    );
}

#[test]
fn what_is_asked_for_has_the_round_of_its_phase() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    let mut rounds = Vec::new();
    for script in ["", "w: edit", "a: fail high@1\nb: pass\nanswer revise", "w: edit"] {
        world.play(script);
        rounds.extend(world.run.state.pending.values().map(|pending| match &pending.what {
            Asked::Spawn { agent, round, .. } => format!("{agent} {round}"),
            other => panic!("{other:?}"),
        }));
    }
    assert_eq!(rounds, ["w 1", "a 1", "b 1", "w 2", "a 2"]);
}

#[test]
fn who_waits_for_a_rate_limit_is_busy_but_while_the_run_is_held() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    world.play("w: limited");
    let state = |world: &World| (world.run.state.is_busy(), world.run.state.is_parked());
    assert!(state(&world) == (true, false) && world.run.state.pending.is_empty());
    world.play("pause");
    assert_eq!(state(&world), (false, true));
    world.play("resume");
    assert_eq!(state(&world), (true, false));
}

#[test]
fn a_spawn_that_is_turned_away_is_none_of_the_cap() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { spawns: Some(3), ..Opening::default() });
    for _ in 0..7 {
        world.play("w: limited\ntimer w");
    }
    assert_eq!((world.run.state.budget.used.spawns, world.run.state.budget.reserved.spawns), (0, 1));
    world.play("w: edit\na: pass\nb: pass");
    assert_eq!(world.run.state.budget.used.spawns, 3);
    assert_eq!(world.run.state.closed, None, "{}", world.transcript);
}

#[test]
fn a_run_that_is_turned_away_for_ever_ends_by_its_time() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { time_ms: Some(1_000_000), ..Opening::default() });
    for _ in 0..4 {
        world.play("w: limited unsaid\ntimer w");
    }
    // What was waited counts: 60 + 120 + 240 + 480 seconds.
    assert_eq!(world.run.state.budget.used.time_ms, 900_004);
    world.play("w: limited unsaid");
    assert!(
        world.transcript.ends_with(
            "  run.closed exhausted: w waits for a rate limit, for which the budget of time (ms) is too small: \
             1861005 needed of 1000000\n"
        ),
        "{}",
        world.transcript
    );
}

#[test]
fn a_wait_for_a_rate_limit_can_be_held_and_ended() {
    check(
        REVIEWED,
        r#"
        w: limited
        pause
        timer w
        resume
        w: limited 70000
        cancel
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: limited
          timer.set w attempt 1 at 60000
        > pause
        > timer w
          spawn.requested w attempt 1
        > resume
        > w: limited 70000
          timer.set w attempt 1 at 70000
        > cancel
          run.closed cancelled: cancelled by uid:1000
        "#,
    );
}

#[test]
fn rework_round_runs_only_reviewers_that_blocked_and_a_clean_one_runs_the_others() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        answer revise
        w: edit
        b: pass
        a: pass
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
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested b attempt 1, 1 to mend
        > b: pass
          verdict.given b passed (pass)
          spawn.requested a attempt 1, 1 to mend
        > a: pass
          verdict.given a passed (pass)
          stage.entered decide, round 2
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

#[test]
fn rework_round_that_blocks_again_does_not_run_the_others() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        answer revise
        w: edit
        b: fail high@2
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
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested b attempt 1, 1 to mend
        > b: fail high@2
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 2
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn stronger_worker_takes_over_after_two_blocked_rounds_and_that_is_recorded_once() {
    check(
        "flow work: implement=spawn w>w2 | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1
        answer revise
        w: edit
        a: fail high@2
        answer revise
        w2: edit
        a: fail high@3
        answer revise
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
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested a attempt 1, 1 to mend
        > a: fail high@2
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 2
          gate.opened final: 1 blocking finding(s) stand [1]
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 3
          agent.escalated w to w2
          spawn.requested w2 attempt 1, 1 to mend
        > w2: edit
          paths.changed src/x
          stage.entered review, round 3
          spawn.requested a attempt 1, 1 to mend
        > a: fail high@3
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 3
          gate.opened final: 1 blocking finding(s) stand [1]
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 4
          spawn.requested w2 attempt 1, 1 to mend
        "#,
    );
}

#[test]
fn same_blockers_two_rounds_running_ask_a_person() {
    check(
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement | end\nrole final auto",
        r#"
        w: edit
        a: fail high@1
        w: edit
        a: fail high@1
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
          gate.decided final revised by policy
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested a attempt 1, 1 to mend
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 2
          gate.opened final: the same blockers stand as in the round before [1]
        "#,
    );
}

#[test]
fn other_blockers_are_no_stall_but_automatic_rounds_are_capped() {
    check(
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement | end\nrole final auto\nreplans 2",
        r#"
        w: edit
        a: fail high@1
        w: edit
        a: fail high@2
        w: edit
        a: fail high@1
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
          gate.decided final revised by policy
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested a attempt 1, 1 to mend
        > a: fail high@2
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 2
          gate.decided final revised by policy
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 3
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered review, round 3
          spawn.requested a attempt 1, 1 to mend
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 3
          gate.opened final: blockers stand after 2 automatic round(s) [1]
        "#,
    );
}

#[test]
fn blocker_of_the_machinery_beside_one_of_the_code_asks_a_person() {
    check(
        "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final auto",
        r#"
        w: edit
        a: broken
        b: fail high@1
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
        > a: broken
          budget.settled worst case, 10 tokens
          finding.raised blocking by a (harness): spawn-failed
        > b: fail high@1
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: the machinery itself raised a blocker [2]
        "#,
    );
}

#[test]
fn failed_check_skips_the_reviewers_and_walks_back_and_a_green_one_goes_on() {
    check(
        "flow work: implement=spawn w | check=step t ->implement | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        t: fail
        w: edit
        t: pass
        a: pass
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
        > t: fail
          finding.raised blocking by t (check): check-failed
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered check, round 2
          check.requested t
        > t: pass
          stage.entered review, round 2
          spawn.requested a attempt 1, 1 to mend
        > a: pass
          verdict.given a passed (pass)
          stage.entered decide, round 2
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

#[test]
fn check_that_fails_in_the_same_way_twice_running_asks_a_person() {
    check(
        "flow work: implement=spawn w | check=step t ->implement | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        t: fail
        w: edit
        t: fail
        answer accept
        t: pass
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
        > t: fail
          finding.raised blocking by t (check): check-failed
          walked.back to implement, by itself
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 to mend
        > w: edit
          paths.changed src/x
          stage.entered check, round 2
          check.requested t
        > t: fail
          finding.raised blocking by t (check): check-failed
          gate.opened ask: the same blockers stand as in the round before [1]
        > answer accept
          gate.decided ask accepted by person
          stage.entered check, round 2
          check.requested t
        > t: pass
          finding.resolved cleared
          stage.entered review, round 2
          spawn.requested a attempt 1, 1 to mend
        "#,
    );
}

#[test]
fn check_without_a_result_warns_and_goes_on() {
    check(
        "flow work: implement=spawn w | check=step t ->implement | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        t: absent
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
        > t: absent
          finding.raised warn by t (check): check-absent
          stage.entered review, round 1
          spawn.requested a attempt 1
        "#,
    );
}

#[test]
fn check_declared_not_applicable_is_not_run() {
    let mut world = World::open(
        LENIENT,
        "flow work: implement=spawn w | check=step t ->implement | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        &Opening { checks_waived: vec!["t"], ..Opening::default() },
    );
    world.play(
        r#"
        w: edit
        "#,
    );
    world.compare(
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered check, round 1
          stage.entered review, round 1
          spawn.requested a attempt 1
        "#,
    );
}

#[test]
fn stage_is_passed_by_when_its_condition_is_false() {
    check_under(
        FLOOR,
        "flow work: implement=spawn w | advise=spawn p ?size(facts.editors) > 5 | audit=fanout b ?size(facts.editors) > 0 | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        b: pass
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered audit, round 1
          spawn.requested b attempt 1
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

/// Rules whose fact `sum` is unknown from the opening on.
const UNKNOWN: &str = r#"
loom rules 1
set blind "One of its facts becomes unknown at once."
fact opened counter
  add run.opened
fact sum sum
  add run.opened: 1 / (facts.opened - facts.opened)
rule opened-once on run.opened
  require facts.opened == 0
  message "a run is opened once"
"#;

/// STAGE-2.
#[test]
fn stage_is_not_passed_by_when_its_condition_is_unknown_or_an_error() {
    for condition in ["facts.sum > 0", "1 / (facts.opened - facts.opened) > 0"] {
        check_under(
            UNKNOWN,
            &format!(
                "flow work: implement=spawn w | advise=spawn p ?{condition} | never=spawn p2 ?facts.opened > 5 | decide=gate final ->implement | end\nrole final on-blockers"
            ),
            r#"
            w: edit
            p: said
            "#,
            r#"
            > open
              flow.chosen work by default
              stage.entered implement, round 1
              spawn.requested w attempt 1
            > w: edit
              paths.changed src/x
              stage.entered advise, round 1
              spawn.requested p attempt 1
            > p: said
              stage.entered decide, round 1
              gate.decided final accepted by policy
              stage.entered finish, round 1
              merge.intended loom/task-6407d68d
            "#,
        );
    }
}

#[test]
fn revision_of_a_plan_begins_its_phase_anew() {
    check(
        "flow work: plan=spawn p | approve=gate plan ->plan | implement=spawn w | decide=gate final ->implement | end\nrole plan human\nrole final human",
        r#"
        p: nothing
        answer revise note use the other one
        p: nothing
        answer accept
        w: edit
        answer revise
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered plan, round 1
          spawn.requested p attempt 1
        > p: nothing
          stage.entered approve, round 1
          gate.opened plan: the policy asks a person
        > answer revise note use the other one
          gate.decided plan revised by person
          walked.back to plan
          stage.entered plan, round 2
          spawn.requested p attempt 1, 1 note, 1 advice
        > p: nothing
          stage.entered approve, round 2
          gate.opened plan: the policy asks a person
        > answer accept
          gate.decided plan accepted by person
          stage.entered implement, round 1
          spawn.requested w attempt 1, 1 note, 1 advice
        > w: edit
          paths.changed src/x
          stage.entered decide, round 3
          gate.opened final: the policy asks a person
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 note, 1 advice
        "#,
    );
}
