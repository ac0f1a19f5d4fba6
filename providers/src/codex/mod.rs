//! The harness `codex`: OpenAI's agent, run once for each spawn, without a person.
//!
//! Relies on the lent hands for time, cancelling and a fresh folder in its home; on the command's report for everything
//! else; on the gateway for what was asked and used. Nothing of a task, a prompt or an endpoint stands on its command
//! line (HARNESS-1): what it is told stands in a `config.toml` in that folder, which no agent before has touched.
//! Project and home may say what they like about it, it is not followed: settings, hooks, servers, skills, rules,
//! `AGENTS.md` (HARNESS-2). Settings that the command does not know end it: each keeps it from something (HARNESS-7).

mod report;
mod transcript;

use crate::gateway::{Gateway, Upstream};
use crate::provider::{Hands, Program, Provider, SpawnOrder, SpawnReport};
use loom_core::word::SpawnOutcome;
use std::collections::BTreeMap;
use std::{fmt, fs};

/// What it asks of its endpoint, below the endpoint's own path.
const ROUTES: &[&str] = &["POST /responses"];
/// The variable that hands over the gateway's token. The command keeps it from the agent's shell.
const KEY: &str = "LOOM_MODEL_KEY";
/// The vendor's endpoint.
const ENDPOINT: &str = "https://api.openai.com/v1";
/// The folder that holds all that the command reads of its own, in the run's home; made anew for each spawn (HARNESS-7).
const HOME: &str = ".codex";
/// Most time for the command to tell its version, in milliseconds.
const VERSION_MS: u64 = 30_000;

/// How the command is called, whatever the order.
const ARGUMENTS: &[&str] = &[
    "exec",
    "--json",
    "--strict-config",
    "--skip-git-repo-check",
    "--ephemeral",
    "--ignore-rules",
    "--color",
    "never",
];

/// What keeps it from calling anybody but the model's endpoint, from asking a person, from what project and home say,
/// and from agents of its own.
const CONFIG: &str = r#"
approval_policy = "never"
check_for_update_on_startup = false
project_doc_max_bytes = 0
web_search = "disabled"
allow_login_shell = false
history.persistence = "none"
analytics.enabled = false
feedback.enabled = false
otel.exporter = "none"
skills.include_instructions = false
skills.bundled.enabled = false
agents.enabled = false
tools.experimental_request_user_input.enabled = false
sandbox_workspace_write.exclude_slash_tmp = true
shell_environment_policy.inherit = "all"
shell_environment_policy.exclude = ["LOOM_MODEL_KEY"]

[features]
apps = false
goals = false
hooks = false
memories = false
plugins = false
remote_plugin = false
shell_snapshot = false
tool_suggest = false
view_image = false
"#;

/// How the harness is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct CodexSettings {
    /// The command: a name that is looked for on the search path, or a path.
    pub program: String,
    /// The credential.
    pub credential: String,
    /// The model's endpoint, which speaks the Responses API, as in `https://api.openai.com/v1`; the vendor's own where
    /// absent.
    pub base_url: Option<String>,
    /// The model for a tier, in the bundle's words; the command's own choice where a tier is missing.
    pub models: BTreeMap<String, String>,
    /// Most requests that it may make in a spawn.
    pub requests_max: u64,
    /// How often the command may ask again for one answer after a failure that may pass, and after a stream that broke.
    pub retries_max: u32,
    /// Most time for which it may print nothing, in milliseconds. It prints each step once that is whole.
    pub idle_limit_ms: u64,
    /// Further variables, such as a proxy's.
    pub variables: Vec<(String, String)>,
}

impl fmt::Debug for CodexSettings {
    /// Hides the credential and the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("CodexSettings")
            .field("program", &self.program)
            .field("base_url", &self.base_url)
            .field("models", &self.models)
            .field("requests_max", &self.requests_max)
            .field("retries_max", &self.retries_max)
            .field("idle_limit_ms", &self.idle_limit_ms)
            .field("variables", &names)
            .finish_non_exhaustive()
    }
}

/// The harness `codex` as a provider.
#[derive(Debug, Clone)]
pub struct Codex {
    settings: CodexSettings,
}

impl Codex {
    /// Returns a provider of these settings.
    pub fn new(settings: CodexSettings) -> Self {
        Codex { settings }
    }

