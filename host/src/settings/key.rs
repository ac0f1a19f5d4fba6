//! The table of keys: everything that there is to say about a key stands here and nowhere else.

use super::value::Kind;

/// What holds where nobody set a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// Nothing; the words say what happens then.
    Absent(&'static str),
    /// This, as a command line would have it.
    Typed(&'static str),
}

/// What a project's file may do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Project {
    /// Nothing.
    Never,
    /// Ask for less than holds without it.
    Stricter,
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its name; a `*` stands for a name of the user's own.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds where nobody set it.
    pub default: Fallback,
    /// What a project's file may do with it.
    pub project: Project,
    /// A value that it takes, as TOML.
    pub valid: &'static str,
    /// A value that it refuses, as TOML.
    pub invalid: &'static str,
    /// What it is for.
    pub doc: &'static str,
}

use Fallback::{Absent, Typed};
use Project::{Never, Stricter};

/// Words of `fence.mode`, the strictest first.
pub(super) const FENCE_MODES: &[&str] = &["required", "auto", "off"];

const fn key(
    name: &'static str,
    kind: Kind,
    default: Fallback,
    project: Project,
    valid: &'static str,
    invalid: &'static str,
    doc: &'static str,
) -> Key {
    Key { name, kind, default, project, valid, invalid, doc }
}

/// Every key there is.
#[rustfmt::skip]
pub const KEYS: &[Key] = &[
    key("run.bundle", Kind::Text, Typed("code"), Never, "\"code\"", "3", "The bundle that a run follows."),
    key("run.policy", Kind::Text, Absent("the bundle's"), Never, "\"human\"", "true", "A preset of the bundle, or a policy for every gate."),
    key("run.complexity", Kind::Text, Absent("the classifier chooses"), Never, "\"standard\"", "[]", "The flow."),
    key("run.providers", Kind::Names, Typed(loom_providers::DEFAULT), Never, "[\"main\", \"spare\"]", "[]", "Who thinks where nothing below says otherwise, the first choice first."),
    key("run.max_spawns", Kind::CountFromOne, Absent("the bundle's"), Stricter, "12", "0", "Most spawns of a run."),
    key("run.max_tokens", Kind::CountFromOne, Absent("the bundle's"), Stricter, "2_000_000", "0", "Most tokens of a run."),
    key("run.max_time", Kind::Span, Absent("the bundle's"), Stricter, "\"90m\"", "\"soon\"", "Most time of a run, as spent by its spawns, its checks and its waits for rate limits."),
    key("run.budget_usd", Kind::Money, Absent("the bundle's"), Stricter, "2.50", "\"2,50\"", "Most money of a run, in dollars."),
    key("fence.mode", Kind::Word(FENCE_MODES), Typed("auto"), Stricter, "\"required\"", "\"maybe\"", "Whether agents and checks run behind a fence: `required` starts nothing without one, `auto` takes the best there is, `off` takes none."),
    key("fence.network", Kind::Flag, Typed("false"), Stricter, "true", "\"yes\"", "Whether what runs behind the fence may reach the network."),
    key("fence.network_for", Kind::Names, Absent("nobody"), Never, "[\"implementer\", \"test\"]", "[]", "Agents and checks that may reach it all the same."),
    key("fence.memory", Kind::Size, Absent("16GiB"), Stricter, "\"2GiB\"", "\"2 lots\"", "Most memory of one spawn or check."),
    key("fence.processes", Kind::CountFromOne, Absent("4096"), Stricter, "200", "0", "Most processes of one spawn or check."),
    key("fence.file_size", Kind::Size, Absent("8GiB"), Stricter, "\"64MiB\"", "\"-1MiB\"", "Largest file that one spawn or check may write."),
    key("fence.readable", Kind::Paths, Typed(""), Never, "[\"/opt/sdk\"]", "[\"sdk\"]", "What may be read beside the workspace and the toolchains, caches among it."),
    key("providers.*.kind", Kind::Word(loom_providers::KINDS), Absent("its name, where that is one of them"), Never, loom_providers::KIND_SAMPLE, "\"oracle\"", "What kind of provider it is."),
    key("providers.*.program", Kind::Text, Absent("the kind's own, on the search path"), Never, "\"/opt/agent/bin/agent\"", "[\"agent\"]", "The program of an agent harness: a name on the search path, or a path."),
    key("providers.*.base_url", Kind::Url, Absent("the vendor's"), Never, "\"https://models.example\"", "\"https://me:word@models.example\"", "The endpoint."),
    key("providers.*.credential", Kind::Credential, Absent("the vendor's own variables"), Never, "\"secret:main\"", "\"main\"", "Where its credential lies; never the credential itself."),
    key("providers.*.models.*", Kind::Text, Absent("the provider's own choice"), Never, "\"model-1\"", "1", "The model for a tier of the bundle."),
    key("providers.*.requests_max", Kind::CountFromOne, Absent("the provider's"), Never, "40", "0", "Most requests to the endpoint for one spawn."),
    key("providers.*.retries_max", Kind::Count, Absent("the provider's"), Never, "2", "-2", "How often one request may be sent again after a failure that may pass."),
    key("providers.*.turns_max", Kind::CountFromOne, Absent("the provider's"), Never, "100", "0", "Most turns of one spawn."),
    key("providers.*.idle_limit", Kind::Span, Absent("the provider's"), Never, "\"15m\"", "15", "Most time for which a harness may print nothing."),
    key("providers.*.prices_known", Kind::Flag, Absent("the provider's"), Never, "true", "1", "Whether what the provider says about costs holds for these models."),
    key("providers.*.prices", Kind::Prices, Absent("unknown"), Never, "[\"model-1 3/15\"]", "[\"model-1 3\"]", "What models cost: a name, dollars for a million tokens read, and for a million written. The cost of others is unknown, and settled at the worst case."),
    key("agents.*", Kind::Names, Absent("as for its kind"), Never, "[\"main\"]", "{}", "Who thinks for an agent of the bundle, the first choice first."),
    key("kinds.*", Kind::Names, Absent("as for its tier"), Never, "[\"main\"]", "[\"not a name\"]", "Who thinks for a kind of agent: classifier, adviser, worker, reviewer."),
    key("tiers.*", Kind::Names, Absent("`run.providers`"), Never, "\"main\"", "7", "Who thinks for a tier of the bundle."),
];

