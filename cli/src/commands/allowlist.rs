//! `loom allowlist`: which projects may be driven without the user at hand; by default none.

use crate::app::Global;
use crate::commands::projects::show;
use crate::configuring::{by_person, place};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use loom_host::environment::Environment;
use loom_host::projects::Projects;
use loom_host::world::{Machine, World};
use std::path::PathBuf;

/// Says which projects may be driven unattended. A run that you start by hand needs no entry.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists them, as without a word.
    List,
    /// Gives a project leave, by its real path.
    Add {
        /// Its folder; else this one.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Takes the leave from a project.
    Remove {
        /// Its folder; else this one.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

/// Answers `loom allowlist`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let projects = Projects::of(&environment);
    let folder = |given: &Option<PathBuf>| given.clone().unwrap_or_else(|| place(global));
    let said = match &arguments.what {
        None | Some(What::List) => None,
        Some(What::Add { folder: given }) => {
            by_person(&environment)?;
            let path = projects.put(&folder(given), Some(true), Machine.now_ms())?;
            Some(format!("{path} may be driven unattended"))
        }
        Some(What::Remove { folder: given }) => {
            by_person(&environment)?;
            Some(format!("{} may not be driven unattended any more", projects.deny(&folder(given))?))
        }
    };
    let allowed = projects.list()?.into_iter().filter(|project| project.allowed).collect();
    show(said, allowed, "allowlist/1", "no project may be driven unattended", output)
}
