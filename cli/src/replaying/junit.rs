//! Answers as JUnit XML: a suite for each source, a case for each run and rule.
//!
//! A violated rule is a failure; one that cannot be known, or that nothing reached, is skipped; what is damaged is an
//! error. The form is the one that Jenkins publishes a schema of; `cli/tests/it/foreign.rs` holds it against that.

use super::cases::{self, Cases};
use super::judging::{NEVER_JUDGED, chain, why};
use super::verifying::{depends, what};
use crate::text::run8;
use loom_replay::judge::{Finding, Judgement, LeftOut, Verdict, Why};
use loom_replay::{Inspected, Standing};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// One case of a suite.
struct Case {
    class: String,
    name: String,
    result: Went,
}

/// How a case went.
enum Went {
    Passed,
    Failed { word: &'static str, message: String, text: String },
    Error { message: String },
    Skipped { message: String },
}

struct Suite {
    name: String,
    cases: Vec<Case>,
}

/// Returns a judgement.
pub(super) fn of_judgement(judgement: &Judgement) -> String {
    let mut suites: BTreeMap<&Path, Suite> = BTreeMap::new();
    for source in &judgement.sources {
        suite(&mut suites, &source.path);
    }
    let mut findings: BTreeMap<(usize, usize), &Finding> = BTreeMap::new();
    for finding in judgement.findings.iter().filter(|finding| !finding.is_counterfactual) {
        let known = findings.entry((finding.run, finding.rule)).or_insert(finding);
        // A violation is told before what cannot be known.
        if !known.is_violation() && finding.is_violation() {
            *known = finding;
        }
    }
    for (index, run) in judgement.runs.iter().enumerate() {
        let Some(source) = judgement.sources.get(run.source) else { continue };
        let suite = suite(&mut suites, &source.path);
        for (place, (rule, tally)) in judgement.rules.iter().zip(&run.tallies).enumerate() {
            let at = tally.first.map(|sequence| format!("#{sequence}")).unwrap_or_default();
            let finding = findings.get(&(index, place));
            let result = match tally.verdict() {
                Verdict::Holds => Went::Passed,
                Verdict::NotReached if tally.never_judged > 0 => Went::Skipped { message: NEVER_JUDGED.to_string() },
                Verdict::NotReached => Went::Skipped { message: "not reached".to_string() },
                Verdict::Unknowable => Went::Skipped {
                    message: finding
                        .map_or_else(|| format!("unknowable at {at}"), |found| format!("{at} {}", found.outcome)),
                },
                Verdict::Violated => Went::Failed {
                    word: "violated",
                    message: format!("{at} {}", rule.message),
                    text: finding.map(|finding| told(finding)).unwrap_or_default(),
                },
            };
            let class = format!("{} {}", run8(&run.stream), run.slug);
            suite.cases.push(Case { class, name: rule.name.clone(), result });
        }
    }
    for left in &judgement.left_out {
        let case = left_out(left);
        suite(&mut suites, &left.path).cases.push(case);
    }
    write(suites.into_values())
}

fn told(finding: &Finding) -> String {
    let mut text = format!("{} {}: {}\n", finding.sequence, finding.kind, finding.outcome);
    for (name, value) in &finding.read {
        text.push_str(&format!("{name} = {value}\n"));
    }
    text.push_str(&chain(&finding.chain).unwrap_or_default());
    text
}

fn left_out(left: &LeftOut) -> Case {
    let (word, what) = why(&left.why);
    let class = left.stream.map_or_else(|| "source".to_string(), |stream| run8(&stream));
    let result = match left.why {
        Why::Damaged(_) | Why::Unread(_) | Why::Newer(_) => Went::Error { message: format!("{word}: {what}") },
    };
    Case { class, name: "is judged".to_string(), result }
}

/// Returns what verifying found.
pub(super) fn of_inspection(inspected: &[Inspected]) -> String {
    let mut suites: BTreeMap<&Path, Suite> = BTreeMap::new();
    for source in inspected {
        let name = if source.report.unwanted.is_some() { "has runs that are whole" } else { "is whole" };
        let text = depends(source).map(|depends| format!("depends on it: {depends}")).unwrap_or_default();
        let result = match (&source.standing, what(&source.standing)) {
            (Standing::Truncated(_) | Standing::Altered(_) | Standing::Forked(_), Some(message)) => {
                let message = format!("{}: {message}", source.standing.word());
                Went::Failed { word: "violated", message, text }
            }
            (_, Some(message)) => Went::Error { message },
            (_, None) => Went::Passed,
        };
        let case = Case { class: source.kind.word().to_string(), name: name.to_string(), result };
        suite(&mut suites, &source.path).cases.push(case);
    }
    write(suites.into_values())
}

/// Returns what another command found, case by case.
pub(super) fn of_cases(found: &Cases) -> String {
    let mut suites: BTreeMap<&Path, Suite> = BTreeMap::new();
    for case in &found.cases {
        let result = match &case.went {
            cases::Went::Passed | cases::Went::Met { .. } => Went::Passed,
            cases::Went::Failed { word, message, text } => {
                Went::Failed { word, message: message.clone(), text: text.clone() }
            }
            cases::Went::Unknowable { message } | cases::Went::Skipped { message } => {
                Went::Skipped { message: message.clone() }
            }
            cases::Went::LeftOut { message } => Went::Error { message: message.clone() },
        };
        let case_of = Case { class: case.class.clone(), name: case.name.clone(), result };
        suite(&mut suites, &case.path).cases.push(case_of);
    }
    write(suites.into_values())
}

fn suite<'s, 'p>(suites: &'s mut BTreeMap<&'p Path, Suite>, path: &'p Path) -> &'s mut Suite {
    suites.entry(path).or_insert_with(|| Suite { name: path.to_string_lossy().into_owned(), cases: Vec::new() })
}

fn write(suites: impl Iterator<Item = Suite>) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"loom-replay\">\n");
    for Suite { name, cases } in suites {
        let count = |is: fn(&Went) -> bool| cases.iter().filter(|case| is(&case.result)).count();
        let (failures, errors, skipped) = (
            count(|result| matches!(result, Went::Failed { .. })),
            count(|result| matches!(result, Went::Error { .. })),
            count(|result| matches!(result, Went::Skipped { .. })),
        );
        let _infallible = writeln!(
            xml,
            "  <testsuite name=\"{}\" tests=\"{}\" failures=\"{failures}\" errors=\"{errors}\" skipped=\"{skipped}\">",
            escaped(&name),
            cases.len()
        );
        for Case { class, name, result } in &cases {
            let (class, name) = (escaped(class), escaped(name));
            let _infallible = match result {
                Went::Passed => writeln!(xml, "    <testcase classname=\"{class}\" name=\"{name}\"/>"),
                Went::Failed { word, message, text } => writeln!(
                    xml,
                    "    <testcase classname=\"{class}\" name=\"{name}\">\n      <failure type=\"{word}\" \
                     message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(message),
                    escaped(text)
                ),
                Went::Error { message } => writeln!(
                    xml,
                    "    <testcase classname=\"{class}\" name=\"{name}\">\n      <error type=\"left-out\" \
                     message=\"{}\"/>\n    </testcase>",
                    escaped(message)
                ),
                Went::Skipped { message } => writeln!(
                    xml,
                    "    <testcase classname=\"{class}\" name=\"{name}\">\n      <skipped>{}</skipped>\n    </testcase>",
                    escaped(message)
                ),
            };
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Returns text that may stand in XML 1.0; what may not, and what steers a terminal, becomes visible.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in crate::text::clean_block(text).chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}
