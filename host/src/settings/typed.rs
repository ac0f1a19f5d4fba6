//! The settings as the rest of Loom takes them.

use super::key::FENCE_MODES;
use super::layers::Found;
use super::origin::{Origin, SettingsError, Sourced};
use super::value::{Value, price};
use crate::bounds::Leave;
use crate::environment::Environment;
use crate::session::Wishes;
use loom_bundles::{LoadedBundle, nearest};
use loom_core::process::Limits;
use loom_core::state::Amount;
use loom_providers::Price;
use loom_tools::{FenceLimits, Mode};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Everything that is set, read once and passed down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What a run is like.
    pub run: RunSettings,
    /// What agents and checks run behind.
    pub fence: FenceSettings,
    /// Providers by the user's names for them. A kind's name is a provider of that kind without being set up.
    pub providers: BTreeMap<String, ProviderSettings>,
    /// Who thinks, by agent.
    pub agents: BTreeMap<String, Sourced<Vec<String>>>,
    /// Who thinks, by kind of agent.
    pub kinds: BTreeMap<String, Sourced<Vec<String>>>,
    /// Who thinks, by tier.
    pub tiers: BTreeMap<String, Sourced<Vec<String>>>,
}

/// What a run is like. What is absent is the bundle's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunSettings {
    /// The bundle.
    pub bundle: Sourced<String>,
    /// A preset, or a policy for every gate.
    pub policy: Option<Sourced<String>>,
    /// The flow.
    pub complexity: Option<Sourced<String>>,
    /// Who thinks where nothing else says so, the first choice first; never empty.
    pub providers: Sourced<Vec<String>>,
    /// Most spawns.
    pub max_spawns: Option<Sourced<u64>>,
    /// Most tokens.
    pub max_tokens: Option<Sourced<u64>>,
    /// Most time, in milliseconds.
    pub max_time_ms: Option<Sourced<u64>>,
    /// Most money, in micro-units.
    pub budget_micro: Option<Sourced<u64>>,
}

/// Whether a fence is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FenceMode {
    /// Nothing starts without one.
    Required,
    /// The best there is.
    Auto,
    /// None.
    Off,
}

/// What agents and checks run behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FenceSettings {
    /// Whether one is wanted.
    pub mode: Sourced<FenceMode>,
    /// Whether the network may be reached from behind it.
    pub network: Sourced<bool>,
    /// Agents and checks that may reach it all the same.
    pub network_for: Sourced<Vec<String>>,
    /// Most memory, in bytes.
    pub memory_bytes: Option<Sourced<u64>>,
    /// Most processes.
    pub processes: Option<Sourced<u64>>,
    /// Largest file, in bytes.
    pub file_bytes: Option<Sourced<u64>>,
    /// What may be read beside the workspace and the toolchains; `~/` stands for the home folder.
    pub readable: Sourced<Vec<PathBuf>>,
}

/// Where a credential lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    /// Among the user's secrets, by its name.
    Secret(String),
    /// In a variable of the environment.
    Variable(String),
}

/// A provider as it is set up. What is absent is the provider's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its kind, one of the providers room's.
    pub kind: Sourced<String>,
    /// The program of a harness.
    pub program: Option<Sourced<String>>,
    /// The endpoint.
    pub base_url: Option<Sourced<String>>,
    /// Where its credential lies.
    pub credential: Option<Sourced<Credential>>,
    /// The model by tier.
    pub models: BTreeMap<String, Sourced<String>>,
    /// Most requests for one spawn.
    pub requests_max: Option<Sourced<u64>>,
    /// How often one request may be sent again.
    pub retries_max: Option<Sourced<u64>>,
    /// Most turns of one spawn.
    pub turns_max: Option<Sourced<u64>>,
    /// Most time for which a harness may print nothing, in milliseconds.
    pub idle_limit_ms: Option<Sourced<u64>>,
    /// Whether what it says about costs holds.
    pub prices_known: Option<Sourced<bool>>,
    /// What models cost, by name.
    pub prices: Sourced<Vec<(String, Price)>>,
}

