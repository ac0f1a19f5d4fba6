//! A recorded run and what it takes to record it again: its task, the script of its model, what people did.

use loom_replay::trace::{self, Trace};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// A folder of `fixtures/incidents` or `fixtures/runs`.
#[derive(Debug, Clone)]
pub(crate) struct Exhibit {
    pub(crate) folder: PathBuf,
    /// `incidents/01-…` or `runs/01-…`.
    pub(crate) name: String,
    pub(crate) record: Record,
}

/// `record.toml`: what is asked for, and what people do when the run waits for one.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) task: String,
    pub(crate) opened_by: String,
    /// The flow, where no classifier chooses it.
    pub(crate) flow: Option<String>,
    /// Policies by gate role, where they are not the bundle's.
    #[serde(default)]
    pub(crate) policies: BTreeMap<String, String>,
    pub(crate) cap_spawns: Option<u64>,
    #[serde(default, rename = "step")]
    pub(crate) steps: Vec<Step>,
}

/// What happens next; all but a crash when the run waits for a person.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Step {
    /// The driver dies while something is under way, and another one goes on.
    Crash,
    /// A person answers the gate that waits; or somebody does who descends from the spawn of that sequence.
    Answer { by: String, answer: String, descends: Option<u64> },
    /// A person takes the risk of the last finding of this category.
    Risk { by: String, category: String, reason: String },
    /// A person asks for a way out.
    Recover { by: String, choice: String },
    /// A person ends the run.
    Cancel { by: String },
}

/// Returns the folder of all fixtures.
pub(crate) fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

/// Returns the exhibits of a room, by name.
pub(crate) fn exhibits(room: &str) -> Vec<Exhibit> {
    let entries = fs::read_dir(fixtures().join(room)).unwrap().map(Result::unwrap);
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    let exhibit = |folder: PathBuf| {
        let name = format!("{room}/{}", folder.file_name().unwrap().to_str().unwrap());
        let text = fs::read_to_string(folder.join("record.toml")).unwrap();
        let record = toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        Exhibit { folder, name, record }
    };
    folders.into_iter().map(exhibit).collect()
}

impl Exhibit {
    pub(crate) fn text(&self, file: &str) -> String {
        fs::read_to_string(self.folder.join(file)).unwrap_or_else(|error| panic!("{}/{file}: {error}", self.name))
    }

    pub(crate) fn trace_path(&self) -> PathBuf {
        self.folder.join("trace.loom")
    }

    /// Returns the recorded run.
    pub(crate) fn trace(&self) -> Trace {
        let bytes = fs::read(self.trace_path()).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        trace::read(&mut bytes.as_slice()).unwrap()
    }
}
