//! What is set up: providers, and who of them is asked. Reads no file and no environment: what it needs is handed in.

use crate::api::{ApiKind, Price};
use crate::provider::SpawnOrder;
use std::collections::BTreeMap;
use std::fmt;

/// How often is asked again within one attempt: Loom tries again, too, and sees it.
const RETRIES: u32 = 2;
/// Longer than an agent's shell may take for one call, which is ten minutes.
const IDLE_MS: u64 = 15 * 60_000;
/// More requests than a task of one spawn takes: some for each turn, for titles and summaries beside.
const REQUESTS: u64 = 300;
/// More turns than a task of one spawn takes.
const TURNS: u32 = 100;

/// What a provider is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProviderKind {
    /// Anthropic's agent program.
    Claude,
    /// OpenAI's agent program.
    Codex,
    /// A model's API.
    Api(ApiKind),
}

/// One provider.
#[derive(Clone, PartialEq, Eq)]
pub struct ProviderSettings {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: ProviderKind,
    /// The agent's program, as a name that is looked for or a path; that of its kind where absent.
    pub program: Option<String>,
    /// The model's endpoint; the vendor's own where absent.
    pub base_url: Option<String>,
    /// The credential itself. An API whose endpoint is named may want none.
    pub credential: Option<String>,
    /// The variable from which `claude` takes the credential; ANTHROPIC_API_KEY where absent.
    pub credential_variable: Option<String>,
    /// The model for a tier, in the bundle's words.
    pub models: BTreeMap<String, String>,
    /// The model of every other tier. An agent's program may choose its own where there is none, an API may not.
    pub model: Option<String>,
    /// Most requests that an agent's program may make in a spawn.
    pub requests_max: u64,
    /// How often is asked again within one attempt after a failure that may pass.
    pub retries_max: u32,
    /// How many turns `claude` may take in a spawn.
    pub turns_max: u32,
    /// Most time without a sign of life, in milliseconds.
    pub idle_limit_ms: u64,
    /// Whether what `claude` says about costs holds; it invents a price for a model that it does not know.
    pub prices_known: bool,
    /// What models cost, by name. What came from a cache counts as read at the full price.
    pub prices: BTreeMap<String, Price>,
    /// Further variables of an agent's program, such as a proxy's.
    pub variables: Vec<(String, String)>,
}

impl fmt::Debug for ProviderSettings {
    /// Hides the credential and the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ProviderSettings")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .field("program", &self.program)
            .field("base_url", &self.base_url)
            .field("has_credential", &self.credential.is_some())
            .field("models", &self.models)
            .field("model", &self.model)
            .field("variables", &names)
            .finish_non_exhaustive()
    }
}

impl ProviderSettings {
    /// Returns a provider of a kind with nothing set but its limits.
    pub fn new(name: &str, kind: ProviderKind) -> Self {
        ProviderSettings {
            name: name.to_string(),
            kind,
            program: None,
            base_url: None,
            credential: None,
            credential_variable: None,
            models: BTreeMap::new(),
            model: None,
            requests_max: REQUESTS,
            retries_max: RETRIES,
            turns_max: TURNS,
            idle_limit_ms: IDLE_MS,
            prices_known: false,
            prices: BTreeMap::new(),
            variables: Vec::new(),
        }
    }

    /// Returns the agent's program, if it is one.
    pub(super) fn program(&self) -> Option<&str> {
        let usual = match self.kind {
            ProviderKind::Claude => "claude",
            ProviderKind::Codex => "codex",
            ProviderKind::Api(_) => return None,
        };
        Some(self.program.as_deref().unwrap_or(usual))
    }

    /// Returns the variable by which `claude` is handed its credential: the one that held it, else what it looks like.
    pub(super) fn claude_variable(&self) -> &str {
        let is_token = || self.credential.as_ref().is_some_and(|value| value.starts_with(TOKEN_PREFIX));
        match self.credential_variable.as_deref() {
            Some(name) if CLAUDE_CREDENTIALS.contains(&name) => name,
            _ if is_token() => CLAUDE_CREDENTIALS[2],
            _ => CLAUDE_CREDENTIALS[0],
        }
    }

    pub(super) fn model(&self, tier: &str) -> Option<&String> {
        self.models.get(tier).or(self.model.as_ref())
    }

    /// Returns what it lacks to be asked anything.
    pub(super) fn lack(&self, is_installed: &dyn Fn(&str) -> bool) -> Option<String> {
        let may_go_without = matches!(self.kind, ProviderKind::Api(_)) && self.base_url.is_some();
        if self.credential.is_none() && !may_go_without {
            return Some("no credential".to_string());
        }
        let missing = self.program().filter(|program| !is_installed(program))?;
        Some(format!("the program `{missing}` is not installed"))
    }

    /// Returns why it cannot do an order, where it is set up.
    pub(super) fn inability(&self, order: &SpawnOrder) -> Option<String> {
        if !matches!(self.kind, ProviderKind::Api(_)) {
            return None;
        }
        if order.edits {
            return Some("an API cannot change files".to_string());
        }
        self.model(&order.tier).is_none().then(|| format!("no model for tier {}", order.tier))
    }
}

