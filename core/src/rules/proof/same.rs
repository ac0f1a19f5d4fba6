//! Whether two rule sets decide alike, as far as it can be proven: a mutant that does is no mutant.
//!
//! Alike means: whenever both give a truth they give the same. What is not proven alike may be alike all the same.

use super::super::facts::Datum;
use super::super::form::{Items, Order, Term, Test};
use super::super::set::{Amount, Fold, RuleSet};
use super::held::{condition, held};
use super::interpret::{Assumed, Interpreter};
use super::value::{Interval, Possible, Truth};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

impl RuleSet {
    /// Whether it is proven that both sets give the same truths on every event of every history. Facts that no rule
    /// reads are not looked at.
    pub fn is_alike(&self, other: &RuleSet) -> bool {
        let shape =
            |set: &RuleSet| -> Vec<_> { set.declared.iter().map(|fact| (fact.name.clone(), fact.ty)).collect() };
        let rules = |set: &RuleSet| -> Vec<_> { set.rules().map(|rule| (rule.name.clone(), rule.severity)).collect() };
        if shape(self) != shape(other) || rules(self) != rules(other) {
            return false;
        }
        let (here, there) = (held(self), held(other));
        let read: BTreeSet<usize> = self.read().union(&other.read()).copied().collect();
        // Below, one interpreter speaks for both, so what it knows has to hold for both.
        if read.iter().any(|register| here.get(*register) != there.get(*register)) {
            return false;
        }
        let codes: Vec<u64> = self.plans.keys().chain(other.plans.keys()).copied().collect();
        codes.iter().all(|code| {
            let plans = [self.plans.get(code), other.plans.get(code)];
            let Some(kind) = plans.iter().flatten().map(|plan| plan.kind).next() else { return true };
            let alike = Alike(Interpreter { kind, held: &here });
            let nothing = Assumed::default();
            let judges = |at: usize, rule: usize| {
                plans[at].and_then(|plan| plan.judges.iter().find(|judge| judge.rule == rule)).map(|judge| &judge.test)
            };
            let rules = (0..self.rules.len()).all(|rule| match (judges(0, rule), judges(1, rule)) {
                (None, None) => true,
                (Some(one), Some(other)) => alike.tests(one, other, &nothing),
                // A rule that is not asked is like one that is never false.
                (Some(one), None) | (None, Some(one)) => !alike.0.test(one, &nothing).no,
            });
            let folds = |at: usize, register: usize| -> Vec<&Fold> {
                let folds = plans[at].map_or(&[][..], |plan| &plan.folds[..]);
                let lives = |fold: &&Fold| fold.register == register && condition(alike.0, fold).0.yes;
                folds.iter().filter(lives).collect()
            };
            rules
                && read.iter().all(|register| {
                    let (mine, theirs) = (folds(0, *register), folds(1, *register));
                    mine.len() == theirs.len() && mine.iter().zip(theirs).all(|(one, other)| alike.folds(one, other))
                })
        })
    }
}

struct Alike<'p>(Interpreter<'p>);

/// Whether a value that is no integer satisfies a test.
type Accepts<'p> = Box<dyn Fn(&Datum) -> bool + 'p>;

/// The values of one term that satisfy a test.
#[derive(PartialEq)]
enum Satisfied {
    Ints(Vec<Interval>),
    Values(Vec<Datum>),
}

impl<'p> Alike<'p> {
    fn folds(&self, one: &'p Fold, other: &'p Fold) -> bool {
        let nothing = Assumed::default();
        let (a, b) = (one.when.as_ref(), other.when.as_ref());
        let when = match (a, b) {
            (Some(a), Some(b)) => self.tests(a, b, &nothing),
            (Some(one), None) | (None, Some(one)) => self.0.test(one, &nothing) == Truth::of(true),
            (None, None) => true,
        };
        let assumed = condition(self.0, one).1.unwrap_or_default();
        let term = |a: &'p Term, b: &'p Term| a == b || self.is_same(a, b, &assumed);
        when && one.action == other.action
            && match (&one.key, &other.key) {
                (None, None) => true,
                (Some(a), Some(b)) => term(a, b),
                (Some(_), None) | (None, Some(_)) => false,
            }
            && match (&one.amount, &other.amount) {
                (Amount::One(a), Amount::One(b)) => term(a, b),
                (a, b) => a == b,
            }
    }

