//! A rule set: one file, parsed, checked against the schema, bounded and lowered.
//!
//! Whatever loads can be evaluated; whatever is wrong is refused here, with its place. A set sees its own facts
//! only, so that sets can be combined in any number without changing each other's meaning (RULE-3).

use super::check::{CheckedTerm, CheckedValue, Checker, Declared, Uses};
use super::digest::{self, Named};
use super::error::{Place, RuleError};
use super::form::{Items, Term, Test};
use super::parser;
use super::syntax::{Action, Clause, Fact, Name, Rule};
use super::types::{FactType, Known, scalar_word};
use crate::id::Digest;
use crate::kind::KINDS;
use crate::schema::{Field, KindSchema, Scalar};
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most that one rule or clause may cost on one event; a unit is about what comparing two integers takes (RULE-11).
pub const COST_MAX: u64 = 10_000_000;

/// What it means that a rule is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// A decision is refused; an input or record is a violation.
    Error,
    /// A decision passes; an input or record is a violation.
    Warn,
}

impl Severity {
    /// Returns the word that rule files and people use.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warn => "warn",
        }
    }
}

/// A rule as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleInfo {
    /// Name within the set.
    pub name: String,
    /// What a person reads when it refuses.
    pub message: String,
    /// Whether it refuses or only reports.
    pub severity: Severity,
    /// The incident or promise it comes from.
    pub origin: Option<String>,
    /// Names of the kinds it judges.
    pub kinds: Vec<&'static str>,
    /// Where it begins in the file.
    pub place: Place,
    /// What it requires, as written.
    pub expression: String,
    /// The greatest cost bound over its kinds (RULE-11).
    pub cost: u64,
}

/// A fact as its author wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FactInfo {
    /// Name within the set.
    pub name: String,
    /// Its type, as written.
    pub ty: String,
    /// Where it begins in the file.
    pub place: Place,
    /// Names of the kinds that change it.
    pub kinds: Vec<&'static str>,
}

/// What a clause adds or removes.
#[derive(Debug, PartialEq)]
pub(crate) enum Amount {
    /// An event, for counters and flags; a key, for keyed facts.
    Event,
    One(Term),
    Many(Items),
}

/// A clause, lowered for one kind.
#[derive(Debug)]
pub(crate) struct Fold {
    pub(crate) register: usize,
    /// Which of its fact's clauses.
    pub(crate) clause: usize,
    pub(crate) place: Place,
    pub(crate) ty: FactType,
    pub(crate) action: Action,
    pub(crate) amount: Amount,
    pub(crate) key: Option<Term>,
    pub(crate) when: Option<Test>,
}

/// A rule, lowered for one kind.
#[derive(Debug)]
pub(crate) struct Judge {
    pub(crate) rule: usize,
    pub(crate) test: Test,
    pub(crate) fields: Vec<&'static Field>,
    pub(crate) registers: Vec<usize>,
    pub(crate) envelope: Vec<&'static str>,
}

/// What a set does on one kind of event.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) kind: &'static KindSchema,
    /// Later facts first: a clause reads facts above its own as they were before the event (RULE-4).
    pub(crate) folds: Vec<Fold>,
    pub(crate) judges: Vec<Judge>,
}

/// One rule file, ready to judge.
#[derive(Debug)]
pub struct RuleSet {
    name: String,
    about: String,
    text: String,
    digest: Digest,
    pub(crate) facts: Vec<FactInfo>,
    pub(crate) rules: Vec<RuleInfo>,
    pub(crate) declared: Vec<Declared>,
    pub(crate) plans: BTreeMap<u64, Plan>,
}

impl RuleSet {
    /// Parses, checks and lowers a rule file against the kinds of this Loom; gives all errors that it finds.
    pub fn load(text: &str) -> Result<RuleSet, Vec<RuleError>> {
        Self::load_for(text, KINDS)
    }

