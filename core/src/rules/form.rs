//! The lowered form: typed, total, with every name resolved. It is all that evaluation knows of a rule.
//!
//! Three sorts of node, by what they give: [`Test`] a truth, [`Term`] a scalar, [`Items`] values to go through.
//! Registers are indices into the facts of one set, fields are entries of the schema. Height is bounded by that
//! of the syntax tree.

use super::facts::Datum;
use super::glob::Glob;
use crate::schema::{Field, Scalar};
use alloc::boxed::Box;
use alloc::vec::Vec;

/// Index of a register.
pub(crate) type Register = usize;

/// Gives a truth.
#[derive(Debug, PartialEq)]
pub(crate) enum Test {
    Const(bool),
    Not(Box<Test>),
    And(Vec<Test>),
    Or(Vec<Test>),
    If(Box<[Test; 3]>),
    /// Equal (true) or not equal (false).
    Equal(bool, Box<[Term; 2]>),
    EqualItems(bool, Box<[Items; 2]>),
    Order(Order, Box<[Term; 2]>),
    In(Box<(Term, Items)>),
    HasField(&'static Field),
    HasFact(Register),
    StartsWith(Box<[Term; 2]>),
    EndsWith(Box<[Term; 2]>),
    Contains(Box<[Term; 2]>),
    Glob(Box<(Term, Glob)>),
    Every(Quantity, Box<(Items, Test)>),
    Value(Box<Term>),
}

/// How two scalars of one type may be ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

/// How many items have to pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quantity {
    All,
    Exists,
    ExistsOne,
}

/// Gives a scalar.
#[derive(Debug, PartialEq)]
pub(crate) enum Term {
    Const(Datum),
    Field(&'static Field, Scalar),
    Envelope(Envelope),
    Fact(Register),
    /// The value under a key; 0 for a missing key where the flag says so.
    Keyed(Register, bool, Box<Term>),
    /// The variable bound so many macros further out.
    Variable(usize),
    Size(Box<Term>),
    Count(Box<Items>),
    Negate(Box<Term>),
    Arithmetic(Arithmetic, Box<[Term; 2]>),
    If(Box<(Test, Term, Term)>),
    Test(Box<Test>),
}

/// What the envelope tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Envelope {
    Sequence,
    StampMs,
    Actor,
    ActorClass,
    Kind,
}

/// What the envelope gives to every kind; these names hide fields of the same name.
pub(crate) const ENVELOPE: [(&str, Envelope); 5] = [
    ("sequence", Envelope::Sequence),
    ("stamp_ms", Envelope::StampMs),
    ("actor", Envelope::Actor),
    ("actor_class", Envelope::ActorClass),
    ("kind", Envelope::Kind),
];

/// Checked integer arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

/// Gives values to go through: a list, a set, or the keys of a keyed fact.
#[derive(Debug, PartialEq)]
pub(crate) enum Items {
    Const(Vec<Datum>),
    Field(&'static Field, Scalar),
    Fact(Register),
    If(Box<(Test, Items, Items)>),
}
