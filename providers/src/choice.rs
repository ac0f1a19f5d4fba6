//! Chooses who thinks: by name, or by whose credential is set up.

use crate::claude::{Claude, ClaudeSettings};
use crate::provider::Provider;
use std::sync::Arc;

/// The names of the providers that need no more than a credential.
pub const NAMES: &[&str] = &["claude"];

/// Nobody can be chosen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProvider {
    /// There is no provider of that name.
    #[error("there is no provider `{0}`; there are {list}", list = NAMES.join(", "))]
    Unknown(String),
    /// No credential is set up.
    #[error("no model is set up: install the agent program `claude` and set ANTHROPIC_API_KEY")]
    NotSetUp,
}

/// Returns the provider of a name, or whichever is set up. `model` is that of every tier; `variable` reads a variable.
pub fn choose(
    name: Option<&str>,
    model: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<Arc<dyn Provider>, NoProvider> {
    match name {
        None | Some("claude") => {
            let settings = ClaudeSettings::of_variables(model, variable).ok_or(NoProvider::NotSetUp)?;
            Ok(Arc::new(Claude::new(settings)))
        }
        Some(other) => Err(NoProvider::Unknown(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_a_credential_is_chosen_and_no_name_is_guessed() {
        let nothing = |_: &str| None;
        let set = |name: &str| (name == "ANTHROPIC_AUTH_TOKEN").then(|| "secret".to_string());
        assert_eq!(choose(None, None, set).map(|chosen| chosen.name().to_string()), Ok("claude".to_string()));
        assert_eq!(choose(Some("claude"), None, nothing).err(), Some(NoProvider::NotSetUp));
        let unknown = choose(Some("claud"), None, set).err().map(|error| error.to_string());
        assert_eq!(unknown.as_deref(), Some("there is no provider `claud`; there are claude"));
    }
}
