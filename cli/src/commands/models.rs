//! `loom models`: who thinks for whom, and whether it answers.

use crate::app::Global;
use crate::configuring::{backends, by_person, place, settings};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, Output, note};
use crate::text::{clean, clip, money};
use loom_bundles::{Source, load};
use loom_core::word::SpawnOutcome;
use loom_host::environment::Environment;
use loom_host::settings::{Layer, Settings, set, user_file};
use loom_host::trial::trial;
use loom_tools::Guard;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::Write;

/// Shows and changes which provider and model thinks for each agent of the bundle.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists tiers and agents with their providers and models, and where that is set.
    List,
    /// Sets who thinks for a tier, a kind of agent, or an agent, in the user's settings.
    Set(SetArguments),
    /// Asks a provider for one word, which is a real call and costs as much.
    Test {
        /// The provider; else the first that every run asks.
        #[arg(value_name = "PROVIDER")]
        provider: Option<String>,
        /// As the model of this tier.
        #[arg(long, value_name = "TIER", default_value = "fast")]
        tier: String,
    },
}

#[derive(Debug, clap::Args)]
struct SetArguments {
    /// Who thinks, the first choice first.
    #[arg(value_name = "PROVIDER", required = true)]
    providers: Vec<String>,
    /// For a tier.
    #[arg(long, value_name = "TIER", required_unless_present_any = ["kind", "agent"], conflicts_with_all = ["kind", "agent"])]
    tier: Option<String>,
    /// For a kind of agent.
    #[arg(long, value_name = "KIND", conflicts_with = "agent")]
    kind: Option<String>,
    /// For an agent.
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// The model that the first of them takes for the tier.
    #[arg(long, value_name = "MODEL", requires = "tier")]
    model: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    tiers: BTreeMap<String, WhoJson>,
    agents: BTreeMap<String, WhoJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct WhoJson {
    tier: String,
    /// For agents.
    kind: Option<&'static str>,
    providers: Vec<ChoiceJson>,
    /// Where the providers are set.
    origin: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ChoiceJson {
    provider: String,
    /// Absent where the provider chooses.
    model: Option<String>,
    /// Where the model is set.
    model_origin: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct TestDocument<'a> {
    loom: &'static str,
    provider: &'a str,
    outcome: &'static str,
    model: Option<&'a str>,
    tokens_in: Option<u64>,
    tokens_out: Option<u64>,
    money_micro: Option<u64>,
    detail: Option<&'a str>,
}

/// Answers `loom models`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let place = place(global);
    match &arguments.what {
        What::List => {}
        What::Set(wanted) => {
            by_person(&environment)?;
            let settings = settings(&environment, &place, &[])?.settings;
            store(wanted, &settings, &environment)?;
        }
        What::Test { provider, tier } => {
            let settings = settings(&environment, &place, &[])?.settings;
            let first = || settings.run.providers.value.first().cloned().unwrap_or_default();
            return test(&provider.clone().unwrap_or_else(first), tier, &settings, &environment, output);
        }
    }
    list(&settings(&environment, &place, &[])?.settings, output)
}

fn list(settings: &Settings, output: &mut Output) -> Result<Exit, CliError> {
    let bundle = load(&Source::builtin(&settings.run.bundle.value)?)?;
    let mut document = Document { loom: "models/1", tiers: BTreeMap::new(), agents: BTreeMap::new() };
    for (name, agent) in &bundle.bundle.agents {
        let of_tier = who(settings, "", "", &agent.tier, None);
        document.tiers.entry(agent.tier.clone()).or_insert(of_tier);
        let kind = agent.kind.word();
        document.agents.insert(name.clone(), who(settings, name, kind, &agent.tier, Some(kind)));
    }
    if output.json {
        output.document(&document)?;
        return Ok(Exit::Ok);
    }
    for (heading, rows) in [("tiers", &document.tiers), ("agents", &document.agents)] {
        writeln!(output.out, "{heading}")?;
        for (name, who) in rows {
            let choices: Vec<String> = who.providers.iter().map(ChoiceJson::words).collect();
            let about = who.kind.map_or_else(String::new, |kind| format!("  {kind}, {}", clean(&who.tier)));
            writeln!(
                output.out,
                "  {}  {}{FAINT}{about}  {}{FAINT:#}",
                clean(name),
                clean(&choices.join(", else ")),
                clean(&who.origin)
            )?;
        }
    }
    Ok(Exit::Ok)
}

impl ChoiceJson {
    fn words(&self) -> String {
        match &self.model {
            Some(model) => format!("{} with {model}", self.provider),
            None => format!("{} with a model of its choice", self.provider),
        }
    }
}

fn who(settings: &Settings, agent: &str, kind: &str, tier: &str, shown: Option<&'static str>) -> WhoJson {
    let set = settings.providers_of(agent, kind, tier);
    let choice = |name: &String| {
        let model = settings.providers.get(name).and_then(|provider| provider.models.get(tier));
        ChoiceJson {
            provider: name.clone(),
            model: model.map(|model| model.value.clone()),
            model_origin: model.map(|model| model.origin.to_string()),
        }
    };
    let providers = set.value.iter().map(choice).collect();
    WhoJson { tier: tier.to_string(), kind: shown, providers, origin: set.origin.to_string() }
}

/// Writes into the user's settings who thinks for whom. Nothing is written where a name is none.
fn store(wanted: &SetArguments, settings: &Settings, environment: &Environment) -> Result<(), CliError> {
    let bundle = load(&Source::builtin(&settings.run.bundle.value)?)?;
    let agents = &bundle.bundle.agents;
    let (table, name, known) = if let Some(tier) = &wanted.tier {
        ("tiers", tier.as_str(), agents.values().any(|agent| agent.tier == *tier))
    } else if let Some(kind) = &wanted.kind {
        ("kinds", kind.as_str(), agents.values().any(|agent| agent.kind.word() == kind))
    } else {
        let agent = wanted.agent.as_deref().unwrap_or_default();
        ("agents", agent, agents.contains_key(agent))
    };
    if !known {
        return Err(CliError::NotInBundle { what: table.trim_end_matches('s').to_string(), name: name.to_string() });
    }
    if let Some(name) = wanted.providers.iter().find(|name| settings.provider(name).is_none()) {
        return Err(CliError::NoSuchProvider { name: name.clone() });
    }
    let file = user_file(environment);
    if let (Some(model), Some(first)) = (&wanted.model, wanted.providers.first()) {
        set(Layer::User, &file, &format!("providers.{first}.models.{name}"), model)?;
    }
    Ok(set(Layer::User, &file, &format!("{table}.{name}"), &wanted.providers.join(","))?)
}

/// Makes one tiny call.
fn test(
    name: &str,
    tier: &str,
    settings: &Settings,
    environment: &Environment,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let provider = backends(settings, Some(name), None, environment)?;
    note(&format!(
        "`{}` is asked for one word now, which is billed to you: some tokens, or with an agent's program the thousands \
         that it sends along with every question",
        clean(name)
    ));
    let guard = std::env::current_exe().map_or(Guard::None, Guard::Path);
    let report = trial(environment, provider.as_ref(), tier, guard)?;
    let answered = report.outcome == SpawnOutcome::Ok;
    if output.json {
        output.document(&TestDocument {
            loom: "models-test/1",
            provider: name,
            outcome: report.outcome.word(),
            model: report.model.as_deref(),
            tokens_in: report.tokens_in,
            tokens_out: report.tokens_out,
            money_micro: report.money_micro,
            detail: report.detail.as_deref(),
        })?;
    } else {
        let unknown = || "unknown".to_string();
        let model = report.model.as_deref().map_or_else(unknown, clean);
        writeln!(
            output.out,
            "{} {}: model {model}",
            clean(name),
            if answered { "answers" } else { "does not answer" }
        )?;
        let said = String::from_utf8_lossy(&report.output);
        let told = report.detail.as_deref().filter(|_| !answered).unwrap_or(&said);
        writeln!(output.out, "  {}", clip(told.trim(), 400))?;
        let tokens = |count: Option<u64>| count.map_or_else(unknown, |count| count.to_string());
        let cost = report.money_micro.map_or_else(unknown, money);
        writeln!(
            output.out,
            "  tokens {} in, {} out; cost {cost}",
            tokens(report.tokens_in),
            tokens(report.tokens_out)
        )?;
    }
    Ok(if answered { Exit::Ok } else { Exit::Unavailable })
}
