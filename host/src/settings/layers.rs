//! Reads the layers and lets the higher win, key by key.
//!
//! A flaw is told with its place and never stops the reading of the rest. An unknown key is a warning: it may be a newer
//! Loom's (SETTINGS-2, SETTINGS-4).

use super::key::{Fallback, KEYS, Key, Project, find};
use super::origin::{Layer, Origin, SettingsError, SettingsErrors, Sourced, place};
use super::typed::Settings;
use super::value::{Raw, Value};
use crate::bounds::Leave;
use crate::environment::Environment;
use crate::secrets::is_name;
use loom_bundles::nearest;
use loom_core::process::Limits;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};

/// Largest file of settings, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// The table of a project's file that is not a setting: what checks the project (`specs/bundle.md`).
const CHECKS: &str = "checks";

/// A value that a flag gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The key.
    pub key: &'static str,
    /// The flag, as it is typed.
    pub flag: &'static str,
    /// The value.
    pub value: Value,
}

/// Something that was set and does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub origin: Origin,
    /// What, and what to do.
    pub what: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.origin, self.what)
    }
}

/// Every key that has a value, by its path.
pub type Found = BTreeMap<String, Sourced<Value>>;

/// The settings as read.
#[derive(Debug, Clone)]
pub struct Read {
    /// The settings.
    pub settings: Settings,
    /// The same, key by key.
    pub found: Found,
    /// What was set and does not hold.
    pub warnings: Vec<Warning>,
}

/// Returns the user's file.
pub fn user_file(environment: &Environment) -> PathBuf {
    environment.config_folder.join("config.toml")
}

/// Returns the file of the project that `place` lies in: beside the nearest `.git` from there upwards.
pub fn project_file(place: &Path) -> Option<PathBuf> {
    let place = std::path::absolute(place).ok()?;
    let root = place.ancestors().find(|folder| folder.join(".git").exists())?;
    Some(root.join(loom_bundles::checks::DECLARATION))
}

/// Reads all layers; `project` is the project's file, where there is a project.
pub fn read(environment: &Environment, project: Option<&Path>, flags: &[Given]) -> Result<Read, SettingsErrors> {
    let mut layers = Layers::default();
    layers.defaults();
    let user = user_file(environment);
    layers.file(Layer::User, &user);
    if let Some(project) = project {
        layers.file(Layer::Project, project);
    }
    layers.variables(&environment.settings);
    for given in flags {
        layers.put(given.key.to_string(), given.value.clone(), Origin::Flag(given.flag));
    }
    layers.finish()
}

/// Reads one text as the file of a layer would be read, and returns what is wrong with it.
pub(super) fn flaws(layer: Layer, path: &Path, text: &str) -> Vec<SettingsError> {
    let mut layers = Layers::default();
    layers.defaults();
    layers.text(layer, path, text);
    // What names something that is not there shows only where all of it is looked at.
    let _settings = Settings::of(&layers.found, &mut layers.errors);
    layers.errors
}

#[derive(Default)]
struct Layers {
    found: Found,
    warnings: Vec<Warning>,
    errors: Vec<SettingsError>,
}

/// A file while it is read.
struct File<'a> {
    layer: Layer,
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn origin(&self, offset: usize) -> Origin {
        let (line, column) = place(self.text, offset);
        Origin::File { layer: self.layer, path: self.path.to_path_buf(), line, column }
    }
}

impl Layers {
    fn defaults(&mut self) {
        for key in KEYS {
            if let Fallback::Typed(text) = key.default
                && let Some(value) = key.kind.read(&Raw::Typed(text.to_string()))
            {
                self.put(key.name.to_string(), value, Origin::Default);
            }
        }
    }

    fn put(&mut self, path: String, value: Value, origin: Origin) {
        self.found.insert(path, Sourced { value, origin });
    }

    fn warn(&mut self, origin: Origin, what: String) {
        self.warnings.push(Warning { origin, what });
    }

