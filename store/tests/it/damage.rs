//! Files that are not as they were written: refused or read around, never believed.

use loom_core::event::{Envelope, Recorded};
use loom_store::conformance::assert_equal;
use loom_store::conformance::sample::{Author, Dice, origin};
use loom_store::{Append, AppendError, MemoryStore, RedbStore, Store, StoreError};
use redb::{Database, TableDefinition};
use std::fs;
use std::path::Path;

const RUNS: u64 = 4;

/// Creates a store and returns the runs in it; the last commit belongs to run 0.
fn filled(dir: &Path, commits: u64) -> (Vec<Author>, MemoryStore) {
    let store = RedbStore::create(dir, &origin()).unwrap();
    let oracle = MemoryStore::create(&origin());
    let mut dice = Dice::new(commits);
    let mut authors: Vec<Author> = (0..RUNS).map(Author::new).collect();
    for number in 0..commits {
        let run = if number + 1 == commits { 0 } else { dice.below(RUNS) as usize };
        let commit = authors[run].anything(&mut dice);
        for store in [&store as &dyn Store, &oracle] {
            store.append(vec![commit.clone()]).remove(0).unwrap();
        }
        if number == commits / 2 {
            store.catch_up().unwrap();
        }
    }
    (authors, oracle)
}

/// Flips a bit in the middle of every copy of these bytes in the store's file.
fn spoil(dir: &Path, bytes: &[u8]) {
    let path = dir.join("store.redb");
    let mut file = fs::read(&path).unwrap();
    let found: Vec<usize> =
        file.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at).collect();
    assert!(!found.is_empty());
    for at in found {
        file[at + bytes.len() / 2] ^= 4;
    }
    fs::write(path, file).unwrap();
}

fn position_of(store: &dyn Store, event: &Recorded) -> u64 {
    let found = store.events(0, usize::MAX).unwrap().into_iter().find(|stored| stored.event == *event);
    found.unwrap().position
}

#[test]
fn a_bad_event_is_named_and_other_streams_stay_readable() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    // Long enough for the bad event to lie before what an open verifies.
    let (authors, oracle) = filled(&dir, 350);
    assert!(oracle.size() > 900);
    let victim = authors.iter().max_by_key(|author| author.events.len()).unwrap();
    let sequence = victim.events.len() / 8;
    spoil(&dir, &victim.events[sequence].bytes);
    let store = RedbStore::open(&dir).unwrap();
    for author in &authors {
        let read = store.read(author.stream, 0, usize::MAX);
        if author.stream == victim.stream {
            let Err(StoreError::Damaged(damage)) = read else { panic!("{read:?}") };
            assert_eq!(damage.stream, Some(author.stream));
            assert_eq!(damage.sequence, Some(sequence as u64), "{damage}");
            assert_eq!(damage.position, Some(position_of(&oracle, &author.events[sequence])), "{damage}");
            // What the altered event's commit names before it is not vouched for; the commits before it are.
            let first = Envelope::decode(&author.events[sequence].bytes).unwrap().input;
            let before = store.read(author.stream, 0, first as usize).unwrap();
            assert!(before.iter().map(|stored| &stored.event).eq(&author.events[..first as usize]));
            let found = store.events(0, usize::MAX);
            let Err(StoreError::Damaged(by_position)) = found else { panic!("{found:?}") };
            assert_eq!(by_position.position, damage.position);
        } else {
            assert!(read.unwrap().iter().map(|stored| &stored.event).eq(&author.events));
        }
    }
}

#[test]
fn a_bad_tail_is_refused_at_open_and_can_be_read_around() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (authors, oracle) = filled(&dir, 40);
    spoil(&dir, &authors[0].events.last().unwrap().bytes);
    let Err(StoreError::Damaged(damage)) = RedbStore::open(&dir) else { panic!("the tail was believed") };
    assert_eq!(damage.position, Some(oracle.size() - 1), "{damage}");
    let store = RedbStore::open_damaged(&dir).unwrap();
    assert_eq!(store.damage(), Some(&damage));
    for author in &authors[1..] {
        let read = store.read(author.stream, 0, usize::MAX).unwrap();
        assert!(read.iter().map(|stored| &stored.event).eq(&author.events));
    }
    assert!(store.read(authors[0].stream, 0, usize::MAX).is_err());
    let refused = store.append(vec![Author::new(50).open()]).remove(0);
    assert!(matches!(refused, Err(AppendError::Store(StoreError::Damaged(_)))));
}

