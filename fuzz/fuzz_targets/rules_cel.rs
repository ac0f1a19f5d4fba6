//! An expression of the common subset gives what the crate `cel` gives, over the same event and facts; a literal is read
//! alike. The comparison is that of core's property tests.

#![no_main]

#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../core/tests/it/rules/compare.rs"]
mod compare;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../core/tests/it/rules/play.rs"]
mod play;

use compare::{Setting, WORDS, given_by_both, written};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    choices: Vec<u8>,
    is_int: bool,
    has_lists: bool,
    round: u8,
    agent: u8,
    path: Option<u8>,
    tokens: Vec<u8>,
    checks: Vec<u8>,
    approver: Option<u8>,
}

fn word(of: u8) -> &'static str {
    WORDS[usize::from(of) % WORDS.len()]
}

/// Small numbers, and those at the end of the range.
fn number(of: u8) -> u64 {
    if of < 200 { u64::from(of % 4) } else { i64::MAX as u64 - u64::from(of % 2) }
}

fuzz_target!(|input: Input| {
    let setting = Setting {
        has_lists: input.has_lists,
        round: number(input.round),
        agent: word(input.agent),
        path: input.path.map(word),
        tokens: input.tokens.iter().take(4).map(|of| number(*of) >> 1).collect(),
        checks: input.checks.iter().take(3).map(|of| word(*of)).collect(),
        approver: input.approver.map(word),
    };
    let expression = written(&input.choices, input.is_int, input.has_lists);
    if let Some([ours, theirs]) = given_by_both(&expression, input.is_int, &setting) {
        assert_eq!(ours, theirs, "{expression}");
    }
});
