//! Thinks: the seam behind which models work, an agent harness, and the scripted model.
//!
//! A provider gets an order, works in the folder that the order names, and reports what came of it. It decides
//! nothing, stores nothing and keeps nothing in memory that a repeated order would need: equal orders get equal
//! work. This is the only room that knows vendors.

mod api;
mod backends;
mod claude;
mod codex;
pub mod demo;
mod gateway;
mod kind;
mod lines;
mod play;
mod programs;
mod provider;
mod refusal;
mod retry_after;
mod script;

pub use api::{Api, ApiKind, ApiSettings, Price};
pub use backends::{BackendSettings, Backends, Chains, NoProvider, ProviderKind, ProviderSettings};
pub use claude::{Claude, ClaudeSettings};
pub use codex::{Codex, CodexSettings};
pub use gateway::{Gateway, GatewayError, Tally, Upstream};
pub use kind::{DEFAULT, KIND_SAMPLE, KINDS};
pub use play::{Played, play};
pub use programs::{AgentProgram, PROGRAMS};
pub use provider::{Door, Ended, Hands, Live, Program, Provider, SpawnOrder, SpawnReport};
pub use script::{Edit, Script, ScriptError, Trouble, Turn};

/// The scripted model as a provider.
#[derive(Debug, Clone)]
pub struct Scripted {
    script: Script,
}

impl Scripted {
    /// Returns a provider that plays the script.
    pub fn new(script: Script) -> Self {
        Scripted { script }
    }
}

impl Provider for Scripted {
    fn name(&self) -> &str {
        "scripted"
    }

    fn run(&self, order: &SpawnOrder, hands: &dyn Hands) -> SpawnReport {
        match self.script.turn(&order.agent, order.round, order.attempt) {
            Some(turn) => {
                let model = turn.model.as_ref().unwrap_or(&self.script.model);
                let played = play((turn, model), &order.work_dir, order.time_limit_ms, hands);
                SpawnReport { model: Some(model.clone()), session: turn.session.clone(), ..SpawnReport::from(played) }
            }
            None => SpawnReport::broken(format!(
                "the script has no turn for agent {} in round {}, attempt {}",
                order.agent, order.round, order.attempt
            )),
        }
    }
}
