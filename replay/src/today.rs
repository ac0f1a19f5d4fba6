//! Feeds the inputs of a run to core under a bundle as it is now, in place of the one that the run names (REDRIVE-4).
//!
//! ```text
//! record   run.opened(code 1) ─ … ─ verdict.given ─ stage.entered final
//! today    run.opened(code 2) ─ … ─ verdict.given ─ stage.entered docs      the first event that says something else
//! ```
//!
//! It is the timeline of a what-if whose change is the bundle. Digests that follow from the terms alone are no difference.

use crate::diff::but_terms;
use crate::drift::{Drift, drift, is_ruling};
use crate::error::ReplayError;
use crate::records::Records;
use crate::redrive::{Redriven, redrive};
use crate::what_if::{Change, WhatIf, WhatIfError, changed};
use crate::whole::Whole;
use loom_bundles::LoadedBundle;
use loom_core::commit::Blob;
use loom_core::id::Digest;
use loom_core::kind::{Event, RunOpened};
use loom_core::process::Bundle;
use loom_core::rules::RuleSet;

/// Most characters of a value that differs.
const VALUE_MAX: usize = 100;

/// What came of driving a run under a bundle as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Today {
    /// The run was opened under a bundle of another name.
    OtherBundle(String),
    /// It was driven.
    Driven {
        /// What came out; the same but for what follows from the terms alone is the same.
        redriven: Redriven,
        /// Why it comes out otherwise.
        drift: Option<Drift>,
        /// Outcomes of spawns that would have been asked something else (WHATIF-5).
        otherwise_asked: u64,
        /// Names of the recorded rule sets that stay: none of the bundle has their name.
        kept: Vec<String>,
    },
}

/// Drives a run again under its own terms and, where it comes out, under this bundle. `version` is that of this Loom.
///
/// # Errors
/// What keeps the run from being read.
pub fn redrive_today(records: &dyn Records, bundle: &LoadedBundle, version: &str) -> Result<Today, ReplayError> {
    let opened = opening(records)?;
    // Without its bundle the run is unknowable, whatever the name that it gives.
    let name = content(records, &opened.bundle)?.and_then(|content| Bundle::decode(&content).ok());
    if let Some(Bundle { name, .. }) = name.filter(|known| known.name != bundle.bundle.name) {
        return Ok(Today::OtherBundle(name));
    }
    let redriven = redrive(records)?;
    if !matches!(redriven, Redriven::Same { .. }) {
        let drift = drift(records, &redriven, version)?;
        return Ok(Today::of(redriven, drift));
    }
    let terms = Compared::of(records, bundle, &opened)?;
    let change =
        Change::Bundle { title: bundle.title(), bytes: bundle.bytes.clone(), rules: bundle.rule_texts.clone() };
    let found = match changed(records, 0, &change) {
        Ok(found) => found,
        Err(WhatIfError::Replay(error)) => return Err(error),
        // Core does not open the run so, or what it would be opened under does not load: nothing of the record is missing.
        Err(WhatIfError::Unknowable { sequence: 0, missing: why }) => return not_opened(records, &terms, why),
        Err(WhatIfError::Declined { source, .. }) => {
            return not_opened(records, &terms, format!("core declines the input: {source}"));
        }
        Err(WhatIfError::Unknowable { sequence, missing }) => {
            return Ok(Today::of(Redriven::Unknowable { sequence, missing }, None));
        }
        Err(error @ (WhatIfError::NoEvent { .. } | WhatIfError::NotHere { .. } | WhatIfError::Diverged { .. })) => {
            return Ok(Today::of(Redriven::Unknowable { sequence: 0, missing: error.to_string() }, None));
        }
    };
    let redriven = compare(&found, redriven);
    let drift = match &redriven {
        Redriven::Diverged { recorded, derived, .. } => {
            Some(terms.drift(is_ruling(recorded.as_deref()) || is_ruling(derived.as_deref())))
        }
        Redriven::Same { .. } | Redriven::Unknowable { .. } => None,
    };
    // What came after the turn was given to another run.
    let before = found.turn.unwrap_or(u64::MAX);
    let otherwise = found.given.iter().filter(|given| given.is_otherwise_asked && given.changed < before);
    Ok(Today::Driven { redriven, drift, otherwise_asked: otherwise.count() as u64, kept: terms.kept })
}

impl Today {
    fn of(redriven: Redriven, drift: Option<Drift>) -> Self {
        Today::Driven { redriven, drift, otherwise_asked: 0, kept: Vec::new() }
    }
}

