//! Reads the settings for a command, and says what of them does not hold.

use crate::app::Global;
use crate::error::CliError;
use crate::output::warn;
use loom_host::environment::{Environment, variable};
use loom_host::secrets::Vault;
use loom_host::settings::{Given, Read, Settings, project_file, read};
use loom_providers::{NotSetUp, Provider};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns the folder that a command is about.
pub(crate) fn place(global: &Global) -> PathBuf {
    global.dir.clone().unwrap_or_else(|| PathBuf::from("."))
}

/// Reads the settings that hold in a folder, and warns of what does not.
pub(crate) fn settings(environment: &Environment, place: &Path, flags: &[Given]) -> Result<Read, CliError> {
    let read = read(environment, project_file(place).as_deref(), flags)?;
    for warning in &read.warnings {
        warn(&warning.to_string());
    }
    Ok(read)
}

/// Returns the first of these providers that is set up; where none is, why not the first. `model` goes before what is
/// set for tiers.
pub(crate) fn first_set_up(
    settings: &Settings,
    names: &[String],
    model: Option<&str>,
    environment: &Environment,
) -> Result<Arc<dyn Provider>, CliError> {
    let mut why = None;
    for name in names {
        match set_up(settings, name, model, environment) {
            Ok(provider) => return Ok(provider),
            Err(error) => why = why.or(Some(error)),
        }
    }
    let nobody = || NotSetUp::Kind { name: names.join(", "), kind: String::new() }.into();
    Err(why.unwrap_or_else(nobody))
}

/// Returns one provider, its credential at hand.
pub(crate) fn set_up(
    settings: &Settings,
    name: &str,
    model: Option<&str>,
    environment: &Environment,
) -> Result<Arc<dyn Provider>, CliError> {
    let provider = settings.provider(name).ok_or_else(|| CliError::NoSuchProvider { name: name.to_string() })?;
    let mut configured = provider.configured(name, &Vault::of(environment), variable)?;
    configured.model = model.map(str::to_string);
    Ok(configured.provider(variable)?)
}

/// Settings, secrets and leaves are a person's to change, not an agent's (SETTINGS-8).
pub(crate) fn by_person(environment: &Environment) -> Result<(), CliError> {
    match environment.descends {
        None => Ok(()),
        Some(spawn) => Err(CliError::Refused {
            reason: format!(
                "this process was started by an agent or a check (event {spawn} of a run): it changes no settings"
            ),
        }),
    }
}
