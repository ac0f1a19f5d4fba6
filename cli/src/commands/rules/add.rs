//! `loom rules add` and `loom rules retire`: which rule sets new runs are judged by beside their bundle's (ARM-1).

use super::check::print;
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{GOOD, Output};
use crate::project;
use crate::rule_file::read;
use crate::text::clean;
use loom_bundles::rule_flaws;
use loom_core::id::hex;
use loom_core::rules::RuleSet;
use loom_host::armed::{ArmError, Arming, put};
use loom_host::environment::Environment;
use loom_host::session::{local_actor, request_id};
use loom_server::AskError;
use loom_store::RedbStore;
use serde::Serialize;
use std::fs::canonicalize;
use std::io::Write;
use std::path::{Path, PathBuf};

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    set: String,
    /// The set's digest; absent where it is retired.
    digest: Option<String>,
    /// Sequence of the request in the store's stream.
    sequence: u64,
}

/// Answers `loom rules add`.
pub(super) fn add(file: &Path, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let folder = project::find(global.dir.as_deref())?;
    let text = read(&beyond_agents(file, &folder, &environment)?)?;
    let (set, flaws) = rule_flaws(&text, &[]);
    let is_broken = flaws.iter().any(|flaw| flaw.is_error);
    if is_broken && !output.json {
        flaws.iter().filter(|flaw| flaw.is_error).try_for_each(|flaw| print(&file.to_string_lossy(), flaw, output))?;
    }
    let Some(set) = set.filter(|_| !is_broken) else {
        let errors = flaws.iter().filter(|flaw| flaw.is_error).map(ToString::to_string).collect::<Vec<_>>();
        let reason = format!("{} has errors: {}", file.display(), errors.join("; "));
        return Err(CliError::NotArmed { reason });
    };
    let sequence = ask(&folder, &Arming::Arm(text), &environment)?;
    told(&set, sequence, output)
}

fn told(set: &RuleSet, sequence: u64, output: &mut Output) -> Result<Exit, CliError> {
    let (name, digest) = (set.name().to_string(), hex(&set.digest().0));
    if output.json {
        output.document(&Document { loom: "rules-add/1", set: name, digest: Some(digest), sequence })?;
    } else {
        writeln!(output.out, "{GOOD}armed{GOOD:#} {} for new runs, on record as store#{sequence}", clean(&name))?;
    }
    Ok(Exit::Ok)
}

/// Answers `loom rules retire`.
pub(super) fn retire(name: &str, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let folder = project::find(global.dir.as_deref())?;
    let sequence = ask(&folder, &Arming::Retire(name.to_string()), &Environment::read())?;
    if output.json {
        output.document(&Document { loom: "rules-retire/1", set: name.to_string(), digest: None, sequence })?;
    } else {
        writeln!(output.out, "{GOOD}retired{GOOD:#} {} for new runs, on record as store#{sequence}", clean(name))?;
    }
    Ok(Exit::Ok)
}

/// Puts the request on record: through the process that holds the store, or with the store in this hand.
fn ask(folder: &Path, asked: &Arming, environment: &Environment) -> Result<u64, CliError> {
    if let Some(spawn) = environment.descends {
        return Err(CliError::OfSpawn { spawn, what: "arming and retiring rules" });
    }
    let id = request_id();
    if let Some(holder) = project::ask_holder(folder) {
        return holder.arm(&id, asked).map_err(|error| match error {
            AskError::Refused(reason) => CliError::NotArmed { reason },
            AskError::Unavailable(reason) => CliError::Unheard { reason },
        });
    }
    let store = RedbStore::open(folder)?;
    put(&store, &id, &local_actor(environment), asked).map(|(sequence, _)| sequence).map_err(|error| match error {
        ArmError::Host(error) => CliError::of_host(error, folder),
        other => CliError::NotArmed { reason: other.to_string() },
    })
}

/// Returns where the file really is, unless that is where an agent can write: in Loom's state folder, which has the
/// workspaces, or beside the store (ARM-2).
fn beyond_agents(file: &Path, store: &Path, environment: &Environment) -> Result<PathBuf, CliError> {
    let failed = |source| CliError::File { doing: "read", path: file.to_path_buf(), source };
    let real = canonicalize(file).map_err(failed)?;
    for folder in [environment.state_folder.as_path(), store] {
        if canonicalize(folder).is_ok_and(|folder| real.starts_with(folder)) {
            let reason = format!("{} lies in {}, where agents can write", file.display(), folder.display());
            return Err(CliError::NotArmed { reason });
        }
    }
    Ok(real)
}
