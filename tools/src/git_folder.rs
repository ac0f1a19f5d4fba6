//! Writes git folders by hand, so that their whole configuration is known.
//!
//! Relies on gitrepository-layout(5). `git init` would add templates and hooks of the machine it runs on.
//! Never: copies a line of anybody's configuration.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::{Error, file};
use crate::object_id::{CommitId, ObjectFormat};

/// Overrides the attributes of every tree: files are their bytes. `diff` and `merge` are left to git's own judgement of
/// the content, since unset they would mean "binary".
const ATTRIBUTES: &str = "* -text !eol -filter -ident !working-tree-encoding !diff !merge !export-subst\n";

/// Who works in a git folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// We do; the work tree is named at each call.
    Loom,
    /// An agent does, in the folder that holds this one. We never read it again.
    Agent,
}

/// Writes a git folder without objects and refs. `head` is the text of `HEAD` without its newline.
pub(crate) fn write(folder: &Path, whose: For, format: ObjectFormat, head: &[u8]) -> Result<(), Error> {
    for inner in ["info", "objects/info", "objects/pack", "refs/heads"] {
        let path = folder.join(inner);
        fs::create_dir_all(&path).map_err(file("create", &path))?;
    }
    write_file(&folder.join("HEAD"), &[head, b"\n"].concat())?;
    write_file(&folder.join("config"), config(whose, format).as_bytes())?;
    match whose {
        For::Loom => write_file(&folder.join("info/attributes"), ATTRIBUTES.as_bytes()),
        For::Agent => Ok(()),
    }
}

/// Lets the git folder read the objects of another store.
pub(crate) fn borrow_objects(folder: &Path, objects: &Path) -> Result<(), Error> {
    let mut line = quote(objects);
    line.push(b'\n');
    let place = folder.join("objects/info/alternates");
    if fs::read(&place).is_ok_and(|found| found == line) { Ok(()) } else { write_file(&place, &line) }
}

/// Points a branch to a commit in a git folder that nobody else uses yet.
pub(crate) fn write_branch(folder: &Path, name: &str, commit: CommitId) -> Result<(), Error> {
    write_file(&folder.join("refs/heads").join(name), format!("{commit}\n").as_bytes())
}

/// Copies a file if it is there.
pub(crate) fn copy_if_present(from: &Path, to: &Path) -> Result<(), Error> {
    match fs::copy(from, to) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(file("copy", from)(error)),
        _ => Ok(()),
    }
}

/// Makes a folder's entries durable: what was renamed into it stays.
pub(crate) fn sync_folder(folder: &Path) -> Result<(), Error> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(file("sync", folder))
}

pub(crate) fn write_file(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    fs::write(path, bytes).map_err(file("write", path))
}

fn config(whose: For, format: ObjectFormat) -> String {
    let whose = match whose {
        For::Loom => format!(
            "bare = true\n\tfileMode = true\n\tsymlinks = true\n\tignoreCase = false\n\tprecomposeUnicode = false\n\
             \tautocrlf = false\n\tlogAllRefUpdates = false\n\tprotectNTFS = false\n\tprotectHFS = {}\n",
            cfg!(target_os = "macos")
        ),
        For::Agent => "bare = false\n[user]\n\tname = agent\n\temail = agent@loom.invalid\n".to_owned(),
    };
    format!("[core]\n\trepositoryFormatVersion = 1\n\t{whose}[extensions]\n\tobjectFormat = {}\n", format.name())
}

/// Quotes a path as git does in C style, for lists of object folders: lines, or parted by colons.
pub(crate) fn quote(path: &Path) -> Vec<u8> {
    let mut quoted = vec![b'"'];
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend([b'\\', byte]),
            b'\n' => quoted.extend(b"\\n"),
            _ => quoted.push(byte),
        }
    }
    quoted.push(b'"');
    quoted
}

/// Reads a path of such a list; one that does not begin with a quotation mark stands for itself.
pub(crate) fn unquote(line: &[u8]) -> Vec<u8> {
    let Some(quoted) = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) else { return line.to_vec() };
    let mut path = Vec::with_capacity(quoted.len());
    let mut bytes = quoted.iter().copied();
    while let Some(byte) = bytes.next() {
        path.push(match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => b'\n',
                Some(b't') => b'\t',
                Some(escaped) => escaped,
                None => byte,
            },
            _ => byte,
        });
    }
    path
}
