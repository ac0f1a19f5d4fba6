//! Where a value comes from, and what is wrong with one.

use std::fmt;
use std::path::PathBuf;

/// A file that settings are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The user's `config.toml`.
    User,
    /// The project's `loom.toml`.
    Project,
}

/// Returns line and column of an offset in a text; both count from 1, the column in characters.
pub(super) fn place(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (1 + before.matches('\n').count(), 1 + line.chars().count())
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Nobody set it.
    Default,
    /// A place in a file; line and column count from 1, the column in characters.
    File {
        /// Whose file it is.
        layer: Layer,
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The column.
        column: usize,
    },
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(&'static str),
}

impl Origin {
    /// Returns which layer it is, in one word.
    pub fn word(&self) -> &'static str {
        match self {
            Origin::Default => "default",
            Origin::File { layer: Layer::User, .. } => "user",
            Origin::File { layer: Layer::Project, .. } => "project",
            Origin::Variable(_) => "environment",
            Origin::Flag(_) => "flag",
        }
    }

    /// Whether it stands in a project's file.
    pub fn is_of_project(&self) -> bool {
        matches!(self, Origin::File { layer: Layer::Project, .. })
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File { path, line, column, .. } => write!(f, "{}:{line}:{column}", path.display()),
            Origin::Variable(name) => f.write_str(name),
            Origin::Flag(name) => f.write_str(name),
        }
    }
}

/// A value with where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it comes from.
    pub origin: Origin,
}

/// One thing that is wrong with the settings. It never shows a value: a credential may stand where it does not belong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{origin}: {what}; {repair}")]
pub struct SettingsError {
    /// Where.
    pub origin: Origin,
    /// What is wrong.
    pub what: String,
    /// How it is mended.
    pub repair: String,
}

/// Everything that is wrong with the settings; never empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the settings cannot be used: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct SettingsErrors(pub Vec<SettingsError>);