impl Key {
    /// Whether this is the key of a path such as `providers.main.kind`.
    pub fn is(&self, path: &str) -> bool {
        let mut own = self.name.split('.');
        let mut found = path.split('.');
        loop {
            match (own.next(), found.next()) {
                (None, None) => return true,
                (Some("*"), Some(name)) if !name.is_empty() => {}
                (Some(own), Some(name)) if own == name => {}
                _ => return false,
            }
        }
    }

    /// Returns the variable that sets it, with `<NAME>` for a name of the user's own; none where there would be two.
    pub fn variable(&self) -> Option<String> {
        let own = self.name.matches('*').count();
        (own < 2).then(|| format!("LOOM_{}", self.name.replace('.', "_").to_uppercase().replace('*', "<NAME>")))
    }

    /// Returns the path that a variable sets, if it is this key's. In names, `_` of a variable stands for `-`.
    pub fn path_of(&self, variable: &str) -> Option<String> {
        let own = self.variable()?;
        match own.split_once("<NAME>") {
            None => (own == variable).then(|| self.name.to_string()),
            Some((before, after)) => {
                let name = variable.strip_prefix(before)?.strip_suffix(after).filter(|name| !name.is_empty())?;
                Some(self.name.replace('*', &name.to_lowercase().replace('_', "-")))
            }
        }
    }
}

/// Returns the key of a path.
pub fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.is(path))
}

/// Returns the table of keys as Markdown, as `specs/settings.md` has it.
pub fn in_words() -> String {
    let mut text =
        String::from("| key | value | default | variable | a project's file | for |\n|---|---|---|---|---|---|\n");
    for key in KEYS {
        let default = match key.default {
            Absent(words) => words.to_string(),
            Typed("") => "none".to_string(),
            Typed(text) => format!("`{text}`"),
        };
        let variable = key.variable().map_or_else(|| "–".to_string(), |name| format!("`{name}`"));
        let project = match key.project {
            Never => "no",
            Stricter => "stricter only",
        };
        let row =
            [format!("`{}`", key.name), key.kind.word(), default, variable, project.to_string(), key.doc.to_string()];
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}
