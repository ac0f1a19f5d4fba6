//! Where a bundle's files come from: compiled in, which every run's are, or a folder, to drive recorded runs under.

use crate::builtin;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Most files of a bundle.
pub(crate) const FILES_MAX: usize = 500;
/// Most bytes of one file.
pub(crate) const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// A bundle's files by path from its folder, with `/` between the parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Source {
    /// The files.
    pub files: BTreeMap<String, Vec<u8>>,
}

/// Why a folder cannot be read as a bundle.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The operating system said no.
    #[error("{path} cannot be read")]
    Io {
        /// What was read.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A link, device, or name that is not UTF-8.
    #[error("{0} is not a plain file or folder with a UTF-8 name; bundles hold nothing else")]
    Foreign(PathBuf),
    /// Too much to be a bundle.
    #[error("{0} is too large for a bundle (at most {FILES_MAX} files of {FILE_BYTES_MAX} bytes)")]
    TooLarge(PathBuf),
}

/// A bundle that is not compiled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no bundle `{name}`; there are {}", .known.join(", "))]
pub struct BundleUnknown {
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: &'static [&'static str],
}

impl Source {
    /// Returns the bundle of that name that is compiled in.
    pub fn builtin(name: &str) -> Result<Source, BundleUnknown> {
        let unknown = || BundleUnknown { name: name.to_string(), known: builtin::NAMES };
        let files: BTreeMap<String, Vec<u8>> = builtin::files(name)
            .ok_or_else(unknown)?
            .iter()
            .map(|(path, content)| ((*path).to_string(), content.as_bytes().to_vec()))
            .collect();
        Ok(Source { files })
    }

    /// Returns the names of the bundles that are compiled in.
    pub fn builtin_names() -> &'static [&'static str] {
        builtin::NAMES
    }

    /// Reads a folder. Links are refused, not followed.
    pub fn folder(root: &Path) -> Result<Source, SourceError> {
        let mut source = Source::default();
        let mut folders = vec![(root.to_path_buf(), String::new())];
        while let Some((folder, prefix)) = folders.pop() {
            let io = |error| SourceError::Io { path: folder.clone(), source: error };
            for entry in std::fs::read_dir(&folder).map_err(io)? {
                let entry = entry.map_err(io)?;
                let path = entry.path();
                let Some(name) = entry.file_name().to_str().map(str::to_string) else {
                    return Err(SourceError::Foreign(path));
                };
                let kind = entry.file_type().map_err(io)?;
                let inside = format!("{prefix}{name}");
                if kind.is_dir() {
                    folders.push((path, format!("{inside}/")));
                } else if kind.is_file() {
                    let length = entry.metadata().map_err(io)?.len();
                    if length > FILE_BYTES_MAX || source.files.len() >= FILES_MAX {
                        return Err(SourceError::TooLarge(path));
                    }
                    let content =
                        std::fs::read(&path).map_err(|error| SourceError::Io { path: path.clone(), source: error })?;
                    source.files.insert(inside, content);
                } else {
                    return Err(SourceError::Foreign(path));
                }
            }
        }
        Ok(source)
    }

    /// Returns a file's text, if it is there and UTF-8.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(self.files.get(path)?).ok()
    }
}