fn not_opened(records: &dyn Records, terms: &Compared, what: String) -> Result<Today, ReplayError> {
    let recorded = Whole::read(records)?.at(0).cloned().map(Box::new);
    Ok(Today::of(Redriven::Diverged { sequence: 0, recorded, derived: None, what }, Some(terms.process())))
}

/// Tells the first event that is not the recorded one; `same` is what the run is under its own terms.
fn compare(found: &WhatIf, same: Redriven) -> Redriven {
    let Some(sequence) = found.turn else { return same };
    let at = |whole: &Whole| {
        let spot = whole.spots().get(usize::try_from(sequence).ok()?)?;
        Some((whole.at(sequence)?.clone(), spot.to_string()))
    };
    let (recorded, derived) = (at(&found.recorded), at(&found.changed));
    let what = match (&recorded, &derived) {
        (Some((_, spot)), Some((_, other))) if spot == other => {
            let place = usize::try_from(sequence).unwrap_or(usize::MAX);
            let bytes = |whole: &Whole| whole.events().get(place).map(|event| event.bytes.clone()).unwrap_or_default();
            let value = |value: &Option<String>| match value {
                Some(text) => text.chars().take(VALUE_MAX).collect(),
                None => "absent".to_string(),
            };
            let differences = but_terms(&bytes(&found.recorded), &bytes(&found.changed));
            let told = differences.iter().map(|it| format!("{}: {} → {}", it.field, value(&it.left), value(&it.right)));
            format!("{spot} says something else: {}", told.collect::<Vec<_>>().join(", "))
        }
        (one, other) => {
            let told =
                |event: &Option<(_, String)>| event.as_ref().map_or("nothing".to_string(), |(_, spot)| spot.clone());
            format!("{} is on record, {} comes out", told(one), told(other))
        }
    };
    let envelope = |event: Option<(_, String)>| event.map(|(envelope, _)| Box::new(envelope));
    Redriven::Diverged { sequence, recorded: envelope(recorded), derived: envelope(derived), what }
}

/// What the terms of a run and those of today have in common.
struct Compared {
    then: String,
    now: String,
    is_same_bundle: bool,
    /// Names of today's sets whose text is not a recorded one.
    other_sets: Vec<String>,
    kept: Vec<String>,
}

impl Compared {
    fn of(records: &dyn Records, bundle: &LoadedBundle, opened: &RunOpened) -> Result<Self, ReplayError> {
        let (mut kept, mut other_sets) = (Vec::new(), Vec::new());
        for (set, blob) in bundle.rule_sets.iter().zip(bundle.rule_blobs()) {
            if !opened.rules.contains(&blob.digest) {
                other_sets.push(set.name().to_string());
            }
        }
        for digest in opened.rules.iter() {
            let text = content(records, digest)?.and_then(|content| String::from_utf8(content).ok());
            let Some(Ok(set)) = text.map(|text| RuleSet::load(&text)) else { continue };
            if bundle.rule_sets.iter().all(|known| known.name() != set.name()) {
                kept.push(set.name().to_string());
            }
        }
        Ok(Compared {
            then: opened.bundle_name.clone(),
            now: bundle.title(),
            is_same_bundle: opened.bundle == bundle.digest,
            other_sets,
            kept,
        })
    }

    /// Where both are others, what stands at the first difference decides.
    fn drift(self: &Compared, is_ruling: bool) -> Drift {
        match (self.is_same_bundle, self.other_sets.is_empty()) {
            (true, _) => self.ruling(),
            (false, false) if is_ruling => self.ruling(),
            (false, _) => self.process(),
        }
    }

    fn ruling(&self) -> Drift {
        Drift::Ruling { sets: self.other_sets.clone() }
    }

    fn process(&self) -> Drift {
        Drift::Process { then: self.then.clone(), now: self.now.clone() }
    }
}

fn opening(records: &dyn Records) -> Result<RunOpened, ReplayError> {
    let none = || ReplayError::NoRun(records.stream());
    let first = records.read(0, 1)?.pop().ok_or_else(none)?;
    match crate::refold::envelope(&first, 0)?.body {
        Event::RunOpened(opened) => Ok(opened),
        _ => Err(none()),
    }
}

/// Returns what a blob says, where it is there.
fn content(records: &dyn Records, digest: &Digest) -> Result<Option<Vec<u8>>, ReplayError> {
    let bytes = records.blob(digest)?;
    Ok(bytes.as_deref().and_then(Blob::content).map(<[u8]>::to_vec))
}