    fn error(&mut self, origin: Origin, what: String, repair: String) {
        self.errors.push(SettingsError { origin, what, repair });
    }

    fn file(&mut self, layer: Layer, path: &Path) {
        let top = Origin::File { layer, path: path.to_path_buf(), line: 1, column: 1 };
        // A project's file may be anything that a repository can hold; a user may keep theirs behind a link.
        let found = match layer {
            Layer::User => std::fs::metadata(path),
            Layer::Project => std::fs::symlink_metadata(path),
        };
        match found {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Ok(found) if found.is_file() && found.len() <= FILE_BYTES_MAX => {}
            Ok(_) => {
                let what = "it is no file of at most 1 MiB".to_string();
                return self.error(top, what, "put a file in its place, or move it away".to_string());
            }
            Err(error) => return self.error(top, format!("it cannot be read: {error}"), "mend that".to_string()),
        }
        match std::fs::read_to_string(path) {
            Ok(text) => self.text(layer, path, &text),
            Err(error) => self.error(top, format!("it cannot be read: {error}"), "mend that".to_string()),
        }
    }

    fn text(&mut self, layer: Layer, path: &Path, text: &str) {
        let file = File { layer, path, text };
        match DeTable::parse(text) {
            Ok(table) => self.table(&file, table.get_ref(), ""),
            Err(error) => {
                let origin = file.origin(error.span().map_or(0, |span| span.start));
                self.error(origin, error.message().to_string(), "write valid TOML".to_string());
            }
        }
    }

    fn table(&mut self, file: &File<'_>, table: &DeTable<'_>, above: &str) {
        for (name, value) in table {
            let origin = file.origin(name.span().start);
            let name = name.get_ref().as_ref();
            let path = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
            if above.is_empty() && name == CHECKS {
                if file.layer == Layer::User {
                    self.warn(origin, "checks are a project's; write them into its loom.toml".to_string());
                }
                continue;
            }
            let known = if is_name(name) { find(&path) } else { None };
            match (known, value.get_ref()) {
                (Some(key), value_of) => self.value(file, key, path, value_of, file.origin(value.span().start)),
                (None, DeValue::Table(below)) if is_name(name) && is_above(&path) => self.table(file, below, &path),
                (None, _) if is_name(name) && is_above(&path) => {
                    self.error(origin, format!("`{path}` is no table"), format!("write [{path}]"));
                }
                (None, _) => self.unknown(origin, above, name),
            }
        }
    }

    fn unknown(&mut self, origin: Origin, above: &str, name: &str) {
        let depth = if above.is_empty() { 0 } else { above.split('.').count() };
        let beside: BTreeSet<&str> = KEYS
            .iter()
            .filter(|key| depth == 0 || is_below(key.name, above))
            .filter_map(|key| key.name.split('.').nth(depth))
            .filter(|name| *name != "*")
            .chain((depth == 0).then_some(CHECKS))
            .collect();
        let path = if above.is_empty() { name.to_string() } else { format!("{above}.{name}") };
        let hint = match nearest(name, beside.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None if beside.is_empty() => "a name has letters, digits, `-` and `_`".to_string(),
            None => format!("there are {}", beside.into_iter().collect::<Vec<_>>().join(", ")),
        };
        self.warn(origin, format!("there is no key `{}`; {hint}", path.escape_debug()));
    }

    fn value(&mut self, file: &File<'_>, key: &'static Key, path: String, value: &DeValue<'_>, origin: Origin) {
        let Some(read) = key.kind.read(&raw(value)) else {
            return self.error(origin, format!("`{path}` is not of its kind"), key.kind.wanted());
        };
        if file.layer == Layer::Project {
            let holds = self.found.get(&path);
            let rank = |value: &Value| key.kind.rank(value);
            let looser = holds.is_some_and(|holds| rank(&read) > rank(&holds.value));
            if key.project == Project::Never {
                let what = format!(
                    "`{path}` is not a project's to set, so it does not hold; set it for yourself with `loom config set {path}`"
                );
                return self.warn(origin, what);
            }
            if looser {
                return self.warn(origin, only_lower(&path));
            }
        }
        self.put(path, read, origin);
    }

