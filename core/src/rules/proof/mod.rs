//! What can be said of a rule set before anything runs: rules that never refuse or always do, clauses that never apply,
//! facts that nothing reads, rules that others make needless.
//!
//! Only what is proven is told (PROVE-1); silence proves nothing.

mod held;
mod interpret;
mod same;
mod value;
mod walk;

use super::error::Place;
use super::facts::Datum;
use super::form::{Term, Test};
use super::set::{Amount, Fold, Judge, RuleSet, Severity};
use crate::exempt;
use crate::schema::{KindSchema, Scalar};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use held::held;
use interpret::{Assumed, Held, Interpreter};
use value::{Possible, Truth};
use walk::Read;

/// Something proven of a rule set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Proof {
    /// Where the rule, clause or fact begins.
    pub place: Place,
    /// What is proven.
    pub proven: Proven,
    /// Name of the rule or fact.
    pub name: String,
    /// The kinds of event that it is proven for.
    pub kinds: Vec<&'static str>,
    /// For [`Proven::Subsumed`]: the other rule.
    pub other: Option<String>,
}

/// What can be proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Proven {
    /// The rule is false on no event of any of its kinds.
    Vacuous,
    /// The rule is true on no event of these of its kinds.
    Fires,
    /// The rule is false on no event of these of its kinds, and can be on others.
    VacuousOn,
    /// The rule is false on no event of any of its kinds that is judged: on these of its kinds only on events that never are
    /// (COMMIT-5).
    Unjudged,
    /// The same of these of its kinds, and the rule can be false on others.
    UnjudgedOn,
    /// The clause's condition is true on no event of any of its kinds.
    DeadClause,
    /// The clause's condition is true on no event of these of its kinds, and can be on others.
    DeadOn,
    /// The clause's condition is false on no event of any of its kinds.
    IdleCondition,
    /// No rule reads the fact, nor does a fact that a rule reads.
    Unread,
    /// Wherever the rule is false, the other one is not true either.
    Subsumed,
}

impl RuleSet {
    /// Returns what is proven of the set, by place. What is proven of a rule is proven apart from unknown and error:
    /// whenever it gives a truth.
    pub fn proofs(&self) -> Vec<Proof> {
        let held = held(self);
        let mut proofs = Vec::new();
        self.prove_rules(&held, &mut proofs);
        self.prove_clauses(&held, &mut proofs);
        self.prove_unread(&mut proofs);
        proofs.sort();
        proofs
    }

