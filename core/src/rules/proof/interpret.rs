//! Runs the lowered form over what values can be, in place of values.
//!
//! What it says can be is at least what can be: a truth that it rules out is given by no event after any history
//! (PROVE-1). Unknown and error are apart: it says which truths there can be, not that there is one.

use super::super::eval::Value;
use super::super::facts::{Datum, ENTRIES_MAX};
use super::super::form::{Arithmetic, Envelope, Items, Order, Quantity, Term, Test};
use super::value::{ALL, Interval, Possible, Truth, opposite};
use super::walk::{self, Read};
use crate::schema::{BYTES_MAX, Field, KindSchema, Scalar};
use alloc::vec;
use alloc::vec::Vec;

/// What a register can hold, whatever has happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Held {
    /// The value; those under its keys for a keyed fact.
    pub(crate) value: Possible,
    /// Whether there is one.
    pub(crate) has: Truth,
    /// How many items or keys.
    pub(crate) length: Interval,
    /// The items or keys.
    pub(crate) item: Possible,
}

/// What an event of one kind can make of expressions over these registers.
#[derive(Clone, Copy)]
pub(crate) struct Interpreter<'p> {
    pub(crate) kind: &'static KindSchema,
    pub(crate) held: &'p [Held],
}

/// What is assumed: terms that can be less than they could elsewhere, and tests whose truth is settled.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assumed<'p> {
    terms: Vec<(&'p Term, Possible)>,
    tests: Vec<(&'p Test, bool)>,
    /// What the variables of macros can be, outermost first.
    variables: Vec<Possible>,
}

impl<'p> Assumed<'p> {
    /// Returns what is assumed where these terms can be no more than this.
    pub(crate) fn of(terms: &'p [(Term, Possible)]) -> Self {
        Assumed { terms: terms.iter().map(|(term, known)| (term, known.clone())).collect(), ..Assumed::default() }
    }

    /// Returns what still holds inside of a macro whose variable can be this: nothing that reads a variable.
    pub(crate) fn within(&self, variable: Possible) -> Self {
        let mut inner = self.clone();
        inner.terms.retain(|(term, _)| !binds(|see| walk::term(term, see)));
        inner.tests.retain(|(test, _)| !binds(|see| walk::test(test, see)));
        inner.variables.push(variable);
        inner
    }
}

/// Whether the variable of a macro is read.
fn binds(walk: impl FnOnce(&mut dyn FnMut(Read))) -> bool {
    let mut found = false;
    walk(&mut |read| found |= read == Read::Variable);
    found
}

impl<'p> Interpreter<'p> {
    /// Returns which truths a test can give.
    pub(crate) fn test(&self, test: &'p Test, assumed: &Assumed<'p>) -> Truth {
        if let Some((_, value)) = assumed.tests.iter().find(|(known, _)| *known == test) {
            return Truth::of(*value);
        }
        match test {
            Test::Const(value) => Truth::of(*value),
            Test::Not(operand) => self.test(operand, assumed).not(),
            Test::And(operands) => self.connective(operands, false, assumed),
            Test::Or(operands) => self.connective(operands, true, assumed),
            Test::If(parts) => {
                let [condition, yes, no] = &**parts;
                let branch = |taken: bool, test: &'p Test| {
                    self.assuming(condition, taken, assumed).map_or(Truth::NEVER, |assumed| self.test(test, &assumed))
                };
                branch(true, yes).or(branch(false, no))
            }
            Test::Equal(equal, operands) => {
                let [left, right] = &**operands;
                let truth = if left == right {
                    Truth { no: false, ..self.term(left, assumed).equals(&self.term(right, assumed)) }
                } else {
                    self.term(left, assumed).equals(&self.term(right, assumed))
                };
                if *equal { truth } else { truth.not() }
            }
            Test::EqualItems(equal, operands) => {
                let [(a, _), (b, _)] = [&operands[0], &operands[1]].map(|items| self.items(items, assumed));
                let empty = a == (0, 0) && b == (0, 0);
                let truth = Truth { yes: a.0 <= b.1 && b.0 <= a.1, no: !empty && operands[0] != operands[1] };
                if *equal { truth } else { truth.not() }
            }
            Test::Order(order, operands) => {
                let [left, right] = &**operands;
                if left == right {
                    return Truth::of(matches!(order, Order::LessEqual | Order::GreaterEqual));
                }
                self.term(left, assumed).ordered(*order, &self.term(right, assumed))
            }
            Test::In(parts) => {
                let (term, items) = &**parts;
                let ((least, most), item) = self.items(items, assumed);
                let wanted = self.term(term, assumed);
                let overlap = !wanted.clone().and(&item).is_empty();
                let sure = match (items, wanted.values(), wanted.only()) {
                    (Items::Const(values), Some(wanted), _) => wanted.iter().all(|value| values.contains(value)),
                    (Items::Const(values), None, Some(wanted)) => values.contains(&wanted),
                    _ => least > 0 && item.only().is_some_and(|item| wanted.only() == Some(item)),
                };
                Truth { yes: most > 0 && overlap, no: !sure }
            }
            Test::HasField(field) => Truth { yes: true, no: field.optional },
            Test::HasFact(register) => self.held.get(*register).map_or(Truth::EITHER, |held| held.has),
            Test::StartsWith(operands) => self.texts(operands, assumed, |text, part| text.starts_with(part)),
            Test::EndsWith(operands) => self.texts(operands, assumed, |text, part| text.ends_with(part)),
            Test::Contains(operands) => self.texts(operands, assumed, |text, part| text.contains(part)),
            Test::Glob(parts) => match self.term(&parts.0, assumed).values() {
                Some(paths) => paths.iter().fold(Truth::NEVER, |truth, path| {
                    truth.or(match path.borrow() {
                        Value::Text(path) => Truth::of(parts.1.matches(path.as_bytes())),
                        Value::Bytes(path) => Truth::of(parts.1.matches(path)),
                        Value::Int(_) | Value::Bool(_) => Truth::EITHER,
                    })
                }),
                None => Truth::EITHER,
            },
            Test::Every(quantity, parts) => {
                let ((least, most), item) = self.items(&parts.0, assumed);
                let each = self.test(&parts.1, &assumed.within(item));
                let some = most > 0;
                match quantity {
                    Quantity::All => Truth { yes: least <= 0 || each.yes, no: some && each.no },
                    Quantity::Exists => Truth { yes: some && each.yes, no: least <= 0 || each.no },
                    Quantity::ExistsOne => {
                        let always_one = least == 1 && most == 1 && !each.no;
                        Truth { yes: some && each.yes, no: !always_one }
                    }
                }
            }
            Test::Value(term) => self.term(term, assumed).truth(),
        }
    }

    /// `&&` (`absorbing` false) and `||` (`absorbing` true): one operand absorbs whatever the others give; the other
    /// truth needs all of them at once.
    fn connective(&self, operands: &'p [Test], absorbing: bool, assumed: &Assumed<'p>) -> Truth {
        let absorbs = operands.iter().any(|operand| self.test(operand, assumed).can(absorbing));
        let mut all = assumed.clone();
        let passes = operands.iter().all(|operand| self.assume(operand, !absorbing, &mut all));
        if absorbing { Truth { yes: absorbs, no: passes } } else { Truth { yes: passes, no: absorbs } }
    }

    /// Returns what is assumed where the test gives `value`; `None` where it cannot.
    pub(crate) fn assuming(&self, test: &'p Test, value: bool, assumed: &Assumed<'p>) -> Option<Assumed<'p>> {
        let mut more = assumed.clone();
        self.assume(test, value, &mut more).then_some(more)
    }

    fn assume(&self, test: &'p Test, value: bool, assumed: &mut Assumed<'p>) -> bool {
        if !self.test(test, assumed).can(value) {
            return false;
        }
        assumed.tests.push((test, value));
        match test {
            Test::Not(operand) => self.assume(operand, !value, assumed),
            Test::And(operands) if value => operands.iter().all(|operand| self.assume(operand, true, assumed)),
            Test::Or(operands) if !value => operands.iter().all(|operand| self.assume(operand, false, assumed)),
            Test::And(operands) | Test::Or(operands) => {
                // Where one operand alone can give it, it does.
                let mut able = operands.iter().filter(|operand| self.test(operand, assumed).can(value));
                match (able.next(), able.next()) {
                    (Some(only), None) => self.assume(only, value, assumed),
                    _ => true,
                }
            }
            Test::Value(term) => self.narrow(term, &Possible::Bool(Truth::of(value)), assumed),
            Test::Equal(equal, operands) => {
                let [left, right] = &**operands;
                let (a, b) = (self.term(left, assumed), self.term(right, assumed));
                if *equal == value {
                    let both = a.and(&b);
                    self.narrow(left, &both, assumed) && self.narrow(right, &both, assumed)
                } else {
                    let without = |from: &Possible, other: &Possible| match other.only() {
                        Some(only) => from.clone().without(&only),
                        None => from.clone(),
                    };
                    let (left_now, right_now) = (without(&a, &b), without(&b, &a));
                    self.narrow(left, &left_now, assumed) && self.narrow(right, &right_now, assumed)
                }
            }
            Test::Order(order, operands) => {
                let [left, right] = &**operands;
                let (Possible::Int((a, b)), Possible::Int((c, d))) =
                    (self.term(left, assumed), self.term(right, assumed))
                else {
                    return true;
                };
                let (less, more) = (d.saturating_sub(1), c.saturating_add(1));
                let (low, high) = match if value { *order } else { opposite(*order) } {
                    Order::Less => ((a, b.min(less)), (c.max(a.saturating_add(1)), d)),
                    Order::LessEqual => ((a, b.min(d)), (c.max(a), d)),
                    Order::Greater => ((a.max(more), b), (c, d.min(b.saturating_sub(1)))),
                    Order::GreaterEqual => ((a.max(c), b), (c, d.min(b))),
                };
                self.narrow(left, &Possible::Int(low), assumed) && self.narrow(right, &Possible::Int(high), assumed)
            }
            Test::In(parts) => {
                let (term, items) = &**parts;
                let now = self.term(term, assumed);
                if value {
                    let ((_, most), item) = self.items(items, assumed);
                    let now = now.and(&item);
                    return most > 0 && self.narrow(term, &now, assumed);
                }
                match items {
                    Items::Const(values) => {
                        let now = values.iter().fold(now, Possible::without);
                        self.narrow(term, &now, assumed)
                    }
                    Items::Field(..) | Items::Fact(_) | Items::If(_) => true,
                }
            }
            Test::If(_)
            | Test::Const(_)
            | Test::EqualItems(..)
            | Test::HasField(_)
            | Test::HasFact(_)
            | Test::StartsWith(_)
            | Test::EndsWith(_)
            | Test::Contains(_)
            | Test::Glob(_)
            | Test::Every(..) => true,
        }
    }

    /// Assumes that a term is one of these; false where it cannot be.
    fn narrow(&self, term: &'p Term, to: &Possible, assumed: &mut Assumed<'p>) -> bool {
        let now = self.term(term, assumed).and(to);
        let left = !now.is_empty();
        if !matches!(term, Term::Const(_)) {
            assumed.terms.push((term, now));
        }
        left
    }

    fn texts(&self, operands: &'p [Term; 2], assumed: &Assumed<'p>, holds: impl Fn(&str, &str) -> bool) -> Truth {
        let [text, part] = operands;
        let (Some(texts), Some(parts)) = (self.term(text, assumed).values(), self.term(part, assumed).values()) else {
            return Truth::EITHER;
        };
        let pairs = texts.iter().flat_map(|text| parts.iter().map(move |part| (text.borrow(), part.borrow())));
        pairs.fold(Truth::NEVER, |truth, pair| match pair {
            (Value::Text(text), Value::Text(part)) => truth.or(Truth::of(holds(text, part))),
            _ => Truth::EITHER,
        })
    }

    /// Returns what a term can be.
    pub(crate) fn term(&self, term: &'p Term, assumed: &Assumed<'p>) -> Possible {
        let found = self.bare(term, assumed);
        // Each later assumption was made where the earlier ones held.
        match assumed.terms.iter().rev().find(|(known, _)| *known == term) {
            Some((_, known)) => found.and(known),
            None => found,
        }
    }

    fn bare(&self, term: &'p Term, assumed: &Assumed<'p>) -> Possible {
        match term {
            Term::Const(value) => Possible::one(value),
            Term::Field(field, scalar) => of_field(field, *scalar),
            Term::Envelope(part) => match part {
                Envelope::Sequence | Envelope::StampMs => Possible::Int((0, i64::MAX)),
                Envelope::Actor => Possible::Bytes(None, (0, BYTES_MAX as i64)),
                Envelope::ActorClass => words(&["kernel", "host", "person", "spawn"]),
                Envelope::Kind => words(&[self.kind.name]),
            },
            Term::Fact(register) => self.held(*register).value,
            Term::Keyed(register, counts, _) => {
                let value = self.held(*register).value;
                if *counts { value.or(Possible::Int((0, 0))) } else { value }
            }
            Term::Variable(depth) => {
                let at = assumed.variables.len().checked_sub(1 + depth);
                at.and_then(|at| assumed.variables.get(at)).cloned().unwrap_or(Possible::Int(ALL))
            }
            // A text has as many characters as bytes, or fewer.
            Term::Size(operand) => match self.term(operand, assumed) {
                Possible::Bytes(Some(values), _) => {
                    let sizes = values.iter().map(|value| match value.borrow() {
                        Value::Text(text) => text.chars().count() as i64,
                        Value::Bytes(bytes) => bytes.len() as i64,
                        Value::Int(_) | Value::Bool(_) => 0,
                    });
                    let empty = Possible::Int((1, 0));
                    sizes.fold(empty, |all, size| all.or(Possible::Int((size, size))))
                }
                Possible::Bytes(None, (0, most)) => Possible::Int((0, most)),
                Possible::Bytes(None, (least, most)) => Possible::Int((least / 4, most)),
                Possible::Int(_) | Possible::Bool(_) => Possible::Int((0, i64::MAX)),
            },
            Term::Count(items) => Possible::Int(self.items(items, assumed).0),
            Term::Negate(operand) => {
                let (low, high) = self.term(operand, assumed).interval();
                within(-i128::from(high), -i128::from(low))
            }
            Term::Arithmetic(operation, operands) => {
                let [left, right] = [&operands[0], &operands[1]].map(|term| self.term(term, assumed));
                if left.is_empty() || right.is_empty() {
                    return Possible::Int((1, 0));
                }
                arithmetic(*operation, left.interval(), right.interval())
            }
            Term::If(parts) => {
                let (condition, yes, no) = &**parts;
                let branch = |taken: bool, term: &'p Term| {
                    self.assuming(condition, taken, assumed).map(|assumed| self.term(term, &assumed))
                };
                match (branch(true, yes), branch(false, no)) {
                    (Some(yes), Some(no)) => yes.or(no),
                    (Some(one), None) | (None, Some(one)) => one,
                    (None, None) => self.term(yes, assumed).or(self.term(no, assumed)),
                }
            }
            Term::Test(test) => Possible::Bool(self.test(test, assumed)),
        }
    }

    /// Returns how many items there can be, and what they can be.
    pub(crate) fn items(&self, items: &'p Items, assumed: &Assumed<'p>) -> (Interval, Possible) {
        let (length, item) = match items {
            Items::Const(values) => {
                let length = values.len() as i64;
                let item = values.iter().map(Possible::one).reduce(Possible::or).unwrap_or(Possible::of(Vec::new()));
                ((length, length), item)
            }
            Items::Field(field, scalar) => ((0, field.items_max as i64), of_field(field, *scalar)),
            Items::Fact(register) => {
                let held = self.held(*register);
                (held.length, held.item)
            }
            Items::If(parts) => {
                let (_, yes, no) = &**parts;
                let ((a, x), (b, y)) = (self.items(yes, assumed), self.items(no, assumed));
                ((a.0.min(b.0), a.1.max(b.1)), x.or(y))
            }
        };
        // What was assumed of `size(items)`.
        let sized = assumed.terms.iter().rev().find_map(|(term, known)| match term {
            Term::Count(counted) if **counted == *items => Some(known.interval()),
            _ => None,
        });
        match sized {
            Some((least, most)) => ((length.0.max(least), length.1.min(most)), item),
            None => (length, item),
        }
    }

    fn held(&self, register: usize) -> Held {
        // Every register was declared; one that was not can hold anything.
        self.held.get(register).cloned().unwrap_or(Held {
            value: Possible::Int(ALL),
            has: Truth::EITHER,
            length: (0, ENTRIES_MAX as i64),
            item: Possible::Int(ALL),
        })
    }
}

