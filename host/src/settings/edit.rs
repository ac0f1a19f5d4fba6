//! Changes one key of a file and nothing else: comments, order and spacing stay (SETTINGS-6).

use super::key::{Project, find};
use super::layers::flaws;
use super::origin::{Layer, SettingsErrors, place};
use super::value::{Raw, Value};
use crate::atomic::replace;
use std::path::{Path, PathBuf};
use toml_edit::{Array, DocumentMut, Item, Table, TableLike};

/// Why a key could not be set. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// There is no such key.
    #[error("there is no key `{0}`; `loom config list --all` names them")]
    Unknown(String),
    /// The value is not of the key's kind.
    #[error("`{path}` does not take that; {repair}")]
    Value {
        /// The key.
        path: String,
        /// What it takes.
        repair: String,
    },
    /// A project's file may not set the key.
    #[error("`{0}` is not a project's to set; set it for yourself, with --user")]
    NotOfProject(String),
    /// The file has flaws already, or would have.
    #[error(transparent)]
    Flaws(#[from] SettingsErrors),
    /// The file is no TOML.
    #[error("{}:{line}:{column}: it is no TOML ({what}); mend it by hand", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column, from 1, in characters.
        column: usize,
        /// What is wrong there; never what stands there, which may be a secret.
        what: String,
    },
    /// The file could not be handled.
    #[error("cannot write {}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

/// Sets a key of a file, which is made where there is none. `text` is as a command line has it.
pub fn set(layer: Layer, file: &Path, path: &str, text: &str) -> Result<(), EditError> {
    let key = find(path).ok_or_else(|| EditError::Unknown(path.to_string()))?;
    if layer == Layer::Project && key.project == Project::Never {
        return Err(EditError::NotOfProject(path.to_string()));
    }
    let raw = Raw::Typed(text.to_string());
    let wrong = || EditError::Value { path: path.to_string(), repair: key.kind.wanted() };
    let value = key.kind.read(&raw).ok_or_else(wrong)?;
    let failed = |source| EditError::File { path: file.to_path_buf(), source };
    // The user may keep the file elsewhere, behind a link: that file is changed, and the link stays.
    let file = &std::fs::canonicalize(file).unwrap_or_else(|_| file.to_path_buf());
    let before = match std::fs::read_to_string(file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.map_err(failed)?,
    };
    let toml = |error: toml_edit::TomlError| {
        let (line, column) = place(&before, error.span().map_or(0, |span| span.start));
        EditError::Toml { path: file.to_path_buf(), line, column, what: error.message().to_string() }
    };
    let mut document: DocumentMut = before.parse().map_err(toml)?;
    put(document.as_table_mut(), path, written(&value, text)).ok_or_else(wrong)?;
    let after = document.to_string();
    let flaws = flaws(layer, file, &after);
    if !flaws.is_empty() {
        return Err(SettingsErrors(flaws).into());
    }
    replace(file, after.as_bytes()).map_err(failed)
}

/// Returns a value as TOML; spans, sizes and amounts as they were typed.
fn written(value: &Value, typed: &str) -> toml_edit::Value {
    match value {
        Value::Text(text) => text.as_str().into(),
        Value::Number(number) if typed.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_') => {
            i64::try_from(*number).map_or_else(|_| typed.into(), Into::into)
        }
        Value::Number(_) => typed.into(),
        Value::Flag(flag) => (*flag).into(),
        Value::List(list) => list.iter().map(String::as_str).collect::<Array>().into(),
    }
}

/// Puts a value where its path leads; `None` where something else than a table stands on the way.
fn put(root: &mut Table, path: &str, value: toml_edit::Value) -> Option<()> {
    let (above, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut table: &mut dyn TableLike = root;
    for part in above.split('.').filter(|part| !part.is_empty()) {
        let below = table.entry(part).or_insert_with(|| {
            let mut made = Table::new();
            // Only the last table of a path gets a heading.
            made.set_implicit(true);
            Item::Table(made)
        });
        table = below.as_table_like_mut()?;
    }
    match table.get_mut(name) {
        // What was said beside the old value is said beside the new one.
        Some(Item::Value(old)) => {
            let decor = old.decor().clone();
            *old = value;
            *old.decor_mut() = decor;
        }
        Some(Item::Table(_) | Item::ArrayOfTables(_)) => return None,
        Some(Item::None) | None => drop(table.insert(name, Item::Value(value))),
    }
    Some(())
}
