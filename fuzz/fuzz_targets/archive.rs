//! A backup whose records were altered, left out, doubled or moved restores to exactly what was written, or to nothing.
//!
//! Half of the time its hash is computed anew, as whoever alters it on purpose would do: then what is inside is read.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use loom_core::tree::{NodeHash, leaf_of, node};
use loom_fuzz::filled::fill;
use loom_fuzz::harm::{Harm, harm};
use loom_store::{Store, StoreError, backup, restore};
use std::fs;
use std::sync::OnceLock;
use tempfile::TempDir;

const MAGIC: &[u8] = b"loom backup\n";

#[derive(Debug, Arbitrary)]
enum Edit {
    Drop(u8),
    Twice(u8),
    Swap(u8, u8),
    Within(u8, Vec<Harm>),
    Tag(u8, u8),
}

#[derive(Debug, Arbitrary)]
struct Case {
    edits: Vec<Edit>,
    sealed: bool,
    /// What happens to the file afterwards.
    harms: Vec<Harm>,
}

/// A record: its tag and its bytes.
type Record = (u8, Vec<u8>);

/// What was written: the backup, its records with the end among them, and the store's events.
struct Written {
    file: Vec<u8>,
    records: Vec<Record>,
    events: Vec<Vec<u8>>,
}

fn written() -> &'static Written {
    static WRITTEN: OnceLock<Written> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        std::panic::set_hook(Box::new(|panic| eprintln!("{panic}")));
        let folder = TempDir::new().expect("a folder can be made");
        let (store, events) = fill(&folder.path().join("store"));
        let path = folder.path().join("backup");
        backup(&store, &path).expect("the backup is made");
        let file = fs::read(path).expect("the file can be read");
        let mut rest = &file[MAGIC.len() + 1..];
        let mut records = Vec::new();
        while let Some((tag, after)) = rest.split_first() {
            rest = after;
            let length = varint(&mut rest);
            let (bytes, after) = rest.split_at(length);
            records.push((*tag, bytes.to_vec()));
            rest = after;
        }
        Written { file, records, events }
    })
}

/// Reads a number in LEB128.
fn varint(rest: &mut &[u8]) -> usize {
    let (mut value, mut shift) = (0, 0);
    while let Some((byte, after)) = rest.split_first() {
        *rest = after;
        value |= usize::from(byte & 127) << shift;
        shift += 7;
        if byte & 128 == 0 {
            break;
        }
    }
    value
}

fn put_varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 128 {
        out.push((value & 127) as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes records as a file; sealed, its end has their hash.
fn file(records: &[Record], sealed: bool) -> Vec<u8> {
    let mut out = [MAGIC, &[1]].concat();
    let mut hash: NodeHash = [0; 32];
    for (index, (tag, bytes)) in records.iter().enumerate() {
        let mut bytes = bytes.clone();
        if sealed && index + 1 == records.len() && bytes.len() == 72 {
            bytes[40..].copy_from_slice(&hash);
        }
        hash = node(&hash, &leaf_of(&[&[*tag], &bytes[..]].concat()));
        out.push(*tag);
        put_varint(&mut out, bytes.len());
        out.extend(bytes);
    }
    out
}

fuzz_target!(|case: Case| {
    let written = written();
    let mut records = written.records.clone();
    for edit in case.edits {
        let count = records.len();
        let at = |number: u8| usize::from(number) % count.max(1);
        match edit {
            _ if count == 0 => {}
            Edit::Drop(number) => drop(records.remove(at(number))),
            Edit::Twice(number) => records.insert(at(number), records[at(number)].clone()),
            Edit::Swap(one, other) => records.swap(at(one), at(other)),
            Edit::Within(number, harms) => harm(&mut records[at(number)].1, harms),
            Edit::Tag(number, tag) => records[at(number)].0 = tag,
        }
    }
    let mut file = file(&records, case.sealed);
    harm(&mut file, case.harms);
    let untouched = file == written.file;
    let folder = TempDir::new().expect("a folder can be made");
    let (path, dir) = (folder.path().join("backup"), folder.path().join("store"));
    fs::write(&path, &file).expect("the file can be written");
    let mut found = Vec::new();
    let restored = restore(&path, &dir, |store: &dyn Store| {
        found = store.events(0, usize::MAX)?.into_iter().map(|stored| stored.event.bytes).collect();
        Ok::<_, StoreError>(())
    });
    match restored {
        Ok(restored) => {
            assert_eq!(restored.events, written.events.len() as u64);
            assert_eq!(found, written.events, "another store came of it");
        }
        Err(error) => {
            assert!(!untouched, "an untouched backup is not restored: {error}");
            assert!(!dir.exists(), "nothing is left of what was begun: {error}");
        }
    }
});
