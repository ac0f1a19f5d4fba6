//! Erasing blobs: the bytes are nowhere in the store's folder, whatever happens on the way.

use loom_core::commit::Blob;
use loom_core::event::Recorded;
use loom_core::id::hex;
use loom_store::conformance::platter::Platter;
use loom_store::conformance::sample::{Author, Dice, origin, redaction};
use loom_store::{RedbStore, Store, StoreError, backup};
use std::fs;
use std::path::Path;

/// A blob that is found by its words, wherever a part of it lies.
fn secret(number: u8, size: usize) -> Blob {
    let word = format!("the secret number {number}, ");
    Blob::salted([number; 16], word.repeat(size.div_ceil(word.len())).as_bytes())
}

/// Whether the words of a blob stand in any file below a folder.
fn stands(folder: &Path, blob: &Blob) -> bool {
    let word = &blob.bytes[17..17 + 20];
    fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.file_type().unwrap().is_dir() {
        true => stands(&entry.path(), blob),
        false => fs::read(entry.path()).unwrap().windows(word.len()).any(|found| found == word),
    })
}

fn copied(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => copied(&entry.path(), &to.join(entry.file_name())),
            false => drop(fs::copy(entry.path(), to.join(entry.file_name())).unwrap()),
        }
    }
}

/// A store with a history, and three secrets in it: a short one, one of several parts, one in a file.
fn filled(dir: &Path) -> (RedbStore, Author, [Blob; 3]) {
    let store = RedbStore::create(dir, &origin()).unwrap();
    let mut dice = Dice::new(7);
    let mut author = Author::new(1);
    store.append(vec![author.open()]).remove(0).unwrap();
    let secrets = [secret(1, 40), secret(2, 9_000), secret(3, 80_000)];
    for blob in &secrets {
        // Others are written beside it, so that its page is copied over and over.
        store.append(vec![author.spawn(vec![blob.clone()])]).remove(0).unwrap();
        for _ in 0..40 {
            store.append(vec![author.anything(&mut dice)]).remove(0).unwrap();
        }
    }
    (store, author, secrets)
}

fn events(store: &dyn Store) -> Vec<Recorded> {
    store.events(0, usize::MAX).unwrap().into_iter().map(|stored| stored.event).collect()
}

#[test]
fn no_file_of_the_store_has_the_bytes_afterwards_and_everything_else_stands() {
    let folder = tempfile::tempdir().unwrap();
    for catches_up in [false, true] {
        let dir = folder.path().join(catches_up.to_string());
        let (store, mut author, secrets) = filled(&dir);
        if catches_up {
            store.catch_up().unwrap();
        }
        assert!(secrets.iter().all(|blob| stands(&dir, blob)));
        let two = [&secrets[0], &secrets[2]];
        store.append(vec![redaction(&store, b"one", &two)]).remove(0).unwrap();
        let (before, head) = (events(&store), store.tree_head().unwrap());
        assert_eq!(store.erase().unwrap().len(), 2);
        assert_eq!([0, 1, 2].map(|at| stands(&dir, &secrets[at])), [false, true, false]);
        assert!(!dir.join("blobs").join(hex(&secrets[2].digest.0)).exists());
        assert_eq!((events(&store), store.tree_head().unwrap()), (before, head));
        // The store goes on, and so does another one on the same files.
        store.append(vec![author.spawn(vec![secrets[0].clone(), secret(4, 10)])]).remove(0).unwrap();
        let head = store.tree_head().unwrap();
        let held = RedbStore::open(&dir);
        assert!(matches!(held, Err(StoreError::Held { .. })), "the new file is held as the old one was");
        drop(store);
        let store = RedbStore::open(&dir).unwrap();
        assert_eq!(store.tree_head().unwrap(), head);
        assert_eq!(store.blob(&secrets[0].digest).unwrap(), None);
        assert!(store.blob(&secrets[1].digest).unwrap().is_some() && !stands(&dir, &secrets[0]));
        assert!(store.garbage().unwrap().files.is_empty());
    }
}

