//! The smallest run that still breaks the same rule: inputs are left out, and what is left is derived anew by core.
//!
//! ```text
//! inputs   0 1 2 3 4 5 6 7    a half, a quarter, … one of them left out, as long as the rule is still broken (SHRINK-1)
//! kept     0   2       6      what core derives from these is the run: chained, judged, driven again like any other
//! ```
//!
//! A crash is looked for alike: what panics where the run is driven or judged again (SHRINK-5).
//!
//! Nothing is cut out of a chain. Where what was derived would not break the rule any more, the run is only cut off behind the
//! commit that does (SHRINK-2).

mod crash;
mod derive;
mod piece;
mod search;

pub use crash::shrink_crash;
pub use piece::Piece;
pub use search::{shrink, shrink_divergence};

use crate::judge::Place;

/// What a run breaks, and is to break still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// `set/rule`
    pub rule: String,
    /// Kind of the event.
    pub kind: &'static str,
    /// Whether it is an event on record, or a decision that was dropped.
    pub place: Place,
}

/// How large a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size {
    /// Its commits.
    pub commits: u64,
    /// Its events.
    pub events: u64,
}

/// How a smaller run came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Core derived it from some of the inputs: a run of its own, in no store.
    Derived,
    /// It is the beginning of the recorded run, up to a commit.
    Cut,
}

impl How {
    /// Returns the word that documents use.
    pub fn word(self) -> &'static str {
        match self {
            How::Derived => "derived",
            How::Cut => "cut",
        }
    }
}

/// A smaller run.
pub struct Shrunk<'r> {
    /// The run; of its blobs those that judging and driving it again read.
    pub run: Piece<'r>,
    /// Name of the store that it belongs to.
    pub origin: [u8; 16],
    /// How it came about.
    pub how: How,
    /// What it breaks; `None` for a run that comes out otherwise, and for one that crashes.
    pub target: Option<Target>,
    /// What is said where driving or judging it again panics.
    pub crash: Option<String>,
    /// Sequence of the event where it does.
    pub sequence: u64,
    /// How large the recorded run is.
    pub before: Size,
    /// How large this one is.
    pub after: Size,
    /// Runs that were derived and judged.
    pub judgements: u64,
    /// Whether no single input more can be left out; else the budget was used up, or it was only cut.
    pub is_smallest: bool,
}
