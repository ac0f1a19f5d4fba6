//! The conformance suite over both backends.

use loom_store::conformance::{sample, suite};
use loom_store::{MemoryStore, RedbStore};
use std::sync::Arc;

#[test]
fn memory_conforms() {
    suite(&|| Arc::new(MemoryStore::create(&sample::origin())));
}

#[test]
fn redb_conforms() {
    let folders = tempfile::tempdir().unwrap();
    let next = std::cell::Cell::new(0);
    suite(&|| {
        next.set(next.get() + 1);
        let dir = folders.path().join(next.get().to_string());
        Arc::new(RedbStore::create(&dir, &sample::origin()).unwrap())
    });
}
