//! One tiny call of a provider outside of every run, to see whether it is set up.
//!
//! It works in a folder of its own that is gone afterwards; nothing of it is recorded.

use crate::environment::Environment;
use crate::error::HostError;
use crate::local::ended;
use crate::redact::Redactor;
use crate::secrets::Secret;
use loom_core::word::SpawnOutcome;
use loom_providers::{Ended, Hands, Live, Program, Provider, SpawnOrder, SpawnReport};
use loom_tools::{CancelToken, Command, Guard, minimal_environment, remove_tree, run_heard};
use std::path::{Path, PathBuf};

/// What is asked.
const PROMPT: &str = "Answer with the one word `ready` and nothing else. Use no tool.";
/// Most time for it, in milliseconds.
const TIME_MS: u64 = 120_000;
/// Most output kept, in bytes.
const OUTPUT_MAX: usize = 1024 * 1024;

/// Asks a provider for one word, as the model of a tier. Credentials are cut out of what it reports.
pub fn trial(
    environment: &Environment,
    provider: &dyn Provider,
    tier: &str,
    guard: Guard,
) -> Result<SpawnReport, HostError> {
    let failed = |source| HostError::File {
        doing: "make a folder in",
        path: environment.state_folder.display().to_string(),
        source,
    };
    std::fs::create_dir_all(&environment.state_folder).map_err(failed)?;
    let folder = tempfile::Builder::new().prefix("trial").tempdir_in(&environment.state_folder).map_err(failed)?;
    for name in ["work", "home", "tmp"] {
        std::fs::create_dir(folder.path().join(name)).map_err(failed)?;
    }
    let token = CancelToken::new()?;
    let hands = Bare { environment, folder: folder.path(), guard, token };
    let order = SpawnOrder {
        agent: "trial".to_string(),
        kind: "reviewer".to_string(),
        tier: tier.to_string(),
        prompt: PROMPT.to_string(),
        schema: String::new(),
        work_dir: folder.path().join("work"),
        edits: false,
        fenced: false,
        round: 1,
        attempt: 1,
        time_limit_ms: TIME_MS,
    };
    let mut report = provider.run(&order, &hands);
    let secrets: Vec<Secret> = provider.credentials().into_iter().map(Secret::new).collect();
    let redactor = Redactor::new(secrets.iter().map(|secret| ("credential", secret)));
    report.output = redactor.bytes(&report.output).into_owned();
    report.detail = report.detail.map(|detail| redactor.text(&detail).into_owned());
    Ok(report)
}

/// What a provider is lent for it.
struct Bare<'a> {
    environment: &'a Environment,
    folder: &'a Path,
    guard: Guard,
    token: CancelToken,
}

impl Hands for Bare<'_> {
    fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    fn fresh_folder(&self, name: &str) -> std::io::Result<PathBuf> {
        let path = self.folder.join("home").join(name);
        // The program may have made it while it told its version.
        remove_tree(&path).map_err(std::io::Error::other)?;
        std::fs::create_dir(&path)?;
        Ok(path)
    }

    fn tell(&self, _: Live) {}

    fn run(&self, program: &Program, heard: &mut dyn FnMut(&[u8])) -> Ended {
        let folder = |name: &str| self.folder.join(name);
        let mut variables = minimal_environment(&self.environment.search_path, &folder("home"), &folder("tmp"));
        for (name, value) in &program.variables {
            variables.entry(name.into()).or_insert_with(|| value.into());
        }
        let mut command = Command::new(&program.argv, &folder("work"), variables);
        command.guard = self.guard.clone();
        command.stdin.clone_from(&program.stdin);
        command.timeout_ms = program.time_limit_ms.min(TIME_MS);
        command.idle_ms = program.idle_limit_ms;
        command.output_max_bytes = OUTPUT_MAX;
        match run_heard(&command, &self.token, heard) {
            Ok(exit) => ended(exit),
            Err(error) => {
                Ended { outcome: SpawnOutcome::Broken, output: Vec::new(), detail: crate::local::told(&error) }
            }
        }
    }
}
