//! A database file that is only read: what redb writes to repair it stays in memory.
//!
//! Locks are those of the file, taken as a reader takes them: beside other readers, never beside a writer.

use redb::backends::FileBackend;
use redb::{BackendError, DatabaseError, StorageBackend};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is written is kept in blocks of so many bytes.
const BLOCK: u64 = 4096;

#[derive(Debug)]
pub(super) struct Overlay {
    file: FileBackend,
    written: Mutex<Written>,
}

/// What differs from the file.
#[derive(Debug)]
struct Written {
    len: u64,
    /// Bytes of the file from here on count no more.
    file_len: u64,
    blocks: BTreeMap<u64, Box<[u8]>>,
}

impl Overlay {
    pub(super) fn over(path: &Path) -> Result<Self, DatabaseError> {
        let file = File::open(path).map_err(|error| DatabaseError::Storage(error.into()))?;
        let file = FileBackend::new(file)?;
        let len = file.len().map_err(|error| DatabaseError::Storage(error.into()))?;
        Ok(Overlay { file, written: Mutex::new(Written { len, file_len: len, blocks: BTreeMap::new() }) })
    }

    fn written(&self) -> MutexGuard<'_, Written> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a block as it was before anything of it was written.
    fn block(&self, number: u64, file_len: u64) -> io::Result<Box<[u8]>> {
        let mut block = vec![0; BLOCK as usize].into_boxed_slice();
        let start = number * BLOCK;
        let there = file_len.saturating_sub(start).min(BLOCK) as usize;
        if there > 0 {
            self.file.read(start, &mut block[..there])?;
        }
        Ok(block)
    }
}

/// Returns the blocks that a stretch touches: number, place in the block, place in the stretch, bytes.
fn pieces(offset: u64, length: usize) -> impl Iterator<Item = (u64, usize, usize, usize)> {
    let mut done = 0;
    std::iter::from_fn(move || {
        let at = offset + done as u64;
        let (number, from) = (at / BLOCK, (at % BLOCK) as usize);
        let bytes = (length - done).min(BLOCK as usize - from);
        let piece = (number, from, done, bytes);
        done += bytes;
        (bytes > 0).then_some(piece)
    })
}

impl StorageBackend for Overlay {
    fn len(&self) -> io::Result<u64> {
        Ok(self.written().len)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let written = self.written();
        if offset.checked_add(out.len() as u64).is_none_or(|end| end > written.len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let in_file = written.file_len.saturating_sub(offset).min(out.len() as u64) as usize;
        out[in_file..].fill(0);
        if in_file > 0 {
            self.file.read(offset, &mut out[..in_file])?;
        }
        for (number, from, to, bytes) in pieces(offset, out.len()) {
            if let Some(block) = written.blocks.get(&number) {
                out[to..to + bytes].copy_from_slice(&block[from..from + bytes]);
            }
        }
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut written = self.written();
        written.len = len;
        written.file_len = written.file_len.min(len);
        // What comes back after a cut comes back as zeros.
        written.blocks.retain(|number, block| {
            let keep = len.saturating_sub(number * BLOCK).min(BLOCK) as usize;
            block[keep..].fill(0);
            keep > 0
        });
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut written = self.written();
        let file_len = written.file_len;
        for (number, from, to, bytes) in pieces(offset, data.len()) {
            let block = match written.blocks.entry(number) {
                Entry::Occupied(block) => block.into_mut(),
                Entry::Vacant(place) => place.insert(self.block(number, file_len)?),
            };
            block[from..from + bytes].copy_from_slice(&data[to..to + bytes]);
        }
        written.len = written.len.max(offset + data.len() as u64);
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.try_lock_shared_range(start, end)
    }

    fn try_lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        // Of the ranges that redb takes to write, this is the one that readers share. Another announces a writer.
        if is_shared(end) { self.file.try_lock_shared_range(start, end) } else { Ok(true) }
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        if is_shared(end) { self.file.unlock_range(start, end) } else { Ok(()) }
    }

    fn query_lock_range(&self, _: Bound<u64>, _: Bound<u64>) -> Result<bool, BackendError> {
        Ok(false)
    }
}

/// Whether a range of locks is the one without end.
fn is_shared(end: Bound<u64>) -> bool {
    end == Bound::Unbounded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file and its overlay answer alike to the same writes and cuts, and the file stays as it was.
    #[test]
    fn reads_as_if_it_had_been_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let before: Vec<u8> = (0..10_000u32).map(|n| n as u8).collect();
        std::fs::write(&path, &before).unwrap();
        let overlay = Overlay::over(&path).unwrap();
        let mut model = before.clone();
        let steps =
            [(Some(4090), 20), (Some(0), 1), (None, 9_000), (None, 20_000), (Some(15_000), 5_000), (None, 8_192)];
        for (offset, size) in steps {
            match offset {
                Some(offset) => {
                    let data = vec![0xee; size];
                    overlay.write(offset as u64, &data).unwrap();
                    model[offset..offset + size].copy_from_slice(&data);
                }
                None => {
                    overlay.set_len(size as u64).unwrap();
                    model.resize(size, 0);
                }
            }
            assert_eq!(overlay.len().unwrap(), model.len() as u64);
            for (from, to) in [(0, model.len()), (4_000, 4_200), (8_191, 8_192)] {
                let mut out = vec![1; to - from];
                overlay.read(from as u64, &mut out).unwrap();
                assert!(out == model[from..to], "{offset:?} {size} {from}..{to}");
            }
        }
        assert!(overlay.read(8_192, &mut [0]).is_err());
        drop(overlay);
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}
