//! What a test needs beside Loom. Where it is missing, the test says so and passes; under `LOOM_TEST_REQUIRE=all` it
//! fails. Crates whose tests need programs share this file.

/// How programs are got that are not named like their package.
const PACKAGES: &[(&str, &str)] = &[
    ("claude", "the npm package @anthropic-ai/claude-code, in the version of .ci/run"),
    ("sh", "dash"),
    ("cp", "coreutils"),
    ("kill", "procps"),
    ("sleep", "coreutils"),
    ("script", "util-linux"),
    ("setsid", "util-linux"),
    ("unshare", "util-linux"),
    ("nsenter", "util-linux"),
];

/// Ends the test where one of these programs is not on the search path.
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

/// Whether a program is missing, which is said.
#[track_caller]
pub(crate) fn is_missing(program: &str) -> bool {
    let search_path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = std::env::split_paths(&search_path).any(|folder| folder.join(program).is_file());
    if !is_there {
        let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| *package);
        skip(program, &format!("install {package}"));
    }
    !is_there
}
