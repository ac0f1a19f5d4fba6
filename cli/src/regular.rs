//! Files that are named to be read whole: regular ones alone. A pipe that nobody writes to has no beginning and a device no
//! end; what is none is refused by name before it is opened.

use crate::error::CliError;
use std::fs::File;
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

/// Opens a file to read it; a link is followed.
///
/// # Errors
/// [`CliError::NotRegular`] where it is something else, [`CliError::File`] where it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<File, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    match std::fs::metadata(path).map_err(failed)?.is_file() {
        true => File::open(path).map_err(failed),
        false => Err(CliError::NotRegular { path: path.to_path_buf() }),
    }
}

/// Reads a text of at most `max` bytes.
///
/// # Errors
/// Those of [`open`]; [`CliError::File`] where it is longer, or no text.
pub(crate) fn text(path: &Path, max: u64) -> Result<String, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    open(path)?.take(max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > max {
        let what = format!("it is longer than the {max} bytes that it may have");
        return Err(failed(Error::new(ErrorKind::InvalidData, what)));
    }
    String::from_utf8(bytes).map_err(|error| failed(Error::new(ErrorKind::InvalidData, error.utf8_error())))
}
