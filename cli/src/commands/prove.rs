//! `loom prove WHAT -o FILE`: a receipt that anybody can check without the store.

use super::to_file;
use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, Named};
use crate::output::{FAINT, Output};
use crate::places::{Place, place_of};
use crate::rule_file;
use crate::signing;
use crate::text::{bytes, clean, shown};
use loom_core::event::Envelope;
use loom_core::id::hex;
use loom_replay::evidence::{About, Pins, Subject, prove, subject_of, verify};
use serde::Serialize;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a receipt: events, their place in the store's signed tree, and what follows from them.
///
/// `loom verify FILE` checks it without the store. A run's receipt has every event of the run so far; a gate's has what
/// was asked, answered, decided and merged; any other event's has that event and what caused it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A run, a gate, or any other event.
    #[arg(value_name = "RUN|GATE|EVENT")]
    what: String,
    /// The file to write; `-` writes to stdout.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Rules to judge the run by: the receipt carries them and what they give, and every reader judges again.
    #[arg(long, value_name = "FILE")]
    rules: Vec<PathBuf>,
    /// Proves under the newest checkpoint at a place that `loom witness` wrote to, instead of a new one.
    #[arg(long, value_name = "PLACE", value_parser = place_of)]
    checkpoint: Option<Place>,
    /// Replaces a file that is there.
    #[arg(long)]
    force: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    file: String,
    about: &'static str,
    /// Number of events of the checkpoint.
    size: u64,
    events: u64,
    bytes: u64,
    /// The statement that is signed.
    statement: serde_json::Value,
}

/// Answers `loom prove`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let signing = signing::open(global, output)?;
    let store = signing.opened.store.as_ref();
    let subject = match identify::named(store, &arguments.what)? {
        Named::Run(stream) => {
            let sequence = store.head(stream)?.next.saturating_sub(1);
            Subject { about: About::Run, stream, sequence }
        }
        Named::Event(event) => {
            let envelope = Envelope::decode(&event.event.bytes)
                .map_err(|source| CliError::Event { position: event.position, source })?;
            subject_of(envelope.stream, envelope.sequence, &envelope.body)
        }
    };
    if subject.about != About::Run && !arguments.rules.is_empty() {
        let what = if subject.about == About::Gate { "a gate" } else { "an event" };
        let why = "rules are judged over runs alone";
        return Err(CliError::Unfitting { option: "--rules", what, why });
    }
    let rules = match arguments.rules.is_empty() {
        true => Vec::new(),
        false => rule_file::load(&arguments.rules)?.sets().iter().map(|set| set.text().to_string()).collect(),
    };
    let project = signing.opened.folder.parent().unwrap_or(&signing.opened.folder);
    let witnessed = match &arguments.checkpoint {
        None => None,
        Some(place) => {
            place.outside_of(&signing.opened.folder)?;
            let newest = place.read(&signing.origin, project)?.checkpoints.pop();
            Some(newest.ok_or_else(|| CliError::NoCheckpoint { place: place.to_string() })?.text)
        }
    };
    let key = &signing.key;
    let receipt = prove(store, subject, rules, witnessed, key.public(), &|bytes| key.sign(bytes))?;
    let file = receipt.write();
    let checked = verify(&receipt, &Pins::default())?;
    if arguments.output == Path::new("-") {
        std::io::stdout().lock().write_all(&file).map_err(CliError::Output)?;
        return Ok(Exit::Ok);
    }
    to_file(&arguments.output, arguments.force, |sink| sink.write_all(&file).map_err(CliError::Output))?;
    if output.json {
        output.document(&Document {
            loom: "prove/1",
            file: arguments.output.to_string_lossy().into_owned(),
            about: checked.about.word(),
            size: checked.size,
            events: checked.events,
            bytes: file.len() as u64,
            statement: serde_json::from_str(&checked.statement).unwrap_or_default(),
        })?;
    } else {
        let (about, events, size) = (checked.about.word(), checked.events, bytes(file.len() as u64));
        writeln!(
            output.out,
            "a receipt of this {about} with {events} of its events: {}, {size}",
            shown(&arguments.output)
        )?;
        for judged in &checked.judged {
            let at = judged.finding.sequence().map(|sequence| format!(" at #{sequence}")).unwrap_or_default();
            writeln!(output.out, "  {} {}{at}", clean(&judged.rule), judged.finding.word())?;
        }
        writeln!(output.out, "{FAINT}signed by {}{FAINT:#}", hex(&checked.signer))?;
    }
    Ok(Exit::Ok)
}
