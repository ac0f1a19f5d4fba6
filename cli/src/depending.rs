//! What depends on a record that is not what was written, in words and as JSON (REPORT-5).

use crate::text::run8;
use loom_replay::corpus::Kind;
use loom_replay::{Bad, Dependents};
use serde::Serialize;

/// Dependents that are named one by one.
const NAMED_MAX: usize = 100;

/// What depends on the first bad record of a store.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct DependentsJson {
    /// Events after it in the store, which the tree is over.
    later: u64,
    /// Events after it in its run, each of which names the one before it.
    chained: u64,
    /// How many of those name it as a cause, or one that does.
    resting: u64,
    /// Their sequences, the first 100.
    first_resting: Vec<u64>,
    /// Whether what comes after it could be read to its end; else the numbers are the least.
    complete: bool,
}

/// Returns what depends on a record as JSON.
pub(crate) fn json(found: &Dependents) -> DependentsJson {
    DependentsJson {
        later: found.later,
        chained: found.chained,
        resting: found.resting.len() as u64,
        first_resting: found.resting.iter().take(NAMED_MAX).copied().collect(),
        complete: found.is_complete,
    }
}

/// Says what depends on the first bad record of a store or trace. `is_elsewhere` is whether the source is whole by itself and
/// what is kept elsewhere says otherwise.
pub(crate) fn words(kind: Kind, bad: &Bad, is_elsewhere: bool, found: Option<&Dependents>) -> String {
    match (kind, bad.is_cut, found) {
        (Kind::Trace, true, _) => "whatever came after it and is not in the file".to_string(),
        (Kind::Trace, false, _) => "everything after it in the file, which was not looked at".to_string(),
        (Kind::Store, _, Some(found)) => of_store(bad, found),
        // Where a checkpoint is longer than the store, nothing that is there is bad.
        (Kind::Store, true, None) => "whatever came after it and is not in the store".to_string(),
        (Kind::Store, false, None) if is_elsewhere => {
            "everything: by itself the store is whole, and where it differs is not known".to_string()
        }
        (Kind::Store, false, None) if bad.position.is_some() => "everything after it, which cannot be read".to_string(),
        (Kind::Store, false, None) => "everything: where it lies in the log is not known".to_string(),
    }
}

fn of_store(bad: &Bad, found: &Dependents) -> String {
    let events = |count: u64| format!("{count} later event{}", if count == 1 { "" } else { "s" });
    let mut told = format!("the tree over {} of the store", events(found.later));
    if let Some(stream) = &bad.stream {
        let (chain, run) = (events(found.chained), run8(stream));
        told.push_str(&format!("; the chain of {chain} of {run}; by what they say, {} of those", found.resting.len()));
        for (place, sequence) in found.resting.iter().take(NAMED_MAX).enumerate() {
            told.push_str(&format!("{} #{sequence}", if place == 0 { ":" } else { "" }));
        }
        if found.resting.len() > NAMED_MAX {
            told.push_str(" and more");
        }
    }
    if !found.is_complete {
        told.push_str(". What comes after it is not readable to its end, so this is the least");
    }
    told
}
