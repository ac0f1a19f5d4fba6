//! What is wrong with a rule file, as `loom rules check` says it: what does not load, and what is proven of what does.
//!
//! An error is a rule or clause that cannot mean what it says (PROVE-2); the rest are warnings (PROVE-3).

use loom_core::rules::{Place, Proof, Proven, RuleError, RuleSet};
use std::fmt;

/// One thing that is wrong with a rule file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleFlaw {
    /// What it is called, for ever.
    pub id: &'static str,
    /// Whether the file must not be armed.
    pub is_error: bool,
    /// Where it is.
    pub place: Place,
    /// What is wrong: a lowercase fragment.
    pub what: String,
    /// How to mend it.
    pub repair: String,
}

impl fmt::Display for RuleFlaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.is_error { "error" } else { "warning" };
        write!(f, "{}: {word} {}: {} (hint: {})", self.place, self.id, self.what, self.repair)
    }
}

/// Loads a rule file and says what is wrong with it, by place. `conditions` are those of a bundle's stages, which read
/// facts too.
pub fn rule_flaws(text: &str, conditions: &[&str]) -> (Option<RuleSet>, Vec<RuleFlaw>) {
    let set = match RuleSet::load(text) {
        Ok(set) => set,
        Err(errors) => return (None, errors.iter().map(invalid).collect()),
    };
    let read_elsewhere = |fact: &str| conditions.iter().any(|condition| reads(condition, fact));
    let is_left_out = |proof: &Proof| proof.proven == Proven::Unread && read_elsewhere(&proof.name);
    let flaws = set.proofs().iter().filter(|proof| !is_left_out(proof)).map(flaw).collect();
    (Some(set), flaws)
}

fn invalid(error: &RuleError) -> RuleFlaw {
    RuleFlaw {
        id: "RULES_INVALID",
        is_error: true,
        place: error.place,
        what: error.message.clone(),
        repair: error.hint.clone().unwrap_or_else(|| "see specs/rules.md".to_string()),
    }
}

/// Says what was proven.
fn flaw(proof: &Proof) -> RuleFlaw {
    let (name, kinds) = (&proof.name, proof.kinds.join(", "));
    let (id, is_error, what, repair) = match proof.proven {
        Proven::Vacuous => (
            "RULE_VACUOUS",
            true,
            format!("rule `{name}` is proven to never refuse: no {kinds} makes it false"),
            "require something that an event can make false, or remove the rule".to_string(),
        ),
        Proven::Fires => (
            "RULE_FIRES",
            true,
            format!("rule `{name}` is proven to always refuse: no {kinds} makes it true"),
            format!("require something that an event can make true, or leave out {kinds}"),
        ),
        Proven::VacuousOn => (
            "RULE_VACUOUS_ON",
            false,
            format!("rule `{name}` is proven to never refuse {kinds}"),
            format!("leave out {kinds}"),
        ),
        Proven::Unjudged => (
            "RULE_UNJUDGED",
            true,
            format!("rule `{name}` is proven to never refuse: {}", never_judged(&kinds)),
            instead(),
        ),
        Proven::UnjudgedOn => (
            "RULE_UNJUDGED_ON",
            false,
            format!("rule `{name}` is proven to never refuse {kinds}: {}", never_judged(&kinds)),
            format!("leave out {kinds}; {}", instead()),
        ),
        Proven::DeadClause => (
            "CLAUSE_DEAD",
            true,
            format!("this clause of fact `{name}` is proven to never apply: no {kinds} makes its condition true"),
            "mend the condition, or remove the clause".to_string(),
        ),
        Proven::DeadOn => (
            "CLAUSE_DEAD_ON",
            false,
            format!("this clause of fact `{name}` is proven to never apply to {kinds}"),
            format!("leave out {kinds}"),
        ),
        Proven::IdleCondition => (
            "CONDITION_IDLE",
            false,
            format!("the condition of this clause of fact `{name}` is proven to be false on no {kinds}"),
            "remove the condition".to_string(),
        ),
        Proven::Unread => (
            "FACT_UNREAD",
            false,
            format!("no rule reads fact `{name}`, nor does a fact that a rule reads"),
            "remove the fact, or let a rule read it".to_string(),
        ),
        Proven::Subsumed => {
            let other = proof.other.as_deref().unwrap_or_default();
            (
                "RULE_SUBSUMED",
                false,
                format!("rule `{name}` adds nothing to rule `{other}`: wherever it is false, that one is not true"),
                format!("remove rule `{name}`, or let it require what `{other}` does not"),
            )
        }
    };
    RuleFlaw { id, is_error, place: proof.place, what, repair }
}

/// Says of which events a rule could be false alone.
fn never_judged(kinds: &str) -> String {
    format!("each {kinds} that makes it false is never judged, so that no rule can wedge a run (COMMIT-5)")
}

/// Says what to write in place of a rule about what is never judged.
fn instead() -> String {
    "name what leads there: an input or record, of which a violation is recorded, or a decision like stage.entered; or read \
     it as a fact"
        .to_string()
}

/// Whether a condition names a fact.
fn reads(condition: &str, fact: &str) -> bool {
    condition.split("facts.").skip(1).any(|rest| {
        rest.strip_prefix(fact)
            .is_some_and(|after| !after.starts_with(|next: char| next.is_ascii_alphanumeric() || next == '_'))
    })
}
