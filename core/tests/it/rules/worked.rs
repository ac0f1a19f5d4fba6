//! The worked example of the design, on the real schema: what is refused and what passes.

use super::*;

const RULES: &str = r#"loom rules 1
set code-safety "What nobody may skip when code is changed"

fact open_blockers set of int
  add finding.raised: event.sequence if event.severity == "blocking"
  remove finding.resolved, finding.waived: event.finding

fact required_reviewers last list of string
  add flow.chosen: event.required_reviewers

fact reviewed_tree last bytes by string
  add verdict.given: event.tree by event.agent

# Those declared not applicable are not in it.
fact required_checks last list of string
  add flow.chosen: event.required_checks

fact passed_tree last bytes by string
  add check.finished: event.tree by event.check if event.outcome == "pass"

fact tests_touched flag
  add paths.changed if event.paths.exists(p, glob(p, "**/tests/**") || glob(p, "**/*_test.*"))

fact approved last bytes
  add gate.decided: event.artifact if event.outcome == "accepted"
  reset walked.back

fact approver last string
  add gate.decided: event.by if event.outcome == "accepted"
  reset walked.back

fact authors set of string
  add spawn.finished: event.agent if event.tree_before != event.tree_after

rule no-open-blocker on merge.intended, run.closed
  require has(event.verdict) && event.verdict != "accepted" || size(facts.open_blockers) == 0
  message "a blocking finding is open"
  origin "a person said accept over a blocker"

rule tests-need-person on merge.intended
  require !facts.tests_touched || has(facts.approver) && facts.approver == "person"
  message "tests were changed: a person must approve"

rule fresh-checks on merge.intended
  require has(facts.approver) && facts.approver != "policy"
    || facts.required_checks.all(c, c in facts.passed_tree && facts.passed_tree[c] == event.tree)
  message "a required check did not pass on this tree"

rule reviewers-ran on merge.intended
  require facts.required_reviewers.all(r, r in facts.reviewed_tree && facts.reviewed_tree[r] == event.tree)
  message "a required reviewer did not judge this tree"

rule not-own-work on merge.intended
  require facts.required_reviewers.all(r, !(r in facts.authors))
  message "a reviewer judged its own work"

rule approved-artifact on merge.intended
  require has(facts.approved) && event.artifact == facts.approved
  message "this artifact was not approved"
"#;

fn flow() -> FlowChosen {
    FlowChosen {
        flow: "feature".into(),
        by: ChosenBy::Classifier,
        required_reviewers: words(&["critic"]),
        required_checks: words(&["test"]),
        edits: true,
    }
}

fn spawn(agent: &str, before: &str, after: &str) -> SpawnFinished {
    SpawnFinished {
        spawn: 3,
        outcome: SpawnOutcome::Ok,
        agent: agent.into(),
        prompt: None,
        output: None,
        answer: None,
        delta: None,
        tree_before: tree(before),
        tree_after: tree(after),
        tokens_in: None,
        tokens_out: None,
        money_micro: None,
        duration_ms: 1,
        model: None,
        session: None,
        detail: None,
        wake_ms: None,
        provider: None,
        chosen: None,
        requests: None,
        transcript: None,
        fence: None,
        enforced: List::default(),
    }
}

fn check_finished(outcome: CheckOutcome, on: &str) -> CheckFinished {
    CheckFinished {
        request: 4,
        check: "test".into(),
        outcome,
        exit_code: Some(0),
        tree: tree(on),
        output: None,
        duration_ms: 1,
        fence: None,
        enforced: List::default(),
    }
}

fn verdict(on: &str) -> VerdictGiven {
    VerdictGiven { spawn: 5, agent: "critic".into(), word: "pass".into(), passed: true, tree: tree(on), blocking: 0 }
}

