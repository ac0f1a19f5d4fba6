//! `loom keys`: what a store signs with, and a person's own key; public halves only.

use crate::app::Global;
use crate::configuring::by_person;
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{FAINT, GOOD, Output, WARN};
use crate::project;
use crate::signing::recording;
use crate::text::{rfc3339, shown};
use loom_core::id::hex;
use loom_host::environment::Environment;
use loom_host::keys::{Keys, OnRecord, on_record};
use loom_replay::evidence::Verifier;
use loom_store::origin;
use serde::Serialize;
use std::io::Write;

/// Keys that sign: the store's, which is made at its first use, and yours for `loom answer --sign`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Lists the store's public keys, the present one last, for others to pin.
    List,
    /// Gives the store another key; the old one signs that, where it is still there.
    Rotate,
    /// Makes a key of your own; one that is there is never replaced.
    Person,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// The store.
    origin: Option<String>,
    /// Where the private half of the store's key lies, or would.
    file: Option<String>,
    keys: Vec<KeyJson>,
    /// The person's public key that was made.
    person: Option<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct KeyJson {
    key: String,
    /// The same as a verifier key of signed notes.
    verifier: String,
    position: u64,
    added: String,
    /// Whether the key before it signed it; absent for the first.
    handed_over: Option<bool>,
    retired: bool,
}

/// Answers `loom keys`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    let keys = Keys::of(&environment);
    let mut document = Document { loom: "keys/1", origin: None, file: None, keys: Vec::new(), person: None };
    if let What::Person = arguments.what {
        by_person(&environment)?;
        let public = hex(&keys.make_person()?.public());
        if output.json {
            document.person = Some(public);
            output.document(&document)?;
        } else {
            writeln!(output.out, "{GOOD}made{GOOD:#} {}", shown(&keys.person_path()))?;
            writeln!(output.out, "{public}")?;
        }
        return Ok(Exit::Ok);
    }
    if let What::Rotate = arguments.what {
        by_person(&environment)?;
        recording(&project::find(global.dir.as_deref())?, |store, record| keys.rotate(store, record))?;
    }
    let opened = project::open(global.dir.as_deref(), output)?;
    let origin = origin(opened.store.as_ref())?;
    let found = on_record(opened.store.as_ref())?;
    let name = format!("loom/{}", hex(&origin));
    let json = |(place, key): (usize, &OnRecord)| KeyJson {
        key: hex(&key.key),
        verifier: Verifier::log(&name, key.key).text(),
        position: key.position,
        added: rfc3339(key.added_ms),
        handed_over: key.handed_over,
        retired: place + 1 < found.len(),
    };
    let listed: Vec<KeyJson> = found.iter().enumerate().map(json).collect();
    if output.json {
        document.origin = Some(hex(&origin));
        document.file = Some(keys.store_path(&origin).to_string_lossy().into_owned());
        document.keys = listed;
        output.document(&document)?;
    } else if listed.is_empty() {
        writeln!(output.out, "no key is on record; the first `loom witness` or `loom prove` makes one")?;
    } else {
        for key in listed {
            let how = match (key.retired, key.handed_over) {
                (true, _) => "retired",
                (false, Some(false)) => "present; the one before it did not sign it",
                (false, _) => "present",
            };
            let style = if key.handed_over == Some(false) { WARN } else { FAINT };
            writeln!(output.out, "{}  {style}{how}{style:#}", key.verifier)?;
        }
    }
    Ok(Exit::Ok)
}
