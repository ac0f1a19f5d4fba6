//! `loom gates`: what waits for a person, and what exactly each gate asks.

use crate::app::Global;
use crate::error::CliError;
use crate::exit::Exit;
use crate::identify::told;
use crate::output::{FAINT, ID, Output, WARN};
use crate::project;
use crate::text::{clean, rfc3339, time};
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_core::kind::Event;
use loom_replay::{StoredRun, refold};
use loom_store::Store;
use serde::Serialize;
use std::io::Write;

/// Lists the gates that wait for a person, the one that has waited longest first.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    gates: Vec<GateJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct GateJson {
    run: String,
    sequence: u64,
    role: String,
    stage: String,
    policy: String,
    reason: String,
    owner: String,
    opened: String,
    deadline: String,
    /// What the gate is decided as when nobody answers until then.
    default: &'static str,
    /// What an answer is bound to.
    artifact: String,
    /// What blocks now.
    blockers: Vec<BlockerJson>,
}

#[derive(Serialize, schemars::JsonSchema)]
struct BlockerJson {
    sequence: u64,
    severity: &'static str,
    summary: String,
}

/// Answers `loom gates`.
pub(crate) fn run(_: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let opened = project::open(global.dir.as_deref(), output)?;
    let store = opened.store.as_ref();
    let mut gates = store.gates()?;
    gates.sort_by_key(|gate| gate.opened);
    let mut document = Document { loom: "gates/1", gates: Vec::new() };
    for gate in gates {
        let Event::GateOpened(body) = event(store, gate.stream, gate.sequence)? else { continue };
        let blockers = blockers(store, gate.stream)?;
        if !output.json {
            let (out, id) = (&mut output.out, told(&gate.stream, gate.sequence));
            let (role, owner) = (clean(&body.role), clean(&body.owner));
            writeln!(out, "{ID}{id}{ID:#}  {WARN}{role}{WARN:#}  {}", clean(&body.reason))?;
            for blocker in &blockers {
                let id = told(&gate.stream, blocker.sequence);
                writeln!(out, "    {ID}{id}{ID:#}  {}  {}", blocker.severity, clean(&blocker.summary))?;
            }
            writeln!(
                out,
                "    {FAINT}for {owner} until {} UTC, then {}{FAINT:#}",
                time(body.deadline_ms),
                body.default.word()
            )?;
            writeln!(out, "    {FAINT}digest {}{FAINT:#}", body.artifact)?;
        }
        document.gates.push(GateJson {
            run: hex(&gate.stream.0),
            sequence: gate.sequence,
            opened: rfc3339(gate.opened.ms),
            deadline: rfc3339(body.deadline_ms),
            default: body.default.word(),
            artifact: body.artifact.to_string(),
            role: body.role,
            stage: body.stage,
            policy: body.policy,
            reason: body.reason,
            owner: body.owner,
            blockers,
        });
    }
    if output.json {
        output.document(&document)?;
    } else if document.gates.is_empty() {
        writeln!(output.out, "no gate waits")?;
    }
    Ok(Exit::Ok)
}

/// Returns the findings that block now: the risk of one may have been taken since the gate was opened.
fn blockers(store: &dyn Store, stream: StreamId) -> Result<Vec<BlockerJson>, CliError> {
    let state = refold(&StoredRun::new(store, stream), None)?.state;
    let mut found = Vec::new();
    for (sequence, _) in state.blockers() {
        if let Event::FindingRaised(body) = event(store, stream, sequence)? {
            let (severity, summary) = (body.severity.word(), body.summary);
            found.push(BlockerJson { sequence, severity, summary });
        }
    }
    Ok(found)
}

fn event(store: &dyn Store, stream: StreamId, sequence: u64) -> Result<Event, CliError> {
    let stored = store.read(stream, sequence, 1)?.pop();
    let stored = stored.ok_or_else(|| CliError::Unknown { text: told(&stream, sequence) })?;
    let envelope = Envelope::decode(&stored.event.bytes);
    Ok(envelope.map_err(|source| CliError::Event { position: stored.position, source })?.body)
}
