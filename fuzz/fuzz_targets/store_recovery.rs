//! A store's file with bytes cut off or changed opens with exactly what was written, or says that it is damaged.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_core::id::Stamp;
use loom_sim::{moves, process};
use loom_store::{Append, RedbStore, Store};
use std::fs;
use std::sync::OnceLock;
use tempfile::TempDir;

#[derive(Debug, Arbitrary)]
enum Harm {
    Cut(u32),
    Change { at: u32, xor: u8 },
    Write { at: u32, bytes: Vec<u8> },
}

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
        let origin = loom_core::origin::create([7; 16], "0.1.0", Stamp { ms: 1, counter: 0 });
        let store = RedbStore::create(&dir, &origin).expect("the store is created");
        let mut events: Vec<Vec<u8>> = origin.events().iter().map(|event| event.bytes.clone()).collect();
        let process = &process::all()[0];
        let mut checked = process.open().expect("the explored processes open");
        for _ in 0..12 {
            store.append(vec![Append::from(&checked)]).remove(0).expect("the commit is appended");
            events.extend(checked.events().iter().map(|event| event.bytes.clone()));
            let run = checked.into_next();
            let all = moves::all(&run, process.repertoire);
            let next = all.iter().find_map(|one| loom_core::step(&run, moves::input(&run, one)).ok());
            checked = next.expect("some move commits");
        }
        drop(store);
        let file = fs::read(dir.join("store.redb")).expect("the file can be read");
        Written { file, events }
    })
}

fuzz_target!(|harms: Vec<Harm>| {
    let written = written();
    let mut file = written.file.clone();
    for harm in harms {
        match harm {
            Harm::Cut(length) => file.truncate(length as usize % (file.len() + 1)),
            Harm::Change { at, xor } => {
                let at = at as usize % file.len().max(1);
                if let Some(byte) = file.get_mut(at) {
                    *byte ^= xor;
                }
            }
            Harm::Write { at, bytes } => {
                let at = at as usize % file.len().max(1);
                for (byte, new) in file.iter_mut().skip(at).zip(bytes) {
                    *byte = new;
                }
            }
        }
    }
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
