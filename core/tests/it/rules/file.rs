//! Rule files: statements, their errors, digests, what a loaded set tells.

use super::*;
use loom_core::rules::Severity as RuleSeverity;
use loom_core::schema::KindSchema;

fn file(body: &str) -> String {
    format!("loom rules 1\nset s \"about\"\n{body}")
}

#[test]
fn a_broken_file_names_every_broken_statement() {
    let text = file(
        "fact a set of text\n add finding.raised: event.agent\n\
         fact b last int\n add finding.rased: event.round\n\
         fact c counter\n add finding.raised: event.round\n\
         rule r on run.closed\n require event.verdict == \"acepted\"\n message \"m\"\n\
         rule q on run.closed\n require true\n",
    );
    assert_eq!(
        errors(&text),
        "3:15: expected a value's type, found `text` (hint: one of int, bool, string, bytes)\n\
         12:6: rule `q` has no message (hint: add `message \"…\"`: what a person reads when it refuses)"
    );
    let text = text.replace("set of text", "set of string").replace("require true", "require true message \"m\"");
    assert_eq!(
        errors(&text),
        "6:6: there is no event kind `finding.rased` (hint: did you mean `finding.raised`?)\n\
         8:2: this clause of counter takes no `: VALUE` (hint: write `add KIND` or `remove KIND`)\n\
         10:27: \"acepted\" is not one of its words (hint: did you mean \"accepted\"?)"
    );
}

#[test]
fn statements_are_checked() {
    let table = [
        ("fact a last int\n add finding.raised: event.agent", "4:22: fact `a` is last int, this is string"),
        ("fact a last int\n add paths.changed: event.paths", "4:21: fact `a` is last int, this is a list of bytes"),
        (
            "fact a last list of int\n add finding.raised: event.round",
            "4:22: fact `a` is last list of int, this is int",
        ),
        (
            "fact a last int by string\n add finding.raised: event.round",
            "4:2: this clause of last int by string needs `by KEY` (hint: write `add KIND: VALUE by KEY`)",
        ),
        (
            "fact a last int by string\n add finding.raised: event.round by event.round",
            "4:37: fact `a` is last int by string, this key is int",
        ),
        (
            "fact a last int\n add finding.raised: event.line",
            "4:22: `event.line` may be absent on finding.raised (hint: guard it: `has(event.line) && …` or `!has(event.line) || …`)",
        ),
        ("fact a last int\n add finding.raised: event.line if has(event.line)", "loads"),
        (
            "fact a last int\n remove finding.raised: 1\n add finding.raised: 1",
            "4:2: nothing is removed from last int (hint: use `reset`)",
        ),
        (
            "fact a last int\n reset walked.back",
            "3:6: nothing is ever added to fact `a` (hint: give it a clause `add KIND: EXPRESSION`)",
        ),
        ("fact a flag\n add walked.back\nfact a flag\n add walked.back", "5:6: there are two facts `a`"),
        ("fact a flag\n add walked.back, walked.back", "4:19: `walked.back` is named twice"),
        (
            "rule r on run.closed require true message \"m\"\nrule r on run.closed require true message \"m\"",
            "4:6: there are two rules `r`",
        ),
        ("rule r on run.closed require true message \"m\" message \"n\"", "3:47: this is given twice (hint: keep one)"),
        (
            "rule r on run.closed require true message \"m\" severity bad",
            "3:56: expected `error` or `warn`, found `bad`",
        ),
        (
            "rule r on run.closed require true extra",
            "3:35: expected an operator, `message`, `severity` or `origin`, found `extra`",
        ),
        (
            " rule r on run.closed require true message \"m\"",
            "3:2: expected the end of the statement, found `rule` (hint: operators are `&& || ! ?: in == != < <= > >= + - * / %`)",
        ),
        (
            "rules r on run.closed",
            "3:1: expected `fact` or `rule`, found `rules` (hint: what belongs to the line above is indented)",
        ),
        ("", "2:5: the set has neither facts nor rules"),
        // A name has dashes between its parts and nothing else.
        ("rule a+b on run.closed require true message \"m\"", "3:7: expected `on`, found `+`"),
        ("rule a-\"b\" on run.closed require true message \"m\"", "3:7: expected `on`, found `-`"),
        ("rule a -b on run.closed require true message \"m\"", "3:8: expected `on`, found `-`"),
        ("rule a- b on run.closed require true message \"m\"", "3:7: expected `on`, found `-`"),
        ("rule a-2-b on run.closed require size(event.reason) > 0 message \"m\"", "loads"),
    ];
    for (body, expected) in table {
        assert_eq!(errors(&file(body)), expected, "{body}");
    }
    let headers = [
        (
            "",
            "1:1: the file ends before its `set` line (hint: begin with `loom rules 1` and `set NAME \"what it is for\"`)",
        ),
        ("rule r", "1:1: expected `loom`, found `rule` (hint: the first line is `loom rules 1`)"),
        (
            "loom rules 2\nset s \"\"",
            "1:12: rules language 2 is not read by this loom (language 1); a newer loom can read it",
        ),
        ("loom rules 1\nset - \"\"", "2:5: expected the set's name, found `-`"),
        (
            "loom rules 1\nset s\nfact",
            "3:1: expected a string that says what the set is for, found the end of the statement",
        ),
    ];
    for (text, expected) in headers {
        assert_eq!(errors(text), expected, "{text}");
    }
}

