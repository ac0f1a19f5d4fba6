//! What holds of any text: no panic, total evaluation, printing as a fixed point, linear globs.

use super::*;
use loom_core::rules::{Glob, canonical};
use proptest::prelude::*;

const TOKENS: &[&str] = &[
    "event",
    ".",
    "facts",
    "round",
    "path",
    "agent",
    "severity",
    "line",
    "sequence",
    "actor",
    "n",
    "open",
    "trees",
    "last",
    "(",
    ")",
    "[",
    "]",
    ",",
    "&&",
    "||",
    "!",
    "?",
    ":",
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "+",
    "-",
    "*",
    "/",
    "%",
    "has",
    "size",
    "glob",
    "all",
    "exists",
    "exists_one",
    "startsWith",
    "x",
    "y",
    "0",
    "1",
    "2",
    "9223372036854775807",
    "true",
    "false",
    "\"a\"",
    "b\"a/b\"",
    "'warn'",
    "\"**/a\"",
];

fn soup() -> impl Strategy<Value = String> {
    proptest::collection::vec(proptest::sample::select(TOKENS), 0..40).prop_map(|tokens| tokens.join(" "))
}

/// Expressions that are well formed and mostly well typed.
pub(super) fn truth() -> impl Strategy<Value = String> {
    let number = prop_oneof![
        Just("event.round".to_string()),
        Just("facts.n".to_string()),
        Just("event.sequence".to_string()),
        Just("size(facts.open)".to_string()),
        Just("9223372036854775807".to_string()),
        (-3i64..4).prop_map(|value| value.to_string()),
    ];
    let number = number.prop_recursive(4, 16, 2, |inner| {
        (inner.clone(), proptest::sample::select(&["+", "-", "*", "/", "%"][..]), inner)
            .prop_map(|(left, operator, right)| format!("({left} {operator} {right})"))
    });
    let leaf = prop_oneof![
        (number.clone(), proptest::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]), number.clone())
            .prop_map(|(left, operator, right)| format!("{left} {operator} {right}")),
        number.clone().prop_map(|number| format!("{number} in facts.open")),
        number.clone().prop_map(|number| format!("facts.open.exists(v, v == {number})")),
        number.prop_map(|number| format!("[1, 2, 3].exists_one(v, v > {number})")),
        Just("has(event.path) && glob(event.path, \"**/{a,b}*\")".to_string()),
        Just("\"critic\" in facts.trees".to_string()),
        Just("true".to_string()),
    ];
    leaf.prop_recursive(6, 48, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("({left}) && ({right})")),
            (inner.clone(), inner.clone()).prop_map(|(left, right)| format!("{left} || {right}")),
            inner.clone().prop_map(|inner| format!("!({inner})")),
            (inner.clone(), inner.clone(), inner).prop_map(|(a, b, c)| format!("({a}) ? ({b}) : ({c})")),
        ]
    })
}

pub(super) fn with(expression: &str) -> String {
    format!(
        "loom rules 1\nset s \"\"\nfact n sum\n add budget.settled: event.tokens\nfact open set of int\n add budget.settled: event.tokens\n\
         fact trees last bytes by string\n add verdict.given: event.tree by event.agent\nfact last last int\n add budget.settled: event.effect\n\
         rule r on finding.raised, budget.settled require {expression}\n message \"m\"\n"
    )
}

/// Returns what the expression and its negation give on one event after some others.
fn both(expression: &str) -> Option<(Outcome, Outcome)> {
    let rules = |text: &str| RuleSet::load(&text.replace(", budget.settled require", " require")).ok();
    let judge = |expression: &str| {
        let rules = Rules::new(vec![Arc::new(rules(&with(expression))?)]).ok()?;
        let mut play = Play::new(rules);
        play.feed(settled(1)).feed(settled(2)).feed(settled(i64::MAX as u64 - 1));
        let bytes = event(9, finding(Severity::Warn, Some(b"src/a.rs")));
        let judged = play.rules.judge(&play.facts, &view(&bytes));
        Some(judged.first().map_or(Outcome::True, |judgement| judgement.result.clone()))
    };
    Some((judge(expression)?, judge(&format!("!({expression})"))?))
}

/// The pattern by its definition, for short inputs.
fn slow(pattern: &[u8], path: &[u8], begins: bool) -> bool {
    let tails = || (0..=path.len()).map(|at| path.split_at(at));
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', b'*', ..] => slow(&pattern[1..], path, begins),
        [b'*', b'*', b'/', rest @ ..] if begins => {
            slow(rest, path, true)
                || tails().any(|(head, tail)| {
                    head.len() > 1
                        && head.ends_with(b"/")
                        && head.split(|byte| *byte == b'/').rev().skip(1).all(|part| !part.is_empty())
                        && slow(rest, tail, true)
                })
        }
        [b'*', b'*', ..] => {
            let stars = pattern.iter().take_while(|byte| **byte == b'*').count();
            tails().any(|(_, tail)| slow(&pattern[stars..], tail, false))
        }
        [b'*', rest @ ..] => tails().any(|(head, tail)| !head.contains(&b'/') && slow(rest, tail, false)),
        [b'?', rest @ ..] => path.first().is_some_and(|byte| *byte != b'/') && slow(rest, &path[1..], false),
        [byte, rest @ ..] => path.first() == Some(byte) && slow(rest, &path[1..], *byte == b'/'),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_loader_panic(text in any::<String>(), soup in soup()) {
        let _ = RuleSet::load(&text);
        let _ = canonical(&text);
        let _ = RuleSet::load(&format!("loom rules 1\nset s \"\"\n{text}"));
        let _ = RuleSet::load(&with(&text));
        if let Ok(set) = RuleSet::load(&with(&soup)) {
            let mut play = Play::new(Rules::new(vec![Arc::new(set)]).expect("one set"));
            play.feed(finding(Severity::Warn, None)).feed(settled(u64::MAX)).feed(settled(3));
        }
    }

    #[test]
    fn printing_what_was_parsed_is_a_fixed_point(text in prop_oneof![soup(), truth()]) {
        if let Ok(once) = canonical(&text) {
            prop_assert_eq!(canonical(&once), Ok(once.clone()));
        }
    }

    #[test]
    fn signs_before_a_literal_print_as_one(signs in "[-]{1,5}", value in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from)]) {
        let once = canonical(&format!("x < {signs}{value}")).expect("it is well formed");
        prop_assert_eq!(canonical(&once), Ok(once));
    }

    #[test]
    fn printing_keeps_the_meaning_and_negation_swaps_it(text in truth()) {
        let printed = canonical(&text).expect("it is well formed");
        let found = both(&text);
        prop_assert!(found.is_some(), "{} loads", text);
        prop_assert_eq!(&found, &both(&printed));
        let expected = match found.clone() {
            Some((Outcome::True, _)) => Outcome::False,
            Some((Outcome::False, _)) => Outcome::True,
            Some((other, _)) => other,
            None => Outcome::True,
        };
        prop_assert_eq!(found.map(|(_, negated)| negated), Some(expected));
    }

    #[test]
    fn glob_agrees_with_its_definition(pattern in "[ab/*?]{0,9}", path in "[ab/]{0,9}") {
        let glob = Glob::new(pattern.as_bytes()).expect("there is nothing to escape");
        prop_assert_eq!(glob.matches(path.as_bytes()), slow(pattern.as_bytes(), path.as_bytes(), true));
    }
}
