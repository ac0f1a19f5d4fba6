//! Notes of the user's own git: texts beside commits, at a ref of their own (decision 0009). Only when a person asks.

use crate::error::{Error, file};
use crate::ship::UserGit;
use std::io::Write;

impl UserGit {
    /// Returns the texts of all notes at `refs/notes/REF`; none where there is no such ref.
    ///
    /// # Errors
    /// [`Error::Git`] with what git says.
    pub fn notes(&self, reference: &str) -> Result<Vec<Vec<u8>>, Error> {
        let listed = self.text("notes", &["--ref", reference, "list"])?;
        let names = listed.lines().filter_map(|line| line.split(' ').next());
        names.map(|name| self.bytes("cat-file", &["blob", name])).collect()
    }

    /// Adds a text to the note of the present commit at `refs/notes/REF`, behind what it says, an empty line between.
    ///
    /// # Errors
    /// [`Error::Git`] with what git says.
    pub fn add_note(&self, reference: &str, text: &str) -> Result<(), Error> {
        let mut kept = tempfile::NamedTempFile::new().map_err(file("make a file in", &std::env::temp_dir()))?;
        kept.write_all(text.as_bytes()).map_err(file("write", kept.path()))?;
        let path = kept.path().to_string_lossy().into_owned();
        self.bytes("notes", &["--ref", reference, "append", "--file", &path, "HEAD"]).map(drop)
    }
}
