//! The kinds of providers, as settings name them.

use crate::api::ApiKind;
use crate::backends::ProviderKind;

/// The kinds. A provider that is set up without a kind is of the kind of its name.
pub const KINDS: &[&str] = &["claude", "codex", "anthropic", "openai"];
/// Who thinks where nobody is chosen: names of providers, parted by commas.
pub const DEFAULT: &str = "claude,codex";
/// One of them as TOML, for the table of keys.
pub const KIND_SAMPLE: &str = "\"anthropic\"";

impl ProviderKind {
    /// Returns the kind of a word; `None` for a word that is none of [`KINDS`].
    pub fn of(word: &str) -> Option<Self> {
        Some(match word {
            "claude" => ProviderKind::Claude,
            "codex" => ProviderKind::Codex,
            "anthropic" => ProviderKind::Api(ApiKind::Anthropic),
            "openai" => ProviderKind::Api(ApiKind::OpenAi),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_named_is_one() {
        assert!(KINDS.iter().all(|word| ProviderKind::of(word).is_some()));
        assert!(DEFAULT.split(',').all(|word| KINDS.contains(&word)));
        assert_eq!(ProviderKind::of("oracle"), None);
    }
}
