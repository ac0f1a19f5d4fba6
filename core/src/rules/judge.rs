//! All rule sets of a run together: folds facts and judges events.
//!
//! Sets keep the order they were named in; each reads its own facts. Immutable, so a run's driver and any number
//! of readers share one. Events of kinds that no set names cost one look into a table.

use super::check::{Checker, Declared};
use super::error::RuleError;
use super::eval::{Context, Stop, Value};
use super::facts::{Datum, Facts, Register, Slot, Update, printed};
use super::form::{Items, Term, Test};
use super::parser;
use super::set::{Amount, Fold, Judge, Plan, RuleSet, Severity, placeless};
use super::syntax::Action;
use super::types::FactType;
use crate::event::View;
use crate::schema::{Field, Type};
use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

/// What an expression gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    True,
    /// It does not.
    False,
    /// It cannot be known; names what is missing.
    Unknown(String),
    /// It cannot be computed; says why.
    Error(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::True => f.write_str("true"),
            Outcome::False => f.write_str("false"),
            Outcome::Unknown(missing) => write!(f, "unknown: {missing}"),
            Outcome::Error(why) => write!(f, "error: {why}"),
        }
    }
}

/// What a rule gave for an event, and what it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// `set/rule`
    pub rule: String,
    /// The rule's message.
    pub message: String,
    /// Whether it refuses or only reports.
    pub severity: Severity,
    /// What it gave; true only among [`Rules::answers`].
    pub result: Outcome,
    /// The facts it read (`set/fact`) and their values as they were before the event.
    pub facts: Vec<(String, String)>,
    /// The fields it read (`event.name`) and their values.
    pub fields: Vec<(String, String)>,
}

/// A condition over facts, type-checked.
#[derive(Debug)]
pub struct Condition {
    test: Test,
}

/// The rule sets that judge a run.
#[derive(Debug, Clone)]
pub struct Rules {
    sets: Vec<Arc<RuleSet>>,
    /// Where each set's registers begin.
    offsets: Vec<usize>,
    slots: Arc<[Slot]>,
    /// By kind code: the sets that name the kind.
    table: Vec<Vec<usize>>,
}

impl Rules {
    /// Combines sets in order. No set at all is refused, and so are two of one name.
    pub fn new(sets: Vec<Arc<RuleSet>>) -> Result<Rules, RuleError> {
        if sets.is_empty() {
            return Err(placeless("no rule set is loaded (RULE-2)").hint("a run is judged by at least one rule set"));
        }
        let (mut offsets, mut slots, mut table) = (Vec::new(), Vec::new(), Vec::<Vec<usize>>::new());
        for (index, set) in sets.iter().enumerate() {
            if sets[..index].iter().any(|other| other.name() == set.name()) {
                return Err(placeless(format!("there are two rule sets `{}` (RULE-2)", set.name())));
            }
            offsets.push(slots.len());
            slots.extend(
                set.declared.iter().map(|fact| Slot { name: format!("{}/{}", set.name(), fact.name), ty: fact.ty }),
            );
            for code in set.plans.keys() {
                let code = usize::try_from(*code).unwrap_or(usize::MAX);
                if table.len() <= code {
                    table.resize(code.saturating_add(1), Vec::new());
                }
                table[code].push(index);
            }
        }
        Ok(Rules { sets, offsets, slots: slots.into(), table })
    }

    /// Returns these rules and one more set, which judges and folds what comes after.
    pub fn extended(&self, set: Arc<RuleSet>) -> Result<Rules, RuleError> {
        let mut sets = self.sets.clone();
        sets.push(set);
        Rules::new(sets)
    }

    /// Returns the sets in order.
    pub fn sets(&self) -> &[Arc<RuleSet>] {
        &self.sets
    }

    /// Returns all facts, unset.
    pub fn facts(&self) -> Facts {
        Facts::unset(self.slots.clone())
    }

