//! `loom redact`: erases the bytes of blobs, for good. What names them stays (ERASE-1 to ERASE-4).

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, Named, told};
use crate::output::{FAINT, GOOD, ID, Output, WARN};
use crate::project;
use crate::text::{bytes, short};
use loom_core::event::Envelope;
use loom_core::id::{Digest, StreamId, hex};
use loom_core::naming::named;
use loom_core::schema::ITEMS_MAX;
use loom_host::environment::Environment;
use loom_host::redact::Redactor;
use loom_host::redactions::{NamedBlob, RedactError, erasable, named_blobs, put};
use loom_host::secrets::Vault;
use loom_host::session::{local_actor, request_id};
use loom_server::AskError;
use loom_store::{RedbStore, Store, Stored};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

/// What may still have the bytes.
const BEYOND: &[&str] = &[
    "backups, exported traces and other copies from before",
    "what witnesses, models' providers and agent programs keep by themselves",
    "workspaces, branches and commits: only the store is looked at",
    "events themselves: paths, summaries of findings, reasons of rules",
    "the disk: flash, snapshots, the file system's journal",
];
/// Why a blob is not erased that has no bytes.
const GONE: &str = "it is not there any more";
/// Fewest digits of a digest.
const DIGITS_MIN: usize = 4;

/// Erases the bytes of blobs for good, such as a prompt or an output that has a secret.
///
/// Their digests stay, so everything still verifies; who had them erased, when and why is on record. There is no way back.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Blobs, by 4 or more first digits of their digests; or events or whole runs, for the blobs that they name.
    #[arg(value_name = "DIGEST|EVENT|RUN", required = true)]
    what: Vec<String>,
    /// Why they are erased.
    #[arg(short, long, value_name = "WHY", required_unless_present = "dry_run")]
    message: Option<String>,
    /// Shows what would be erased, and erases nothing.
    #[arg(long)]
    dry_run: bool,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    /// Sequences of the redactions in the store's stream, of at most 256 blobs each; none in a dry run.
    sequences: Vec<u64>,
    blobs: Vec<BlobJson>,
    /// Blobs of the events that stay.
    kept: Vec<KeptJson>,
    /// What may still have the bytes.
    beyond: &'static [&'static str],
}

#[derive(Serialize, schemars::JsonSchema)]
struct BlobJson {
    digest: String,
    /// Bytes that were stored of it.
    bytes: u64,
    /// Every event that names it; it is erased for all of them.
    named_by: Vec<String>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct KeptJson {
    digest: String,
    why: &'static str,
}

/// Answers `loom redact`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let environment = Environment::read();
    if let Some(spawn) = environment.descends {
        return Err(CliError::OfSpawn { spawn, what: "erasing blobs" });
    }
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let (wanted, kept) = wanted(store, &arguments.what)?;
    let there = erasable(store, &wanted).map_err(|error| not_redacted(error, &opened.folder))?;
    let folder = opened.folder.clone();
    drop(opened);
    let sequences = match (&arguments.message, arguments.dry_run) {
        (Some(why), false) => ask(&folder, &wanted, why, &environment)?,
        _ => Vec::new(),
    };
    tell(sequences, &there, kept, output)?;
    Ok(Exit::Ok)
}

/// Returns the blobs that are meant, and those of the named events that stay.
fn wanted(store: &dyn Store, texts: &[String]) -> Result<(BTreeSet<Digest>, Vec<KeptJson>), CliError> {
    let (mut wanted, mut of_events) = (BTreeSet::new(), BTreeSet::new());
    for text in texts {
        let events = match meant(store, text)? {
            Meant::Blob(digest) => {
                wanted.insert(digest);
                continue;
            }
            Meant::Event(event) => vec![*event],
            Meant::Run(stream) => store.read(stream, 0, usize::MAX)?,
        };
        for event in events {
            let position = event.position;
            let envelope = Envelope::decode(&event.event.bytes);
            let envelope = envelope.map_err(|source| CliError::Event { position, source })?;
            of_events.extend(named(&envelope.body));
        }
    }
    let mut kept = Vec::new();
    let mut keep = |digest: &Digest, why| kept.push(KeptJson { digest: hex(&digest.0), why });
    for (digest, blob) in named_blobs(store, &|digest| of_events.contains(digest)).map_err(CliError::Host)? {
        if blob.term_of.is_some() {
            keep(&digest, "bundle, rules and checks stay: runs could not be judged without");
        } else if store.blob(&digest)?.is_none() {
            keep(&digest, GONE);
        } else {
            wanted.insert(digest);
        }
    }
    if wanted.is_empty() {
        let reason = match kept.first() {
            Some(_) => {
                let gone = kept.iter().filter(|kept| kept.why == GONE).count();
                let (names, terms) = (texts.join(", "), kept.len() - gone);
                format!(
                    "of the blobs that {names} names, {gone} are gone already, and {terms} hold terms of runs, which stay"
                )
            }
            None => format!("{} names no blob", texts.join(", ")),
        };
        return Err(CliError::NotRedacted { reason });
    }
    Ok((wanted, kept))
}

