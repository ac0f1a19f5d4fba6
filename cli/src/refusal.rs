//! What refused and what would clear it, the same wherever it is told: as it happens, on record, for programs.
//!
//! It reads the rules that the run stands under. It never says that an event would clear a fact which only adds to it.

use loom_core::kind::Refused;
use loom_core::rules::{RuleInfo, RuleSet};
use loom_core::run::Run;
use serde::Serialize;
use std::collections::BTreeSet;

/// A rule that refused.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct RefusedRule {
    pub(crate) rule: String,
    pub(crate) message: String,
    /// What it requires; `None` where its rule set is missing.
    pub(crate) expression: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) facts: Vec<Clear>,
}

/// A fact that a rule reads, and what would clear it.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Clear {
    pub(crate) fact: String,
    /// As it stands in its rule set.
    pub(crate) definition: String,
    changed_by: Vec<&'static str>,
    cleared_by: Vec<String>,
}

impl Clear {
    /// Says which events clear the fact; where that cannot be told, which change it.
    pub(crate) fn told(&self) -> String {
        match self.cleared_by.as_slice() {
            [] => format!("{}: changes with {}", self.fact, self.changed_by.join(", ")),
            clauses => format!("{}: {}", self.fact, clauses.join("; ")),
        }
    }
}

/// Returns a rule by the name that a refusal gives it, with its set.
pub(crate) fn rule_of<'r>(run: Option<&'r Run>, name: &str) -> Option<(&'r RuleSet, &'r RuleInfo)> {
    let (set, rule) = name.split_once('/')?;
    let set = run?.terms.rules().sets().iter().find(|found| found.name() == set)?;
    Some((set, set.rules().find(|found| found.name == rule)?))
}

/// Returns the rules that refused, with what would clear each.
pub(crate) fn refused_rules(refused: &Refused, run: Option<&Run>) -> Vec<RefusedRule> {
    let rules = refused.rules.iter().zip(refused.messages.iter());
    rules
        .map(|(name, message)| {
            let known = rule_of(run, name);
            RefusedRule {
                rule: name.clone(),
                message: message.clone(),
                expression: known.map(|(_, rule)| rule.expression.clone()),
                origin: known.and_then(|(_, rule)| rule.origin.clone()),
                facts: known.map(|(set, rule)| clears(set, rule)).unwrap_or_default(),
            }
        })
        .collect()
}

/// Returns the places where an expression reads a fact: what stands before it, and what behind.
fn readings<'e>(expression: &'e str, fact: &str) -> Vec<(&'e str, &'e str)> {
    const FACTS: &str = "facts.";
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let places = expression.match_indices(FACTS).filter_map(|(at, _)| {
        let behind = expression[at + FACTS.len()..].strip_prefix(fact)?;
        (!behind.starts_with(is_part)).then_some((&expression[..at], behind))
    });
    places.collect()
}

/// Whether a rule that reads a fact so holds more easily the less the fact has. Only what is plain is taken for that.
fn wants_less(before: &str, behind: &str) -> bool {
    let behind = match before.ends_with("size(") {
        true => behind.trim_start_matches(')'),
        false => behind,
    };
    before.ends_with('!') || behind.starts_with(" == 0") || behind.starts_with(" <")
}

/// Returns the facts that a rule reads, as they are written, and what takes things out of those that are to be small.
/// To take something out of another would make it worse.
pub(crate) fn clears(set: &RuleSet, rule: &RuleInfo) -> Vec<Clear> {
    let reads = |fact: &str| !readings(&rule.expression, fact).is_empty();
    set.facts()
        .filter(|fact| reads(&fact.name))
        .map(|fact| {
            let lines = set.text().lines().skip(fact.place.line as usize - 1);
            let clause = |line: &&str| {
                let word = line.split_whitespace().next().unwrap_or_default();
                matches!(word, "add" | "remove" | "reset")
            };
            let mut definition: Vec<&str> = Vec::new();
            for (index, line) in lines.enumerate() {
                if index > 0 && !clause(&line) {
                    break;
                }
                definition.push(line);
            }
            let mut readings = readings(&rule.expression, &fact.name).into_iter();
            let is_small = readings.all(|(before, behind)| wants_less(before, behind));
            let cleared: BTreeSet<String> = definition
                .iter()
                .filter(|_| is_small)
                .map(|line| line.trim())
                .filter(|line| line.starts_with("remove ") || line.starts_with("reset "))
                .map(|line| line.split(':').next().unwrap_or(line).trim().to_string())
                .collect();
            Clear {
                fact: format!("{}/{}", set.name(), fact.name),
                definition: definition.join("\n"),
                changed_by: fact.kinds.clone(),
                cleared_by: cleared.into_iter().collect(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"loom rules 1
set small "Two rules."
fact blockers set of int
  add finding.raised: event.sequence
  remove finding.resolved: event.finding
fact approver last string
  add gate.decided: event.by
  reset walked.back
rule none-open on merge.intended
  require size(facts.blockers) == 0
  message "a blocker stands"
  origin "promise: for a test"
rule approved on merge.intended
  require has(facts.approver) && facts.approver == "person"
  message "nobody approved"
  origin "promise: for a test"
"#;

    #[test]
    fn what_would_make_it_worse_clears_nothing() {
        let set = RuleSet::load(RULES).expect("the rules load");
        let told = set.rules().flat_map(|rule| clears(&set, rule)).map(|clear| clear.told());
        let wanted =
            ["small/blockers: remove finding.resolved", "small/approver: changes with gate.decided, walked.back"];
        assert_eq!(told.collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn readings_are_told_from_longer_names() {
        let found = readings("facts.ab < 3 && !facts.a && size(facts.a) <= 2", "a");
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(|(before, behind)| wants_less(before, behind)));
        assert!(readings("facts.a >= 1", "a").iter().all(|(before, behind)| !wants_less(before, behind)));
    }
}
