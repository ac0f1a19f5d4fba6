//! Real processes: killed at any moment, or holding the store.

use loom_core::commit::Blob;
use loom_store::conformance::sample::{Author, Dice, origin, redaction};
use loom_store::{RedbStore, Store, StoreError};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

const DIR: &str = "LOOM_STORE_TEST_DIR";
const FIRST_RUN: &str = "LOOM_STORE_TEST_RUN";

/// Starts this test binary as the process that `test` is when the environment names a folder.
fn start(test: &str, dir: &Path, first_run: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .env(FIRST_RUN, first_run.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn folder() -> Option<std::path::PathBuf> {
    std::env::var_os(DIR).map(Into::into)
}

/// Not a test by itself: appends from three threads and prints what was acknowledged, until it is killed.
#[test]
fn appender() {
    let Some(dir) = folder() else { return };
    let first: u64 = std::env::var(FIRST_RUN).unwrap().parse().unwrap();
    let store = RedbStore::open(&dir).unwrap();
    thread::scope(|scope| {
        for run in first..first + 3 {
            let store = &store;
            scope.spawn(move || {
                let mut author = Author::new(run);
                store.append(vec![author.open()]).remove(0).unwrap();
                for number in 0..u64::MAX {
                    store.append(vec![author.spawn(Vec::new())]).remove(0).unwrap();
                    let line = format!("ack {run} {}\n", author.head.next);
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                    if number % 16 == 15 {
                        store.catch_up().unwrap();
                    }
                }
            });
        }
    });
}

/// Not a test by itself: holds the store until its standard input ends.
#[test]
fn holder() {
    let Some(dir) = folder() else { return };
    let _store = RedbStore::open(&dir).unwrap();
    println!("held");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Not a test by itself: puts a redaction of every blob of run 1 on record, says so, and erases them.
#[test]
fn eraser() {
    let Some(dir) = folder() else { return };
    let store = RedbStore::open(&dir).unwrap();
    let secrets = secrets();
    store.append(vec![redaction(&store, b"erase", &secrets.iter().collect::<Vec<_>>())]).remove(0).unwrap();
    println!("on record");
    store.erase().unwrap();
    println!("erased");
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn secrets() -> Vec<Blob> {
    (0..3).map(|number| Blob::salted([number; 16], "a secret ".repeat(1 << (number * 7)).as_bytes())).collect()
}

/// Whether a file below the folder has a part of the secrets.
fn stands(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| match entry.file_type().unwrap().is_dir() {
        true => stands(&entry.path()),
        false => fs::read(entry.path()).unwrap().windows(9).any(|found| found == b"a secret "),
    })
}

#[test]
fn kill_9_between_a_redaction_and_its_end_leaves_it_to_the_next_opening() {
    let folder = tempfile::tempdir().unwrap();
    let mut dice = Dice::new(5);
    let (mut undone, mut half) = (0, 0);
    for round in 0..8 {
        let dir = folder.path().join(round.to_string());
        let store = RedbStore::create(&dir, &origin()).unwrap();
        let mut author = Author::new(1);
        // Enough beside the secrets that writing it anew takes a while.
        let rest = (0..120).map(|_| Blob::plain(&dice.bytes(60_000))).collect();
        store.append(vec![author.open(), author.spawn(secrets()), author.spawn(rest)]);
        drop(store);
        let before = dir.join("store.redb").metadata().unwrap().ino();
        let mut child = start("process::eraser", &dir, 0);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        while !lines.next().unwrap().unwrap().ends_with("on record") {}
        let anew = dir.join("store.redb.anew");
        // At once, or while the database is written anew, at some length of it.
        let least = round % 4 * 1_500_000;
        let is_short = || anew.metadata().map_or(0, |found| found.len()) < least;
        while round % 4 > 0 && is_short() && dir.join("store.redb").metadata().unwrap().ino() == before {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        undone += u64::from(stands(&dir));
        half += u64::from(anew.exists());
        let store = RedbStore::open(&dir).unwrap();
        assert!(secrets().iter().all(|blob| store.blob(&blob.digest).unwrap().is_none()), "round {round}");
        assert!(!stands(&dir) && !anew.exists(), "round {round}");
        let plain = store.carried(store.size() - 5).unwrap();
        assert_eq!(plain.len(), 120, "what is not redacted stays");
        assert!(plain.iter().all(|digest| store.blob(digest).unwrap().is_some()));
    }
    assert!(undone > 0 && half > 0, "{undone} were undone, {half} of them half");
}

#[test]
fn kill_9_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(RedbStore::create(&dir, &origin()).unwrap());
    let mut acknowledged: BTreeMap<u64, u64> = BTreeMap::new();
    for round in 0..8u64 {
        let mut child = start("process::appender", &dir, round * 3);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: String| {
            let mut words = line.split_whitespace().skip_while(|word| *word != "ack").skip(1);
            if let (Some(run), Some(next)) = (words.next(), words.next()) {
                acknowledged.insert(run.parse().unwrap(), next.parse().unwrap());
            }
        };
        // Killed after another number of answers each time, in the middle of whatever it does then.
        lines.by_ref().take(7 + 23 * round as usize).for_each(&mut note);
        child.kill().unwrap();
        child.wait().unwrap();
        lines.for_each(&mut note);

        let store = RedbStore::open(&dir).unwrap();
        for (run, next) in &acknowledged {
            let author = Author::new(*run);
            let head = store.head(author.stream).unwrap();
            assert!(head.next >= *next, "run {run}: {next} events were acknowledged, {} are there", head.next);
            assert_eq!(store.read(author.stream, 0, usize::MAX).unwrap().len() as u64, head.next);
        }
        let (size, root) = store.tree_head().unwrap();
        assert_eq!((&store as &dyn Store).tree_root(size).unwrap(), root);
    }
    assert!(acknowledged.len() > 8);
}

#[test]
fn one_process_holds_the_store_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(RedbStore::create(&dir, &origin()).unwrap());
    let mut child = start("process::holder", &dir, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.ends_with("held")));
    for refused in [RedbStore::open(&dir), RedbStore::open_to_read(&dir)] {
        match refused.err() {
            Some(StoreError::Held { pid, .. }) => assert_eq!(pid, Some(child.id())),
            other => panic!("{other:?}"),
        }
    }
    drop(child.stdin.take());
    child.wait().unwrap();
    // Readers do not exclude each other.
    let (one, two) = (RedbStore::open_to_read(&dir).unwrap(), RedbStore::open_to_read(&dir).unwrap());
    assert_eq!((one.size(), two.size()), (1, 1));
    let refused = one.append(vec![Author::new(1).open()]).remove(0);
    assert!(matches!(refused, Err(loom_store::AppendError::Store(StoreError::ReadOnly))));
    assert!(matches!(RedbStore::open(&dir), Err(StoreError::Held { .. })));
}

#[test]
fn a_killed_store_is_read_by_many_at_once_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(RedbStore::create(&dir, &origin()).unwrap());
    let mut child = start("process::appender", &dir, 0);
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(lines.by_ref().filter(|line| line.contains("ack ")).take(40).count() == 40);
    child.kill().unwrap();
    child.wait().unwrap();
    let bytes = || fs::read(dir.join("store.redb")).unwrap();
    let before = bytes();
    let (one, two) = (RedbStore::open_to_read(&dir).unwrap(), RedbStore::open_to_read(&dir).unwrap());
    assert!(one.size() > 40);
    assert_eq!(one.events(0, usize::MAX).unwrap(), two.events(0, usize::MAX).unwrap());
    assert!(matches!(RedbStore::open(&dir), Err(StoreError::Held { .. })));
    let refused = one.append(vec![Author::new(77).open()]).remove(0);
    assert!(matches!(refused, Err(loom_store::AppendError::Store(StoreError::ReadOnly))));
    let size = one.size();
    drop((one, two));
    assert!(bytes() == before, "reading changes nothing");
    let store = RedbStore::open(&dir).unwrap();
    assert_eq!(store.size(), size);
    // While it is driven, nobody reads past the driver's lock.
    assert!(matches!(RedbStore::open_to_read(&dir), Err(StoreError::Held { .. })));
}

#[test]
fn a_lock_that_outlives_its_holder_for_a_moment_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("store");
    drop(RedbStore::create(&dir, &origin()).unwrap());
    let itself = Command::new(std::env::current_exe().unwrap()).arg("--list").stdout(Stdio::null()).spawn();
    let mut ended = itself.unwrap();
    ended.wait().unwrap();
    // What the child of a killed process has until it becomes the other program: the lock, and nobody's name.
    let lock = redb::Database::open(dir.join("store.redb")).unwrap();
    fs::write(dir.join("holder"), ended.id().to_string()).unwrap();
    thread::scope(|scope| {
        let opener = scope.spawn(|| RedbStore::open(&dir).map(|store| store.size()));
        drop(lock);
        assert_eq!(opener.join().unwrap().unwrap(), 1);
    });
}