    fn variables(&mut self, variables: &BTreeMap<String, String>) {
        let sections: BTreeSet<String> = KEYS
            .iter()
            .filter_map(|key| key.name.split('.').next())
            .map(|name| format!("LOOM_{}_", name.to_uppercase()))
            .collect();
        for (variable, text) in variables {
            let origin = Origin::Variable(variable.clone());
            let found = KEYS.iter().find_map(|key| Some((key, key.path_of(variable)?)));
            match found {
                Some((key, path)) => match key.kind.read(&Raw::Typed(text.clone())) {
                    Some(value) => self.put(path, value, origin),
                    None => self.error(origin, format!("`{path}` is not of its kind"), key.kind.wanted()),
                },
                None if sections.iter().any(|section| variable.starts_with(section)) => {
                    let names: Vec<String> = KEYS.iter().filter_map(Key::variable).collect();
                    let hint = nearest(variable, names.iter().map(String::as_str));
                    let hint = hint.map_or_else(String::new, |near| format!("; did you mean {near}?"));
                    self.warn(origin, format!("it sets no key{hint}"));
                }
                None => {}
            }
        }
    }

    fn finish(mut self) -> Result<Read, SettingsErrors> {
        let settings = Settings::of(&self.found, &mut self.errors);
        if self.errors.is_empty() {
            Ok(Read { settings, found: self.found, warnings: self.warnings })
        } else {
            Err(SettingsErrors(self.errors))
        }
    }
}

impl Read {
    /// Puts what holds without the project in place of what its file asks for beyond that, where nobody else has set it:
    /// the limits of the run's bundle, and the usual ones of a fence.
    pub fn hold(&mut self, limits: &Limits) {
        let fence = Leave::default().limits;
        let usual = [
            ("run.max_spawns", Some(limits.spawns)),
            ("run.max_tokens", Some(limits.tokens)),
            ("run.max_time", Some(limits.time_ms)),
            ("run.budget_usd", Some(limits.money_micro)),
            ("fence.memory", fence.memory_max_bytes),
            ("fence.processes", fence.processes_max),
            ("fence.file_size", fence.file_max_bytes),
        ];
        for (path, usual) in usual {
            if let (Some(found), Some(usual)) = (self.found.get_mut(path), usual)
                && found.origin.is_of_project()
                && matches!(found.value, Value::Number(asked) if asked > usual)
            {
                let held = Sourced { value: Value::Number(usual), origin: Origin::Default };
                let asked = std::mem::replace(found, held);
                self.warnings.push(Warning { origin: asked.origin, what: only_lower(path) });
            }
        }
    }
}

fn only_lower(path: &str) -> String {
    format!(
        "a project may only lower `{path}`, so this does not hold; to raise it, set it for yourself with `loom config set {path}`"
    )
}

/// Whether keys stand below a path.
fn is_above(path: &str) -> bool {
    KEYS.iter().any(|key| is_below(key.name, path))
}

fn is_below(key: &str, path: &str) -> bool {
    let mut own = key.split('.');
    let fits = path.split('.').all(|name| own.next().is_some_and(|part| part == name || part == "*"));
    fits && own.next().is_some()
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Raw::Number(number.as_str().to_string()),
        DeValue::Integer(number) => {
            let read = u64::from_str_radix(number.as_str(), number.radix());
            read.map_or(Raw::Other, |number| Raw::Number(number.to_string()))
        }
        DeValue::Float(number) => Raw::Number(number.as_str().to_string()),
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(items) => {
            let texts =
                items.iter().map(|item| item.get_ref().as_str().map(str::to_string)).collect::<Option<Vec<_>>>();
            texts.map_or(Raw::Other, Raw::List)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => Raw::Other,
    }
}
