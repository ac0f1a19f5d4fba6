//! Who thinks, made anew when the user's secrets have changed: a spawn gets the credentials that hold when it begins
//! (SECRETS-4).

use crate::secrets::{Mark, Vault};
use loom_providers::{Hands, Provider, SpawnOrder, SpawnReport};
use std::sync::{Arc, Mutex, PoisonError};

/// Makes who thinks of the secrets as they are; else says in a sentence why nobody does.
type Make = Box<dyn Fn() -> Result<Arc<dyn Provider>, String> + Send + Sync>;

/// Who thinks, with the credentials as the vault has them.
pub struct Renewed {
    name: String,
    vault: Vault,
    make: Make,
    made: Mutex<Made>,
}

struct Made {
    mark: Option<Mark>,
    provider: Result<Arc<dyn Provider>, String>,
}

impl Renewed {
    /// Takes who was made while the vault had this mark, and how to make them again.
    pub fn new(
        vault: Vault,
        (mark, provider): (Option<Mark>, Arc<dyn Provider>),
        make: impl Fn() -> Result<Arc<dyn Provider>, String> + Send + Sync + 'static,
    ) -> Self {
        let name = provider.name().to_string();
        Renewed { name, vault, make: Box::new(make), made: Mutex::new(Made { mark, provider: Ok(provider) }) }
    }

    fn provider(&self) -> Result<Arc<dyn Provider>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = self.vault.mark();
        // Where nobody could, what stood in the way may be gone.
        if mark != made.mark || made.provider.is_err() {
            *made = Made { mark, provider: (self.make)() };
        }
        made.provider.clone()
    }
}

impl Provider for Renewed {
    fn name(&self) -> &str {
        &self.name
    }

    fn credentials(&self) -> Vec<String> {
        self.provider().map(|provider| provider.credentials()).unwrap_or_default()
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        match self.provider() {
            Ok(provider) => provider.run(order, hands),
            Err(why) => SpawnReport::broken(format!("the secrets have changed, and now {why}")),
        }
    }
}
