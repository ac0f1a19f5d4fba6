//! `loom show ID`: one event with what belongs to it, or one run.
//!
//! A spawn is shown with its prompt and output, a finding and a gate with what became of them, a refusal with the
//! rules, the facts they read, the proposal that was dropped, and what would clear it.

use crate::app::Global;
use crate::commands::at::{StateJson, print_state, state_json};
use crate::commands::rules::print_rule;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::{self, Named, told};
use crate::json::{BytesJson, EventJson, field_text};
use crate::line::plain;
use crate::output::{BAD, FAINT, ID, Output, STRONG, WARN};
use crate::project;
use crate::refusal::{RefusedRule, refused_rules, rule_of};
use crate::text::{clean, clean_block, short, time};
use loom_core::cbor::Decoder;
use loom_core::commit::Blob;
use loom_core::event::{Envelope, View};
use loom_core::id::{Actor, Digest, StreamId, hex};
use loom_core::kind::{Event, Refused};
use loom_core::run::Run;
use loom_replay::cause::named;
use loom_replay::{StoredRun, refold};
use loom_store::{Store, Stored, redactions};
use serde::Serialize;
use std::io::Write;

/// Shows a run, or an event with what belongs to it.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// An event or a run: first digits of its id, RUN#SEQUENCE, `@`, `run:last`.
    #[arg(value_name = "ID", default_value = "@")]
    id: String,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct RunDocument {
    loom: &'static str,
    what: &'static str,
    #[serde(flatten)]
    state: StateJson,
}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct EventDocument<'a> {
    loom: &'static str,
    what: &'static str,
    event: EventJson<'a>,
    related: Vec<EventJson<'a>>,
    blobs: Vec<BlobJson>,
    refusal: Option<RefusalJson<'a>>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BlobJson {
    field: &'static str,
    digest: String,
    text: Option<String>,
    bytes: Option<usize>,
    /// Where it was erased: the sequence of the redaction in the store's stream.
    redacted: Option<u64>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct RefusalJson<'a> {
    proposal: Vec<BytesJson<'a>>,
    rules: Vec<RefusedRule>,
}

/// A part of an event that is kept as a blob.
struct Part {
    field: &'static str,
    digest: Digest,
    content: Option<Vec<u8>>,
    /// Where it was erased: by whom, and the sequence in the store's stream.
    redacted: Option<(String, u64)>,
}

/// Answers `loom show`.
pub(crate) fn run(arguments: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    match identify::named(store, &arguments.id)? {
        Named::Run(stream) if stream == StreamId::STORE => {
            let event = identify::event(store, "store#0")?;
            show_event(store, &event, output)?;
        }
        Named::Run(stream) => show_run(store, stream, output)?,
        Named::Event(event) => show_event(store, &event, output)?,
    }
    Ok(Exit::Ok)
}

fn show_run(store: &dyn Store, stream: StreamId, output: &mut Output) -> Result<(), CliError> {
    let refolded = refold(&StoredRun::new(store, stream), None)?;
    if output.json {
        return output.document(&RunDocument { loom: "show/1", what: "run", state: state_json(&refolded) });
    }
    let head = refolded.state.head();
    writeln!(output.out, "{STRONG}run{STRONG:#} {ID}{stream}{ID:#}")?;
    if let Some(bytes) = store.blob(&refolded.state.opened.task)? {
        let task = Blob::content(&bytes).map(|task| String::from_utf8_lossy(task).into_owned()).unwrap_or_default();
        for line in clean_block(&task).lines() {
            writeln!(output.out, "    {line}")?;
        }
    }
    print_state(&refolded.state, output)?;
    let stamp = time(refolded.state.stamp.ms);
    writeln!(output.out, "{FAINT}head {} after {} events, {stamp} UTC{FAINT:#}", short(&head.last), head.next)?;
    Ok(())
}

