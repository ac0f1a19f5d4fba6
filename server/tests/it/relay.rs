//! A store that is written here and read through its holder.

use loom_core::commit::Head;
use loom_core::id::{Digest, StreamId};
use loom_core::tree::NodeHash;
use loom_server::{Holder, RemoteStore};
use loom_store::conformance::sample;
use loom_store::{
    Answered, Append, AppendError, Appended, Gate, Health, MemoryStore, Resolution, Run, Snapshot, Store, StoreError,
    Stored, Tip,
};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) struct Relay {
    here: Arc<MemoryStore>,
    there: RemoteStore,
    _holder: Holder,
}

impl Relay {
    pub(crate) fn new(socket: PathBuf) -> Self {
        let here = Arc::new(MemoryStore::create(&sample::origin()));
        let holder = Holder::listen(socket.clone(), here.clone(), None).unwrap();
        Relay { here, there: RemoteStore::connect(&socket).unwrap(), _holder: holder }
    }
}

impl Store for Relay {
    fn append(&self, commits: Vec<Append>) -> Vec<Result<Appended, AppendError>> {
        self.here.append(commits)
    }
    fn erase(&self) -> Result<Vec<Digest>, StoreError> {
        self.here.erase()
    }

    fn size(&self) -> u64 {
        self.there.size()
    }

    fn head(&self, stream: StreamId) -> Result<Head, StoreError> {
        self.there.head(stream)
    }

    fn read(&self, stream: StreamId, sequence: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.there.read(stream, sequence, max)
    }

    fn events(&self, position: u64, max: usize) -> Result<Vec<Stored>, StoreError> {
        self.there.events(position, max)
    }

    fn scan(&self, from: u64, visit: &mut dyn FnMut(u64, &[u8]) -> ControlFlow<()>) -> Result<u64, StoreError> {
        self.there.scan(from, visit)
    }

    fn at_time(&self, ms: u64) -> Result<u64, StoreError> {
        self.there.at_time(ms)
    }

    fn blob(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.there.blob(digest)
    }

    fn carried(&self, position: u64) -> Result<Vec<Digest>, StoreError> {
        self.there.carried(position)
    }

    fn snapshot(&self, stream: StreamId) -> Result<Option<Snapshot>, StoreError> {
        self.here.snapshot(stream)
    }

    fn put_snapshot(&self, stream: StreamId, snapshot: Snapshot) {
        self.here.put_snapshot(stream, snapshot);
    }

    fn resolve(&self, prefix: &str) -> Result<Resolution, StoreError> {
        self.there.resolve(prefix)
    }

    fn by_kind(&self, kinds: &[u64], from: u64, max: usize) -> Result<Vec<u64>, StoreError> {
        self.there.by_kind(kinds, from, max)
    }

    fn request(&self, stream: StreamId, request: &[u8]) -> Result<Option<Answered>, StoreError> {
        self.there.request(stream, request)
    }

    fn runs(&self, max: usize) -> Result<Vec<Run>, StoreError> {
        self.there.runs(max)
    }

    fn gates(&self) -> Result<Vec<Gate>, StoreError> {
        self.there.gates()
    }

    fn tree_node(&self, height: u8, index: u64) -> Result<NodeHash, StoreError> {
        self.there.tree_node(height, index)
    }

    fn tree_head(&self) -> Result<(u64, NodeHash), StoreError> {
        self.there.tree_head()
    }

    fn health(&self) -> Result<Health, StoreError> {
        self.there.health()
    }

    fn catch_up(&self) -> Result<(), StoreError> {
        self.there.catch_up()
    }

    fn tip(&self) -> Arc<Tip> {
        self.there.tip()
    }
}
