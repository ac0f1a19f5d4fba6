//! Proofs from a store's tree: that an event is in it, and that an older tree is a prefix of a newer one.

use crate::error::StoreError;
use crate::store::Store;
use loom_core::tree::{self, NodeHash};

impl dyn Store + '_ {
    /// Returns the root of the tree over the first `size` events; `size` is at most the store's.
    pub fn tree_root(&self, size: u64) -> Result<NodeHash, StoreError> {
        tree::root(size, &mut |height, index| self.tree_node(height, index))
    }

    /// Returns the proof that the event at `position` is in the tree of `size` events; `None` if it cannot be.
    pub fn inclusion(&self, position: u64, size: u64) -> Result<Option<Vec<NodeHash>>, StoreError> {
        if size > self.size() {
            return Ok(None);
        }
        tree::inclusion(position, size, &mut |height, index| self.tree_node(height, index))
    }

    /// Returns the proof that the tree of `old` events is a prefix of that of `new` ones; `None` if it cannot be.
    pub fn consistency(&self, old: u64, new: u64) -> Result<Option<Vec<NodeHash>>, StoreError> {
        if new > self.size() {
            return Ok(None);
        }
        tree::consistency(old, new, &mut |height, index| self.tree_node(height, index))
    }
}

/// Returns the hash over a power of two of neighbouring nodes of one height.
pub(crate) fn join(mut nodes: Vec<NodeHash>) -> NodeHash {
    debug_assert!(nodes.len().is_power_of_two(), "a perfect subtree has a power of two of nodes");
    while nodes.len() > 1 {
        nodes = nodes.chunks(2).map(|pair| tree::node(&pair[0], &pair[pair.len() - 1])).collect();
    }
    nodes.pop().unwrap_or_else(tree::empty_root)
}
