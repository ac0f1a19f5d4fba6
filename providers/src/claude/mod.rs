//! The harness `claude`: Anthropic's agent, run once for each spawn, without a person.
//!
//! Relies on the lent hands for time, cancelling and its own home folder; on the command's report for everything else.
//! Nothing of a task, a prompt or a credential stands on its command line, and the credential is not given to it at
//! all: it asks through a gateway (HARNESS-1, GATEWAY-1). It is kept from settings of the
//! project and of the home folder, which earlier agents of the run may have written: they may name hooks, servers to
//! start and other endpoints, which would get the credential. So a project's `CLAUDE.md` is not read by itself either
//! (HARNESS-2). It never decides whether an answer is one.

mod report;
mod transcript;

use crate::gateway::{Gateway, Upstream};
use crate::provider::{Hands, Program, Provider, SpawnOrder, SpawnReport};
use std::collections::BTreeMap;
use std::fmt;

/// The vendor's endpoint.
const ENDPOINT: &str = "https://api.anthropic.com";
/// What the command may ask of it.
const ROUTES: &[&str] = &["POST /v1/messages", "POST /v1/messages/count_tokens"];
/// What an agent may use that works on the files.
const TOOLS_OF_EDITORS: &str = "Bash,Edit,Glob,Grep,NotebookEdit,Read,Write";
/// What an agent may use that only reads (HARNESS-3).
const TOOLS_OF_READERS: &str = "Glob,Grep,Read";

/// How the command is called, whatever the order.
const ARGUMENTS: &[&str] = &[
    "--print",
    "--output-format",
    "stream-json",
    "--verbose",
    "--no-session-persistence",
    "--setting-sources",
    "",
    "--strict-mcp-config",
    "--disable-slash-commands",
];

/// Variables that keep it from calling anybody but the model's endpoint, and from doing more than it is told: it would
/// send every file along that a prompt names as `@path`, from anywhere; remember things for the run's other agents; go
/// on with commands after its answer.
const QUIET: &[(&str, &str)] = &[
    ("CLAUDE_CODE_DISABLE_ATTACHMENTS", "1"),
    ("CLAUDE_CODE_DISABLE_AUTO_MEMORY", "1"),
    ("CLAUDE_CODE_DISABLE_BACKGROUND_TASKS", "1"),
    ("CLAUDE_CODE_DISABLE_CRON", "1"),
    ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
    ("DISABLE_AUTOUPDATER", "1"),
    ("DISABLE_ERROR_REPORTING", "1"),
    ("DISABLE_TELEMETRY", "1"),
];

/// How the harness is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct ClaudeSettings {
    /// The command: a name that is looked for on the search path, or a path.
    pub program: String,
    /// The variable that hands over the credential (`ANTHROPIC_API_KEY`, `ANTHROPIC_AUTH_TOKEN`, …) and its value.
    pub credential: (String, String),
    /// The model's endpoint; the vendor's own where absent.
    pub base_url: Option<String>,
    /// Most requests to the endpoint that one spawn may make.
    pub requests_max: u64,
    /// The model for a tier, in the bundle's words; the command's own choice where a tier is missing.
    pub models: BTreeMap<String, String>,
    /// How often the command may ask again for one message after a failure that may pass. Each failure that is left is
    /// the whole spawn's.
    pub retries_max: u32,
    /// How many turns it may take: calls of the model with what the tools answered, without those that are sent again.
    pub turns_max: u32,
    /// Most time for which it may print nothing, in milliseconds. It prints each message once that is whole, and what a
    /// tool says once the tool has ended: a model may think for minutes, and its shell gives a command up to ten.
    pub idle_limit_ms: u64,
    /// Whether the command knows what these models cost. It invents a price for those that it does not know, so
    /// otherwise the cost is unknown.
    pub prices_known: bool,
    /// Further variables, such as a proxy's.
    pub variables: Vec<(String, String)>,
}

impl fmt::Debug for ClaudeSettings {
    /// Hides the credential and the values of variables.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("ClaudeSettings")
            .field("program", &self.program)
            .field("credential", &self.credential.0)
            .field("base_url", &self.base_url)
            .field("requests_max", &self.requests_max)
            .field("models", &self.models)
            .field("retries_max", &self.retries_max)
            .field("turns_max", &self.turns_max)
            .field("idle_limit_ms", &self.idle_limit_ms)
            .field("prices_known", &self.prices_known)
            .field("variables", &names)
            .finish()
    }
}

/// The harness `claude` as a provider.
#[derive(Debug, Clone)]
pub struct Claude {
    settings: ClaudeSettings,
}

impl Claude {
    /// Returns a provider of these settings.
    pub fn new(settings: ClaudeSettings) -> Self {
        Claude { settings }
    }

    fn program(&self, order: &SpawnOrder, gateway: &Gateway) -> Program {
        let settings = &self.settings;
        let mut argv = vec![settings.program.clone()];
        argv.extend(ARGUMENTS.iter().map(ToString::to_string));
        let how: &[&str] = if order.edits {
            // Its editing tools then refuse what lies outside of the folder. A shell does not: that is a fence's to do.
            &["--tools", TOOLS_OF_EDITORS, "--permission-mode", "acceptEdits", "--allowed-tools", "Bash"]
        } else {
            &["--tools", TOOLS_OF_READERS, "--permission-mode", "default"]
        };
        argv.extend(how.iter().map(ToString::to_string));
        argv.extend(["--max-turns".to_string(), settings.turns_max.to_string()]);
        let mut variables: Vec<(String, String)> =
            QUIET.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        variables.extend(settings.variables.iter().cloned());
        let model = settings.models.get(&order.tier);
        variables.extend(model.map(|model| ("ANTHROPIC_MODEL".to_string(), model.clone())));
        variables.push(("CLAUDE_CODE_MAX_RETRIES".to_string(), settings.retries_max.to_string()));
        if settings.retries_max == 0 {
            // A stream that breaks is else asked for once more, as one piece.
            variables.push(("CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK".to_string(), "1".to_string()));
        }
        variables.push(("ANTHROPIC_BASE_URL".to_string(), gateway.url()));
        variables.push((settings.credential.0.clone(), gateway.token().to_string()));
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

impl Provider for Claude {
    fn name(&self) -> &str {
        "claude"
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        let upstream = Upstream {
            base_url: self.settings.base_url.clone().unwrap_or_else(|| ENDPOINT.to_string()),
            credential: self.settings.credential.1.clone(),
            routes: ROUTES,
            requests_max: self.settings.requests_max,
        };
        let gateway = match Gateway::open(&upstream) {
            Ok(gateway) => gateway,
            Err(error) => return SpawnReport::broken(error.to_string()),
        };
        let ended = gateway.watched(hands, &self.program(order, &gateway), transcript::shown);
        report::conclude(&ended, &gateway.close(), self.settings.prices_known)
    }
}
