//! Damage, met by the binary: a sentence with the place of the first bad record, the documented code, never a panic.

use crate::made::Until;
use crate::rig::{Place, Ran};
use loom_store::Store;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Every command that reads the store.
const READERS: &[&str] = &[
    "status",
    "log",
    "log --jsonl",
    "log run:last",
    "log --kind gate",
    "log --since 7d",
    "show @",
    "show run:last",
    "at @",
    "rules list",
    "verify",
    "verify --blobs --redrive",
    "verify run:last",
    "export run:last -o a.trace --force",
    // It says of a run that it is under way, which is no trouble.
    "gc --quiet",
];

/// SplitMix64: the same places each time.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: u64) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound).unwrap()
    }
}

/// What is said of damage is a sentence of ours.
#[track_caller]
fn is_told(arguments: &str, ran: &Ran) {
    for panic in ["panicked", "RUST_BACKTRACE", "unwrap()", "src/"] {
        assert!(!ran.err.contains(panic), "loom {arguments}: {}", ran.err);
    }
    match ran.code {
        0 => assert!(ran.err.lines().all(|line| line.starts_with("warning: ")), "loom {arguments}: {}", ran.err),
        6 => {
            // The report of what was asked for, or the reason why there is none.
            let is_report = ran.err.lines().all(|line| line.starts_with("warning: "));
            let said = if is_report { &ran.out } else { &ran.err };
            assert!(said.contains("damaged"), "loom {arguments}: {}{}", ran.out, ran.err);
            let is_error = ran.err.contains("error: ") && ran.err.contains("\nhint: ");
            assert!(is_report || is_error, "loom {arguments}: {}", ran.err);
        }
        // What the damage hides is not there to be named, and a newer format may be what the bytes seem to say.
        2 => assert!(ran.err.contains("error: "), "loom {arguments}: {}", ran.err),
        9 => assert!(ran.err.contains(" newer "), "loom {arguments}: {}", ran.err),
        code => panic!("loom {arguments}: exit code {code}: {}", ran.err),
    }
}

/// Returns what the whole store says of each run, one line an event.
fn lines(place: &Place) -> Vec<(String, String)> {
    let runs = place.store().runs(usize::MAX).unwrap();
    let names = runs.iter().map(|run| run.stream.to_string());
    names.map(|run| (run.clone(), place.loom(&format!("log --jsonl {run}")).out)).collect()
}

#[test]
fn no_flipped_byte_or_cut_is_told_as_a_panic_or_believed() {
    let place = Place::usual();
    let before = lines(&place);
    let file = place.store_folder().join("store.redb");
    let whole = fs::read(&file).unwrap();
    let mut chance = Chance(7);
    let mut codes = BTreeSet::new();
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        match round % 6 {
            0 => bytes.truncate(chance.below(whole.len() as u64)),
            1 => {
                // A page that was never written, or that came back as another one.
                let at = chance.below(whole.len() as u64 / 4096) * 4096;
                let from = chance.below(whole.len() as u64 / 4096) * 4096;
                bytes.copy_within(from..from + 4096, at);
            }
            _ => {
                for _ in 0..1 << chance.below(12) {
                    let at = chance.below(whole.len() as u64);
                    bytes[at] ^= 1 << chance.below(8);
                }
            }
        }
        for arguments in READERS {
            fs::write(&file, &bytes).unwrap();
            let ran = place.loom(arguments);
            println!("round {round}: loom {arguments}: {} {}", ran.code, ran.err.trim_end());
            is_told(arguments, &ran);
            codes.insert(ran.code);
        }
        // What is shown without an error is what was written.
        for (run, wanted) in &before {
            fs::write(&file, &bytes).unwrap();
            let ran = place.loom(&format!("log --jsonl {run}"));
            is_told("log", &ran);
            assert!(wanted.starts_with(&ran.out), "round {round}: {}", ran.out);
            assert!(
                ran.code != 0 || !ran.err.is_empty() || ran.out == *wanted,
                "round {round}: less, and no word of it"
            );
        }
    }
    assert!(codes.contains(&0) && codes.contains(&6), "{codes:?}");
}

/// How many damaged files are tried.
fn rounds() -> u64 {
    std::env::var("LOOM_TEST_DAMAGES").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(12)
}

