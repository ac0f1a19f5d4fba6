//! Power loss, failing and full disks: nothing acknowledged is lost, nothing else is half there.

use loom_store::conformance::assert_equal;
use loom_store::conformance::platter::Platter;
use loom_store::conformance::sample::{Author, Dice, origin};
use loom_store::{Append, AppendError, MemoryStore, RedbStore, Store, StoreError};
use std::path::Path;

const SEEDS: u64 = 100;

fn open(dir: &Path, platter: &Platter) -> Result<RedbStore, StoreError> {
    let platter = platter.clone();
    RedbStore::open_on(dir, &origin(), move || platter.open())
}

/// Makes the next group of commits, of several streams or of one stream several times.
fn group(authors: &mut [Author], dice: &mut Dice) -> Vec<Append> {
    let count = authors.len() as u64;
    (0..=dice.below(4)).map(|_| authors[dice.below(count) as usize].anything(dice)).collect()
}

fn put(store: &dyn Store, commits: Vec<Append>) -> Result<(), StoreError> {
    for answer in store.append(commits) {
        match answer {
            Ok(_) => {}
            Err(AppendError::Store(error)) => return Err(error),
            Err(moved) => panic!("{moved}"),
        }
    }
    Ok(())
}

#[test]
fn power_loss_loses_nothing_acknowledged_and_shows_nothing_half() {
    let dir = tempfile::tempdir().unwrap();
    let (mut whole, mut gone) = (0, 0);
    for seed in 0..SEEDS {
        let mut dice = Dice::new(seed);
        let platter = Platter::default();
        let store = open(dir.path(), &platter).unwrap();
        let oracle = MemoryStore::create(&origin());
        let mut authors: Vec<Author> = (0..3).map(Author::new).collect();
        platter.die_after(dice.below(300));
        let lost = loop {
            let commits = group(&mut authors, &mut dice);
            match put(&store, commits.clone()) {
                Ok(()) => put(&oracle, commits).unwrap(),
                Err(_) => break commits,
            }
            if dice.below(6) == 0 && store.catch_up().is_err() {
                break group(&mut authors, &mut dice);
            }
        };
        drop(store);

        let mut back = platter.after_power_loss(&mut dice);
        if dice.below(3) == 0 {
            // The power goes again while the store is opened.
            back.die_after(dice.below(20));
            drop(open(dir.path(), &back));
            back = back.after_power_loss(&mut dice);
        }
        let store = open(dir.path(), &back).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        if store.size() > oracle.size() {
            whole += 1;
            put(&oracle, lost).unwrap();
        } else {
            gone += 1;
        }
        assert_equal(&store, &oracle);
        let more: Vec<Append> = vec![Author::new(100).open()];
        put(&oracle, more.clone()).unwrap();
        put(&store, more).unwrap();
        drop(store);
        assert_equal(&open(dir.path(), &back).unwrap(), &oracle);
    }
    assert!(whole > 0 && gone > 0, "{whole} interrupted groups came back whole, {gone} not at all");
}

#[test]
fn a_failing_disk_fails_the_append_and_nothing_more() {
    let dir = tempfile::tempdir().unwrap();
    let mut failed = 0;
    for seed in 0..SEEDS {
        let mut dice = Dice::new(1000 + seed);
        let platter = Platter::default();
        let store = open(dir.path(), &platter).unwrap();
        let oracle = MemoryStore::create(&origin());
        let mut authors: Vec<Author> = (0..3).map(Author::new).collect();
        for _ in 0..12 {
            if dice.below(3) == 0 {
                platter.fail(1 + dice.below(4));
            }
            let commits = group(&mut authors, &mut dice);
            // The caller tries the same commits until they stand.
            let mut tries = 0;
            while let Err(error) = put(&store, commits.clone()) {
                assert!(matches!(error, StoreError::Io { .. } | StoreError::Broken), "seed {seed}: {error:?}");
                failed += 1;
                tries += 1;
                assert!(tries < 20, "seed {seed}: {error}");
                assert_eq!(store.size(), oracle.size());
            }
            put(&oracle, commits).unwrap();
            if dice.below(4) == 0 {
                platter.fail(dice.below(3));
                let _ = store.catch_up();
            }
        }
        platter.fail(0);
        assert_equal(&store, &oracle);
        drop(store);
        assert_equal(&open(dir.path(), &platter).unwrap(), &oracle);
    }
    assert!(failed > 50, "only {failed} appends failed");
}

#[test]
fn a_full_disk_is_said_clearly_and_the_store_goes_on_when_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    for seed in 0..6 {
        let mut dice = Dice::new(2000 + seed);
        let platter = Platter::default();
        let store = open(dir.path(), &platter).unwrap();
        let oracle = MemoryStore::create(&origin());
        let mut authors: Vec<Author> = (0..3).map(Author::new).collect();
        for _ in 0..3 {
            platter.limit(Some(platter.length()));
            let refused = loop {
                let commits = group(&mut authors, &mut dice);
                match put(&store, commits.clone()) {
                    Ok(()) => put(&oracle, commits).unwrap(),
                    Err(error) => {
                        assert!(matches!(error, StoreError::Full), "seed {seed}: {error:?}");
                        break commits;
                    }
                }
            };
            // It stays readable, and stays full however often one tries.
            assert_equal(&store, &oracle);
            assert!(matches!(put(&store, refused.clone()), Err(StoreError::Full)));
            assert_equal(&store, &oracle);
            platter.limit(None);
            put(&store, refused.clone()).unwrap();
            put(&oracle, refused).unwrap();
            assert_equal(&store, &oracle);
        }
        assert!(platter.refused() > 0);
        drop(store);
        assert_equal(&open(dir.path(), &platter).unwrap(), &oracle);
    }
}
