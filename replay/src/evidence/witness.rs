//! Checkpoints that lie outside of the store, and a store held against them (CHECKPOINT-4, WITNESS-1, WITNESS-2).

use super::checkpoint::Checkpoint;
use super::error::{EvidenceError, broken};
use super::history::History;
use loom_core::id::{EventHasher, StreamId};
use loom_core::multiproof::{nodes_beside, root_of};
use loom_core::tree::{NodeHash, leaf};
use loom_store::Store;

/// How many events are read at a time.
const BATCH: usize = 256;

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

    /// Does what [`Witnessed::hold`] does for a store of which one run alone was verified: the run's events and those of
    /// the store's own stream have to be the leaves at their positions under each checkpoint (CHECKPOINT-4). What the store
    /// says of its tree is believed of the others alone: what is wrong there leads to another root.
    ///
    /// Says whether the newest checkpoint has all of the run.
    ///
    /// # Errors
    /// Those of [`Witnessed::hold`].
    pub fn hold_run(&self, store: &dyn Store, history: &History, run: StreamId) -> Result<bool, EvidenceError> {
        self.hold(store, history)?;
        let mut leaves = leaves_of(store, run)?;
        let end = leaves.last().map_or(0, |(position, _)| position + 1);
        if run != StreamId::STORE {
            leaves.extend(leaves_of(store, StreamId::STORE)?);
            leaves.sort_unstable();
        }
        for checkpoint in &self.checkpoints {
            let size = checkpoint.size;
            let under = &leaves[..leaves.partition_point(|(position, _)| *position < size)];
            let positions: Vec<u64> = under.iter().map(|(position, _)| *position).collect();
            let nodes = nodes_beside(&positions, size, &mut |height, index| store.tree_node(height, index))?;
            if root_of(under, size, &nodes) != Some(checkpoint.root) {
                return Err(EvidenceError::Forked { witnessed: size });
            }
        }
        Ok(self.checkpoints.last().is_some_and(|newest| end <= newest.size))
    }
}

/// Returns the positions of a stream's events and their leaves, made of the bytes.
fn leaves_of(store: &dyn Store, stream: StreamId) -> Result<Vec<(u64, NodeHash)>, EvidenceError> {
    let (hasher, mut leaves) = (EventHasher::default(), Vec::new());
    loop {
        let events = store.read(stream, leaves.len() as u64, BATCH)?;
        if events.is_empty() {
            return Ok(leaves);
        }
        leaves.extend(events.iter().map(|stored| (stored.position, leaf(&hasher.id(&stored.event.bytes)))));
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
