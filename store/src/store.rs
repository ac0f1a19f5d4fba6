//! The `Store` trait: what every backend promises.

use crate::append::{Append, Appended};
use crate::error::{AppendError, StoreError};
use crate::lookup::{Answered, Gate, Health, Resolution, Run, Snapshot, Stored};
use crate::subscription::Tip;
use loom_core::commit::Head;
use loom_core::id::{Digest, StreamId};
use loom_core::tree::NodeHash;
use std::ops::ControlFlow;
use std::sync::Arc;

/// A durable log of commits in one order, with look-ups derived from it.
///
/// Whoever was told that a commit is appended finds it in every later answer of this store, look-ups included
/// (STORE-5). Positions count events from 0 in commit order; sequences count events of one stream.
pub trait Store: Send + Sync {
    /// Appends commits in one durable transaction and says for each whether it stands.
    ///
    /// Returns when they are durable. A commit whose stream does not end where it expects fails alone; the others
    /// stand (STORE-3). When the store itself fails, none of them is stored.
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>>;

    /// Returns the number of events, which is the position that the next one gets.
    fn size(&self) -> u64;

    /// Returns where a stream ends; the default head for one without events.
    fn head(&self, stream: StreamId) -> Result<Head, StoreError>;

    /// Returns up to `max` events of a stream from `sequence` on, each verified against its commit's seal and its
    /// place in the chain.
    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError>;

    /// Returns up to `max` events in commit order from a position on, each verified against its commit's seal.
    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError>;

    /// Shows every event from a position on in commit order and returns the position after the last one shown.
    ///
    /// Ends at the store's end as of some moment during the call. The bytes are as stored: a reader that must not
    /// trust them hashes them itself. `visit` may call the store.
    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError>;

    /// Returns the first position whose commit is not stamped before `ms`, by binary search.
    ///
    /// Exact within one stream; between streams stamps only nearly ascend, and the answer may be off by those
    /// commits that overlap in time.
    fn at_time(&self, ms: u64) -> Result<u64, StoreError>;

    /// Returns the stored bytes of a blob, checked against its digest.
    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError>;

    /// Returns the digests of the blobs that first came with the commit at this position, in their order.
    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError>;

    /// Erases the bytes of every blob that a redaction on record names, and returns those that were still there
    /// (ERASE-2). What was erased is not stored again, whoever names it (ERASE-4).
    ///
    /// A store that is only read answers [`StoreError::ReadOnly`].
    fn erase(&self) -> Result<Vec<Digest>, StoreError> {
        Err(StoreError::ReadOnly)
    }

    /// Returns the newest snapshot of a stream that is still there.
    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError>;

    /// Offers a snapshot of a stream; it becomes durable some time or is lost without harm.
    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot);

    /// Returns what a prefix of 1 to 64 hexadecimal digits names.
    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError>;

    /// Returns the positions of up to `max` events of these kinds from a position on, ascending.
    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError>;

    /// Returns the input that a request of this stream became, if it was logged (the ledger; exact).
    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError>;

    /// Returns up to `max` runs, the one opened last first.
    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError>;

    /// Returns the gates that wait for a person, the one opened first first.
    fn gates(&self) -> Result<Vec<Gate>, StoreError>;

    /// Returns the hash of the perfect subtree `(height, index)` of the Merkle tree over event ids.
    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError>;

    /// Returns the size and root of the tree at some moment during the call.
    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError>;

    /// Says how the store is; costs the same at any size.
    fn health(&self) -> Result<Health, StoreError>;

    /// Lets the look-ups catch up with the log; worth calling when nothing else is to do.
    fn catch_up(&self) -> Result<(), StoreError>;

    /// Returns the signal that tells waiting readers of new events.
    fn tip(&self) -> Arc<Tip>;
}
