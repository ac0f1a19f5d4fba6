//! Tests whose programs are missing: they say so and pass, or fail where nothing may be missing.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Not a test by itself: needs what a test needs, and says that it went on.
#[test]
fn needy() {
    needs!("sh", "git 2.45");
    println!("it went on");
}

/// Runs [`needy`] where only these programs are found; returns whether it passed, and what it said of that.
fn ran(search_path: &Path, require_all: bool) -> (bool, String) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["skipping::needy", "--exact", "--nocapture", "--test-threads=1"]);
    command.env_clear().env("PATH", search_path);
    if require_all {
        command.env("LOOM_TEST_REQUIRE", "all");
    }
    let output = command.output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let told = said.find("skipped: ").or_else(|| said.find("it went on")).unwrap_or_else(|| panic!("{said}"));
    (output.status.success(), said[told..].lines().next().unwrap().to_string())
}

#[test]
fn what_is_missing_is_said_and_the_test_passes_unless_nothing_may_be_missing() {
    needs!("sh", "chmod");
    let folder = tempfile::tempdir().unwrap();
    let sh = "skipped: sh is missing (install dash)".to_string();
    assert_eq!(ran(folder.path(), false), (true, sh.clone()));
    assert_eq!(ran(folder.path(), true), (false, sh));

    std::os::unix::fs::symlink("/bin/sh", folder.path().join("sh")).unwrap();
    let git = "skipped: git 2.45 is missing (install git)".to_string();
    assert_eq!(ran(folder.path(), false), (true, git.clone()));
    for (said, is_new) in [
        ("git version 2.45.0", true),
        ("git version 2.45", true),
        ("git version 2.100.1 (of somebody)", true),
        ("git version 3.0.rc1", true),
        ("git version 2.44.9", false),
        ("git version 2.9", false),
        ("git version 1.99.1", false),
        ("a program", false),
    ] {
        // Not written by this process: a child that another test starts meanwhile would hold it open for writing.
        let script = "echo '#!/bin/sh' > git; echo \"echo '$1'\" >> git; chmod +x git";
        let written = Command::new("sh").args(["-c", script, "sh", said]).current_dir(folder.path()).status().unwrap();
        assert!(written.success());
        let went_on = (true, "it went on".to_string());
        let wanted = if is_new { [went_on.clone(), went_on] } else { [(true, git.clone()), (false, git.clone())] };
        assert_eq!([ran(folder.path(), false), ran(folder.path(), true)], wanted, "{said}");
    }
    fs::remove_file(folder.path().join("sh")).unwrap();
    assert!(!ran(folder.path(), true).0, "each of them is needed");
}
