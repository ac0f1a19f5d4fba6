//! Files that leave and enter a store: traces, backups; and what is left over.

use crate::made::Until;
use crate::rig::{Place, field};
use loom_store::Store;
use std::fs;

#[test]
fn an_exported_run_is_verified_without_a_store() {
    let place = Place::usual();
    let run = place.loom("status --json").out;
    let runs: serde_json::Value = serde_json::from_str(&run).unwrap();
    let ended = runs["runs"][2]["run"].as_str().unwrap().to_string();
    let ran = place.loom(&format!("export {ended} -o run.trace"));
    assert_eq!(ran.code, 0, "{}", ran.err);
    let elsewhere = Place::empty();
    fs::copy(place.path().join("run.trace"), elsewhere.path().join("run.trace")).unwrap();
    let ran = elsewhere.loom("verify run.trace --redrive");
    assert_eq!(ran.code, 0, "{}", ran.out);
    assert!(ran.out.starts_with("trace run.trace is whole\n"), "{}", ran.out);
    assert!(ran.out.contains("1 of 1 runs come out again byte by byte"), "{}", ran.out);
    let to_stdout = place.command(&format!("export {ended} -o -")).output().unwrap();
    assert_eq!(to_stdout.stdout, fs::read(place.path().join("run.trace")).unwrap());
}

#[test]
fn a_changed_trace_is_6_with_the_byte() {
    let place = Place::with(&[Until::Spawned]);
    assert_eq!(place.loom("export run:last -o run.trace").code, 0);
    let file = place.path().join("run.trace");
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&file, &changed).unwrap();
    let ran = place.loom("verify run.trace");
    assert_eq!(ran.code, 6, "{} {}", ran.out, ran.err);
    assert!(ran.out.starts_with("trace run.trace is damaged at "), "{}", ran.out);
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    let ran = place.loom("verify run.trace --json");
    assert_eq!(ran.code, 6, "{}", ran.out);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(told["first_bad"]["offset"], whole.len() as u64 - 1);
    let mut newer = whole.clone();
    newer[13] = 9;
    fs::write(&file, newer).unwrap();
    let ran = place.loom("verify run.trace");
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (9, "error: trace format 9 is newer than this loom reads (format 1); a newer loom can read it\n")
    );
    fs::write(&file, b"something else").unwrap();
    assert_eq!(place.loom("verify run.trace").code, 6);
}

#[test]
fn a_backup_is_restored_once_and_never_over_a_store() {
    let place = Place::usual();
    assert_eq!(place.loom("backup all.backup").code, 0);
    let before = place.loom("log --jsonl").out;
    let ran = place.loom("restore all.backup");
    assert_eq!(ran.code, 2, "{}", ran.err);
    assert!(ran.err.contains("exists already"), "{}", ran.err);
    let elsewhere = Place::empty();
    let backup = place.path().join("all.backup");
    let ran = elsewhere.loom(&format!("restore {}", backup.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(elsewhere.loom("log --jsonl").out, before);
    assert_eq!(elsewhere.loom("verify --blobs --redrive").code, 0);
}

/// What to do about a backup that is none.
const HINT: &str = "\nhint: nothing was made; restore another copy, or another file that `loom backup` wrote\n";

#[test]
fn a_damaged_backup_makes_no_store() {
    let place = Place::usual();
    assert_eq!(place.loom("backup all.backup").code, 0);
    let file = place.path().join("all.backup");
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&file, bytes).unwrap();
    let elsewhere = Place::empty();
    let ran = elsewhere.loom(&format!("restore {}", file.display()));
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.starts_with(&format!("error: {} cannot be restored\ncaused by: ", file.display())), "{}", ran.err);
    assert!(ran.err.ends_with(HINT), "{}", ran.err);
    assert_eq!(elsewhere.loom("status").code, 2);
    fs::write(&file, "something else").unwrap();
    let ran = elsewhere.loom(&format!("restore {}", file.display()));
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(ran.err.ends_with(HINT), "{}", ran.err);
}

#[test]
fn what_no_commit_names_is_shown_before_it_is_removed() {
    let place = Place::usual();
    let left_over = place.store_folder().join("blobs").join("ab".repeat(32));
    fs::write(&left_over, vec![0; 2048]).unwrap();
    let shown = place.loom("gc");
    assert_eq!(shown.code, 0, "{}", shown.err);
    assert!(shown.out.ends_with("1 files, 2.0 KiB could be removed; --delete removes them\n"), "{}", shown.out);
    assert!(left_over.exists());
    assert!(place.loom("gc --delete").out.ends_with("1 files, 2.0 KiB removed\n"));
    assert!(!left_over.exists());
    assert_eq!(place.loom("verify --blobs").code, 0);
}

#[test]
fn every_run_names_its_events_by_sequence() {
    let place = Place::usual();
    let run = place.store().runs(1).unwrap()[0].stream.to_string();
    for sequence in 0..3 {
        let line = place.loom(&format!("show {}#{sequence} --json", &run[..8])).out;
        let shown: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(shown["event"]["sequence"], sequence);
        assert_eq!(shown["event"]["stream"], run);
        let id = shown["event"]["id"].as_str().unwrap();
        assert_eq!(place.loom(&format!("show {} --json", &id[..16])).out, line);
    }
    assert_eq!(field(place.loom("log --jsonl run:last").out.lines().next().unwrap(), "kind"), "run.opened");
}