#[test]
fn what_a_crash_left_undone_is_done_at_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    let (store, _, secrets) = filled(&dir);
    store.append(vec![redaction(&store, b"all", &secrets.iter().collect::<Vec<_>>())]).remove(0).unwrap();
    // The files as they are at this moment: the event is durable, nothing is erased.
    let images: Vec<_> = (0..4).map(|number| folder.path().join(format!("image {number}"))).collect();
    images.iter().for_each(|image| copied(&dir, image));
    drop(store);
    // A file is gone and its row is not; the database was being written anew; bytes are back in a file without a row.
    fs::remove_file(images[1].join("blobs").join(hex(&secrets[2].digest.0))).unwrap();
    fs::write(images[2].join("store.redb.anew"), &secrets[1].bytes).unwrap();
    drop(RedbStore::open(&images[3]).unwrap());
    fs::write(images[3].join("blobs").join(hex(&secrets[2].digest.0)), &secrets[2].bytes).unwrap();
    for image in &images {
        let reading = RedbStore::open_to_read(image).unwrap();
        assert!(matches!(reading.erase(), Err(StoreError::ReadOnly)), "who reads changes nothing");
        drop(reading);
        let store = RedbStore::open(image).unwrap();
        assert_eq!(secrets.each_ref().map(|blob| store.blob(&blob.digest).unwrap()), [None, None, None]);
        assert_eq!(secrets.each_ref().map(|blob| stands(image, blob)), [false; 3], "{}", image.display());
    }
}

#[test]
fn a_backup_has_nothing_of_what_is_erased_and_one_from_before_has() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, back, old) = (folder.path().join("store"), folder.path().join("back"), folder.path().join("old"));
    let (store, _, secrets) = filled(&dir);
    fs::create_dir_all(&old).unwrap();
    backup(&store, &old.join("before")).unwrap();
    store.append(vec![redaction(&store, b"all", &secrets.iter().collect::<Vec<_>>())]).remove(0).unwrap();
    // The moment between the event and the deed, and the one after it.
    let kept = folder.path().join("kept");
    fs::create_dir_all(&kept).unwrap();
    backup(&store, &kept.join("between")).unwrap();
    store.erase().unwrap();
    backup(&store, &kept.join("after")).unwrap();
    assert!(secrets.iter().all(|blob| stands(&old, blob) && !stands(&kept, blob)));
    loom_store::restore(&kept.join("between"), &back, |_| Ok::<_, StoreError>(())).unwrap();
    let restored = RedbStore::open(&back).unwrap();
    assert_eq!(restored.tree_head().unwrap(), store.tree_head().unwrap());
    let mut author = Author::new(5);
    restored.append(vec![author.open(), author.spawn(vec![secrets[1].clone()])]);
    assert_eq!(restored.blob(&secrets[1].digest).unwrap(), None, "erased once is erased for ever");
    assert!(!stands(&back, &secrets[1]));
}

#[test]
fn power_loss_while_rows_go_leaves_a_store_that_finishes_it() {
    let dir = tempfile::tempdir().unwrap();
    let open = |platter: &Platter| {
        let platter = platter.clone();
        RedbStore::open_on(dir.path(), &origin(), move || platter.open())
    };
    let mut interrupted = 0;
    for seed in 0..60 {
        let mut dice = Dice::new(seed);
        let platter = Platter::default();
        let store = open(&platter).unwrap();
        let mut author = Author::new(1);
        let blob = secret(1, 9_000);
        store.append(vec![author.open(), author.spawn(vec![blob.clone()])]);
        store.append(vec![redaction(&store, b"one", &[&blob])]).remove(0).unwrap();
        platter.die_after(dice.below(80));
        interrupted += u64::from(store.erase().is_err());
        drop(store);
        let back = platter.after_power_loss(&mut dice);
        let store = open(&back).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!(store.blob(&blob.digest).unwrap(), None, "seed {seed}");
        let events = events(&store);
        assert_eq!(events.len() as u64, store.size());
        store.append(vec![author.spawn(Vec::new())]).remove(0).unwrap();
    }
    assert!((1..60).contains(&interrupted), "{interrupted}");
}
