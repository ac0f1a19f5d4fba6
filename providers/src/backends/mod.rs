//! Who thinks, spawn by spawn: providers by name, and chains of names by agent, kind of agent and tier (BACKEND-1).
//!
//! The choice depends on the order and on what is set up, on nothing else: a repeated order gets the same provider. The
//! provider of attempt k is the k-th of the chain that is set up and can do it, or the last (BACKEND-2).

mod choice;
mod settings;

pub use choice::Backends;
pub(crate) use settings::CLAUDE_CREDENTIALS;
pub use settings::{BackendSettings, Chains, NoProvider, ProviderKind, ProviderSettings};
