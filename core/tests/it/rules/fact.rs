//! Facts: registers, clauses, overflow, snapshots, extension.

use super::*;
use loom_core::cbor::{Decoder, Encoder};
use loom_core::rules::ENTRIES_MAX;
use loom_core::schema::KindSchema;

const EVERY_TYPE: &str = r#"
loom rules 1
set s "every type of fact"

fact settled counter
  add budget.settled
  remove effect.orphaned
fact tokens sum
  add budget.settled: event.tokens
  remove finding.raised: event.round
fact touched flag
  add paths.changed if event.paths.exists(p, glob(p, "tests/**"))
  reset walked.back
fact paths set of bytes
  add paths.changed: event.paths
  remove finding.raised: event.path if has(event.path)
fact flow last string
  add flow.chosen: event.flow
  reset walked.back
fact reviewers last list of string
  add flow.chosen: event.required_reviewers
  reset walked.back
fact trees last bytes by string
  add verdict.given: event.tree by event.agent
  remove finding.raised by event.agent
fact rounds counter by string
  add finding.raised by event.agent
  remove verdict.given by event.agent
fact spent sum by int
  add budget.settled: event.tokens by event.effect
"#;

fn flow(reviewers: &[&str]) -> FlowChosen {
    FlowChosen {
        flow: "feature".into(),
        by: ChosenBy::Pin,
        required_reviewers: words(reviewers),
        required_checks: words(&[]),
        edits: true,
    }
}

fn verdict(agent: &str, on: &str) -> VerdictGiven {
    VerdictGiven { spawn: 3, agent: agent.into(), word: "ok".into(), passed: true, tree: tree(on), blocking: 0 }
}

fn show(facts: &Facts) -> String {
    facts.all().map(|(name, value)| format!("{} = {value}\n", name.trim_start_matches("s/"))).collect()
}

fn fed() -> Play {
    let mut play = Play::new(rules(EVERY_TYPE.trim_start()));
    play.feed(settled(5)).feed(settled(7)).feed(paths(&["tests/b", "a"])).feed(flow(&["critic", "security"]));
    play.feed(verdict("critic", "t1")).feed(verdict("tests", "t1")).feed(verdict("tests", "t2"));
    play
}

#[test]
fn unset_facts_are_values() {
    assert_eq!(
        show(&rules(EVERY_TYPE.trim_start()).facts()),
        "settled = 0\ntokens = 0\ntouched = false\npaths = {}\nflow = absent\nreviewers = absent\ntrees = {}\nrounds = {}\nspent = {}\n"
    );
}

#[test]
fn clauses_add_remove_and_reset() {
    let mut play = fed();
    assert_eq!(
        show(&play.facts),
        "settled = 2\ntokens = 12\ntouched = true\npaths = {b\"a\", b\"tests/b\"}\nflow = \"feature\"\nreviewers = [\"critic\", \"security\"]\ntrees = {\"critic\": b\"t1\", \"tests\": b\"t2\"}\nrounds = {\"critic\": -1, \"tests\": -2}\nspent = {4: 12}\n"
    );
    play.feed(finding(Severity::Warn, Some(b"a"))).feed(walked_back()).feed(EffectOrphaned { effect: 1 });
    assert_eq!(
        show(&play.facts),
        "settled = 1\ntokens = 10\ntouched = false\npaths = {b\"tests/b\"}\nflow = absent\nreviewers = absent\ntrees = {\"tests\": b\"t2\"}\nrounds = {\"tests\": -2}\nspent = {4: 12}\n"
    );
}

