//! `specs/vectors/verdicts.jsonl`: rule sets over small recorded runs, written by hand from `rules.md` and `replay.md`, with
//! what each rule comes to; and rule sets that no reader loads, with the law that they break.

use crate::plain::{array, boolean, bytes, hex, text, uint};
use crate::vectors::{Draft, draft, ended, event_items, generated, header, opened_body, stream, written};
use loom_core::rules::{RuleSet, Rules};
use loom_replay::corpus::{Corpus, Filter};
use loom_replay::judge::{Options, judge};
use loom_store::StoreError;
use std::fmt::Write;
use std::sync::Arc;

type Body = Vec<(u64, Vec<u8>)>;

/// A run: each row is a commit of a timer and what follows from it.
fn run(commits: &[Vec<(u64, Body)>]) -> Vec<Draft> {
    let mut drafts = vec![draft(0, 1000, 0, 1, &opened_body(), Some(1))];
    for (index, follows) in commits.iter().enumerate() {
        let (input, ms) = (drafts.len() as u64, 2000 + 1000 * index as u64);
        drafts.push(draft(input, ms, input, 19, &[(0, uint(index as u64))], Some(1 + follows.len() as u64)));
        for (kind, body) in follows {
            drafts.push(draft(drafts.len() as u64, ms, input, *kind, body, None));
        }
    }
    drafts
}

fn entered(stage: &str) -> (u64, Body) {
    (49, vec![(0, text(stage)), (1, text("build")), (2, uint(1))])
}

fn settled(effect: u64, tokens: u64) -> (u64, Body) {
    (35, vec![(0, uint(effect)), (1, uint(tokens)), (2, uint(0)), (3, uint(0)), (4, boolean(true))])
}

fn changed(paths: &[&[u8]]) -> (u64, Body) {
    let how = array(&vec![text("modified"); paths.len()]);
    (34, vec![(0, uint(1)), (1, array(&paths.iter().map(|path| bytes(path)).collect::<Vec<_>>())), (2, how)])
}

fn spawned(agent: &str, attempt: u64) -> (u64, Body) {
    let body = vec![
        (0, text(agent)),
        (1, text("implement")),
        (2, uint(attempt)),
        (3, bytes(&[5; 32])),
        (4, bytes(&[2; 20])),
        (5, boolean(true)),
        (6, uint(10)),
        (7, uint(10)),
        (8, uint(10)),
    ];
    (50, body)
}

fn checked(check: &str, tree: u8) -> (u64, Body) {
    (51, vec![(0, text(check)), (1, text("checks")), (2, bytes(&[tree; 20])), (3, uint(10))])
}

fn raised(severity: &str) -> (u64, Body) {
    let body = vec![
        (0, uint(1)),
        (1, text("logic")),
        (2, text("agent")),
        (3, text(severity)),
        (4, text("category")),
        (7, text("päth")),
        (9, bytes(&[6; 16])),
        (10, text("build")),
        (11, uint(1)),
    ];
    (32, body)
}

fn decided(by: &str, outcome: &str) -> (u64, Body) {
    let body = vec![
        (0, uint(1)),
        (1, text("final")),
        (2, text(outcome)),
        (3, text(by)),
        (4, text("ann")),
        (5, bytes(&[7; 32])),
        (6, bytes(&[2; 20])),
    ];
    (54, body)
}

fn closed(verdict: &str) -> (u64, Body) {
    (61, vec![(0, text(verdict)), (1, text("because"))])
}

fn refused(rule: &str, proposal: &[u8]) -> (u64, Body) {
    let body =
        vec![(0, array(&[text(rule)])), (1, array(&[text("m")])), (3, text("spawn.requested")), (4, bytes(proposal))];
    (36, body)
}

/// The dropped decisions of a proposal, as they would have stood behind the input.
fn proposal(follows: &[(u64, Body)]) -> Vec<u8> {
    let drafts: Vec<_> =
        follows.iter().enumerate().map(|(at, (kind, body))| draft(at as u64 + 9, 2000, 1, *kind, body, None)).collect();
    array(&written(&drafts).iter().map(|event| bytes(event)).collect::<Vec<_>>())
}