#[test]
fn no_flipped_byte_or_cut_brings_the_process_down_or_goes_unnoticed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (authors, _) = filled(&dir, 120);
    let path = dir.join("store.redb");
    let whole = fs::read(&path).unwrap();
    let mut dice = Dice::new(11);
    let mut noticed = 0;
    for round in 0..120 {
        let mut bytes = whole.clone();
        if round % 6 == 0 {
            bytes.truncate(dice.below(bytes.len() as u64) as usize);
        } else {
            for _ in 0..1 << dice.below(10) {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
        }
        fs::write(&path, bytes).unwrap();
        let mut before = true;
        match RedbStore::open(&dir) {
            Err(StoreError::Damaged(_) | StoreError::NewerEvent { .. } | StoreError::Newer { .. }) => before = false,
            Err(error) => panic!("round {round}: {error:?}"),
            Ok(store) => {
                for author in &authors {
                    match store.read(author.stream, 0, usize::MAX) {
                        Ok(read) => {
                            assert!(read.iter().map(|stored| &stored.event).eq(&author.events), "round {round}")
                        }
                        Err(_) => before = false,
                    }
                }
            }
        }
        noticed += u64::from(!before);
    }
    assert!(noticed > 20, "{noticed} noticed");
}

#[test]
fn a_newer_format_is_refused_by_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(RedbStore::create(&dir, &origin()).unwrap());
    let db = Database::open(dir.join("store.redb")).unwrap();
    let transaction = db.begin_write().unwrap();
    transaction.open_table(TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 9).unwrap();
    transaction.commit().unwrap();
    drop(db);
    for refused in [RedbStore::open(&dir), RedbStore::open_to_read(&dir), RedbStore::open_damaged(&dir)] {
        let error = refused.err().unwrap();
        assert!(matches!(error, StoreError::Newer { found: 9, known: 1 }));
        assert_eq!(
            error.to_string(),
            "the format 9 is newer than this loom reads (format 1); a newer loom can read it"
        );
    }
}

#[test]
fn a_missing_or_foreign_index_is_rebuilt_with_equal_answers() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (_, oracle) = filled(&dir, 100);
    for foreign in [false, true] {
        let db = Database::open(dir.join("store.redb")).unwrap();
        let transaction = db.begin_write().unwrap();
        let index = TableDefinition::<&str, u64>::new("index");
        if foreign {
            transaction.open_table(index).unwrap().insert("version", 77).unwrap();
        } else {
            let names: Vec<_> = transaction.list_tables().unwrap().collect();
            for table in names {
                if redb::TableHandle::name(&table).starts_with("index") {
                    transaction.delete_table(table).unwrap();
                }
            }
        }
        transaction.commit().unwrap();
        drop(db);
        assert_equal(&RedbStore::open_to_read(&dir).unwrap(), &oracle);
        assert_equal(&RedbStore::open(&dir).unwrap(), &oracle);
    }
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    assert!(matches!(RedbStore::open(&dir), Err(StoreError::Missing(_))));
    fs::create_dir(&dir).unwrap();
    for content in [&b"not a database"[..], &[0; 100_000]] {
        fs::write(dir.join("store.redb"), content).unwrap();
        let refused = RedbStore::open(&dir).err();
        assert!(matches!(refused, Some(StoreError::Damaged(_))), "{refused:?}");
    }
    // A creation that crashed is begun again.
    let dir = folder.path().join("again");
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("store.redb.new"), b"half").unwrap();
    let store = RedbStore::open_or_create(&dir, origin).unwrap();
    assert_eq!(store.size(), 1);
    let more: Vec<Append> = vec![Author::new(1).open()];
    store.append(more).remove(0).unwrap();
    drop(store);
    assert_eq!(RedbStore::open_or_create(&dir, origin).unwrap().size(), 3);
    assert_eq!(fs::read_to_string(dir.join(".gitignore")).unwrap(), "*\n");
}
