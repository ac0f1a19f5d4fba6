//! A driver that is asked to end by a signal ends by it, and leaves a run that goes on.

use crate::driven::Driven;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Sends a signal to the whole group of the driver, as a terminal does.
#[track_caller]
fn check(signal: &str, code: i32) {
    let driven = Driven::new();
    let mut command = driven.command(&format!("demo --keep {}", driven.path("kept").display()));
    command.process_group(0);
    let mut driver = driven.start(command);
    driver.reads(1);
    let users = driven.users();
    driver.reads_until("implementer works");
    let kill = format!("kill -{signal} -{}", driver.id());
    assert!(Command::new("/bin/sh").args(["-c", &kill]).status().unwrap().success());
    assert_eq!(driver.ends(), Some(code), "{:#?}", driver.told);
    driven.told_is_on_record(&driver.told);
    driven.is_whole();
    driven.drive_on();
    driven.ended_well();
    assert_eq!(driven.users(), users);
}

#[test]
fn ctrl_c_is_130_and_the_run_goes_on() {
    needs!("git", "sh");
    check("INT", 130);
}

#[test]
fn being_asked_to_end_is_143_and_the_run_goes_on() {
    needs!("git", "sh");
    check("TERM", 143);
}