fn show_event(store: &dyn Store, stored: &Stored, output: &mut Output) -> Result<(), CliError> {
    let envelope = decode(stored)?;
    let related = related(store, &envelope)?;
    let mut parts = parts(store, &envelope.body)?;
    for event in &related {
        if let (Event::SpawnRequested(_), found @ Event::SpawnFinished(_)) = (&envelope.body, &decode(event)?.body) {
            parts.extend(self::parts(store, found)?);
        }
    }
    let rules = match &envelope.body {
        Event::Refused(_) => run_before(store, &envelope)?,
        _ => None,
    };
    if output.json {
        let proposal = match &envelope.body {
            Event::Refused(refused) => proposal(refused),
            _ => Vec::new(),
        };
        let refusal = match &envelope.body {
            Event::Refused(refused) => Some(RefusalJson {
                proposal: proposal.iter().map(|bytes| BytesJson { position: None, id: None, bytes }).collect(),
                rules: refused_rules(refused, rules.as_ref()),
            }),
            _ => None,
        };
        return output.document(&EventDocument {
            loom: "show/1",
            what: "event",
            event: EventJson(stored),
            related: related.iter().map(EventJson).collect(),
            blobs: parts.iter().map(blob_json).collect(),
            refusal,
        });
    }
    print_envelope(stored, &envelope, output)?;
    if let Event::Refused(refused) = &envelope.body {
        print_refusal(refused, rules.as_ref(), output)?;
    } else {
        print_fields(stored, output)?;
    }
    if !related.is_empty() {
        writeln!(output.out, "{STRONG}belongs to it{STRONG:#}")?;
        for event in &related {
            let envelope = decode(event)?;
            let (id, kind) = (identify::short_id(event), envelope.body.schema().name);
            writeln!(output.out, "  {ID}{id}{ID:#} #{:<4} {kind:<17} {}", envelope.sequence, plain(&envelope.body))?;
        }
    }
    for part in &parts {
        print_part(part, output)?;
    }
    Ok(())
}

fn decode(stored: &Stored) -> Result<Envelope, CliError> {
    Envelope::decode(&stored.event.bytes).map_err(|source| CliError::Event { position: stored.position, source })
}

fn print_envelope(stored: &Stored, envelope: &Envelope, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    let schema = envelope.body.schema();
    writeln!(out, "{STRONG}{}{STRONG:#} {ID}{}{ID:#}", schema.name, stored.event.id)?;
    let id = told(&envelope.stream, envelope.sequence);
    writeln!(out, "  place    {id}, position {}", stored.position)?;
    writeln!(
        out,
        "  time     {} UTC, {} ms, counter {}",
        time(envelope.stamp.ms),
        envelope.stamp.ms,
        envelope.stamp.counter
    )?;
    let actor = match &envelope.actor {
        Actor::Kernel | Actor::Host => envelope.actor.class().to_string(),
        Actor::Person { id, assurance, descends } => {
            let spawn = descends.map(|spawn| format!(", descends from spawn #{spawn}")).unwrap_or_default();
            format!("{} {} ({}{spawn})", envelope.actor.class(), clean(id), assurance.word())
        }
    };
    writeln!(out, "  actor    {actor}")?;
    writeln!(out, "  class    {} of the commit of #{}", schema.class.word(), envelope.input)?;
    writeln!(out, "  previous {FAINT}{}{FAINT:#}", envelope.previous)?;
    Ok(())
}

fn print_fields(stored: &Stored, output: &mut Output) -> Result<(), CliError> {
    let view = identify::view(stored)?;
    let width = view.schema.fields.iter().map(|field| field.name.len()).max().unwrap_or_default();
    for field in view.schema.fields {
        if let Some(value) = field_text(&view, field) {
            writeln!(output.out, "  {:<width$} {}", field.name, clean(&value))?;
        }
    }
    Ok(())
}

