//! `specs/vectors/cel.jsonl`: the cases of CEL's public conformance tests that stay within our subset. What loads gives
//! what they say; what they take and we refuse at load is refused for a reason that `specs/rules.md` gives.

use super::*;
use serde_json::Value;

/// How often each sort of case stands in the file, as `specs/rules.md` says.
const EQUAL: usize = 404;
const ERRORS_AT_LOAD: usize = 16;
/// Part of what is said at load where CEL gives a value, and how often.
const DIFFERENCES: &[(&str, usize)] = &[
    ("an empty list decides nothing", 3),
    ("already has a meaning here", 1),
    ("values of one type", 6),
    ("compares a list of string with a list of int", 1),
    ("is not a variable here", 1),
    ("needs a bool", 2),
    ("there is no function", 1),
];

/// Evaluates an expression over a fact `x`, if there is one, and an event that it does not read.
fn evaluated(fact: &str, expression: &str) -> Result<Outcome, String> {
    let text =
        format!("loom rules 1\nset s \"\"\n{fact}rule r on finding.raised require\n {expression}\n message \"m\"\n");
    let set = RuleSet::load(&text).map_err(|errors| errors[0].to_string())?;
    let mut play = Play::new(Rules::new(vec![Arc::new(set)]).expect("one set"));
    play.feed(settled(1));
    let bytes = event(2, finding(Severity::Warn, None));
    let judged = play.rules.judge(&play.facts, &view(&bytes));
    Ok(judged.first().map_or(Outcome::True, |judgement| judgement.result.clone()))
}

/// Puts `facts.x` where the variable stands.
fn with_fact(expression: &str) -> String {
    let is_x = |word: &&str| *word == "x";
    let words: Vec<&str> = expression.split(' ').collect();
    assert_eq!(words.iter().filter(|word| is_x(word)).count(), 1, "{expression}");
    let words = words.iter().map(|word| if is_x(word) { "facts.x" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Returns what is wrong with one case.
fn differs(case: &Value) -> Option<String> {
    let text = |key: &str| case[key].as_str();
    let (expression, expected) = (text("expression")?, text("value")?);
    if let Some(refused) = text("refused") {
        return match evaluated("", expression) {
            Err(error) if error.contains(refused) => None,
            found => Some(format!("should be refused with `{refused}`, found {found:?}")),
        };
    }
    let (fact, expression) = match text("x").zip(text("type")) {
        Some((value, ty)) => (format!("fact x last {ty}\n add budget.settled: {value}\n"), with_fact(expression)),
        None => (String::new(), expression.to_string()),
    };
    // An absent fact would be an error, not a value by chance.
    let run = |expression: String| {
        let guarded = format!("has(facts.x) ? ({expression}) : 1 / 0 == 1");
        evaluated(&fact, if fact.is_empty() { &expression } else { &guarded })
    };
    let wrong = |found: Result<Outcome, String>| Some(format!("should be {expected}, found {found:?}"));
    match expected {
        "true" | "false" => {
            let wanted = if expected == "true" { Outcome::True } else { Outcome::False };
            let found = run(expression);
            if found == Ok(wanted) { None } else { wrong(found) }
        }
        // A rule requires a truth: an error of another type shows in a comparison with itself.
        "error" => match run(expression.clone()).or_else(|_| run(format!("({expression}) == ({expression})"))) {
            Ok(Outcome::Error(_)) => None,
            found => wrong(found),
        },
        value => match (run(format!("({expression}) == {value}")), run(format!("({expression}) != {value}"))) {
            (Ok(Outcome::True), Ok(Outcome::False)) => None,
            (found, _) => wrong(found),
        },
    }
}

#[test]
fn every_case_of_the_subset_is_as_cel_says() {
    let cases: Vec<Value> = include_str!("../../../../specs/vectors/cel.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is a case"))
        .collect();
    let wrong: Vec<String> =
        cases.iter().filter_map(|case| differs(case).map(|why| format!("{}\n    {why}", case["expression"]))).collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));

    let refused = |case: &&Value| !case["refused"].is_null();
    assert_eq!(cases.iter().filter(|case| !refused(case)).count(), EQUAL);
    assert_eq!(cases.iter().filter(|case| refused(case) && case["value"] == "error").count(), ERRORS_AT_LOAD);
    let differing: Vec<&Value> = cases.iter().filter(|case| refused(case) && case["value"] != "error").collect();
    for (said, count) in DIFFERENCES {
        assert_eq!(differing.iter().filter(|case| case["refused"] == *said).count(), *count, "{said}");
    }
    assert_eq!(differing.len(), DIFFERENCES.iter().map(|(_, count)| count).sum::<usize>());
}
