//! Why evidence does not hold, one variant per thing that a reader treats differently.

use crate::error::ReplayError;
use loom_core::id::hex;
use loom_store::StoreError;

/// Why a receipt, a checkpoint or a key does not prove what it is held up for.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// The file is no receipt.
    #[error("the file is not a receipt of a loom store (RECEIPT-1)")]
    NotAReceipt,
    /// A newer Loom wrote it.
    #[error(
        "receipt format {found} is newer than this loom reads (format {known}); a newer loom can read it (RECEIPT-1)"
    )]
    Newer {
        /// Version found.
        found: u64,
        /// Newest version known.
        known: u64,
    },
    /// A law is broken.
    #[error("{what} ({law})")]
    Broken {
        /// The law.
        law: &'static str,
        /// What is wrong.
        what: String,
    },
    /// It is of another store than the reader asked for.
    #[error("it is of the store {}, not of {} (RECEIPT-2)", hex(.found), hex(.wanted))]
    OtherStore {
        /// The origin found.
        found: [u8; 16],
        /// The origin asked for.
        wanted: [u8; 16],
    },
    /// It is signed with another key than the reader pinned.
    #[error("it is signed with the key {}, which the pinned key {} did not hand over to (KEYS-4)", hex(.found), hex(.pinned))]
    OtherKey {
        /// The key that signed.
        found: [u8; 32],
        /// The key that was pinned.
        pinned: [u8; 32],
    },
    /// The store has fewer events than were witnessed.
    #[error(
        "the store is truncated: it has {size} events, and a checkpoint of {witnessed} was witnessed; it was cut off, or \
         put back to an older copy (CHECKPOINT-4)"
    )]
    Truncated {
        /// Events of the store.
        size: u64,
        /// Events of the checkpoint.
        witnessed: u64,
    },
    /// The store's first events are other ones than were witnessed.
    #[error(
        "the store is forked or altered: its first {witnessed} events are not those that were witnessed; events were \
         changed, or it went on from an older copy (CHECKPOINT-4)"
    )]
    Forked {
        /// Events of the checkpoint.
        witnessed: u64,
    },
    /// What is to be proven is not there, or not in that form.
    #[error("{0}")]
    Unprovable(String),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A run could not be read.
    #[error(transparent)]
    Replay(#[from] ReplayError),
}

impl EvidenceError {
    /// Returns the law that is broken, where one is.
    pub fn law(&self) -> Option<&'static str> {
        match self {
            EvidenceError::NotAReceipt | EvidenceError::Newer { .. } => Some("RECEIPT-1"),
            EvidenceError::Broken { law, .. } => Some(law),
            EvidenceError::OtherStore { .. } => Some("RECEIPT-2"),
            EvidenceError::OtherKey { .. } => Some("KEYS-4"),
            EvidenceError::Truncated { .. } | EvidenceError::Forked { .. } => Some("CHECKPOINT-4"),
            EvidenceError::Unprovable(_) | EvidenceError::Store(_) | EvidenceError::Replay(_) => None,
        }
    }
}

/// Returns the error of a law.
pub(super) fn broken(law: &'static str, what: impl Into<String>) -> EvidenceError {
    EvidenceError::Broken { law, what: what.into() }
}
