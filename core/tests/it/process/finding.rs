//! Findings and verdicts: what words count as, and whose word counts.

use super::script::{FLOOR, LENIENT, Opening, World, check, check_under};

const REVIEWED: &str =
    "flow work: implement=spawn w | review=fanout a b | decide=gate final ->implement | end\nrole final on-blockers";

#[test]
fn severity_words_have_synonyms_and_unknown_ones_block() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass medium@1 major@2 warning@3 low@4 minor@5 nit@6 info@7
        b: fail high@1 critical@2 blocking@3 dreadful@4
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
        > a: pass medium@1 major@2 warning@3 low@4 minor@5 nit@6 info@7
          finding.raised warn by a (agent): logic
          finding.raised warn by a (agent): logic
          finding.raised warn by a (agent): logic
          finding.raised info by a (agent): logic
          finding.raised info by a (agent): logic
          finding.raised info by a (agent): logic
          finding.raised info by a (agent): logic
          verdict.given a passed (pass)
        > b: fail high@1 critical@2 blocking@3 dreadful@4
          finding.raised blocking by b (agent): logic
          finding.raised blocking by b (agent): logic
          finding.raised blocking by b (agent): logic
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 4 blocking finding(s) stand [4]
        "#,
    );
}

#[test]
fn verdict_word_that_nobody_knows_fails_closed() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: approved
        b: pass
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
        > a: approved
          finding.raised blocking by a (harness): unknown-verdict
          verdict.given a not passed (approved)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn failing_word_without_a_finding_blocks() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: fail
        b: pass
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
        > a: fail
          finding.raised blocking by a (agent): verdict
          verdict.given a not passed (fail)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn passing_word_beside_a_blocker_is_no_pass() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass high@1
        b: pass
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
        > a: pass high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (pass)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

#[test]
fn reviewer_that_edits_blocks_and_its_tree_is_not_taken_over() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass +edit
        b: pass
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
        > a: pass +edit
          paths.changed src/x
          finding.raised blocking by a (harness): edited-read-only
          verdict.given a not passed (pass)
        > b: pass
          verdict.given b passed (pass)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        "#,
    );
}

/// The tree of a run is what its workers made of it, as far as they ended well.
#[test]
fn tree_is_taken_over_from_workers_that_ended_well() {
    let moved = |script: &str| {
        let mut world = World::open(LENIENT, REVIEWED, &Opening::default());
        let mut before = Vec::new();
        for line in script.lines() {
            before = world.run.state.tree.clone();
            world.play(line);
        }
        world.run.state.tree != before
    };
    for script in ["w: edit", "w: unparsable +edit"] {
        assert!(moved(script), "{script}");
    }
    for script in ["w: failed +edit", "w: edit\na: pass +edit", "w: edit\na: failed +edit"] {
        assert!(!moved(script), "{script}");
    }
}

#[test]
fn adviser_that_edits_blocks_and_a_person_is_asked() {
    check(
        "flow work: plan=spawn p | implement=spawn w | decide=gate final ->implement | end\nrole final human",
        r#"
        p: nothing +edit
        "#,
        r#"
        > open
          flow.chosen work by default
          stage.entered plan, round 1
          spawn.requested p attempt 1
        > p: nothing +edit
          paths.changed src/x
          finding.raised blocking by p (harness): edited-read-only
          gate.opened ask: p may not change the tree and did; its changes were not taken over [1]
        "#,
    );
}

#[test]
fn risk_taken_by_a_person_lets_the_acceptance_stand() {
    check_under(
        FLOOR,
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        risk b
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
        > b: fail high@1
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 1 blocking finding(s) stand [1]
        > risk b
          finding.waived by uid:1000
        > answer accept
          gate.decided final accepted by person
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        > merge: done
          run.closed accepted: accepted; the work is on loom/task-6407d68d
        "#,
    );
}

#[test]
fn risk_of_one_finding_is_not_that_of_another() {
    check_under(
        FLOOR,
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1 high@2
        risk b
        risk b
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
        > b: fail high@1 high@2
          finding.raised blocking by b (agent): logic
          finding.raised blocking by b (agent): logic
          verdict.given b not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 2 blocking finding(s) stand [2]
        > risk b
          finding.waived by uid:1000
        > risk b
          finding.waived by uid:1000
        "#,
    );
}

#[test]
fn risk_that_was_taken_stays_taken_when_the_finding_comes_back() {
    check(
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1
        risk a
        answer revise
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
          gate.opened final: 1 blocking finding(s) stand [1]
        > risk a
          finding.waived by uid:1000
        > answer revise
          gate.decided final revised by person
          walked.back to implement
          finding.resolved superseded
          stage.entered implement, round 2
          spawn.requested w attempt 1
        > w: edit
          paths.changed src/x
          stage.entered review, round 2
          spawn.requested a attempt 1
        > a: fail high@1
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          finding.waived by uid:1000
          stage.entered decide, round 2
          gate.decided final accepted by policy
          stage.entered finish, round 1
          merge.intended loom/task-6407d68d
        "#,
    );
}

#[test]
fn a_risk_is_that_of_every_finding_that_is_the_same() {
    check(
        "flow work: implement=spawn w | review=fanout a | decide=gate final ->implement | end\nrole final on-blockers",
        r#"
        w: edit
        a: fail high@1 high@1
        risk a
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
        > a: fail high@1 high@1
          finding.raised blocking by a (agent): logic
          finding.raised blocking by a (agent): logic
          verdict.given a not passed (fail)
          stage.entered decide, round 1
          gate.opened final: 2 blocking finding(s) stand [2]
        > risk a
          finding.waived by uid:1000
          finding.waived by uid:1000
        "#,
    );
}

#[test]
fn risk_of_what_does_not_stand_is_declined() {
    check(
        REVIEWED,
        r#"
        w: edit
        a: pass
        b: fail high@1
        risk a
        risk b
        risk b
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
        > risk a
          request.declined finding 0 does not stand
        > risk b
          finding.waived by uid:1000
        > risk b
          request.declined finding 0 does not stand
        "#,
    );
}
