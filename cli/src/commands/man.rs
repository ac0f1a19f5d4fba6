//! `loom man [COMMAND]`: manual pages, made from the command line itself.

use crate::app;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::replaying;
use crate::text::shown;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde::Serialize;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

/// The other program.
const REPLAY: &str = "loom-replay";

/// Prints the manual page of loom or of one command, as roff; or writes all of them into a folder.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A command; `rules list` for one below another, `loom-replay judge` for one of the other program.
    #[arg(value_name = "COMMAND", conflicts_with = "output")]
    command: Vec<String>,
    /// The folder that gets a page for each command; it is made where it is missing.
    #[arg(short, long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    pages: Vec<PageJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct PageJson {
    /// `loom-status.1`, say.
    file: String,
    roff: String,
}

/// Answers `loom man`.
pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, CliError> {
    let mut roots = [("loom", app::Arguments::command()), (REPLAY, replaying::Arguments::command())];
    roots.iter_mut().for_each(|(_, root)| root.build());
    let mut pages = Vec::new();
    match &arguments.output {
        Some(_) => roots.iter().try_for_each(|(name, root)| every(root, name, &mut pages))?,
        None => {
            let of_replay = arguments.command.first().is_some_and(|word| word == REPLAY);
            let (program, root) = &roots[usize::from(of_replay)];
            let (mut name, mut command) = (program.to_string(), root);
            for word in arguments.command.iter().skip(usize::from(of_replay)) {
                let found = command.find_subcommand(word);
                command = found.ok_or_else(|| CliError::NoCommand { text: arguments.command.join(" ") })?;
                name = format!("{name}-{word}");
            }
            pages.push(page(command, &name)?);
        }
    }
    match &arguments.output {
        Some(folder) => write(folder, &pages, output)?,
        None if output.json => {}
        None => pages.iter().try_for_each(|page| output.raw(page.roff.as_bytes()))?,
    }
    if output.json {
        output.document(&Document { loom: "man/1", pages })?;
    }
    Ok(Exit::Ok)
}

fn every(command: &Command, name: &str, pages: &mut Vec<PageJson>) -> Result<(), CliError> {
    pages.push(page(command, name)?);
    for below in command.get_subcommands() {
        every(below, &format!("{name}-{}", below.get_name()), pages)?;
    }
    Ok(())
}

fn page(command: &Command, name: &str) -> Result<PageJson, CliError> {
    let mut roff = Vec::new();
    Man::new(command.clone().name(name.to_string())).render(&mut roff)?;
    Ok(PageJson { file: format!("{name}.1"), roff: String::from_utf8_lossy(&roff).into_owned() })
}

fn write(folder: &Path, pages: &[PageJson], output: &mut Output) -> Result<(), CliError> {
    let failed = |doing, path: &Path| {
        let path = path.to_path_buf();
        move |source| CliError::File { doing, path, source }
    };
    fs::create_dir_all(folder).map_err(failed("make", folder))?;
    for page in pages {
        let path = folder.join(&page.file);
        fs::write(&path, &page.roff).map_err(failed("write", &path))?;
        if !output.json {
            writeln!(output.out, "{}", shown(&path))?;
        }
    }
    Ok(())
}
