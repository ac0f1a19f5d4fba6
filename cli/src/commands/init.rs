//! `loom init`: a commented `loom.toml` with the checks that are found by looking.

use crate::app::Global;
use crate::configuring::place;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::Output;
use crate::text::shown;
use loom_bundles::checks::NOT_APPLICABLE;
use loom_bundles::{FoundCheck, discover};
use loom_host::settings::{KEYS, Project, project_file};
use serde::Serialize;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The checks that the bundle `code` asks for.
const USUAL: &[&str] = &["lint", "test", "type-check"];

/// Writes a loom.toml for this project, with the checks that are found by looking; never over one that is there.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    file: PathBuf,
    checks: Vec<String>,
    missing: Vec<&'static str>,
}

/// Answers `loom init`.
pub(crate) fn run(_: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let place = place(global);
    let file = project_file(&place).ok_or(CliError::NoProject { place })?;
    let root = file.parent().unwrap_or(Path::new(".")).to_path_buf();
    let read = |name: &str| {
        let path = root.join(name);
        let is_file = std::fs::symlink_metadata(&path).is_ok_and(|found| found.is_file());
        is_file.then(|| std::fs::read(&path).ok()).flatten()
    };
    let failed = |source| CliError::File { doing: "write", path: file.clone(), source };
    if std::fs::symlink_metadata(&file).is_ok() {
        return Err(CliError::FileExists { path: file });
    }
    // Nothing is declared yet, so nothing can be declared wrongly.
    let checks = discover(&read).map_or_else(|_| Vec::new(), |checks| checks.found);
    let missing: Vec<&str> =
        USUAL.iter().copied().filter(|name| checks.iter().all(|check| check.name != *name)).collect();
    let made = OpenOptions::new().write(true).create_new(true).open(&file);
    match made.and_then(|mut made| made.write_all(text(&checks, &missing).as_bytes())) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(CliError::FileExists { path: file }),
        written => written.map_err(failed)?,
    }
    if output.json {
        let checks = checks.into_iter().map(|check| check.name).collect();
        output.document(&Document { loom: "init/1", file, checks, missing })?;
        return Ok(Exit::Ok);
    }
    writeln!(output.out, "wrote {}", shown(&file))?;
    for check in &checks {
        writeln!(output.out, "  found {}: {}", check.name, check.argv.join(" "))?;
    }
    for name in missing {
        writeln!(output.out, "  found nothing for {name}: name its command there, or say that it is not applicable")?;
    }
    writeln!(output.out, "commit it: a run reads its checks in the commit that it starts from")?;
    Ok(Exit::Ok)
}

fn text(checks: &[FoundCheck], missing: &[&str]) -> String {
    let mut text = String::from(
        "# How Loom works in this project. What an agent writes here does not hold before it is merged.\n\n\
         # What has to pass before a change is taken over. Programs, not shell lines; read in the commit that a run starts\n\
         # from.\n[checks]\n",
    );
    for check in checks {
        let argv: Vec<String> =
            check.argv.iter().map(|word| serde_json::Value::from(word.as_str()).to_string()).collect();
        text.push_str(&format!("{} = [{}]\n", check.name, argv.join(", ")));
    }
    for name in missing {
        text.push_str(&format!("# {name} = [\"program\", \"argument\"]   # or \"{NOT_APPLICABLE}\"\n"));
    }
    text.push_str("\n# A project can ask for less than its user allows, never for more.\n");
    let mut table = "";
    for key in KEYS.iter().filter(|key| key.project == Project::Stricter) {
        let (section, name) = key.name.split_once('.').unwrap_or(("", key.name));
        if section != table {
            text.push_str(&format!("\n# [{section}]\n"));
            table = section;
        }
        text.push_str(&format!("# {name} = {}   # {}\n", key.valid, key.doc));
    }
    text
}
