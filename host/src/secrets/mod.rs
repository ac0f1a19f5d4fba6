//! Secrets: values that are used and never shown.
//!
//! They lie encrypted in the user's folder for settings; the key lies in another place, outside of projects and of Loom's
//! state (SECRETS-1). That protects a copy of the settings that gets away without the key: a backup, a repository of
//! dot files. It does not protect from a process of the same user, which can read the key as Loom does.

mod secret;
mod vault;

pub use secret::{Secret, is_name};
pub use vault::{Listed, Mark, SecretsError, VALUE_BYTES_MIN, Vault};
