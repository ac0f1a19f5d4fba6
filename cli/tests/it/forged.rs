//! Backups in which every hash was computed anew, and one law broken: refused, and nothing is left behind. And a store whose file
//! was altered so: what was witnessed of it tells.

use crate::made::Until;
use crate::rig::Place;
use loom_core::commit::Blob;
use loom_core::event::Envelope;
use loom_core::id::{Actor, Digest, EventHasher, Stamp, StreamId};
use loom_core::kind::Event;
use loom_core::process::Bundle;
use loom_core::schema::Class;
use loom_core::tree::{Frontier, NodeHash, leaf, leaf_of, node};
use loom_store::Store;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// What a forger may change.
struct Forged {
    events: Vec<Envelope>,
    blobs: BTreeMap<u64, Vec<Vec<u8>>>,
}

impl Forged {
    fn of(place: &Place) -> Self {
        let store = place.store();
        let stored = store.events(0, usize::MAX).unwrap();
        let events = stored.iter().map(|found| Envelope::decode(&found.event.bytes).unwrap()).collect();
        let blob = |digest: &Digest| store.blob(digest).unwrap().unwrap();
        let blobs = (0..store.size())
            .map(|position| (position, store.carried(position).unwrap().iter().map(blob).collect()))
            .collect();
        Forged { events, blobs }
    }

    /// Links and names everything anew and writes the file as the format says (store/src/backup.rs).
    fn write(mut self, place: &Place) -> PathBuf {
        let hasher = EventHasher::default();
        let mut last: BTreeMap<StreamId, Digest> = BTreeMap::new();
        let mut file = b"loom backup\n\x01".to_vec();
        let (mut hash, mut tree) = ([0; 32], Frontier::default());
        let (mut row, mut position) = (Vec::new(), 0);
        let count = self.events.len();
        for index in 0..count {
            let ends = self.events.get(index + 1).is_none_or(|next| next.count.is_some());
            let event = &mut self.events[index];
            event.previous = last.get(&event.stream).copied().unwrap_or_default();
            let bytes = event.encode();
            let id = hasher.id(&bytes);
            last.insert(event.stream, id);
            tree.push_subtree(0, leaf(&id));
            varint(&mut row, bytes.len());
            row.extend_from_slice(&bytes);
            if ends {
                row.extend_from_slice(&id.0[..8]);
                record(&mut file, &mut hash, 1, &std::mem::take(&mut row));
                for blob in self.blobs.remove(&position).unwrap_or_default() {
                    record(&mut file, &mut hash, 2, &blob);
                }
                position = index as u64 + 1;
            }
        }
        let end = [&(count as u64).to_le_bytes()[..], &tree.root(), &hash].concat();
        record(&mut file, &mut hash, 3, &end);
        let path = place.path().join("forged.backup");
        fs::write(&path, file).unwrap();
        path
    }
}

fn record(file: &mut Vec<u8>, hash: &mut NodeHash, tag: u8, bytes: &[u8]) {
    *hash = node(hash, &leaf_of(&[&[tag], bytes].concat()));
    file.push(tag);
    varint(file, bytes.len());
    file.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: usize) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Restores a forged backup and compares what is said; the unfinished store must be gone.
#[track_caller]
fn refused(change: impl Fn(&mut Forged), wanted: &str) {
    let place = Place::with(&[Until::End]);
    let mut forged = Forged::of(&place);
    change(&mut forged);
    let path = forged.write(&place);
    let elsewhere = Place::empty();
    let ran = elsewhere.loom(&format!("restore {}", path.display()));
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains(wanted), "{}", ran.err);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0, "nothing is left behind");
}

/// Returns the place of the first event that this holds for.
fn find(forged: &Forged, holds: impl Fn(&Envelope) -> bool) -> usize {
    forged.events.iter().position(holds).unwrap()
}

