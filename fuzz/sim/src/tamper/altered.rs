//! A store whose bytes are not those that Loom wrote: what a reader sees of it, by the seam of every store.
//!
//! An attacker either leaves index and tree as they were, or makes them anew; blobs are checked as every store does.

use loom_core::commit::{Blob, Head};
use loom_core::event::{Recorded, View};
use loom_core::id::{Digest, EventHasher, StreamId};
use loom_core::tree::{self, Frontier, NodeHash};
use loom_store::{
    Answered, Append, AppendError, Appended, Damage, Gate, Health, Resolution, Run, Snapshot, Store, StoreError,
    Stored, Tip,
};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The store.
pub(super) struct Altered<'a> {
    whole: &'a dyn Store,
    events: Vec<Recorded>,
    /// Stream, sequence and kind of each event that can be read.
    places: Vec<Option<(StreamId, u64, u64)>>,
    leaves: Vec<NodeHash>,
    /// Where streams end by the index, where that was made anew.
    heads: Option<BTreeMap<StreamId, Head>>,
    blobs: &'a BTreeMap<Digest, Vec<u8>>,
}

impl<'a> Altered<'a> {
    /// Takes events in place of those of a store. Where the index is made anew, so is the tree.
    pub(super) fn new(
        whole: &'a dyn Store,
        log: &[Vec<u8>],
        blobs: &'a BTreeMap<Digest, Vec<u8>>,
        is_anew: bool,
    ) -> Result<Self, StoreError> {
        let hasher = EventHasher::default();
        let events: Vec<_> = log.iter().map(|bytes| Recorded { id: hasher.id(bytes), bytes: bytes.clone() }).collect();
        let mut heads = BTreeMap::new();
        let mut places = Vec::new();
        for event in &events {
            let place = View::read(&event.bytes).ok().map(|view| (view.stream, view.sequence, view.schema.code));
            if let Some((stream, sequence, _)) = place {
                heads.insert(stream, Head { next: sequence.saturating_add(1), last: event.id });
            }
            places.push(place);
        }
        let leaves = match is_anew {
            true => events.iter().map(|event| tree::leaf(&event.id)).collect(),
            false => whole.events(0, usize::MAX)?.iter().map(|stored| tree::leaf(&stored.event.id)).collect(),
        };
        Ok(Altered { whole, events, places, leaves, heads: is_anew.then_some(heads), blobs })
    }

    fn stored(&self, position: usize) -> Stored {
        Stored { position: position as u64, event: self.events[position].clone() }
    }

    fn subtree(&self, start: usize, count: usize) -> Option<NodeHash> {
        match count {
            1 => self.leaves.get(start).copied(),
            _ => Some(tree::node(&self.subtree(start, count / 2)?, &self.subtree(start + count / 2, count / 2)?)),
        }
    }
}

fn damaged(what: &str) -> StoreError {
    StoreError::Damaged(Damage { position: None, stream: None, sequence: None, what: what.to_string() })
}

impl Store for Altered<'_> {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        // Nothing is appended to what is looked at.
        let refuse = |_| Err(AppendError::Store(damaged("the store is looked at only")));
        commits.into_iter().map(refuse).collect()
    }

    fn size(&self) -> u64 {
        self.events.len() as u64
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        match &self.heads {
            Some(heads) => Ok(heads.get(&stream).copied().unwrap_or_default()),
            None => self.whole.head(stream),
        }
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        let is_wanted = |at: &usize| self.places[*at].is_some_and(|(of, at, _)| of == stream && at >= sequence);
        Ok((0..self.events.len()).filter(is_wanted).take(max).map(|at| self.stored(at)).collect())
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        Ok((position as usize..self.events.len()).take(max).map(|at| self.stored(at)).collect())
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        for (at, event) in self.events.iter().enumerate().skip(from as usize) {
            if visit(at as u64, &event.bytes).is_break() {
                return Ok(at as u64 + 1);
            }
        }
        Ok(self.size().max(from))
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.whole.at_time(ms)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        match self.blobs.get(digest) {
            Some(bytes) if Blob::stored(bytes.clone()).digest != *digest => {
                Err(damaged("a blob is not what its digest names (ID-3)"))
            }
            found => Ok(found.cloned()),
        }
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.whole.carried(position)
    }

    fn snapshot(&self, _: StreamId) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    fn put_snapshot(&self, _: StreamId, _: Snapshot) {}

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.whole.resolve(prefix)
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        let is_wanted = |at: &usize| self.places[*at].is_some_and(|(_, _, kind)| kinds.contains(&kind));
        Ok((from as usize..self.events.len()).filter(is_wanted).take(max).map(|at| at as u64).collect())
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        self.whole.request(stream, request)
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.whole.runs(max)
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.whole.gates()
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        let count = 1usize << height;
        self.subtree(index as usize * count, count).ok_or_else(|| damaged("a node of the tree is missing (TREE-1)"))
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        let mut frontier = Frontier::default();
        for leaf in &self.leaves {
            frontier.push_subtree(0, *leaf);
        }
        Ok((frontier.size(), frontier.root()))
    }

    fn health(&self) -> Result<Health, StoreError> {
        self.whole.health()
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn tip(&self) -> Arc<Tip> {
        self.whole.tip()
    }
}
