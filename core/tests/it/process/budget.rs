//! Budgets: reserved before the call, settled after it.

use super::script::{LENIENT, Opening, World, check};
use loom_core::kind::Event;

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn spawn_beyond_the_cap_is_never_asked_for_and_the_run_is_exhausted() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { spawns: Some(2), ..Opening::default() });
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
          stage.entered review, round 1
          run.closed exhausted: the budget of spawns is exhausted: 3 needed of 2
        "#,
    );
}

#[test]
fn tokens_are_reserved_for_a_whole_wave_or_not_at_all() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { tokens: Some(20), ..Opening::default() });
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
          stage.entered review, round 1
          run.closed exhausted: the budget of tokens is exhausted: 22 needed of 20
        "#,
    );
}

#[test]
fn money_is_reserved_for_a_whole_wave_or_not_at_all() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { money_micro: Some(20), ..Opening::default() });
    world.play("w: edit");
    world.compare(
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          run.closed exhausted: the budget of money (micro-units) is exhausted: 21 needed of 20
        "#,
    );
}

#[test]
fn time_is_reserved_for_a_whole_wave_or_not_at_all() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening { time_ms: Some(2_000), ..Opening::default() });
    world.play("w: edit");
    world.compare(
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          run.closed exhausted: the budget of time (ms) is exhausted: 2001 needed of 2000
        "#,
    );
}

#[test]
fn check_beyond_the_cap_on_time_is_never_asked_for() {
    let process = "flow work: implement=spawn w | test=step t ->implement | decide=gate final ->implement | end
        role final on-blockers
        check-time 2000";
    let mut world = World::open(LENIENT, process, &Opening { time_ms: Some(2_000), ..Opening::default() });
    world.play("w: edit");
    world.compare(
        r#"
        > open
          flow.chosen work by default, checks t
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered test, round 1
          run.closed exhausted: the budget of time (ms) is exhausted: 2001 needed of 2000
        "#,
    );
}

#[test]
fn unknown_use_counts_as_what_was_reserved() {
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

/// BUDGET-2: each sort of use by itself; what is known of one says nothing of the other.
#[test]
fn use_that_is_known_in_part_is_told_as_unknown() {
    let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
    let mut input = world.input("w: edit");
    let Event::SpawnFinished(body) = &mut input.body else { panic!("a spawn ends") };
    body.money_micro = None;
    world.put("w: edit", input);
    world.compare(
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          budget.settled worst case, 2 tokens
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        "#,
    );
}
