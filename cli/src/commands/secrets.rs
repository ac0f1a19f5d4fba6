//! `loom secrets`: the user's secrets; values go in and never come out here.

use crate::app::Global;
use crate::configuring::by_person;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, Output};
use crate::prompt::hidden;
use crate::text::{rfc3339, time};
use loom_host::environment::Environment;
use loom_host::secrets::{Secret, Vault};
use loom_host::world::{Machine, World};
use serde::Serialize;
use std::io::{IsTerminal, Read, Write};
use std::path::Path;

/// Most that is read of a value, in bytes; what is longer is refused.
const READ_BYTES_MAX: u64 = 128 * 1024;

/// Keeps secrets for settings to name as `secret:NAME`: encrypted, and masked in everything that is recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Sets a secret; the value comes from standard input, or is asked for at the terminal and not shown.
    Set {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Lists the names and when each was set.
    List,
    /// Removes a secret.
    Remove {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    secrets: Vec<SecretJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct SecretJson {
    name: String,
    set: String,
}

/// Answers `loom secrets`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let vault = Vault::of(&environment);
    let said = match &arguments.what {
        What::List => None,
        What::Set { name } => {
            by_person(&environment)?;
            let was_there = vault.set(name, &value(name, global)?, Machine.now_ms())?;
            Some(format!("{} `{name}`; settings name it as secret:{name}", if was_there { "replaced" } else { "set" }))
        }
        What::Remove { name } => {
            by_person(&environment)?;
            vault.remove(name)?;
            Some(format!("removed `{name}`"))
        }
    };
    let listed = vault.list()?;
    if output.json {
        let secrets = listed.into_iter().map(|listed| SecretJson { name: listed.name, set: rfc3339(listed.set_ms) });
        output.document(&Document { loom: "secrets/1", secrets: secrets.collect() })?;
    } else if let Some(said) = said {
        writeln!(output.out, "{said}")?;
    } else if listed.is_empty() {
        writeln!(output.out, "no secrets are set")?;
    } else {
        for listed in listed {
            writeln!(output.out, "{}  {FAINT}{} UTC{FAINT:#}", listed.name, time(listed.set_ms))?;
        }
    }
    Ok(Exit::Ok)
}

/// Reads a value from where it is.
fn value(name: &str, global: &Global) -> Result<Secret, CliError> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() && !global.no_input {
        return Ok(Secret::new(hidden(&format!("value of `{name}`"))?));
    }
    let failed = |source| CliError::File { doing: "read", path: Path::new("standard input").to_path_buf(), source };
    let mut text = String::new();
    stdin.lock().take(READ_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    // Whoever pipes a value ends it with a line's end as often as not; none belongs to it.
    while text.ends_with(['\n', '\r']) {
        text.pop();
    }
    Ok(Secret::new(text))
}