#[test]
fn conditions_read_facts_alone() {
    let play = fed();
    let table = [
        ("facts.settled == 2 && facts.tokens > 11 && facts.touched", "true"),
        ("b\"a\" in facts.paths && size(facts.paths) == 2", "true"),
        ("facts.paths.all(p, glob(p, \"tests/**\"))", "false"),
        ("has(facts.flow) && facts.flow == \"feature\"", "true"),
        ("has(facts.reviewers) && facts.reviewers.all(r, r in facts.trees)", "false"),
        ("facts.reviewers.exists(r, r in facts.trees && facts.trees[r] == b\"t1\")", "true"),
        ("has(facts.trees[\"tests\"]) ? facts.trees[\"tests\"] == b\"t2\" : false", "true"),
        ("facts.trees.exists(a, facts.trees[a] == b\"t2\")", "true"),
        ("\"nobody\" in facts.trees", "false"),
        ("facts.rounds[\"critic\"] == -1 && facts.rounds[\"nobody\"] == 0", "true"),
        ("size(facts.spent) == 1 && facts.spent[4] == 12", "true"),
    ];
    for (text, expected) in table {
        let condition = play.rules.condition(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(play.rules.evaluate(&condition, &play.facts).to_string(), expected, "{text}");
    }
    let wrong = [
        (
            "facts.trees[\"x\"] == b\"t\"",
            "1:1: `facts.trees[\"x\"]` is absent for keys never set (hint: guard it: `\"x\" in facts.trees && …` or `has(facts.trees[\"x\"]) ? … : …`)",
        ),
        ("facts.trees[1] == b\"t\"", "1:13: `facts.trees` is keyed by string, not by int"),
        ("event.tree == b\"t\"", "1:1: there is no event here (hint: a condition reads facts only)"),
        (
            "has(facts.tokens)",
            "1:5: `facts.tokens` is never absent: unset it is 0, false or empty (hint: compare its value instead)",
        ),
        (
            "facts.paths == facts.paths",
            "1:1: `==` compares a set of bytes with a set of bytes (hint: sets and keyed facts are compared item by item: `x in SET`, `size(SET)`)",
        ),
        (
            "b\"a\" in (facts.touched ? [b\"a\"] : facts.paths)",
            "1:10: the branches of `?` are a list of bytes and a set of bytes",
        ),
        ("facts.tokns == 1", "1:1: there is no fact `tokns` above (hint: did you mean `tokens`?)"),
        ("facts.tokens", "1:1: a condition needs a bool, this is int"),
    ];
    for (text, expected) in wrong {
        assert_eq!(play.rules.condition(text).map(|_| ()).map_err(|error| error.to_string()), Err(expected.into()));
    }
}

#[test]
fn facts_survive_a_snapshot_byte_for_byte() {
    let (play, unset) = (fed(), Play::new(rules(EVERY_TYPE.trim_start())));
    for play in [play, unset] {
        let mut encoder = Encoder::default();
        play.facts.encode(&mut encoder);
        let bytes = encoder.finish();
        let mut decoder = Decoder::new(&bytes);
        let again = Facts::decode(&play.rules, &mut decoder).expect("what was written can be read");
        assert_eq!(decoder.finish(), Ok(()));
        assert_eq!(again, play.facts);
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            if let Ok(facts) = Facts::decode(&play.rules, &mut Decoder::new(&broken)) {
                let mut encoder = Encoder::default();
                facts.encode(&mut encoder);
                let rewritten = encoder.finish();
                assert_eq!(rewritten, broken[..rewritten.len()], "only canonical facts are read");
            }
            assert!(Facts::decode(&play.rules, &mut Decoder::new(&bytes[..at])).is_err());
        }
    }
}

/// RULE-14: each collection has one order.
#[test]
fn facts_out_of_order_are_not_read() {
    let play = fed();
    let mut encoder = Encoder::default();
    play.facts.encode(&mut encoder);
    let bytes = encoder.finish();
    // The path `a`, a byte string of one, comes before `tests/b`.
    let at = bytes.windows(2).position(|pair| pair == [0x41, b'a']).expect("the path is there");
    let with = |path: u8| {
        let mut bytes = bytes.clone();
        bytes[at + 1] = path;
        Facts::decode(&play.rules, &mut Decoder::new(&bytes)).is_ok()
    };
    assert!(with(b'b') && !with(b'z'));
}

