//! Names the content of files, links and trees as git does, without git.
//!
//! A blob's name is the hash of `blob `, its length in decimal digits, a zero byte and its bytes: files are their bytes,
//! as `git_folder.rs` has it; likewise a tree's. SHA-1 is computed with the detection of collisions that git has, so that a file which was
//! made to collide with another one is not taken for it.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{self, Error, ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use sha2::{Digest, Sha256};

use crate::object_id::{EntryId, ObjectFormat};

/// Bytes read at once.
pub(crate) const CHUNK_BYTES: usize = 64 * 1024;

/// Names an object, whose header and content it is shown.
pub(crate) enum Hasher {
    Sha1(Box<sha1_checked::Sha1>),
    Sha256(Sha256),
}

impl Hasher {
    pub(crate) fn of(format: ObjectFormat) -> Self {
        match format {
            ObjectFormat::Sha1 => Self::Sha1(Box::default()),
            ObjectFormat::Sha256 => Self::Sha256(Sha256::new()),
        }
    }

    /// Begins with the header of an object of a kind, with content of so many bytes.
    fn of_kind(format: ObjectFormat, kind: &str, bytes: u64) -> Self {
        let mut hasher = Self::of(format);
        hasher.update(format!("{kind} {bytes}\0").as_bytes());
        hasher
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha1(hasher) => sha1_checked::Digest::update(hasher.as_mut(), bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> io::Result<EntryId> {
        match self {
            Self::Sha1(hasher) => {
                let found = hasher.try_finalize();
                if found.has_collision() {
                    return Err(Error::new(ErrorKind::InvalidData, "it is one of two files made to have one SHA-1"));
                }
                Ok(EntryId::sha1((*found.hash()).into()))
            }
            Self::Sha256(hasher) => Ok(EntryId::sha256(hasher.finalize().into())),
        }
    }
}

/// Opens a file to read it; a link in its place is an error.
pub(crate) fn open_file(place: &Path) -> io::Result<File> {
    // What was a file a moment ago and is a pipe now must not hold us.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags).unwrap_or_default()).open(place)
}

/// Returns the name of a file's content; a link in its place is an error.
pub(crate) fn of_file(format: ObjectFormat, place: &Path) -> io::Result<EntryId> {
    let mut file = open_file(place)?;
    let bytes = file.metadata()?.len();
    let mut hasher = Hasher::of_kind(format, "blob", bytes);
    let mut chunk = vec![0; usize::try_from(bytes).unwrap_or(CHUNK_BYTES).clamp(1, CHUNK_BYTES)];
    let mut left = bytes;
    while left > 0 {
        let read = file.read(&mut chunk)?;
        // Grown or shrunk since: nobody else should be working here.
        left = left.checked_sub(read as u64).filter(|_| read > 0).ok_or(ErrorKind::UnexpectedEof)?;
        hasher.update(&chunk[..read]);
    }
    hasher.finish()
}

/// Returns the name of a tree that is encoded so.
pub(crate) fn of_tree(format: ObjectFormat, bytes: &[u8]) -> io::Result<EntryId> {
    let mut hasher = Hasher::of_kind(format, "tree", bytes.len() as u64);
    hasher.update(bytes);
    hasher.finish()
}

/// Returns the name of where a link points to.
pub(crate) fn of_link(format: ObjectFormat, target: &OsStr) -> io::Result<EntryId> {
    let target = target.as_bytes();
    let mut hasher = Hasher::of_kind(format, "blob", target.len() as u64);
    hasher.update(target);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `git hash-object` says of the same bytes.
    #[test]
    fn names_are_those_of_git() {
        let folder = tempfile::tempdir().unwrap();
        let long = vec![b'a'; CHUNK_BYTES + 1];
        let known: [(&[u8], &str, &str); 3] = [
            (
                b"",
                "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
                "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
            ),
            (
                b"read me\n",
                "d9b401251bb36c51ca5c56c2ffc8a24a78ff20ae",
                "6449cb54f15b04f009437e55eed5cce873f68c280e8d7e9ed767f312c00e25c7",
            ),
            (
                &long,
                "3572bb4e964afa1c536e435fc22a523c7bbded4d",
                "843f5f86782630e345fc73e0c600feb0aec786d34cfe251e1d5d0cc1cbada4f7",
            ),
        ];
        for (bytes, sha1, sha256) in known {
            let place = folder.path().join("file");
            std::fs::write(&place, bytes).unwrap();
            for (format, name) in [(ObjectFormat::Sha1, sha1), (ObjectFormat::Sha256, sha256)] {
                assert_eq!(of_file(format, &place).unwrap().to_string(), name);
                assert_eq!(of_link(format, OsStr::from_bytes(bytes)).unwrap().to_string(), name);
            }
        }
    }

    #[test]
    fn a_link_or_a_pipe_in_a_files_place_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        assert!(of_file(ObjectFormat::Sha1, &link).is_err());
        let pipe = folder.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        // Nobody writes to it, so it is empty, and nobody waits.
        assert_eq!(of_file(ObjectFormat::Sha1, &pipe).unwrap(), of_link(ObjectFormat::Sha1, OsStr::new("")).unwrap());
    }
}
