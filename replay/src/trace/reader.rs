//! Canonical items of bounded length, read from a stream of bytes.

use super::{BLOB, BLOB_BYTES_MAX, END, EVENT, EVENT_BYTES_MAX, FORMAT, HEADER, MAGIC, TRACE_CONTEXT, io};
use crate::error::{Bad, ReplayError};
use loom_core::commit::Blob;
use loom_core::event::View;
use loom_core::id::{BLOB_CONTEXT, Digest, StreamId};
use std::io::Read;

/// Bytes of a blob that are read at a time where it is only named.
const PART: u64 = 64 << 10;

pub(super) fn damaged(offset: u64, what: impl Into<String>) -> ReplayError {
    ReplayError::Damaged(Bad { offset: Some(offset), ..Bad::of(what) })
}

/// Reads canonical items of bounded length from a stream of bytes.
pub(super) struct Reader<'r> {
    input: &'r mut dyn Read,
    pub(super) hasher: blake3::Hasher,
    pub(super) offset: u64,
}

impl<'r> Reader<'r> {
    pub(super) fn new(input: &'r mut dyn Read) -> Self {
        Reader { input, hasher: blake3::Hasher::new_derive_key(TRACE_CONTEXT), offset: 0 }
    }

    pub(super) fn header(&mut self) -> Result<([u8; 16], StreamId, bool), ReplayError> {
        let magic = self.take(MAGIC.len() as u64).map_err(|error| match error {
            ReplayError::Damaged(_) => ReplayError::NotATrace,
            error => error,
        })?;
        if magic != MAGIC {
            return Err(ReplayError::NotATrace);
        }
        let start = self.offset;
        let items = self.array()?;
        if self.uint()? != HEADER || items < 2 {
            return Err(damaged(start, "the header is missing (TRACE-8)"));
        }
        let found = self.uint()?;
        if found > FORMAT {
            return Err(ReplayError::Newer { found, known: FORMAT });
        }
        if found == 0 || items != 5 {
            return Err(damaged(start, "the header is not one of this format (TRACE-8)"));
        }
        Ok((self.array_of()?, StreamId(self.array_of()?), self.bool()?))
    }

    /// Reads `length` bytes; a declared length allocates nothing that is not there.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, ReplayError> {
        let mut bytes = Vec::new();
        let read = self.input.take(length).read_to_end(&mut bytes).map_err(io("read"))?;
        if (read as u64) < length {
            let bad =
                Bad { offset: Some(self.offset + read as u64), ..Bad::of("the file ends inside the run (TRACE-2)") };
            return Err(ReplayError::Damaged(bad.cut()));
        }
        self.hasher.update(&bytes);
        self.offset += length;
        Ok(bytes)
    }

    /// Reads a blob of at most `max` bytes and names it; returns its bytes where they are no more than `keep`.
    pub(super) fn blob(&mut self, max: u64, keep: u64) -> Result<(Digest, Option<Vec<u8>>), ReplayError> {
        let length = self.length(max)?;
        if length <= keep {
            let blob = Blob::stored(self.take(length)?);
            return Ok((blob.digest, Some(blob.bytes)));
        }
        let mut hasher = blake3::Hasher::new_derive_key(BLOB_CONTEXT);
        let mut left = length;
        while left > 0 {
            let part = self.take(left.min(PART))?;
            hasher.update(&part);
            left -= part.len() as u64;
        }
        Ok((Digest(*hasher.finalize().as_bytes()), None))
    }

    fn byte(&mut self) -> Result<u8, ReplayError> {
        Ok(self.take(1)?[0])
    }

    fn head(&mut self, major: u8, what: &'static str) -> Result<u64, ReplayError> {
        let start = self.offset;
        let first = self.byte()?;
        let (width, floor) = match first & 0x1f {
            small @ 0..=23 if first >> 5 == major => return Ok(u64::from(small)),
            24 => (1, 24),
            25 => (2, 0x100),
            26 => (4, 0x1_0000),
            27 => (8, 0x1_0000_0000),
            _ => return Err(damaged(start, format!("there is no {what} here (TRACE-8)"))),
        };
        let value = self.take(width)?.iter().fold(0, |value, byte| (value << 8) | u64::from(*byte));
        if first >> 5 != major || value < floor {
            return Err(damaged(start, format!("there is no canonical {what} here (TRACE-8)")));
        }
        Ok(value)
    }

    pub(super) fn uint(&mut self) -> Result<u64, ReplayError> {
        self.head(0, "unsigned integer")
    }

    pub(super) fn array(&mut self) -> Result<u64, ReplayError> {
        self.head(4, "item")
    }

    fn bool(&mut self) -> Result<bool, ReplayError> {
        let start = self.offset;
        match self.byte()? {
            0xf4 => Ok(false),
            0xf5 => Ok(true),
            _ => Err(damaged(start, "there is no boolean here (TRACE-8)")),
        }
    }

    pub(super) fn bytes(&mut self, max: u64) -> Result<Vec<u8>, ReplayError> {
        let length = self.length(max)?;
        self.take(length)
    }

    /// Reads the head of a byte string of at most `max` bytes.
    fn length(&mut self, max: u64) -> Result<u64, ReplayError> {
        let start = self.offset;
        let length = self.head(2, "byte string")?;
        if length > max {
            return Err(damaged(start, format!("{length} bytes are more than the {max} that may be here (TRACE-5)")));
        }
        Ok(length)
    }

    pub(super) fn array_of<const N: usize>(&mut self) -> Result<[u8; N], ReplayError> {
        let start = self.offset;
        self.bytes(N as u64)?.try_into().map_err(|_| damaged(start, format!("there are not {N} bytes here (TRACE-8)")))
    }

    /// Tells an event of a newer Loom from a damaged one: the end item vouches for what is not damaged.
    pub(super) fn wrong(&mut self, offset: u64, bytes: &[u8], sequence: u64, bad: Bad) -> ReplayError {
        match View::read(bytes) {
            Err(source) if source.is_newer() && self.ends_well() => ReplayError::NewerEvent { sequence, source },
            Ok(_) | Err(_) => ReplayError::Damaged(Bad { position: None, offset: Some(offset), ..bad }),
        }
    }

    /// Whether the rest of the file leads to an end item whose digest is that of the file (TRACE-3).
    fn ends_well(&mut self) -> bool {
        let mut digest = || -> Result<bool, ReplayError> {
            loop {
                let so_far = self.hasher.finalize();
                match (self.array()?, self.uint()?) {
                    (2, BLOB) => drop(self.blob(BLOB_BYTES_MAX, 0)?),
                    (2, EVENT) => drop(self.bytes(EVENT_BYTES_MAX)?),
                    (5, END) => {
                        let _counts = (self.uint()?, self.uint()?);
                        let _last: [u8; 32] = self.array_of()?;
                        return Ok(self.array_of()? == *so_far.as_bytes());
                    }
                    _ => return Ok(false),
                }
            }
        };
        digest().unwrap_or(false)
    }

    pub(super) fn end(&mut self) -> Result<(), ReplayError> {
        let mut rest = [0];
        match self.input.read(&mut rest).map_err(io("read"))? {
            0 => Ok(()),
            _ => Err(damaged(self.offset, "bytes follow the end of the trace (TRACE-2)")),
        }
    }
}
