//! Fetches a provider's credential from where the settings say that it lies.

use super::typed::{Credential, ProviderSettings};
use crate::secrets::{SecretsError, Vault};
use loom_providers::Configured;
use std::collections::BTreeMap;

/// Why a credential cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialError {
    /// It is a secret that cannot be had.
    #[error("the credential of provider `{provider}` cannot be had")]
    Secret {
        /// The provider.
        provider: String,
        /// Why not.
        #[source]
        source: SecretsError,
    },
    /// It should lie in a variable that is not set.
    #[error("the credential of provider `{provider}` should lie in {variable}, which is not set")]
    Variable {
        /// The provider.
        provider: String,
        /// The variable.
        variable: String,
    },
}

impl ProviderSettings {
    /// Returns what the provider is made of, its credential with it; `variable` reads a variable of the environment.
    pub fn configured(
        &self,
        name: &str,
        vault: &Vault,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Configured, CredentialError> {
        let provider = || name.to_string();
        let credential = match self.credential.as_ref().map(|set| &set.value) {
            None => None,
            Some(Credential::Secret(secret)) => {
                let failed = |source| CredentialError::Secret { provider: provider(), source };
                Some((None, vault.get(secret).map_err(failed)?.expose().to_string()))
            }
            Some(Credential::Variable(from)) => {
                let unset = || CredentialError::Variable { provider: provider(), variable: from.clone() };
                Some((Some(from.clone()), variable(from).ok_or_else(unset)?))
            }
        };
        let models: BTreeMap<String, String> =
            self.models.iter().map(|(tier, model)| (tier.clone(), model.value.clone())).collect();
        Ok(Configured {
            name: provider(),
            kind: self.kind.value.clone(),
            program: self.program.as_ref().map(|set| set.value.clone()),
            base_url: self.base_url.as_ref().map(|set| set.value.clone()),
            credential,
            model: None,
            models,
            retries_max: self.retries_max.as_ref().map(|set| set.value),
            turns_max: self.turns_max.as_ref().map(|set| set.value),
            idle_limit_ms: self.idle_limit_ms.as_ref().map(|set| set.value),
            prices_known: self.prices_known.as_ref().map(|set| set.value),
        })
    }
}
