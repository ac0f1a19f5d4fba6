//! What the rules of a receipt give over its run, judged again by every reader (RECEIPT-9).

use super::error::{EvidenceError, broken};
use loom_core::commit::Blob;
use loom_core::event::{Envelope, View};
use loom_core::exempt::is_exempt;
use loom_core::id::Digest;
use loom_core::rules::{Outcome, RuleSet, Rules};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a rule gives over a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// It gave true wherever it was asked.
    Holds,
    /// It gave false, or an error, first at the event of this sequence.
    Violated(u64),
    /// It gave unknown first at the event of this sequence, and false nowhere.
    Unknowable(u64),
}

impl Finding {
    /// Returns the word of it.
    pub fn word(self) -> &'static str {
        match self {
            Finding::Holds => "holds",
            Finding::Violated(_) => "violated",
            Finding::Unknowable(_) => "unknowable",
        }
    }

    /// Returns the sequence of the event that decided it.
    pub fn sequence(self) -> Option<u64> {
        match self {
            Finding::Holds => None,
            Finding::Violated(sequence) | Finding::Unknowable(sequence) => Some(sequence),
        }
    }
}

/// A rule and what it gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// `set/rule`
    pub rule: String,
    /// Digest of the set's text as a blob.
    pub rules: Digest,
    /// What it gives.
    pub finding: Finding,
}

/// Judges a run's events, in order from its first.
pub(super) fn judge(texts: &[String], events: &[(Envelope, &[u8])]) -> Result<Vec<Judged>, EvidenceError> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let refused = |what: String| broken("RECEIPT-9", format!("the rules cannot be used: {what}"));
    let load = |text: &String| match RuleSet::load(text) {
        Ok(set) => Ok(Arc::new(set)),
        Err(errors) => Err(refused(errors.first().map(ToString::to_string).unwrap_or_default())),
    };
    let sets = texts.iter().map(load).collect::<Result<Vec<_>, _>>()?;
    let rules = Rules::new(sets).map_err(|error| refused(error.to_string()))?;
    let mut facts = rules.facts();
    let mut found: BTreeMap<String, Finding> = BTreeMap::new();
    for (_, bytes) in events {
        let view = View::read(bytes).map_err(|error| broken("RECEIPT-3", error.to_string()))?;
        if rules.asks(view.schema.code) && !is_exempt(&view) {
            for judgement in rules.judge(&facts, &view) {
                let finding = match judgement.result {
                    Outcome::True => continue,
                    Outcome::False | Outcome::Error(_) => Finding::Violated(view.sequence),
                    Outcome::Unknown(_) => Finding::Unknowable(view.sequence),
                };
                let known = found.entry(judgement.rule).or_insert(finding);
                if let (Finding::Unknowable(_), Finding::Violated(_)) = (&known, finding) {
                    *known = finding;
                }
            }
        }
        rules.fold(&mut facts, &view);
    }
    let mut judged = Vec::new();
    for (set, text) in rules.sets().iter().zip(texts) {
        let digest = Blob::plain(text.as_bytes()).digest;
        for info in set.rules() {
            let rule = format!("{}/{}", set.name(), info.name);
            let finding = found.get(&rule).copied().unwrap_or(Finding::Holds);
            judged.push(Judged { rule, rules: digest, finding });
        }
    }
    Ok(judged)
}
