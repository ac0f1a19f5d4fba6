//! Several sets in one judge: each reads its own facts, and a judgement shows what was read.

use super::*;
use loom_core::rules::COST_MAX;

const FIRST: &str = "loom rules 1\nset first \"\"\n\
    fact opened counter\n add run.opened\n\
    fact tokens sum\n add budget.settled: event.tokens\n\
    rule few on budget.settled require facts.tokens < 10 message \"m\"\n";

const SECOND: &str = "loom rules 1\nset second \"\"\n\
    fact calls counter\n add budget.settled\n\
    fact ratio sum\n add budget.settled: 100 / event.tokens\n reset walked.back\n\
    rule cheap on budget.settled require facts.ratio + facts.calls < 60 message \"m\"\n";

fn both() -> Rules {
    Rules::new(vec![set(FIRST), set(SECOND)]).expect("two sets of two names")
}

/// Returns what the rules that do not hold say of an event, with what they read.
fn told(play: &Play, body: impl Into<Event>) -> String {
    let bytes = event(9, body);
    let pairs =
        |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| format!(" {name}={value}")).collect::<String>();
    let judged = play.rules.judge(&play.facts, &view(&bytes));
    let line = |found: &loom_core::rules::Judgement| {
        format!("{}: {};{}{}\n", found.rule, found.result, pairs(&found.facts), pairs(&found.fields))
    };
    judged.iter().map(line).collect()
}

#[test]
fn every_set_reads_and_shows_its_own_facts() {
    let mut play = Play::new(both());
    play.feed(settled(2)).feed(settled(10));
    assert_eq!(
        play.facts.all().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        ["first/opened=0", "first/tokens=12", "second/calls=2", "second/ratio=60"]
    );
    assert_eq!(
        told(&play, settled(1)),
        "first/few: false; first/tokens=12\nsecond/cheap: false; second/calls=2 second/ratio=60\n"
    );
    play.feed(settled(0));
    let why = "at event 3: division by zero";
    assert_eq!(
        told(&play, settled(1)),
        format!(
            "first/few: false; first/tokens=12\nsecond/cheap: unknown: second/ratio ({why}); second/calls=3 second/ratio=unknown: {why}\n"
        )
    );
    // A condition finds the facts of every set by their names.
    for (text, expected) in
        [("facts.tokens == 12 && facts.calls == 3", "true"), ("facts.ratio > 0", "unknown: second/ratio")]
    {
        let condition = play.rules.condition(text).expect("it is well typed");
        assert!(play.rules.evaluate(&condition, &play.facts).to_string().starts_with(expected), "{text}");
    }
}

#[test]
fn judgement_shows_the_fields_it_read() {
    let text = "loom rules 1\nset s \"\"\n\
        rule clean on finding.raised require event.severity != \"blocking\" && !(has(event.path) && event.path == b\"x\") message \"m\"\n\
        rule none on paths.changed require event.paths.all(p, p == b\"x\") && event.sequence < 3 && event.kind == \"paths.changed\" message \"m\"\n";
    let play = Play::new(rules(text));
    let clean = |path: Option<&[u8]>| told(&play, finding(Severity::Blocking, path));
    assert_eq!(clean(Some(b"src/a")), "s/clean: false; event.severity=\"blocking\" event.path=b\"src/a\"\n");
    assert_eq!(clean(Some(b"a\tb")), "s/clean: false; event.severity=\"blocking\" event.path=610962\n");
    assert_eq!(clean(Some(b"\xff")), "s/clean: false; event.severity=\"blocking\" event.path=ff\n");
    assert_eq!(clean(None), "s/clean: false; event.severity=\"blocking\" event.path=absent\n");
    assert_eq!(
        told(&play, paths(&["a", "b"])),
        "s/none: false; event.paths=[b\"a\", b\"b\"] event.kind=\"paths.changed\" event.sequence=9\n"
    );
}

/// Of two reasons the first counts, but for what is unknown, which goes before what is wrong (RULE-9).
#[test]
fn first_of_two_reasons_is_told() {
    let text = "loom rules 1\nset s \"\"\n\
        fact a sum\n add budget.settled: 1 / event.tokens\n\
        fact b sum\n add budget.settled: 1 / event.tokens\n\
        rule ab on walked.back require facts.a == facts.b message \"m\"\n\
        rule ba on walked.back require facts.b == facts.a message \"m\"\n\
        rule za on walked.back require 1 / (facts.b - facts.b) == facts.a message \"m\"\n\
        rule zo on budget.settled require event.tokens / 0 == 9223372036854775807 + event.effect message \"m\"\n\
        rule oz on budget.settled require 9223372036854775807 + event.effect == event.tokens / 0 message \"m\"\n\
        rule zb on walked.back require event.automatic == false && 1 / 0 == 1 || facts.b == 1 message \"m\"\n";
    let mut play = Play::new(rules(text));
    play.feed(settled(0));
    let zero = "at event 1: division by zero";
    assert_eq!(
        told(&play, settled(1)).lines().map(|line| line.split(';').next().unwrap_or("")).collect::<Vec<_>>(),
        ["s/zo: error: division by zero", "s/oz: error: an integer does not fit in 64 signed bits"]
    );
    let (a, b) = (format!("unknown: s/a ({zero})"), format!("unknown: s/b ({zero})"));
    assert_eq!(
        told(&play, walked_back()).lines().map(|line| line.split(';').next().unwrap_or("")).collect::<Vec<_>>(),
        [format!("s/ab: {a}"), format!("s/ba: {b}"), format!("s/za: {b}"), format!("s/zb: {b}")]
    );
}

#[test]
fn kinds_that_rules_ask_about_and_name_are_told() {
    let rules = both();
    let code = |name: &str| KINDS.iter().find(|kind| kind.name == name).map(|kind| kind.code).expect("a kind");
    let asked = ["budget.settled", "run.opened", "walked.back", "finding.raised"]
        .map(|name| (rules.asks(code(name)), rules.names(code(name))));
    assert_eq!(asked, [(true, true), (false, true), (false, true), (false, false)]);
    assert!(!rules.asks(u64::MAX) && !rules.names(u64::MAX));
    let names: Vec<&str> = rules.sets().iter().map(|set| set.name()).collect();
    assert_eq!(names, ["first", "second"]);
}

/// RULE-11: what a condition may cost is bounded as what a rule may.
#[test]
fn condition_that_may_cost_too_much_is_refused() {
    let rules = rules("loom rules 1\nset s \"\"\nfact seen set of int\n add budget.settled: event.tokens\n");
    let nested = |depth: usize| {
        let (open, close): (String, String) =
            ((0..depth).map(|n| format!("facts.seen.all(v{n}, ")).collect(), ")".repeat(depth));
        rules.condition(&format!("{open}true{close}")).map(|_| ()).map_err(|error| error.message)
    };
    assert_eq!(nested(1), Ok(()));
    let refused = nested(2).expect_err("4096 times 4096 is more than ten million");
    assert!(refused.starts_with("the condition may cost ") && COST_MAX == 10_000_000, "{refused}");
}