#[test]
fn a_backup_written_by_the_forger_unchanged_is_restored() {
    let place = Place::with(&[Until::End]);
    let path = Forged::of(&place).write(&place);
    let elsewhere = Place::empty();
    let ran = elsewhere.loom(&format!("restore {}", path.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(elsewhere.loom("log --jsonl").out, place.loom("log --jsonl").out);
}

#[test]
fn a_decision_before_a_record_is_not_restored() {
    let change = |forged: &mut Forged| {
        let classes: Vec<Class> = forged.events.iter().map(|event| event.body.schema().class).collect();
        let at = classes.windows(2).position(|pair| pair == [Class::Record, Class::Decision]).unwrap();
        let (left, right) = forged.events.split_at_mut(at + 1);
        std::mem::swap(&mut left[at].body, &mut right[0].body);
    };
    refused(change, "a record follows a decision (COMMIT-1)");
}

#[test]
fn a_stamp_that_does_not_grow_is_not_restored() {
    let change = |forged: &mut Forged| {
        let at = find(forged, |event| matches!(event.body, Event::SpawnFinished(_)));
        let input = forged.events[at].input;
        for event in &mut forged.events[at..] {
            if event.input == input {
                event.stamp = Stamp { ms: 1, counter: 0 };
            }
        }
    };
    refused(change, "a stamp is not after the one before it in its stream (STAMP-1)");
}

#[test]
fn a_request_id_that_is_used_twice_is_not_restored() {
    let change = |forged: &mut Forged| {
        let opening = forged.events.iter().find_map(|event| match &event.body {
            Event::RunOpened(opened) => Some(opened.request.clone()),
            _ => None,
        });
        let at = find(forged, |event| matches!(event.body, Event::GateAnswered(_)));
        if let Event::GateAnswered(answered) = &mut forged.events[at].body {
            answered.request = opening.unwrap();
        }
    };
    refused(change, "a request id is used twice in a stream (LEDGER-1)");
}

#[test]
fn a_stream_that_is_named_by_another_request_is_not_restored() {
    let change = |forged: &mut Forged| {
        if let Event::RunOpened(opened) = &mut forged.events[1].body {
            opened.request = b"another".to_vec();
        }
    };
    refused(change, "position 1, ");
    refused(change, "the stream's name does not derive from its opening request (ID-4)");
}

#[test]
fn an_answer_that_nobody_gave_is_not_restored() {
    let change = |forged: &mut Forged| {
        let at = find(forged, |event| matches!(event.body, Event::GateAnswered(_)));
        forged.events[at].actor = Actor::Host;
    };
    refused(change, "the actor may not have caused an event of this kind");
}

#[test]
fn a_backup_without_a_blob_that_an_event_or_a_bundle_names_is_not_restored() {
    let without = |forged: &mut Forged, digest: Digest| {
        forged.blobs.values_mut().for_each(|blobs| blobs.retain(|blob| Blob::stored(blob.clone()).digest != digest));
    };
    let opened = |forged: &Forged| match &forged.events[1].body {
        Event::RunOpened(opened) => opened.clone(),
        other => panic!("a run begins with {other:?}"),
    };
    let task = |forged: &mut Forged| without(forged, opened(forged).task);
    refused(task, "is missing");
    let template = |forged: &mut Forged| {
        let bundle = opened(forged).bundle;
        let stored = forged.blobs.values().flatten().find(|blob| Blob::stored((*blob).clone()).digest == bundle);
        let bundle = Bundle::decode(Blob::content(stored.unwrap()).unwrap()).unwrap();
        without(forged, bundle.agents["coder"].template);
    };
    refused(template, "is missing");
}

#[test]
fn a_store_that_could_not_be_restored_is_not_backed_up() {
    let place = Place::usual();
    let store = place.store();
    let task = match Envelope::decode(&store.events(1, 1).unwrap()[0].event.bytes).unwrap().body {
        Event::RunOpened(opened) => store.blob(&opened.task).unwrap().unwrap(),
        other => panic!("a run begins with {other:?}"),
    };
    drop(store);
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    let places: Vec<usize> =
        bytes.windows(task.len()).enumerate().filter(|(_, part)| *part == task).map(|(at, _)| at).collect();
    places.into_iter().for_each(|at| bytes[at + task.len() - 1] ^= 1);
    fs::write(file, bytes).unwrap();
    let ran = place.loom("backup all.backup");
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("its bytes do not match its digest"), "{}", ran.err);
    assert!(!place.path().join("all.backup").exists());
}

const COMMITS: redb::TableDefinition<'_, u64, &[u8]> = redb::TableDefinition::new("commits");
const HEADS: redb::TableDefinition<'_, &[u8; 16], &[u8; 57]> = redb::TableDefinition::new("index heads");

/// Alters events in the store's own file and makes ids, links, seals and heads anew; the tree's rows stay as they are.
fn altered_in_place(place: &Place, change: impl Fn(&mut Envelope)) {
    let database = redb::Database::open(place.store_folder().join("store.redb")).unwrap();
    let writing = database.begin_write().unwrap();
    {
        let mut commits = writing.open_table(COMMITS).unwrap();
        let (hasher, mut last, mut anew) = (EventHasher::default(), BTreeMap::new(), BTreeMap::new());
        let rows = redb::ReadableTable::iter(&commits).unwrap().map(|row| row.unwrap());
        let rows: Vec<(u64, Vec<u8>)> = rows.map(|(at, row)| (at.value(), row.value().to_vec())).collect();
        for (position, row) in rows {
            let (mut row, mut written) = (&row[..], Vec::new());
            while row.len() > 8 {
                let bytes = taken(&mut row);
                let mut event = Envelope::decode(bytes).unwrap();
                change(&mut event);
                event.previous = last.get(&event.stream).copied().unwrap_or_default();
                let encoded = event.encode();
                let id = hasher.id(&encoded);
                anew.insert(hasher.id(bytes), id);
                last.insert(event.stream, id);
                varint(&mut written, encoded.len());
                written.extend_from_slice(&encoded);
                if row.len() == 8 {
                    written.extend_from_slice(&id.0[..8]);
                }
            }
            commits.insert(position, &written[..]).unwrap();
        }
        let mut heads = writing.open_table(HEADS).unwrap();
        let rows = redb::ReadableTable::iter(&heads).unwrap().map(|row| row.unwrap());
        let rows: Vec<([u8; 16], [u8; 57])> = rows.map(|(stream, row)| (*stream.value(), *row.value())).collect();
        for (stream, mut row) in rows {
            let id = anew[&Digest(row[8..40].try_into().unwrap())];
            row[8..40].copy_from_slice(&id.0);
            heads.insert(&stream, &row).unwrap();
        }
    }
    writing.commit().unwrap();
}

/// Takes the next event of a commit's row.
fn taken<'r>(row: &mut &'r [u8]) -> &'r [u8] {
    let (mut length, mut shift) = (0, 0);
    while let Some((byte, rest)) = row.split_first() {
        *row = rest;
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    let (bytes, rest) = row.split_at(length);
    *row = rest;
    bytes
}