#[test]
fn of_a_long_fact_the_beginning_is_shown() {
    let mut play = Play::new(rules(EVERY_TYPE.trim_start()));
    let names: Vec<String> = (10..100).map(|number| format!("p{number}")).collect();
    play.feed(paths(&names.iter().map(String::as_str).collect::<Vec<_>>()));
    let shown = show(&play.facts);
    let line = shown.lines().find(|line| line.starts_with("paths = ")).expect("it is shown");
    // An item takes 6 characters, `b"p10"`, and 2 between it and the next one.
    let first: Vec<String> = names.iter().take(400 / 8).map(|name| format!("b\"{name}\"")).collect();
    assert_eq!(line, format!("paths = {{{}, … {} more}}", first.join(", "), 90 - first.len()));
}

#[test]
fn overflow_makes_a_fact_unknown_until_a_reset() {
    let text = "loom rules 1\nset s \"\"\nfact seen set of int\n add budget.settled: event.tokens\n reset walked.back\n\
        fact total sum\n add budget.settled: event.tokens\n\
        rule few on budget.settled require size(facts.seen) < 5000 message \"m\"\n\
        rule sure on budget.settled require size(facts.seen) < 5000 || true message \"m\"\n";
    let mut play = Play::new(rules(text));
    for tokens in 0..ENTRIES_MAX as u64 {
        play.feed(settled(tokens));
    }
    assert_eq!(play.take(), "");
    play.feed(settled(1 << 40)).feed(settled(1));
    assert_eq!(play.take(), "4098 budget.settled s/few: unknown: s/seen (more than 4096 entries)\n");
    assert_eq!(play.fact("seen"), "unknown: more than 4096 entries");
    play.feed(walked_back()).feed(settled(1));
    assert_eq!(play.fact("seen"), "{1}");
    play.feed(settled(i64::MAX as u64));
    assert_eq!(play.fact("total"), "unknown: at event 4101: an integer does not fit in 64 signed bits");
    assert_eq!(play.take(), "");
}

/// A list that no Loom would write, as a damaged or made-up trace may have it, fills no register beyond its bound.
#[test]
fn a_register_takes_so_many_entries_and_no_more() {
    let text = "loom rules 1\nset s \"\"\n\
        fact paths last list of bytes\n add paths.changed: event.paths\n\
        fact tokens sum by int\n add budget.settled: event.tokens by event.effect\n reset walked.back\n";
    let mut play = Play::new(rules(text));
    let named: Vec<String> = (0..=ENTRIES_MAX).map(|name| name.to_string()).collect();
    let named: Vec<&str> = named.iter().map(String::as_str).collect();
    let holds = |play: &Play, text: &str| {
        let condition = play.rules.condition(text).expect("it is well typed");
        assert_eq!(play.rules.evaluate(&condition, &play.facts), Outcome::True, "{text}");
    };
    play.feed(paths(&named[1..]));
    holds(&play, "size(facts.paths) == 4096");
    play.feed(paths(&named));
    assert_eq!(play.fact("paths"), "unknown: more than 4096 entries");
    let settled = |effect| BudgetSettled { effect, ..settled(1) };
    for effect in 0..ENTRIES_MAX as u64 {
        play.feed(settled(effect));
    }
    play.feed(settled(7));
    holds(&play, "size(facts.tokens) == 4096 && facts.tokens[7] == 2 && facts.tokens[4095] == 1");
    let mut encoder = Encoder::default();
    play.facts.encode(&mut encoder);
    let bytes = encoder.finish();
    let again = Facts::decode(&play.rules, &mut Decoder::new(&bytes)).expect("a full register is read");
    assert_eq!(again, play.facts);
    play.feed(settled(ENTRIES_MAX as u64));
    assert_eq!(play.fact("tokens"), "unknown: more than 4096 entries");
    let one = play.rules.condition("facts.tokens[7] == 2").expect("it is well typed");
    let found = play.rules.evaluate(&one, &play.facts).to_string();
    assert_eq!(found, "unknown: s/tokens (more than 4096 entries)");
}

