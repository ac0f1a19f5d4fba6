//! `loom answer`: decides a gate.

use crate::app::Global;
use crate::asking::Asking;
use crate::configuring::by_person;
use crate::driving::Thinker;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, Named};
use crate::output::Output;
use crate::project;
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId, unhex};
use loom_core::kind::Event;
use loom_core::word::Answer;
use loom_host::environment::Environment;
use loom_host::keys::{Keys, sign_answer};
use loom_host::request::Ask;
use loom_store::Store;
use std::path::PathBuf;

/// Decides a gate that waits.
///
/// The answer is bound to exactly what the gate shows: when that has changed meanwhile, it is asked anew. A rule can
/// refuse what an answer would decide; the answer stays on record.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The gate, as `loom gates` lists it, or a run: the gate that it waits at.
    #[arg(value_name = "GATE")]
    gate: String,
    /// What is decided.
    #[arg(value_parser = answer_of, value_name = "accept|reject|revise|abandon")]
    answer: Answer,
    /// What is said with it; the next prompts have it.
    #[arg(short, long, value_name = "NOTE")]
    message: Option<String>,
    /// The digest of what was looked at; an answer to anything else is refused.
    #[arg(long, value_name = "DIGEST")]
    digest: Option<String>,
    /// Signs the answer, bound to exactly that digest, with a key of yours that agents cannot read.
    #[arg(long)]
    sign: bool,
    /// The file of that key; else the one that `loom keys person` made.
    #[arg(long, value_name = "FILE", requires = "sign")]
    key: Option<PathBuf>,
    #[command(flatten)]
    thinker: Thinker,
}

fn answer_of(word: &str) -> Result<Answer, String> {
    Answer::of(word).ok_or_else(|| "it is none of accept, reject, revise, abandon".to_string())
}

/// Answers `loom answer`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let (stream, gate, shown) = gate_of(opened.store.as_ref(), &arguments.gate)?;
    drop(opened);
    let artifact = match &arguments.digest {
        None => shown,
        Some(text) => {
            let bytes = unhex(text).and_then(|bytes| bytes.try_into().ok());
            bytes.map(Digest).ok_or_else(|| CliError::NotADigest { text: text.clone() })?
        }
    };
    let signed = match arguments.sign {
        false => None,
        true => {
            let environment = Environment::read();
            by_person(&environment)?;
            let key = Keys::of(&environment).person(arguments.key.as_deref())?;
            Some(Box::new(sign_answer(&key, &stream, gate, arguments.answer, &artifact)))
        }
    };
    let ask = Ask::Answer {
        gate,
        answer: arguments.answer,
        note: arguments.message.clone(),
        artifact: Some(artifact),
        signed,
    };
    let asking = Asking { document: "answer/1", stream, ask, thinker: &arguments.thinker };
    asking.put(global.dir.as_deref(), global.quiet, output)
}

/// Returns the gate that a text names: run, sequence, and the digest of what it shows.
fn gate_of(store: &dyn Store, text: &str) -> Result<(StreamId, u64, Digest), CliError> {
    let stored = match identify::named(store, text)? {
        Named::Event(event) => *event,
        Named::Run(stream) => {
            let waiting = store.gates()?.into_iter().find(|gate| gate.stream == stream);
            let gate = waiting.ok_or_else(|| CliError::NoGate { text: text.to_string() })?;
            store.events(gate.position, 1)?.pop().ok_or_else(|| CliError::NoGate { text: text.to_string() })?
        }
    };
    let envelope = Envelope::decode(&stored.event.bytes)
        .map_err(|source| CliError::Event { position: stored.position, source })?;
    match envelope.body {
        Event::GateOpened(gate) => Ok((envelope.stream, envelope.sequence, gate.artifact)),
        _ => Err(CliError::NoGate { text: text.to_string() }),
    }
}
