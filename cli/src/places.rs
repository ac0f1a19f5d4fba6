//! Places outside of a store that keep its checkpoints: a folder, a file, a note of the user's git (WITNESS-1, WITNESS-3).

use crate::commands::to_file;
use crate::error::CliError;
use crate::regular;
use loom_core::id::hex;
use loom_replay::evidence::{Checkpoint, EvidenceError, Witnessed, read_all};
use loom_tools::UserGit;
use std::fmt;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

/// Most bytes of a file of checkpoints.
const BYTES_MAX: u64 = 64 << 20;
/// The ref of notes where none is named.
const NOTES: &str = "loom";

/// A place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// One file a checkpoint.
    Folder(PathBuf),
    /// One behind the other.
    File(PathBuf),
    /// Notes at `refs/notes/REF`.
    Note(String),
}

/// Reads how people write a place: `git-note`, `git-note:REF`, a folder that is there or ends with `/`, else a file.
pub(crate) fn place_of(text: &str) -> Result<Place, String> {
    match text.strip_prefix("git-note") {
        Some("") => return Ok(Place::Note(NOTES.to_string())),
        Some(rest) if rest.starts_with(':') => {
            let name = &rest[1..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || "-_/.".contains(c);
            let fits = !name.is_empty() && name.chars().all(is_name) && !name.starts_with(['-', '/', '.']);
            return if fits { Ok(Place::Note(name.to_string())) } else { Err("it is no name of a ref".to_string()) };
        }
        _ => {}
    }
    let path = PathBuf::from(text);
    Ok(if text.ends_with('/') || path.is_dir() { Place::Folder(path) } else { Place::File(path) })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Folder(path) | Place::File(path) => write!(f, "{}", path.display()),
            Place::Note(name) => write!(f, "refs/notes/{name}"),
        }
    }
}

impl Place {
    /// Reads what the place has of a store. `project` is where git is asked.
    pub(crate) fn read(&self, origin: &[u8; 16], project: &Path) -> Result<Witnessed, CliError> {
        let found = match self {
            Place::File(path) => read_all(&text(path)?.unwrap_or_default())?,
            Place::Folder(folder) => of_folder(folder, origin)?,
            Place::Note(name) => {
                let notes = UserGit::of(project, false).notes(name)?;
                let mut found = Vec::new();
                for note in notes {
                    let note = String::from_utf8(note).map_err(|_| not_text(self.to_string()))?;
                    found.extend(read_all(&note)?);
                }
                found
            }
        };
        Ok(Witnessed::of(found, origin))
    }

    /// Refuses a place in the folder of the store: it would be no witness (WITNESS-1).
    pub(crate) fn outside_of(&self, store_folder: &Path) -> Result<(), CliError> {
        let (Place::Folder(path) | Place::File(path)) = self else { return Ok(()) };
        let (Ok(path), Ok(folder)) = (std::path::absolute(path), store_folder.canonicalize()) else { return Ok(()) };
        // What is not there yet lies where the nearest folder above it that is there does.
        let there = path.ancestors().find_map(|path| path.canonicalize().ok());
        match there.is_some_and(|there| there.starts_with(folder)) {
            true => Err(CliError::PlaceInside { place: self.to_string() }),
            false => Ok(()),
        }
    }

    /// Puts a checkpoint there, beside what is there.
    pub(crate) fn write(&self, origin: &[u8; 16], checkpoint: &Checkpoint, project: &Path) -> Result<(), CliError> {
        match self {
            Place::File(path) => {
                let failed = |source| CliError::File { doing: "write", path: path.clone(), source };
                let mut file = File::options().append(true).create(true).open(path).map_err(failed)?;
                let gap = if file.metadata().map_err(failed)?.len() > 0 { "\n" } else { "" };
                file.write_all(format!("{gap}{}", checkpoint.text).as_bytes()).map_err(failed)?;
                file.sync_all().map_err(failed)
            }
            Place::Folder(folder) => {
                let failed = |source| CliError::File { doing: "make", path: folder.clone(), source };
                std::fs::create_dir_all(folder).map_err(failed)?;
                let path = folder.join(name_of(origin, checkpoint.size));
                to_file(&path, false, |sink| sink.write_all(checkpoint.text.as_bytes()).map_err(CliError::Output))
            }
            Place::Note(name) => Ok(UserGit::of(project, false).add_note(name, &checkpoint.text)?),
        }
    }
}

fn name_of(origin: &[u8; 16], size: u64) -> String {
    format!("{}-{size:020}.checkpoint", hex(origin))
}

fn of_folder(folder: &Path, origin: &[u8; 16]) -> Result<Vec<Checkpoint>, CliError> {
    let failed = |source| CliError::File { doing: "read", path: folder.to_path_buf(), source };
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let (mut found, prefix) = (Vec::new(), format!("{}-", hex(origin)));
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with(&prefix) || !name.ends_with(".checkpoint") {
            continue;
        }
        let found_text = text(&entry.path()).map_err(|error| match error {
            CliError::NotRegular { .. } => {
                EvidenceError::Broken { law: "WITNESS-1", what: format!("{name} is no regular file") }.into()
            }
            error => error,
        });
        let checkpoint = Checkpoint::parse(&found_text?.unwrap_or_default())?;
        if checkpoint.origin() != Some(*origin) || name != name_of(origin, checkpoint.size) {
            let what = format!("{name} holds the checkpoint of another store or size");
            return Err(EvidenceError::Broken { law: "WITNESS-1", what }.into());
        }
        found.push(checkpoint);
    }
    Ok(found)
}

/// Reads a file; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    let file = match regular::open(path) {
        Err(CliError::File { source, .. }) if source.kind() == ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    String::from_utf8(bytes).map(Some).map_err(|_| not_text(path.display().to_string()))
}

fn not_text(place: String) -> CliError {
    EvidenceError::Broken { law: "WITNESS-1", what: format!("{place} is no text of checkpoints") }.into()
}
