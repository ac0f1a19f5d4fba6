//! Makes of the settings who thinks: providers with their credentials at hand, and chains of them.

use super::origin::Origin;
use super::typed::{Credential, ProviderSettings, Settings};
use crate::secrets::{SecretsError, Vault};
use loom_providers::{BackendSettings, Chains, ProviderKind};
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

impl Settings {
    /// Returns who thinks, and which credentials cannot be had: their providers are passed over. What is not set is as
    /// the vendors' own variables have it; `variable` reads a variable of the environment.
    pub fn backends(
        &self,
        vault: &Vault,
        variable: impl Fn(&str) -> Option<String>,
    ) -> (BackendSettings, Vec<CredentialError>) {
        let mut backends = BackendSettings::of_variables(&variable);
        let mut missing = Vec::new();
        let mut own = Vec::new();
        for (name, set) in &self.providers {
            let Some(kind) = ProviderKind::of(&set.kind.value) else { continue };
            let usual = backends.providers.iter().find(|provider| provider.kind == kind);
            let mut provider = usual.cloned().unwrap_or_else(|| loom_providers::ProviderSettings::new(name, kind));
            provider.name.clone_from(name);
            set.put(&mut provider);
            match set.credential(name, vault, &variable) {
                Ok(None) => {}
                Ok(Some((from, value))) => {
                    provider.credential = Some(value);
                    provider.credential_variable = from;
                }
                Err(error) => {
                    provider.credential = None;
                    missing.push(error);
                }
            }
            own.push(provider);
        }
        // Of two with one name the first counts.
        own.append(&mut backends.providers);
        backends.providers = own;
        let chains = |set: &BTreeMap<String, super::Sourced<Vec<String>>>| {
            set.iter().map(|(name, chain)| (name.clone(), chain.value.clone())).collect()
        };
        let default = match self.run.providers.origin {
            Origin::Default => backends.chains.default,
            _ => self.run.providers.value.clone(),
        };
        backends.chains =
            Chains { agents: chains(&self.agents), kinds: chains(&self.kinds), tiers: chains(&self.tiers), default };
        (backends, missing)
    }
}

impl ProviderSettings {
    /// Puts what is set in place of what is usual.
    fn put(&self, provider: &mut loom_providers::ProviderSettings) {
        let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        provider.program = self.program.as_ref().map(|set| set.value.clone()).or(provider.program.take());
        provider.base_url = self.base_url.as_ref().map(|set| set.value.clone()).or(provider.base_url.take());
        provider.models = self.models.iter().map(|(tier, model)| (tier.clone(), model.value.clone())).collect();
        provider.requests_max = self.requests_max.as_ref().map_or(provider.requests_max, |set| set.value);
        provider.retries_max = self.retries_max.as_ref().map_or(provider.retries_max, |set| small(set.value));
        provider.turns_max = self.turns_max.as_ref().map_or(provider.turns_max, |set| small(set.value));
        provider.idle_limit_ms = self.idle_limit_ms.as_ref().map_or(provider.idle_limit_ms, |set| set.value);
        provider.prices_known = self.prices_known.as_ref().map_or(provider.prices_known, |set| set.value);
        provider.prices = self.prices.value.iter().cloned().collect();
    }

    /// Fetches the credential from where it lies, with the variable that held it; nothing where none is set.
    fn credential(
        &self,
        name: &str,
        vault: &Vault,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<(Option<String>, String)>, CredentialError> {
        let provider = || name.to_string();
        Ok(match self.credential.as_ref().map(|set| &set.value) {
            None => None,
            Some(Credential::Secret(secret)) => {
                let failed = |source| CredentialError::Secret { provider: provider(), source };
                Some((None, vault.get(secret).map_err(failed)?.expose().to_string()))
            }
            Some(Credential::Variable(from)) => {
                let unset = || CredentialError::Variable { provider: provider(), variable: from.clone() };
                Some((Some(from.clone()), variable(from).ok_or_else(unset)?))
            }
        })
    }
}
