//! What people ask for: notes, rule sets, questions, an end.

use super::script::{LENIENT, Opening, World, check};

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn note_stands_in_every_later_prompt() {
    check(
        REVIEWED,
        r#"
        steer mind the gap
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > steer mind the gap
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1, 1 note
          spawn.requested b attempt 1, 1 note
        "#,
    );
}

#[test]
fn cancelled_run_is_closed_and_declines_what_comes_after() {
    check(
        REVIEWED,
        r#"
        cancel
        steer more
        answer accept
        recover retry
        cancel
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > cancel
          budget.settled worst case, 10 tokens
          run.closed cancelled: cancelled by uid:1000
        > steer more
          request.declined the run has ended
        > answer accept
          request.declined the run has ended
        > recover retry
          request.declined the run has ended
        > cancel
          request.declined the run has ended
        "#,
    );
}

#[test]
fn held_run_decides_on_and_a_hold_of_seven_days_abandons_it() {
    check(
        REVIEWED,
        r#"
        pause
        pause
        w: edit
        resume
        resume
        pause
        timer hold
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > pause
        > pause
          request.declined the run is held already
        > w: edit
          paths.changed src/x
          stage.entered review, round 1
          spawn.requested a attempt 1
          spawn.requested b attempt 1
        > resume
        > resume
          request.declined the run is not held
        > pause
        > timer hold
          budget.settled worst case, 10 tokens
          budget.settled worst case, 10 tokens
          run.closed abandoned: nobody let the held run go on in time
        "#,
    );
}

#[test]
fn held_merge_is_made_when_the_hold_ends() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        pause
        b: pass
        timer hold
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
        > pause
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > timer hold
        > merge: done
          run.closed accepted: accepted; the work is on loom/task-6407d68d
        "#,
    );
}

#[test]
fn rule_set_for_a_run_that_has_ended_is_not_added() {
    check(
        REVIEWED,
        r#"
        cancel
        rules harmless
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > cancel
          budget.settled worst case, 10 tokens
          run.closed cancelled: cancelled by uid:1000
        > rules harmless
          declined: the run has ended; rules can be asked about it by replay
        "#,
    );
}

#[test]
fn question_is_answered_without_a_gate_and_without_a_change() {
    check(
        "classifier c\nflow ask: respond=spawn p | end\nflow work: implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        c: flow ask
        p: nothing
        "#,
        r#"
        > open
          stage.entered classify, round 1
          spawn.requested c attempt 1
        > c: flow ask
          flow.chosen ask by classifier
          stage.entered respond, round 1
          spawn.requested p attempt 1
        > p: nothing
          stage.entered finish, round 1
          run.closed answered: the question is answered
        "#,
    );
}

#[test]
fn flow_that_the_classifier_made_up_is_the_default_one() {
    check(
        "classifier c\nflow work: implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        c: flow unheard-of
        "#,
        r#"
        > open
          stage.entered classify, round 1
          spawn.requested c attempt 1
        > c: flow unheard-of
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        "#,
    );
}

#[test]
fn pinned_flow_needs_no_classifier() {
    let mut world = World::open(
        LENIENT,
        "classifier c\nflow work: implement=spawn w | decide=gate final ->implement | end\nflow ask: respond=spawn p | end\nrole final human",
        &Opening { flow: Some("ask"), ..Opening::default() },
    );
    world.play(
        r#"
        p: nothing
        "#,
    );
    world.compare(
        r#"
        > open
          flow.chosen ask by pin
          stage.entered respond, round 1
          spawn.requested p attempt 1
        > p: nothing
          stage.entered finish, round 1
          run.closed answered: the question is answered
        "#,
    );
}

#[test]
fn classifier_without_a_usable_answer_asks_and_is_tried_again() {
    check(
        "classifier c\nflow work: implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        c: unparsable
        c: unparsable
        answer accept
        c: flow work
        "#,
        r#"
        > open
          stage.entered classify, round 1
          spawn.requested c attempt 1
        > c: unparsable
          spawn.requested c attempt 2, 1 to repair
        > c: unparsable
          finding.raised blocking by c (harness): unparsable-output
          gate.opened ask: c gave no usable answer: no detail was given [1]
        > answer accept
          gate.decided ask accepted by person
          finding.resolved superseded
          stage.entered classify, round 1
          spawn.requested c attempt 1
        > c: flow work
          flow.chosen work by classifier
          stage.entered implement, round 1
          spawn.requested w attempt 1
        "#,
    );
}

#[test]
fn classifier_that_edits_chooses_nothing_and_a_person_is_asked() {
    check(
        "classifier c\nflow work: implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        c: flow work +edit
        "#,
        r#"
        > open
          stage.entered classify, round 1
          spawn.requested c attempt 1
        > c: flow work +edit
          paths.changed src/x
          finding.raised blocking by c (harness): edited-read-only
          gate.opened ask: c may not change the tree and did; its changes were not taken over [1]
        "#,
    );
}

#[test]
fn rule_set_added_while_a_gate_waits_puts_the_question_anew() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        rules harmless
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
        > rules harmless
          gate.withdrawn a rule set was added
          gate.opened final: a rule set was added since the question was put [1]
        "#,
    );
}

#[test]
fn acceptance_is_void_once_a_rule_set_was_added() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: pass
        rules harmless
        merge: failed
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
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > rules harmless
        > merge: failed
          gate.opened ask: the merge failed: it says why
        > answer accept
          gate.decided ask accepted by person
          stage.entered finish, round 1
          stage.entered decide, round 2
          gate.decided final accepted by policy
          stage.entered finish, round 2
          merge.intended loom/task-6407d68d
        "#,
    );
}
