//! This machine: git, fences, agent programs and their credentials, the built-in rules, the clock.

use super::{Finding, argument};
use loom_bundles::{Source, load};
use loom_host::environment::{Environment, variable};
use loom_providers::PROGRAMS;
use loom_tools::{CancelToken, Command, Error, Git, Status, has_landlock, minimal_environment, run};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How long a program may take to say its version, in milliseconds.
const VERSION_MS: u64 = 10_000;
/// No clock that is right shows an earlier time: 2025-01-01.
const EARLIEST_MS: u64 = 1_735_689_600_000;

pub(super) fn examine() -> Vec<Finding> {
    let environment = Environment::read();
    let mut findings = Vec::new();
    let scratch = match tempfile::tempdir() {
        Ok(scratch) => scratch,
        Err(error) => {
            let folder = std::env::temp_dir();
            findings.push(Finding::error(
                "temporary-folder",
                format!("no folder can be made in {}: {error}", folder.display()),
                format!("chmod 1777 {}", argument(&folder)),
            ));
            return findings;
        }
    };
    let path = environment.search_path.as_os_str();
    findings.push(git(path, scratch.path()));
    fences(path, scratch.path(), &mut findings);
    agents(path, scratch.path(), &mut findings);
    for name in Source::builtin_names() {
        let loaded = Source::builtin(name).map_err(|error| error.to_string());
        let loaded = loaded.and_then(|source| load(&source).map_err(|errors| errors.to_string()));
        findings.push(match loaded {
            Ok(bundle) => {
                Finding::note("rules", format!("bundle {name} loads, with {} rule sets", bundle.rule_sets.len()))
            }
            Err(why) => Finding::error("rules", format!("bundle {name} does not load: {why}"), "loom rules test"),
        });
    }
    findings.push(clock());
    findings
}

fn git(search_path: &OsStr, scratch: &Path) -> Finding {
    match Git::find(search_path, scratch) {
        Ok(_) => {
            let version = version("git", search_path, scratch).unwrap_or_default();
            Finding::note("git", format!("{version} is there"))
        }
        Err(error @ Error::GitTooOld { .. }) => Finding::error("git", error.to_string(), "apt-get install git"),
        Err(error) => Finding::error("git", format!("git cannot be used: {error}"), "apt-get install git"),
    }
}

/// What could fence an agent in. It says what the machine offers, not what a run does with it.
fn fences(search_path: &OsStr, scratch: &Path, findings: &mut Vec<Finding>) {
    match program("bwrap", search_path) {
        None => findings.push(Finding::warning(
            "bubblewrap",
            "bubblewrap is not installed: no agent can be fenced by it",
            "apt-get install bubblewrap",
        )),
        Some(_) => {
            let version = version("bwrap", search_path, scratch).unwrap_or_else(|| "bubblewrap".to_string());
            let argv = ["bwrap", "--unshare-user", "--unshare-pid", "--ro-bind", "/", "/", "--", "true"];
            findings.push(match said(&argv, search_path, scratch) {
                Ok(_) => Finding::note("bubblewrap", format!("{version} makes namespaces")),
                Err(why) => Finding::warning(
                    "bubblewrap",
                    format!("{version} is there and makes no namespaces: {why}"),
                    "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000",
                ),
            });
        }
    }
    if !cfg!(target_os = "linux") {
        return;
    }
    findings.push(match has_landlock() {
        true => Finding::note("landlock", "the kernel offers Landlock"),
        false => Finding::note("landlock", "the kernel runs without Landlock"),
    });
    let number = |path: &str| fs::read_to_string(path).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let is_off = number("/proc/sys/user/max_user_namespaces") == Some(0)
        || number("/proc/sys/kernel/unprivileged_userns_clone") == Some(0);
    findings.push(match is_off {
        false => Finding::note("user-namespaces", "user namespaces are allowed"),
        true => Finding::warning(
            "user-namespaces",
            "user namespaces are switched off: fences that need them do not work",
            "sysctl -w kernel.unprivileged_userns_clone=1 user.max_user_namespaces=15000",
        ),
    });
}

fn agents(search_path: &OsStr, scratch: &Path, findings: &mut Vec<Finding>) {
    for known in PROGRAMS {
        findings.push(match program(known.name, search_path) {
            None => Finding::warning(
                "agent",
                format!("the agent program {} is not on the search path", known.name),
                known.install,
            ),
            Some(_) => match version(known.name, search_path, scratch) {
                Some(version) => Finding::note("agent", format!("{} says {version}", known.name)),
                None => Finding::warning("agent", format!("{} does not say its version", known.name), known.install),
            },
        });
        let set: Vec<&str> = known.credentials.iter().copied().filter(|name| variable(name).is_some()).collect();
        findings.push(match set.as_slice() {
            [] => Finding::warning(
                "credential",
                format!("no credential for {} is set: {} are empty", known.name, known.credentials.join(", ")),
                format!("export {}=…", known.credentials.first().unwrap_or(&"")),
            ),
            // The name alone: a value is for nobody's eyes.
            names => Finding::note("credential", format!("{} is set", names.join(", "))),
        });
    }
}

fn clock() -> Finding {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_millis());
    match now >= u128::from(EARLIEST_MS) {
        true => Finding::note("clock", "the clock shows a possible time"),
        false => Finding::error("clock", "the clock shows a time before 2025", "timedatectl set-ntp true"),
    }
}

/// Returns where a program lies on a search path.
pub(super) fn program(name: &str, search_path: &OsStr) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let is_program = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    std::env::split_paths(search_path).map(|folder| folder.join(name)).find(is_program)
}

fn version(name: &str, search_path: &OsStr, scratch: &Path) -> Option<String> {
    said(&[name, "--version"], search_path, scratch).ok()
}

/// Runs a program with nothing of ours in its environment and a home of its own; returns the first line it says.
fn said(argv: &[&str], search_path: &OsStr, scratch: &Path) -> Result<String, String> {
    let mut command = Command::new(argv, scratch, minimal_environment(search_path, scratch, scratch));
    command.timeout_ms = VERSION_MS;
    let exit = CancelToken::new().and_then(|token| run(&command, &token)).map_err(|error| error.to_string())?;
    let first = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).lines().next().unwrap_or_default().trim().to_string();
    match exit.status {
        Status::Exited(0) => Ok(first(exit.stdout.to_bytes())),
        status => Err(format!("{status}, {}", first(exit.stderr.to_bytes()))),
    }
}