#[test]
fn a_loaded_set_tells_what_it_holds() {
    let set = set(&file(
        "# A comment, and \"quotes\" in it.\n\
         fact open set of int # which\n  add finding.raised: event.sequence\n\
         rule no-open-2 on run.closed, walked.back\n  require size(facts.open)\n    == 0 # none\n  message \"m\"\n  severity warn\n  origin \"incident 7\"\n\
         rule never on run.closed require size(facts.open) < 0 message \"m\"\n\
         rule idle on run.closed require size(facts.open) <= 4096 message \"m\"\n",
    ));
    assert_eq!((set.name(), set.about()), ("s", "about"));
    assert!(set.text().starts_with("loom rules 1\nset s") && set.text().ends_with("<= 4096 message \"m\"\n"));
    let rules: Vec<_> = set.rules().collect();
    assert_eq!(rules[0].name, "no-open-2");
    assert_eq!(rules[0].kinds, ["run.closed", "walked.back"]);
    assert_eq!(rules[0].expression, "size(facts.open)\n    == 0");
    assert_eq!((rules[0].severity, rules[0].origin.as_deref()), (RuleSeverity::Warn, Some("incident 7")));
    assert_eq!(rules.iter().map(|rule| rule.severity.word()).collect::<Vec<_>>(), ["warn", "error", "error"]);
    assert_eq!(rules[0].place.line, 6);
    let fact = set.facts().next().expect("there is a fact");
    assert_eq!(
        (fact.name.as_str(), fact.ty.as_str(), &fact.kinds[..]),
        ("open", "set of int", &["finding.raised"][..])
    );
}

/// Names are compared with those of up to 64 letters.
#[test]
fn a_long_name_has_no_neighbour() {
    let told = |known: usize, named: usize| {
        let (known, named) = ("x".repeat(known), "x".repeat(named));
        let error = errors(&file(&format!(
            "fact {known} flag\n add run.opened\nrule r on run.closed require facts.{named} message \"m\""
        )));
        error.contains("did you mean `")
    };
    assert_eq!([told(64, 63), told(63, 64), told(65, 64), told(64, 65)], [true, true, false, false]);
}

#[test]
fn a_run_without_rules_is_refused() {
    let error = Rules::new(Vec::new()).map(|_| ()).expect_err("no rule set");
    assert_eq!(error.message, "no rule set is loaded (RULE-2)");
}

#[test]
fn a_judgement_shows_the_rule_what_it_read_and_how_bad_it_is() {
    let rules = rules(&file(
        "fact open set of int\n add finding.raised: event.sequence\n\
         rule calm on finding.raised require has(event.path) && size(facts.open) == 5 && event.actor == \"x\" message \"too much\" severity warn\n\
         rule fine on finding.raised require event.round == 2 message \"m\"\n",
    ));
    let bytes = event(4, finding(Severity::Info, Some(b"src/\xff")));
    let judged = rules.judge(&rules.facts(), &view(&bytes));
    let [only] = &judged[..] else { panic!("one rule refuses: {judged:?}") };
    assert_eq!((only.rule.as_str(), only.message.as_str(), only.severity), ("s/calm", "too much", RuleSeverity::Warn));
    assert_eq!(only.facts, [("s/open".to_string(), "{}".to_string())]);
    assert_eq!(
        only.fields,
        [("event.path".to_string(), "7372632fff".to_string()), ("event.actor".to_string(), "\"\"".to_string())]
    );
    assert!(rules.asks(32) && !rules.asks(61) && !rules.asks(u64::MAX));
}

/// Returns the schema with one kind changed.
fn changed(name: &str, change: impl Fn(&mut KindSchema)) -> &'static [KindSchema] {
    let mut kinds = KINDS.to_vec();
    kinds.iter_mut().filter(|kind| kind.name == name).for_each(change);
    Box::leak(kinds.into_boxed_slice())
}

#[test]
fn only_what_a_set_names_changes_its_digest() {
    let text = file(
        "rule r on run.closed, walked.back require !has(event.verdict) || event.verdict != \"failed\" message \"m\"\n",
    );
    let digest = |text: &str, kinds| RuleSet::load_for(text, kinds).expect("it loads").digest();
    let now = digest(&text, KINDS);
    assert_eq!(now, digest(&text, changed("merge.intended", |kind| kind.fields = &[])), "another kind");
    assert_eq!(now, digest(&text, changed("run.closed", |kind| kind.version = 2)), "a version without new meaning");
    let shorter = |kind: &mut KindSchema| kind.fields = &kind.fields[..1];
    assert_eq!(now, digest(&text, changed("run.closed", shorter)), "another field");
    let mut kinds = KINDS.to_vec();
    kinds.retain(|kind| ["run.closed", "walked.back"].contains(&kind.name));
    assert_eq!(now, digest(&text, Box::leak(kinds.into_boxed_slice())), "fewer kinds");

    assert_ne!(now, digest(&text.replace("\"m\"", "\"n\""), KINDS), "the text");
    let wider = |kind: &mut KindSchema| {
        let mut fields = kind.fields.to_vec();
        fields[0].words = Some(&["accepted", "failed"]);
        kind.fields = Box::leak(fields.into_boxed_slice());
    };
    assert_ne!(now, digest(&text, changed("run.closed", wider)), "the vocabulary of a field it names");
    let verdict = |kind: &mut KindSchema| {
        let mut fields = kind.fields.to_vec();
        fields[0].name = "verdict";
        kind.fields = Box::leak(fields.into_boxed_slice());
    };
    let also = text.replace("event.verdict != \"failed\"", "true");
    assert_ne!(
        digest(&also, KINDS),
        digest(&also, changed("walked.back", verdict)),
        "a kind gained a field that `has` asks for"
    );
}
