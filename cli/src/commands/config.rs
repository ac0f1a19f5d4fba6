//! `loom config`: what is set, where that comes from, and how to set it.

use crate::app::Global;
use crate::configuring::{by_person, place, settings};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, Output};
use crate::text::{clean, shown};
use loom_host::environment::Environment;
use loom_host::settings::{Fallback, KEYS, Kind, Layer, Origin, Sourced, Value, find, project_file, set, user_file};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;

/// Shows and changes settings; of several places, flags win, then LOOM_ variables, the project's file, the user's.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Shows the value of a key.
    Get {
        /// The key, such as run.policy.
        #[arg(value_name = "KEY")]
        key: String,
        /// Shows where the value comes from.
        #[arg(long)]
        show_origin: bool,
    },
    /// Sets a key in the user's file, or in the project's; comments stay.
    Set {
        /// The key, such as run.policy.
        #[arg(value_name = "KEY")]
        key: String,
        /// The value; lists are parted by commas.
        #[arg(value_name = "VALUE", allow_hyphen_values = true)]
        value: String,
        /// In the project's file, which can only ask for less.
        #[arg(long, conflicts_with = "user")]
        project: bool,
        /// In the user's file, as without this.
        #[arg(long)]
        user: bool,
    },
    /// Lists every key that has a value.
    List {
        /// Shows where each value comes from.
        #[arg(long)]
        show_origin: bool,
        /// Lists the keys without a value, too, with what each is for.
        #[arg(long)]
        all: bool,
    },
    /// Shows which files are read.
    Path,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    values: Vec<ValueJson>,
    /// Keys without a value, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unset: Vec<KeyJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct ValueJson {
    key: String,
    /// As it may be typed.
    value: String,
    /// Which layer it comes from.
    layer: &'static str,
    /// Where in it.
    origin: String,
}

#[derive(Serialize, schemars::JsonSchema)]
struct KeyJson {
    key: &'static str,
    value: String,
    doc: &'static str,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Paths {
    loom: &'static str,
    user: PathBuf,
    project: Option<PathBuf>,
}

/// Answers `loom config`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let place = place(global);
    let (user, project) = (user_file(&environment), project_file(&place));
    match &arguments.what {
        What::Path => {
            if output.json {
                output.document(&Paths { loom: "config-path/1", user, project })?;
            } else {
                writeln!(output.out, "{}", shown(&user))?;
                project.iter().try_for_each(|path| writeln!(output.out, "{}", shown(path)))?;
            }
            return Ok(Exit::Ok);
        }
        What::Get { key, show_origin } => {
            let known = find(key).ok_or_else(|| CliError::NoKey { key: key.clone() })?;
            let read = settings(&environment, &place, &[])?;
            let found = read.found.get(key).ok_or_else(|| CliError::NotSet { key: key.clone() })?;
            let value = value_json(key, known.kind, found);
            return one(output, value, *show_origin);
        }
        What::Set { key, value, project: in_project, user: _ } => {
            by_person(&environment)?;
            let (layer, file) = if *in_project {
                (Layer::Project, project.ok_or(CliError::NoProject { place })?)
            } else {
                (Layer::User, user)
            };
            set(layer, &file, key, value)?;
            let read = settings(&environment, &crate::configuring::place(global), &[])?;
            let kind = find(key).map_or(Kind::Text, |key| key.kind);
            let found = read.found.get(key).ok_or_else(|| CliError::NotSet { key: key.clone() })?;
            if !matches!(&found.origin, Origin::File { layer: holds, .. } if *holds == layer) {
                output.warn(&format!("it is set, and {} goes before it", found.origin));
            }
            return one(output, value_json(key, kind, found), true);
        }
        What::List { show_origin, all } => {
            let read = settings(&environment, &place, &[])?;
            let kind = |path: &str| find(path).map_or(Kind::Text, |key| key.kind);
            let values: Vec<ValueJson> =
                read.found.iter().map(|(path, found)| value_json(path, kind(path), found)).collect();
            let without = KEYS.iter().filter(|key| *all && !read.found.keys().any(|path| key.is(path)));
            let unset: Vec<KeyJson> = without
                .map(|key| {
                    let words = if let Fallback::Absent(words) = key.default { words } else { "none" };
                    KeyJson { key: key.name, value: words.to_string(), doc: key.doc }
                })
                .collect();
            if output.json {
                output.document(&Document { loom: "config/1", values, unset })?;
                return Ok(Exit::Ok);
            }
            for value in values {
                write!(output.out, "{} = {}", value.key, clean(&value.value))?;
                if *show_origin {
                    write!(output.out, "  {FAINT}{}{FAINT:#}", clean(&value.origin))?;
                }
                writeln!(output.out)?;
            }
            for key in unset {
                writeln!(output.out, "{FAINT}{}: {}. {}{FAINT:#}", key.key, key.value, key.doc)?;
            }
        }
    }
    Ok(Exit::Ok)
}

/// Shows one value.
fn one(output: &mut Output, value: ValueJson, show_origin: bool) -> Result<Exit, CliError> {
    if output.json {
        output.document(&Document { loom: "config/1", values: vec![value], unset: Vec::new() })?;
    } else if show_origin {
        writeln!(output.out, "{}  {FAINT}{}{FAINT:#}", clean(&value.value), clean(&value.origin))?;
    } else {
        writeln!(output.out, "{}", clean(&value.value))?;
    }
    Ok(Exit::Ok)
}

fn value_json(key: &str, kind: Kind, found: &Sourced<Value>) -> ValueJson {
    let (layer, origin) = (found.origin.word(), found.origin.to_string());
    ValueJson { key: key.to_string(), value: kind.show(&found.value), layer, origin }
}