fn decided(by: DecidedBy, artifact_of: u8, on: &str) -> GateDecided {
    GateDecided {
        gate: None,
        role: "final".into(),
        outcome: GateOutcome::Accepted,
        by,
        decider: "uid:1000".into(),
        artifact: artifact(artifact_of),
        tree: tree(on),
    }
}

fn merge(artifact_of: u8, on: &str) -> MergeIntended {
    MergeIntended {
        decision: 9,
        artifact: artifact(artifact_of),
        tree: tree(on),
        base: tree("base"),
        branch: "loom/fix-1".into(),
    }
}

fn closed(verdict: Verdict) -> RunClosed {
    RunClosed { verdict, reason: "done".into() }
}

fn play() -> Play {
    let mut play = Play::new(rules(RULES));
    play.feed(flow()).feed(spawn("implementer", "t0", "t1")).feed(paths(&["src/lib.rs"]));
    play
}

#[test]
fn clean_work_passes() {
    let mut play = play();
    play.feed(check_finished(CheckOutcome::Pass, "t1")).feed(verdict("t1"));
    play.feed(decided(DecidedBy::Policy, 1, "t1")).feed(merge(1, "t1")).feed(closed(Verdict::Accepted));
    assert_eq!(play.take(), "");
}

#[test]
fn acceptance_over_a_blocker_is_refused_and_the_waiver_clears_it() {
    let mut play = play();
    play.feed(check_finished(CheckOutcome::Pass, "t1")).feed(verdict("t1")).feed(finding(Severity::Blocking, None));
    play.feed(decided(DecidedBy::Person, 1, "t1")).feed(merge(1, "t1"));
    play.feed(closed(Verdict::Accepted)).feed(closed(Verdict::Rejected));
    assert_eq!(
        play.take(),
        "8 merge.intended code-safety/no-open-blocker: refused\n9 run.closed code-safety/no-open-blocker: refused\n"
    );
    play.feed(FindingWaived { finding: 6, fingerprint: [9; 16], person: "uid:1000".into() });
    play.feed(merge(1, "t1")).feed(closed(Verdict::Accepted));
    assert_eq!(play.take(), "");
}

#[test]
fn nothing_done_breaks_every_promise_it_can() {
    let mut play = Play::new(rules(RULES));
    play.feed(flow()).feed(spawn("critic", "t0", "t1")).feed(paths(&["core/tests/a.rs"])).feed(merge(1, "t1"));
    assert_eq!(
        play.take(),
        "4 merge.intended code-safety/tests-need-person: refused\n\
         4 merge.intended code-safety/fresh-checks: refused\n\
         4 merge.intended code-safety/reviewers-ran: refused\n\
         4 merge.intended code-safety/not-own-work: refused\n\
         4 merge.intended code-safety/approved-artifact: refused\n"
    );
}

#[test]
fn checks_and_reviews_of_another_tree_are_stale() {
    let mut play = play();
    play.feed(check_finished(CheckOutcome::Pass, "t1")).feed(verdict("t1"));
    play.feed(spawn("implementer", "t1", "t2")).feed(check_finished(CheckOutcome::Fail, "t2"));
    play.feed(decided(DecidedBy::Policy, 2, "t2")).feed(merge(2, "t2"));
    assert_eq!(
        play.take(),
        "9 merge.intended code-safety/fresh-checks: refused\n9 merge.intended code-safety/reviewers-ran: refused\n"
    );
    play.feed(verdict("t2")).feed(decided(DecidedBy::Person, 2, "t2")).feed(merge(2, "t2"));
    assert_eq!(play.take(), "");
}

#[test]
fn a_walk_back_voids_the_approval() {
    let mut play = play();
    play.feed(check_finished(CheckOutcome::Pass, "t1")).feed(verdict("t1")).feed(decided(DecidedBy::Person, 1, "t1"));
    play.feed(walked_back()).feed(merge(1, "t1"));
    assert_eq!(play.take(), "8 merge.intended code-safety/approved-artifact: refused\n");
}
