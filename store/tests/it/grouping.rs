//! What waits together becomes durable together.

use loom_store::conformance::platter::Platter;
use loom_store::conformance::sample::{Author, origin};
use loom_store::{RedbStore, Store};
use redb::StorageBackend;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

/// Streams, and threads that write to one each.
const WRITERS: u64 = 64;

fn durable(store: &RedbStore) -> u64 {
    store.health().unwrap().durable_commits
}

#[test]
fn commits_of_one_append_are_one_durable_commit() {
    let folder = tempfile::tempdir().unwrap();
    let store = RedbStore::create(folder.path(), &origin()).unwrap();
    let (before, commits) = (durable(&store), store.health().unwrap().commits);
    let mut authors: Vec<Author> = (0..WRITERS).map(Author::new).collect();
    for answer in store.append(authors.iter_mut().map(Author::open).collect()) {
        answer.unwrap();
    }
    assert_eq!(durable(&store), before + 1);
    assert_eq!(store.health().unwrap().commits, commits + WRITERS);
    for author in &mut authors {
        store.append(vec![author.spawn(Vec::new())]).remove(0).unwrap();
    }
    assert_eq!(durable(&store), before + 1 + WRITERS, "one after the other, each is one of its own");
}

/// A disk whose syncs, once that is asked for, wait until every writer has come.
#[derive(Debug)]
struct Patient {
    disk: Box<dyn StorageBackend>,
    waits: Arc<AtomicBool>,
    came: Arc<AtomicU64>,
}

impl StorageBackend for Patient {
    fn len(&self) -> io::Result<u64> {
        self.disk.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.disk.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.disk.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        while self.waits.load(Ordering::SeqCst) && self.came.load(Ordering::SeqCst) < WRITERS {
            thread::yield_now();
        }
        self.disk.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write(offset, data)
    }
}

/// Whether any two of them share one is a matter of who waits when; that nobody does, while 63 wait for one, is not.
#[test]
fn commits_that_wait_for_the_writer_share_a_durable_commit() {
    let folder = tempfile::tempdir().unwrap();
    let (platter, waits, came) = (Platter::default(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let disk = {
        let (waits, came) = (waits.clone(), came.clone());
        move || {
            let disk: Box<dyn StorageBackend> =
                Box::new(Patient { disk: platter.open()?, waits: waits.clone(), came: came.clone() });
            Ok(disk)
        }
    };
    let store = RedbStore::open_on(folder.path(), &origin(), disk).unwrap();
    let (before, commits) = (durable(&store), store.health().unwrap().commits);
    waits.store(true, Ordering::SeqCst);
    thread::scope(|scope| {
        for run in 0..WRITERS {
            let (store, came) = (&store, &came);
            scope.spawn(move || {
                let opened = Author::new(run).open();
                came.fetch_add(1, Ordering::SeqCst);
                store.append(vec![opened]).remove(0).unwrap();
            });
        }
    });
    assert_eq!(store.health().unwrap().commits, commits + WRITERS);
    let more = durable(&store) - before;
    assert!((1..WRITERS).contains(&more), "{WRITERS} threads made {more} durable commits");
}
