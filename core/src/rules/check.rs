//! Checks an expression against the schema of one event kind and lowers it.
//!
//! It proves that evaluation is total: every name resolves, every operand has its type, whatever may be absent is
//! read behind its guard (RULE-5). It bounds what an evaluation costs (RULE-11). It knows no registers' values.

use super::error::RuleError;
use super::eval::Value;
use super::form::{Arithmetic, ENVELOPE, Envelope, Items, Order, Quantity, Term, Test};
use super::glob::Glob;
use super::syntax::{Expr, Node, Operator};
use super::types::{FactType, Known, scalar_word};
use crate::schema::{Field, KindSchema, Scalar, Type};
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

const METHODS: [&str; 7] = ["all", "exists", "exists_one", "startsWith", "endsWith", "contains", "size"];
const FUNCTIONS: [&str; 3] = ["has", "size", "glob"];

/// Steps of a search in a sorted register.
const SEARCH: u64 = 13;

/// A fact that an expression may read.
#[derive(Debug, Clone)]
pub(crate) struct Declared {
    pub(crate) name: String,
    pub(crate) ty: FactType,
    pub(crate) register: usize,
    /// What is known of its values, or items.
    pub(crate) value: Known,
    /// What is known of its keys.
    pub(crate) key: Option<Known>,
}

/// What an expression reads.
#[derive(Debug, Clone, Default)]
pub(crate) struct Uses {
    /// Names of body fields that the kind has or was asked for.
    pub(crate) fields: BTreeSet<String>,
    pub(crate) envelope: BTreeSet<&'static str>,
    pub(crate) registers: BTreeSet<usize>,
}

/// A collection's sort.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    List,
    Set,
    Keyed,
}

enum Form {
    Test(Test),
    Term(Term, Known),
    /// With the most items; no scalar for `[]`.
    Items(Items, Option<Known>, u64, Sort),
}

struct Typed {
    form: Form,
    cost: u64,
    /// The truth that makes the rest of its expression dead code for this kind.
    fixed: Option<bool>,
    /// What is present when it is true, and when it is false, as printed.
    when: [Vec<String>; 2],
}

impl Typed {
    fn new(form: Form, cost: u64) -> Self {
        Typed { form, cost, fixed: None, when: [Vec::new(), Vec::new()] }
    }

    fn test(test: Test, cost: u64) -> Self {
        Typed::new(Form::Test(test), cost)
    }

    fn fixed(value: bool) -> Self {
        Typed { fixed: Some(value), ..Typed::test(Test::Const(value), 1) }
    }

    fn words(&self) -> String {
        match &self.form {
            Form::Test(_) => "bool".into(),
            Form::Term(_, known) => scalar_word(known.scalar).into(),
            Form::Items(_, None, _, _) => "an empty list".into(),
            Form::Items(_, Some(known), _, sort) => match sort {
                Sort::List => format!("a list of {}", scalar_word(known.scalar)),
                Sort::Set => format!("a set of {}", scalar_word(known.scalar)),
                Sort::Keyed => format!("a fact keyed by {}", scalar_word(known.scalar)),
            },
        }
    }
}

/// A scalar, lowered.
pub(crate) struct CheckedTerm {
    pub(crate) term: Term,
    pub(crate) known: Known,
    pub(crate) cost: u64,
}

/// A truth, lowered.
pub(crate) struct CheckedTest {
    pub(crate) test: Test,
    pub(crate) cost: u64,
}

/// What a clause adds or removes.
pub(crate) enum CheckedValue {
    One(CheckedTerm),
    Many(Items, Option<Known>, u64),
}

/// Checks expressions that belong together, for one kind.
pub(crate) struct Checker<'k> {
    kind: Option<&'static KindSchema>,
    kinds: &'k [&'static KindSchema],
    facts: &'k [Declared],
    guards: Vec<String>,
    variables: Vec<(String, Known)>,
    pub(crate) uses: Uses,
}

type Result<T> = core::result::Result<T, RuleError>;

