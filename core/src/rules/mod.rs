//! Rules: invariants as data. A rule set is a text file of facts and rules; see `specs/rules.md`.
//!
//! Text goes through `lexer`, `parser` (syntax tree), `check` (types, guards, cost) to `form`, a small typed total
//! form, which is all that `eval` runs over an event's lazy view and an array of registers.
//!
//! It promises: equal text, events and order give equal results on every machine; no input panics (RULE-1); nothing is
//! read but the event and the facts folded from its stream. It never reads kernel state, blobs, clocks or another stream.

mod check;
mod digest;
mod error;
mod eval;
mod facts;
mod form;
mod glob;
mod judge;
mod lexer;
mod parser;
mod proof;
mod set;
pub mod syntax;
mod types;

pub use error::{Place, RuleError};
pub use facts::{ENTRIES_MAX, Facts};
pub use glob::Glob;
pub use judge::{Condition, Judgement, Outcome, Rules};
pub use lexer::TEXT_MAX;
pub use parser::{canonical, file as parse};
pub use proof::{Proof, Proven};
pub use set::{COST_MAX, FactInfo, RuleInfo, RuleSet, Severity};

/// Version of the language's syntax and semantics; part of every digest.
///
/// 1: first.
pub const LANGUAGE: u64 = 1;