/// A set of one rule, with its facts before it.
fn set(facts: &str, on: &str, require: &str) -> String {
    named("s", facts, on, require, "error")
}

fn named(name: &str, facts: &str, on: &str, require: &str, severity: &str) -> String {
    format!(
        "loom rules 1\nset {name} \"A set.\"\n\n{facts}\n\nrule r on {on}\n  require {require}\n  message \"m\"\n  severity {severity}\n"
    )
}

fn trace_of(drafts: &[Draft]) -> Vec<u8> {
    let events = written(drafts);
    ended(&[vec![header(1, stream())], event_items(&events)].concat(), &events, 0)
}

/// What each rule comes to, as JSON.
fn verdicts(texts: &[String], trace: &[u8]) -> String {
    let sets =
        texts.iter().map(|text| Arc::new(RuleSet::load(text).unwrap_or_else(|errors| panic!("{text}: {errors:?}"))));
    let rules = Rules::new(sets.collect()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.trace");
    std::fs::write(&path, trace).unwrap();
    let corpus = Corpus::find(&[path]).unwrap();
    let options = Options { threads: 1, verify: true, filter: Filter::default() };
    let judgement = judge(&corpus, &rules, &options, &|_| Err(StoreError::Full));
    assert_eq!(judgement.left_out, [], "{texts:?}");
    let tallies = &judgement.runs[0].tallies;
    let told = judgement.rules.iter().zip(tallies).map(|(rule, tally)| {
        let first = tally.first.map(|sequence| format!(r#", "sequence": {sequence}"#)).unwrap_or_default();
        format!(r#"{{"rule": "{}", "result": "{}"{first}}}"#, rule.name, tally.verdict().word())
    });
    format!("[{}]", told.collect::<Vec<_>>().join(", "))
}

type Judged = (&'static str, Vec<Vec<(u64, Body)>>, Vec<String>, &'static str);

fn judged() -> Vec<Judged> {
    let stages = || vec![vec![entered("a")], vec![entered("b")], vec![entered("a")]];
    let spawns = || vec![vec![spawned("ann", 1)], vec![spawned("bob", 1)], vec![spawned("ann", 2)]];
    let one = |facts: &str, on: &str, require: &str| vec![set(facts, on, require)];
    let seen = "fact seen counter by string\n  add stage.entered by event.stage";
    let sum = "fact total sum\n  add budget.settled: event.tokens";
    let half = i64::MAX as u64;
    let many: Vec<_> = (0..4097).map(|at| settled(at, 1)).collect();
    let effects = "fact effects set of int\n  add budget.settled: event.effect";
    let refusal = |rule, body: &[u8]| vec![vec![refused(rule, body)], vec![spawned("ann", 9)]];
    vec![
        ("true everywhere", stages(), one("", "stage.entered", "true"), "holds"),
        ("asked about nothing", stages(), one("", "merge.intended", "false"), "not-reached"),
        ("false at the second", stages(), one("", "stage.entered", "event.stage != \"b\""), "violated"),
        ("an error is a violation", stages(), one("", "stage.entered", "1 / (event.round - 1) == 0"), "violated"),
        (
            "false absorbs an error",
            stages(),
            one("", "stage.entered", "!(1 / (event.round - 1) == 0 && false)"),
            "holds",
        ),
        ("true absorbs an error", stages(), one("", "stage.entered", "1 / (event.round - 1) == 0 || true"), "holds"),
        (
            "facts are those before the event",
            stages(),
            one(seen, "stage.entered", "facts.seen[event.stage] == 0"),
            "violated",
        ),
        (
            "a count under a key that is not there",
            stages(),
            one(seen, "stage.entered", "facts.seen[\"z\"] == 0"),
            "holds",
        ),
        ("keys ascend and are counted", stages(), one(seen, "stage.entered", "size(facts.seen) < 2"), "violated"),
        (
            "a macro over keys",
            stages(),
            one(seen, "stage.entered", "facts.seen.all(k, facts.seen[k] == 1 && k < \"c\")"),
            "holds",
        ),
        (
            "a sum",
            vec![vec![settled(1, 5)], vec![settled(2, 6)], vec![settled(3, 1)]],
            one(sum, "budget.settled", "facts.total <= 10"),
            "violated",
        ),
        (
            "a sum that overflows is unknown",
            vec![vec![settled(1, half)], vec![settled(2, half)], vec![settled(3, 1)]],
            one(sum, "budget.settled", "facts.total >= 0"),
            "unknowable",
        ),
        (
            "unknown goes before error",
            vec![vec![settled(1, half)], vec![settled(2, half)], vec![settled(3, 1)]],
            one(sum, "budget.settled", "facts.total / 0 == 0 || facts.total < 0"),
            "violated",
        ),
        (
            "false absorbs unknown",
            vec![vec![settled(1, half)], vec![settled(2, half)], vec![settled(3, 1)]],
            one(sum, "budget.settled", "!(facts.total > 0 && event.tokens < 0)"),
            "holds",
        ),
        (
            "a reset makes known again",
            vec![vec![settled(1, half)], vec![settled(2, half)], vec![entered("a")], vec![settled(3, 1)]],
            one(&format!("{sum}\n  reset stage.entered"), "budget.settled", "facts.total >= 0"),
            "holds",
        ),
        (
            "a number beyond 63 bits is an error",
            vec![vec![settled(1, u64::MAX)]],
            one("", "budget.settled", "event.tokens >= 0"),
            "violated",
        ),
        (
            "more than 4,096 entries",
            vec![many.clone(), vec![settled(1, 1)]],
            one(effects, "budget.settled", "size(facts.effects) <= 4096"),
            "unknowable",
        ),
        (
            "exactly 4,096 entries",
            vec![many[..4096].to_vec(), vec![settled(1, 1)]],
            one(effects, "budget.settled", "size(facts.effects) <= 4096"),
            "holds",
        ),
        (
            "what may be absent",
            vec![vec![raised("warn")]],
            one("", "finding.raised", "has(event.path) || !has(event.line)"),
            "holds",
        ),
        (
            "a size counts code points",
            vec![vec![raised("warn")]],
            one("", "finding.raised", "size(event.summary) == 4 && event.summary.startsWith(\"p\\u00e4\")"),
            "holds",
        ),
        (
            "an unset last value",
            stages(),
            one(
                "fact last_stage last string\n  add stage.entered: event.stage",
                "stage.entered",
                "!has(facts.last_stage) || facts.last_stage != event.stage",
            ),
            "holds",
        ),
        (
            "a last list is empty before it is set",
            stages(),
            one(
                "fact found last list of bytes\n  add paths.changed: event.paths",
                "stage.entered",
                "!has(facts.found) && size(facts.found) == 0",
            ),
            "holds",
        ),
        (
            "removed from a set",
            vec![
                vec![raised("blocking")],
                vec![(56, vec![(0, uint(2)), (1, bytes(&[6; 16])), (2, text("ann"))])],
                vec![entered("a")],
            ],
            one(
                "fact open set of int\n  add finding.raised: event.sequence if event.severity == \"blocking\"\n  remove finding.waived: event.finding",
                "stage.entered",
                "size(facts.open) == 0",
            ),
            "holds",
        ),
        (
            "a flag and its reset",
            vec![vec![changed(&[b"tests/a.rs"])], vec![entered("a")], vec![spawned("ann", 1)]],
            one(
                "fact touched flag\n  add paths.changed if event.paths.exists(p, glob(p, b\"**/tests/**\"))\n  reset stage.entered",
                "spawn.requested",
                "!facts.touched",
            ),
            "holds",
        ),
        (
            "a glob with segments",
            vec![vec![changed(&[b"a/b/tests/c.rs"])]],
            one("", "paths.changed", "event.paths.all(p, glob(p, b\"a/**/tests/*.rs\"))"),
            "holds",
        ),
        (
            "a star stops at a slash",
            vec![vec![changed(&[b"a/b/c.rs"])]],
            one("", "paths.changed", "event.paths.all(p, glob(p, b\"a/*.rs\"))"),
            "violated",
        ),
        (
            "a segment has something in it",
            vec![vec![changed(&[b"a//b", b"/b"])]],
            one("", "paths.changed", "event.paths.all(p, !glob(p, b\"a/**/b\") && !glob(p, b\"**/b\"))"),
            "holds",
        ),
        (
            "more stars than two are two",
            vec![vec![changed(&[b"b", b"a/b"])]],
            one("", "paths.changed", "event.paths.all(p, glob(p, b\"***/b\"))"),
            "holds",
        ),
        ("a number with zeros before it", vec![vec![entered("a")]], one("", "stage.entered", "007 == 7"), "holds"),
        (
            "a list made of a set, and of keys",
            vec![vec![entered("b")], vec![entered("a")], vec![entered("c")]],
            one(
                "fact seen set of string\n  add stage.entered: event.stage\n\nfact by counter by string\n  add stage.entered by event.stage\n\n\
                 fact were last list of string\n  add stage.entered: facts.seen\n\nfact keys last list of string\n  add stage.entered: facts.by",
                "stage.entered",
                "event.stage != \"c\" || has(facts.were) && facts.were == [\"b\"] && has(facts.keys) && facts.keys == facts.were",
            ),
            "holds",
        ),
        (
            "a choice beside a word",
            vec![vec![raised("info")]],
            one("", "finding.raised", "(event.round > 0 ? \"fatal\" : \"info\") == event.severity"),
            "violated",
        ),
        (
            "an empty list beside one",
            vec![vec![changed(&[b"a"])], vec![changed(&[b"a", b"b"])]],
            one("", "paths.changed", "(size(event.paths) > 1 ? [] : event.paths).all(p, p != b\"a\")"),
            "violated",
        ),
        (
            "alternatives and odd bytes",
            vec![vec![changed(&[b"x\xff.{a}", b"y.b"])]],
            one("", "paths.changed", "event.paths.all(p, glob(p, b\"{x?.\\\\{a\\\\},y.{b,c}}\"))"),
            "holds",
        ),
        (
            "exists_one",
            vec![vec![changed(&[b"a", b"b"])]],
            one("", "paths.changed", "event.paths.exists_one(p, p == b\"a\")"),
            "holds",
        ),
        (
            "the kernel has no name",
            stages(),
            one("", "stage.entered, timer.fired", "event.actor == \"\" && event.actor_class in [\"kernel\", \"host\"]"),
            "holds",
        ),
        (
            "a person and a class",
            stages(),
            one("", "run.opened", "event.actor == \"uid:1000\" && event.actor_class == \"person\""),
            "holds",
        ),
        (
            "an envelope name hides a field",
            vec![vec![refused("x/y", b"")]],
            one("", "refused", "event.kind == \"refused\""),
            "holds",
        ),
        (
            "of several kinds",
            stages(),
            one("", "stage.entered, timer.fired", "!has(event.stage) || event.stage != \"b\""),
            "violated",
        ),
        (
            "what the kernel asks is never judged",
            vec![vec![closed("failed")]],
            one("", "run.closed", "false"),
            "not-reached",
        ),
        ("an accepted end is judged", vec![vec![closed("accepted")]], one("", "run.closed", "false"), "violated"),
        (
            "a person's no is never judged",
            vec![vec![decided("person", "rejected")]],
            one("", "gate.decided", "false"),
            "not-reached",
        ),
        (
            "a person's yes is judged",
            vec![vec![decided("person", "accepted")]],
            one("", "gate.decided", "false"),
            "violated",
        ),
        (
            "a policy's no is judged",
            vec![vec![decided("policy", "rejected")]],
            one("", "gate.decided", "false"),
            "violated",
        ),
        (
            "a deadline is never judged",
            vec![vec![decided("deadline", "abandoned")]],
            one("", "gate.decided", "false"),
            "not-reached",
        ),
        (
            "what comes after a refusal is no part",
            spawns(),
            vec![
                named("s", "", "spawn.requested", "event.agent != \"ann\"", "error"),
                named("t", "", "spawn.requested", "event.agent != \"bob\"", "error"),
            ],
            "violated",
        ),
        (
            "a warning turns nothing",
            spawns(),
            vec![
                named("s", "", "spawn.requested", "event.agent != \"ann\"", "warn"),
                named("t", "", "spawn.requested", "event.agent != \"bob\"", "error"),
            ],
            "violated",
        ),
        (
            "an unknown turns nothing",
            vec![vec![settled(1, half), settled(2, half), spawned("ann", 1)], vec![spawned("bob", 1)]],
            vec![
                named("s", sum, "spawn.requested", "facts.total > 0", "error"),
                named("t", "", "spawn.requested", "event.agent != \"bob\"", "error"),
            ],
            "unknowable",
        ),
        (
            "decisions of one commit see each other",
            vec![vec![spawned("ann", 1), spawned("ann", 2)]],
            one("fact n counter\n  add spawn.requested", "spawn.requested", "facts.n < 1"),
            "violated",
        ),
        (
            "what was refused then is judged",
            refusal("x/y", &proposal(&[checked("test", 1), spawned("bob", 1)])),
            one("", "spawn.requested", "event.agent != \"bob\""),
            "violated",
        ),
        (
            "what was refused then would have passed",
            refusal("s/r", &proposal(&[spawned("bob", 1)])),
            one("", "spawn.requested", "event.attempt < 9"),
            "holds",
        ),
        (
            "another set would still have refused",
            refusal("x/y", &proposal(&[spawned("bob", 1)])),
            one("", "spawn.requested", "event.attempt < 9"),
            "violated",
        ),
        (
            "dropped decisions do not stay folded",
            refusal("x/y", &proposal(&[spawned("bob", 1), spawned("bob", 2)])),
            one("fact n counter\n  add spawn.requested", "spawn.requested", "facts.n < 2"),
            "holds",
        ),
        (
            "a proposal that is not on record",
            refusal("x/y", b""),
            one("", "spawn.requested", "event.attempt < 10"),
            "unknowable",
        ),
    ]
}

/// Facts whose registers hold 4,096 entries.
const REGISTERS: &str = "fact on flag\n  add run.opened\n\n\
    fact ids set of int\n  add finding.raised: event.line if has(event.line)\n\n\
    fact paths last list of bytes\n  add paths.changed: event.paths\n\n\
    fact by sum by string\n  add finding.raised: event.round by event.category";

/// A condition on `finding.raised` over these facts. With 544 comparisons it costs as much as a rule may (RULE-11).
fn dear(comparisons: usize) -> String {
    let parts = [
        ("facts.paths == facts.paths", 9),
        ("facts.by.all(k, facts.by[k] == 1)", 3),
        ("facts.ids.all(x, x == 1)", 1),
        ("event.round == 2", comparisons),
    ];
    let parts: Vec<&str> = parts.iter().flat_map(|(part, times)| std::iter::repeat_n(*part, *times)).collect();
    parts.join(" && ")
}

/// Macros over 16 numbers, each inside of the one before.
fn exploding(deep: usize) -> String {
    let list = "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]";
    let opened: String = (0..deep).map(|at| format!("{list}.all(x{at}, ")).collect();
    format!("{opened}x0 == 1{}", ")".repeat(deep))
}

/// Rule sets that load though they cost much, or read what is decided already.
fn loadable() -> Vec<(&'static str, String)> {
    let one = |facts: &str, on: &str, require: &str| set(facts, on, require);
    let clause = format!("{REGISTERS}\n\nfact f flag\n  add finding.raised if {} && facts.on && facts.on", dear(543));
    vec![
        ("as much as a rule may cost", one(REGISTERS, "finding.raised", &dear(544))),
        ("as much as a clause may cost", one(&clause, "finding.raised", "true")),
        ("macros within each other", one("", "stage.entered", &exploding(4))),
        ("what would cost too much and is decided", one("", "stage.entered", &format!("true || {}", exploding(6)))),
        (
            "a branch that is never taken costs nothing",
            one("", "stage.entered", &format!("has(event.stage) ? event.round > 0 : {}", exploding(6))),
        ),
        ("a field that is always there decides", one("", "stage.entered", "has(event.stage) || event.none == 1")),
        ("a list is always there", one("", "paths.changed", "has(event.paths) ? true : event.none == 1")),
    ]
}

/// Rule sets that do not load, with the law.
fn unloadable() -> Vec<(&'static str, &'static str, String)> {
    let one = |facts: &str, on: &str, require: &str| set(facts, on, require);
    let deep = format!("{}true{}", "(".repeat(80), ")".repeat(80));
    vec![
        ("an unknown kind", "RULE-5", one("", "stage.left", "true")),
        ("an unknown field", "RULE-5", one("", "stage.entered", "event.colour == \"\"")),
        ("an unknown fact", "RULE-5", one("", "stage.entered", "facts.colour == \"\"")),
        ("an unknown function", "RULE-5", one("", "stage.entered", "matches(event.stage, \"a\")")),
        ("two types compared", "RULE-5", one("", "stage.entered", "event.stage == 1")),
        ("no truth", "RULE-5", one("", "stage.entered", "event.round")),
        ("absent and not guarded", "RULE-5", one("", "finding.raised", "event.line > 3")),
        ("a guard on the wrong side", "RULE-5", one("", "finding.raised", "has(event.line) || event.line > 3")),
        (
            "a key that may be absent",
            "RULE-5",
            one(
                "fact tree last bytes by string\n  add check.finished: event.tree by event.check",
                "check.requested",
                "facts.tree[event.check] == event.tree",
            ),
        ),
        (
            "an unset last value that is read",
            "RULE-5",
            one("fact stage last string\n  add stage.entered: event.stage", "check.requested", "facts.stage == \"a\""),
        ),
        (
            "a fact read above its own line",
            "RULE-5",
            one(
                "fact a counter\n  add stage.entered if facts.b > 0\n\nfact b counter\n  add stage.entered",
                "check.requested",
                "facts.a > 0",
            ),
        ),
        ("a word that is none", "RULE-6", one("", "finding.raised", "event.severity == \"fatal\"")),
        (
            "a word that is none in a list",
            "RULE-6",
            one("", "finding.raised", "event.severity in [\"warn\", \"fatal\"]"),
        ),
        (
            "a word that is none beside a choice",
            "RULE-6",
            one("", "finding.raised", "(event.round > 0 ? \"info\" : \"warn\") == \"fatal\""),
        ),
        ("a kind that the rule is not about", "RULE-6", one("", "finding.raised", "event.kind == \"run.closed\"")),
        (
            "a key that is no word",
            "RULE-6",
            one(
                "fact by counter by string\n  add finding.raised by event.severity",
                "stage.entered",
                "facts.by[\"fatal\"] == 0",
            ),
        ),
        (
            "a macro over one of two empty lists",
            "RULE-5",
            one("", "paths.changed", "(size(event.paths) > 1 ? [] : []).all(p, p != b\"a\")"),
        ),
        (
            "a variable that is no such word",
            "RULE-6",
            one(
                "fact seen set of string\n  add finding.raised: event.severity",
                "stage.entered",
                "facts.seen.all(s, s != \"fatal\")",
            ),
        ),
        ("a sum of too many", "RULE-7", one("", "stage.entered", &format!("event.round{} > 0", " + 1".repeat(64)))),
        (
            "a fact that nothing is added to",
            "RULE-5",
            one("fact n counter\n  reset stage.entered", "check.requested", "facts.n == 0"),
        ),
        ("`has` of a counter", "RULE-5", one("fact n counter\n  add stage.entered", "check.requested", "has(facts.n)")),
        ("a bracket that closes", "RULE-5", one("", "paths.changed", "event.paths.all(p, glob(p, b\"a]\"))")),
        (
            "a pattern of too many parts",
            "RULE-5",
            one("", "paths.changed", &format!("event.paths.all(p, glob(p, b\"{}\"))", "a".repeat(127))),
        ),
        ("nested too deep", "RULE-7", one("", "stage.entered", &deep)),
        ("a list of two types", "RULE-5", one("", "stage.entered", "event.round in [1, \"a\"]")),
        (
            "a character class in a pattern",
            "RULE-5",
            one("", "paths.changed", "event.paths.all(p, glob(p, b\"[a-z]\"))"),
        ),
        (
            "a rule without a message",
            "RULE-5",
            "loom rules 1\nset s \"S.\"\n\nrule r on stage.entered\n  require true\n".to_string(),
        ),
        (
            "another version of the language",
            "RULE-5",
            one("", "stage.entered", "true").replacen("rules 1", "rules 2", 1),
        ),
        (
            "a value of another kind behind a condition that is false for it",
            "RULE-5",
            one(
                "fact n set of int\n  add finding.raised, stage.entered: event.line if has(event.line)",
                "stage.entered",
                "size(facts.n) < 9",
            ),
        ),
        ("macros that multiply", "RULE-11", one("", "stage.entered", &exploding(6))),
        (
            "one unit more than a rule may cost",
            "RULE-11",
            one(REGISTERS, "finding.raised", &format!("{} && facts.on", dear(544))),
        ),
        (
            "one unit more than a clause may cost",
            "RULE-11",
            one(
                &format!(
                    "{REGISTERS}\n\nfact f flag\n  add finding.raised if {} && facts.on && facts.on && facts.on",
                    dear(543)
                ),
                "finding.raised",
                "true",
            ),
        ),
        (
            "a list that costs too much to take in",
            "RULE-11",
            one(
                &format!(
                    "{REGISTERS}\n\nfact f set of string\n  add finding.raised: [\"a\", \"b\", \"c\"] if {}",
                    dear(543)
                ),
                "finding.raised",
                "true",
            ),
        ),
        (
            "a rule twice",
            "RULE-5",
            format!("{}\nrule r on stage.entered\n  require true\n  message \"m\"\n", one("", "stage.entered", "true")),
        ),
    ]
}

#[test]
fn every_rule_comes_to_what_the_vector_says() {
    let mut lines = String::new();
    let json = |texts: &[String]| serde_json::to_string(texts).unwrap();
    for (name, commits, texts, expected) in judged() {
        let trace = trace_of(&run(&commits));
        let told = verdicts(&texts, &trace);
        let (_, first) = told.split_once(r#""result": ""#).unwrap();
        assert!(first.starts_with(expected), "{name}: {told}");
        // Thousands of events say no more than that they are many.
        if trace.len() < 50_000 {
            writeln!(
                lines,
                r#"{{"name": "{name}", "judged": {}, "trace": "{}", "verdicts": {told}}}"#,
                json(&texts),
                hex(&trace)
            )
            .unwrap();
        }
    }
    for (name, text) in loadable() {
        assert!(RuleSet::load(&text).is_ok(), "{name}: {:?}", RuleSet::load(&text).err());
        writeln!(lines, r#"{{"name": "{name}", "judged": {}}}"#, json(&[text])).unwrap();
    }
    for (name, law, text) in unloadable() {
        let errors = RuleSet::load(&text).err().unwrap_or_else(|| panic!("{name} loads"));
        let told: String = errors.iter().map(ToString::to_string).collect();
        assert!(law != "RULE-11" || told.contains(law), "{name}: {told}");
        writeln!(lines, r#"{{"name": "{name}", "judged": {}, "refused": "{law}"}}"#, json(&[text])).unwrap();
    }
    generated("verdicts.jsonl", &lines);
}
