//! The providers crate from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

#[macro_use]
#[path = "../../../tools/tests/it/missing.rs"]
mod missing;

mod api;
mod claude;
mod codex;
mod demo;
mod gateway;
mod harness;
mod script;
mod trouble;

use loom_core::word::SpawnOutcome;
use loom_providers::{Ended, Hands, Live, Program, Provider, Script, Scripted, SpawnOrder, SpawnReport};
use std::path::{Path, PathBuf};

/// Notes nothing, starts nothing: a program is said to have printed its own command line and to have ended so.
struct Pretended<'a> {
    cancelled: &'a dyn Fn() -> bool,
    ends: SpawnOutcome,
}

impl Hands for Pretended<'_> {
    fn is_cancelled(&self) -> bool {
        (self.cancelled)()
    }

    fn run(&self, program: &Program, heard: &mut dyn FnMut(&[u8])) -> Ended {
        let output = program.argv.join(" ").into_bytes();
        heard(&output);
        Ended { outcome: self.ends, output, detail: self.ends.word().to_string() }
    }

    fn fresh_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        Err(std::io::Error::other(format!("{name}: there is no home")))
    }

    fn tell(&self, live: Live) {
        drop(live);
    }
}

/// Plays the turn of `agent` in `work_dir`.
fn run(script: &str, work_dir: &Path, agent: &str, round: u64, attempt: u64) -> SpawnReport {
    run_until(script, work_dir, agent, round, attempt, &|| false)
}

fn run_until(
    script: &str,
    work_dir: &Path,
    agent: &str,
    round: u64,
    attempt: u64,
    cancelled: &dyn Fn() -> bool,
) -> SpawnReport {
    run_with(script, work_dir, agent, round, attempt, &Pretended { cancelled, ends: SpawnOutcome::Ok })
}

fn run_with(script: &str, work_dir: &Path, agent: &str, round: u64, attempt: u64, hands: &dyn Hands) -> SpawnReport {
    let provider: Box<dyn Provider> = Box::new(Scripted::new(Script::parse(script).unwrap()));
    let order = SpawnOrder {
        agent: agent.to_string(),
        kind: "worker".to_string(),
        tier: "fast".to_string(),
        prompt: "prompt".to_string(),
        schema: "{}".to_string(),
        work_dir: work_dir.to_path_buf(),
        edits: true,
        fenced: false,
        round,
        attempt,
        time_limit_ms: 30,
    };
    provider.run(&order, hands)
}
