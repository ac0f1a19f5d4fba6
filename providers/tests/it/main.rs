//! The providers crate from outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod demo;
mod script;
mod trouble;

use loom_providers::{Provider, Script, Scripted, SpawnOrder, SpawnReport};
use std::path::Path;

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
    cancel: &dyn Fn() -> bool,
) -> SpawnReport {
    let provider: Box<dyn Provider> = Box::new(Scripted::new(Script::parse(script).unwrap()));
    let order = SpawnOrder {
        agent: agent.to_string(),
        tier: "fast".to_string(),
        prompt: "prompt".to_string(),
        work_dir: work_dir.to_path_buf(),
        edits: true,
        round,
        attempt,
        time_limit_ms: 30,
    };
    provider.run(&order, cancel)
}
