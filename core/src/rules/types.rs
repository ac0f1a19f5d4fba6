//! The types of facts and expressions.
//!
//! A type in an expression carries what bounds it (bytes, items) and its vocabulary, for cost and spelling.

use crate::schema::Scalar;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// The word that rules use for a scalar type.
pub(crate) fn scalar_word(scalar: Scalar) -> &'static str {
    match scalar {
        Scalar::Int => "int",
        Scalar::Bool => "bool",
        Scalar::Text => "string",
        Scalar::Bytes => "bytes",
    }
}

/// The type of a fact's register.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FactType {
    /// Counts events; unset is 0.
    Counter,
    /// Adds integers; unset is 0.
    Sum,
    /// Something happened; unset is false.
    Flag,
    /// Distinct values; unset is empty.
    Set(Scalar),
    /// The latest value; unset is absent.
    Last(Scalar),
    /// The latest list; unset reads as empty, and `has` tells.
    LastList(Scalar),
    /// A counter for each key; an unset key reads as 0.
    CounterBy(Scalar),
    /// A sum for each key; an unset key reads as 0.
    SumBy(Scalar),
    /// The latest value for each key (value, key); an unset key is absent.
    LastBy(Scalar, Scalar),
}

impl FactType {
    /// Returns the type of the keys of a keyed fact.
    pub fn key(self) -> Option<Scalar> {
        match self {
            FactType::CounterBy(key) | FactType::SumBy(key) | FactType::LastBy(_, key) => Some(key),
            FactType::Counter
            | FactType::Sum
            | FactType::Flag
            | FactType::Set(_)
            | FactType::Last(_)
            | FactType::LastList(_) => None,
        }
    }
}

impl fmt::Display for FactType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            FactType::Counter => f.write_str("counter"),
            FactType::Sum => f.write_str("sum"),
            FactType::Flag => f.write_str("flag"),
            FactType::Set(item) => write!(f, "set of {}", scalar_word(item)),
            FactType::Last(item) => write!(f, "last {}", scalar_word(item)),
            FactType::LastList(item) => write!(f, "last list of {}", scalar_word(item)),
            FactType::CounterBy(key) => write!(f, "counter by {}", scalar_word(key)),
            FactType::SumBy(key) => write!(f, "sum by {}", scalar_word(key)),
            FactType::LastBy(item, key) => write!(f, "last {} by {}", scalar_word(item), scalar_word(key)),
        }
    }
}

/// What is known of a scalar before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) scalar: Scalar,
    /// Most bytes, for text and bytes.
    pub(crate) bytes_max: u64,
    /// The only words it can hold, if they are known.
    pub(crate) words: Option<Vec<String>>,
}

impl Known {
    /// Returns a scalar of which nothing but the type and length is known.
    pub(crate) fn of(scalar: Scalar, bytes_max: u64) -> Self {
        let bytes_max = match scalar {
            Scalar::Int | Scalar::Bool => 8,
            Scalar::Text | Scalar::Bytes => bytes_max,
        };
        Known { scalar, bytes_max, words: None }
    }

    /// Returns what holds of a value that is one or the other.
    pub(crate) fn or(self, other: Known) -> Known {
        let words = match (self.words, other.words) {
            (Some(mut words), Some(more)) => {
                words.extend(more);
                words.sort();
                words.dedup();
                Some(words)
            }
            (Some(_), None) | (None, Some(_) | None) => None,
        };
        Known { scalar: self.scalar, bytes_max: self.bytes_max.max(other.bytes_max), words }
    }
}
