//! The bundles that are compiled in: every file, listed. A test compares the list with the folder.

/// Names of the bundles.
pub(crate) const NAMES: &[&str] = &["code"];

/// Returns the files of a bundle by path.
pub(crate) fn files(name: &str) -> Option<&'static [(&'static str, &'static str)]> {
    match name {
        "code" => Some(CODE),
        _ => None,
    }
}

macro_rules! files {
    ($($path:literal,)*) => {
        &[$(($path, include_str!(concat!("../code/", $path))),)*]
    };
}

const CODE: &[(&str, &str)] = files![
    "bundle.toml",
    "prompts/acceptance.md",
    "prompts/adjudicator.md",
    "prompts/answer.md",
    "prompts/architect.md",
    "prompts/classifier.md",
    "prompts/context.md",
    "prompts/implementer-escalated.md",
    "prompts/implementer.md",
    "prompts/planner.md",
    "prompts/responder.md",
    "prompts/reviewer-logic.md",
    "prompts/reviewer-security.md",
    "prompts/reviewer-style.md",
    "prompts/reviewer-tests.md",
    "prompts/reviewing.md",
    "rules/budget.cases.toml",
    "rules/budget.rules",
    "rules/checks.cases.toml",
    "rules/checks.rules",
    "rules/findings.cases.toml",
    "rules/findings.rules",
    "rules/gates.cases.toml",
    "rules/gates.rules",
    "rules/reviews.cases.toml",
    "rules/reviews.rules",
    "schemas/acceptance.json",
    "schemas/adjudication.json",
    "schemas/classification.json",
    "schemas/review.json",
    "schemas/text.json",
];
