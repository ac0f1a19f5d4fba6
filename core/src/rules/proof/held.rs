//! What the registers of a set can hold after any history: unset, and whatever its clauses can make of them.
//!
//! A clause reads facts above its own only (RULE-4), so one pass in the order of declaration is all there is to find.

use super::super::facts::ENTRIES_MAX;
use super::super::set::{Amount, Fold, RuleSet};
use super::super::syntax::Action;
use super::super::types::FactType;
use super::interpret::{Assumed, Held, Interpreter, nothing};
use super::value::{Interval, Possible, Truth};
use crate::schema::{KindSchema, Scalar};
use alloc::vec::Vec;

/// Returns what each register can hold.
pub(crate) fn held(set: &RuleSet) -> Vec<Held> {
    let mut held: Vec<Held> = Vec::new();
    for fact in &set.declared {
        let mut found = Folded::of(fact.ty);
        for (kind, fold) in set.folds().filter(|(_, fold)| fold.register == fact.register) {
            found.fold(Interpreter { kind, held: &held }, fold);
        }
        held.push(found.held(fact.ty));
    }
    held
}

/// Returns which truths the condition of a clause can give, and what holds where it is true.
pub(crate) fn condition<'p>(interpreter: Interpreter<'p>, fold: &'p Fold) -> (Truth, Option<Assumed<'p>>) {
    let nothing = Assumed::default();
    match &fold.when {
        None => (Truth::of(true), Some(nothing)),
        Some(when) => (interpreter.test(when, &nothing), interpreter.assuming(when, true, &nothing)),
    }
}

/// What clauses were found to do.
struct Folded {
    value: Possible,
    item: Possible,
    length: Interval,
    /// The least and greatest by which it changes at a time.
    change: Interval,
    adds: bool,
}

impl Folded {
    fn of(ty: FactType) -> Folded {
        let (value, item) = match ty {
            FactType::Counter | FactType::Sum => (Scalar::Int, Scalar::Int),
            FactType::Flag => (Scalar::Bool, Scalar::Int),
            FactType::Set(item) | FactType::LastList(item) => (Scalar::Int, item),
            FactType::Last(value) => (value, Scalar::Int),
            FactType::CounterBy(key) | FactType::SumBy(key) => (Scalar::Int, key),
            FactType::LastBy(value, key) => (value, key),
        };
        Folded { value: nothing(value), item: nothing(item), length: (0, 0), change: (0, 0), adds: false }
    }

    fn fold<'p>(&mut self, interpreter: Interpreter<'p>, fold: &'p Fold) {
        let (_, Some(assumed)) = condition(interpreter, fold) else { return };
        let sign = match fold.action {
            Action::Reset => return,
            Action::Add => 1,
            Action::Remove => -1,
        };
        let (one, length) = match &fold.amount {
            Amount::Event => (Possible::Int((1, 1)), (1, 1)),
            Amount::One(term) => (interpreter.term(term, &assumed), (1, 1)),
            Amount::Many(items) => {
                let (length, item) = interpreter.items(items, &assumed);
                (item, length)
            }
        };
        if let Possible::Int((low, high)) = one
            && low <= high
        {
            let (low, high) = if sign > 0 { (low, high) } else { (high.saturating_neg(), low.saturating_neg()) };
            self.change = (self.change.0.min(low), self.change.1.max(high));
        }
        let key = fold.key.as_ref().map(|key| interpreter.term(key, &assumed));
        if fold.action == Action::Remove && matches!(fold.ty, FactType::Set(_) | FactType::Flag | FactType::LastBy(..))
        {
            return;
        }
        self.adds = true;
        self.length.1 = self.length.1.max(length.1);
        let into = |to: &mut Possible, more: Possible| {
            let now = core::mem::replace(to, Possible::Int((1, 0)));
            *to = now.or(more);
        };
        match (fold.ty, key) {
            (FactType::Set(_) | FactType::LastList(_), _) => into(&mut self.item, one),
            (FactType::LastBy(..), Some(key)) => {
                into(&mut self.item, key);
                into(&mut self.value, one);
            }
            (_, Some(key)) => into(&mut self.item, key),
            (FactType::Last(_), None) => into(&mut self.value, one),
            (_, None) => {}
        }
    }

    fn held(self, ty: FactType) -> Held {
        let entries = if self.adds { ENTRIES_MAX as i64 } else { 0 };
        // What can grow at all can grow to the end of the range; there it is unknown (RULE-12).
        let grown =
            Possible::Int((if self.change.0 < 0 { i64::MIN } else { 0 }, if self.change.1 > 0 { i64::MAX } else { 0 }));
        let has = Truth { yes: self.adds, no: true };
        let distinct = match &self.item {
            Possible::Bytes(Some(values), _) => values.len() as i64,
            Possible::Int(_) | Possible::Bool(_) | Possible::Bytes(None, _) => i64::MAX,
        };
        let (value, length) = match ty {
            FactType::Counter | FactType::Sum => (grown, (0, 0)),
            FactType::Flag => (Possible::Bool(Truth { yes: self.adds, no: true }), (0, 0)),
            FactType::Last(_) => (self.value, (0, 0)),
            FactType::LastList(_) => (self.value, self.length),
            FactType::Set(_) => (self.value, (0, entries.min(distinct))),
            FactType::CounterBy(_) | FactType::SumBy(_) => (grown, (0, entries.min(distinct))),
            FactType::LastBy(..) => (self.value, (0, entries.min(distinct))),
        };
        Held { value, has, length, item: self.item }
    }
}

impl RuleSet {
    /// Returns the clauses of all facts with the kind that each is for.
    pub(crate) fn folds(&self) -> impl Iterator<Item = (&'static KindSchema, &Fold)> {
        self.plans.values().flat_map(|plan| plan.folds.iter().map(|fold| (plan.kind, fold)))
    }
}
