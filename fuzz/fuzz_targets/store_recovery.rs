//! A store's file with bytes cut off or changed opens with exactly what was written, or says that it is damaged.

#![no_main]

use libfuzzer_sys::fuzz_target;
use loom_fuzz::filled::fill;
use loom_fuzz::harm::{Harm, harm};
use loom_store::{RedbStore, Store};
use std::fs;
use std::sync::OnceLock;
use tempfile::TempDir;

/// What was written: the file, and its events in order.
struct Written {
    file: Vec<u8>,
    events: Vec<Vec<u8>>,
}

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        // The store catches panics of the database over broken files; only those that get past it are failures.
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        let folder = TempDir::new().expect("a folder can be made");
        let dir = folder.path().join("store");
        let (store, events) = fill(&dir);
        drop(store);
        let file = fs::read(dir.join("store.redb")).expect("the file can be read");
        Written { file, events }
    })
}

fuzz_target!(|harms: Vec<Harm>| {
    let written = written();
    let mut file = written.file.clone();
    harm(&mut file, harms);
    let untouched = file == written.file;
    let folder = TempDir::new().expect("a folder can be made");
    let dir = folder.path().join("store");
    fs::create_dir(&dir).expect("a folder can be made");
    fs::write(dir.join("store.redb"), &file).expect("the file can be written");
    let read = RedbStore::open(&dir).and_then(|store| store.events(0, usize::MAX));
    match read {
        Ok(events) => {
            let same = events.iter().map(|stored| &stored.event.bytes).eq(&written.events);
            assert!(same, "a damaged file was believed");
        }
        Err(error) => assert!(!untouched, "an untouched file does not open: {error}"),
    }
});
