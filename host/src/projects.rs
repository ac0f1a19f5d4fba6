//! The projects that the user has named, and which of them may be driven without the user at hand.
//!
//! By default none may. A project is its real path, links resolved: a link that is put in the place of a folder, or a
//! folder that is moved, is another project (SETTINGS-7). A run that a person starts by hand in a project needs no entry.

use crate::atomic::replace;
use crate::environment::Environment;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The form of the file.
const FORM: &str = "projects/1";

/// Why the list of projects cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum ProjectsError {
    /// The path leads to no folder.
    #[error("{} is no folder that can be found", .path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The path has bytes that are no text, or control characters.
    #[error("a project's path is one line of UTF-8; `{}` is not", .path.display())]
    Path {
        /// The path.
        path: PathBuf,
    },
    /// The project is not on the list.
    #[error("{} is not on the list; `loom projects list` shows it", .path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// The file is not of its form.
    #[error("{} is not of the form `{FORM}`; a newer loom may have written it", .path.display())]
    Form {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be handled.
    #[error("cannot {doing} {}", .path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// A project on the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KnownProject {
    /// Its real path.
    pub path: String,
    /// When it was put on the list, milliseconds since the epoch.
    pub added_ms: u64,
    /// Whether it may be driven without the user at hand.
    pub allowed: bool,
}

impl KnownProject {
    /// Whether its path still leads to itself.
    pub fn is_there(&self) -> bool {
        std::fs::canonicalize(&self.path).is_ok_and(|real| real == Path::new(&self.path) && real.is_dir())
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    loom: String,
    projects: Vec<KnownProject>,
}

/// The list of projects in the user's folder for settings.
#[derive(Debug, Clone)]
pub struct Projects {
    file: PathBuf,
}

impl Projects {
    /// Returns where the list lies; nothing is read.
    pub fn of(environment: &Environment) -> Self {
        Projects { file: environment.config_folder.join("projects.json") }
    }

    /// Returns the projects by path.
    pub fn list(&self) -> Result<Vec<KnownProject>, ProjectsError> {
        let bytes = match std::fs::read(&self.file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            read => read.map_err(|source| self.failed("read", source))?,
        };
        let document = serde_json::from_slice::<Document>(&bytes).ok().filter(|document| document.loom == FORM);
        document.map(|document| document.projects).ok_or_else(|| ProjectsError::Form { path: self.file.clone() })
    }

    /// Puts a project on the list, or lets it be driven or not where it is there; returns its real path.
    pub fn put(&self, place: &Path, allowed: Option<bool>, now_ms: u64) -> Result<String, ProjectsError> {
        let path = real(place)?;
        let mut projects = self.list()?;
        match projects.iter_mut().find(|project| project.path == path) {
            Some(project) => project.allowed = allowed.unwrap_or(project.allowed),
            None => {
                projects.push(KnownProject { path: path.clone(), added_ms: now_ms, allowed: allowed.unwrap_or(false) });
                projects.sort_by(|a, b| a.path.cmp(&b.path));
            }
        }
        self.write(projects)?;
        Ok(path)
    }

    /// Takes the leave to be driven from a project on the list.
    pub fn deny(&self, place: &Path) -> Result<String, ProjectsError> {
        self.change(place, |projects, index| projects[index].allowed = false)
    }

    /// Takes a project from the list, and the leave with it. Nothing of the project is touched.
    pub fn forget(&self, place: &Path) -> Result<String, ProjectsError> {
        self.change(place, |projects, index| drop(projects.remove(index)))
    }

    fn change(
        &self,
        place: &Path,
        change: impl FnOnce(&mut Vec<KnownProject>, usize),
    ) -> Result<String, ProjectsError> {
        let mut projects = self.list()?;
        // What has gone can still be taken from the list, by the path that it had.
        let path = real(place).ok();
        let is_it = |project: &KnownProject| Some(&project.path) == path.as_ref() || Path::new(&project.path) == place;
        let found = projects.iter().position(is_it);
        let index = found.ok_or_else(|| ProjectsError::Unknown { path: place.to_path_buf() })?;
        let path = projects[index].path.clone();
        change(&mut projects, index);
        self.write(projects)?;
        Ok(path)
    }

    fn write(&self, projects: Vec<KnownProject>) -> Result<(), ProjectsError> {
        let document = Document { loom: FORM.to_string(), projects };
        let bytes = serde_json::to_vec_pretty(&document).map_err(|error| self.failed("write", error.into()))?;
        replace(&self.file, &bytes).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, doing: &'static str, source: std::io::Error) -> ProjectsError {
        ProjectsError::File { doing, path: self.file.clone(), source }
    }
}

/// Returns the real path of a folder.
fn real(place: &Path) -> Result<String, ProjectsError> {
    let no_folder = |source| ProjectsError::NoFolder { path: place.to_path_buf(), source };
    let path = std::fs::canonicalize(place).map_err(no_folder)?;
    if !path.is_dir() {
        return Err(no_folder(std::io::ErrorKind::NotADirectory.into()));
    }
    let text = path.to_str().filter(|text| !text.chars().any(char::is_control));
    text.map(str::to_string).ok_or(ProjectsError::Path { path: path.clone() })
}
