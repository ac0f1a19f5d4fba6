//! Expressions: operators, guards, types, the four results, cost.

use super::*;
use loom_core::rules::{Glob, canonical};
use loom_core::schema::KindSchema;
use std::fmt::Write;

/// Evaluates an expression over one event, or says why it does not load.
fn result_for(kind: &str, expression: &str, bytes: &[u8], kinds: &'static [KindSchema]) -> String {
    let text = format!(
        "loom rules 1\nset s \"\"\nfact absent last string\n add merge.finished: event.detail if has(event.detail)\nrule r on {kind} require\n{expression}\n message \"m\""
    );
    // The expression stands on a line of its own, so errors count its columns, and it may be indented.
    let text = text.replace(&format!("\n{expression}\n"), &format!("\n {expression}\n"));
    match RuleSet::load_for(&text, kinds) {
        Err(errors) => errors.first().map(|error| error.to_string()).unwrap_or_default(),
        Ok(set) => {
            let rules = Rules::new(vec![Arc::new(set)]).expect("one set");
            let judged = rules.judge(&rules.facts(), &view(bytes));
            judged.first().map_or("true".into(), |judgement| judgement.result.to_string())
        }
    }
}

/// A finding in `src/naïve.rs`, event 12.
fn on_finding(expression: &str) -> String {
    let bytes = event(12, finding(Severity::Blocking, Some(b"src/lib.rs")));
    result_for("finding.raised", expression, &bytes, KINDS)
}

/// Checks lines `expression => result`.
fn check(evaluate: impl Fn(&str) -> String, table: &str) {
    let lines = table.lines().map(str::trim).filter(|line| !line.is_empty());
    let differing: String = lines
        .map(|line| line.rsplit_once(" => ").expect("a line is `expression => result`"))
        .map(|(expression, expected)| (expression, expected, evaluate(expression)))
        .filter(|(_, expected, found)| expected != found)
        .map(|(expression, expected, found)| format!("{expression}\n    expected {expected}\n    found    {found}\n"))
        .collect();
    assert!(differing.is_empty(), "\n{differing}");
}

#[test]
fn integers_compute_and_compare() {
    check(
        on_finding,
        r#"
        event.round == 2 => true
        event.round != 2 => false
        event.round < 2 => false
        event.round <= 2 => true
        event.round > 1 => true
        event.round >= 3 => false
        event.round + 3 * 2 == 8 => true
        (event.round + 3) * 2 == 10 => true
        event.round - 5 == -3 => true
        -event.round == -2 => true
        --event.round == 2 => true
        7 / event.round == 3 => true
        -7 / event.round == -3 => true
        -7 % event.round == -1 => true
        0x10 == 16 => true
        -9223372036854775808 < 0 => true
        event.round / 0 == 1 => error: division by zero
        event.round % 0 == 1 => error: division by zero
        9223372036854775807 + event.round == 0 => error: an integer does not fit in 64 signed bits
        (-9223372036854775807 - event.round) < 0 => error: an integer does not fit in 64 signed bits
        -9223372036854775808 / (event.round - 3) == 1 => error: an integer does not fit in 64 signed bits
        -9223372036854775808 % (event.round - 3) == 0 => error: an integer does not fit in 64 signed bits
        -(-9223372036854775807 - 1 + event.round - 2) == 1 => error: an integer does not fit in 64 signed bits
        4611686018427387904 * event.round == 0 => error: an integer does not fit in 64 signed bits
        "#,
    );
}

#[test]
fn other_scalars_compare_too() {
    check(
        on_finding,
        r#"
        event.agent == "critic" => true
        event.agent < "d" => true
        'Z' < event.agent => true
        event.fingerprint == b"\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09\x09" => true
        event.fingerprint > b"\t" => true
        (event.round == 2) == true => true
        (event.round == 2) > false => true
        event.agent.startsWith("cri") && event.agent.endsWith("tic") && event.agent.contains("iti") => true
        event.agent.startsWith("x") || event.agent.endsWith("x") || event.agent.contains("x") => false
        size(event.category) == 5 => true
        event.category.size() == 5 => true
        size(event.fingerprint) == 16 => true
        "\u00ef" == "ï" && "\x41\101" == 'AA' && r"\n" != "\n" => true
        """a"b""" == 'a"b' => true
        b'\377' == b"\xff" && b"ï" == b"\xc3\xaf" => true
        "#,
    );
}