/// A schema in which `tokens` is recorded since version 2 only.
fn later_schema() -> &'static [KindSchema] {
    let mut kinds: Vec<KindSchema> =
        KINDS.iter().filter(|kind| ["budget.settled", "walked.back"].contains(&kind.name)).copied().collect();
    let mut fields = kinds[0].fields.to_vec();
    fields.iter_mut().filter(|field| field.name == "tokens").for_each(|field| field.since = 2);
    kinds[0].fields = Box::leak(fields.into_boxed_slice());
    Box::leak(kinds.into_boxed_slice())
}

#[test]
fn a_field_not_recorded_makes_its_facts_unknown_until_a_reset() {
    let text = "loom rules 1\nset s \"\"\nfact total sum\n add budget.settled: event.tokens\n reset walked.back\n\
        fact events counter\n add budget.settled if event.known\n\
        rule capped on walked.back require facts.total < 100 message \"m\"\n";
    let set = RuleSet::load_for(text, later_schema()).expect("it loads");
    let mut play = Play::new(Rules::new(vec![Arc::new(set)]).expect("one set"));
    play.feed(settled(3)).feed(walked_back()).feed(walked_back());
    assert_eq!(
        play.take(),
        "2 walked.back s/capped: unknown: s/total (at event 1: event.tokens (recorded since version 2 of its kind))\n"
    );
    assert_eq!(play.fact("events"), "1");
}

#[test]
fn a_clause_reads_facts_above_as_they_were_before_the_event() {
    let text = "loom rules 1\nset s \"\"\n\
        fact total sum\n add budget.settled: event.tokens\n\
        fact before last int\n add budget.settled: facts.total\n\
        fact before_that last int\n add budget.settled: facts.before if has(facts.before)\n";
    let mut play = Play::new(rules(text));
    play.feed(settled(1)).feed(settled(10)).feed(settled(100));
    assert_eq!(show(&play.facts), "total = 111\nbefore = 11\nbefore_that = 1\n");
    let own = "loom rules 1\nset s \"\"\nfact total sum\n add budget.settled: facts.total\n";
    assert_eq!(errors(own), "4:22: there is no fact `total` above");
}

#[test]
fn a_set_added_later_begins_there_and_the_others_keep_their_facts() {
    let counting = |name: &str| set(&format!("loom rules 1\nset {name} \"\"\nfact n counter\n add budget.settled\n"));
    let mut play = Play::new(Rules::new(vec![counting("first")]).expect("one set"));
    play.feed(settled(1)).feed(settled(1));
    let before = play.rules.condition("facts.n == 3").expect("it is well typed");
    play.rules = play.rules.extended(counting("second")).expect("another name");
    play.facts = play.facts.extended(&play.rules);
    play.feed(settled(1));
    assert_eq!((play.fact("first/n"), play.fact("second/n"), play.fact("n")), ("3".into(), "1".into(), "3".into()));
    assert_eq!(play.rules.evaluate(&before, &play.facts), Outcome::True);
    assert_eq!(
        play.rules.extended(counting("first")).map(|_| ()).map_err(|error| error.message),
        Err("there are two rule sets `first` (RULE-2)".into())
    );
}

#[test]
fn items_of_a_list_are_found_in_any_order() {
    let mut play = Play::new(rules(EVERY_TYPE.trim_start()));
    play.feed(flow(&["security", "critic", "logic"]));
    for (name, expected) in [("security", "true"), ("critic", "true"), ("logic", "true"), ("tests", "false")] {
        let text = format!("has(facts.reviewers) && \"{name}\" in facts.reviewers");
        let condition = play.rules.condition(&text).expect("it is well typed");
        assert_eq!(play.rules.evaluate(&condition, &play.facts).to_string(), expected, "{name}");
    }
}

#[test]
fn copies_do_not_see_each_others_changes() {
    let mut play = fed();
    let copy = play.facts.clone();
    play.feed(settled(1));
    assert_ne!(copy, play.facts);
    assert_eq!(copy.get("settled").as_deref(), Some("2"));
    assert_eq!(copy.get("nothing"), None);
}
