//! By which level an attack is found out, and by which law.

use super::altered::Altered;
use super::attack::{By, Found};
use super::material::{Material, PERSON, PRESENT, public};
use loom_core::event::{Envelope, EventError};
use loom_replay::evidence::{Checkpoint, EvidenceError, History, Pins, Receipt, Witnessed, verify as check};
use loom_replay::{Options, ReplayError, trace, verify};
use loom_store::StoreError;

/// What became of an attack.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Outcome {
    /// It is refused: by a reader of single events (1), of the whole (2), with what lies elsewhere (3), or with a person's
    /// key (5).
    Caught { level: u8, law: String },
    /// It changed no byte that anybody reads.
    Same,
    /// What stands elsewhere says less and is still true of it.
    True,
    /// Nobody noticed.
    Unseen,
}

fn caught(level: u8, law: impl Into<String>) -> Outcome {
    Outcome::Caught { level, law: law.into() }
}

/// Holds what a reader finds against all that the reader has.
pub(super) fn outcome(material: &Material, by: By, found: &Found) -> Outcome {
    match found {
        Found::Store { log, blobs, checkpoints } => {
            let blobs = blobs.as_ref().unwrap_or(&material.blobs);
            if let Err(seen) = store(material, by, log, blobs, checkpoints) {
                return seen;
            }
            match (*log == material.log && *blobs == material.blobs, *checkpoints == material.checkpoints) {
                (true, true) => Outcome::Same,
                // Every event is there; the checkpoints that are left are true of it.
                (true, false) => Outcome::True,
                // A blob that was replaced by equal bytes, or is named by nothing any more, was looked at above.
                (false, _) => Outcome::Unseen,
            }
        }
        Found::Trace { run, bytes } => of_trace(material, *run, bytes),
        Found::Receipt { original, bytes } => of_receipt(material, *original, bytes),
        Found::Approval { bytes } => of_approval(bytes),
    }
}

/// Returns the law by which a whole store is refused, or how far it is.
fn store(
    material: &Material,
    by: By,
    log: &[Vec<u8>],
    blobs: &std::collections::BTreeMap<loom_core::id::Digest, Vec<u8>>,
    checkpoints: &[String],
) -> Result<(), Outcome> {
    for bytes in log {
        Envelope::decode(bytes).map_err(|error| caught(1, law_of_event(&error)))?;
    }
    let altered =
        Altered::new(&material.store, log, blobs, by != By::Bytes).map_err(|error| caught(2, law_of_store(&error)))?;
    let report =
        verify(&altered, Options { threads: 1, blobs: true }).map_err(|error| caught(2, law_of_replay(&error)))?;
    if let Some(bad) = report.first_bad {
        return Err(caught(2, law_in(&bad.what)));
    }
    let history = History::of_store(&altered).map_err(|error| caught(2, law_of(&error)))?;
    witnessed(checkpoints, &altered, &history).map_err(|error| caught(3, law_of(&error)))
}

fn witnessed(checkpoints: &[String], store: &Altered<'_>, history: &History) -> Result<(), EvidenceError> {
    let read: Result<Vec<_>, _> = checkpoints.iter().map(|text| Checkpoint::parse(text)).collect();
    Witnessed { checkpoints: read? }.hold(store, history)
}

fn of_trace(material: &Material, run: usize, bytes: &[u8]) -> Outcome {
    let read = match trace::read(&mut &bytes[..]) {
        Ok(read) => read,
        Err(error) => {
            let law = law_of_replay(&error);
            let single = ["CBOR", "SCHEMA", "KIND-2"].iter().any(|family| law.starts_with(family));
            return caught(if single { 1 } else { 2 }, law);
        }
    };
    if bytes == material.traces[run] {
        return Outcome::Same;
    }
    // The reader holds the events against a receipt of the run that is witnessed.
    let kept = super::attack::of_stream(&material.log, material.runs[run]);
    let events: Vec<_> = read.events.iter().map(|event| &event.bytes).collect();
    let is_proven = check(&material.kept[run], &pins(material)).is_ok_and(|checked| checked.level.number >= 3);
    match is_proven && events == kept {
        // Only blobs differ, and each is what the events name: one that is left out is told as absent.
        true => Outcome::True,
        false => caught(3, "RECEIPT-3"),
    }
}

