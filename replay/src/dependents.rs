//! What depends on a record that is not what was written: the tree's part from it on, the rest of its run's chain, and
//! the events that name it, or one that names it (REPORT-5).
//!
//! Reads what is there as it is, and believes it only so far as to say who names whom.

use crate::cause::causes;
use crate::error::{Bad, ReplayError};
use loom_core::event::{Envelope, View};
use loom_store::{Store, StoreError};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// What depends on a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dependents {
    /// Events after it in the store, of whatever run: the tree's root over them rests on it.
    pub later: u64,
    /// Events after it in its run: each names the one before it, back to it.
    pub chained: u64,
    /// Those of them that rest on what it says, by their sequences: they name it as a cause, or one that does.
    pub resting: BTreeSet<u64>,
    /// Whether what comes after could be read to its end.
    pub is_complete: bool,
}

/// Returns what depends on the first bad record of a store; `None` where its position is not known and cannot be looked up.
///
/// # Errors
/// What keeps from reading the store, but for damage.
pub fn dependents(store: &dyn Store, bad: &Bad) -> Result<Option<Dependents>, ReplayError> {
    let looked_up = || Some(store.read(bad.stream?, bad.sequence?, 1).ok()?.first()?.position);
    let Some(position) = bad.position.or_else(looked_up) else { return Ok(None) };
    let mut found = Dependents { later: store.size().saturating_sub(position + 1), ..Dependents::default() };
    let place = bad.stream.zip(bad.sequence);
    let mut is_read = true;
    let scanned = store.scan(position + 1, &mut |_, bytes| {
        let Ok(view) = View::read(bytes) else {
            is_read = false;
            return ControlFlow::Continue(());
        };
        let Some((_, sequence)) =
            place.filter(|(stream, sequence)| view.stream == *stream && view.sequence > *sequence)
        else {
            return ControlFlow::Continue(());
        };
        found.chained += 1;
        match Envelope::decode(bytes) {
            Ok(envelope) => {
                let rests = |on: u64| on == sequence || found.resting.contains(&on);
                if causes(&envelope).iter().any(|cause| rests(cause.sequence)) {
                    found.resting.insert(envelope.sequence);
                }
            }
            Err(_) => is_read = false,
        }
        ControlFlow::Continue(())
    });
    match scanned {
        Ok(_) => found.is_complete = is_read,
        Err(StoreError::Damaged(_)) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Some(found))
}
