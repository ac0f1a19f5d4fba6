//! Scripts are read strictly, and turns are found by what the log says, not by counting.

use crate::run;
use loom_core::word::SpawnOutcome;
use loom_providers::Script;

const SCRIPT: &str = r#"
model = "m"
[[turn]]
agent = "a"
say = "first round"
[[turn]]
agent = "a"
round = 3
say = "third round"
[[turn]]
agent = "a"
round = 3
attempt = 2
say = "third round, second try"
"#;

#[track_caller]
fn check_turn(round: u64, attempt: u64, wanted: &str) {
    let folder = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let report = run(SCRIPT, folder.path(), "a", round, attempt);
        assert_eq!(String::from_utf8(report.output).unwrap(), wanted, "equal orders get equal turns");
    }
}

#[test]
fn a_turn_serves_its_round_and_later_ones_until_the_next() {
    check_turn(1, 1, "first round");
    check_turn(2, 1, "first round");
    check_turn(3, 1, "third round");
    check_turn(3, 2, "third round, second try");
    check_turn(9, 1, "third round");
}

#[test]
fn an_agent_without_a_turn_is_broken_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let report = run(SCRIPT, folder.path(), "b", 1, 1);
    assert_eq!(report.outcome, SpawnOutcome::Broken);
    assert_eq!(report.detail.unwrap(), "the script has no turn for agent b in round 1, attempt 1");
}

#[track_caller]
fn check_refused(script: &str, wanted: &str) {
    let error = Script::parse(script).unwrap_err().to_string();
    assert!(error.contains(wanted), "{error}");
}

#[test]
fn scripts_are_read_strictly() {
    check_refused("model = 'm'\n[[turn]]\nagent = 'a'\nsays = 'x'", "unknown field `says`");
    check_refused("[[turn]]\nagent = 'a'", "missing field `model`");
    check_refused("model = 'm'\n[[turn]]\nagent = 'a'\nround = 0", "turn 1 (a): rounds and attempts begin at 1");
    check_refused("model = 'm'\n[[turn]]\nagent = 'a'\n[[turn]]\nagent = 'a'", "turn 2 (a): an earlier turn");
    check_refused(
        "model = 'm'\n[[turn]]\nagent = 'a'\nedit = [{ write = 'x', delete = 'x' }]",
        "an edit names exactly one",
    );
    check_refused("model = 'm'\n[[turn]]\nagent = 'a'\ntrouble = ['explode']", "unknown variant `explode`");
}
