//! Gates: who decides, what is stale, and what never passes.

use super::script::{LENIENT, Opening, World, check};

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn human_policy_always_waits() {
    check(
        "flow work: implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        w: edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered decide, round 1
          gate.opened final: the policy asks a person
        "#,
    );
}

#[test]
fn on_blockers_without_blockers_is_accepted_by_policy() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: pass medium@1
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
        > b: pass medium@1
          finding.raised warn by b (agent): logic
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > merge: done
          run.closed accepted: accepted; the work is on loom/task-6407d68d
        "#,
    );
}

#[test]
fn on_blockers_with_a_blocker_waits_for_a_person() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
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
        > a: pass
          verdict.given a passed (pass)
        > b: fail high@1
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn request_sets_the_policy_of_one_role_and_others_keep_the_bundles() {
    let mut world = World::open(
        LENIENT,
        "flow work: plan=spawn p | approve=gate plan ->plan | implement=spawn w | decide=gate final ->implement | end\nrole plan on-blockers\nrole final on-blockers",
        &Opening { policies: vec![("final", "human")], ..Opening::default() },
    );
    world.play(
        r#"
        p: nothing
        w: edit
        "#,
    );
    world.compare(
        r#"
        > open
          flow.chosen work by default
          stage.entered plan, round 1
          spawn.requested p attempt 1
        > p: nothing
          stage.entered approve, round 1
          gate.decided plan accepted by policy
          stage.entered implement, round 1
          spawn.requested w attempt 1, 1 advice
        > w: edit
          paths.changed src/x
          stage.entered decide, round 2
          gate.opened final: the policy asks a person
        "#,
    );
}

#[test]
fn stale_gate_is_declined_and_the_gate_still_waits() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        answer #7 accept
        answer stale accept
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
        > answer #7 accept
          request.declined gate 7 is not waiting: it was decided, withdrawn or never opened
        > answer stale accept
          request.declined the digest is stale: what is to be approved has changed since it was shown
        > answer reject
          gate.decided final rejected by person
          run.closed rejected: rejected by uid:1000
        "#,
    );
}

#[test]
fn peer_that_descends_from_a_spawn_answers_nothing_and_is_on_record() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        spawn answers revise note it is fine
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
        > spawn answers revise note it is fine
          request.refused gate.answered: whoever asks descends from a spawn of this run
        "#,
    );
}

#[test]
fn gate_that_nobody_answers_ends_in_its_default_which_is_no_acceptance() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        timer gate
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
        > timer gate
          gate.decided final rejected by deadline
          run.closed rejected: nobody answered gate `final` in time
        "#,
    );
}

#[test]
fn rejection_and_abandonment_end_the_run() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        answer abandon
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
        > answer abandon
          gate.decided final abandoned by person
          run.closed abandoned: abandoned by uid:1000
        > answer accept
          request.declined the run has ended
        "#,
    );
}

#[test]
fn note_of_a_revision_stands_in_the_next_prompt() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        answer revise note mind the gap
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
        > answer revise note mind the gap
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1, 1 note, 1 to mend
        "#,
    );
}

#[test]
fn revision_at_a_gate_without_a_way_back_asks_again_and_never_passes() {
    check(
        "flow work: implement=spawn w | decide=gate final | end\nrole final human",
        r#"
        w: edit
        rules harmless
        answer revise
        answer accept
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered implement, round 1
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered decide, round 1
          gate.opened final: the policy asks a person
        > rules harmless
          gate.withdrawn a rule set was added
          gate.opened final: a rule set was added since the question was put
        > answer revise
          gate.decided final revised by person
          gate.opened final: there is no stage to revise
        > answer accept
          gate.decided final accepted by person
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

#[test]
fn revision_after_the_last_blocker_was_waived_is_no_acceptance() {
    check(
        "flow work: implement=spawn w | review=fanout a | decide=gate final | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1
        risk a
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
        > risk a
          finding.waived by uid:1000
        > answer revise
          gate.decided final revised by person
          gate.opened final: there is no stage to revise
        "#,
    );
}

#[test]
fn merge_that_failed_is_tried_again_when_the_person_who_is_asked_accepts() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: pass
        merge: failed
        answer accept
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
        > merge: failed
          gate.opened ask: the merge failed: it says why
        > answer accept
          gate.decided ask accepted by person
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > merge: done
          run.closed accepted: accepted; the work is on loom/task-6407d68d
        "#,
    );
}