    fn is_same(&self, one: &'p Term, other: &'p Term, assumed: &Assumed<'p>) -> bool {
        let value = self.0.term(one, assumed).only();
        value.is_some() && value == self.0.term(other, assumed).only()
    }

    fn tests(&self, one: &'p Test, other: &'p Test, assumed: &Assumed<'p>) -> bool {
        if one == other {
            return true;
        }
        let (a, b) = (self.0.test(one, assumed), self.0.test(other, assumed));
        if a == b && a != Truth::EITHER {
            return true;
        }
        match (one, other) {
            (Test::Not(a), Test::Not(b)) => return self.tests(a, b, assumed),
            (Test::If(a), Test::If(b)) => {
                let branch = |taken, one, other| {
                    self.0.assuming(&a[0], taken, assumed).is_none_or(|assumed| self.tests(one, other, &assumed))
                };
                return self.tests(&a[0], &b[0], assumed) && branch(true, &a[1], &b[1]) && branch(false, &a[2], &b[2]);
            }
            (Test::Every(q, a), Test::Every(r, b)) if q == r && a.0 == b.0 => {
                let item = self.0.items(&a.0, assumed).1;
                return self.tests(&a.1, &b.1, &assumed.within(item));
            }
            _ => {}
        }
        for absorbing in [false, true] {
            let (a, b) = (operands(one, absorbing), operands(other, absorbing));
            if (a.len() > 1 || b.len() > 1) && self.lists(&a, &b, absorbing, assumed) {
                return true;
            }
        }
        match (self.satisfied(one, assumed), self.satisfied(other, assumed)) {
            (Some(a), Some(b)) if a == b => return true,
            _ => {}
        }
        match (self.related(one, assumed), self.related(other, assumed)) {
            (Some(a), Some(b)) => a == b,
            _ => false,
        }
    }