/// Returns the events that belong to one: what a spawn, check, finding or gate came to.
fn related(store: &dyn Store, envelope: &Envelope) -> Result<Vec<Stored>, CliError> {
    let stream = envelope.stream;
    let own = envelope.sequence;
    let earlier = named(&envelope.body).into_iter().map(|cause| cause.sequence);
    let mut found = Vec::new();
    for sequence in earlier.filter(|sequence| *sequence < own) {
        found.extend(store.read(stream, sequence, 1)?);
    }
    let wants_later = matches!(
        envelope.body,
        Event::SpawnRequested(_)
            | Event::SpawnFinished(_)
            | Event::CheckRequested(_)
            | Event::FindingRaised(_)
            | Event::GateOpened(_)
            | Event::MergeIntended(_)
    );
    if !wants_later {
        return Ok(found);
    }
    let mut next = own + 1;
    loop {
        let batch = store.read(stream, next, 1024)?;
        if batch.is_empty() {
            return Ok(found);
        }
        next += batch.len() as u64;
        for event in batch {
            if speaks_of(&decode(&event)?, envelope) {
                found.push(event);
            }
        }
    }
}

/// Whether a later event says what became of an earlier one.
fn speaks_of(later: &Envelope, earlier: &Envelope) -> bool {
    let of = earlier.sequence;
    match (&earlier.body, &later.body) {
        (Event::SpawnRequested(_), Event::SpawnFinished(body)) => body.spawn == of,
        (Event::SpawnRequested(_), Event::EffectOrphaned(body)) => body.effect == of,
        (Event::SpawnRequested(_) | Event::CheckRequested(_), Event::BudgetSettled(body)) => body.effect == of,
        (Event::SpawnRequested(_) | Event::CheckRequested(_), Event::FindingRaised(body)) => body.source == of,
        (Event::SpawnRequested(_), Event::VerdictGiven(body)) => body.spawn == of,
        (Event::SpawnFinished(finished), Event::FindingRaised(body)) => body.source == finished.spawn,
        (Event::SpawnFinished(finished), Event::VerdictGiven(body)) => body.spawn == finished.spawn,
        (Event::CheckRequested(_), Event::CheckFinished(body)) => body.request == of,
        (Event::FindingRaised(_), Event::FindingResolved(body)) => body.finding == of,
        (Event::FindingRaised(_), Event::FindingWaived(body)) => body.finding == of,
        (Event::FindingRaised(_), Event::RiskAccepted(body)) => body.finding == of,
        (Event::GateOpened(_), Event::GateAnswered(body)) => body.gate == of,
        (Event::GateOpened(_), Event::GateDecided(body)) => body.gate == Some(of),
        (Event::GateOpened(_), Event::GateWithdrawn(body)) => body.gate == of,
        (Event::MergeIntended(_), Event::MergeFinished(body)) => body.merge == of,
        _ => false,
    }
}

/// Returns the parts of an event that people read and that are kept as blobs.
fn parts(store: &dyn Store, event: &Event) -> Result<Vec<Part>, CliError> {
    let named: Vec<(&'static str, Option<Digest>)> = match event {
        Event::RunOpened(body) => vec![("task", Some(body.task))],
        Event::SpawnFinished(body) => {
            vec![("prompt", body.prompt), ("output", body.output), ("transcript", body.transcript)]
        }
        Event::CheckFinished(body) => vec![("output", body.output)],
        Event::GateAnswered(body) => vec![("note", body.note)],
        Event::RunSteered(body) => vec![("note", Some(body.note))],
        Event::RiskAccepted(body) => vec![("reason", Some(body.reason))],
        Event::RunCancelled(body) => vec![("reason", body.reason)],
        Event::RulesAdded(body) => vec![("rules", Some(body.rules))],
        Event::RulesArmed(body) => vec![("rules", Some(body.rules))],
        Event::BlobsRedacted(body) => vec![("why", Some(body.why))],
        _ => Vec::new(),
    };
    let named = named.into_iter().filter_map(|(field, digest)| Some((field, digest?)));
    named
        .map(|(field, digest)| {
            let bytes = store.blob(&digest)?;
            let redacted = match bytes {
                Some(_) => None,
                None => redactions(store)?.remove(&digest).map(|redaction| (redaction.by, redaction.sequence)),
            };
            Ok(Part {
                redacted,
                field,
                digest,
                content: bytes.and_then(|bytes| Blob::content(&bytes).map(<[u8]>::to_vec)),
            })
        })
        .collect()
}

