//! `loom projects`: the projects that the user has named.

use crate::app::Global;
use crate::configuring::{by_person, place};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, Output};
use crate::project::{FILE, FOLDER};
use crate::text::{clean, rfc3339};
use loom_host::environment::Environment;
use loom_host::projects::{KnownProject, Projects};
use loom_host::world::{Machine, World};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Lists projects, and puts them on the list; to be driven unattended one needs leave as well.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists them, as without a word.
    List,
    /// Puts a project on the list, without leave to drive it.
    Add {
        /// Its folder; else this one.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Takes a project from the list, and the leave with it; the project stays as it is.
    Forget {
        /// Its folder; else this one.
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    pub(crate) loom: &'static str,
    pub(crate) projects: Vec<ProjectJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct ProjectJson {
    path: String,
    added: String,
    /// Whether it may be driven unattended.
    allowed: bool,
    /// Whether the path still leads to that folder.
    there: bool,
    /// Whether it has a store.
    store: bool,
}

impl ProjectJson {
    pub(crate) fn of(project: &KnownProject) -> Self {
        ProjectJson {
            path: project.path.clone(),
            added: rfc3339(project.added_ms),
            allowed: project.allowed,
            there: project.is_there(),
            store: Path::new(&project.path).join(FOLDER).join(FILE).is_file(),
        }
    }

    fn words(&self) -> &'static str {
        match (self.there, self.allowed) {
            (false, _) => "not there any more, or another folder now",
            (true, true) => "may be driven unattended",
            (true, false) => "may not be driven unattended",
        }
    }
}

/// Answers `loom projects`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let projects = Projects::of(&environment);
    let folder = |given: &Option<PathBuf>| given.clone().unwrap_or_else(|| place(global));
    let said = match &arguments.what {
        None | Some(What::List) => None,
        Some(What::Add { folder: given }) => {
            by_person(&environment)?;
            Some(format!("{} is on the list", projects.put(&folder(given), None, Machine.now_ms())?))
        }
        Some(What::Forget { folder: given }) => {
            by_person(&environment)?;
            Some(format!("{} is forgotten", projects.forget(&folder(given))?))
        }
    };
    show(said, projects.list()?, "projects/1", "no project is on the list", output)
}

/// Says what was done, or lists projects.
pub(crate) fn show(
    said: Option<String>,
    projects: Vec<KnownProject>,
    loom: &'static str,
    nothing: &str,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let projects: Vec<ProjectJson> = projects.iter().map(ProjectJson::of).collect();
    if output.json {
        output.document(&Document { loom, projects })?;
    } else if let Some(said) = said {
        writeln!(output.out, "{}", clean(&said))?;
    } else if projects.is_empty() {
        writeln!(output.out, "{nothing}")?;
    } else {
        for project in projects {
            writeln!(output.out, "{}  {FAINT}{}{FAINT:#}", clean(&project.path), project.words())?;
        }
    }
    Ok(Exit::Ok)
}