    /// The same against other kinds, e.g. to compare digests across schemas.
    pub fn load_for(text: &str, kinds: &'static [KindSchema]) -> Result<RuleSet, Vec<RuleError>> {
        let file = parser::file(text)?;
        let mut builder = Builder { kinds, ..Builder::default() };
        for fact in &file.facts {
            builder.fact(fact);
        }
        for plan in builder.plans.values_mut() {
            // Stable within a fact: its clauses apply in the order of the file.
            plan.folds.sort_by_key(|fold| core::cmp::Reverse(fold.register));
        }
        for rule in &file.rules {
            builder.rule(rule);
        }
        if builder.rules.is_empty() && builder.facts.is_empty() && builder.errors.is_empty() {
            builder.errors.push(RuleError::new(file.name.place, "the set has neither facts nor rules"));
        }
        if !builder.errors.is_empty() {
            builder.errors.sort();
            builder.errors.dedup();
            return Err(builder.errors);
        }
        Ok(RuleSet {
            name: file.name.text,
            about: file.about,
            text: text.to_string(),
            digest: digest::of(text, &builder.named),
            facts: builder.facts,
            rules: builder.rules,
            declared: builder.declared,
            plans: builder.plans,
        })
    }

    /// Returns the set's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns what the set says it is for.
    pub fn about(&self) -> &str {
        &self.about
    }

    /// Returns the file's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the set's digest (RULE-13).
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the rules in the order of the file.
    pub fn rules(&self) -> impl Iterator<Item = &RuleInfo> {
        self.rules.iter()
    }

    /// Returns the facts in the order of the file.
    pub fn facts(&self) -> impl Iterator<Item = &FactInfo> {
        self.facts.iter()
    }

    pub(crate) fn rule(&self, index: usize) -> Option<&RuleInfo> {
        self.rules.get(index)
    }
}

#[derive(Default)]
struct Builder {
    kinds: &'static [KindSchema],
    declared: Vec<Declared>,
    facts: Vec<FactInfo>,
    rules: Vec<RuleInfo>,
    plans: BTreeMap<u64, Plan>,
    named: Named,
    /// Names of facts that failed: what reads them is not an error of its own.
    broken: BTreeSet<String>,
    errors: Vec<RuleError>,
}