/// Which providers are asked, by name and in order, and for whom. The first that knows the agent holds: by its name,
/// its kind, its tier, and else the default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chains {
    /// By the agent's name.
    pub agents: BTreeMap<String, Vec<String>>,
    /// By the agent's kind: `classifier`, `adviser`, `worker`, `reviewer`.
    pub kinds: BTreeMap<String, Vec<String>>,
    /// By the tier.
    pub tiers: BTreeMap<String, Vec<String>>,
    /// For everybody else.
    pub default: Vec<String>,
}

impl Chains {
    /// Returns the chain of an order, and by what it was found.
    pub(super) fn of(&self, order: &SpawnOrder) -> (String, &[String]) {
        for (what, name, chains) in [
            ("agent", &order.agent, &self.agents),
            ("kind", &order.kind, &self.kinds),
            ("tier", &order.tier, &self.tiers),
        ] {
            if let Some(chain) = chains.get(name) {
                return (format!("{what} {name}"), chain);
            }
        }
        ("default".to_string(), &self.default)
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let maps = [&self.agents, &self.kinds, &self.tiers];
        maps.into_iter().flat_map(BTreeMap::values).chain([&self.default]).flatten()
    }
}

/// Everything that says who thinks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BackendSettings {
    /// The providers. Of two with one name the first counts.
    pub providers: Vec<ProviderSettings>,
    /// Who of them is asked.
    pub chains: Chains,
}

/// Nobody can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoProvider {
    /// A chain, or a person, names a provider that there is not.
    #[error("there is no provider `{name}`; there are {}", .known.join(", "))]
    Unknown {
        /// What was named.
        name: String,
        /// The providers that there are.
        known: Vec<String>,
    },
    /// None that a chain names is set up.
    #[error(
        "no model is set up: install the agent program `claude` and set ANTHROPIC_API_KEY, or `codex` and \
         OPENAI_API_KEY ({})", .0.join("; ")
    )]
    NotSetUp(Vec<String>),
}

/// The variables from which `claude` takes a credential; the first that is set is handed over.
pub(crate) const CLAUDE_CREDENTIALS: &[&str] =
    &["ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "CLAUDE_CODE_OAUTH_TOKEN"];

/// How the token of a subscription begins, which is the third's.
const TOKEN_PREFIX: &str = "sk-ant-oat";

impl BackendSettings {
    /// Returns what the vendors' own variables make: the agents' programs that have a credential are the default chain,
    /// and the APIs are there to be named.
    pub fn of_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &'static str| Some((name.to_string(), variable(name)?));
        let (claude_variable, claude_credential) = CLAUDE_CREDENTIALS.iter().find_map(|name| set(name)).unzip();
        let claude = ProviderSettings {
            base_url: variable("ANTHROPIC_BASE_URL"),
            credential: claude_credential,
            credential_variable: claude_variable,
            model: variable("ANTHROPIC_MODEL"),
            ..ProviderSettings::new("claude", ProviderKind::Claude)
        };
        let codex = ProviderSettings {
            base_url: variable("OPENAI_BASE_URL"),
            credential: variable("OPENAI_API_KEY"),
            ..ProviderSettings::new("codex", ProviderKind::Codex)
        };
        let anthropic = ProviderSettings {
            base_url: claude.base_url.clone(),
            credential: variable("ANTHROPIC_API_KEY"),
            model: claude.model.clone(),
            ..ProviderSettings::new("anthropic", ProviderKind::Api(ApiKind::Anthropic))
        };
        let openai = ProviderSettings {
            base_url: codex.base_url.clone(),
            credential: codex.credential.clone(),
            ..ProviderSettings::new("openai", ProviderKind::Api(ApiKind::OpenAi))
        };
        let has_credential = |provider: &&ProviderSettings| provider.credential.is_some();
        let mut default: Vec<String> =
            [&claude, &codex].into_iter().filter(has_credential).map(|provider| provider.name.clone()).collect();
        if default.is_empty() {
            // So that each says what it lacks.
            default = vec![claude.name.clone(), codex.name.clone()];
        }
        let chains = Chains { default, ..Chains::default() };
        BackendSettings { providers: vec![claude, codex, anthropic, openai], chains }
    }

    /// Lets one provider do everything, with one model for every tier. Without a provider the model is that of the first
    /// of the default chain, which then does everything.
    ///
    /// # Errors
    /// [`NoProvider::Unknown`].
    pub fn pin(&mut self, provider: Option<&str>, model: Option<&str>) -> Result<(), NoProvider> {
        let Some(name) = provider.map(str::to_string).or_else(|| self.chains.default.first().cloned()) else {
            return Ok(());
        };
        if provider.is_none() && model.is_none() {
            return Ok(());
        }
        let known = self.known();
        let Some(found) = self.providers.iter_mut().find(|found| found.name == name) else {
            return Err(NoProvider::Unknown { name, known });
        };
        if let Some(model) = model {
            found.model = Some(model.to_string());
            found.models.clear();
        }
        self.chains = Chains { default: vec![name], ..Chains::default() };
        Ok(())
    }

    pub(super) fn known(&self) -> Vec<String> {
        self.providers.iter().map(|provider| provider.name.clone()).collect()
    }
}