impl Settings {
    /// Makes the settings of what was found; what does not fit together becomes an error.
    pub(super) fn of(found: &Found, errors: &mut Vec<SettingsError>) -> Self {
        let of = Of { found };
        let settings = Settings {
            run: RunSettings {
                bundle: of.text("run.bundle").unwrap_or_else(|| by_default(String::new())),
                policy: of.text("run.policy"),
                complexity: of.text("run.complexity"),
                providers: of.list("run.providers"),
                max_spawns: of.number("run.max_spawns"),
                max_tokens: of.number("run.max_tokens"),
                max_time_ms: of.number("run.max_time"),
                budget_micro: of.number("run.budget_usd"),
            },
            fence: FenceSettings {
                mode: of.text("fence.mode").map_or_else(|| by_default(FenceMode::Auto), |mode| mode.map(mode_of)),
                network: of.flag("fence.network").unwrap_or_else(|| by_default(false)),
                network_for: of.list("fence.network_for"),
                memory_bytes: of.number("fence.memory"),
                processes: of.number("fence.processes"),
                file_bytes: of.number("fence.file_size"),
                readable: of.list("fence.readable").map(paths),
            },
            providers: of.names("providers").into_iter().filter_map(|name| of.provider(name, errors)).collect(),
            agents: of.lists("agents"),
            kinds: of.lists("kinds"),
            tiers: of.lists("tiers"),
        };
        settings.check_names(errors);
        settings
    }

    /// Returns the caps of a run whose bundle has these limits. A project's file can only lower them.
    pub fn caps(&self, limits: &Limits) -> Amount {
        let cap = |set: &Option<Sourced<u64>>, limit: u64| match set {
            Some(set) if set.origin.is_of_project() => set.value.min(limit),
            Some(set) => set.value,
            None => limit,
        };
        Amount {
            spawns: cap(&self.run.max_spawns, limits.spawns),
            tokens: cap(&self.run.max_tokens, limits.tokens),
            money_micro: cap(&self.run.budget_micro, limits.money_micro),
            time_ms: cap(&self.run.max_time_ms, limits.time_ms),
        }
    }

    /// Returns what a run of a bundle is asked, as far as settings say.
    pub fn wishes(&self, bundle: &LoadedBundle) -> Wishes {
        Wishes {
            caps: Some(self.caps(&bundle.bundle.limits)),
            flow: self.run.complexity.as_ref().map(|set| set.value.clone()),
            policy: self.run.policy.as_ref().map(|set| set.value.clone()),
            ..Wishes::default()
        }
    }

    /// Returns who thinks for an agent, the first choice first, and where that is set: for the agent, its kind, its
    /// tier, or every run (SETTINGS-5).
    pub fn providers_of(&self, agent: &str, kind: &str, tier: &str) -> &Sourced<Vec<String>> {
        let of_agent = self.agents.get(agent).or_else(|| self.kinds.get(kind)).or_else(|| self.tiers.get(tier));
        of_agent.unwrap_or(&self.run.providers)
    }

    /// Returns a provider by its name; one that is only named is of the kind of that name.
    pub fn provider(&self, name: &str) -> Option<ProviderSettings> {
        let named = || loom_providers::KINDS.contains(&name).then(|| ProviderSettings::of_kind(name));
        self.providers.get(name).cloned().or_else(named)
    }

    /// Every provider that is named has to be there.
    fn check_names(&self, errors: &mut Vec<SettingsError>) {
        let lists = [&self.agents, &self.kinds, &self.tiers].into_iter().flat_map(BTreeMap::values);
        for list in lists.chain([&self.run.providers]) {
            for name in list.value.iter().filter(|name| self.provider(name).is_none()) {
                let known: BTreeSet<&str> =
                    self.providers.keys().map(String::as_str).chain(loom_providers::KINDS.iter().copied()).collect();
                let repair = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("set it up as [providers.{name}], or name one of {}", join(&known)),
                };
                let what = format!("there is no provider `{name}`");
                errors.push(SettingsError { origin: list.origin.clone(), what, repair });
            }
        }
    }
}

impl FenceSettings {
    /// Returns which fence is asked for, and what programs are let have behind it. A project's file can only lower
    /// limits.
    pub fn leave(&self, environment: &Environment) -> (Mode, Leave) {
        let mode = match self.mode.value {
            FenceMode::Required => Mode::Required,
            FenceMode::Auto => Mode::Auto,
            FenceMode::Off => Mode::Off,
        };
        let usual = Leave::default();
        let limit = |set: &Option<Sourced<u64>>, usual: Option<u64>| match set {
            Some(set) if set.origin.is_of_project() => usual.map(|usual| usual.min(set.value)),
            Some(set) => Some(set.value),
            None => usual,
        };
        let limits = FenceLimits {
            memory_max_bytes: limit(&self.memory_bytes, usual.limits.memory_max_bytes),
            processes_max: limit(&self.processes, usual.limits.processes_max),
            file_max_bytes: limit(&self.file_bytes, usual.limits.file_max_bytes),
        };
        let whole = |path: &PathBuf| match (path.strip_prefix("~"), &environment.home) {
            (Ok(below), Some(home)) => Some(home.join(below)),
            (Ok(_), None) => None,
            (Err(_), _) => Some(path.clone()),
        };
        let readable = self.readable.value.iter().filter_map(whole).collect();
        (mode, Leave { network: self.network.value, network_for: self.network_for.value.clone(), limits, readable })
    }
}

