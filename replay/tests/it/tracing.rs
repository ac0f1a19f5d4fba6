//! Traces: what is written reads back; whatever else is refused, with its place.

use crate::made::{ORIGIN, Until, made_run, origin};
use loom_replay::{ReplayError, StoredRun, Trace, trace};
use loom_store::{MemoryStore, Store};

fn written(is_slim: bool) -> (MemoryStore, Vec<u8>) {
    written_until(Until::End, is_slim)
}

/// A small one, for tests that go through every byte.
fn small() -> Vec<u8> {
    written_until(Until::Spawned, false).1
}

fn written_until(until: Until, is_slim: bool) -> (MemoryStore, Vec<u8>) {
    let store = MemoryStore::create(&origin());
    let stream = made_run(&store, 1, until);
    let mut bytes = Vec::new();
    trace::write(&StoredRun::new(&store, stream), ORIGIN, is_slim, &mut bytes).unwrap();
    (store, bytes)
}

fn read(bytes: &[u8]) -> Result<Trace, ReplayError> {
    trace::read(&mut &bytes[..])
}

#[test]
fn what_is_written_reads_back() {
    for is_slim in [false, true] {
        let (store, bytes) = written(is_slim);
        let found = read(&bytes).unwrap();
        let events: Vec<_> = store.read(found.stream, 0, usize::MAX).unwrap().into_iter().map(|e| e.event).collect();
        assert_eq!(found.events, events);
        assert_eq!((found.origin, found.is_slim), (ORIGIN, is_slim));
        assert_eq!(found.absent.is_empty(), !is_slim);
        for (digest, blob) in &found.blobs {
            assert_eq!(store.blob(digest).unwrap().as_ref(), Some(blob));
        }
        let mut again = Vec::new();
        let stored = StoredRun::new(&store, found.stream);
        trace::write(&stored, ORIGIN, is_slim, &mut again).unwrap();
        assert_eq!(bytes, again);
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let bytes = small();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(read(&changed).is_err(), "byte {at}");
    }
}

#[test]
fn every_cut_is_refused_with_its_place() {
    let bytes = small();
    for end in trace::MAGIC.len()..bytes.len() {
        match read(&bytes[..end]) {
            Err(ReplayError::Damaged(bad)) => assert_eq!(bad.offset, Some(end as u64), "{bad}"),
            other => panic!("cut at {end}: {other:?}"),
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    let (_, mut bytes) = written(false);
    let end = bytes.len() as u64;
    bytes.push(0);
    let Err(ReplayError::Damaged(bad)) = read(&bytes) else { panic!() };
    assert_eq!((bad.offset, bad.what.as_str()), (Some(end), "bytes follow the end of the trace (TRACE-2)"));
}

#[test]
fn a_newer_format_is_told_by_a_sentence() {
    let (_, mut bytes) = written(false);
    let version = trace::MAGIC.len() + 2;
    assert_eq!(bytes[version], 1);
    bytes[version] = 2;
    let error = read(&bytes).unwrap_err();
    assert_eq!(error.to_string(), "trace format 2 is newer than this loom reads (format 1); a newer loom can read it");
}

#[test]
fn other_files_are_no_traces() {
    for other in [&b""[..], b"loom", b"PK\x03\x04 something else entirely"] {
        assert!(matches!(read(other), Err(ReplayError::NotATrace)));
    }
}

#[test]
fn a_length_that_lies_allocates_nothing() {
    let (_, bytes) = written(false);
    let mut lying = bytes[..trace::MAGIC.len() + 38].to_vec();
    // A blob of 2^62 bytes, then one of the greatest length allowed, without the bytes.
    lying.extend([0x82, 0x01, 0x5b, 0x40, 0, 0, 0, 0, 0, 0, 0]);
    assert!(matches!(read(&lying), Err(ReplayError::Damaged(_))));
    let at = lying.len() - 8;
    lying[at..].copy_from_slice(&trace::BLOB_BYTES_MAX.to_be_bytes());
    assert!(matches!(read(&lying), Err(ReplayError::Damaged(_))));
}