impl Builder {
    /// Resolves the kinds of a rule or clause; errors are noted.
    fn kinds(&mut self, names: &[Name]) -> Option<Vec<&'static KindSchema>> {
        let mut found: Vec<&'static KindSchema> = Vec::new();
        for name in names {
            match self.kinds.iter().find(|kind| kind.name == name.text) {
                Some(kind) if found.iter().any(|other| other.code == kind.code) => {
                    self.errors.push(RuleError::new(name.place, format!("`{}` is named twice", name.text)));
                }
                Some(kind) => {
                    self.named.entry(kind.name).or_insert_with(|| (kind, BTreeSet::new()));
                    found.push(kind);
                }
                None => self.errors.push(
                    RuleError::new(name.place, format!("there is no event kind `{}`", name.text))
                        .nearest(&name.text, self.kinds.iter().map(|kind| kind.name)),
                ),
            }
        }
        (found.len() == names.len()).then_some(found)
    }

    fn plan(&mut self, kind: &'static KindSchema) -> &mut Plan {
        self.plans.entry(kind.code).or_insert_with(|| Plan { kind, folds: Vec::new(), judges: Vec::new() })
    }

    fn note_uses(&mut self, kind: &'static KindSchema, uses: &Uses) {
        if let Some((_, fields)) = self.named.get_mut(kind.name) {
            fields.extend(uses.fields.iter().cloned());
        }
    }

    /// Notes an error, unless it only says that a broken fact cannot be read.
    fn fail(&mut self, error: RuleError) {
        let follows = self.broken.iter().any(|name| error.message == format!("there is no fact `{name}` above"));
        if !follows || self.errors.is_empty() {
            self.errors.push(error);
        }
    }

    fn fact(&mut self, fact: &Fact) {
        let name = &fact.name.text;
        if self.facts.iter().any(|other| other.name == *name) || self.broken.contains(name) {
            self.errors.push(RuleError::new(fact.name.place, format!("there are two facts `{name}`")));
            return;
        }
        let register = self.declared.len();
        let mut declared = Declared {
            name: name.clone(),
            ty: fact.ty,
            register,
            value: initial(fact.ty),
            key: fact.ty.key().map(|key| Known::of(key, crate::schema::BYTES_MAX as u64)),
        };
        let (mut values, mut keys, mut failed, mut changed) = (Vec::new(), Vec::new(), false, Vec::new());
        for (index, clause) in fact.clauses.iter().enumerate() {
            let Some(kinds) = self.kinds(&clause.kinds) else {
                failed = true;
                continue;
            };
            for kind in &kinds {
                changed.push(kind.name);
                match self.clause(fact, (index, clause), kind, &kinds, register) {
                    Ok((fold, value, key)) => {
                        values.extend(value);
                        keys.extend(key);
                        self.plan(kind).folds.push(fold);
                    }
                    Err(error) => {
                        failed = true;
                        self.fail(error);
                    }
                }
            }
        }
        if failed {
            self.broken.insert(name.clone());
            return;
        }
        if let Some(value) = values.into_iter().reduce(Known::or) {
            declared.value = match fact.ty {
                FactType::Counter | FactType::Sum | FactType::CounterBy(_) | FactType::SumBy(_) | FactType::Flag => {
                    declared.value
                }
                FactType::Set(_) | FactType::Last(_) | FactType::LastList(_) | FactType::LastBy(..) => value,
            };
        }
        if let Some(key) = keys.into_iter().reduce(Known::or) {
            declared.key = Some(key);
        }
        changed.sort_unstable();
        changed.dedup();
        self.facts.push(FactInfo {
            name: name.clone(),
            ty: fact.ty.to_string(),
            place: fact.name.place,
            kinds: changed,
        });
        self.declared.push(declared);
    }

    fn clause(
        &mut self,
        fact: &Fact,
        (index, clause): (usize, &Clause),
        kind: &'static KindSchema,
        kinds: &[&'static KindSchema],
        register: usize,
    ) -> Result<(Fold, Option<Known>, Option<Known>), RuleError> {
        let shape = shape(fact.ty, clause.action).ok_or_else(|| {
            RuleError::new(clause.place, format!("nothing is removed from {}", fact.ty)).hint("use `reset`")
        })?;
        for (given, wanted, what) in
            [(clause.value.is_some(), shape.value, ": VALUE"), (clause.key.is_some(), shape.key, "by KEY")]
        {
            if given != wanted {
                let needs = if wanted { "needs" } else { "takes no" };
                let message = format!("this clause of {} {needs} `{what}`", fact.ty);
                return Err(RuleError::new(clause.place, message).hint(shape.hint));
            }
        }
        let mut checker = Checker::new(Some(kind), kinds, &self.declared);
        let mut cost = 1u64;
        let when = match &clause.when {
            None => None,
            Some(expr) => {
                let checked = checker.condition(expr)?;
                cost = cost.saturating_add(checked.cost);
                Some(checked.test)
            }
        };
        let (mut value_known, mut key_known) = (None, None);
        let amount = match &clause.value {
            None => Amount::Event,
            Some(expr) => {
                let (wanted, many) = match fact.ty {
                    FactType::Set(item) => (item, None),
                    FactType::LastList(item) => (item, Some(true)),
                    FactType::Last(item) | FactType::LastBy(item, _) => (item, Some(false)),
                    FactType::Counter | FactType::Sum | FactType::CounterBy(_) | FactType::SumBy(_) => {
                        (Scalar::Int, Some(false))
                    }
                    FactType::Flag => (Scalar::Bool, Some(false)),
                };
                let (amount, known, more) = match checker.value(expr)? {
                    CheckedValue::One(CheckedTerm { term, known, cost }) => (Amount::One(term), Some(known), cost),
                    CheckedValue::Many(items, known, cost) => (Amount::Many(items), known, cost),
                };
                let found_many = matches!(amount, Amount::Many(_));
                if many.is_some_and(|many| many != found_many)
                    || known.as_ref().is_some_and(|known| known.scalar != wanted)
                {
                    let found = known.as_ref().map_or("an empty list", |known| scalar_word(known.scalar));
                    let list = if found_many { "a list of " } else { "" };
                    return Err(RuleError::new(
                        expr.place,
                        format!("fact `{}` is {}, this is {list}{found}", fact.name.text, fact.ty),
                    ));
                }
                cost = cost.saturating_add(more);
                value_known = known;
                amount
            }
        };
        let key = match (&clause.key, fact.ty.key()) {
            (Some(expr), Some(wanted)) => {
                let checked = checker.scalar(expr)?;
                if checked.known.scalar != wanted {
                    let message = format!(
                        "fact `{}` is {}, this key is {}",
                        fact.name.text,
                        fact.ty,
                        scalar_word(checked.known.scalar)
                    );
                    return Err(RuleError::new(expr.place, message));
                }
                cost = cost.saturating_add(checked.cost);
                key_known = Some(checked.known);
                Some(checked.term)
            }
            (None, _) | (_, None) => None,
        };
        let uses = checker.uses;
        self.note_uses(kind, &uses);
        bounded(cost, clause.place, &format!("this clause of fact `{}`", fact.name.text), kind)?;
        if clause.action != Action::Add {
            (value_known, key_known) = (None, None);
        }
        let fold = Fold {
            register,
            clause: index,
            place: clause.place,
            ty: fact.ty,
            action: clause.action,
            amount,
            key,
            when,
        };
        Ok((fold, value_known, key_known))
    }

    fn rule(&mut self, rule: &Rule) {
        let index = self.rules.len();
        if self.rules.iter().any(|other| other.name == rule.name.text) {
            self.errors.push(RuleError::new(rule.name.place, format!("there are two rules `{}`", rule.name.text)));
        }
        let Some(kinds) = self.kinds(&rule.kinds) else {
            return;
        };
        let mut cost = 0;
        for kind in &kinds {
            let mut checker = Checker::new(Some(kind), &kinds, &self.declared);
            let checked = checker.condition(&rule.require);
            let uses = checker.uses;
            let checked = checked.and_then(|checked| {
                bounded(checked.cost, rule.name.place, &format!("rule `{}`", rule.name.text), kind)?;
                Ok(checked)
            });
            match checked {
                Ok(checked) => {
                    cost = cost.max(checked.cost);
                    self.note_uses(kind, &uses);
                    self.plan(kind).judges.push(Judge {
                        rule: index,
                        test: checked.test,
                        fields: kind.fields.iter().filter(|field| uses.fields.contains(field.name)).collect(),
                        registers: uses.registers.into_iter().collect(),
                        envelope: uses.envelope.into_iter().collect(),
                    });
                }
                Err(error) => self.fail(error),
            }
        }
        self.rules.push(RuleInfo {
            name: rule.name.text.clone(),
            message: rule.message.clone(),
            severity: rule.severity,
            origin: rule.origin.clone(),
            kinds: kinds.iter().map(|kind| kind.name).collect(),
            place: rule.name.place,
            expression: rule.expression.clone(),
            cost,
        });
    }
}