/// LEVEL-1, CHECKPOINT-4: who may write to the store's file alters a run, and nothing that the store derived from the log is
/// believed.
#[test]
fn a_run_that_was_altered_after_it_was_witnessed_is_6_against_what_was() {
    let place = Place::with(&[Until::End; 12]);
    assert!(place.store().size() > 512, "the first run lies under a row of the tree that is not the last");
    assert_eq!(place.loom("witness seen.checkpoints").code, 0);
    let run = place.store().runs(usize::MAX).unwrap().last().unwrap().stream;
    let by_whom = |name: &'static str| {
        move |event: &mut Envelope| {
            if let (Actor::Person { id, .. }, true) = (&mut event.actor, event.stream == run) {
                *id = name.to_string();
            }
        }
    };
    let held = format!("verify {run} --checkpoint seen.checkpoints");
    let level = |ran: &crate::rig::Ran| ran.out.contains("level 3 of 5");
    let ran = place.loom(&held);
    assert!(ran.code == 0 && level(&ran), "{}{}", ran.out, ran.err);
    altered_in_place(&place, by_whom("bob"));
    assert!(place.loom(&format!("log --jsonl {run}")).out.contains("bob"), "it is told as if it were so");
    for command in [&held, &format!("{held} --redrive"), "verify --checkpoint seen.checkpoints"] {
        let ran = place.loom(command);
        assert!(ran.code == 6 && !level(&ran), "{command}: {}{}", ran.out, ran.err);
    }
    assert!(place.loom(&held).err.contains("forked or altered"), "{}", place.loom(&held).err);
    // What is damaged is the store, and no file that could be exported again.
    let ran = place.loom("witness others.checkpoints");
    assert_eq!(ran.code, 6, "{}", ran.out);
    assert!(ran.err.contains("error: the store is damaged") && !ran.err.contains("trace"), "{}", ran.err);
    assert!(!place.path().join("others.checkpoints").exists());
    // As it was, it holds again.
    altered_in_place(&place, by_whom("ann"));
    let ran = place.loom(&held);
    assert!(ran.code == 0 && level(&ran), "{}{}", ran.out, ran.err);
}

/// JUDGE-10: a store is verified in the pass that judges it. What its tree alone shows is told, and its runs are judged all the
/// same; where one run is asked for, its chain is checked and no more.
#[test]
fn a_store_that_its_tree_alone_shows_to_be_altered_is_judged_with_6() {
    let place = Place::with(&[Until::End; 12]);
    let rules =
        "loom rules 1\nset some \"\"\nrule late on spawn.requested\n  require event.sequence > 0\n  message \"m\"\n";
    fs::write(place.path().join("some.rules"), rules).unwrap();
    let judge = |options: &str| place.replay(&format!("judge --rules some.rules . {options}"));
    let whole = judge("");
    assert_eq!(whole.code, 0, "{}{}", whole.out, whole.err);
    let run = place.store().runs(usize::MAX).unwrap().last().unwrap().stream;
    altered_in_place(&place, |event| {
        if let (Actor::Person { id, .. }, true) = (&mut event.actor, event.stream == run) {
            *id = String::from("bob");
        }
    });
    for threads in 1..4 {
        let altered = judge(&format!("--threads {threads}"));
        assert_eq!(altered.code, 6, "{}{}", altered.out, altered.err);
        let told = format!("{}{}", altered.out, altered.err);
        assert!(told.contains("judged 12 runs of 1 sources") && told.contains("(TREE-1)"), "{told}");
    }
    let told = |ran: crate::rig::Ran| (ran.code, ran.out);
    let (code, out) = told(judge("--unverified"));
    assert!(code == 0 && out.contains("stores were judged without being verified"), "{out}");
    assert_eq!(told(judge(&format!("--run {run}"))).0, 0);
}