    /// Whether the operands are alike one by one, each where those before it do not absorb; or one list has an operand
    /// more, which the others of it imply.
    fn lists(&self, a: &[&'p Test], b: &[&'p Test], absorbing: bool, assumed: &Assumed<'p>) -> bool {
        if a.len() == b.len() {
            let mut now = assumed.clone();
            return a.iter().zip(b).all(|(a, b)| {
                let alike = self.tests(a, b, &now);
                // What cannot be assumed together needs no further look: the whole is settled before.
                match self.0.assuming(a, !absorbing, &now) {
                    Some(more) => now = more,
                    None => return alike,
                }
                alike
            });
        }
        let (longer, shorter) = if a.len() > b.len() { (a, b) } else { (b, a) };
        if longer.len() != shorter.len() + 1 {
            return false;
        }
        (0..longer.len()).any(|left_out| {
            let rest = || longer.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, test)| *test);
            if !rest().eq(shorter.iter().copied()) {
                return false;
            }
            let mut now = Some(assumed.clone());
            for test in rest() {
                now = now.and_then(|now| self.0.assuming(test, !absorbing, &now));
            }
            now.is_none_or(|now| !self.0.test(longer[left_out], &now).can(absorbing))
        })
    }

    /// Returns the term that a test compares with something known, and the values that satisfy it.
    fn satisfied(&self, test: &'p Test, assumed: &Assumed<'p>) -> Option<(&'p Term, Satisfied)> {
        let (term, ints, value): (&'p Term, Vec<Interval>, Accepts<'p>) = match test {
            Test::Equal(equal, operands) => {
                let (term, value) = constant(operands)?;
                let equal = *equal;
                let ints = match value {
                    Datum::Int(value) if equal => vec![(*value, *value)],
                    Datum::Int(value) => around(*value),
                    Datum::Bool(_) | Datum::Text(_) | Datum::Bytes(_) => Vec::new(),
                };
                (term, ints, Box::new(move |found| (found == value) == equal))
            }
            Test::Order(order, operands) => {
                let (term, order, bound) = match &**operands {
                    [term, Term::Const(Datum::Int(bound))] => (term, *order, *bound),
                    [Term::Const(Datum::Int(bound)), term] => (term, mirrored(*order), *bound),
                    _ => return None,
                };
                let ints = match order {
                    Order::Less => (i64::MIN, bound.checked_sub(1)?),
                    Order::LessEqual => (i64::MIN, bound),
                    Order::Greater => (bound.checked_add(1)?, i64::MAX),
                    Order::GreaterEqual => (bound, i64::MAX),
                };
                (term, vec![ints], Box::new(|_| false))
            }
            Test::In(parts) => match &**parts {
                (term, Items::Const(values)) => (term, Vec::new(), Box::new(move |found| values.contains(found))),
                _ => return None,
            },
            _ => return None,
        };
        let possible = self.0.term(term, assumed);
        let satisfied = match (&possible, possible.values()) {
            (Possible::Int((least, most)), _) if !ints.is_empty() => {
                let clipped = ints.iter().map(|(low, high)| ((*low).max(*least), (*high).min(*most)));
                Satisfied::Ints(clipped.filter(|(low, high)| low <= high).collect())
            }
            (_, Some(values)) => Satisfied::Values(values.into_iter().filter(|found| value(found)).collect()),
            _ => return None,
        };
        Some((term, satisfied))
    }

    /// Returns the terms that a test compares, and which of less, equal and greater can occur and satisfy it.
    fn related(&self, test: &'p Test, assumed: &Assumed<'p>) -> Option<(&'p [Term; 2], [bool; 3])> {
        let (operands, wanted) = match test {
            Test::Equal(equal, operands) => (&**operands, [!equal, *equal, !equal]),
            Test::Order(order, operands) => {
                let below = matches!(order, Order::Less | Order::LessEqual);
                let same = matches!(order, Order::LessEqual | Order::GreaterEqual);
                (&**operands, [below, same, !below])
            }
            _ => return None,
        };
        let (left, right) = (self.0.term(&operands[0], assumed), self.0.term(&operands[1], assumed));
        let can =
            [left.ordered(Order::Less, &right).yes, left.equals(&right).yes, left.ordered(Order::Greater, &right).yes];
        Some((operands, [0, 1, 2].map(|at| wanted[at] && can[at])))
    }
}

/// Returns the operands of `&&` (`absorbing` false) or `||`; of anything else, itself.
fn operands(test: &Test, absorbing: bool) -> Vec<&Test> {
    match test {
        Test::And(operands) if !absorbing => operands.iter().collect(),
        Test::Or(operands) if absorbing => operands.iter().collect(),
        other => vec![other],
    }
}

fn constant(operands: &[Term; 2]) -> Option<(&Term, &Datum)> {
    match operands {
        [term, Term::Const(value)] | [Term::Const(value), term] => Some((term, value)),
        _ => None,
    }
}

/// Returns every integer but one.
fn around(value: i64) -> Vec<Interval> {
    let below = value.checked_sub(1).map(|below| (i64::MIN, below));
    let above = value.checked_add(1).map(|above| (above, i64::MAX));
    below.into_iter().chain(above).collect()
}

/// Returns the order of the operands changed over.
fn mirrored(order: Order) -> Order {
    match order {
        Order::Less => Order::Greater,
        Order::LessEqual => Order::GreaterEqual,
        Order::Greater => Order::Less,
        Order::GreaterEqual => Order::LessEqual,
    }
}
