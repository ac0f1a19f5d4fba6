//! Whether the snapshot that a store holds of a run gives the state that its log gives (REFOLD-1).

use crate::error::ReplayError;
use crate::records::{BATCH, Records};
use crate::refold::{Refolded, broken, envelope, extend};
use loom_core::kind::Event;
use loom_core::snapshot::{VERSION, decode};
use loom_store::Store;
use std::sync::Arc;

/// What came of folding on from a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// The store holds none.
    None,
    /// It holds one that nobody uses: of another layout, or one that ends at an event that the log does not have.
    Stale,
    /// It gives the same.
    Equal {
        /// Sequence of the first event that it does not hold.
        from: u64,
    },
    /// It gives something else.
    Differs {
        /// Sequence of the first event that it does not hold.
        from: u64,
        /// What differs.
        what: &'static str,
    },
    /// Its facts cannot be compared: says what is missing.
    Unknowable(String),
}

/// Folds a run on from the snapshot that the store holds of it, and compares with `whole`, its fold from the first event.
pub fn resumed(store: &dyn Store, records: &dyn Records, whole: &Refolded) -> Result<Resumed, ReplayError> {
    let Some(snapshot) = store.snapshot(records.stream())? else { return Ok(Resumed::None) };
    let from = snapshot.next;
    let last = match from.checked_sub(1) {
        Some(sequence) => records.read(sequence, 1)?.pop(),
        None => None,
    };
    if snapshot.version != VERSION || last.is_none_or(|last| last.id != snapshot.last) {
        return Ok(Resumed::Stale);
    }
    let wanted = match &whole.run {
        Ok(run) => run,
        Err(missing) => return Ok(Resumed::Unknowable(missing.clone())),
    };
    // The terms as they were when the snapshot was made.
    let before = crate::refold(records, Some(from - 1))?;
    let terms = match before.run {
        Ok(run) => run.terms,
        Err(missing) => return Ok(Resumed::Unknowable(missing)),
    };
    let Some(mut run) = decode(terms, &snapshot.bytes) else {
        return Ok(Resumed::Differs { from, what: "its bytes are not a run under the terms of that time" });
    };
    if (run.state.next, run.state.last) != (from, snapshot.last) {
        return Ok(Resumed::Differs { from, what: "it is the state after another event" });
    }
    let mut next = from;
    loop {
        let events = records.read(next, BATCH)?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            let extended = match envelope(event, next)?.body {
                Event::RulesAdded(added) => match extend(records, &run.terms, added.rules)? {
                    Ok(terms) => Some(Arc::new(terms)),
                    Err(missing) => return Ok(Resumed::Unknowable(missing)),
                },
                _ => None,
            };
            run.apply(event, extended).map_err(|error| broken(next, error))?;
            next += 1;
        }
    }
    Ok(match (run.state == wanted.state, run.facts == wanted.facts) {
        (true, true) => Resumed::Equal { from },
        (false, _) => Resumed::Differs { from, what: "the state" },
        (true, false) => Resumed::Differs { from, what: "the facts" },
    })
}
