//! The exit codes, frozen: one line a case.

use crate::made::Until;
use crate::rig::{Place, Ran};
use loom_store::{RedbStore, Store};
use std::fs;

/// Each command on the usual store with the code it ends with.
const CODES: &[(&str, i32)] = &[
    ("--version", 0),
    ("--help", 0),
    ("log --help", 0),
    ("", 2),
    ("no-such-command", 2),
    ("log --no-such-flag", 2),
    ("log -n x", 2),
    ("log --json --jsonl", 2),
    ("status", 0),
    ("log", 0),
    ("log run:last", 0),
    ("log --kind gate", 0),
    ("log --kind nonsense", 2),
    ("log --since 7d", 0),
    ("log --since 7", 2),
    ("show", 0),
    ("show @", 0),
    ("show run:last", 0),
    ("show run:last#0", 0),
    ("show run:last#99999", 2),
    ("show abc", 2),
    ("show xyzw", 2),
    ("show ffffffffffffffff", 2),
    ("at", 0),
    ("at @", 0),
    ("verify", 0),
    ("verify --blobs --redrive", 0),
    ("verify run:last --redrive", 0),
    ("rules list", 0),
    ("rules show floor/no-blocker", 0),
    ("rules show no-such-set", 2),
    ("rules test", 0),
    ("rules test no-such-file.rules", 9),
    ("export run:last -o run.trace", 0),
    ("export run:last -o run.trace", 2),
    ("export run:last -o run.trace --force", 0),
    ("export store -o store.trace", 2),
    ("verify run.trace --redrive", 0),
    ("backup store.backup", 0),
    ("backup store.backup", 2),
    ("restore store.backup", 2),
    ("gc", 0),
    ("gc --delete", 0),
    ("--dir no-such-folder status", 2),
];

#[test]
fn every_command_ends_with_its_code() {
    let place = Place::usual();
    for (arguments, code) in CODES {
        let Ran { code: found, out, err } = place.loom(arguments);
        assert_eq!(found, *code, "loom {arguments}\n{out}\n{err}");
        assert_eq!(found == 0, err.is_empty(), "loom {arguments}: {err}");
        let told = err.starts_with("error: ") || err.starts_with("Runs agents");
        assert!(found == 0 || told, "loom {arguments}: {err}");
    }
}

#[test]
fn outside_of_a_project_only_what_needs_no_store_works() {
    let place = Place::empty();
    for arguments in ["status", "log", "show", "at", "verify", "export @ -o x", "backup x", "gc"] {
        let ran = place.loom(arguments);
        assert_eq!(ran.code, 2, "loom {arguments}: {}", ran.err);
        assert!(ran.err.contains("there is no loom store in"), "{}", ran.err);
        assert!(ran.err.contains("hint: go into the project's folder"), "{}", ran.err);
    }
    assert_eq!(place.loom("rules list").code, 0);
}

#[test]
fn a_store_without_runs_is_no_error() {
    let place = Place::with(&[]);
    assert_eq!(place.loom("status").code, 0);
    assert_eq!(place.loom("log").code, 0);
    assert_eq!(place.loom("verify").code, 0);
    let ran = place.loom("show @");
    assert_eq!((ran.code, ran.err.lines().next()), (2, Some("error: there is no run in this store yet")));
}

#[test]
fn a_run_that_came_out_otherwise_is_7_and_one_that_cannot_be_known_is_8() {
    let place = Place::with(&[Until::End]);
    let ran = place.loom("export run:last -o slim.trace --no-blobs");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let ran = place.loom("verify slim.trace --redrive");
    assert_eq!(ran.code, 8, "{}", ran.out);
    assert!(ran.out.contains("unknowable at"), "{}", ran.out);
}

#[test]
fn a_held_store_is_9_and_names_the_holder() {
    let place = Place::usual();
    let holder = RedbStore::open(&place.store_folder()).unwrap();
    for arguments in ["status", "log", "show @", "verify", "gc"] {
        let ran = place.loom(arguments);
        assert_eq!(ran.code, 9, "loom {arguments}: {}", ran.err);
        assert!(ran.err.contains(&format!("is held by process {}", std::process::id())), "{}", ran.err);
        assert!(ran.err.contains("hint: wait until process"), "{}", ran.err);
    }
    assert!(holder.size() > 0);
    drop(holder);
    assert_eq!(place.loom("status").code, 0);
}

#[test]
fn readers_do_not_keep_each_other_out() {
    let place = Place::usual();
    let reader = place.store();
    assert_eq!(place.loom("log").code, 0);
    assert!(reader.size() > 0);
}