fn of_receipt(material: &Material, original: usize, bytes: &[u8]) -> Outcome {
    let level = |law: &str| if law == "RECEIPT-1" { 1 } else { 2 };
    let checked = Receipt::read(bytes).and_then(|receipt| {
        check(&receipt, &Pins::default())?;
        Ok(receipt)
    });
    let receipt = match checked {
        Ok(receipt) => receipt,
        Err(error) => {
            let law = law_of(&error);
            return caught(level(&law), law);
        }
    };
    if bytes == material.receipts[original].write() {
        return Outcome::Same;
    }
    match check(&receipt, &pins(material)) {
        Err(error) => caught(3, law_of(&error)),
        Ok(checked) if checked.level.number < 3 => caught(3, "LEVEL-1"),
        Ok(_) => Outcome::Unseen,
    }
}

/// All that the reader has vouches for the receipt, but it does not say what the person said.
fn of_approval(bytes: &[u8]) -> Outcome {
    match Receipt::read(bytes).and_then(|receipt| check(&receipt, &approval_pins(&receipt))) {
        Err(error) => caught(2, law_of(&error)),
        Ok(checked) if checked.level.number < 5 => caught(5, "LEVEL-1"),
        Ok(_) => Outcome::Unseen,
    }
}

/// What a reader has of a decision that was witnessed as it stands.
pub(super) fn approval_pins(receipt: &Receipt) -> Pins {
    Pins {
        key: Some(public(PRESENT)),
        checkpoints: vec![receipt.checkpoint.clone()],
        persons: vec![public(PERSON)],
        ..Pins::default()
    }
}

/// What a reader has from elsewhere.
pub(super) fn pins(material: &Material) -> Pins {
    Pins { key: Some(public(PRESENT)), checkpoints: material.checkpoints.clone(), ..Pins::default() }
}

/// Returns the law that stands in brackets in a sentence; what core says of a schema stands without.
pub(super) fn law_in(what: &str) -> String {
    let is_law = |word: &&str| {
        word.split_once('-').is_some_and(|(family, number)| {
            !family.is_empty()
                && family.bytes().all(|byte| byte.is_ascii_uppercase())
                && !number.is_empty()
                && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    };
    let in_brackets = what.split(['(', ')']).skip(1).step_by(2).find(is_law);
    match in_brackets {
        Some(law) => law.to_string(),
        None if what.contains("not in the schema") || what.contains("is missing at byte") => "SCHEMA-3".to_string(),
        None if what.contains("outside of its range") || what.contains("is not a ") => "SCHEMA-4".to_string(),
        None if what.contains("newer loom") || what.contains("0 is none") => "KIND-2".to_string(),
        None => "layout".to_string(),
    }
}

/// Returns the law that bytes break which are no event.
pub(super) fn law_of_event(error: &EventError) -> String {
    match error {
        EventError::Format(_) | EventError::Kind(_) | EventError::Version { .. } => "KIND-2".to_string(),
        EventError::Cbor(_) | EventError::Shape(_) => law_in(&error.to_string()),
    }
}

fn law_of_store(error: &StoreError) -> String {
    law_in(&error.to_string())
}

/// Returns the law by which a trace is refused.
pub(super) fn law_of_replay(error: &ReplayError) -> String {
    match error {
        ReplayError::NotATrace => "TRACE-8".to_string(),
        ReplayError::Newer { .. } | ReplayError::NewerEvent { .. } => "TRACE-1".to_string(),
        ReplayError::TooMany { .. } => "TRACE-7".to_string(),
        error => law_in(&error.to_string()),
    }
}

/// Returns the law that evidence breaks.
pub(super) fn law_of(error: &EvidenceError) -> String {
    error.law().map_or_else(|| law_in(&error.to_string()), ToString::to_string)
}
