//! What refused and what would clear it, the same wherever it is told: as it happens, on record, for programs.
//!
//! It reads the rules that the run stands under. It never says that an event would clear a fact which only adds to it.

use loom_core::kind::Refused;
use loom_core::rules::{RuleInfo, RuleSet};
use loom_core::run::Run;
use serde::Serialize;
use std::collections::BTreeSet;

/// A rule that refused.
#[derive(Serialize)]
pub(crate) struct RefusedRule {
    pub(crate) rule: String,
    pub(crate) message: String,
    /// What it requires; `None` where its rule set is missing.
    pub(crate) expression: Option<String>,
    pub(crate) origin: Option<String>,
    pub(crate) facts: Vec<Clear>,
}

/// A fact that a rule reads, and what would clear it.
#[derive(Serialize)]
pub(crate) struct Clear {
    pub(crate) fact: String,
    definition: String,
    changed_by: Vec<&'static str>,
    cleared_by: Vec<String>,
}

impl Clear {
    /// Says which events take something out of the fact; where none does, which change it.
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

/// Returns the facts that a rule reads, as they are written, and what takes things out of them.
fn clears(set: &RuleSet, rule: &RuleInfo) -> Vec<Clear> {
    let reads = |fact: &str| {
        let mut parts = rule.expression.split("facts.").skip(1);
        parts.any(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next() == Some(fact))
    };
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
            let cleared: BTreeSet<String> = definition
                .iter()
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
