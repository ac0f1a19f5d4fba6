//! What an expression may cost (RULE-11): text is read in pieces of 32 bytes, a search in a register takes 13 steps.

use super::*;
use loom_core::rules::COST_MAX;
use std::fmt::Write;

/// Facts of every sort, of registers that hold 4,096 entries; `last` words have at most 60 bytes, `paths` 4,096.
const FACTS: &str = "loom rules 1\nset s \"\"\n\
    fact count counter\n add run.opened\n\
    fact on flag\n add run.opened\n\
    fact ids set of int\n add finding.raised: event.line if has(event.line)\n\
    fact words set of string\n add finding.raised: event.category\n\
    fact word last string\n add finding.raised: event.category\n\
    fact paths last list of bytes\n add paths.changed: event.paths\n\
    fact by sum by string\n add finding.raised: event.round by event.category\n\
    fact of last bytes by string\n add finding.raised: event.fingerprint by event.category\n";

/// Returns what a rule with this condition may cost.
fn cost(kind: &str, expression: &str) -> u64 {
    let text = format!("{FACTS}rule r on {kind} require {expression} message \"m\"\n");
    set(&text).rules().map(|rule| rule.cost).next().expect("there is one rule")
}

/// Kinds, and below each what expressions over its events cost. The fields: round, line, source are numbers; summary has
/// at most 2,000 bytes, category 60, agent 40, path 4,096; paths and how have at most 256 items of 4,096 and 12 bytes.
const TABLE: &str = r#"
finding.raised
3 event.round == 2
4 !(event.round == 2)
4 -event.round == 2
13 event.round + 1 - 2 * 3 / 4 % 5 == 2
3 event.round < 2
4 event.category == "a"
67 event.summary == event.agent
67 event.summary == event.category
67 event.summary < event.category
67 event.summary >= event.agent
65 event.summary.startsWith("x")
127 "x".startsWith(event.summary)
67 event.summary.endsWith(event.category)
581 event.summary.contains(event.category)
191 size(event.summary) == 1
7 event.agent.size() == 1
4 size(event.fingerprint) == 1
4 size(facts.paths) == 1
4 event.sequence == 1
12 event.actor == "x"
4 event.actor_class == "kernel"
1 has(event.path)
5 has(event.path) && event.path == b"x"
1028 has(event.path) && glob(event.path, "src/**")
3078 has(event.path) && glob(event.path, "{a,b,c}/*")
18 glob(event.category, "x*")
6 has(event.path) && size(event.path) == 1
7 event.round == 1 && event.round == 2
10 event.round == 1 || event.round == 2 || event.round == 3
8 event.round == 1 ? event.round == 2 : event.category == "a"
8 event.round == 1 ? event.category == "a" : event.round == 2
7 (event.round == 1 ? event.round : 3) == 3
7 (event.round == 1 ? 3 : event.round) == 3
8 event.round in [1, 2, 3]
256 event.summary in ["a", "b", "c"]
2 event.round in []
6 true in [true, false]
16 [1, 2, 3].all(x, x < event.round)
13 ["a", "b"].exists(x, x == event.category)
11 [1, 2].exists_one(x, x == event.round)
37 [1, 2].all(x, [3, 4, 5].all(y, x < y))
11 [1, 2] == [3, 4, 5]
7 ["a", "b"] != ["c"]
23 (event.round == 1 ? ["a", "b", "c"] : ["d"]).all(x, x == event.category)
3 facts.count == 1
1 facts.on
15 event.round in facts.ids
29 event.category in facts.words
883 event.summary in facts.words
4 size(facts.ids) == 1
20481 facts.ids.all(x, x == 1)
24577 facts.words.exists(x, x == "a")
1 has(facts.word)
5 has(facts.word) && facts.word == "a"
20483 has(facts.paths) && facts.paths.all(p, p == b"x")
1064963 facts.paths == facts.paths
30 facts.by[event.category] == 1
16 facts.by["a"] == 1
884 facts.by[event.summary] == 1
29 event.category in facts.by
131073 facts.by.all(k, facts.by[k] == 1)
31 has(facts.of["a"]) && facts.of["a"] == b"x"
884 has(facts.of[event.summary]) ? true : false
160 "a" in facts.of && facts.of["a"] == event.fingerprint
paths.changed
1281 event.paths.all(p, p == b"x")
1281 event.how.all(h, h == "x")
66563 event.paths == facts.paths
66563 event.paths == event.paths
1027 event.how == event.how
514 b"x" in event.paths
514 "x" in event.how
4 size(event.paths) == 1
4 event.kind == "paths.changed"
"#;

