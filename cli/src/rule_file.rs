//! Files of rules, as every command reads them: no more than shows whether they are too long (RULE-7).

use crate::error::CliError;
use loom_core::rules::TEXT_MAX;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// Reads a text file; of one that is longer than rules may be, its beginning, which is too long as well.
///
/// # Errors
/// [`CliError::File`] where it cannot be read, or is no text.
pub(crate) fn read(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(TEXT_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).or_else(|error| match error.as_bytes().len() > TEXT_MAX {
        // A character may be cut in two.
        true => Ok(String::from_utf8_lossy(error.as_bytes()).into_owned()),
        false => Err(failed(Error::new(ErrorKind::InvalidData, error.utf8_error()))),
    })
}
