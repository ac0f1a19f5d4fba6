//! Settings: TOML by layers, resolved once into values that know where they come from.
//!
//! ```text
//! flag > environment (LOOM_…) > project (loom.toml) > user (config.toml) > default
//! ```
//!
//! One table of keys ([`KEYS`]) says everything about a key; reading, listing, editing and the document come from it
//! (SETTINGS-1). A project's file is written by whoever wrote the repository, and by agents: it can only ask for less
//! (SETTINGS-3). It is read from the user's own checkout, never from a workspace.

mod backends;
mod edit;
mod key;
mod layers;
mod origin;
mod typed;
mod value;

pub use backends::CredentialError;
pub use edit::{EditError, set};
pub use key::{Fallback, KEYS, Key, Project, find, in_words};
pub use layers::{Found, Given, Read, Warning, project_file, read, user_file};
pub use origin::{Layer, Origin, SettingsError, SettingsErrors, Sourced};
pub use typed::{Credential, FenceMode, FenceSettings, ProviderSettings, RunSettings, Settings};
pub use value::{Kind, Raw, Value, amount_micro, span_ms};
