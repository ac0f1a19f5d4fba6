//! Evaluates the lowered form over one event's view and one set's registers.
//!
//! Total: every node gives a value, unknown or error, and takes at most the steps its cost bound says (RULE-11).
//! Nothing is allocated for scalars. `false` absorbs in `&&`, `true` in `||`; otherwise unknown goes before error
//! (RULE-9).

use super::facts::{Datum, Register};
use super::form::{Arithmetic, ENVELOPE, Envelope, Items, Order, Quantity, Term, Test};
use crate::event::View;
use crate::id::Actor;
use crate::schema::{Field, Scalar};
use alloc::format;
use alloc::string::String;
use core::cell::OnceCell;
use core::cmp::Ordering;
use core::fmt;

/// A scalar that borrows from the event, the facts or the rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value<'a> {
    Int(i64),
    Bool(bool),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl Value<'_> {
    pub(crate) fn owned(self) -> Datum {
        match self {
            Value::Int(value) => Datum::Int(value),
            Value::Bool(value) => Datum::Bool(value),
            Value::Text(value) => Datum::Text(value.into()),
            Value::Bytes(value) => Datum::Bytes(value.into()),
        }
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Int(value) => write!(f, "{value}"),
            Value::Bool(value) => write!(f, "{value}"),
            Value::Text(value) => super::syntax::quote(f, value),
            Value::Bytes(value) => match core::str::from_utf8(value) {
                Ok(text) if !text.chars().any(char::is_control) => super::syntax::quote_bytes(f, value),
                _ => f.write_str(&crate::id::hex(value)),
            },
        }
    }
}

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The event's kind version does not record the field.
    UnknownField(&'static Field),
    /// The register overflowed.
    UnknownFact(usize),
    Fault(Fault),
}

/// What went wrong in an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A result does not fit in 64 signed bits.
    Overflow,
    /// Division or remainder by zero.
    Zero,
    /// A field holds 2^63 or more.
    Large(&'static Field),
    /// A field that its schema requires is absent, or not of its type.
    Malformed(&'static Field),
    /// The envelope's stamp, sequence or actor cannot be read as a value.
    Envelope,
    /// A fact is absent, or the facts are not those of these rules.
    Absent,
}

impl Stop {
    fn is_unknown(self) -> bool {
        match self {
            Stop::UnknownField(_) | Stop::UnknownFact(_) => true,
            Stop::Fault(_) => false,
        }
    }

    /// Returns the one that counts: unknown before error, else the first.
    fn or(self, other: Stop) -> Stop {
        if other.is_unknown() && !self.is_unknown() { other } else { self }
    }

    /// Says what is missing (`Ok`) or wrong (`Err`), for people.
    pub(crate) fn words(self, fact: impl Fn(usize) -> String) -> Result<String, String> {
        Err(match self {
            Stop::UnknownField(field) => {
                return Ok(format!("event.{} (recorded since version {} of its kind)", field.name, field.since));
            }
            Stop::UnknownFact(register) => return Ok(fact(register)),
            Stop::Fault(Fault::Overflow) => "an integer does not fit in 64 signed bits".into(),
            Stop::Fault(Fault::Zero) => "division by zero".into(),
            Stop::Fault(Fault::Large(field)) => format!("event.{} is 2^63 or more", field.name),
            Stop::Fault(Fault::Malformed(field)) => format!("event.{} is not as its schema says", field.name),
            Stop::Fault(Fault::Envelope) => "the event's envelope cannot be read as a value".into(),
            Stop::Fault(Fault::Absent) => "a fact that was read is absent".into(),
        })
    }
}

/// What is evaluated over.
pub(crate) struct Context<'e> {
    view: Option<&'e View<'e>>,
    registers: &'e [Register],
    actor: OnceCell<Option<Actor>>,
}

/// The variables of macros, innermost first.
pub(crate) struct Scope<'s, 'e> {
    value: Value<'e>,
    outer: Option<&'s Scope<'s, 'e>>,
}

type Variables<'s, 'e> = Option<&'s Scope<'s, 'e>>;