#[test]
fn what_cannot_be_seen_is_printed_as_an_escape() {
    let printed = canonical("event.agent == 'a\\n\\u0001\\\\\\x7f\\'é'").expect("it is well formed");
    assert_eq!(canonical("event.round - -1==-(-2)").as_deref(), Ok("(event.round - (-1)) == 2"));
    assert_eq!(canonical("0 == event.round").as_deref(), Ok("0 == event.round"));
    assert_eq!(printed, r#"event.agent == "a\n\u0001\\\u007f'é""#);
}

#[test]
fn relations_bind_as_in_cel() {
    check(
        on_finding,
        r#"
        true || false && false => true
        !false && false => false
        1 + 2 * 3 - 4 / 2 == 5 => true
        1 < 2 == true => true
        false ? true : false ? false : true => true
        true ? true : false ? false : false => true
        1 in [1] == true => true
        "#,
    );
    assert_eq!(canonical("a||b&&!c?d:e?f:g").as_deref(), Ok("(a || (b && (!c))) ? d : (e ? f : g)"));
    assert_eq!(
        canonical("x . y [ 1+2*3 ] . all( v , v in [ 'a' , b'\\x00' ] )").as_deref(),
        Ok("x.y[1 + (2 * 3)].all(v, v in [\"a\", b\"\\x00\"])")
    );
}

#[test]
fn lists_are_searched_and_gone_through() {
    let bytes = event(5, paths(&["src/a.rs", "tests/a.rs", "README.md"]));
    check(
        |expression| result_for("paths.changed", expression, &bytes, KINDS),
        r#"
        size(event.paths) == 3 => true
        b"README.md" in event.paths => true
        b"readme.md" in event.paths => false
        event.paths == [b"src/a.rs", b"tests/a.rs", b"README.md"] => true
        event.paths != [b"src/a.rs"] => true
        event.how == [] => false
        event.paths.exists(p, glob(p, "tests/**")) => true
        event.paths.all(p, glob(p, "**/*.rs")) => false
        event.paths.exists_one(p, glob(p, b"*.md")) => true
        event.paths.exists_one(p, glob(p, "**/a.rs")) => false
        event.paths.all(p, event.how.exists(h, h == "modified" && size(p) > 5)) => true
        event.spawn in [1, 2, 3] => true
        event.spawn in [] => false
        "a" in ["a", "b"] => true
        "c" in ["a", "b"] => false
        "#,
    );
    let empty = event(5, paths(&[]));
    check(
        |expression| result_for("paths.changed", expression, &empty, KINDS),
        r#"
        size(event.paths) == 0 => true
        has(event.paths) => true
        event.paths == [] => true
        event.paths.all(p, p == b"x") => true
        event.paths.exists(p, p == b"x") => false
        "#,
    );
}

#[test]
fn envelope_speaks_of_sequence_stamp_actor_and_kind() {
    let input = RiskAccepted { request: vec![1], finding: 3, reason: artifact(1) };
    let bytes = event_by(person("uid:1000", None), 9, input.clone());
    check(
        |expression| result_for("risk.accepted", expression, &bytes, KINDS),
        r#"
        event.sequence == 9 && event.stamp_ms == 1009 => true
        event.actor == "uid:1000" && event.actor_class == "person" => true
        event.kind == "risk.accepted" => true
        has(event.actor) => true
        event.actor_class == "persons" => 6:23: "persons" is not one of its words (hint: did you mean "person"?)
        "#,
    );
    let spawned = event_by(person("uid:1000", Some(4)), 9, input);
    check(
        |expression| result_for("risk.accepted", expression, &spawned, KINDS),
        r#"event.actor_class == "spawn" => true"#,
    );
}

#[test]
fn what_may_be_absent_is_read_behind_a_guard() {
    let absent = event(12, finding(Severity::Warn, None));
    check(
        |expression| result_for("finding.raised", expression, &absent, KINDS),
        r#"
        has(event.path) => false
        has(event.path) && event.path == b"x" => false
        !has(event.path) || event.path == b"x" => true
        has(event.path) ? event.path == b"x" : event.round == 2 => true
        !(has(event.path) && size(event.path) > 0) => true
        (!has(event.path) || event.path == b"x") && true => true
        event.path == b"x" => 6:2: `event.path` may be absent on finding.raised (hint: guard it: `has(event.path) && …` or `!has(event.path) || …`)
        event.path == b"x" && has(event.path) => 6:2: `event.path` may be absent on finding.raised (hint: guard it: `has(event.path) && …` or `!has(event.path) || …`)
        has(event.path) || event.path == b"x" => 6:21: `event.path` may be absent on finding.raised (hint: guard it: `has(event.path) && …` or `!has(event.path) || …`)
        has(event.path) ? true : event.path == b"x" => 6:27: `event.path` may be absent on finding.raised (hint: guard it: `has(event.path) && …` or `!has(event.path) || …`)
        (has(event.path) || true) && event.path == b"x" => 6:31: `event.path` may be absent on finding.raised (hint: guard it: `has(event.path) && …` or `!has(event.path) || …`)
        facts.absent == "x" => 6:2: `facts.absent` is absent until an event sets it (hint: guard it: `has(facts.absent) && …` or `!has(facts.absent) || …`)
        has(facts.absent) && facts.absent == "x" => false
        "#,
    );
}

#[test]
fn kinds_of_one_rule_may_have_different_fields() {
    let both = "finding.raised, run.closed";
    let finding = event(12, finding(Severity::Warn, None));
    let closed = event(13, RunClosed { verdict: Verdict::Accepted, reason: "done".into() });
    let table = [
        (r#"has(event.verdict) && event.verdict == "accepted""#, "false", "true"),
        (r#"!has(event.severity) || event.severity == "blocking""#, "false", "true"),
        (r#"has(event.verdict) ? event.reason == "done" : event.round == 2"#, "true", "true"),
        (r#"event.kind == "run.closed""#, "false", "true"),
        (
            r#"event.verdict == "accepted""#,
            "6:2: finding.raised has no field `verdict` (hint: guard it: `has(event.verdict) && …` is false on that kind)",
            "",
        ),
        (r#"has(event.verdct)"#, "6:6: finding.raised has no field `verdct`", ""),
    ];
    for (expression, on_finding, on_closed) in table {
        assert_eq!(result_for(both, expression, &finding, KINDS), on_finding, "{expression}");
        if !on_closed.is_empty() {
            assert_eq!(result_for(both, expression, &closed, KINDS), on_closed, "{expression}");
        }
    }
}

#[test]
fn wrong_types_are_refused_with_place_and_hint() {
    check(
        on_finding,
        r#"
        event.severity == "bloking" => 6:20: "bloking" is not one of its words (hint: did you mean "blocking"?)
        event.severity in ["warn", "inform"] => 6:29: "inform" is not one of its words (hint: did you mean "info"?)
        event.severty == "warn" => 6:2: finding.raised has no field `severty` (hint: did you mean `severity`?)
        (event.round == 2 ? "one" : "two") == "three" => 6:40: "three" is not one of its words (hint: they are one, two)
        event.kind == "finding.rised" => 6:16: "finding.rised" is not one of its words (hint: did you mean "finding.raised"?)
        event.round in (event.round == 2 ? [1] : ["a"]) => 6:18: the branches of `?` are a list of int and a list of string
        startsWith(event.agent, "x") => 6:2: `startsWith` is a method (hint: write `VALUE.startsWith(…)`)
        event.round & 1 => 6:14: `&` is not an operator (hint: write `&&` or `||`)
        fact.absent == "x" => 6:2: `.absent` selects from something that has no fields (hint: fields are `event.NAME`, facts are `facts.NAME`)
        glob(event.agent) => 6:2: `glob` takes a path and a pattern
        facts.absnet == "x" => 6:2: there is no fact `absnet` above (hint: did you mean `absent`?)
        event.severityabcdefgh == "warn" => 6:2: finding.raised has no field `severityabcdefgh`
        event.agent.size(1) == 1 => 6:2: `size` is a function (hint: write `size(…)`)
        severity == "warn" => 6:2: `severity` is not a variable here (hint: did you mean `event.severity`?)
        event.round == "2" => 6:2: `==` compares int with string
        event.round < true => 6:2: `<` compares int with bool
        event.round => 6:2: a condition needs a bool, this is int
        event.round && true => 6:2: `&&` needs a bool, this is int
        !event.round => 6:3: `!` needs a bool, this is int
        event.agent + "x" == "y" => 6:2: `+` computes with int, not string (hint: strings and lists are not joined in rules)
        -event.agent == 1 => 6:3: `-` computes with int, not string
        event.fingerprint.startsWith("x") => 6:2: `startsWith` works on strings, not bytes (hint: use `glob` on paths)
        event.agent.matches("x") => 6:2: there are no regular expressions in rules (hint: use `glob(path, pattern)`, `startsWith`, `endsWith` or `contains`)
        event.agent.startWith("x") => 6:2: there is no method `startWith` (hint: did you mean `startsWith`?)
        sise(event.agent) == 1 => 6:2: there is no function `sise` (hint: did you mean `size`?)
        size(event.round) == 1 => 6:7: int has no size
        size(event.agent, 1) == 1 => 6:2: `size` takes one argument
        event.round in event.agent => 6:17: `in` looks in a list, set or keyed fact, not string
        event.round in ["a"] => 6:2: `in` looks for int in a list of string
        event.round in [1, "a"] => 6:21: a list holds values of one type, here int and string
        event.round in [event.source] => 6:18: a list holds literals only (hint: write the comparisons out: `x == a || x == b`)
        event.agent.all(x, true) => 6:2: `all` goes through a list, set or keyed fact, not string
        [1].all(event, true) => 6:10: `event` already has a meaning here (hint: choose another name)
        [1].all(x, [2].all(x, true)) => 6:21: `x` already has a meaning here (hint: choose another name)
        [1].all(x, x) => 6:13: the condition of a macro needs a bool, this is int
        [1].all(1, true) => 6:2: `all` takes a variable and a condition (hint: write `LIST.all(x, CONDITION)`)
        true ? 1 : "a" => 6:2: a condition needs a bool, this is int
        event.round == (event.round == 2 ? 1 : "a") => 6:18: the branches of `?` are int and string
        facts.absnt == "x" => 6:2: there is no fact `absnt` above (hint: did you mean `absent`?)
        has(facts.absent["x"]) => 6:6: `facts.absent` is last string, which has no keys
        event.agent[0] == "c" => 6:2: only keyed facts are indexed (hint: write `facts.NAME[KEY]`, or go through a list with `all` or `exists`)
        glob(event.agent, event.agent) => 6:20: the pattern of `glob` is a literal
        glob(event.round, "x") => 6:7: `glob` matches a path of bytes, not int
        glob(event.agent, "[a]") => 6:20: character classes are not supported; write alternatives as {a,b}
        has(event) => 6:6: `has` asks for a field or a fact (hint: write `has(event.NAME)`, `has(facts.NAME)` or `has(facts.NAME[KEY])`)
        event == 1 => 6:2: `event` is not a variable here (hint: name a field: `event.NAME`)
        facts == 1 => 6:2: `facts` is not a variable here (hint: name a fact: `facts.NAME`)
        absent == "x" => 6:2: `absent` is not a variable here (hint: did you mean `facts.absent`?)
        [1].all(item, itm == 1) => 6:16: `itm` is not a variable here (hint: did you mean `item`?)
        has(fact.absent) => 6:6: `has` asks for a field or a fact (hint: write `has(event.NAME)`, `has(facts.NAME)` or `has(facts.NAME[KEY])`)
        event.round = 2 => 6:14: `=` is not an operator (hint: equality is `==`)
        event.round == 1.5 => 6:17: there are no floats in rules (hint: count in a smaller unit)
        event.round == 1u => 6:17: `1u` is not an integer of 64 bits (hint: integers are decimal or 0x hex)
        event.round == 9223372036854775808 => 6:17: the integer does not fit in 64 signed bits
        event.agent == "\q" => 6:18: the escape is not one of CEL's (hint: write a backslash as `\\`)
        b"\u0041" == b"A" => 6:4: the escape is not one of CEL's (hint: write a backslash as `\\`)
        b"\U00000041" == b"A" => 6:4: the escape is not one of CEL's (hint: write a backslash as `\\`)
        event.agent == "x => 6:17: the string is not closed (hint: end it with the quote it began with)
        event.round == null => 6:17: expected an expression, found `null`
        event.round == => 7:10: expected an operator, `message`, `severity` or `origin`, found a string
        "#,
    );
}

/// `event.line` is recorded since version 2, so on version 1 it is unknown.
fn later_schema() -> &'static [KindSchema] {
    let mut kind = KINDS.iter().find(|kind| kind.name == "finding.raised").copied().expect("the kind exists");
    let mut fields = kind.fields.to_vec();
    for field in &mut fields {
        if field.name == "line" {
            (field.since, field.optional) = (2, false);
        }
    }
    kind.fields = Box::leak(fields.into_boxed_slice());
    let detail = KINDS.iter().find(|kind| kind.name == "merge.finished").copied().expect("the kind exists");
    Box::leak(Box::new([detail, kind]))
}

#[test]
fn list_that_was_not_recorded_yet_is_unknown() {
    let mut kind = KINDS.iter().find(|kind| kind.name == "paths.changed").copied().expect("the kind exists");
    let mut fields = kind.fields.to_vec();
    fields.iter_mut().filter(|field| field.name == "paths").for_each(|field| field.since = 2);
    kind.fields = Box::leak(fields.into_boxed_slice());
    let detail = KINDS.iter().find(|kind| kind.name == "merge.finished").copied().expect("the kind exists");
    let kinds: &[KindSchema] = Box::leak(Box::new([detail, kind]));
    let bytes = event(12, paths(&["a"]));
    check(
        |expression| result_for("paths.changed", expression, &bytes, kinds),
        r#"
        event.paths.all(p, p == b"a") => unknown: event.paths (recorded since version 2 of its kind)
        size(event.paths) == 1 => unknown: event.paths (recorded since version 2 of its kind)
        event.how.all(h, h == "modified") => true
        "#,
    );
}

#[test]
fn false_absorbs_in_and_true_in_or_then_unknown_goes_before_error() {
    let kinds = later_schema();
    let bytes = event(12, finding(Severity::Warn, None));
    let operands =
        [("T", "event.round == 2"), ("F", "event.round == 3"), ("U", "event.line == 1"), ("E", "1 / 0 == 1")];
    let short = |result: String| result.chars().next().unwrap_or('?').to_ascii_uppercase();
    let mut table = String::new();
    for (operator, word) in [("&&", "and"), ("||", "or"), ("==", "same")] {
        for (left, a) in operands {
            for (right, b) in operands {
                let found = short(result_for("finding.raised", &format!("({a}) {operator} ({b})"), &bytes, kinds));
                let _ = write!(table, "{left}{right}{found} ");
            }
        }
        let _ = writeln!(table, "{word}");
    }
    assert_eq!(
        table,
        "TTT TFF TUU TEE FTF FFF FUF FEF UTU UFF UUU UEU ETE EFF EUU EEE and\n\
         TTT TFT TUT TET FTT FFF FUU FEE UTT UFU UUU UEU ETT EFE EUU EEE or\n\
         TTT TFF TUU TEE FTF FFT FUU FEE UTU UFU UUU UEU ETE EFE EUU EEE same\n"
    );
    check(
        |expression| result_for("finding.raised", expression, &bytes, kinds),
        r#"
        !(event.line == 1) => unknown: event.line (recorded since version 2 of its kind)
        has(event.line) => unknown: event.line (recorded since version 2 of its kind)
        event.line == 1 ? true : true => unknown: event.line (recorded since version 2 of its kind)
        1 / 0 == 1 ? true : true => error: division by zero
        event.line + 1 / 0 == 1 => unknown: event.line (recorded since version 2 of its kind)
        1 / 0 + event.line == 1 => unknown: event.line (recorded since version 2 of its kind)
        [1, 2].all(x, x == 3 && event.line == 1) => false
        [1, 2].exists(x, x == 2 || event.line == 1) => true
        [1, 2].exists(x, x == 3 || event.line == 1) => unknown: event.line (recorded since version 2 of its kind)
        [0, 1].exists(x, 1 / x == 1) => true
        [0, 1].all(x, 1 / x == 1) => error: division by zero
        [0, 1].exists_one(x, 1 / x == 1) => error: division by zero
        "#,
    );
}

#[test]
fn unsigned_fields_beyond_the_signed_range_are_errors() {
    let mut large = finding(Severity::Warn, None);
    large.round = u64::MAX;
    let bytes = event(1, large);
    check(
        |expression| result_for("finding.raised", expression, &bytes, KINDS),
        r#"
        event.round > 1 => error: event.round is 2^63 or more
        event.round > 1 || event.source == 3 => true
        "#,
    );
}

#[test]
fn cost_is_bounded_before_anything_runs() {
    let bytes = event(5, paths(&[]));
    let run = |expression: &str| result_for("paths.changed", expression, &bytes, KINDS);
    assert_eq!(run("event.paths.all(p, event.how.all(q, q != \"x\"))"), "true");
    assert_eq!(
        run("event.paths.all(p, event.paths.all(q, event.how.all(r, r != \"x\")))"),
        "5:6: rule `r` may cost 84083457 on paths.changed; at most 10000000 is allowed (RULE-11) \
         (hint: nest fewer macros, or fold what they look for into a fact)"
    );
}

#[test]
fn deep_nesting_is_refused_not_followed() {
    let refused = "nested deeper than 64 (RULE-7)";
    let bombs = [
        "(".repeat(80_000),
        "!".repeat(80_000) + "true",
        "-".repeat(80_000) + "event.round == 1",
        "[".repeat(80_000),
        "size(".repeat(80_000),
        "true ? true : ".repeat(40_000) + "true",
        "1 + ".repeat(80_000) + "1 == 1",
        "true == ".repeat(80_000) + "true",
        "event.x".to_string() + &".y".repeat(80_000),
        "event.x".to_string() + &"[1]".repeat(80_000),
        "[1].all(x, ".repeat(80_000),
    ];
    for bomb in bombs {
        let found = on_finding(&bomb);
        assert!(found.contains(refused), "{}… gave {found}", &bomb[..20]);
    }
    assert_eq!(on_finding(&("true && ".repeat(5_000) + "true")), "true");
    assert_eq!(on_finding(&("(".repeat(40) + "true" + &")".repeat(40))), "true");
}

#[test]
fn glob_follows_segments() {
    let table = [
        ("*.rs", "lib.rs", true),
        ("*.rs", "src/lib.rs", false),
        ("**/*.rs", "lib.rs", true),
        ("**/*.rs", "a/b/lib.rs", true),
        ("**/tests/**", "tests/a.rs", true),
        ("**/tests/**", "core/tests/it/a.rs", true),
        ("**/tests/**", "core/mytests/a.rs", false),
        ("**/tests/**", "core/tests", false),
        ("src/**", "src/a/b", true),
        ("src/**", "srcs/a", false),
        ("src/**/b", "src/b", true),
        ("src/**/b", "src/x/y/b", true),
        ("src/**/b", "src/xb", false),
        ("a**b", "a/x/b", true),
        ("?.c", "a.c", true),
        ("?.c", "/.c", false),
        ("?.c", "ab.c", false),
        ("*", "", true),
        ("**", "a/b/c", true),
        ("", "", true),
        ("", "a", false),
        ("{src,lib}/*.{c,h}", "lib/a.h", true),
        ("{src,lib}/*.{c,h}", "bin/a.h", false),
        ("a{b{c,d},e}f", "abdf", true),
        ("a{b{c,d},e}f", "aef", true),
        ("a{b{c,d},e}f", "abf", false),
        (r"\*\{\}", "*{}", true),
        (r"{a\,b,c}", "a,b", true),
        (r"{a\,b,c}", "b", false),
        (r"\*\{\}", "x{}", false),
        ("*a*b*c", "xxaxxbxxc", true),
        ("*a*", "aa", true),
        ("*/b", "a/b", true),
        ("*/b", "b", false),
        ("**a/**/b", "a/xa/b", true),
        ("**a**", "a/a", true),
        ("**a/**", "a/a/", true),
        ("**/**/x", "x", true),
        ("*?", "a", true),
        ("é*", "été", true),
    ];
    for (pattern, path, expected) in table {
        let glob = Glob::new(pattern.as_bytes()).expect(pattern);
        assert_eq!(glob.matches(path.as_bytes()), expected, "{pattern} on {path}");
    }
    for wrong in ["{a", "a}", "a\\", "[ab]", &"a".repeat(200), &"{a,b}".repeat(20)] {
        assert!(Glob::new(wrong.as_bytes()).is_err(), "{wrong}");
    }
    let choices = |count: usize| format!("{{{}}}", vec!["x"; count].join(","));
    for (pattern, refused) in
        [(choices(32), false), (choices(33), true), ("{a,b}".repeat(5), false), ("{a,b}".repeat(6), true)]
    {
        let found = Glob::new(pattern.as_bytes()).err();
        assert_eq!(found.as_deref(), refused.then_some("the pattern has more than 32 alternatives"), "{pattern}");
    }
}

/// A matcher that backtracks would need about 2^60 steps here; this one reads each path once.
#[test]
fn glob_reads_a_path_once() {
    let pattern = "*a".repeat(60) + "b";
    let glob = Glob::new(pattern.as_bytes()).expect("within the bounds");
    let path = "a".repeat(1_000_000);
    assert!(!glob.matches(path.as_bytes()));
    let crossing = "**/a/".repeat(20) + "b";
    assert!(!Glob::new(crossing.as_bytes()).expect("within the bounds").matches("a/".repeat(500_000).as_bytes()));
}