impl ProviderSettings {
    /// Returns a provider of which nothing is set but its kind.
    fn of_kind(kind: &str) -> Self {
        ProviderSettings {
            kind: by_default(kind.to_string()),
            program: None,
            base_url: None,
            credential: None,
            models: BTreeMap::new(),
            requests_max: None,
            retries_max: None,
            turns_max: None,
            idle_limit_ms: None,
            prices_known: None,
            prices: by_default(Vec::new()),
        }
    }
}

impl<T> Sourced<T> {
    /// Changes the value and keeps where it comes from.
    fn map<U>(self, change: impl FnOnce(T) -> U) -> Sourced<U> {
        Sourced { value: change(self.value), origin: self.origin }
    }
}

/// Takes values out of what was found; each has been read as its key's kind.
struct Of<'a> {
    found: &'a Found,
}

impl Of<'_> {
    fn take<T>(&self, path: &str, of: impl FnOnce(&Value) -> Option<T>) -> Option<Sourced<T>> {
        let found = self.found.get(path)?;
        Some(Sourced { value: of(&found.value)?, origin: found.origin.clone() })
    }

    fn text(&self, path: &str) -> Option<Sourced<String>> {
        self.take(path, |value| if let Value::Text(text) = value { Some(text.clone()) } else { None })
    }

    fn number(&self, path: &str) -> Option<Sourced<u64>> {
        self.take(path, |value| if let Value::Number(number) = value { Some(*number) } else { None })
    }

    fn flag(&self, path: &str) -> Option<Sourced<bool>> {
        self.take(path, |value| if let Value::Flag(flag) = value { Some(*flag) } else { None })
    }

    fn list(&self, path: &str) -> Sourced<Vec<String>> {
        let list = self.take(path, |value| if let Value::List(list) = value { Some(list.clone()) } else { None });
        list.unwrap_or_else(|| by_default(Vec::new()))
    }

    /// Returns the names that stand below a table.
    fn names(&self, table: &str) -> BTreeSet<String> {
        let below = self.found.keys().filter_map(|path| path.strip_prefix(table)?.strip_prefix('.')?.split('.').next());
        below.map(str::to_string).collect()
    }

    fn lists(&self, table: &str) -> BTreeMap<String, Sourced<Vec<String>>> {
        self.names(table).into_iter().map(|name| (name.clone(), self.list(&format!("{table}.{name}")))).collect()
    }

    fn provider(&self, name: String, errors: &mut Vec<SettingsError>) -> Option<(String, ProviderSettings)> {
        let path = |key: &str| format!("providers.{name}.{key}");
        let first = self.found.iter().find(|(found, _)| found.starts_with(&path("")))?.1;
        let named = loom_providers::KINDS.contains(&name.as_str()).then(|| by_default(name.clone()));
        let Some(kind) = self.text(&path("kind")).or(named) else {
            let what = format!("`{}` is missing", path("kind"));
            let repair = format!("write one of {}", join(&loom_providers::KINDS.iter().copied().collect()));
            errors.push(SettingsError { origin: first.origin.clone(), what, repair });
            return None;
        };
        let models = format!("providers.{name}.models");
        let credential = self.text(&path("credential")).map(|text| text.map(|text| credential_of(&text)));
        let settings = ProviderSettings {
            kind,
            program: self.text(&path("program")),
            base_url: self.text(&path("base_url")),
            credential,
            models: (self.names(&models).into_iter())
                .filter_map(|tier| Some((tier.clone(), self.text(&format!("{models}.{tier}"))?)))
                .collect(),
            requests_max: self.number(&path("requests_max")),
            retries_max: self.number(&path("retries_max")),
            turns_max: self.number(&path("turns_max")),
            idle_limit_ms: self.number(&path("idle_limit")),
            prices_known: self.flag(&path("prices_known")),
            prices: self.list(&path("prices")).map(|list| list.iter().filter_map(|one| price(one)).collect()),
        };
        Some((name, settings))
    }
}

fn by_default<T>(value: T) -> Sourced<T> {
    Sourced { value, origin: Origin::Default }
}

fn paths(texts: Vec<String>) -> Vec<PathBuf> {
    texts.into_iter().map(PathBuf::from).collect()
}

fn join(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn mode_of(word: String) -> FenceMode {
    match FENCE_MODES.iter().position(|mode| *mode == word) {
        Some(0) => FenceMode::Required,
        Some(2) => FenceMode::Off,
        _ => FenceMode::Auto,
    }
}

fn credential_of(text: &str) -> Credential {
    match text.split_once(':') {
        Some(("env", name)) => Credential::Variable(name.to_string()),
        Some((_, name)) => Credential::Secret(name.to_string()),
        None => Credential::Secret(text.to_string()),
    }
}
