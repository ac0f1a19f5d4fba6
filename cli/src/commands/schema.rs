//! `loom schema DOCUMENT`: the JSON Schema of what `--json` and `--jsonl` print, made from what is serialized (CLI-7).

use crate::app::{self, Version};
use crate::asking;
use crate::error::CliError;
use crate::exit::Exit;
use crate::json::EventJson;
use crate::output::{ErrorDocument, ID, Output};
use crate::replaying::{
    self, DiffDocument, JudgeDocument, QueryDocument, QueryLine, RedriveDocument, RefoldDocument, ShrinkDocument,
    VerifyDocument, WhatIfDocument,
};
use clap::{Command, CommandFactory};
use loom_bundles::nearest;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};
use std::io::Write;

use super::{
    at, backup, completions, config, demo, diff, doctor, explain, export, gates, gc, history, init, keys, log, man,
    models, projects, prove, queue, redact, reset, restore, resume, rules, run, secrets, ship, show, status, verify,
    watch, why, witness,
};

/// Prints the JSON Schema of a document; without a name, lists them.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The command whose document it is, `rules list` for one below another; or `error`, `log-line`, `query-line`, `version`.
    #[arg(value_name = "DOCUMENT")]
    name: Vec<String>,
    /// Of the lines that the command prints with `--jsonl`.
    #[arg(long, requires = "name")]
    jsonl: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// The documents, as their `loom` fields name them. A line of `log --jsonl` or `query --jsonl` has no such field.
    documents: Vec<&'static str>,
}

/// The other program.
const REPLAY: &str = "loom-replay";

/// Makes a schema.
type Make = fn() -> Schema;

