//! A store as one file, and back.
//!
//! ```text
//! file   = "loom backup\n", format (LEB128), record*, end
//! record = 1, length (LEB128), row of a commit          in commit order
//!        | 2, length (LEB128), bytes of a blob          after the commit that it first came with
//! end    = 3, 72, number of events (8 bytes), root of their tree (32), hash over the records (32)
//! ```
//!
//! The hash over the records is `h = node(h, leaf(record))` from 32 zero bytes on, with the hashes of
//! [`loom_core::tree`]. A backup is one moment of the store and may be taken while others append. A restore believes
//! nothing: it checks every event, chain, blob and the tree, and whatever its caller checks beside that; the store
//! appears only when all of it holds (STORE-12).

use crate::FORMAT;
use crate::append::Append;
use crate::error::{AppendError, Damage, StoreError};
use crate::redaction::{Redaction, redactions};
use crate::redb::RedbStore;
use crate::row;
use crate::store::Store;
use loom_core::commit::Blob;
use loom_core::event::{Envelope, Recorded};
use loom_core::id::{Digest, EventHasher};
use loom_core::tree::{self, NodeHash};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const MAGIC: &[u8] = b"loom backup\n";
const COMMIT: u8 = 1;
const BLOB: u8 = 2;
const END: u8 = 3;
const END_BYTES: u64 = 72;
/// Longest record that is read into memory; no commit or blob comes near it.
const RECORD_MAX: u64 = 1 << 30;
/// Events that a restore appends at once.
const GROUP_EVENTS: u64 = 4096;

/// What a backup holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restored {
    /// Number of events.
    pub events: u64,
    /// Root of their tree.
    pub root: NodeHash,
}