impl<'k> Checker<'k> {
    /// `kinds` are all that the rule or clause names; `kind` is the one of them to check against, if there is an event.
    pub(crate) fn new(
        kind: Option<&'static KindSchema>,
        kinds: &'k [&'static KindSchema],
        facts: &'k [Declared],
    ) -> Self {
        Checker { kind, kinds, facts, guards: Vec::new(), variables: Vec::new(), uses: Uses::default() }
    }

    /// Checks a condition. What it guards stays guarded in what this checker checks afterwards.
    pub(crate) fn condition(&mut self, expr: &Expr) -> Result<CheckedTest> {
        let typed = self.check(expr)?;
        let cost = typed.cost;
        self.guards.extend(typed.when[0].iter().cloned());
        Ok(CheckedTest { test: as_test(expr, typed, "a condition")?, cost })
    }

    /// Checks a scalar.
    pub(crate) fn scalar(&mut self, expr: &Expr) -> Result<CheckedTerm> {
        let typed = self.check(expr)?;
        match typed.form {
            Form::Test(test) => {
                Ok(CheckedTerm { term: as_term(test), known: Known::of(Scalar::Bool, 0), cost: typed.cost })
            }
            Form::Term(term, known) => Ok(CheckedTerm { term, known, cost: typed.cost }),
            Form::Items(..) => Err(RuleError::new(expr.place, format!("expected one value, found {}", typed.words()))),
        }
    }

    /// Checks a scalar or a list.
    pub(crate) fn value(&mut self, expr: &Expr) -> Result<CheckedValue> {
        let typed = self.check(expr)?;
        Ok(match typed.form {
            Form::Test(test) => CheckedValue::One(CheckedTerm {
                term: as_term(test),
                known: Known::of(Scalar::Bool, 0),
                cost: typed.cost,
            }),
            Form::Term(term, known) => CheckedValue::One(CheckedTerm { term, known, cost: typed.cost }),
            Form::Items(items, known, most, _) => {
                let cost = typed.cost.saturating_add(most.saturating_mul(2));
                CheckedValue::Many(items, known, cost)
            }
        })
    }

    fn guarded<T>(&mut self, more: &[String], check: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let before = self.guards.len();
        self.guards.extend_from_slice(more);
        let checked = check(self);
        self.guards.truncate(before);
        checked
    }

    fn check(&mut self, expr: &Expr) -> Result<Typed> {
        match &expr.node {
            Node::Int(value) => {
                Ok(Typed::new(Form::Term(Term::Const(Value::Int(*value).owned()), Known::of(Scalar::Int, 8)), 1))
            }
            Node::Bool(value) => Ok(Typed::fixed(*value)),
            Node::Text(text) => {
                let known = Known { words: Some(vec![text.clone()]), ..Known::of(Scalar::Text, text.len() as u64) };
                Ok(Typed::new(Form::Term(Term::Const(Value::Text(text).owned()), known), 1))
            }
            Node::Bytes(bytes) => {
                let known = Known::of(Scalar::Bytes, bytes.len() as u64);
                Ok(Typed::new(Form::Term(Term::Const(Value::Bytes(bytes).owned()), known), 1))
            }
            Node::List(items) => self.list(items),
            Node::Name(name) => self.name(expr, name),
            Node::Select(target, name) => match &target.node {
                Node::Name(root) if root == "event" => self.event(expr, name),
                Node::Name(root) if root == "facts" => self.fact(expr, name),
                _ => Err(RuleError::new(expr.place, format!("`.{name}` selects from something that has no fields"))
                    .hint("fields are `event.NAME`, facts are `facts.NAME`")),
            },
            Node::Index(target, key) => self.index(expr, target, key),
            Node::Call(None, name, arguments) => self.function(expr, name, arguments),
            Node::Call(Some(target), name, arguments) => self.method(expr, target, name, arguments),
            Node::Not(operand) => {
                let mut typed = self.check(operand)?;
                typed.when.swap(0, 1);
                let (cost, fixed) = (typed.cost, typed.fixed);
                let when = core::mem::take(&mut typed.when);
                let test = as_test(operand, typed, "`!`")?;
                Ok(Typed { fixed: fixed.map(|value| !value), when, ..Typed::test(Test::Not(Box::new(test)), cost + 1) })
            }
            Node::Negate(operand) => {
                let operand = self.integer(operand, "-")?;
                let known = Known::of(Scalar::Int, 8);
                Ok(Typed::new(Form::Term(Term::Negate(Box::new(operand.term)), known), operand.cost + 1))
            }
            Node::Binary(operator, left, right) => self.binary(expr, *operator, left, right),
            Node::And(operands) => self.connective(operands, false),
            Node::Or(operands) => self.connective(operands, true),
            Node::If(parts) => self.choice(expr, parts),
        }
    }

    fn list(&mut self, items: &[Expr]) -> Result<Typed> {
        let (mut data, mut known) = (Vec::new(), None::<Known>);
        for item in items {
            let literal = self.scalar(item)?;
            let Term::Const(datum) = literal.term else {
                return Err(RuleError::new(item.place, "a list holds literals only")
                    .hint("write the comparisons out: `x == a || x == b`"));
            };
            known = Some(match known {
                Some(known) if known.scalar != literal.known.scalar => {
                    let message = format!(
                        "a list holds values of one type, here {} and {}",
                        scalar_word(known.scalar),
                        scalar_word(literal.known.scalar)
                    );
                    return Err(RuleError::new(item.place, message));
                }
                Some(known) => known.or(literal.known),
                None => literal.known,
            });
            data.push(datum);
        }
        let most = data.len() as u64;
        Ok(Typed::new(Form::Items(Items::Const(data), known, most, Sort::List), 1))
    }

    fn name(&mut self, expr: &Expr, name: &str) -> Result<Typed> {
        if let Some(at) = self.variables.iter().rposition(|(bound, _)| bound == name) {
            let known = self.variables[at].1.clone();
            return Ok(scalar(Term::Variable(self.variables.len() - 1 - at), known, 1));
        }
        let error = RuleError::new(expr.place, format!("`{name}` is not a variable here"));
        let is_field = self.kinds.iter().any(|kind| kind.field(name).is_some());
        Err(match name {
            "event" => error.hint("name a field: `event.NAME`"),
            "facts" => error.hint("name a fact: `facts.NAME`"),
            _ if is_field => error.hint(format!("did you mean `event.{name}`?")),
            _ if self.facts.iter().any(|fact| fact.name == name) => error.hint(format!("did you mean `facts.{name}`?")),
            _ => error.nearest(name, self.variables.iter().map(|(bound, _)| bound.as_str())),
        })
    }

    /// Returns the kind's field; `None` where only other kinds of the rule have it.
    fn field(&mut self, expr: &Expr, name: &str) -> Result<Option<&'static Field>> {
        let Some(kind) = self.kind else {
            return Err(RuleError::new(expr.place, "there is no event here").hint("a condition reads facts only"));
        };
        self.uses.fields.insert(name.into());
        if let Some(field) = kind.field(name) {
            return Ok(Some(field));
        }
        if self.kinds.iter().any(|kind| kind.field(name).is_some()) {
            return Ok(None);
        }
        Err(self.no_field(expr, kind, name))
    }

    fn no_field(&self, expr: &Expr, kind: &KindSchema, name: &str) -> RuleError {
        let names = kind.fields.iter().map(|field| field.name).chain(ENVELOPE.iter().map(|(name, _)| *name));
        RuleError::new(expr.place, format!("{} has no field `{name}`", kind.name)).nearest(name, names)
    }

    fn event(&mut self, expr: &Expr, name: &str) -> Result<Typed> {
        if let Some((name, part)) = ENVELOPE.iter().find(|(envelope, _)| *envelope == name) {
            return self.envelope(expr, name, *part);
        }
        let (Some(field), kind) = (self.field(expr, name)?, self.kind) else {
            let name_of_kind = self.kind.map_or("", |kind| kind.name);
            return Err(RuleError::new(expr.place, format!("{name_of_kind} has no field `{name}`"))
                .hint(format!("guard it: `has(event.{name}) && …` is false on that kind")));
        };
        let read = format!("event.{name}");
        if field.optional && !self.guards.contains(&read) {
            let kind = kind.map_or("", |kind| kind.name);
            return Err(RuleError::new(expr.place, format!("`{read}` may be absent on {kind}"))
                .hint(format!("guard it: `has({read}) && …` or `!has({read}) || …`")));
        }
        let bytes_max = field.bytes_max as u64;
        Ok(match field.ty {
            Type::One(found) => {
                let mut known = Known::of(found, bytes_max);
                known.words = field.words.map(|words| words.iter().map(|word| word.to_string()).collect());
                let cost = read_cost(&known);
                scalar(Term::Field(field, found), known, cost)
            }
            Type::List(found) => {
                let known = Known::of(found, bytes_max);
                let items = Items::Field(field, found);
                Typed::new(Form::Items(items, Some(known), field.items_max as u64, Sort::List), 1)
            }
        })
    }

    fn envelope(&mut self, expr: &Expr, name: &'static str, part: Envelope) -> Result<Typed> {
        if self.kind.is_none() {
            return Err(RuleError::new(expr.place, "there is no event here").hint("a condition reads facts only"));
        }
        self.uses.envelope.insert(name);
        let known = match part {
            Envelope::Sequence | Envelope::StampMs => Known::of(Scalar::Int, 8),
            Envelope::Actor => Known::of(Scalar::Text, crate::schema::BYTES_MAX as u64),
            Envelope::ActorClass => Known {
                words: Some(["kernel", "host", "person", "spawn"].map(String::from).to_vec()),
                ..Known::of(Scalar::Text, 8)
            },
            Envelope::Kind => Known {
                words: Some(self.kinds.iter().map(|kind| kind.name.to_string()).collect()),
                ..Known::of(Scalar::Text, 40)
            },
        };
        let cost = if part == Envelope::Actor { 10 } else { 2 };
        Ok(Typed::new(Form::Term(Term::Envelope(part), known), cost))
    }

    fn declared(&mut self, expr: &Expr, name: &str) -> Result<&'k Declared> {
        let facts = self.facts;
        match facts.iter().find(|fact| fact.name == name) {
            Some(fact) => {
                self.uses.registers.insert(fact.register);
                Ok(fact)
            }
            None => Err(RuleError::new(expr.place, format!("there is no fact `{name}` above"))
                .nearest(name, facts.iter().map(|fact| fact.name.as_str()))),
        }
    }

    fn fact(&mut self, expr: &Expr, name: &str) -> Result<Typed> {
        let fact = self.declared(expr, name)?;
        let most = super::facts::ENTRIES_MAX as u64;
        let (register, value) = (fact.register, fact.value.clone());
        Ok(match fact.ty {
            FactType::Counter | FactType::Sum | FactType::Flag => scalar(Term::Fact(register), value, 1),
            FactType::Last(_) => {
                let read = format!("facts.{name}");
                if !self.guards.contains(&read) {
                    return Err(RuleError::new(expr.place, format!("`{read}` is absent until an event sets it"))
                        .hint(format!("guard it: `has({read}) && …` or `!has({read}) || …`")));
                }
                scalar(Term::Fact(register), value, 1)
            }
            FactType::Set(_) => Typed::new(Form::Items(Items::Fact(register), Some(value), most, Sort::Set), 1),
            FactType::LastList(_) => Typed::new(Form::Items(Items::Fact(register), Some(value), most, Sort::List), 1),
            FactType::CounterBy(_) | FactType::SumBy(_) | FactType::LastBy(..) => {
                Typed::new(Form::Items(Items::Fact(register), fact.key.clone(), most, Sort::Keyed), 1)
            }
        })
    }

    /// Returns the keyed fact that `target` names, and its lowered key.
    fn keyed(&mut self, target: &Expr, key: &Expr) -> Result<(&'k Declared, CheckedTerm)> {
        let name = match &target.node {
            Node::Select(root, name) if matches!(&root.node, Node::Name(root) if root == "facts") => name,
            _ => {
                return Err(RuleError::new(target.place, "only keyed facts are indexed")
                    .hint("write `facts.NAME[KEY]`, or go through a list with `all` or `exists`"));
            }
        };
        let fact = self.declared(target, name)?;
        let Some(expected) = fact.ty.key() else {
            return Err(RuleError::new(target.place, format!("`facts.{name}` is {}, which has no keys", fact.ty)));
        };
        let lowered = self.scalar(key)?;
        if lowered.known.scalar != expected {
            return Err(RuleError::new(
                key.place,
                format!(
                    "`facts.{name}` is keyed by {}, not by {}",
                    scalar_word(expected),
                    scalar_word(lowered.known.scalar)
                ),
            ));
        }
        if let Some(known) = &fact.key {
            vocabulary(key, known)?;
        }
        Ok((fact, lowered))
    }

    fn index(&mut self, expr: &Expr, target: &Expr, key: &Expr) -> Result<Typed> {
        let (fact, key) = self.keyed(target, key)?;
        let counts = matches!(fact.ty, FactType::CounterBy(_) | FactType::SumBy(_));
        let read = expr.to_string();
        if !counts && !self.guards.contains(&read) {
            let guard = match &expr.node {
                Node::Index(target, key) => format!("{key} in {target}"),
                _ => read.clone(),
            };
            return Err(RuleError::new(expr.place, format!("`{read}` is absent for keys never set"))
                .hint(format!("guard it: `{guard} && …` or `has({read}) ? … : …`")));
        }
        let cost = search(&key.known).saturating_add(key.cost);
        Ok(scalar(Term::Keyed(fact.register, counts, Box::new(key.term)), fact.value.clone(), cost))
    }

    fn function(&mut self, expr: &Expr, name: &str, arguments: &[Expr]) -> Result<Typed> {
        match (name, arguments) {
            ("has", [operand]) => self.has(operand),
            ("size", [operand]) => self.size(operand),
            ("glob", [path, pattern]) => self.glob(path, pattern),
            ("has" | "size", _) => Err(RuleError::new(expr.place, format!("`{name}` takes one argument"))),
            ("glob", _) => Err(RuleError::new(expr.place, "`glob` takes a path and a pattern")),
            _ if METHODS.contains(&name) => {
                Err(RuleError::new(expr.place, format!("`{name}` is a method"))
                    .hint(format!("write `VALUE.{name}(…)`")))
            }
            _ => Err(RuleError::new(expr.place, format!("there is no function `{name}`"))
                .nearest(name, FUNCTIONS.into_iter())),
        }
    }

    fn has(&mut self, operand: &Expr) -> Result<Typed> {
        let present =
            |test: Test, cost: u64| Typed { when: [vec![operand.to_string()], Vec::new()], ..Typed::test(test, cost) };
        match &operand.node {
            Node::Select(root, name) if matches!(&root.node, Node::Name(root) if root == "event") => {
                if let Some((name, part)) = ENVELOPE.iter().find(|(envelope, _)| *envelope == name.as_str()) {
                    return self.envelope(operand, name, *part).map(|_| Typed::fixed(true));
                }
                Ok(match self.field(operand, name)? {
                    None => Typed::fixed(false),
                    Some(field) if !field.optional && field.since <= 1 => Typed::fixed(true),
                    Some(field) => present(Test::HasField(field), 1),
                })
            }
            Node::Select(root, name) if matches!(&root.node, Node::Name(root) if root == "facts") => {
                let fact = self.declared(operand, name)?;
                Ok(match fact.ty {
                    FactType::Last(_) | FactType::LastList(_) => present(Test::HasFact(fact.register), 1),
                    FactType::Counter
                    | FactType::Sum
                    | FactType::Flag
                    | FactType::Set(_)
                    | FactType::CounterBy(_)
                    | FactType::SumBy(_)
                    | FactType::LastBy(..) => {
                        return Err(RuleError::new(
                            operand.place,
                            format!("`facts.{name}` is never absent: unset it is 0, false or empty"),
                        )
                        .hint("compare its value instead"));
                    }
                })
            }
            Node::Index(target, key) => {
                let (fact, key) = self.keyed(target, key)?;
                let cost = search(&key.known).saturating_add(key.cost);
                Ok(present(Test::In(Box::new((key.term, Items::Fact(fact.register)))), cost))
            }
            _ => Err(RuleError::new(operand.place, "`has` asks for a field or a fact")
                .hint("write `has(event.NAME)`, `has(facts.NAME)` or `has(facts.NAME[KEY])`")),
        }
    }

    fn size(&mut self, operand: &Expr) -> Result<Typed> {
        let typed = self.check(operand)?;
        let found = typed.words();
        let (term, cost) = match typed.form {
            Form::Items(items, ..) => (Term::Count(Box::new(items)), 1),
            Form::Term(term, known) if matches!(known.scalar, Scalar::Text | Scalar::Bytes) => {
                let cost = if known.scalar == Scalar::Text { 1 + known.bytes_max / 16 } else { 1 };
                (Term::Size(Box::new(term)), cost)
            }
            Form::Term(..) | Form::Test(_) => {
                return Err(RuleError::new(operand.place, format!("{found} has no size")));
            }
        };
        Ok(Typed::new(Form::Term(term, Known::of(Scalar::Int, 8)), typed.cost.saturating_add(cost)))
    }

    fn glob(&mut self, path: &Expr, pattern: &Expr) -> Result<Typed> {
        let text: &[u8] = match &pattern.node {
            Node::Text(text) => text.as_bytes(),
            Node::Bytes(bytes) => bytes,
            _ => return Err(RuleError::new(pattern.place, "the pattern of `glob` is a literal")),
        };
        let glob = Glob::new(text).map_err(|message| RuleError::new(pattern.place, message))?;
        let path_at = path.place;
        let path = self.scalar(path)?;
        if !matches!(path.known.scalar, Scalar::Bytes | Scalar::Text) {
            let message = format!("`glob` matches a path of bytes, not {}", scalar_word(path.known.scalar));
            return Err(RuleError::new(path_at, message));
        }
        let cost = (1 + path.known.bytes_max / 4).saturating_mul(glob.alternatives()).saturating_add(path.cost);
        Ok(Typed::test(Test::Glob(Box::new((path.term, glob))), cost))
    }

    fn method(&mut self, expr: &Expr, target: &Expr, name: &str, arguments: &[Expr]) -> Result<Typed> {
        let quantity = match name {
            "all" => Quantity::All,
            "exists" => Quantity::Exists,
            "exists_one" => Quantity::ExistsOne,
            "startsWith" | "endsWith" | "contains" => return self.text_method(expr, target, name, arguments),
            "size" if arguments.is_empty() => return self.size(target),
            "matches" => {
                return Err(RuleError::new(expr.place, "there are no regular expressions in rules")
                    .hint("use `glob(path, pattern)`, `startsWith`, `endsWith` or `contains`"));
            }
            _ if FUNCTIONS.contains(&name) => {
                return Err(
                    RuleError::new(expr.place, format!("`{name}` is a function")).hint(format!("write `{name}(…)`"))
                );
            }
            _ => {
                return Err(RuleError::new(expr.place, format!("there is no method `{name}`"))
                    .nearest(name, METHODS.into_iter()));
            }
        };
        let [Expr { node: Node::Name(variable), place, .. }, body] = arguments else {
            return Err(RuleError::new(expr.place, format!("`{name}` takes a variable and a condition"))
                .hint(format!("write `LIST.{name}(x, CONDITION)`")));
        };
        if ["event", "facts"].contains(&variable.as_str()) || self.variables.iter().any(|(bound, _)| bound == variable)
        {
            return Err(
                RuleError::new(*place, format!("`{variable}` already has a meaning here")).hint("choose another name")
            );
        }
        let through = self.check(target)?;
        let found = through.words();
        let Form::Items(items, known, most, sort) = through.form else {
            return Err(RuleError::new(
                target.place,
                format!("`{name}` goes through a list, set or keyed fact, not {found}"),
            ));
        };
        let Some(known) = known else {
            return Err(RuleError::new(target.place, format!("`{name}` over an empty list decides nothing")));
        };
        let guard = if sort == Sort::Keyed { vec![format!("{target}[{variable}]")] } else { Vec::new() };
        let item_cost = 1 + read_cost(&known);
        self.variables.push((variable.clone(), known));
        let body_typed = self.guarded(&guard, |checker| checker.check(body));
        self.variables.pop();
        let body_typed = body_typed?;
        let each = body_typed.cost.saturating_add(item_cost);
        let test = as_test(body, body_typed, "the condition of a macro")?;
        let cost = each.saturating_mul(most).saturating_add(through.cost);
        Ok(Typed::test(Test::Every(quantity, Box::new((items, test))), cost))
    }

    fn text_method(&mut self, expr: &Expr, target: &Expr, name: &str, arguments: &[Expr]) -> Result<Typed> {
        let [part] = arguments else {
            return Err(RuleError::new(expr.place, format!("`{name}` takes one string")));
        };
        let mut lowered = Vec::new();
        for operand in [target, part] {
            let checked = self.scalar(operand)?;
            if checked.known.scalar != Scalar::Text {
                let message = format!("`{name}` works on strings, not {}", scalar_word(checked.known.scalar));
                let error = RuleError::new(operand.place, message);
                return Err(if checked.known.scalar == Scalar::Bytes {
                    error.hint("use `glob` on paths")
                } else {
                    error
                });
            }
            lowered.push(checked);
        }
        let (Some(part), Some(text)) = (lowered.pop(), lowered.pop()) else {
            return Err(RuleError::new(expr.place, format!("`{name}` takes one string")));
        };
        let both = text.known.bytes_max.saturating_add(part.known.bytes_max);
        let cost = text.cost.saturating_add(part.cost);
        let terms = Box::new([text.term, part.term]);
        Ok(match name {
            "startsWith" => Typed::test(Test::StartsWith(terms), cost + 1 + part.known.bytes_max / 32),
            "endsWith" => Typed::test(Test::EndsWith(terms), cost + 1 + part.known.bytes_max / 32),
            _ => Typed::test(Test::Contains(terms), cost + 1 + both / 4),
        })
    }

    fn integer(&mut self, expr: &Expr, operator: &str) -> Result<CheckedTerm> {
        let checked = self.scalar(expr)?;
        if checked.known.scalar == Scalar::Int {
            return Ok(checked);
        }
        let error = RuleError::new(
            expr.place,
            format!("`{operator}` computes with int, not {}", scalar_word(checked.known.scalar)),
        );
        Err(if operator == "+" { error.hint("strings and lists are not joined in rules") } else { error })
    }

    fn binary(&mut self, expr: &Expr, operator: Operator, left: &Expr, right: &Expr) -> Result<Typed> {
        let arithmetic = match operator {
            Operator::Equal | Operator::NotEqual => {
                return self.equality(expr, operator == Operator::Equal, left, right);
            }
            Operator::Less => return self.order(expr, operator, Order::Less, left, right),
            Operator::LessEqual => return self.order(expr, operator, Order::LessEqual, left, right),
            Operator::Greater => return self.order(expr, operator, Order::Greater, left, right),
            Operator::GreaterEqual => return self.order(expr, operator, Order::GreaterEqual, left, right),
            Operator::In => return self.membership(expr, left, right),
            Operator::Add => Arithmetic::Add,
            Operator::Subtract => Arithmetic::Subtract,
            Operator::Multiply => Arithmetic::Multiply,
            Operator::Divide => Arithmetic::Divide,
            Operator::Remainder => Arithmetic::Remainder,
        };
        let left = self.integer(left, operator.word())?;
        let right = self.integer(right, operator.word())?;
        let known = Known::of(Scalar::Int, 8);
        let cost = left.cost.saturating_add(right.cost).saturating_add(1);
        Ok(Typed::new(Form::Term(Term::Arithmetic(arithmetic, Box::new([left.term, right.term])), known), cost))
    }

    fn equality(&mut self, expr: &Expr, equal: bool, left: &Expr, right: &Expr) -> Result<Typed> {
        let (a, b) = (self.check(left)?, self.check(right)?);
        let operator = if equal { "==" } else { "!=" };
        let mismatch = || RuleError::new(expr.place, format!("`{operator}` compares {} with {}", a.words(), b.words()));
        let cost = a.cost.saturating_add(b.cost).saturating_add(1);
        match (&a.form, &b.form) {
            (Form::Items(_, x, most, Sort::List), Form::Items(_, y, more, Sort::List)) => {
                if x.as_ref().zip(y.as_ref()).is_some_and(|(x, y)| x.scalar != y.scalar) {
                    return Err(mismatch());
                }
                let bytes = [x, y].into_iter().flatten().map(|known| known.bytes_max).max().unwrap_or(0);
                let cost = cost.saturating_add((*most).min(*more).saturating_mul(4 + bytes / 16));
                let (Form::Items(x, ..), Form::Items(y, ..)) = (a.form, b.form) else {
                    return Err(RuleError::new(expr.place, "lists are compared with lists"));
                };
                return Ok(Typed::test(Test::EqualItems(equal, Box::new([x, y])), cost));
            }
            (Form::Items(..), _) | (_, Form::Items(..)) => {
                return Err(mismatch().hint("sets and keyed facts are compared item by item: `x in SET`, `size(SET)`"));
            }
            (Form::Test(_) | Form::Term(..), Form::Test(_) | Form::Term(..)) => {}
        }
        let error = mismatch();
        let (Some((x, known_x)), Some((y, known_y))) = (scalar_of(a.form), scalar_of(b.form)) else {
            return Err(error);
        };
        if known_x.scalar != known_y.scalar {
            return Err(error);
        }
        if !matches!(left.node, Node::Text(_)) {
            vocabulary(right, &known_x)?;
        }
        if !matches!(right.node, Node::Text(_)) {
            vocabulary(left, &known_y)?;
        }
        let cost = cost.saturating_add(known_x.bytes_max.min(known_y.bytes_max) / 32);
        Ok(Typed::test(Test::Equal(equal, Box::new([x, y])), cost))
    }

    fn order(&mut self, expr: &Expr, operator: Operator, order: Order, left: &Expr, right: &Expr) -> Result<Typed> {
        let (left, right) = (self.scalar(left)?, self.scalar(right)?);
        if left.known.scalar != right.known.scalar {
            let message = format!(
                "`{}` compares {} with {}",
                operator.word(),
                scalar_word(left.known.scalar),
                scalar_word(right.known.scalar)
            );
            return Err(RuleError::new(expr.place, message));
        }
        let bytes = left.known.bytes_max.min(right.known.bytes_max);
        let cost = left.cost.saturating_add(right.cost).saturating_add(1 + bytes / 32);
        Ok(Typed::test(Test::Order(order, Box::new([left.term, right.term])), cost))
    }

    fn membership(&mut self, expr: &Expr, left: &Expr, right: &Expr) -> Result<Typed> {
        let wanted = self.scalar(left)?;
        let through = self.check(right)?;
        let found = through.words();
        let Form::Items(items, known, most, sort) = through.form else {
            return Err(RuleError::new(right.place, format!("`in` looks in a list, set or keyed fact, not {found}")));
        };
        if let Some(known) = &known {
            if known.scalar != wanted.known.scalar {
                let message = format!("`in` looks for {} in {found}", scalar_word(wanted.known.scalar));
                return Err(RuleError::new(expr.place, message));
            }
            if let Node::List(literals) = &right.node {
                // Two literals have no vocabulary between them.
                let literals = if matches!(left.node, Node::Text(_)) { &[] } else { literals.as_slice() };
                literals.iter().try_for_each(|literal| vocabulary(literal, &wanted.known))?;
            } else {
                vocabulary(left, known)?;
            }
        }
        let cost = match sort {
            Sort::List => most.saturating_mul(2 + wanted.known.bytes_max / 32),
            Sort::Set | Sort::Keyed => search(&wanted.known),
        };
        let cost = cost.saturating_add(wanted.cost).saturating_add(through.cost);
        let mut typed = Typed::test(Test::In(Box::new((wanted.term, items))), cost);
        if sort == Sort::Keyed {
            typed.when[0].push(format!("{right}[{left}]"));
        }
        Ok(typed)
    }

    /// `&&` (`absorbing` false) and `||` (`absorbing` true).
    fn connective(&mut self, operands: &[Expr], absorbing: bool) -> Result<Typed> {
        let operator = if absorbing { "`||`" } else { "`&&`" };
        let (mut tests, mut cost, mut present) = (Vec::new(), 1u64, Vec::new());
        for operand in operands {
            let known = present.clone();
            let typed = self.guarded(&known, |checker| checker.check(operand))?;
            cost = cost.saturating_add(typed.cost);
            if typed.fixed == Some(absorbing) {
                return Ok(Typed::fixed(absorbing));
            }
            present.extend_from_slice(&typed.when[usize::from(absorbing)]);
            let fixed = typed.fixed;
            let test = as_test(operand, typed, operator)?;
            if fixed.is_none() {
                tests.push(test);
            }
        }
        let mut typed = match (tests.len(), tests.pop()) {
            (_, None) => Typed::fixed(!absorbing),
            (1, Some(test)) => Typed::test(test, cost),
            (_, Some(test)) => {
                tests.push(test);
                Typed::test(if absorbing { Test::Or(tests) } else { Test::And(tests) }, cost)
            }
        };
        typed.when[usize::from(absorbing)] = present;
        Ok(typed)
    }

    fn choice(&mut self, expr: &Expr, parts: &[Expr; 3]) -> Result<Typed> {
        let [test, yes, no] = parts;
        let mut tested = self.check(test)?;
        let (cost, fixed) = (tested.cost, tested.fixed);
        let [when_true, when_false] = core::mem::take(&mut tested.when);
        let lowered = as_test(test, tested, "`?`")?;
        if let Some(fixed) = fixed {
            return self.check(if fixed { yes } else { no });
        }
        let yes = self.guarded(&when_true, |checker| checker.check(yes))?;
        let no = self.guarded(&when_false, |checker| checker.check(no))?;
        let cost = cost.saturating_add(yes.cost.max(no.cost)).saturating_add(1);
        let words = (yes.words(), no.words());
        let mismatch = || RuleError::new(expr.place, format!("the branches of `?` are {} and {}", words.0, words.1));
        let form = match (yes.form, no.form) {
            (Form::Test(yes), Form::Test(no)) => Form::Test(Test::If(Box::new([lowered, yes, no]))),
            (Form::Term(yes, known), Form::Term(no, other)) if known.scalar == other.scalar => {
                Form::Term(Term::If(Box::new((lowered, yes, no))), known.or(other))
            }
            (Form::Items(yes, known, most, sort), Form::Items(no, other, more, other_sort)) if sort == other_sort => {
                let known = match (known, other) {
                    (Some(known), Some(other)) if known.scalar == other.scalar => Some(known.or(other)),
                    (Some(_), Some(_)) => return Err(mismatch()),
                    (known, other) => known.or(other),
                };
                if sort != Sort::List {
                    return Err(mismatch().hint("choose between truths: `c ? x in a : x in b`"));
                }
                Form::Items(Items::If(Box::new((lowered, yes, no))), known, most.max(more), sort)
            }
            _ => return Err(mismatch()),
        };
        Ok(Typed::new(form, cost))
    }
}

