//! What a test needs beside Loom. Where it is missing, the test says so and passes; under `LOOM_TEST_REQUIRE=all` it
//! fails. Crates whose tests need programs share this file.

use std::path::Path;
use std::process::Command;

/// How programs are got that are not named like their package.
const PACKAGES: &[(&str, &str)] = &[
    ("claude", "the npm package @anthropic-ai/claude-code, in the version of .ci/run"),
    ("sh", "dash"),
    ("chmod", "coreutils"),
    ("cp", "coreutils"),
    ("env", "coreutils"),
    ("true", "coreutils"),
    ("touch", "coreutils"),
    ("kill", "procps"),
    ("sleep", "coreutils"),
    ("xmllint", "libxml2-utils"),
    ("script", "util-linux"),
    ("setsid", "util-linux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// Ends the test where one of these programs is not on the search path; `"git 2.45"` asks for that version or a later one.
macro_rules! needs {
    ($($program:literal),+) => {
        if [$($program),+].iter().any(|program| crate::missing::is_missing(program)) {
            return;
        }
    };
}

/// Says that something is missing, and how it is got.
///
/// # Panics
/// Where nothing may be missing.
#[track_caller]
pub(crate) fn skip(what: &str, how: &str) {
    let told = format!("skipped: {what} is missing ({how})");
    assert_ne!(std::env::var("LOOM_TEST_REQUIRE").as_deref(), Ok("all"), "{told}");
    println!("{told}");
}

/// Whether a program is missing, or older than the version behind its name, which is said.
#[track_caller]
pub(crate) fn is_missing(what: &str) -> bool {
    let (program, version) = what.split_once(' ').unwrap_or((what, ""));
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = std::env::split_paths(&search_path).map(|folder| folder.join(program));
    let is_there = places.find(|path| path.is_file()).is_some_and(|path| version.is_empty() || is_of(&path, version));
    if !is_there {
        let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| *package);
        skip(what, &format!("install {package}"));
    }
    !is_there
}

/// Whether a program says that it is of this version or a later one.
fn is_of(program: &Path, version: &str) -> bool {
    let numbers = |text: &str| text.split('.').map_while(|number| number.parse().ok()).collect::<Vec<u32>>();
    let said = Command::new(program).arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    said.split_whitespace().map(numbers).find(|found| !found.is_empty()).is_some_and(|found| found >= numbers(version))
}
