//! The choice of one provider for one spawn, and the spawn handed to it.

use super::settings::{BackendSettings, Chains, NoProvider, ProviderKind, ProviderSettings};
use crate::api::{Api, ApiSettings};
use crate::claude::{Claude, ClaudeSettings};
use crate::codex::{Codex, CodexSettings};
use crate::provider::{Hands, Provider, SpawnOrder, SpawnReport};
use std::collections::{BTreeMap, BTreeSet};

/// The providers as one: each spawn is done by one of them.
#[derive(Debug, Clone)]
pub struct Backends {
    /// With what each lacks to be asked anything.
    providers: BTreeMap<String, (ProviderSettings, Option<String>)>,
    chains: Chains,
}

impl Backends {
    /// Returns providers of these settings; `is_installed` says whether a program can be found.
    ///
    /// # Errors
    /// [`NoProvider`], when a chain names a provider that there is not, or none that is named is set up.
    pub fn new(settings: BackendSettings, is_installed: impl Fn(&str) -> bool) -> Result<Self, NoProvider> {
        let known = settings.known();
        if let Some(name) = settings.chains.all().find(|name| !known.contains(name)) {
            return Err(NoProvider::Unknown { name: name.clone(), known });
        }
        let BackendSettings { providers, chains } = settings;
        let mut found = BTreeMap::new();
        for provider in providers {
            let lack = provider.lack(&is_installed);
            found.entry(provider.name.clone()).or_insert((provider, lack));
        }
        let named: BTreeSet<&String> = chains.all().collect();
        let lacks: Vec<String> =
            named.iter().filter_map(|name| Some(format!("{name}: {}", found.get(*name)?.1.as_ref()?))).collect();
        if lacks.len() == named.len() {
            return Err(NoProvider::NotSetUp(lacks));
        }
        Ok(Backends { providers: found, chains })
    }

    /// Returns who does an order and why; or why nobody does (BACKEND-3).
    fn choose(&self, order: &SpawnOrder) -> Result<(&ProviderSettings, String), String> {
        let (mut why, chain) = self.chains.of(order);
        let (mut usable, mut skipped) = (Vec::new(), Vec::new());
        for name in chain {
            let Some((provider, lack)) = self.providers.get(name) else { continue };
            match lack.clone().or_else(|| provider.inability(order)) {
                None => usable.push(provider),
                Some(reason) => skipped.push(format!("{name}: {reason}")),
            }
        }
        let place = usize::try_from(order.attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let place = place.min(usable.len().saturating_sub(1));
        let Some(chosen) = usable.get(place) else {
            let skipped = if skipped.is_empty() { "its chain is empty".to_string() } else { skipped.join("; ") };
            return Err(format!("nobody can be asked for agent {} ({why}): {skipped}", order.agent));
        };
        if place > 0 {
            let before: Vec<&str> = usable[..place].iter().map(|provider| provider.name.as_str()).collect();
            why.push_str(&format!("; attempt {}, after {}", order.attempt, before.join(", ")));
        }
        if !skipped.is_empty() {
            why.push_str(&format!("; skipped {}", skipped.join("; ")));
        }
        Ok((chosen, why))
    }

    /// Makes the provider that does one spawn, with the endpoint and the credential that it is handed.
    fn provider(&self, settings: &ProviderSettings, order: &SpawnOrder) -> Box<dyn Provider> {
        let models = settings.model(&order.tier).map(|model| (order.tier.clone(), model.clone())).into_iter().collect();
        let (base_url, credential) = (settings.base_url.clone(), settings.credential.clone());
        let program = settings.program().unwrap_or_default().to_string();
        match settings.kind {
            ProviderKind::Claude => {
                let variable = settings.claude_variable();
                Box::new(Claude::new(ClaudeSettings {
                    program,
                    credential: (variable.to_string(), credential.unwrap_or_default()),
                    base_url,
                    models,
                    requests_max: settings.requests_max,
                    retries_max: settings.retries_max,
                    turns_max: settings.turns_max,
                    idle_limit_ms: settings.idle_limit_ms,
                    prices_known: settings.prices_known,
                    variables: settings.variables.clone(),
                }))
            }
            ProviderKind::Codex => Box::new(Codex::new(CodexSettings {
                program,
                credential: credential.unwrap_or_default(),
                base_url,
                models,
                requests_max: settings.requests_max,
                retries_max: settings.retries_max,
                idle_limit_ms: settings.idle_limit_ms,
                variables: settings.variables.clone(),
            })),
            ProviderKind::Api(kind) => Box::new(Api::new(ApiSettings {
                name: settings.name.clone(),
                kind,
                base_url,
                credential,
                models,
                retries_max: settings.retries_max,
                idle_limit_ms: settings.idle_limit_ms,
                prices: settings.prices.clone(),
            })),
        }
    }
}

impl Provider for Backends {
    fn name(&self) -> &str {
        "backends"
    }

