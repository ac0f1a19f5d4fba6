//! Asks new rules about recorded runs: would they have refused something, and where?
//!
//! Facts of the new rules are folded from each run's first event; each event of a kind that a rule names is judged with the
//! facts before it, as core would have (JUDGE-1). Nothing else is looked at: neither the run's own rules nor its blobs.
//! It never decides and never guesses: what cannot be known is said to be so.

mod differ;
mod examples;
mod judgement;
pub(crate) mod run;
mod scan;
mod sources;
#[cfg(test)]
mod tests;

pub use differ::{Both, Differing, Parting, Partings, Said, Says, differ};
pub use examples::{Example, Examples, Seen, Until, examples};
pub use judgement::{
    Asked, Cleared, Compared, Finding, Judged, JudgedRun, Judgement, LeftOut, Place, RuleTotals, Tally, Totals, Turn,
    Verdict, Way, Why,
};
pub(crate) use sources::known_size;
pub use sources::{judge, judge_store, why_not};

use crate::corpus::Filter;

/// Most findings, and most cleared refusals, that are listed; all are counted.
pub const FINDINGS_MAX: usize = 10_000;

/// How a corpus is judged.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many threads judge a store; at least 1.
    pub threads: usize,
    /// Whether a store is verified while it is judged, or the chains of those runs that are wanted (JUDGE-10); traces always are.
    pub verify: bool,
    /// Which runs are judged.
    pub filter: Filter,
}