fn of_field(field: &'static Field, scalar: Scalar) -> Possible {
    match (scalar, field.words) {
        (Scalar::Int, _) => Possible::Int((0, i64::MAX)),
        (Scalar::Text, Some(known)) => words(known),
        (Scalar::Bool | Scalar::Text | Scalar::Bytes, _) => {
            let sizes = field.size.map_or((0, field.bytes_max), |size| (size, size));
            Possible::any(scalar, (sizes.0 as i64, sizes.1 as i64))
        }
    }
}

fn words(words: &[&str]) -> Possible {
    Possible::of(words.iter().map(|word| Datum::Text((*word).into())).collect())
}

/// Returns what fits in 64 signed bits; the rest is an error, not a value.
fn within(low: i128, high: i128) -> Possible {
    let (least, most) = (i128::from(i64::MIN), i128::from(i64::MAX));
    if low > most || high < least {
        return Possible::Int((1, 0));
    }
    let fit = |value: i128| i64::try_from(value.clamp(least, most)).unwrap_or(0);
    Possible::Int((fit(low), fit(high)))
}

fn arithmetic(operation: Arithmetic, (a, b): Interval, (c, d): Interval) -> Possible {
    let [a, b, c, d] = [a, b, c, d].map(i128::from);
    let corners = |of: fn(i128, i128) -> i128| {
        let all = [of(a, c), of(a, d), of(b, c), of(b, d)];
        let low = all.into_iter().reduce(i128::min).unwrap_or(0);
        within(low, all.into_iter().reduce(i128::max).unwrap_or(0))
    };
    match operation {
        Arithmetic::Add => within(a + c, b + d),
        Arithmetic::Subtract => within(a - d, b - c),
        Arithmetic::Multiply => corners(|x, y| x * y),
        Arithmetic::Divide if c > 0 || d < 0 => corners(|x, y| x / y),
        Arithmetic::Remainder if c > 0 => within(if a >= 0 { 0 } else { 1 - d }, d - 1),
        Arithmetic::Divide | Arithmetic::Remainder if c == 0 && d == 0 => Possible::Int((1, 0)),
        Arithmetic::Divide | Arithmetic::Remainder => Possible::Int(ALL),
    }
}

/// Returns what the registers of a set can hold before any event: what unset reads as.
pub(crate) fn nothing(scalar: Scalar) -> Possible {
    match scalar {
        Scalar::Int => Possible::Int((1, 0)),
        Scalar::Bool => Possible::Bool(Truth::NEVER),
        Scalar::Text | Scalar::Bytes => Possible::Bytes(Some(vec![]), (1, 0)),
    }
}