#[test]
fn a_newer_format_is_9_with_a_sentence() {
    let place = Place::usual();
    let file = place.store_folder().join("store.redb");
    let database = redb::Database::open(file).unwrap();
    let change = database.begin_write().unwrap();
    {
        let mut meta = change.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap();
        meta.insert("format", 99).unwrap();
    }
    change.commit().unwrap();
    drop(database);
    let ran = place.loom("status");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (
            9,
            "error: the format 99 is newer than this loom reads (format 1); a newer loom can read it\nhint: install the newer loom\n"
        )
    );
}

/// Changes a byte of the first run's opening event in the store's file.
fn damage(place: &Place) {
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    // The key of the next field ends the text: other runs' begin with it.
    let needle = b"task-1\x03";
    let places: Vec<usize> =
        bytes.windows(needle.len()).enumerate().filter(|(_, part)| part == needle).map(|(at, _)| at).collect();
    for at in places {
        bytes[at + 5] = b'9';
    }
    fs::write(file, bytes).unwrap();
}

#[test]
fn damage_is_6_with_its_place_and_other_streams_stay_readable() {
    let place = Place::usual();
    let runs: Vec<String> = place.store().runs(9).unwrap().iter().rev().map(|run| run.stream.to_string()).collect();
    damage(&place);
    let ran = place.loom("verify");
    assert_eq!(ran.code, 6, "{}", ran.out);
    assert!(ran.out.starts_with("store is damaged at position 1, "), "{}", ran.out);
    let ran = place.loom(&format!("log {}", runs[0]));
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.err.contains("error: the store is damaged at position 1, "), "{}", ran.err);
    for run in &runs[1..] {
        assert_eq!(place.loom(&format!("log {run}")).code, 0);
        assert_eq!(place.loom(&format!("verify {run} --redrive")).code, 0);
    }
}

#[test]
fn a_store_that_is_no_database_is_6() {
    let place = Place::usual();
    fs::write(place.store_folder().join("store.redb"), b"not a database at all").unwrap();
    let ran = place.loom("status");
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.starts_with("error: the store is damaged"), "{}", ran.err);
}

/// Runs `loom resume`, which opens the store for driving.
fn resume(place: &Place) -> Ran {
    place.command("resume").env("LOOM_STATE_DIR", place.path().join("state")).output().unwrap().into()
}

#[test]
fn a_driver_is_told_of_trouble_as_a_reader_is() {
    let place = Place::usual();
    let ran = resume(&place);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains(" is not in a git repository\nhint: go into a git repository"), "{}", ran.err);
    let git = |arguments: &[&str]| {
        let who = ["-c", "user.name=u", "-c", "user.email=u@x", "-c", "commit.gpgSign=false"];
        let git = std::process::Command::new("git").args(who).args(arguments).current_dir(place.path()).status();
        assert!(git.unwrap().success());
    };
    git(&["init", "-q"]);
    let ran = resume(&place);
    assert!(ran.err.contains(" has no commit yet\nhint: make a first commit"), "{}", ran.err);
    git(&["commit", "-q", "--allow-empty", "-m", "first"]);
    let holder = RedbStore::open(&place.store_folder()).unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 9, "{}", ran.err);
    assert!(ran.err.contains(&format!("is held by process {}", std::process::id())), "{}", ran.err);
    assert!(ran.err.contains("hint: wait until process"), "{}", ran.err);
    drop(holder);
    fs::remove_dir_all(place.path().join("state")).unwrap();
    fs::write(place.path().join("state"), "a file in the way").unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 9);
    assert!(ran.err.contains("error: cannot make ") && ran.err.contains("/state/scratch"), "{}", ran.err);
    fs::remove_file(place.path().join("state")).unwrap();
    fs::write(place.store_folder().join("store.redb"), b"not a database at all").unwrap();
    let ran = resume(&place);
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.contains("hint: `loom verify` finds the first bad record"), "{}", ran.err);
}

#[test]
fn a_run_that_cannot_be_driven_is_told_on_stderr_and_the_others_are_listed() {
    // Long enough for the first run to lie before what an open verifies.
    let runs: Vec<Until> = [Until::Gate].into_iter().chain([Until::End; 12]).chain([Until::Spawned]).collect();
    let place = Place::with(&runs);
    let runs: Vec<String> = place.store().runs(99).unwrap().iter().rev().map(|run| run.stream.to_string()).collect();
    damage(&place);
    let ran = place.loom("status");
    assert_eq!(ran.code, 0, "{}", ran.err);
    let start = format!("warning: run {} cannot be driven on and is set aside: the store is damaged at", &runs[0][..8]);
    assert!(ran.err.starts_with(&start) && ran.err.lines().count() == 1, "{}", ran.err);
    assert!(ran.out.contains(&runs[13][..8]), "{}", ran.out);
}