#[test]
fn what_is_no_store_at_all_is_6_for_every_command() {
    let place = Place::usual();
    let file = place.store_folder().join("store.redb");
    let whole = fs::read(&file).unwrap();
    let garbage: Vec<u8> = (0..200_000u64).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
    for bytes in [&[][..], b"something else", &garbage, &whole[..whole.len() / 2], &vec![0; whole.len()]] {
        for arguments in READERS.iter().filter(|arguments| **arguments != "rules list") {
            fs::write(&file, bytes).unwrap();
            let ran = place.loom(arguments);
            assert_eq!(ran.code, 6, "{} bytes, loom {arguments}: {}{}", bytes.len(), ran.out, ran.err);
            is_told(arguments, &ran);
        }
        fs::write(&file, bytes).unwrap();
        let ran = place.loom("backup all.backup");
        assert_eq!(ran.code, 6, "{}", ran.err);
        assert!(!place.path().join("all.backup").exists());
    }
}

#[test]
fn a_newer_store_is_refused_by_every_command() {
    let place = Place::usual();
    let file = place.store_folder().join("store.redb");
    let database = redb::Database::open(&file).unwrap();
    let change = database.begin_write().unwrap();
    change.open_table(redb::TableDefinition::<&str, u64>::new("meta")).unwrap().insert("format", 2).unwrap();
    change.commit().unwrap();
    drop(database);
    let before = fs::read(&file).unwrap();
    for arguments in READERS.iter().chain(&["backup all.backup", "gc --delete"]) {
        if *arguments == "gc --quiet" {
            // Who only reads writes nothing; who wants to write opens the file for that before it sees the format.
            assert_eq!(fs::read(&file).unwrap(), before);
        }
        let ran = place.loom(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (9, ""), "loom {arguments}");
        let told = "error: the format 2 is newer than this loom reads (format 1); a newer loom can read it\n\
                    hint: install the newer loom\n";
        assert_eq!(ran.err, told, "loom {arguments}");
    }
}

#[test]
fn a_bad_record_is_placed_and_the_other_streams_are_readable() {
    let place = Place::with(&[Until::End; 4]);
    let before = lines(&place);
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    // The second run's opening event: 1 event of the store's, then those of the first run.
    let position = 1 + before[3].1.lines().count();
    spoil(&mut bytes, b"task-2");
    fs::write(&file, &bytes).unwrap();
    let ran = place.loom("verify --json");
    assert_eq!(ran.code, 6, "{}{}", ran.out, ran.err);
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    // A change shows where the next event names another one before it.
    let found = told["first_bad"]["position"].as_u64().map(|found| found as usize);
    assert!(told["whole"] == false && (found == Some(position) || found == Some(position + 1)), "{}", ran.out);
    for (index, (run, wanted)) in before.iter().enumerate() {
        let bad = index == 2;
        for (arguments, code) in
            [("log --jsonl", 6), ("log", 6), ("verify", 6), ("show", 6), ("at", 6), ("export -o a.trace --force", 6)]
        {
            let arguments = match arguments.split_once(' ') {
                Some((name, more)) => format!("{name} {run} {more}"),
                None => format!("{arguments} {run}"),
            };
            let ran = place.loom(&arguments);
            assert_eq!(ran.code, if bad { code } else { 0 }, "loom {arguments}: {}{}", ran.out, ran.err);
            is_told(&arguments, &ran);
        }
        if !bad {
            assert_eq!(place.loom(&format!("log --jsonl {run}")).out, *wanted);
        }
    }
    // Neither does a backup take over what is bad.
    let ran = place.loom("backup all.backup");
    assert_eq!(ran.code, 6, "{}", ran.err);
    assert!(!place.path().join("all.backup").exists());
}

/// Changes the last byte of every place where this stands.
fn spoil(bytes: &mut [u8], needle: &[u8]) {
    let places: Vec<usize> =
        bytes.windows(needle.len()).enumerate().filter(|(_, part)| *part == needle).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at + needle.len() - 1] ^= 1;
    }
}

