//! Puts a person's request on record: through the process that holds the store, or with the store in this hand.
//!
//! Who holds a store drives it. So a request that nobody else could take is followed by driving on, until all runs wait
//! or have ended.

use crate::app::Global;
use crate::driving::{Absent, Thinker, drive_on};
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, told};
use crate::manner::agree_to;
use crate::output::{BAD, GOOD, Output};
use crate::project;
use crate::text::clean;
use crate::told::refusal;
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_core::kind::{Event, Refused};
use loom_host::environment::Environment;
use loom_host::request::{Answered, Ask, Request};
use loom_host::session::{local_actor, request_id};
use loom_replay::{StoredRun, refold};
use loom_server::AskError;
use loom_store::{RedbStore, Store, StoreError};
use serde::Serialize;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a holder may take to end once it listens no more.
const REOPEN: Duration = Duration::from_secs(5);
/// How often is looked whether it has.
const LOOK: Duration = Duration::from_millis(20);

/// A request that is on record, and what followed from it at once.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Recorded {
    run: String,
    sequence: u64,
    /// What the commit decided, by kind.
    decided: Vec<&'static str>,
    /// Why it decided nothing, where it did not.
    declined: Option<String>,
    refused: Option<RefusedJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RefusedJson {
    kind: String,
    rules: Vec<String>,
    messages: Vec<String>,
}

/// What a command about a run puts to it: its document's name, the run, the request.
pub(crate) struct Asking<'a> {
    pub(crate) document: &'static str,
    pub(crate) stream: StreamId,
    pub(crate) ask: Ask,
    pub(crate) thinker: &'a Thinker,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct Document {
    loom: &'static str,
    #[serde(flatten)]
    recorded: Recorded,
}

impl Asking<'_> {
    /// Puts the request on record and tells what followed; 4 where a rule refused what it would have decided, 1 where it
    /// decided nothing.
    pub(crate) fn put(self, dir: Option<&Path>, quiet: bool, output: &mut Output) -> Result<Exit, CliError> {
        let Asking { document, stream, ask, thinker } = self;
        let folder = project::find(dir)?;
        let id = request_id();
        let (sequence, store) = match project::ask_holder(&folder) {
            Some(holder) => {
                agree_to(&holder, thinker, &ask, &folder)?;
                let sequence = match holder.ask(stream, &id, &ask) {
                    Ok(sequence) => sequence,
                    Err(AskError::Refused(reason)) => return Err(CliError::Refused { reason }),
                    // It may have ended over what it was asked: the record tells.
                    Err(AskError::Unavailable(reason)) => {
                        let found = reopened(&folder)?.request(stream, &id)?;
                        found.ok_or(CliError::Unheard { reason })?.sequence
                    }
                };
                (sequence, Box::new(holder) as Box<dyn Store>)
            }
            None => (drive(&folder, stream, id, ask, thinker, quiet, output)?, reopened(&folder)?),
        };
        let recorded = match followed(store.as_ref(), stream, sequence, output) {
            // What was asked may have been the last that its holder waited for.
            Err(CliError::Store(_)) => followed(reopened(&folder)?.as_ref(), stream, sequence, output)?,
            recorded => recorded?,
        };
        let exit = match (&recorded.refused, &recorded.declined) {
            (Some(_), _) => Exit::Refused,
            (None, Some(_)) => Exit::Failed,
            (None, None) => Exit::Ok,
        };
        if output.json {
            output.document(&Document { loom: document, recorded })?;
        }
        Ok(exit)
    }
}

/// Puts a request to the run that a text names.
pub(crate) fn ask_run(
    document: &'static str,
    run: &str,
    ask: Ask,
    thinker: &Thinker,
    global: &Global,
    output: &mut Output,
) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let stream = identify::run(opened.store.as_ref(), run)?;
    drop(opened);
    Asking { document, stream, ask, thinker }.put(global.dir.as_deref(), global.quiet, output)
}

/// Takes the store, puts the request, drives on. What became of the runs is for `loom status` to say.
fn drive(
    folder: &Path,
    stream: StreamId,
    id: Vec<u8>,
    ask: Ask,
    thinker: &Thinker,
    quiet: bool,
    output: &mut Output,
) -> Result<u64, CliError> {
    let actor = local_actor(&Environment::read());
    let mut recorded = 0;
    drive_on(folder, (thinker, Absent::Waits), quiet, output, |session| {
        let answered = session.request(Request { stream, id, actor, ask });
        if let Answered::Recorded { sequence, .. } = answered.map_err(|error| CliError::of_host(error, folder))? {
            recorded = sequence;
        }
        Ok(())
    })?;
    Ok(recorded)
}

/// Opens the store that somebody else has just had, or has again.
fn reopened(folder: &Path) -> Result<Box<dyn Store>, CliError> {
    let patience = Instant::now() + REOPEN;
    loop {
        let held = match RedbStore::open_to_read(folder) {
            Ok(store) => return Ok(Box::new(store)),
            Err(held @ StoreError::Held { .. }) => held,
            Err(error) => return Err(error.into()),
        };
        match project::ask_holder(folder) {
            Some(holder) => return Ok(Box::new(holder)),
            None if Instant::now() < patience => std::thread::sleep(LOOK),
            None => return Err(held.into()),
        }
    }
}

/// Reads what the commit of a request decided, and tells it.
fn followed(store: &dyn Store, stream: StreamId, sequence: u64, output: &mut Output) -> Result<Recorded, CliError> {
    let mut recorded = Recorded { run: hex(&stream.0), sequence, decided: Vec::new(), declined: None, refused: None };
    let mut refused: Option<(u64, Refused)> = None;
    for stored in store.read(stream, sequence, 256)? {
        let envelope = Envelope::decode(&stored.event.bytes)
            .map_err(|source| CliError::Event { position: stored.position, source })?;
        if envelope.input != sequence {
            break;
        }
        let schema = envelope.body.schema();
        if schema.class == loom_core::schema::Class::Decision {
            recorded.decided.push(schema.name);
        }
        match envelope.body {
            Event::Refused(body) => drop(refused.get_or_insert((envelope.sequence, body))),
            Event::RequestDeclined(body) => recorded.declined = Some(body.reason),
            _ => {}
        }
    }
    if !output.json {
        writeln!(output.out, "{GOOD}on record{GOOD:#} as {}", told(&stream, sequence))?;
    }
    if let (Some(reason), false) = (&recorded.declined, output.json) {
        writeln!(output.out, "{BAD}declined{BAD:#}: {}", clean(reason))?;
    }
    if let Some((at, body)) = refused {
        if !output.json {
            // Facts and rules as they were where it was refused.
            let run = refold(&StoredRun::new(store, stream), Some(at))?.run.ok();
            writeln!(output.out, "{BAD}REFUSED inside the commit{BAD:#}: {}", clean(&body.kind))?;
            for line in refusal(&body, run.as_ref()) {
                writeln!(output.out, "  {line}")?;
            }
        }
        let (rules, messages) = (body.rules.to_vec(), body.messages.to_vec());
        recorded.refused = Some(RefusedJson { kind: body.kind, rules, messages });
    }
    Ok(recorded)
}