    /// Whether any rule judges the kind with this number.
    pub fn asks(&self, kind_code: u64) -> bool {
        self.plans(kind_code).any(|(_, plan)| !plan.judges.is_empty())
    }

    /// Whether any fact or rule names the kind with this number.
    pub fn names(&self, kind_code: u64) -> bool {
        usize::try_from(kind_code).ok().and_then(|code| self.table.get(code)).is_some_and(|sets| !sets.is_empty())
    }

    fn plans(&self, kind_code: u64) -> impl Iterator<Item = (usize, &Plan)> {
        let sets = usize::try_from(kind_code).ok().and_then(|code| self.table.get(code)).map_or(&[][..], Vec::as_slice);
        sets.iter().filter_map(move |index| Some((*index, self.sets[*index].plans.get(&kind_code)?)))
    }

    /// Returns the registers of a set.
    fn registers<'f>(&self, set: usize, facts: &'f Facts) -> &'f [Register] {
        let start = self.offsets[set];
        let registers = facts.registers.get(start..start + self.sets[set].declared.len());
        debug_assert!(registers.is_some(), "facts belong to these rules");
        registers.unwrap_or(&[])
    }

    /// Lets the event change the facts.
    pub fn fold(&self, facts: &mut Facts, event: &View<'_>) {
        for (set, plan) in self.plans(event.schema.code) {
            for fold in &plan.folds {
                let registers = self.registers(set, facts);
                let Some(register) = registers.get(fold.register) else {
                    continue;
                };
                let context = Context::new(Some(event), registers);
                let update = match update(fold, register, &context) {
                    Ok(update) => update,
                    Err(stop) => Some(Update::Unknown(self.why(set, stop, event, facts).into())),
                };
                if let Some(update) = update {
                    let at = self.offsets[set] + fold.register;
                    Arc::make_mut(&mut facts.registers)[at].apply(fold.ty, update);
                }
            }
        }
    }

    /// Returns why a clause could not be evaluated.
    fn why(&self, set: usize, stop: Stop, event: &View<'_>, facts: &Facts) -> String {
        let (Ok(what) | Err(what)) = stop.words(|register| self.missing(set, register, facts));
        format!("at event {}: {what}", event.sequence)
    }

    fn missing(&self, set: usize, register: usize, facts: &Facts) -> String {
        let at = self.offsets.get(set).map_or(register, |offset| offset + register);
        match (self.slots.get(at), facts.registers.get(at)) {
            (Some(slot), Some(Register::Unknown(why))) => format!("{} ({why})", slot.name),
            (Some(slot), _) => slot.name.clone(),
            (None, _) => "a fact of other rules".to_owned(),
        }
    }

    /// Returns the rules that name the event's kind and did not give true, in order of sets and files.
    ///
    /// `facts` are those before the event. Nothing is allocated when every rule is satisfied.
    pub fn judge(&self, facts: &Facts, event: &View<'_>) -> Vec<Judgement> {
        let mut judgements = Vec::new();
        for (set, plan) in self.plans(event.schema.code) {
            let context = Context::new(Some(event), self.registers(set, facts));
            for judge in &plan.judges {
                match context.test(&judge.test, None) {
                    Ok(true) => {}
                    Ok(false) => judgements.extend(self.judgement(set, judge, Outcome::False, facts, &context)),
                    Err(stop) => {
                        let result = self.outcome(set, stop, facts);
                        judgements.extend(self.judgement(set, judge, result, facts, &context));
                    }
                }
            }
        }
        judgements
    }

    /// Returns what every rule that names the event's kind gives, in order of sets and files, satisfied or not.
    ///
    /// `facts` are those before the event. [`Rules::judge`] gives the same without the satisfied ones.
    pub fn answers(&self, facts: &Facts, event: &View<'_>) -> Vec<Judgement> {
        let mut answers = Vec::new();
        for (set, plan) in self.plans(event.schema.code) {
            let context = Context::new(Some(event), self.registers(set, facts));
            for judge in &plan.judges {
                let result = match context.test(&judge.test, None) {
                    Ok(true) => Outcome::True,
                    Ok(false) => Outcome::False,
                    Err(stop) => self.outcome(set, stop, facts),
                };
                answers.extend(self.judgement(set, judge, result, facts, &context));
            }
        }
        answers
    }

    fn outcome(&self, set: usize, stop: Stop, facts: &Facts) -> Outcome {
        match stop.words(|register| self.missing(set, register, facts)) {
            Ok(missing) => Outcome::Unknown(missing),
            Err(why) => Outcome::Error(why),
        }
    }

    fn judgement(
        &self,
        set: usize,
        judge: &Judge,
        result: Outcome,
        facts: &Facts,
        context: &Context<'_>,
    ) -> Option<Judgement> {
        let rule = self.sets[set].rule(judge.rule)?;
        let start = self.offsets[set];
        let read = |register: &usize| {
            let (slot, value) = (self.slots.get(start + register)?, facts.registers.get(start + register)?);
            Some((slot.name.clone(), value.to_string()))
        };
        let fields =
            judge.fields.iter().map(|field| (format!("event.{}", field.name), Shown(context, field).to_string()));
        let envelope = judge.envelope.iter().map(|name| (format!("event.{name}"), context.told(name)));
        Some(Judgement {
            rule: format!("{}/{}", self.sets[set].name(), rule.name),
            message: rule.message.clone(),
            severity: rule.severity,
            result,
            facts: judge.registers.iter().filter_map(read).collect(),
            fields: fields.chain(envelope).collect(),
        })
    }

    /// Checks a condition over facts alone; a name belongs to the first set that declares it.
    pub fn condition(&self, text: &str) -> Result<Condition, RuleError> {
        let expr = parser::expression(text)?;
        let mut visible: Vec<Declared> = Vec::new();
        for (set, offset) in self.sets.iter().zip(&self.offsets) {
            for fact in &set.declared {
                if !visible.iter().any(|other| other.name == fact.name) {
                    visible.push(Declared { register: fact.register + offset, ..fact.clone() });
                }
            }
        }
        let checked = Checker::new(None, &[], &visible).condition(&expr)?;
        if checked.cost > super::set::COST_MAX {
            return Err(RuleError::new(expr.place, format!("the condition may cost {} (RULE-11)", checked.cost)));
        }
        Ok(Condition { test: checked.test })
    }

    /// Evaluates a condition of these rules, or of those they extend.
    pub fn evaluate(&self, condition: &Condition, facts: &Facts) -> Outcome {
        match Context::new(None, &facts.registers).test(&condition.test, None) {
            Ok(true) => Outcome::True,
            Ok(false) => Outcome::False,
            Err(stop) => self.outcome(usize::MAX, stop, facts),
        }
    }
}

