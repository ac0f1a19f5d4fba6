//! What a scalar can be, as far as it is known without running anything: an interval, words, sizes.
//!
//! Every set stands for at least the values that can occur, so what is ruled out here never happens.

use super::super::eval::Value;
use super::super::facts::Datum;
use super::super::form::Order;
use crate::schema::Scalar;
use alloc::vec;
use alloc::vec::Vec;
use core::cmp::Ordering;

/// Which truths a test can give. Neither: it never gives one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Truth {
    pub(crate) yes: bool,
    pub(crate) no: bool,
}

impl Truth {
    pub(crate) const EITHER: Truth = Truth { yes: true, no: true };
    pub(crate) const NEVER: Truth = Truth { yes: false, no: false };

    pub(crate) fn of(value: bool) -> Truth {
        Truth { yes: value, no: !value }
    }

    pub(crate) fn can(self, value: bool) -> bool {
        if value { self.yes } else { self.no }
    }

    pub(crate) fn not(self) -> Truth {
        Truth { yes: self.no, no: self.yes }
    }

    pub(crate) fn or(self, other: Truth) -> Truth {
        Truth { yes: self.yes || other.yes, no: self.no || other.no }
    }
}

/// An inclusive interval; empty where the first is the greater.
pub(crate) type Interval = (i64, i64);

/// Every 64-bit integer.
pub(crate) const ALL: Interval = (i64::MIN, i64::MAX);

/// What a scalar can be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Possible {
    Int(Interval),
    Bool(Truth),
    /// Text or bytes: the only values, ascending, where they are known; and the bytes they have.
    Bytes(Option<Vec<Datum>>, Interval),
}

impl Possible {
    /// Returns every value of a type, texts and bytes up to this long.
    pub(crate) fn any(scalar: Scalar, bytes: Interval) -> Possible {
        match scalar {
            Scalar::Int => Possible::Int(ALL),
            Scalar::Bool => Possible::Bool(Truth::EITHER),
            Scalar::Text | Scalar::Bytes => Possible::Bytes(None, bytes),
        }
    }

    /// Returns one value.
    pub(crate) fn one(value: &Datum) -> Possible {
        match value {
            Datum::Int(value) => Possible::Int((*value, *value)),
            Datum::Bool(value) => Possible::Bool(Truth::of(*value)),
            Datum::Text(_) | Datum::Bytes(_) => Possible::of(vec![value.clone()]),
        }
    }

    /// Returns these texts or byte strings.
    pub(crate) fn of(mut values: Vec<Datum>) -> Possible {
        values.sort();
        values.dedup();
        let sizes = || values.iter().map(size);
        let range = (sizes().min().unwrap_or(1), sizes().max().unwrap_or(0));
        Possible::Bytes(Some(values), range)
    }

