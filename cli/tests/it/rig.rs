//! Places with made stores, and the binary run in them.

use crate::made::{Until, made_run, origin};
use loom_store::{RedbStore, Store};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with a store in it.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a command said and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    /// Returns a folder without a store.
    pub(crate) fn empty() -> Self {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    /// Returns a folder whose store has these runs.
    pub(crate) fn with(runs: &[Until]) -> Self {
        let place = Place::empty();
        let store = RedbStore::create(&place.store_folder(), &origin()).unwrap();
        for (number, until) in runs.iter().enumerate() {
            made_run(&store, number as u64 + 1, *until);
        }
        store.catch_up().unwrap();
        place
    }

    /// Returns the usual one: a run that ended, one that waits, one that works.
    pub(crate) fn usual() -> Self {
        Place::with(&[Until::End, Until::Gate, Until::Spawned])
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn store_folder(&self) -> PathBuf {
        self.path().join(".loom")
    }

    pub(crate) fn store(&self) -> RedbStore {
        RedbStore::open_to_read(&self.store_folder()).unwrap()
    }

    /// Returns a command in this folder.
    pub(crate) fn command(&self, arguments: &str) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_loom"), arguments)
    }

    /// Returns a command of `loom-replay` in this folder.
    pub(crate) fn replay_command(&self, arguments: &str) -> Command {
        self.command_of(env!("CARGO_BIN_EXE_loom-replay"), arguments)
    }

    /// Runs a command of `loom-replay` in this folder.
    pub(crate) fn replay(&self, arguments: &str) -> Ran {
        self.replay_command(arguments).output().unwrap().into()
    }

    fn command_of(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.path()).args(arguments.split_whitespace());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        // What is the user's own is another matter, and lies in folders of this place.
        for variable in ["XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(variable, self.path().join(".user").join(variable));
        }
        command
    }

    /// Runs a command in this folder.
    pub(crate) fn loom(&self, arguments: &str) -> Ran {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs a command that must succeed and returns what it said, ids hidden.
    pub(crate) fn says(&self, arguments: &str) -> String {
        let ran = self.loom(arguments);
        assert_eq!((ran.code, ran.err.as_str()), (0, ""), "{arguments}: {}", ran.out);
        hidden(&ran.out)
    }

    /// Returns the whole id of the first event of a kind.
    pub(crate) fn first(&self, kind: &str) -> String {
        self.loom(&format!("log --jsonl --kind {kind}")).out.lines().next().map(|line| field(line, "id")).unwrap()
    }
}

impl From<Output> for Ran {
    /// The line that leads from an error to its page stands in tests of its own.
    fn from(output: Output) -> Self {
        let said = String::from_utf8(output.stderr).unwrap();
        let lines = said.split_inclusive('\n').filter(|line| !line.starts_with(MORE));
        Ran {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: lines.collect(),
        }
    }
}

/// How the line begins that leads from an error to its page.
pub(crate) const MORE: &str = "more: loom explain ";

/// Returns a text field of a JSON line.
pub(crate) fn field(line: &str, name: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(line).unwrap();
    value[name].as_str().unwrap().to_string()
}

/// Replaces what changes with every version of the kernel: ids and digests, and sizes on disk.
pub(crate) fn hidden(text: &str) -> String {
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() && !c.is_ascii_uppercase() {
            word.push(c);
            continue;
        }
        // Digits of trees in the made runs are all alike; they stay.
        let alike = word.bytes().all(|digit| digit.is_ascii_digit()) && word.len() != 8 && word.len() != 64;
        if word.len() >= 8 && !alike {
            out.push_str("ID")
        } else {
            out.push_str(&word)
        }
        word.clear();
        out.push(c);
    }
    out.pop();
    match (out.find(" streams, "), out.find(" on disk")) {
        (Some(from), Some(to)) => format!("{} streams, SIZE{}", &out[..from], &out[to..]),
        _ => out,
    }
}

/// Compares line by line, so that a difference is seen at once.
#[track_caller]
pub(crate) fn same(found: &str, wanted: &str) {
    let wanted = wanted.trim_start_matches('\n');
    if found.trim_end() != wanted.trim_end() {
        println!("{found}");
    }
    assert_eq!(found.trim_end().lines().collect::<Vec<_>>(), wanted.trim_end().lines().collect::<Vec<_>>());
}