/// Prints a field of the event at hand.
struct Shown<'s, 'e>(&'s Context<'e>, &'static Field);

impl fmt::Display for Shown<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Shown(context, field) = *self;
        let unread = |stop| match stop {
            Stop::UnknownField(_) | Stop::UnknownFact(_) => "not recorded",
            Stop::Fault(_) => "absent",
        };
        match field.ty {
            Type::One(scalar) => match context.term(&Term::Field(field, scalar), None) {
                Ok(value) => write!(f, "{value}"),
                Err(stop) => f.write_str(unread(stop)),
            },
            Type::List(scalar) => match context.items(&Items::Field(field, scalar), None) {
                Ok(run) => {
                    let items: Vec<String> = run.map_while(Result::ok).map(|item| item.to_string()).collect();
                    printed(f, "[", "]", items.into_iter())
                }
                Err(stop) => f.write_str(unread(stop)),
            },
        }
    }
}

/// Returns what a clause changes; `None` for nothing, an error where it cannot be known.
fn update(fold: &Fold, register: &Register, context: &Context<'_>) -> Result<Option<Update>, Stop> {
    if matches!(register, Register::Unknown(_)) && fold.action != Action::Reset {
        return Ok(None);
    }
    if let Some(when) = &fold.when
        && !context.test(when, None)?
    {
        return Ok(None);
    }
    let adds = match fold.action {
        Action::Reset => return Ok(Some(Update::Reset)),
        Action::Add => true,
        Action::Remove => false,
    };
    let key = fold.key.as_ref().map(|key| context.term(key, None)).transpose()?;
    match (register, key) {
        (Register::Int(now), _) => Ok(Some(Update::Int(added(*now, fold, adds, context)?))),
        (Register::Flag(now), _) => Ok((*now != adds).then_some(Update::Flag(adds))),
        (Register::Last(now), _) => {
            let value = one(fold, context)?;
            Ok((now.as_ref().map(Datum::borrow) != Some(value)).then(|| Update::Last(value.owned())))
        }
        (Register::List(_), _) => Ok(Some(Update::List(many(fold, context, |_| true)?))),
        (Register::Set(set), _) => {
            let is_in = |value: &Value<'_>| set.binary_search_by(|item| item.borrow().cmp(value)).is_ok();
            let changed = many(fold, context, |value| is_in(value) != adds)?;
            Ok(if changed.is_empty() {
                None
            } else if adds {
                Some(Update::Insert(changed))
            } else {
                Some(Update::Remove(changed))
            })
        }
        (Register::Keyed(entries), Some(key)) => {
            let found =
                entries.binary_search_by(|entry| entry.0.borrow().cmp(&key)).ok().map(|at| entries[at].1.borrow());
            let value = match (fold.ty, fold.action) {
                (FactType::LastBy(..), Action::Remove | Action::Reset) => None,
                (FactType::LastBy(..), Action::Add) => Some(one(fold, context)?),
                _ => {
                    let now = if let Some(Value::Int(now)) = found { now } else { 0 };
                    // An unset key reads as 0, so 0 is not kept.
                    Some(Value::Int(added(now, fold, adds, context)?)).filter(|value| *value != Value::Int(0))
                }
            };
            Ok(match (found, value) {
                (None, None) => None,
                (Some(found), Some(value)) if found == value => None,
                (_, Some(value)) => Some(Update::Put(key.owned(), value.owned())),
                (Some(_), None) => Some(Update::Drop(key.owned())),
            })
        }
        (Register::Keyed(_), None) | (Register::Unknown(_), _) => Ok(None),
    }
}