fn bounded(cost: u64, place: Place, what: &str, kind: &KindSchema) -> Result<(), RuleError> {
    if cost <= COST_MAX {
        return Ok(());
    }
    let message = format!("{what} may cost {cost} on {}; at most {COST_MAX} is allowed (RULE-11)", kind.name);
    Err(RuleError::new(place, message).hint("nest fewer macros, or fold what they look for into a fact"))
}

/// What is known of a fact's values before its clauses are.
fn initial(ty: FactType) -> Known {
    match ty {
        FactType::Counter | FactType::Sum | FactType::CounterBy(_) | FactType::SumBy(_) => Known::of(Scalar::Int, 8),
        FactType::Flag => Known::of(Scalar::Bool, 8),
        FactType::Set(item) | FactType::Last(item) | FactType::LastList(item) | FactType::LastBy(item, _) => {
            Known::of(item, crate::schema::BYTES_MAX as u64)
        }
    }
}

/// What a clause has to have.
struct Shape {
    value: bool,
    key: bool,
    hint: &'static str,
}

/// Returns the shape of a clause; `None` where the action does not apply.
fn shape(ty: FactType, action: Action) -> Option<Shape> {
    let shape = |value, key, hint| Some(Shape { value, key, hint });
    match (action, ty) {
        (Action::Reset, _) => shape(false, false, "write `reset KIND` or `reset KIND if CONDITION`"),
        (_, FactType::Counter | FactType::Flag) => shape(false, false, "write `add KIND` or `remove KIND`"),
        (_, FactType::Sum) => shape(true, false, "write `add KIND: INT`"),
        (_, FactType::Set(_)) => shape(true, false, "write `add KIND: VALUE` or `remove KIND: VALUE`"),
        (Action::Add, FactType::Last(_) | FactType::LastList(_)) => shape(true, false, "write `add KIND: VALUE`"),
        (Action::Remove, FactType::Last(_) | FactType::LastList(_)) => None,
        (_, FactType::CounterBy(_)) => shape(false, true, "write `add KIND by KEY`"),
        (_, FactType::SumBy(_)) => shape(true, true, "write `add KIND: INT by KEY`"),
        (Action::Add, FactType::LastBy(..)) => shape(true, true, "write `add KIND: VALUE by KEY`"),
        (Action::Remove, FactType::LastBy(..)) => shape(false, true, "write `remove KIND by KEY`"),
    }
}

/// Returns the one error of something that is not about a place in a file.
pub(crate) fn placeless(message: impl Into<String>) -> RuleError {
    RuleError::new(Place::default(), message)
}
