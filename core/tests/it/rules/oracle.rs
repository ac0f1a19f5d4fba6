//! Random expressions of the common subset, against an evaluator of CEL that others wrote: the crate `cel`.

use super::compare::*;
use proptest::prelude::*;

fn setting() -> impl Strategy<Value = Setting> {
    let word = || proptest::sample::select(&WORDS[..]);
    let number = || prop_oneof![0u64..4, Just(i64::MAX as u64)];
    let few = || proptest::collection::vec(prop_oneof![0u64..4, Just(1 << 62)], 0..4);
    let parts = (number(), word(), proptest::option::of(word()), few(), proptest::collection::vec(word(), 0..3));
    let more = (proptest::option::of(word()), any::<bool>());
    (parts, more).prop_map(|((round, agent, path, tokens, checks), (approver, has_lists))| Setting {
        has_lists,
        round,
        agent,
        path,
        tokens,
        checks,
        approver,
    })
}

/// Pieces of literals, right and wrong.
const PIECES: &[&str] = &[
    "a",
    "é",
    "\u{1f431}",
    " ",
    "'",
    "\"",
    "\n",
    "\t",
    "\\n",
    "\\\\",
    "\\'",
    "\\\"",
    "\\`",
    "\\?",
    "\\a",
    "\\b",
    "\\f",
    "\\r",
    "\\t",
    "\\v",
    "\\x41",
    "\\X4a",
    "\\xe9",
    "\\x4",
    "\\101",
    "\\377",
    "\\400",
    "\\08",
    "\\u00e9",
    "\\ud800",
    "\\U0001f431",
    "\\U00110000",
    "\\q",
    "\\",
    "0",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn expressions_give_what_the_crate_cel_gives(
        choices in proptest::collection::vec(any::<u8>(), 0..120),
        is_int in any::<bool>(),
        setting in setting(),
    ) {
        let expression = written(&choices, is_int, setting.has_lists);
        if let Some([ours, theirs]) = given_by_both(&expression, is_int, &setting) {
            prop_assert_eq!(ours, theirs, "{}", expression);
        }
    }

    #[test]
    fn literals_are_read_as_the_crate_cel_reads_them(
        prefix in proptest::sample::select(&["", "r", "R", "b", "B", "br", "bR"][..]),
        quote in proptest::sample::select(&["'", "\"", "'''", "\"\"\""][..]),
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..5),
        number in "-?(0x[0-9a-f]{1,17}|[0-9]{1,20})",
    ) {
        for literal in [format!("{prefix}{quote}{}{quote}", pieces.concat()), number] {
            let [ours, theirs] = read_by_both(&literal);
            prop_assert_eq!(ours, theirs, "{}", literal);
        }
    }
}

/// What is not generated: where they differ, by our choice or by theirs. A line that no longer does is to be removed.
#[test]
fn known_differences_stand() {
    let setting = Setting {
        has_lists: false,
        round: 0,
        agent: "a",
        path: None,
        tokens: vec![],
        checks: vec![],
        approver: Some("a"),
    };
    // Two signs in a row: CEL's text negates twice, the crate and cel-go not at all.
    let twice = "--(-9223372036854775807 - 1)";
    assert_eq!(given_by_both(twice, true, &setting), Some([Ok(Given::Error), Ok(Given::Int(i64::MIN))]));
    // Ours alone: a key in `has`, and other spellings of what CEL spells one way.
    for (ours, given) in [
        ("has(facts.trees['a'])", Given::Truth(true)),
        ("0X10 == 16", Given::Truth(true)),
        ("'\r' == '\\r'", Given::Truth(true)),
    ] {
        assert_eq!(of_loom(ours, &setting), Ok(given), "{ours}");
        assert!(of_crate(ours, &setting).is_err(), "{ours}");
    }
}
