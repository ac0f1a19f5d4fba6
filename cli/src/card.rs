//! A gate as it is shown to who decides it: what changed, what was found, what was checked, and the digest of just that.

use crate::error::CliError;
use crate::text::{clean, lossy};
use loom_core::event::Envelope;
use loom_core::id::{StreamId, hex};
use loom_core::kind::{CheckFinished, Event, FindingRaised};
use loom_core::run::Run;
use loom_core::state::Gate;
use loom_store::Store;
use std::collections::BTreeMap;

/// Most paths and findings that are shown of each.
const SHOWN: usize = 20;

/// Returns the lines of a gate of a run; `run` is the run at that gate.
pub(crate) fn card(store: &dyn Store, stream: StreamId, run: &Run, gate: &Gate) -> Result<Vec<String>, CliError> {
    let mut paths: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    let mut checks: BTreeMap<String, CheckFinished> = BTreeMap::new();
    let mut found: BTreeMap<u64, FindingRaised> = BTreeMap::new();
    let mut next = 0;
    loop {
        let events = store.read(stream, next, 256)?;
        if events.is_empty() {
            break;
        }
        next += events.len() as u64;
        for stored in &events {
            let envelope = Envelope::decode(&stored.event.bytes)
                .map_err(|source| CliError::Event { position: stored.position, source })?;
            match envelope.body {
                Event::PathsChanged(body) => {
                    paths.extend(body.paths.iter().cloned().zip(body.how.iter().cloned()));
                }
                Event::CheckFinished(body) => drop(checks.insert(body.check.clone(), body)),
                Event::FindingRaised(body) => drop(found.insert(envelope.sequence, body)),
                _ => {}
            }
        }
    }
    let mut lines = vec![format!("gate `{}` decides on {}", clean(&gate.role), hex(&gate.artifact.0))];
    section(&mut lines, paths.iter().map(|(path, how)| format!("{:<13}{}", clean(how), lossy(path))), "changed");
    let standing = run.state.findings.iter().filter_map(|(sequence, standing)| {
        let body = found.get(sequence)?;
        let place = body.path.as_ref().map(|path| format!(" {}", lossy(path))).unwrap_or_default();
        let waived = if standing.waived { ", its risk is taken" } else { "" };
        let summary = clean(&body.summary);
        Some(format!("{:<13}{} (#{sequence}){place}: {summary}{waived}", body.severity.word(), clean(&body.agent)))
    });
    section(&mut lines, standing, "found");
    let checked = checks.into_values().map(|body| {
        let code = body.exit_code.map_or(String::new(), |code| format!(", exit code {code}"));
        let other = if body.tree == run.state.tree { "" } else { ", on an earlier tree" };
        format!("{:<13}{}{code}{other}", clean(&body.check), body.outcome.word())
    });
    section(&mut lines, checked, "checked");
    Ok(lines)
}

fn section(lines: &mut Vec<String>, all: impl Iterator<Item = String>, name: &str) {
    let all: Vec<String> = all.collect();
    let more = all.len().saturating_sub(SHOWN);
    lines.extend(all.into_iter().take(SHOWN).map(|line| format!("  {name:<8} {line}")));
    if more > 0 {
        lines.push(format!("  {name:<8} and {more} more"));
    }
}
