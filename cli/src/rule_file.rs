//! Files of rules, as every command reads them: no more than shows whether they are too long (RULE-7).

use crate::error::CliError;
use crate::regular;
use loom_core::rules::{RuleSet, Rules, TEXT_MAX};
use std::io::{Error, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Reads a text file; of one that is longer than rules may be, its beginning, which is too long as well.
///
/// # Errors
/// [`CliError::File`] where it cannot be read, or is no text; [`CliError::NotRegular`].
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    regular::open(path)?.take(TEXT_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).or_else(|error| match error.as_bytes().len() > TEXT_MAX {
        // A character may be cut in two.
        true => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        false => Err(failed(Error::new(ErrorKind::InvalidData, error.utf8_error()))),
    })
}

/// Loads rule files, in order.
///
/// # Errors
/// Those of [`read`]; [`CliError::Rules`] where one does not load, or a set comes twice.
pub(crate) fn load(files: &[PathBuf]) -> Result<Rules, CliError> {
    let mut sets = Vec::new();
    let wrong = |file: &Path, errors| CliError::Rules { file: file.to_path_buf(), errors };
    for file in files {
        let text = read(file)?;
        sets.push(Arc::new(RuleSet::load(&text).map_err(|errors| wrong(file, errors))?));
    }
    let last = files.last().map(PathBuf::as_path).unwrap_or(Path::new(""));
    Rules::new(sets).map_err(|error| wrong(last, vec![error]))
}