    fn prove_rules(&self, held: &[Held], proofs: &mut Vec<Proof>) {
        let nothing = Assumed::default();
        let mut settled = BTreeSet::new();
        for (index, rule) in self.rules.iter().enumerate() {
            let (mut fires, mut vacuous, mut unjudged, mut asked) = (Vec::new(), Vec::new(), Vec::new(), 0);
            for (kind, judge) in self.judges(index) {
                let truth = Interpreter { kind, held }.test(&judge.test, &nothing);
                asked += 1;
                if truth.yes && !truth.no {
                    vacuous.push(kind.name);
                } else if is_unjudged(Interpreter { kind, held }, &judge.test) {
                    unjudged.push(kind.name);
                } else if !truth.yes {
                    fires.push(kind.name);
                }
            }
            let mut tell = |proven, kinds: Vec<&'static str>| {
                settled.insert(index);
                proofs.push(Proof { place: rule.place, proven, name: rule.name.clone(), kinds, other: None });
            };
            let is_all = vacuous.len() + unjudged.len() == asked;
            if !vacuous.is_empty() {
                tell(if is_all && unjudged.is_empty() { Proven::Vacuous } else { Proven::VacuousOn }, vacuous);
            }
            if !unjudged.is_empty() {
                tell(if is_all { Proven::Unjudged } else { Proven::UnjudgedOn }, unjudged);
            }
            if !fires.is_empty() {
                tell(Proven::Fires, fires);
            }
        }
        for index in (0..self.rules.len()).filter(|index| !settled.contains(index)) {
            let by = (0..self.rules.len()).filter(|other| *other != index && !settled.contains(other)).find(|other| {
                self.subsumes(*other, index, held) && !(*other > index && self.subsumes(index, *other, held))
            });
            if let (Some(rule), Some(other)) = (self.rules.get(index), by.and_then(|other| self.rules.get(other))) {
                proofs.push(Proof {
                    place: rule.place,
                    proven: Proven::Subsumed,
                    name: rule.name.clone(),
                    kinds: rule.kinds.clone(),
                    other: Some(other.name.clone()),
                });
            }
        }
    }

    /// Whether the one rule is true only where the other is not false, on each kind of the other.
    fn subsumes(&self, one: usize, other: usize, held: &[Held]) -> bool {
        let weaker = |index: usize| self.rules.get(index).is_none_or(|rule| rule.severity == Severity::Warn);
        if weaker(one) && !weaker(other) {
            return false;
        }
        let mut judges = self.judges(other).peekable();
        judges.peek().is_some()
            && judges.all(|(kind, judge)| {
                let interpreter = Interpreter { kind, held };
                let same = self.judges(one).find(|(found, _)| found.code == kind.code);
                same.is_some_and(|(_, stronger)| {
                    interpreter
                        .assuming(&stronger.test, true, &Assumed::default())
                        .is_some_and(|assumed| !interpreter.test(&judge.test, &assumed).no)
                })
            })
    }

    fn prove_clauses(&self, held: &[Held], proofs: &mut Vec<Proof>) {
        let mut clauses: BTreeMap<(usize, usize), Vec<(&'static str, Truth)>> = BTreeMap::new();
        for (kind, fold) in self.folds() {
            let (truth, _) = held::condition(Interpreter { kind, held }, fold);
            clauses.entry((fold.register, fold.clause)).or_default().push((kind.name, truth));
        }
        for ((register, clause), found) in clauses {
            let fold =
                self.folds().map(|(_, fold)| fold).find(|fold| (fold.register, fold.clause) == (register, clause));
            let (Some(fact), Some(fold)) = (self.facts.get(register), fold) else { continue };
            let dead: Vec<&'static str> = found.iter().filter(|(_, truth)| !truth.yes).map(|(kind, _)| *kind).collect();
            let idle = fold.when.is_some() && found.iter().all(|(_, truth)| truth.yes && !truth.no);
            let proven = match dead.len() {
                0 if idle => Proven::IdleCondition,
                0 => continue,
                some if some == found.len() => Proven::DeadClause,
                _ => Proven::DeadOn,
            };
            let kinds = if dead.is_empty() { found.iter().map(|(kind, _)| *kind).collect() } else { dead };
            proofs.push(Proof { place: fold.place, proven, name: fact.name.clone(), kinds, other: None });
        }
    }

    fn prove_unread(&self, proofs: &mut Vec<Proof>) {
        let read = self.read();
        for (_, fact) in self.facts.iter().enumerate().filter(|(register, _)| !read.contains(register)) {
            proofs.push(Proof {
                place: fact.place,
                proven: Proven::Unread,
                name: fact.name.clone(),
                kinds: Vec::new(),
                other: None,
            });
        }
    }

    /// Returns the registers that rules read, and those that the clauses of these read.
    fn read(&self) -> BTreeSet<usize> {
        let mut read: BTreeSet<usize> = self
            .plans
            .values()
            .flat_map(|plan| &plan.judges)
            .flat_map(|judge| judge.registers.iter().copied())
            .collect();
        // A clause reads facts above its own, so from the last to the first nothing is missed.
        for register in (0..self.declared.len()).rev() {
            if !read.contains(&register) {
                continue;
            }
            for (_, fold) in self.folds().filter(|(_, fold)| fold.register == register) {
                reads(fold, &mut |found| {
                    if let Read::Register(found) = found {
                        read.insert(found);
                    }
                });
            }
        }
        read
    }

    /// Returns what judges by a rule, for each of its kinds.
    fn judges(&self, rule: usize) -> impl Iterator<Item = (&'static KindSchema, &Judge)> {
        let judges = self.plans.values().flat_map(|plan| plan.judges.iter().map(|judge| (plan.kind, judge)));
        judges.filter(move |(_, judge)| judge.rule == rule)
    }
}

/// Whether a test that can be false is so only on events of the kind that are never judged (COMMIT-5).
fn is_unjudged(interpreter: Interpreter<'_>, test: &Test) -> bool {
    let cases = exempt::judged(interpreter.kind);
    let truth = cases.iter().fold(Truth::NEVER, |truth, case| {
        let word = |word: &str| Possible::of(vec![Datum::Text(word.into())]);
        let terms: Vec<(Term, Possible)> =
            case.iter().map(|(field, known)| (Term::Field(field, Scalar::Text), word(known))).collect();
        truth.or(interpreter.test(test, &Assumed::of(&terms)))
    });
    !truth.no && (truth.yes || cases.is_empty())
}

fn reads(fold: &Fold, see: &mut dyn FnMut(Read)) {
    fold.when.iter().for_each(|when| walk::test(when, see));
    fold.key.iter().for_each(|key| walk::term(key, see));
    match &fold.amount {
        Amount::Event => {}
        Amount::One(term) => walk::term(term, see),
        Amount::Many(items) => walk::items(items, see),
    }
}