/// Reading text checks that it is UTF-8; anything else is there at once.
fn read_cost(known: &Known) -> u64 {
    match known.scalar {
        Scalar::Text => 1 + known.bytes_max / 32,
        Scalar::Int | Scalar::Bool | Scalar::Bytes => 1,
    }
}

fn search(key: &Known) -> u64 {
    SEARCH * (1 + key.bytes_max / 32)
}

/// A truth is always a test, whatever gives it.
fn scalar(term: Term, known: Known, cost: u64) -> Typed {
    match known.scalar {
        Scalar::Bool => Typed::test(Test::Value(Box::new(term)), cost),
        Scalar::Int | Scalar::Text | Scalar::Bytes => Typed::new(Form::Term(term, known), cost),
    }
}

fn scalar_of(form: Form) -> Option<(Term, Known)> {
    match form {
        Form::Test(test) => Some((as_term(test), Known::of(Scalar::Bool, 0))),
        Form::Term(term, known) => Some((term, known)),
        Form::Items(..) => None,
    }
}

fn as_term(test: Test) -> Term {
    match test {
        Test::Value(term) => *term,
        Test::Const(value) => Term::Const(Value::Bool(value).owned()),
        other => Term::Test(Box::new(other)),
    }
}

fn as_test(expr: &Expr, typed: Typed, what: &str) -> Result<Test> {
    let found = typed.words();
    match typed.form {
        Form::Test(test) => Ok(test),
        Form::Term(..) | Form::Items(..) => {
            Err(RuleError::new(expr.place, format!("{what} needs a bool, this is {found}")))
        }
    }
}

/// Refuses a literal that a closed vocabulary does not have (RULE-6).
fn vocabulary(literal: &Expr, known: &Known) -> Result<()> {
    let (Node::Text(word), Some(words)) = (&literal.node, &known.words) else {
        return Ok(());
    };
    if words.iter().any(|known| known == word) {
        return Ok(());
    }
    let error = RuleError::new(literal.place, format!("\"{word}\" is not one of its words"));
    Err(match super::error::nearest(word, words.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean \"{near}\"?")),
        None => error.hint(format!("they are {}", words.join(", "))),
    })
}
