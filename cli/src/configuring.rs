//! Reads the settings for a command, and says what of them does not hold.

use crate::app::Global;
use crate::error::CliError;
use crate::output::warn;
use loom_bundles::{Source, limits};
use loom_host::environment::{Environment, variable};
use loom_host::local::told;
use loom_host::renewed::Renewed;
use loom_host::secrets::Vault;
use loom_host::settings::{Given, Read, Settings, project_file, read};
use loom_providers::{Backends, NoProvider, Provider};
use loom_tools::find_program;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Returns the folder that a command is about.
pub(crate) fn place(global: &Global) -> PathBuf {
    global.dir.clone().unwrap_or_else(|| PathBuf::from("."))
}

/// Reads the settings that hold in a folder, and warns of what does not.
pub(crate) fn settings(environment: &Environment, place: &Path, flags: &[Given]) -> Result<Read, CliError> {
    let mut read = read(environment, project_file(place).as_deref(), flags)?;
    // A bundle that cannot be had is told where a run needs it.
    let limits = Source::builtin(&read.settings.run.bundle.value).ok().and_then(|source| limits(&source));
    if let Some(limits) = limits {
        read.hold(&limits);
    }
    for warning in &read.warnings {
        warn(&warning.to_string());
    }
    Ok(read)
}

/// Returns who thinks. A provider that is named does everything, a model that is named is that of every tier.
pub(crate) fn backends(
    settings: &Settings,
    provider: Option<&str>,
    model: Option<&str>,
    environment: &Environment,
) -> Result<Arc<dyn Provider>, CliError> {
    let vault = Vault::of(environment);
    let (settings, path) = (settings.clone(), environment.search_path.clone());
    let (provider, model) = (provider.map(str::to_string), model.map(str::to_string));
    let make = {
        let vault = vault.clone();
        move || -> Result<Arc<dyn Provider>, NoProvider> {
            let (mut backends, missing) = settings.backends(&vault, variable);
            for error in &missing {
                warn(&told(error));
            }
            backends.pin(provider.as_deref(), model.as_deref())?;
            let is_installed =
                |program: &str| find_program(OsStr::new(program), Some(path.as_os_str()), Path::new("/")).is_some();
            Ok(Arc::new(Backends::new(backends, is_installed)?))
        }
    };
    // Looked at before it is read: what is set meanwhile is found by the next spawn.
    let mark = vault.mark();
    let made = make()?;
    Ok(Arc::new(Renewed::new(vault, (mark, made), move || make().map_err(|error| told(&error)))))
}

/// Settings, secrets, leaves and the queue are a person's to change, not an agent's (SETTINGS-8).
pub(crate) fn by_person(environment: &Environment) -> Result<(), CliError> {
    match environment.descends {
        None => Ok(()),
        Some(spawn) => Err(CliError::Refused {
            reason: format!(
                "this process was started by an agent or a check (event {spawn} of a run): it changes neither settings nor the queue"
            ),
        }),
    }
}