/// Every document, by what its `loom` field says, and what it looks like.
const DOCUMENTS: &[(&str, Make)] = &[
    ("allowlist/1", of::<projects::Document>),
    ("answer/1", of::<asking::Document>),
    ("at/1", of::<at::Document>),
    ("backup/1", of::<backup::Document>),
    ("cancel/1", of::<asking::Document>),
    ("completions/1", of::<completions::Document>),
    ("config/1", of::<config::Document>),
    ("config-path/1", of::<config::Paths>),
    ("demo/1", of::<demo::Document>),
    ("diff/1", of::<diff::Document>),
    ("diff-runs/1", of::<DiffDocument>),
    ("doctor/1", of::<doctor::Document>),
    ("error/1", of::<ErrorDocument>),
    ("explain/1", of::<explain::Document>),
    ("explain-list/1", of::<explain::ListDocument>),
    ("export/1", of::<export::Document>),
    ("gates/1", of::<gates::Document>),
    ("gc/1", of::<gc::Document>),
    ("history/1", of::<history::Document>),
    ("init/1", of::<init::Document>),
    ("judge/1", of::<JudgeDocument<'_>>),
    ("log/1", of::<log::Document>),
    ("keys/1", of::<keys::Document>),
    ("log-line", of::<EventJson>),
    ("man/1", of::<man::Document>),
    ("models/1", of::<models::Document>),
    ("models-test/1", of::<models::TestDocument>),
    ("pause/1", of::<asking::Document>),
    ("projects/1", of::<projects::Document>),
    ("prove/1", of::<prove::Document>),
    ("query/1", of::<QueryDocument<'_>>),
    ("query-line", of::<QueryLine>),
    ("queue/1", of::<queue::Document>),
    ("recover/1", of::<asking::Document>),
    ("redact/1", of::<redact::Document>),
    ("redrive/1", of::<RedriveDocument>),
    ("refold/1", of::<RefoldDocument>),
    ("reset/1", of::<reset::Document>),
    ("restore/1", of::<restore::Document>),
    ("resume/1", of::<resume::Document>),
    ("risk/1", of::<asking::Document>),
    ("rules-add/1", of::<rules::ArmedDocument>),
    ("rules-check/1", of::<rules::CheckDocument>),
    ("rules-diff/1", of::<rules::DiffDocument>),
    ("rules-explain/1", of::<rules::ExplainDocument>),
    ("rules-list/1", of::<rules::ListDocument>),
    ("rules-mutate/1", of::<rules::MutateDocument>),
    ("rules-retire/1", of::<rules::ArmedDocument>),
    ("rules-show/1", of::<rules::ShowDocument>),
    ("rules-test/1", of::<rules::TestDocument>),
    ("run/1", of::<run::Document>),
    ("schema-list/1", of::<Document>),
    ("secrets/1", of::<secrets::Document>),
    ("ship/1", of::<ship::Document>),
    ("show/1", shown),
    ("shrink/1", of::<ShrinkDocument>),
    ("status/1", of::<status::Document>),
    ("steer/1", of::<asking::Document>),
    ("verify/1", of::<verify::Document>),
    ("verify-sources/1", of::<VerifyDocument>),
    ("version/1", of::<Version>),
    ("watch/1", of::<watch::Document>),
    ("what-if/1", of::<WhatIfDocument<'_>>),
    ("why/1", of::<why::Document>),
    ("witness/1", of::<witness::Document>),
];

/// Answers `loom schema`.
pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Result<Exit, CliError> {
    if arguments.name.is_empty() {
        let documents: Vec<&str> = DOCUMENTS.iter().map(|(name, _)| *name).collect();
        if output.json {
            output.document(&Document { loom: "schema-list/1", documents })?;
        } else {
            documents.iter().try_for_each(|name| writeln!(output.out, "{ID}{name}{ID:#}"))?;
        }
        return Ok(Exit::Ok);
    }
    let text = arguments.name.join(" ");
    let words: Vec<&str> = text.split_whitespace().skip_while(|word| ["loom", REPLAY].contains(word)).collect();
    let found = match (arguments.jsonl, &words[..]) {
        (false, words) => document(words),
        // Lines are events, whoever prints them, or what was asked for.
        (true, ["log" | "run"]) => document(&["log-line"]),
        (true, ["query"]) => document(&["query-line"]),
        (true, _) => None,
    };
    let (name, make) = found.ok_or_else(|| {
        let near = nearest(&words.join("-"), DOCUMENTS.iter().map(|(name, _)| short(name)));
        CliError::NoSchema { near: near.map(str::to_string), text: text.clone() }
    })?;
    let mut schema = make().to_value();
    name_it(&mut schema, name);
    output.document(&schema)?;
    Ok(Exit::Ok)
}

/// Returns the name of a document without its version.
fn short(name: &str) -> &str {
    name.split_once('/').map_or(name, |(name, _)| name)
}

/// Returns the document that words name: by its own name, or by the command that prints it, which may share the document
/// of the command above it.
fn document(words: &[&str]) -> Option<&'static (&'static str, Make)> {
    let named = |wanted: &str| DOCUMENTS.iter().find(|(name, _)| *name == wanted || short(name) == wanted);
    let joined = words.join("-");
    let own = named(&joined).or_else(|| named(&format!("{joined}-list")).filter(|_| is_command(words)));
    own.or_else(|| document(words.split_last().filter(|(_, above)| !above.is_empty() && is_command(words))?.1))
}

/// Whether words name a command of one of the programs.
fn is_command(words: &[&str]) -> bool {
    let below = |root: Command| {
        let found = words.iter().try_fold(&root, |command, word| command.find_subcommand(word));
        found.is_some()
    };
    below(app::Arguments::command()) || below(replaying::Arguments::command())
}

/// Says in a schema which document it is of.
fn name_it(schema: &mut Value, name: &str) {
    if name.contains('/') {
        if let Some(field) = schema.pointer_mut("/properties/loom") {
            *field = json!({ "const": name });
        }
        let ways = schema.get_mut("$defs").and_then(Value::as_object_mut);
        for way in ways.into_iter().flat_map(|ways| ways.values_mut()) {
            if let Some(field) = way.pointer_mut("/properties/loom") {
                *field = json!({ "const": name });
            }
        }
    }
    if let Some(Value::String(title)) = schema.get_mut("title") {
        *title = format!("loom {name}");
    }
}

/// Returns the schema of a document as it is written: what may be null is there all the same.
fn of<T: JsonSchema>() -> Schema {
    SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>()
}

/// `loom show` shows an event or a run.
fn shown() -> Schema {
    #[derive(JsonSchema)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its schema is wanted")]
    enum Shown<'a> {
        Event(show::EventDocument<'a>),
        Run(Box<show::RunDocument>),
    }
    of::<Shown>()
}
