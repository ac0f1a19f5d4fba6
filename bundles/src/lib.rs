//! Knows a trade: loads and checks bundles, which are data.
//!
//! A bundle is a folder: `bundle.toml`, prompts, JSON Schemas, rule files and their cases. Loading it yields
//! what core folds over and what a host renders and parses with; a bundle that could leave a run without a way
//! on is refused with file, line and repair. This crate never acts on the world and never reads a workspace.

mod builtin;
pub mod cases;
pub mod checks;
mod error;
mod explain;
mod flaws;
mod load;
mod manifest;
mod mutate;
mod prompt;
mod reply;
mod source;
mod table;

pub use cases::{CaseReport, cases_of, test_rules};
pub use checks::{Checks, FoundCheck, discover};
pub use error::{LoadError, LoadErrors, nearest};
pub use explain::{Explained, explain_rules};
pub use flaws::{RuleFlaw, rule_flaws};
pub use load::{CheckDefinition, LoadedBundle, PolicyUnknown, limits, load};
pub use mutate::{Fate, Mutant, MutationReport, mutate_rules};
pub use prompt::{Finding, PromptError, PromptParts, Repair, render};
pub use reply::{Schema, SchemaError, Unusable, parse_answer};
pub use source::{BundleUnknown, Source, SourceError};