enum Meant {
    Blob(Digest),
    Event(Box<Stored>),
    Run(StreamId),
}

fn meant(store: &dyn Store, text: &str) -> Result<Meant, CliError> {
    let prefix = text.to_ascii_lowercase();
    let is_prefix = (DIGITS_MIN..=64).contains(&prefix.len()) && prefix.bytes().all(|digit| digit.is_ascii_hexdigit());
    let blobs = match is_prefix {
        true => named_blobs(store, &|digest| hex(&digest.0).starts_with(&prefix)).map_err(CliError::Host)?,
        false => BTreeMap::new(),
    };
    let found = identify::named(store, text).map(|found| match found {
        Named::Event(event) => Meant::Event(event),
        Named::Run(stream) => Meant::Run(stream),
    });
    let mut digests = blobs.into_keys();
    match (digests.next(), digests.next(), found) {
        (None, _, found) => found,
        (Some(digest), None, Err(CliError::Unknown { .. })) => Ok(Meant::Blob(digest)),
        (Some(digest), more, found) => {
            let blobs = [Some(digest), more].into_iter().flatten().map(|digest| format!("blob {}", hex(&digest.0)));
            let event = found.ok().map(|found| match found {
                Meant::Event(event) => format!("event {}", event.event.id),
                Meant::Run(stream) => format!("run {stream}"),
                Meant::Blob(digest) => format!("blob {digest}"),
            });
            Err(CliError::Ambiguous { text: text.to_string(), candidates: blobs.chain(event).collect() })
        }
    }
}

/// Puts requests on record and has them done: through the process that holds the store, or with the store in this hand.
fn ask(folder: &Path, blobs: &BTreeSet<Digest>, why: &str, environment: &Environment) -> Result<Vec<u64>, CliError> {
    let blobs: Vec<Digest> = blobs.iter().copied().collect();
    let parts = blobs.chunks(ITEMS_MAX).map(|part| part.iter().copied().collect::<BTreeSet<Digest>>());
    if let Some(holder) = project::ask_holder(folder) {
        let asked = parts.map(|part| holder.redact(&request_id(), &part, why));
        return asked.collect::<Result<_, _>>().map_err(|error| match error {
            AskError::Refused(reason) => CliError::NotRedacted { reason },
            AskError::Unavailable(reason) => CliError::Unheard { reason },
        });
    }
    let store = RedbStore::open(folder)?;
    let redactor = Redactor::watching(Vault::of(environment), Vec::new())?;
    let actor = local_actor(environment);
    let asked = parts.map(|part| Ok(put(&store, &redactor, &request_id(), &actor, &part, why)?.0));
    asked.collect::<Result<_, _>>().map_err(|error| not_redacted(error, folder))
}

fn not_redacted(error: RedactError, folder: &Path) -> CliError {
    match error {
        RedactError::Host(error) => CliError::of_host(error, folder),
        other => CliError::NotRedacted { reason: other.to_string() },
    }
}

fn tell(
    sequences: Vec<u64>,
    there: &BTreeMap<Digest, (NamedBlob, u64)>,
    kept: Vec<KeptJson>,
    output: &mut Output,
) -> Result<(), CliError> {
    let named_by = |blob: &NamedBlob| blob.by.iter().map(|(stream, sequence)| told(stream, *sequence)).collect();
    let blobs: Vec<BlobJson> = there
        .iter()
        .map(|(digest, (blob, length))| BlobJson { digest: hex(&digest.0), bytes: *length, named_by: named_by(blob) })
        .collect();
    if output.json {
        return output.document(&Document { loom: "redact/1", sequences, blobs, kept, beyond: BEYOND });
    }
    let out = &mut output.out;
    let word = if sequences.is_empty() { "would be erased" } else { "erased" };
    for (digest, blob) in there.keys().zip(&blobs) {
        let (id, size, by) = (short(digest), bytes(blob.bytes), blob.named_by.join(", "));
        writeln!(out, "{WARN}{word}{WARN:#} {ID}{id}{ID:#} {size}, named by {by}")?;
    }
    for KeptJson { digest, why } in &kept {
        writeln!(out, "{FAINT}stays  {} {why}{FAINT:#}", digest.get(..12).unwrap_or(digest))?;
    }
    if !sequences.is_empty() {
        let places = sequences.iter().map(|sequence| told(&StreamId::STORE, *sequence)).collect::<Vec<_>>();
        writeln!(out, "{GOOD}on record{GOOD:#} as {}; still in other places may be", places.join(", "))?;
        for what in BEYOND {
            writeln!(out, "  {what}")?;
        }
    }
    Ok(())
}