/// Writes one moment of a store to a new file, durably.
pub fn backup(store: &dyn Store, file: &Path) -> Result<Restored, StoreError> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::AlreadyExists => StoreError::Exists(file.to_path_buf()),
        // Not the store's disk, or not the store's trouble: `Full` would speak of the store.
        _ => StoreError::Io { what: format!("{} cannot be written", file.display()), source: Arc::new(error) },
    };
    let folder = match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if file.exists() {
        return Err(StoreError::Exists(file.to_path_buf()));
    }
    let (events, root) = store.tree_head()?;
    let mut out =
        Writer { file: BufWriter::new(tempfile::NamedTempFile::new_in(folder).map_err(failed)?), hash: [0; 32] };
    let mut head = MAGIC.to_vec();
    row::put_varint(&mut head, FORMAT);
    out.file.write_all(&head).map_err(failed)?;

    // What is being erased goes into no backup.
    let redacted = redactions(store)?;
    let hasher = EventHasher::default();
    let mut commit: Vec<Recorded> = Vec::new();
    let mut outcome = Ok(());
    store.scan(0, &mut |position, bytes| {
        if position >= events {
            return ControlFlow::Break(());
        }
        commit.push(Recorded { id: hasher.id(bytes), bytes: bytes.to_vec() });
        outcome = whole_commit(&commit, position).and_then(|whole| match whole {
            false => Ok(()),
            true => {
                let written =
                    write_commit(store, &mut out, position + 1 - commit.len() as u64, &commit, &redacted, &failed);
                commit.clear();
                written
            }
        });
        if outcome.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    outcome?;

    let mut end = events.to_le_bytes().to_vec();
    end.extend_from_slice(&root);
    end.extend_from_slice(&out.hash);
    out.record(END, &end).map_err(failed)?;
    let written = out.file.into_inner().map_err(|error| failed(error.into_error()))?;
    written.as_file().sync_all().map_err(failed)?;
    written.persist_noclobber(file).map_err(|error| failed(error.error))?;
    crate::redb::sync_folder(folder)?;
    Ok(Restored { events, root })
}

/// Whether the events are a whole commit; the first one states how many it has.
fn whole_commit(events: &[Recorded], position: u64) -> Result<bool, StoreError> {
    let first = loom_core::event::View::read(&events[0].bytes);
    let first = first.map_err(|error| Damage::at(position, error.to_string()))?;
    Ok(first.count.is_some_and(|count| count == events.len() as u64))
}

fn write_commit(
    store: &dyn Store,
    out: &mut Writer,
    position: u64,
    commit: &[Recorded],
    redacted: &BTreeMap<Digest, Redaction>,
    failed: &impl Fn(io::Error) -> StoreError,
) -> Result<(), StoreError> {
    let bytes: Vec<&[u8]> = commit.iter().map(|event| event.bytes.as_slice()).collect();
    row::facts(commit.iter().map(|event| event.id).collect(), &bytes)
        .map_err(|unfit| row::place(position, &bytes, unfit))?;
    out.record(COMMIT, &row::encode(commit)).map_err(failed)?;
    for digest in store.carried(position)?.into_iter().filter(|digest| !redacted.contains_key(digest)) {
        let blob = store.blob(&digest)?;
        let blob = blob.ok_or_else(|| Damage::at(position, format!("blob {digest} is missing")))?;
        out.record(BLOB, &blob).map_err(failed)?;
    }
    Ok(())
}

struct Writer {
    file: BufWriter<tempfile::NamedTempFile>,
    hash: NodeHash,
}

impl Writer {
    fn record(&mut self, tag: u8, bytes: &[u8]) -> io::Result<()> {
        let mut head = vec![tag];
        row::put_varint(&mut head, bytes.len() as u64);
        self.hash = chain(&self.hash, tag, bytes);
        self.file.write_all(&head)?;
        self.file.write_all(bytes)
    }
}

fn chain(hash: &NodeHash, tag: u8, bytes: &[u8]) -> NodeHash {
    tree::node(hash, &tree::leaf_of(&[&[tag], bytes].concat()))
}

/// Makes a store from a backup, in a folder that has none.
///
/// `check` sees the whole store before it has its name: the laws between events that this room does not know. When it
/// or anything before it fails, the folder is as it was.
pub fn restore<E: From<StoreError>>(
    file: &Path,
    dir: &Path,
    check: impl FnOnce(&dyn Store) -> Result<(), E>,
) -> Result<Restored, E> {
    let opened =
        File::open(file).map_err(|error| StoreError::io(format!("{} cannot be read", file.display()), error))?;
    let mut reader = Reader { file: BufReader::new(opened), path: file, hash: [0; 32] };
    reader.head()?;
    let before = Before::of(dir);
    // From here on the unfinished store's lock keeps everybody else out of the folder.
    let store = RedbStore::begin(dir)?;
    let refilled = refill(&mut reader, &store).map_err(E::from);
    match refilled.and_then(|restored| check(&store).map(|()| restored)) {
        Ok(restored) => {
            store.finish()?;
            Ok(restored)
        }
        Err(error) => {
            drop(store);
            before.again();
            Err(error)
        }
    }
}

/// What stood in a folder before a store was begun in it.
struct Before<'d> {
    dir: &'d Path,
    /// Names in it and in its folder of blobs.
    names: BTreeSet<PathBuf>,
}

impl<'d> Before<'d> {
    fn of(dir: &'d Path) -> Self {
        Before { dir, names: names(dir).collect() }
    }