#[test]
fn an_expression_costs_what_its_parts_cost() {
    let mut kind = "";
    let mut found = String::from("\n");
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        match line.split_once(' ') {
            None => {
                kind = line;
                writeln!(found, "{kind}").expect("a string takes all");
            }
            Some((_, expression)) => {
                writeln!(found, "{} {expression}", cost(kind, expression)).expect("a string takes all");
            }
        }
    }
    assert_eq!(found, TABLE);
}

/// Returns a condition on `finding.raised` that costs as much as a rule may, less so many comparisons of integers.
fn dear(less: usize) -> String {
    dear_by("event.round == 2", less)
}

/// The same, with what an integer is compared by.
fn dear_by(comparison: &str, less: usize) -> String {
    let parts = [
        ("facts.paths == facts.paths", 9),
        ("facts.by.all(k, facts.by[k] == 1)", 3),
        ("facts.ids.all(x, x == 1)", 1),
        (comparison, 544 - less),
    ];
    let parts: Vec<&str> = parts.iter().flat_map(|(part, times)| std::iter::repeat_n(*part, *times)).collect();
    parts.join(" && ")
}

#[test]
fn a_rule_may_cost_ten_million_and_no_more() {
    assert_eq!((cost("finding.raised", &dear(0)), COST_MAX), (10_000_000, 10_000_000));
    let more = format!("{FACTS}rule r on finding.raised require {} && facts.on message \"m\"\n", dear(0));
    assert!(
        errors(&more).contains("rule `r` may cost 10000001 on finding.raised; at most 10000000"),
        "{}",
        errors(&more)
    );
}

#[test]
fn a_condition_may_cost_ten_million_and_no_more() {
    let rules = Rules::new(vec![set(FACTS)]).expect("one set");
    let dear = dear_by("facts.count == 1", 0);
    let refused = |text: &str| rules.condition(text).map(|_| ()).map_err(|error| error.message);
    assert_eq!(refused(&dear), Ok(()));
    let more = format!("{dear} && facts.on");
    assert_eq!(refused(&more), Err("the condition may cost 10000001 (RULE-11)".to_string()));
}

#[test]
fn a_text_has_a_mebibyte_at_most() {
    let of = |length: usize| {
        let rest = length - "loom rules 1\n# \nset s \"\"\n".len();
        errors(&format!("loom rules 1\n# {}\nset s \"\"\n", "x".repeat(rest)))
    };
    assert_eq!(of(1 << 20), "3:5: the set has neither facts nor rules", "it was read");
    for length in [(1 << 20) + 1, (1 << 20) + 2] {
        assert!(of(length).contains(&format!("the text has {length} bytes; at most 1048576 are read")), "{length}");
    }
}

#[test]
fn a_clause_costs_what_its_condition_value_and_key_cost() {
    // The clause itself costs 1, a number of the event 1, a literal key 1.
    let clause = |fact: &str, value: &str, more: &str| {
        errors(&format!("{FACTS}fact f {fact}\n add finding.raised{value} if {}{more}\n", dear(1)))
    };
    assert_eq!(clause("sum by string", ": event.round by \"a\"", ""), "loads");
    let told = clause("sum by string", ": event.round by \"a\"", " && facts.on");
    assert!(told.contains("this clause of fact `f` may cost 10000001 on finding.raised"), "{told}");
    assert_eq!(clause("flag", "", " && facts.on && facts.on"), "loads");
    let told = clause("flag", "", " && event.round == 2");
    assert!(told.contains("this clause of fact `f` may cost 10000001 on finding.raised"), "{told}");
    // Each of the words costs 2 to take in.
    let told = clause("set of string", ": [\"a\", \"b\", \"c\"]", "");
    assert!(told.contains("this clause of fact `f` may cost 10000005 on finding.raised"), "{told}");
}
