//! A provider as settings have it, with its credential at hand, and what each kind makes of it.

use crate::claude::{Claude, ClaudeSettings};
use crate::provider::Provider;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What is set for a provider. What is absent is the provider's own.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Configured {
    /// Its name, for what is told of it.
    pub name: String,
    /// Its kind.
    pub kind: String,
    /// The program of a harness.
    pub program: Option<String>,
    /// The endpoint.
    pub base_url: Option<String>,
    /// The credential, and the variable that held it, if one did.
    pub credential: Option<(Option<String>, String)>,
    /// The model for every tier; it goes before the next.
    pub model: Option<String>,
    /// The model by tier.
    pub models: BTreeMap<String, String>,
    /// How often one request may be sent again.
    pub retries_max: Option<u64>,
    /// Most turns of one spawn.
    pub turns_max: Option<u64>,
    /// Most time for which a harness may print nothing, in milliseconds.
    pub idle_limit_ms: Option<u64>,
    /// Whether what it says about costs holds.
    pub prices_known: Option<bool>,
}

impl fmt::Debug for Configured {
    /// Hides the credential.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configured").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// A provider cannot think as it is set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotSetUp {
    /// It has no credential.
    #[error("no model is set up: provider `{name}` has no credential: set one of {}, or `credential` under [providers.{name}]", .variables.join(", "))]
    NoCredential {
        /// Its name.
        name: String,
        /// The variables that its kind looks for.
        variables: Vec<String>,
    },
    /// This Loom cannot drive its kind.
    #[error("no model is set up: provider `{name}` is of the kind `{kind}`, which this loom cannot drive")]
    Kind {
        /// Its name.
        name: String,
        /// Its kind.
        kind: String,
    },
}

impl Configured {
    /// Returns the provider; `variable` reads a variable of the environment.
    pub fn provider(&self, variable: impl Fn(&str) -> Option<String>) -> Result<Arc<dyn Provider>, NotSetUp> {
        match self.kind.as_str() {
            "claude" => Ok(Arc::new(Claude::new(ClaudeSettings::configured(self, variable)?))),
            _ => Err(NotSetUp::Kind { name: self.name.clone(), kind: self.kind.clone() }),
        }
    }
}