/// Returns a counter or sum after the event.
fn added(now: i64, fold: &Fold, adds: bool, context: &Context<'_>) -> Result<i64, Stop> {
    let overflow = Stop::Fault(super::eval::Fault::Overflow);
    let amount = match &fold.amount {
        Amount::Event => 1,
        Amount::One(_) | Amount::Many(_) => match one(fold, context)? {
            Value::Int(value) => value,
            Value::Bool(_) | Value::Text(_) | Value::Bytes(_) => return Err(overflow),
        },
    };
    let amount = if adds { Some(amount) } else { amount.checked_neg() };
    amount.and_then(|amount| now.checked_add(amount)).ok_or(overflow)
}

fn one<'c>(fold: &'c Fold, context: &'c Context<'_>) -> Result<Value<'c>, Stop> {
    match &fold.amount {
        Amount::One(term) => context.term(term, None),
        Amount::Event | Amount::Many(_) => Err(Stop::Fault(super::eval::Fault::Absent)),
    }
}

fn many(fold: &Fold, context: &Context<'_>, wanted: impl Fn(&Value<'_>) -> bool) -> Result<Vec<Datum>, Stop> {
    let mut found = Vec::new();
    match &fold.amount {
        Amount::One(term) => found.extend(Some(context.term(term, None)?).filter(&wanted).map(Value::owned)),
        Amount::Many(items) => {
            for value in context.items(items, None)? {
                let value = value?;
                if wanted(&value) {
                    found.push(value.owned());
                }
            }
        }
        Amount::Event => {}
    }
    Ok(found)
}