    fn credentials(&self) -> Vec<String> {
        self.providers.values().filter_map(|(provider, _)| provider.credential.clone()).collect()
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        let (settings, why) = match self.choose(order) {
            Ok(chosen) => chosen,
            Err(why) => return SpawnReport::broken(why),
        };
        let report = self.provider(settings, order).run(order, hands);
        let price = report.model.as_ref().and_then(|model| settings.prices.get(model));
        let cost = || price?.of(report.tokens_in?, report.tokens_out?);
        // One that has a name of its own says what it is beside it.
        let provider = match (&report.provider, settings.program()) {
            (Some(told), Some(_)) if !told.starts_with(&settings.name) => format!("{} ({told})", settings.name),
            (Some(told), _) => told.clone(),
            (None, _) => settings.name.clone(),
        };
        SpawnReport {
            money_micro: report.money_micro.or_else(cost),
            provider: Some(provider),
            chosen: Some(why),
            ..report
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::ApiKind;
    use std::path::PathBuf;

    fn order(agent: &str, kind: &str, tier: &str, attempt: u64) -> SpawnOrder {
        SpawnOrder {
            agent: agent.to_string(),
            kind: kind.to_string(),
            tier: tier.to_string(),
            prompt: String::new(),
            schema: "{}".to_string(),
            work_dir: PathBuf::new(),
            edits: kind == "worker",
            fenced: false,
            round: 1,
            attempt,
            time_limit_ms: 1,
        }
    }

    fn chain(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    /// Two programs and two APIs, of which `bare` has no credential; reviewers ask another than the rest.
    fn settings() -> BackendSettings {
        let with = |name: &str, kind| ProviderSettings {
            credential: Some("secret".to_string()),
            model: Some("m".to_string()),
            ..ProviderSettings::new(name, kind)
        };
        let openai = ProviderKind::Api(ApiKind::OpenAi);
        let providers = vec![
            with("claude", ProviderKind::Claude),
            with("codex", ProviderKind::Codex),
            ProviderSettings { model: None, ..with("api", openai) },
            ProviderSettings { credential: None, ..with("bare", openai) },
            ProviderSettings { credential: None, base_url: Some("http://x".to_string()), ..with("local", openai) },
        ];
        let providers = providers
            .into_iter()
            .map(|mut provider| {
                provider.models.insert("strong".to_string(), "m-strong".to_string());
                provider
            })
            .collect();
        let chains = Chains {
            agents: BTreeMap::from([("reviewer-logic".to_string(), chain(&["bare", "local", "codex"]))]),
            kinds: BTreeMap::from([("reviewer".to_string(), chain(&["api", "claude"]))]),
            tiers: BTreeMap::from([("strong".to_string(), chain(&["codex", "api"])), ("none".to_string(), Vec::new())]),
            default: chain(&["claude", "codex"]),
        };
        BackendSettings { providers, chains }
    }

    #[track_caller]
    fn check(order: &SpawnOrder, provider: &str, why: &str) {
        let backends = Backends::new(settings(), |_| true).unwrap();
        let chosen = backends.choose(order).map(|(provider, why)| (provider.name.clone(), why));
        assert_eq!(chosen, Ok((provider.to_string(), why.to_string())));
    }

    #[test]
    fn the_first_chain_that_knows_the_agent_holds_and_each_attempt_goes_on_in_it() {
        check(&order("planner", "adviser", "balanced", 1), "claude", "default");
        check(&order("planner", "adviser", "balanced", 2), "codex", "default; attempt 2, after claude");
        check(&order("planner", "adviser", "balanced", 9), "codex", "default; attempt 9, after claude");
        check(&order("architect", "adviser", "strong", 1), "codex", "tier strong");
        check(&order("adjudicator", "reviewer", "strong", 1), "api", "kind reviewer");
        check(&order("adjudicator", "reviewer", "strong", 2), "claude", "kind reviewer; attempt 2, after api");
        let skipped = "agent reviewer-logic; skipped bare: no credential";
        check(&order("reviewer-logic", "reviewer", "strong", 1), "local", skipped);
        let skipped = "agent reviewer-logic; attempt 2, after local; skipped bare: no credential";
        check(&order("reviewer-logic", "reviewer", "strong", 2), "codex", skipped);
    }

    #[test]
    fn who_cannot_do_it_is_passed_over() {
        let skipped = "kind reviewer; skipped api: no model for tier fast";
        check(&order("reviewer-style", "reviewer", "fast", 1), "claude", skipped);
        let edits = order("implementer-escalated", "worker", "strong", 2);
        check(&edits, "codex", "tier strong; skipped api: an API cannot change files");
        let backends = Backends::new(settings(), |program| program != "codex").unwrap();
        let nobody = backends.choose(&edits).err();
        let why = "nobody can be asked for agent implementer-escalated (tier strong): codex: the program `codex` is not \
                   installed; api: an API cannot change files";
        assert_eq!(nobody.as_deref(), Some(why));
        let nobody = backends.choose(&order("x", "adviser", "none", 1)).err();
        assert_eq!(nobody.as_deref(), Some("nobody can be asked for agent x (tier none): its chain is empty"));
    }

    #[test]
    fn nobody_to_ask_is_told_before_anything_is_done() {
        let lacks = Backends::new(BackendSettings::of_variables(|_| None), |_| true).err();
        let lacks = lacks.map(|error| error.to_string()).unwrap_or_default();
        assert!(lacks.ends_with("(claude: no credential; codex: no credential)"), "{lacks}");
        let set = |name: &str| (name == "OPENAI_API_KEY").then(|| "secret".to_string());
        let lacks = Backends::new(BackendSettings::of_variables(set), |_| false).err();
        assert_eq!(lacks, Some(NoProvider::NotSetUp(vec!["codex: the program `codex` is not installed".to_string()])));
        let mut typed = settings();
        typed.chains.default = chain(&["claud"]);
        let unknown = Backends::new(typed, |_| true).err().map(|error| error.to_string());
        let told = "there is no provider `claud`; there are claude, codex, api, bare, local";
        assert_eq!(unknown.as_deref(), Some(told));
    }

    #[test]
    fn whoever_has_a_credential_is_found_and_one_can_be_pinned() {
        let set = |name: &str| (name == "ANTHROPIC_AUTH_TOKEN").then(|| "secret".to_string());
        let found = BackendSettings::of_variables(set);
        assert_eq!(found.chains.default, ["claude"]);
        assert_eq!(found.providers[0].credential_variable.as_deref(), Some("ANTHROPIC_AUTH_TOKEN"));
        let mut pinned = settings();
        pinned.pin(Some("codex"), Some("mine")).unwrap();
        let backends = Backends::new(pinned, |_| true).unwrap();
        let (provider, why) = backends.choose(&order("reviewer-logic", "reviewer", "strong", 2)).unwrap();
        assert_eq!((provider.name.as_str(), why.as_str()), ("codex", "default"));
        assert_eq!(provider.model("strong").map(String::as_str), Some("mine"));
        let mut with_model = settings();
        with_model.pin(None, Some("mine")).unwrap();
        assert_eq!(with_model.chains.default, ["claude"]);
        let mut as_before = settings();
        as_before.pin(None, None).unwrap();
        assert_eq!(as_before, settings());
        assert!(matches!(as_before.pin(Some("claud"), None), Err(NoProvider::Unknown { .. })));
    }

    #[test]
    fn no_credential_is_shown() {
        let backends = Backends::new(settings(), |_| true).unwrap();
        assert!(!format!("{:?} {backends:?}", settings()).contains("secret"));
    }
}
