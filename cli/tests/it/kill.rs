//! kill -9 at any moment: nothing acknowledged is lost, nothing runs twice, the run comes to the same end.
//!
//! `LOOM_TEST_KILLS=200 cargo test -p loom-cli --test it kill::` kills as often; the default is a dozen.

use crate::driven::{Driven, Driver, until};
use loom_host::world::{Machine, World};
use serde_json::Value;
use std::fs;

const HOUR_MS: u64 = 3_600_000;

/// How often the drivers of the two long tests are killed, together.
fn kills() -> u64 {
    std::env::var("LOOM_TEST_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(12)
}

/// Lines that the demo tells.
const LINES: u64 = 62;
/// About as often the store's file is seen to change meanwhile.
const CHANGES: u64 = 60;

/// SplitMix64: the same moments each time.
fn chance(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Kills the driver, or all its children with it, and checks what it left; then the run goes on to its end.
fn check(driven: &Driven, driver: &mut Driver, with_children: bool) {
    driver.kill();
    if with_children {
        driven.kill_all();
    }
    driven.told_is_on_record(&driver.told);
    if !driven.has_store() {
        // Killed before there was a store: nothing was acknowledged.
        assert_eq!(driven.loom("resume").code, 2);
        return;
    }
    driven.is_whole();
    driven.drive_on();
    assert!(driver.users.len() > 5 && driven.users() == driver.users, "what is the user's");
    if driven.log().len() > 1 {
        driven.ended_well();
    }
}

#[test]
fn killed_after_any_line_the_run_comes_to_the_same_end() {
    needs!("git", "sh");
    let kills = kills() / 2;
    for number in 0..kills {
        // Spread over the run, and not at the same lines for each count.
        let line = 1 + (number * LINES + chance(number) % LINES) / kills;
        let with_children = chance(number + 1000).is_multiple_of(3);
        println!("kill {number}: after line {line}, children too: {with_children}");
        let driven = Driven::new();
        let mut driver = driven.demo();
        driver.reads(usize::try_from(line).unwrap());
        check(&driven, &mut driver, with_children);
    }
}

#[test]
fn killed_in_the_middle_of_writing_the_run_comes_to_the_same_end() {
    needs!("git", "sh");
    let kills = kills().div_ceil(2);
    for number in 0..kills {
        let changes = (number * CHANGES + chance(number + 2000) % CHANGES) / kills;
        let more = chance(number + 3000) % 400;
        let with_children = chance(number + 4000).is_multiple_of(3);
        println!("kill {number}: after change {changes} and {more} looks, children too: {with_children}");
        let driven = Driven::new();
        let mut driver = driven.demo();
        let folder = driven.store_folder();
        let look = || {
            let seen = ["store.redb.new", "store.redb"].map(|name| fs::metadata(folder.join(name)));
            seen.map(|seen| seen.ok().map(|seen| (seen.len(), seen.modified().unwrap())))
        };
        let (mut last, mut seen) = (look(), 0);
        until(|| {
            let now = look();
            seen += u64::from(now != last);
            last = now;
            seen > changes || driver.has_ended()
        });
        for _ in 0..more {
            look();
        }
        check(&driven, &mut driver, with_children);
    }
}

#[test]
fn killed_again_while_it_resumes_the_run_comes_to_the_same_end() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    let users = std::mem::take(&mut driver.users);
    driver.reads_until("implementer works");
    driver.kill();
    driven.told_is_on_record(&driver.told);
    for (number, words) in ["reviewer-logic works", "acceptance works", "check test"].into_iter().enumerate() {
        if number == 2 {
            // The first answer is the hasty one, which is refused.
            assert_eq!(driven.loom("resume").code, 3);
            driven.answer();
        }
        let mut driver = driven.start(driven.command("resume"));
        driver.reads_until(words);
        driver.kill();
        driven.is_whole();
    }
    driven.drive_on();
    assert_eq!(driven.users(), users);
    driven.ended_well();
}

#[test]
fn killed_while_a_check_runs_nothing_of_it_survives() {
    needs!("git", "sh", "setsid");
    let driven = Driven::new();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.demo();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    fs::remove_file(driven.path("linger-check")).unwrap();
    assert!(until(|| driven.processes().values().any(|words| words.contains("sleep 600"))));
    driver.kill();
    driven.is_whole();
    driven.drive_on();
    driven.ended_well();
}

#[test]
fn what_a_killed_driver_started_is_over_before_the_next_one_works() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("check lint");
    // The next reset of the work folder is a long one, and its driver dies meanwhile.
    fs::write(driven.path("linger-git"), "").unwrap();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers") || driver.has_ended()));
    driver.kill();
    driven.drive_on();
    driven.ended_well();
}