#[test]
fn a_bad_blob_is_named_by_who_reads_it() {
    let place = Place::with(&[Until::End]);
    let file = place.store_folder().join("store.redb");
    let mut bytes = fs::read(&file).unwrap();
    spoil(&mut bytes, b"You are coder.");
    fs::write(&file, &bytes).unwrap();
    // Who reads no blob does not meet it.
    assert_eq!(place.loom("verify").code, 0);
    let ran = place.loom("verify --blobs");
    assert_eq!(ran.code, 6, "{}{}", ran.out, ran.err);
    assert!(ran.out.starts_with("store is damaged at position ") && ran.out.contains("blob "), "{}", ran.out);
    let spawn = place.first("spawn.requested");
    for arguments in
        [format!("show {spawn}"), "export run:last -o a.trace".to_string(), "backup all.backup".to_string()]
    {
        let ran = place.loom(&arguments);
        assert_eq!(ran.code, 6, "loom {arguments}: {}", ran.err);
        is_told(&arguments, &ran);
    }
    assert_eq!(names(place.path()), [".loom"]);
}

#[test]
fn a_trace_that_is_altered_anywhere_is_6_with_the_byte() {
    let place = Place::with(&[Until::End]);
    assert_eq!(place.loom("export run:last -o run.trace").code, 0);
    let file = place.path().join("run.trace");
    let whole = fs::read(&file).unwrap();
    let mut chance = Chance(3);
    for round in 0..rounds() * 4 {
        let mut bytes = whole.clone();
        let at = chance.below(whole.len() as u64);
        match round % 4 {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, bytes[at]),
            _ => bytes[at] ^= 1 << chance.below(8),
        }
        fs::write(&file, &bytes).unwrap();
        let ran = place.loom("verify run.trace --json");
        println!("round {round}, byte {at}: {} {}{}", ran.code, ran.out, ran.err);
        if bytes == whole {
            continue;
        }
        match ran.code {
            6 if ran.err.is_empty() => {
                let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
                let offset = told["first_bad"]["offset"].as_u64().unwrap();
                assert!(offset <= bytes.len() as u64, "{offset}");
            }
            // The first bytes say what the file is.
            6 => assert!(at < 16, "byte {at}: {}", ran.err),
            // A version may have been what was changed.
            9 => assert!(ran.err.contains(" newer "), "byte {at}: {}", ran.err),
            code => panic!("byte {at}: exit code {code}: {}{}", ran.out, ran.err),
        }
    }
}

#[test]
fn a_backup_that_is_altered_is_refused_and_leaves_nothing() {
    let place = Place::usual();
    assert_eq!(place.loom("backup all.backup").code, 0);
    let whole = fs::read(place.path().join("all.backup")).unwrap();
    let elsewhere = Place::empty();
    let file = elsewhere.path().join("bad.backup");
    let mut chance = Chance(5);
    for round in 0..rounds() {
        let mut bytes = whole.clone();
        let at = chance.below(whole.len() as u64);
        if round % 3 == 0 {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << chance.below(8);
        }
        fs::write(&file, &bytes).unwrap();
        let ran = elsewhere.loom("restore bad.backup");
        assert!(ran.code == 6 || (ran.code == 9 && at < 16), "byte {at}: {} {}", ran.code, ran.err);
        is_told("restore", &ran);
        assert_eq!(names(elsewhere.path()), ["bad.backup"], "byte {at}");
    }
    // What stood there before stays.
    let folder = elsewhere.store_folder();
    fs::create_dir_all(folder.join("blobs")).unwrap();
    fs::write(folder.join("note"), "mine").unwrap();
    fs::write(&file, &whole[..whole.len() - 1]).unwrap();
    assert_eq!(elsewhere.loom("restore bad.backup").code, 6);
    assert_eq!(names(&folder), ["blobs", "note"]);
    fs::write(&file, &whole).unwrap();
    assert_eq!(elsewhere.loom("restore bad.backup").code, 0);
    assert_eq!(elsewhere.loom("log --jsonl").out, place.loom("log --jsonl").out);
    // Never over a store, not even the same.
    let before = fs::read(folder.join("store.redb")).unwrap();
    assert_eq!(elsewhere.loom("restore bad.backup").code, 2);
    assert_eq!(fs::read(folder.join("store.redb")).unwrap(), before);
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
