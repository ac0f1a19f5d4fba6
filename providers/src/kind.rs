//! The kinds of providers, as settings name them.

/// The kinds. A provider that is set up without a kind is of the kind of its name.
pub const KINDS: &[&str] = &["claude", "codex", "anthropic", "openai"];
/// Who thinks where nobody is chosen: names of providers, parted by commas.
pub const DEFAULT: &str = "claude";
/// One of them as TOML, for the table of keys.
pub const KIND_SAMPLE: &str = "\"anthropic\"";