impl<'e> Context<'e> {
    pub(crate) fn new(view: Option<&'e View<'e>>, registers: &'e [Register]) -> Self {
        Context { view, registers, actor: OnceCell::new() }
    }

    /// Returns the truth of a test.
    pub(crate) fn test<'c>(&'c self, test: &'c Test, scope: Variables<'_, 'c>) -> Result<bool, Stop> {
        match test {
            Test::Const(value) => Ok(*value),
            Test::Not(operand) => self.test(operand, scope).map(|value| !value),
            Test::And(operands) => self.absorb(false, operands.iter().map(|operand| self.test(operand, scope))),
            Test::Or(operands) => self.absorb(true, operands.iter().map(|operand| self.test(operand, scope))),
            Test::If(parts) => {
                let [test, yes, no] = &**parts;
                self.test(if self.test(test, scope)? { yes } else { no }, scope)
            }
            Test::Equal(wanted, operands) => {
                let (left, right) = self.both(operands, scope)?;
                Ok((left == right) == *wanted)
            }
            Test::EqualItems(wanted, operands) => {
                let [left, right] = &**operands;
                Ok(self.same(self.items(left, scope), self.items(right, scope))? == *wanted)
            }
            Test::Order(order, operands) => {
                let (left, right) = self.both(operands, scope)?;
                let found = left.cmp(&right);
                Ok(match order {
                    Order::Less => found == Ordering::Less,
                    Order::LessEqual => found != Ordering::Greater,
                    Order::Greater => found == Ordering::Greater,
                    Order::GreaterEqual => found != Ordering::Less,
                })
            }
            Test::In(parts) => self.contains(self.term(&parts.0, scope), &parts.1, scope),
            Test::HasField(field) => {
                let view = self.view.ok_or(Stop::Fault(Fault::Envelope))?;
                if field.since > view.version {
                    return Err(Stop::UnknownField(field));
                }
                Ok(!field.optional || view.field(field.key).is_some())
            }
            Test::HasFact(register) => match self.registers.get(*register) {
                Some(Register::Unknown(_)) => Err(Stop::UnknownFact(*register)),
                Some(Register::Last(value)) => Ok(value.is_some()),
                Some(Register::List(items)) => Ok(items.is_some()),
                Some(Register::Int(_) | Register::Flag(_) | Register::Set(_) | Register::Keyed(_)) => Ok(true),
                None => Err(Stop::Fault(Fault::Absent)),
            },
            Test::StartsWith(operands) => self.texts(operands, scope).map(|(text, part)| text.starts_with(part)),
            Test::EndsWith(operands) => self.texts(operands, scope).map(|(text, part)| text.ends_with(part)),
            Test::Contains(operands) => self.texts(operands, scope).map(|(text, part)| text.contains(part)),
            Test::Glob(parts) => match self.term(&parts.0, scope)? {
                Value::Bytes(path) => Ok(parts.1.matches(path)),
                Value::Text(path) => Ok(parts.1.matches(path.as_bytes())),
                Value::Int(_) | Value::Bool(_) => Err(Stop::Fault(Fault::Absent)),
            },
            Test::Every(quantity, parts) => {
                let results = self.items(&parts.0, scope)?.map(|value| {
                    let scope = Scope { value: value?, outer: scope };
                    self.test(&parts.1, Some(&scope))
                });
                match quantity {
                    Quantity::All => self.absorb(false, results),
                    Quantity::Exists => self.absorb(true, results),
                    Quantity::ExistsOne => exactly_one(results),
                }
            }
            Test::Value(term) => match self.term(term, scope)? {
                Value::Bool(value) => Ok(value),
                Value::Int(_) | Value::Text(_) | Value::Bytes(_) => Err(Stop::Fault(Fault::Absent)),
            },
        }
    }

    /// Combines truths of which `absorbing` decides alone.
    fn absorb(&self, absorbing: bool, truths: impl Iterator<Item = Result<bool, Stop>>) -> Result<bool, Stop> {
        let mut stopped: Option<Stop> = None;
        for truth in truths {
            match truth {
                Ok(value) if value == absorbing => return Ok(absorbing),
                Ok(_) => {}
                Err(stop) => stopped = Some(stopped.map_or(stop, |first| first.or(stop))),
            }
        }
        stopped.map_or(Ok(!absorbing), Err)
    }

    /// Returns a term's value.
    #[inline]
    pub(crate) fn term<'c>(&'c self, term: &'c Term, scope: Variables<'_, 'c>) -> Result<Value<'c>, Stop> {
        match term {
            Term::Const(value) => Ok(value.borrow()),
            Term::Field(field, scalar) => {
                let view = self.view.ok_or(Stop::Fault(Fault::Envelope))?;
                if field.since > view.version {
                    return Err(Stop::UnknownField(field));
                }
                let mut decoder = view.field(field.key).ok_or(Stop::Fault(Fault::Malformed(field)))?;
                scalar_at(&mut decoder, field, *scalar)
            }
            Term::Envelope(part) => self.envelope(*part),
            Term::Fact(register) => match self.registers.get(*register) {
                Some(Register::Unknown(_)) => Err(Stop::UnknownFact(*register)),
                Some(Register::Int(value)) => Ok(Value::Int(*value)),
                Some(Register::Flag(value)) => Ok(Value::Bool(*value)),
                Some(Register::Last(Some(value))) => Ok(value.borrow()),
                Some(Register::Last(None) | Register::List(_) | Register::Set(_) | Register::Keyed(_)) | None => {
                    Err(Stop::Fault(Fault::Absent))
                }
            },
            Term::Keyed(register, counts, key) => {
                let entries = match self.registers.get(*register) {
                    Some(Register::Unknown(_)) => return Err(Stop::UnknownFact(*register)),
                    Some(Register::Keyed(entries)) => entries,
                    _ => return Err(Stop::Fault(Fault::Absent)),
                };
                let key = self.term(key, scope)?;
                match entries.binary_search_by(|entry| entry.0.borrow().cmp(&key)) {
                    Ok(at) => Ok(entries[at].1.borrow()),
                    Err(_) if *counts => Ok(Value::Int(0)),
                    Err(_) => Err(Stop::Fault(Fault::Absent)),
                }
            }
            Term::Variable(depth) => {
                let mut found = scope;
                for _ in 0..*depth {
                    found = found.and_then(|scope| scope.outer);
                }
                found.map(|scope| scope.value).ok_or(Stop::Fault(Fault::Absent))
            }
            Term::Size(operand) => Ok(Value::Int(match self.term(operand, scope)? {
                Value::Text(text) => text.chars().count() as i64,
                Value::Bytes(bytes) => bytes.len() as i64,
                Value::Int(_) | Value::Bool(_) => return Err(Stop::Fault(Fault::Absent)),
            })),
            Term::Count(items) => Ok(Value::Int(self.items(items, scope)?.length() as i64)),
            Term::Negate(operand) => {
                integer(self.term(operand, scope)?)?.checked_neg().map(Value::Int).ok_or(Stop::Fault(Fault::Overflow))
            }
            Term::Arithmetic(operation, operands) => {
                let (left, right) = self.both(operands, scope)?;
                let (left, right) = (integer(left)?, integer(right)?);
                if right == 0 && matches!(operation, Arithmetic::Divide | Arithmetic::Remainder) {
                    return Err(Stop::Fault(Fault::Zero));
                }
                match operation {
                    Arithmetic::Add => left.checked_add(right),
                    Arithmetic::Subtract => left.checked_sub(right),
                    Arithmetic::Multiply => left.checked_mul(right),
                    Arithmetic::Divide => left.checked_div(right),
                    Arithmetic::Remainder => left.checked_rem(right),
                }
                .map(Value::Int)
                .ok_or(Stop::Fault(Fault::Overflow))
            }
            Term::If(parts) => self.term(if self.test(&parts.0, scope)? { &parts.1 } else { &parts.2 }, scope),
            Term::Test(test) => self.test(test, scope).map(Value::Bool),
        }
    }

    /// Evaluates both operands, so that unknown in either goes before error in the other.
    fn both<'c>(&'c self, operands: &'c [Term; 2], scope: Variables<'_, 'c>) -> Result<(Value<'c>, Value<'c>), Stop> {
        let [left, right] = operands;
        match (self.term(left, scope), self.term(right, scope)) {
            (Ok(left), Ok(right)) => Ok((left, right)),
            (Err(left), Err(right)) => Err(left.or(right)),
            (Err(stop), Ok(_)) | (Ok(_), Err(stop)) => Err(stop),
        }
    }

    fn texts<'c>(&'c self, operands: &'c [Term; 2], scope: Variables<'_, 'c>) -> Result<(&'c str, &'c str), Stop> {
        match self.both(operands, scope)? {
            (Value::Text(left), Value::Text(right)) => Ok((left, right)),
            _ => Err(Stop::Fault(Fault::Absent)),
        }
    }

    fn envelope(&self, part: Envelope) -> Result<Value<'_>, Stop> {
        let fault = Stop::Fault(Fault::Envelope);
        let view = self.view.ok_or(fault)?;
        let count = |value: u64| i64::try_from(value).map(Value::Int).map_err(|_| fault);
        match part {
            Envelope::Sequence => count(view.sequence),
            Envelope::StampMs => count(view.stamp.ms),
            Envelope::Kind => Ok(Value::Text(view.schema.name)),
            Envelope::Actor | Envelope::ActorClass => {
                let actor = self.actor.get_or_init(|| view.actor().ok()).as_ref().ok_or(fault)?;
                Ok(Value::Text(if part == Envelope::Actor { actor.id() } else { actor.class() }))
            }
        }
    }

    /// Returns what the envelope tells under a name, for people.
    pub(crate) fn told(&self, name: &str) -> String {
        let part = ENVELOPE.iter().find(|(envelope, _)| *envelope == name);
        match part.map(|(_, part)| self.envelope(*part)) {
            Some(Ok(value)) => format!("{value}"),
            Some(Err(_)) | None => "unreadable".into(),
        }
    }

    /// Returns the values of a list, a set, or a keyed fact's keys.
    pub(crate) fn items<'c>(&'c self, items: &'c Items, scope: Variables<'_, 'c>) -> Result<Run<'c>, Stop> {
        match items {
            Items::Const(values) => Ok(Run::Data(values.iter())),
            Items::Field(field, scalar) => {
                let view = self.view.ok_or(Stop::Fault(Fault::Envelope))?;
                if field.since > view.version {
                    return Err(Stop::UnknownField(field));
                }
                let Some(mut decoder) = view.field(field.key) else {
                    return Ok(Run::Data([].iter()));
                };
                let left = decoder.array().map_err(|_| Stop::Fault(Fault::Malformed(field)))?;
                Ok(Run::Event { decoder, left, field, scalar: *scalar })
            }
            Items::Fact(register) => match self.registers.get(*register) {
                Some(Register::Unknown(_)) => Err(Stop::UnknownFact(*register)),
                Some(Register::Set(items) | Register::List(Some(items))) => Ok(Run::Data(items.iter())),
                Some(Register::List(None)) => Ok(Run::Data([].iter())),
                Some(Register::Keyed(entries)) => Ok(Run::Entries(entries.iter())),
                Some(Register::Int(_) | Register::Flag(_) | Register::Last(_)) | None => {
                    Err(Stop::Fault(Fault::Absent))
                }
            },
            Items::If(parts) => self.items(if self.test(&parts.0, scope)? { &parts.1 } else { &parts.2 }, scope),
        }
    }

    fn contains<'c>(
        &'c self,
        wanted: Result<Value<'c>, Stop>,
        items: &'c Items,
        scope: Variables<'_, 'c>,
    ) -> Result<bool, Stop> {
        let (wanted, run) = match (wanted, self.items(items, scope)) {
            (Ok(wanted), Ok(run)) => (wanted, run),
            (Err(left), Err(right)) => return Err(left.or(right)),
            (Err(stop), Ok(_)) | (Ok(_), Err(stop)) => return Err(stop),
        };
        match (items, run) {
            (Items::Fact(register), Run::Data(data))
                if matches!(self.registers.get(*register), Some(Register::Set(_))) =>
            {
                Ok(data.as_slice().binary_search_by(|item| item.borrow().cmp(&wanted)).is_ok())
            }
            (_, Run::Entries(entries)) => {
                Ok(entries.as_slice().binary_search_by(|entry| entry.0.borrow().cmp(&wanted)).is_ok())
            }
            (_, run) => self.absorb(true, run.map(|item| item.map(|item| item == wanted))),
        }
    }

    fn same<'c>(&self, left: Result<Run<'c>, Stop>, right: Result<Run<'c>, Stop>) -> Result<bool, Stop> {
        let (left, right) = match (left, right) {
            (Ok(left), Ok(right)) => (left, right),
            (Err(left), Err(right)) => return Err(left.or(right)),
            (Err(stop), Ok(_)) | (Ok(_), Err(stop)) => return Err(stop),
        };
        if left.length() != right.length() {
            return Ok(false);
        }
        for (left, right) in left.zip(right) {
            if left? != right? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn exactly_one(truths: impl Iterator<Item = Result<bool, Stop>>) -> Result<bool, Stop> {
    let (mut count, mut stopped) = (0usize, None::<Stop>);
    for truth in truths {
        match truth {
            Ok(value) => count += usize::from(value),
            Err(stop) => stopped = Some(stopped.map_or(stop, |first| first.or(stop))),
        }
    }
    stopped.map_or(Ok(count == 1), Err)
}

fn integer(value: Value<'_>) -> Result<i64, Stop> {
    match value {
        Value::Int(value) => Ok(value),
        Value::Bool(_) | Value::Text(_) | Value::Bytes(_) => Err(Stop::Fault(Fault::Absent)),
    }
}

#[inline]
fn scalar_at<'a>(
    decoder: &mut crate::cbor::Decoder<'a>,
    field: &'static Field,
    scalar: Scalar,
) -> Result<Value<'a>, Stop> {
    let malformed = Stop::Fault(Fault::Malformed(field));
    match scalar {
        Scalar::Int => {
            let value = decoder.uint().map_err(|_| malformed)?;
            i64::try_from(value).map(Value::Int).map_err(|_| Stop::Fault(Fault::Large(field)))
        }
        Scalar::Bool => decoder.bool().map(Value::Bool).map_err(|_| malformed),
        Scalar::Text => decoder.text().map(Value::Text).map_err(|_| malformed),
        Scalar::Bytes => decoder.bytes().map(Value::Bytes).map_err(|_| malformed),
    }
}

/// Values to go through.
#[derive(Clone)]
pub(crate) enum Run<'a> {
    Data(core::slice::Iter<'a, Datum>),
    Entries(core::slice::Iter<'a, (Datum, Datum)>),
    Event { decoder: crate::cbor::Decoder<'a>, left: u64, field: &'static Field, scalar: Scalar },
}

impl Run<'_> {
    pub(crate) fn length(&self) -> u64 {
        match self {
            Run::Data(data) => data.len() as u64,
            Run::Entries(entries) => entries.len() as u64,
            Run::Event { left, .. } => *left,
        }
    }
}

impl<'a> Iterator for Run<'a> {
    type Item = Result<Value<'a>, Stop>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Run::Data(data) => data.next().map(|item| Ok(item.borrow())),
            Run::Entries(entries) => entries.next().map(|entry| Ok(entry.0.borrow())),
            Run::Event { decoder, left, field, scalar } => {
                *left = left.checked_sub(1)?;
                let value = scalar_at(decoder, field, *scalar);
                if matches!(value, Err(Stop::Fault(Fault::Malformed(_)))) {
                    // The decoder stands somewhere inside an item of another type: nothing after it can be read.
                    *left = 0;
                }
                Some(value)
            }
        }
    }
}