    /// Returns the text of `config.toml`.
    fn config(&self, model: Option<&str>, gateway: &Gateway) -> String {
        let settings = &self.settings;
        let quoted = |text: &str| toml::Value::String(text.to_string()).to_string();
        let model = model.map(|model| format!("model = {}\n", quoted(model))).unwrap_or_default();
        let base_url = quoted(&gateway.url());
        // Each request of a stream that is asked for again would else be tried so often, too.
        // And it gives up a silent stream later than it is given up itself.
        let (retries, idle_ms) = (settings.retries_max, settings.idle_limit_ms.saturating_mul(2).min(i64::MAX as u64));
        format!(
            "model_provider = \"loom\"\n{model}{CONFIG}\n[model_providers.loom]\nname = \"loom\"\n\
             base_url = {base_url}\nenv_key = \"{KEY}\"\nwire_api = \"responses\"\nrequest_max_retries = 0\n\
             stream_max_retries = {retries}\nstream_idle_timeout_ms = {idle_ms}\n"
        )
    }

    /// Returns what the command says that its version is; else how the spawn ends.
    fn version(&self, order: &SpawnOrder, hands: &dyn Hands) -> Result<String, (SpawnOutcome, String)> {
        let program = Program {
            argv: vec![self.settings.program.clone(), "--version".to_string()],
            stdin: Vec::new(),
            variables: Vec::new(),
            time_limit_ms: order.time_limit_ms.min(VERSION_MS),
            idle_limit_ms: None,
            door: None,
        };
        let ended = hands.run(&program, &mut |_| {});
        if ended.outcome != SpawnOutcome::Ok {
            return Err((ended.outcome, format!("it does not tell its version: {}", ended.detail)));
        }
        let told = String::from_utf8_lossy(&ended.output);
        Ok(told.trim().trim_start_matches("codex-cli ").to_string())
    }

    fn program(&self, order: &SpawnOrder, gateway: &Gateway, home: String) -> Program {
        let settings = &self.settings;
        // Its own fence does not come about inside of another.
        let sandbox = match (order.fenced, order.edits) {
            (true, _) => "danger-full-access",
            (false, true) => "workspace-write",
            (false, false) => "read-only",
        };
        let mut argv = vec![settings.program.clone()];
        argv.extend(ARGUMENTS.iter().map(ToString::to_string));
        argv.extend(["--sandbox", sandbox, "-"].map(ToString::to_string));
        let mut variables = settings.variables.clone();
        variables.push(("CODEX_HOME".to_string(), home));
        variables.push((KEY.to_string(), gateway.token().to_string()));
        Program {
            argv,
            stdin: order.prompt.clone().into_bytes(),
            variables,
            time_limit_ms: order.time_limit_ms,
            idle_limit_ms: Some(settings.idle_limit_ms),
            door: Some(gateway.door()),
        }
    }
}

impl Provider for Codex {
    fn name(&self) -> &str {
        "codex"
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        let version = match self.version(order, hands) {
            Ok(version) => version,
            Err((outcome, detail)) => return SpawnReport::without_answer(outcome, detail),
        };
        let upstream = Upstream {
            base_url: self.settings.base_url.clone().unwrap_or_else(|| ENDPOINT.to_string()),
            credential: self.settings.credential.clone(),
            routes: ROUTES,
            requests_max: self.settings.requests_max,
        };
        let gateway = match Gateway::open(&upstream) {
            Ok(gateway) => gateway,
            Err(error) => return SpawnReport::broken(error.to_string()),
        };
        let model = self.settings.models.get(&order.tier).cloned();
        let home = hands.fresh_folder(HOME).and_then(|folder| {
            fs::write(folder.join("config.toml"), self.config(model.as_deref(), &gateway))?;
            folder.into_os_string().into_string().map_err(|_| std::io::Error::other("its path is not UTF-8"))
        });
        let home = match home {
            Ok(home) => home,
            Err(error) => return SpawnReport::broken(format!("its folder {HOME} cannot be made: {error}")),
        };
        let ended = gateway.watched(hands, &self.program(order, &gateway, home), transcript::shown);
        report::conclude(&ended, &gateway.close(), &version, model)
    }
}
