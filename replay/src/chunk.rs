//! A chunk of a store's log, checked commit by commit; chunks are joined in order afterwards.
//!
//! ```text
//! positions:  |---- chunk ----|---- chunk ----|---- chunk ----|
//! a thread:       takes the commits that begin in its chunk, to their end
//! ```

use crate::error::Bad;
use crate::stretch::Stretch;
use loom_core::event::{EventError, View};
use loom_core::tree::{NodeHash, leaf, node};
use loom_store::Damage;
use std::ops::ControlFlow;

/// Height of the greatest subtree that is kept of a chunk, between the first two heights, 8 and 16, at which a store keeps
/// nodes: one so high is compared through those of height 8, and what is higher is completed, and compared, when chunks are
/// joined (TREE-1).
const HEIGHT_MAX: u8 = 14;

/// What was found in one chunk.
pub(crate) struct Chunk {
    from: u64,
    to: u64,
    start: Option<u64>,
    /// Position of the next event.
    pub(crate) next: u64,
    pub(crate) stretch: Stretch,
    pub(crate) nodes: Nodes,
    pub(crate) bad: Option<Bad>,
    /// What this Loom does not know of the bad event, and its position.
    pub(crate) newer: Option<(u64, EventError)>,
}

impl Chunk {
    /// Begins the chunk at `from..to` of the store of this name.
    pub(crate) fn new(origin: [u8; 16], from: u64, to: u64, keep_blobs: bool) -> Self {
        let (stretch, nodes) = (Stretch::new(Some(origin), keep_blobs), Nodes::default());
        Chunk { from, to, start: None, next: from, stretch, nodes, bad: None, newer: None }
    }

    /// Position of its first commit; `None` when none begins in it.
    pub(crate) fn start(&self) -> Option<u64> {
        self.start.or(self.bad.is_some().then_some(self.from))
    }

    /// Checks the next event that a scan shows, and shows it to `passed` if it is whole and of a commit that begins in the
    /// chunk. Returns whether there is more to look at: not after the chunk's last commit, nor after a bad event.
    #[inline]
    pub(crate) fn look(&mut self, position: u64, bytes: &[u8], passed: impl FnOnce(&View<'_>)) -> ControlFlow<()> {
        if self.start.is_none() {
            // What does not begin a commit belongs to the chunk before; if it is bad, that one says so.
            if position >= self.to {
                return ControlFlow::Break(());
            }
            if position != 0 && !View::read(bytes).is_ok_and(|view| view.count.is_some()) {
                return ControlFlow::Continue(());
            }
            self.start = Some(position);
            self.next = position;
        } else if position >= self.to && self.stretch.is_between_commits() {
            return ControlFlow::Break(());
        }
        if position != self.next {
            return self.stop(Bad::at(self.next, "the lengths of a commit's events do not add up"));
        }
        self.next += 1;
        let view = match View::read_strictly(bytes) {
            Ok(view) => view,
            Err(error) => {
                let bad = self.stretch.unreadable(position, bytes, &error);
                self.newer = error.is_newer().then_some((position, error));
                return self.stop(bad);
            }
        };
        match self.stretch.check(position, &view, bytes) {
            Ok(found) => {
                self.nodes.push(position, leaf(&found.id));
                passed(&view);
                ControlFlow::Continue(())
            }
            Err(bad) => self.stop(bad),
        }
    }

    fn stop(&mut self, bad: Bad) -> ControlFlow<()> {
        self.bad = Some(bad);
        ControlFlow::Break(())
    }

    /// Ends the chunk with what kept the scan from going on.
    pub(crate) fn end(&mut self, damage: Option<Damage>) {
        self.stretch.sort();
        self.bad = self.bad.take().or(damage.map(Bad::from));
        if self.bad.is_none() && !self.stretch.is_between_commits() {
            self.bad = Some(Bad::at(self.next, "the log ends inside a commit (COMMIT-1)").cut());
        }
    }
}

/// The perfect subtrees over a stretch of leaves, from left to right.
#[derive(Default)]
pub(crate) struct Nodes(pub(crate) Vec<(u8, u64, NodeHash)>);

impl Nodes {
    fn push(&mut self, position: u64, leaf: NodeHash) {
        let (mut height, mut index, mut hash) = (0, position, leaf);
        while index % 2 == 1
            && height < HEIGHT_MAX
            && let Some((_, _, left)) = self.0.pop_if(|(h, i, _)| (*h, *i) == (height, index - 1))
        {
            hash = node(&left, &hash);
            height += 1;
            index /= 2;
        }
        self.0.push((height, index, hash));
    }
}