fn blob_json(part: &Part) -> BlobJson {
    BlobJson {
        field: part.field,
        digest: hex(&part.digest.0),
        text: part.content.as_ref().map(|content| String::from_utf8_lossy(content).into_owned()),
        bytes: part.content.as_ref().map(Vec::len),
        redacted: part.redacted.as_ref().map(|(_, sequence)| *sequence),
    }
}

fn print_part(part: &Part, output: &mut Output) -> Result<(), CliError> {
    let digest = short(&part.digest);
    match (&part.content, &part.redacted) {
        (Some(content), _) => {
            writeln!(output.out, "{STRONG}{}{STRONG:#} {FAINT}{digest}, {} bytes{FAINT:#}", part.field, content.len())?;
            for line in clean_block(&String::from_utf8_lossy(content)).lines() {
                writeln!(output.out, "    {line}")?;
            }
        }
        (None, Some((by, sequence))) => {
            let by = clean(by);
            writeln!(
                output.out,
                "{STRONG}{}{STRONG:#} {WARN}{digest} was erased{WARN:#} by {by}, store#{sequence}",
                part.field
            )?;
        }
        (None, None) => writeln!(output.out, "{STRONG}{}{STRONG:#} {BAD}{digest} is missing{BAD:#}", part.field)?,
    }
    Ok(())
}

/// Returns the run as it was before an event, with its terms; `None` when they cannot be loaded.
fn run_before(store: &dyn Store, envelope: &Envelope) -> Result<Option<Run>, CliError> {
    let before = envelope.sequence.checked_sub(1);
    Ok(refold(&StoredRun::new(store, envelope.stream), before)?.run.ok())
}

/// Returns the dropped decisions' bytes.
fn proposal(refused: &Refused) -> Vec<Vec<u8>> {
    let mut decoder = Decoder::new(&refused.proposal);
    let mut dropped = Vec::new();
    let count = decoder.array().unwrap_or_default();
    for _ in 0..count {
        match decoder.bytes() {
            Ok(bytes) if View::read(bytes).is_ok() => dropped.push(bytes.to_vec()),
            Ok(_) | Err(_) => break,
        }
    }
    dropped
}

fn print_refusal(refused: &Refused, run: Option<&Run>, output: &mut Output) -> Result<(), CliError> {
    for (name, message) in refused.rules.iter().zip(refused.messages.iter()) {
        match rule_of(run, name) {
            Some((set, rule)) => print_rule(set.name(), rule, output)?,
            None => writeln!(output.out, "{STRONG}{}{STRONG:#}\n  says     {}", clean(name), clean(message))?,
        }
    }
    writeln!(output.out, "{STRONG}facts read{STRONG:#}")?;
    for fact in refused.facts.iter() {
        writeln!(output.out, "  {}", clean(fact))?;
    }
    writeln!(output.out, "{STRONG}dropped{STRONG:#}, refused at {BAD}{}{BAD:#}", clean(&refused.kind))?;
    for bytes in proposal(refused) {
        let Ok(envelope) = Envelope::decode(&bytes) else { continue };
        let kind = envelope.body.schema().name;
        writeln!(output.out, "  #{:<4} {kind:<17} {}", envelope.sequence, plain(&envelope.body))?;
        let view = View::read(&bytes).map_err(|source| CliError::Event { position: 0, source })?;
        for field in view.schema.fields {
            if let Some(value) = field_text(&view, field) {
                writeln!(output.out, "        {FAINT}{} {}{FAINT:#}", field.name, clean(&value))?;
            }
        }
    }
    writeln!(output.out, "{STRONG}what would clear it{STRONG:#}")?;
    for rule in refused_rules(refused, run) {
        match &rule.expression {
            Some(expression) => writeln!(output.out, "  {} holds when {}", clean(&rule.rule), clean(expression))?,
            None => writeln!(output.out, "  {}: its rule set is missing", clean(&rule.rule))?,
        }
        for fact in &rule.facts {
            writeln!(output.out, "    {}", clean(&fact.told()))?;
        }
    }
    Ok(())
}