#[test]
fn who_comes_second_reads_along_and_is_told_who_writes() {
    needs!("git", "sh", "setsid");
    let driven = Driven::new();
    fs::write(driven.path("linger-check"), "").unwrap();
    let mut driver = driven.demo();
    assert!(until(|| driven.ran().iter().any(|line| line == "lingers")));
    let holder = driver.id();
    for arguments in ["status", "log", "show run:last", "at @", "verify --blobs", "backup all.backup"] {
        let ran = driven.loom(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "loom {arguments}: {}", ran.out);
    }
    for arguments in ["resume", "gc", "gc --delete"] {
        let ran = driven.loom(arguments);
        assert_eq!((ran.code, ran.out.as_str()), (9, ""), "loom {arguments}: {}", ran.err);
        let told = format!(
            "error: the store in {} is held by process {holder}\nhint: wait until process {holder} has ended, or end it\n",
            driven.store_folder().display()
        );
        assert_eq!(ran.err, told, "loom {arguments}");
    }
    assert!(!driver.has_ended());
    fs::remove_file(driven.path("linger-check")).unwrap();
    driver.kill();
    driven.told_is_on_record(&driver.told);
    driven.is_whole();
    driven.drive_on();
    driven.ended_well();
}

#[test]
fn who_opens_the_store_after_a_kill_is_told_that_a_run_waits_to_be_driven_on() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("planner works");
    driver.kill();
    let before = driven.log();
    let run = before[1]["stream"].as_str().unwrap()[..8].to_string();
    let told = format!("note: nobody drives run {run}: `loom resume` drives on what is under way\n");
    for arguments in ["gc", "gc --delete", "gc --json"] {
        let ran = driven.loom(arguments);
        assert_eq!((ran.code, &ran.err), (0, &told), "loom {arguments}: {}", ran.out);
    }
    let ran = driven.loom("gc --quiet");
    assert_eq!((ran.code, ran.err.as_str()), (0, ""));
    assert_eq!(driven.log(), before, "it is said, and nothing is driven");
    // A run that waits for a person is not under way, nor is one that has ended.
    assert_eq!(driven.loom("resume").code, 3);
    assert_eq!(driven.loom("gc").err, "");
    driven.drive_on();
    assert_eq!(driven.loom("gc").err, "");
    driven.ended_well();
}

#[test]
fn a_clock_that_was_set_back_by_an_hour_keeps_no_run_from_going_on() {
    needs!("git", "sh");
    let driven = Driven::new();
    driven.make_project();
    driven.open_ahead(HOUR_MS);
    let began = driven.log();
    assert!(stamp(began.last().unwrap()) > Machine.now_ms() + HOUR_MS / 2, "the store is of a time to come");
    driven.is_whole();
    driven.drive_on();
    let log = driven.log();
    assert!(stamp(log.last().unwrap()) > Machine.now_ms() + HOUR_MS / 2, "what follows is stamped after it");
    let run = &log[1]["stream"];
    let ours: Vec<&Value> = log.iter().filter(|event| event["stream"] == *run).collect();
    for pair in ours.windows(2) {
        let stamps = [pair[0], pair[1]].map(|event| (stamp(event), event["stamp"]["counter"].as_u64().unwrap()));
        let same_commit = pair[0]["input"] == pair[1]["input"];
        assert!(stamps[0] < stamps[1] || same_commit && stamps[0] == stamps[1], "{pair:?}");
    }
    assert_eq!(driven.loom("gc").code, 0);
    driven.ended_well();
}

/// Returns when an event was recorded, in milliseconds.
fn stamp(event: &Value) -> u64 {
    event["stamp"]["ms"].as_u64().unwrap()
}

#[test]
fn a_restored_store_goes_on_where_the_backup_was_taken() {
    needs!("git", "sh");
    let driven = Driven::new();
    let mut driver = driven.demo();
    driver.reads_until("reviewer-logic works");
    driver.kill();
    let backup = driven.path("all.backup");
    let before = driven.log();
    assert_eq!(driven.loom(&format!("backup {}", backup.display())).code, 0);
    // The run goes on, and then its store is lost.
    assert_eq!(driven.loom("resume").code, 3);
    fs::remove_dir_all(driven.store_folder()).unwrap();
    assert_eq!(driven.loom("resume").code, 2);
    let ran = driven.loom(&format!("restore {}", backup.display()));
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(driven.log(), before);
    driven.is_whole();
    assert_eq!(driven.loom("gc").code, 0);
    driven.drive_on();
    driven.ended_well();
}
