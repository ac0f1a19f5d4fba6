//! TOML read key by key, so that every flaw has a line and an unknown key is told its nearest name.
//!
//! A reader collects flaws instead of stopping at the first; whoever asks for a key gets a harmless stand-in.

use crate::error::{LoadError, nearest};
use std::cell::RefCell;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Code of the flaw of a key that nobody asked for.
pub(crate) const KEY_UNKNOWN: &str = "KEY_UNKNOWN";

/// Collects the flaws of one file.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    errors: RefCell<Vec<LoadError>>,
}

/// One table of the file.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    reader: &'a Reader<'a>,
    table: &'a DeTable<'a>,
    /// Line of the table, from 1.
    pub(crate) line: u64,
    place: String,
    asked: RefCell<Vec<&'static str>>,
}

/// Reads the tables of `text`, lets `read` take what it wants from them, and returns that with every flaw.
pub(crate) fn read<T: Default>(file: &str, text: &str, read: impl FnOnce(&Section<'_>) -> T) -> (T, Vec<LoadError>) {
    let reader = Reader { file, text, errors: RefCell::default() };
    let value = match DeTable::parse(text) {
        Ok(table) => {
            let root = Section::new(&reader, table.get_ref(), 1, String::new());
            let value = read(&root);
            root.finish();
            value
        }
        Err(error) => {
            let line = error.span().map_or(1, |span| reader.line(span.start));
            reader.flaw("TOML_SYNTAX", line, error.message().to_string(), "write valid TOML".to_string());
            T::default()
        }
    };
    let mut errors = reader.errors.into_inner();
    errors.sort_by_key(|error| error.line);
    (value, errors)
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> u64 {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
    }

    fn flaw(&self, code: &'static str, line: u64, what: String, repair: String) {
        self.errors.borrow_mut().push(LoadError { code, file: self.file.to_string(), line: Some(line), what, repair });
    }
}

impl<'a> Section<'a> {
    fn new(reader: &'a Reader<'a>, table: &'a DeTable<'a>, line: u64, place: String) -> Self {
        Section { reader, table, line, place, asked: RefCell::default() }
    }

    fn path(&self, key: &str) -> String {
        if self.place.is_empty() { key.to_string() } else { format!("{}.{key}", self.place) }
    }

    fn get(&self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.borrow_mut().push(key);
        self.table.iter().find(|(found, _)| found.get_ref() == key).map(|(_, value)| value)
    }

    fn line_of(&self, value: &Spanned<DeValue<'_>>) -> u64 {
        self.reader.line(value.span().start)
    }

    fn mistyped<T>(&self, key: &str, value: &Spanned<DeValue<'_>>, wanted: &str) -> Option<T> {
        self.flaw_at(
            "VALUE_TYPE",
            self.line_of(value),
            format!("`{}` is not {wanted}", self.path(key)),
            format!("write {wanted}"),
        );
        None
    }

    /// Tells a flaw of this table.
    pub(crate) fn flaw(&self, code: &'static str, what: String, repair: String) {
        self.reader.flaw(code, self.line, what, repair);
    }

    /// Tells a flaw at a line.
    pub(crate) fn flaw_at(&self, code: &'static str, line: u64, what: String, repair: String) {
        self.reader.flaw(code, line, what, repair);
    }

    /// Whether the key is there.
    pub(crate) fn has(&self, key: &'static str) -> bool {
        self.get(key).is_some()
    }

    /// Returns the line of a key, or of the table.
    pub(crate) fn line_at(&self, key: &'static str) -> u64 {
        self.get(key).map_or(self.line, |value| self.line_of(value))
    }

    /// Returns a text, if it is there.
    pub(crate) fn text(&self, key: &'static str) -> Option<String> {
        let value = self.get(key)?;
        match value.get_ref().as_str() {
            Some(text) => Some(text.to_string()),
            None => self.mistyped(key, value, "a text"),
        }
    }

    /// Returns a text that must be there.
    pub(crate) fn need_text(&self, key: &'static str) -> String {
        self.need(key);
        self.text(key).unwrap_or_default()
    }

    /// Tells that a key is missing, where it is.
    pub(crate) fn need(&self, key: &'static str) {
        if !self.has(key) {
            self.flaw("KEY_MISSING", format!("`{}` is missing", self.path(key)), format!("add `{key} = …`"));
        }
    }

    /// Returns one of a set of words, if it is there.
    pub(crate) fn word<T>(&self, key: &'static str, words: &[&str], of: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.text(key)?;
        let found = of(&text);
        if found.is_none() {
            let hint = nearest(&text, words.iter().copied()).map_or(String::new(), |near| format!("`{near}`? "));
            self.flaw_at(
                "WORD_UNKNOWN",
                self.line_at(key),
                format!("`{}` is `{text}`", self.path(key)),
                format!("{hint}one of {}", words.join(", ")),
            );
        }
        found
    }

    /// Returns a list of texts; empty when it is not there. A single text is a list of one.
    pub(crate) fn texts(&self, key: &'static str) -> Vec<String> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let list = match value.get_ref() {
            DeValue::String(text) => Some(vec![text.to_string()]),
            DeValue::Array(items) => {
                items.iter().map(|item| item.get_ref().as_str().map(str::to_string)).collect::<Option<_>>()
            }
            _ => None,
        };
        list.or_else(|| self.mistyped(key, value, "a list of texts")).unwrap_or_default()
    }

    /// Returns a whole number, if it is there.
    pub(crate) fn number(&self, key: &'static str) -> Option<u64> {
        let value = self.get(key)?;
        let number =
            value.get_ref().as_integer().and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok());
        number.or_else(|| self.mistyped(key, value, "a whole number, 0 or more"))
    }

    /// Returns a whole number that must be there.
    pub(crate) fn need_number(&self, key: &'static str) -> u64 {
        self.need(key);
        self.number(key).unwrap_or_default()
    }

    /// Returns a flag; false when it is not there.
    pub(crate) fn flag(&self, key: &'static str) -> bool {
        let Some(value) = self.get(key) else { return false };
        value.get_ref().as_bool().or_else(|| self.mistyped(key, value, "true or false")).unwrap_or_default()
    }

    /// Returns a table in this one.
    pub(crate) fn section(&self, key: &'static str) -> Option<Section<'a>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Section::new(self.reader, table, self.line_of(value), self.path(key))),
            _ => self.mistyped(key, value, "a table"),
        }
    }

    /// Returns the tables of a list, in order.
    pub(crate) fn list(&self, key: &'static str) -> Vec<Section<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.mistyped::<()>(key, value, "a list of tables");
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, item) in items.iter().enumerate() {
            match item.get_ref() {
                DeValue::Table(table) => tables.push(Section::new(
                    self.reader,
                    table,
                    self.line_of(item),
                    format!("{}[{}]", self.path(key), index + 1),
                )),
                _ => {
                    self.mistyped::<()>(key, item, "a list of tables");
                }
            }
        }
        tables
    }

    /// Returns the tables of a table by name, in the file's order.
    pub(crate) fn named(&self, key: &'static str) -> Vec<(String, Section<'a>)> {
        let Some(parent) = self.section(key) else { return Vec::new() };
        let mut tables = Vec::new();
        for (name, value) in parent.table {
            match value.get_ref() {
                DeValue::Table(table) => tables.push((
                    name.get_ref().to_string(),
                    Section::new(
                        self.reader,
                        table,
                        self.reader.line(name.span().start),
                        format!("{}.{}", parent.place, name.get_ref()),
                    ),
                )),
                _ => {
                    parent.mistyped::<()>(name.get_ref(), value, "a table");
                }
            }
        }
        tables.sort_by_key(|(_, section)| section.line);
        tables
    }

    /// Returns every key with its value, for tables whose keys are names; nothing is unknown then.
    pub(crate) fn entries(&self) -> Vec<(String, u64, &'a DeValue<'a>)> {
        let mut entries: Vec<_> = self
            .table
            .iter()
            .map(|(key, value)| (key.get_ref().to_string(), self.reader.line(key.span().start), value.get_ref()))
            .collect();
        entries.sort_by_key(|(_, line, _)| *line);
        entries
    }

    /// Tells every key that nobody asked for.
    pub(crate) fn finish(&self) {
        let asked = self.asked.borrow();
        for key in self.table.keys().filter(|key| !asked.contains(&key.get_ref().as_ref())) {
            let repair = match nearest(key.get_ref(), asked.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "remove it".to_string(),
            };
            self.flaw_at(
                KEY_UNKNOWN,
                self.reader.line(key.span().start),
                format!("`{}` is not a key here", self.path(key.get_ref())),
                repair,
            );
        }
    }
}
