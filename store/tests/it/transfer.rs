//! Backup, restore and the removal of what nothing names.

use loom_core::commit::Blob;
use loom_store::conformance::assert_equal;
use loom_store::conformance::sample::{Author, Dice, origin};
use loom_store::{Damage, RedbStore, Restored, Store, StoreError, backup};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

fn filled(dir: &Path, commits: u64) -> RedbStore {
    let store = RedbStore::create(dir, &origin()).unwrap();
    let mut dice = Dice::new(commits);
    let mut authors: Vec<Author> = (0..4).map(Author::new).collect();
    for _ in 0..commits {
        let commit = authors[dice.below(4) as usize].anything(&mut dice);
        store.append(vec![commit]).remove(0).unwrap();
    }
    let mut author = Author::new(9);
    let large = Blob::plain(&dice.bytes(100_000));
    store.append(vec![author.open(), author.spawn(vec![large])]);
    store
}

/// Restores what the store's own checks let pass.
fn restore(file: &Path, dir: &Path) -> Result<Restored, StoreError> {
    loom_store::restore(file, dir, |_| Ok(()))
}

/// The paths below a folder.
fn listed(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        found.push(entry.path().display().to_string());
        found.extend(listed(&entry.path()));
    }
    found.sort();
    found
}

#[test]
fn a_restore_that_its_caller_refuses_leaves_the_folder_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    backup(&filled(&folder.path().join("one"), 6), &file).unwrap();
    let (fresh, used) = (folder.path().join("fresh"), folder.path().join("used"));
    fs::create_dir_all(used.join("blobs")).unwrap();
    fs::write(used.join("blobs/mine"), "mine").unwrap();
    let before = listed(folder.path());
    for dir in [fresh, used] {
        let mut seen = 0;
        let refused = loom_store::restore(&file, &dir, |store| {
            seen = store.size();
            assert!(!dir.join("store.redb").exists(), "the store has no name while it is checked");
            assert!(fs::read_dir(dir.join("blobs")).unwrap().count() > 0, "the large blob is there");
            Err(StoreError::Damaged(Damage { position: Some(3), stream: None, sequence: None, what: "no".into() }))
        });
        assert!(matches!(refused, Err(StoreError::Damaged(_))) && seen > 0, "{refused:?}");
        assert_eq!(listed(folder.path()), before);
    }
}

#[test]
fn a_backup_never_leaves_a_blob_out() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, file) = (folder.path().join("one"), folder.path().join("backup"));
    let store = filled(&dir, 3);
    for entry in fs::read_dir(dir.join("blobs")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert!(matches!(backup(&store, &file), Err(StoreError::Damaged(_))));
    assert!(!file.exists());
}

#[test]
fn a_restored_store_answers_as_the_one_backed_up() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    let store = filled(&folder.path().join("one"), 40);
    let saved = backup(&store, &file).unwrap();
    assert_eq!((saved.events, saved.root), store.tree_head().unwrap());
    assert_eq!(restore(&file, &folder.path().join("two")).unwrap(), saved);
    let restored = RedbStore::open(&folder.path().join("two")).unwrap();
    assert_equal(&restored, &store);
}

#[test]
fn a_backup_taken_while_others_append_is_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let store = filled(&folder.path().join("one"), 10);
    let done = AtomicBool::new(false);
    let saved = thread::scope(|scope| {
        scope.spawn(|| {
            let mut author = Author::new(77);
            store.append(vec![author.open()]);
            while !done.load(Ordering::Acquire) {
                store.append(vec![author.spawn(Vec::new())]).remove(0).unwrap();
            }
        });
        let saved: Vec<_> =
            (0..5).map(|n| backup(&store, &folder.path().join(format!("backup {n}"))).unwrap()).collect();
        done.store(true, Ordering::Release);
        saved
    });
    for (n, saved) in saved.iter().enumerate() {
        let dir = folder.path().join(format!("restored {n}"));
        assert_eq!(restore(&folder.path().join(format!("backup {n}")), &dir).unwrap(), *saved);
        assert_eq!((&store as &dyn Store).tree_root(saved.events).unwrap(), saved.root);
    }
}

#[test]
fn nothing_existing_is_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, file) = (folder.path().join("one"), folder.path().join("backup"));
    let store = filled(&dir, 3);
    backup(&store, &file).unwrap();
    assert!(matches!(backup(&store, &file), Err(StoreError::Exists(_))));
    assert!(matches!(restore(&file, &dir), Err(StoreError::Exists(_))));
    drop(store);
    assert!(matches!(restore(&file, &dir), Err(StoreError::Exists(_))));
    assert!(matches!(RedbStore::create(&dir, &origin()), Err(StoreError::Exists(_))));
}

#[test]
fn an_altered_backup_is_refused_and_leaves_no_store() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("backup");
    backup(&filled(&folder.path().join("one"), 6), &file).unwrap();
    let whole = fs::read(&file).unwrap();
    let mut dice = Dice::new(5);
    let bad = folder.path().join("bad");
    for round in 0..60 {
        let mut bytes = whole.clone();
        match round % 3 {
            0 => {
                let at = dice.below(bytes.len() as u64) as usize;
                bytes[at] ^= 1 << dice.below(8);
            }
            1 => bytes.truncate(dice.below(bytes.len() as u64) as usize),
            _ => bytes.extend(dice.bytes(3)),
        }
        fs::write(&bad, bytes).unwrap();
        let dir = folder.path().join("two");
        let refused = restore(&bad, &dir);
        assert!(
            matches!(refused, Err(StoreError::Damaged(_) | StoreError::NewerEvent { .. } | StoreError::Newer { .. })),
            "{refused:?}"
        );
        assert!(matches!(RedbStore::open(&dir), Err(StoreError::Missing(_))));
    }
}

#[test]
fn garbage_is_listed_first_and_only_it_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("one");
    let store = filled(&dir, 3);
    assert_eq!(store.garbage().unwrap().files.len(), 0);
    let orphan = Blob::plain(&vec![1; 70_000]);
    fs::write(dir.join("blobs").join(orphan.digest.to_string()), &orphan.bytes).unwrap();
    fs::write(dir.join("blobs/.new-left"), b"half").unwrap();
    // What somebody else put there is not the store's to remove.
    fs::write(dir.join("blobs/README.txt"), b"mine").unwrap();
    fs::create_dir(dir.join("blobs/.new-folder")).unwrap();
    let listed = store.garbage().unwrap();
    assert_eq!((listed.files.len(), listed.bytes), (2, orphan.bytes.len() as u64 + 4));
    assert_eq!(fs::read_dir(dir.join("blobs")).unwrap().count(), 5);
    assert_eq!(store.collect().unwrap(), listed);
    assert_eq!(fs::read_dir(dir.join("blobs")).unwrap().count(), 3);
    let mut named = 0;
    for position in 0..store.size() {
        for digest in store.carried(position).unwrap() {
            assert!(store.blob(&digest).unwrap().is_some());
            named += 1;
        }
    }
    assert!(named > 1);
}