    /// Whether no value is left.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Possible::Int((low, high)) => low > high,
            Possible::Bool(truth) => *truth == Truth::NEVER,
            Possible::Bytes(values, (low, high)) => low > high || values.as_ref().is_some_and(Vec::is_empty),
        }
    }

    /// Returns the values of either.
    pub(crate) fn or(self, other: Possible) -> Possible {
        if self.is_empty() {
            return other;
        }
        if other.is_empty() {
            return self;
        }
        match (self, other) {
            (Possible::Int(a), Possible::Int(b)) => Possible::Int((a.0.min(b.0), a.1.max(b.1))),
            (Possible::Bool(a), Possible::Bool(b)) => Possible::Bool(a.or(b)),
            (Possible::Bytes(Some(mut a), _), Possible::Bytes(Some(b), _)) => {
                a.extend(b);
                Possible::of(a)
            }
            (Possible::Bytes(_, a), Possible::Bytes(_, b)) => Possible::Bytes(None, (a.0.min(b.0), a.1.max(b.1))),
            // Types are checked before anything is proven.
            (one, _) => one,
        }
    }

    /// Returns the values of both.
    pub(crate) fn and(self, other: &Possible) -> Possible {
        match (self, other) {
            (Possible::Int(a), Possible::Int(b)) => Possible::Int((a.0.max(b.0), a.1.min(b.1))),
            (Possible::Bool(a), Possible::Bool(b)) => Possible::Bool(Truth { yes: a.yes && b.yes, no: a.no && b.no }),
            (Possible::Bytes(a, x), Possible::Bytes(b, y)) => {
                let range = (x.0.max(y.0), x.1.min(y.1));
                let fits = |value: &Datum| (range.0..=range.1).contains(&size(value));
                let values = match (a, b) {
                    (Some(a), Some(b)) => Some(a.into_iter().filter(|value| b.contains(value)).collect::<Vec<_>>()),
                    (Some(a), None) => Some(a),
                    (None, Some(b)) => Some(b.clone()),
                    (None, None) => None,
                };
                match values {
                    Some(values) => Possible::of(values.into_iter().filter(fits).collect()),
                    None => Possible::Bytes(None, range),
                }
            }
            (one, _) => one,
        }
    }

    /// Returns what is left without one value.
    pub(crate) fn without(self, value: &Datum) -> Possible {
        match (self, value) {
            (Possible::Int((low, high)), Datum::Int(value)) if low == *value && high == *value => Possible::Int((1, 0)),
            (Possible::Int((low, high)), Datum::Int(value)) if low == *value => Possible::Int((low + 1, high)),
            (Possible::Int((low, high)), Datum::Int(value)) if high == *value => Possible::Int((low, high - 1)),
            (Possible::Bool(truth), Datum::Bool(value)) => {
                Possible::Bool(Truth { yes: truth.yes && !value, no: truth.no && *value })
            }
            (Possible::Bytes(Some(values), _), value) => {
                Possible::of(values.into_iter().filter(|other| other != value).collect())
            }
            (one, _) => one,
        }
    }

    /// Returns the one value that it can be.
    pub(crate) fn only(&self) -> Option<Datum> {
        match self {
            Possible::Int((low, high)) if low == high => Some(Datum::Int(*low)),
            Possible::Bool(Truth { yes, no }) if yes != no => Some(Datum::Bool(*yes)),
            Possible::Bytes(Some(values), _) if values.len() == 1 => values.first().cloned(),
            Possible::Int(_) | Possible::Bool(_) | Possible::Bytes(..) => None,
        }
    }

    pub(crate) fn interval(&self) -> Interval {
        match self {
            Possible::Int(interval) => *interval,
            Possible::Bool(_) | Possible::Bytes(..) => ALL,
        }
    }

    pub(crate) fn truth(&self) -> Truth {
        match self {
            Possible::Bool(truth) => *truth,
            Possible::Int(_) | Possible::Bytes(..) => Truth::EITHER,
        }
    }

    /// Returns the values, where they are few and known.
    pub(crate) fn values(&self) -> Option<Vec<Datum>> {
        match self {
            Possible::Bytes(values, _) => values.clone(),
            Possible::Bool(truth) => {
                Some([false, true].into_iter().filter(|value| truth.can(*value)).map(Datum::Bool).collect())
            }
            Possible::Int(_) => None,
        }
    }

    /// Whether two of these can be equal, and can differ.
    pub(crate) fn equals(&self, other: &Possible) -> Truth {
        if self.is_empty() || other.is_empty() {
            return Truth::NEVER;
        }
        let same = self.only().is_some_and(|value| other.only() == Some(value));
        Truth { yes: !self.clone().and(other).is_empty(), no: !same }
    }

    /// Whether two of these can be in this order, and can be otherwise.
    pub(crate) fn ordered(&self, order: Order, other: &Possible) -> Truth {
        if self.is_empty() || other.is_empty() {
            return Truth::NEVER;
        }
        match (self, other) {
            (Possible::Int((a, b)), Possible::Int((c, d))) => match order {
                Order::Less => Truth { yes: a < d, no: b >= c },
                Order::LessEqual => Truth { yes: a <= d, no: b > c },
                Order::Greater => Truth { yes: b > c, no: a <= d },
                Order::GreaterEqual => Truth { yes: b >= c, no: a < d },
            },
            _ => match (self.values(), other.values()) {
                (Some(left), Some(right)) => {
                    let mut truth = Truth::NEVER;
                    for (x, y) in left.iter().flat_map(|x| right.iter().map(move |y| (x, y))) {
                        truth = truth.or(Truth::of(holds(order, x.borrow().cmp(&y.borrow()))));
                    }
                    truth
                }
                _ => Truth::EITHER,
            },
        }
    }
}

/// Whether two values that compare so are in this order.
pub(crate) fn holds(order: Order, found: Ordering) -> bool {
    match order {
        Order::Less => found == Ordering::Less,
        Order::LessEqual => found != Ordering::Greater,
        Order::Greater => found == Ordering::Greater,
        Order::GreaterEqual => found != Ordering::Less,
    }
}

/// Returns the order that holds exactly where this one does not.
pub(crate) fn opposite(order: Order) -> Order {
    match order {
        Order::Less => Order::GreaterEqual,
        Order::LessEqual => Order::Greater,
        Order::Greater => Order::LessEqual,
        Order::GreaterEqual => Order::Less,
    }
}

fn size(value: &Datum) -> i64 {
    match value.borrow() {
        Value::Text(text) => text.len() as i64,
        Value::Bytes(bytes) => bytes.len() as i64,
        Value::Int(_) | Value::Bool(_) => 0,
    }
}
