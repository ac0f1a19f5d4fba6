//! What keeps Loom from working: findings about this machine and this project, each with the command that mends it.
//!
//! Examining reads only: no store is opened for writing, no lock is taken, no folder of Loom's is made (CLI-6).

mod machine;
mod place;

use serde::Serialize;
use std::path::Path;

/// Something that was looked at.
#[derive(Debug, Serialize, schemars::JsonSchema)]
pub(crate) struct Finding {
    /// What it is about; stable.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// One sentence.
    pub(crate) says: String,
    /// The command that mends it, where something is to be mended.
    pub(crate) repair: Option<String>,
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Loom cannot work until it is mended.
    Error,
    /// Something will not work, or is not safe.
    Warning,
    /// As it is.
    Note,
}

impl Finding {
    fn error(id: &'static str, says: impl Into<String>, repair: impl Into<String>) -> Self {
        Finding { id, severity: Severity::Error, says: says.into(), repair: Some(repair.into()) }
    }

    fn warning(id: &'static str, says: impl Into<String>, repair: impl Into<String>) -> Self {
        Finding { id, severity: Severity::Warning, says: says.into(), repair: Some(repair.into()) }
    }

    fn note(id: &'static str, says: impl Into<String>) -> Self {
        Finding { id, severity: Severity::Note, says: says.into(), repair: None }
    }
}

/// Looks at this machine, then at the project that `dir` names or that lies here.
pub(crate) fn examine(dir: Option<&Path>) -> Vec<Finding> {
    let mut findings = machine::examine();
    findings.extend(place::examine(dir));
    findings
}

/// Returns a path as an argument of a shell's command.
fn argument(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}