    /// Removes what was added. Best effort: what cannot be removed is begun anew by the next restore.
    fn again(self) {
        for path in names(self.dir).filter(|path| !self.names.contains(path)) {
            let _gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
        // A folder that has something else in it stays.
        if self.names.is_empty() {
            let _kept = fs::remove_dir(self.dir);
        }
    }
}

/// Returns the paths of what is in a store's folder: its own, those in it, and those of its blobs.
fn names(dir: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let within = |folder: PathBuf| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let own = dir.exists().then(|| dir.to_path_buf());
    own.into_iter().chain(within(dir.to_path_buf())).chain(within(crate::redb::blobs_in(dir)))
}

fn refill(reader: &mut Reader<'_>, store: &RedbStore) -> Result<Restored, StoreError> {
    let hasher = EventHasher::default();
    let (mut group, mut position, mut waiting) = (Vec::new(), 0, 0);
    loop {
        let before = reader.hash;
        match reader.record()? {
            (COMMIT, bytes) => {
                if waiting >= GROUP_EVENTS {
                    put(store, std::mem::take(&mut group), position - waiting)?;
                    waiting = 0;
                }
                let commit = checked(&bytes, position, &hasher)?;
                waiting += commit.facts.count();
                position += commit.facts.count();
                group.push(commit);
            }
            (BLOB, bytes) => match group.last_mut() {
                Some(commit) => commit.blobs.push(Blob::stored(bytes)),
                None => return Err(reader.bad("a blob comes before any commit")),
            },
            (END, bytes) => {
                put(store, group, position - waiting)?;
                let (size, root) = store.tree_head()?;
                let due = [&size.to_le_bytes()[..], &root, &before].concat();
                return if bytes != due {
                    Err(reader.bad("its end does not match what comes before"))
                } else if reader.more()? {
                    Err(reader.bad("bytes follow its end"))
                } else {
                    Ok(Restored { events: size, root })
                };
            }
            (tag, _) => return Err(reader.bad(&format!("there is no record {tag}"))),
        }
    }
}

/// Reads a commit's row as strictly as a kernel would: every value of every event.
fn checked(row: &[u8], position: u64, hasher: &EventHasher) -> Result<Append, StoreError> {
    let (facts, events) = row::verify(position, row, hasher)?;
    for (offset, bytes) in events.iter().enumerate() {
        Envelope::decode(bytes).map_err(|error| Damage {
            position: Some(position + offset as u64),
            stream: Some(facts.stream),
            sequence: Some(facts.expected.next + offset as u64),
            what: error.to_string(),
        })?;
    }
    Ok(Append { facts, row: row.to_vec(), blobs: Vec::new() })
}

fn put(store: &RedbStore, commits: Vec<Append>, mut position: u64) -> Result<(), StoreError> {
    let counts: Vec<u64> = commits.iter().map(|commit| commit.facts.count()).collect();
    for (answer, count) in store.append(commits).into_iter().zip(counts) {
        match answer {
            Ok(_) => position += count,
            Err(AppendError::Store(error)) => return Err(error),
            Err(AppendError::HeadMoved { stream, expected, .. }) => {
                return Err(StoreError::Damaged(Damage {
                    position: Some(position),
                    stream: Some(stream),
                    sequence: Some(expected.next),
                    what: String::from("the commit does not follow the one before it (CHAIN-1)"),
                }));
            }
        }
    }
    Ok(())
}

struct Reader<'p> {
    file: BufReader<File>,
    path: &'p Path,
    hash: NodeHash,
}

impl Reader<'_> {
    fn bad(&self, what: &str) -> StoreError {
        Damage::of(format!("{}: {what}", self.path.display())).into()
    }

    fn cut(&self, error: io::Error) -> StoreError {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.bad("it ends too early"),
            _ => StoreError::io(format!("{} cannot be read", self.path.display()), error),
        }
    }

    fn head(&mut self) -> Result<(), StoreError> {
        let mut magic = [0; MAGIC.len()];
        self.file.read_exact(&mut magic).map_err(|error| self.cut(error))?;
        if magic != MAGIC {
            return Err(self.bad("it is not a backup"));
        }
        match self.varint()? {
            found if found > FORMAT => Err(StoreError::Newer { found, known: FORMAT }),
            _ => Ok(()),
        }
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        let mut byte = [0];
        self.file.read_exact(&mut byte).map_err(|error| self.cut(error))?;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, StoreError> {
        let mut bytes = Vec::new();
        loop {
            bytes.push(self.byte()?);
            if bytes[bytes.len() - 1] & 0x80 == 0 || bytes.len() > 9 {
                return row::take_varint(&mut bytes.as_slice()).ok_or_else(|| self.bad("a length cannot be read"));
            }
        }
    }

    /// Reads a record; its length is believed only as far as bytes come.
    fn record(&mut self) -> Result<(u8, Vec<u8>), StoreError> {
        let tag = self.byte()?;
        let length = self.varint()?;
        if length > RECORD_MAX || (tag == END && length != END_BYTES) {
            return Err(self.bad("a record has an impossible length"));
        }
        let mut bytes = Vec::new();
        self.file.by_ref().take(length).read_to_end(&mut bytes).map_err(|error| self.cut(error))?;
        if (bytes.len() as u64) < length {
            return Err(self.bad("it ends too early"));
        }
        self.hash = chain(&self.hash, tag, &bytes);
        Ok((tag, bytes))
    }

    fn more(&mut self) -> Result<bool, StoreError> {
        Ok(self.file.read(&mut [0]).map_err(|error| self.cut(error))? > 0)
    }
}
