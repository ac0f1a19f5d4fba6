//! What is wrong with a rule file, where, and how to mend it.
//!
//! Positions count lines and characters from 1. A hint is a repair, never a repetition of the message.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

/// A place in a rule file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// Line, from 1.
    pub line: u32,
    /// Character within the line, from 1.
    pub column: u32,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong with a rule file or a condition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RuleError {
    /// Where.
    pub place: Place,
    /// What is wrong: a lowercase fragment.
    pub message: String,
    /// How to mend it, where that can be said.
    pub hint: Option<String>,
}

impl RuleError {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        RuleError { place, message: message.into(), hint: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds "did you mean" when one of `names` is near `name`.
    pub(crate) fn nearest<'n>(self, name: &str, names: impl Iterator<Item = &'n str>) -> Self {
        match nearest(name, names) {
            Some(near) => self.hint(alloc::format!("did you mean `{near}`?")),
            None => self,
        }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl core::error::Error for RuleError {}

/// Longest name that is compared; longer ones have no neighbours.
const NAME_MAX: usize = 64;

/// Returns the name that takes the fewest edits, if those are few for its length.
pub(crate) fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    names
        .filter(|other| other.len() <= NAME_MAX && name.len() <= NAME_MAX)
        .map(|other| (distance(name.as_bytes(), other.as_bytes()), other))
        .min()
        .filter(|(edits, other)| *edits <= 1 + other.len() / 3)
        .map(|(_, other)| other)
}

/// Counts insertions, deletions and replacements (Levenshtein).
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let replaced = row[j] + usize::from(a != b);
            next.push(replaced.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row[right.len()]
}
