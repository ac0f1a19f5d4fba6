//! Checkpoints that lie outside of the store, and a store held against them (CHECKPOINT-4, WITNESS-1, WITNESS-2).

use super::checkpoint::Checkpoint;
use super::error::{EvidenceError, broken};
use super::history::History;
use loom_store::Store;

/// What a place outside of a store has of it, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Witnessed {
    /// The checkpoints, by ascending size.
    pub checkpoints: Vec<Checkpoint>,
}

/// Reads checkpoints one behind the other, an empty line between two (WITNESS-1). An empty text has none.
///
/// # Errors
/// [`EvidenceError::Broken`] where anything in it is no checkpoint.
pub fn read_all(text: &str) -> Result<Vec<Checkpoint>, EvidenceError> {
    let mut found = Vec::new();
    let mut pieces = text.split("\n\n").peekable();
    if text.is_empty() {
        return Ok(found);
    }
    while let Some(head) = pieces.next() {
        let lines = pieces.next().ok_or_else(|| broken("WITNESS-1", "a checkpoint is cut off"))?;
        let end = if pieces.peek().is_some() { "\n" } else { "" };
        found.push(Checkpoint::parse(&format!("{head}\n\n{lines}{end}"))?);
    }
    Ok(found)
}

impl Witnessed {
    /// Takes of these checkpoints those of a store.
    pub fn of(checkpoints: Vec<Checkpoint>, origin: &[u8; 16]) -> Self {
        let mut checkpoints: Vec<Checkpoint> =
            checkpoints.into_iter().filter(|checkpoint| checkpoint.origin() == Some(*origin)).collect();
        checkpoints.sort_by_key(|checkpoint| checkpoint.size);
        Witnessed { checkpoints }
    }

    /// Checks each of them, and the store against each.
    ///
    /// # Errors
    /// [`EvidenceError::Broken`] where a checkpoint is not what a key of the store signed, [`EvidenceError::Truncated`]
    /// and [`EvidenceError::Forked`].
    pub fn hold(&self, store: &dyn Store, history: &History) -> Result<(), EvidenceError> {
        for checkpoint in &self.checkpoints {
            match checkpoint.signer(history) {
                // The key may have been lost with the events after it.
                Err(_) if history.keys.is_empty() && store.size() < checkpoint.size => {}
                signer => drop(signer?),
            }
            hold_against(store, checkpoint)?;
        }
        Ok(())
    }
}

/// Holds a store against a checkpoint (CHECKPOINT-4).
pub(super) fn hold_against(store: &dyn Store, checkpoint: &Checkpoint) -> Result<(), EvidenceError> {
    let (size, witnessed) = (store.size(), checkpoint.size);
    if size < witnessed {
        return Err(EvidenceError::Truncated { size, witnessed });
    }
    if store.tree_root(witnessed)? != checkpoint.root {
        return Err(EvidenceError::Forked { witnessed });
    }
    Ok(())
}
