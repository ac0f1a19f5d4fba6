//! Bytes on their way into and out of a child.
//!
//! Relies on every pipe being non-blocking. Never: keeps more of an output than was asked for.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use crate::process::Capture;

const READ_BYTES: usize = 64 * 1024;
/// More than any report of a fence has.
const REPORT_BYTES_MAX: usize = 4096;

/// Bytes on their way into the child.
pub(crate) struct Feed {
    pub(crate) pipe: File,
    bytes: Vec<u8>,
    written: usize,
    /// A guard reads a length first and takes the end of the pipe for our end.
    stays_open: bool,
}

/// What a guard tells of a fence: one line.
#[derive(Default)]
pub(crate) struct Report {
    pub(crate) bytes: Vec<u8>,
    is_whole: bool,
}

impl Report {
    pub(crate) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// Takes what is there.
    pub(crate) fn read(&mut self, feed: &mut Feed) {
        let mut buffer = [0; REPORT_BYTES_MAX];
        while !self.is_whole {
            match feed.pipe.read(&mut buffer) {
                Ok(0) => self.is_whole = true,
                Ok(count) => {
                    self.bytes.extend_from_slice(&buffer[..count]);
                    self.is_whole = self.bytes.contains(&b'\n') || self.bytes.len() > REPORT_BYTES_MAX;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_whole = error.kind() != ErrorKind::WouldBlock;
                    return;
                }
            }
        }
    }
}

impl Feed {
    pub(crate) fn new(pipe: impl Into<OwnedFd>, stdin: &[u8], guarded: bool) -> Self {
        let mut bytes = Vec::with_capacity(stdin.len() + 8);
        if guarded {
            bytes.extend_from_slice(&(stdin.len() as u64).to_le_bytes());
        }
        bytes.extend_from_slice(stdin);
        Self { pipe: File::from(pipe.into()), bytes, written: 0, stays_open: guarded }
    }

    /// Writes no more of it.
    pub(crate) fn give_up(&mut self) {
        self.written = self.bytes.len();
    }

    pub(crate) fn is_done(&self) -> bool {
        self.written == self.bytes.len()
    }

    /// Returns whether the pipe is still wanted. A child that does not read its input is within its rights.
    pub(crate) fn write(&mut self) -> bool {
        match self.pipe.write(&self.bytes[self.written..]) {
            Ok(count) => {
                self.written += count;
                self.stays_open || !self.is_done()
            }
            Err(error) => matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}

/// An output stream on its way in.
pub(crate) struct Stream<P> {
    pub(crate) pipe: Option<P>,
    pub(crate) kept: Kept,
}

impl<P: Read> Stream<P> {
    pub(crate) fn new(pipe: Option<P>, bytes_max: usize) -> Self {
        Self { pipe, kept: Kept::new(bytes_max) }
    }

    pub(crate) fn read(&mut self, heard: &mut dyn FnMut(&[u8])) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; READ_BYTES];
        match pipe.read(&mut buffer) {
            Ok(0) => self.pipe = None,
            Ok(count) => {
                self.kept.push(&buffer[..count]);
                heard(&buffer[..count]);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(_) => self.pipe = None,
        }
    }
}

/// Invariant: `head.len() <= head_max`, `tail.len() <= tail_max`, `head_max + tail_max == bytes_max`.
pub(crate) struct Kept {
    head: Vec<u8>,
    head_max: usize,
    tail: VecDeque<u8>,
    tail_max: usize,
    dropped: u64,
}

impl Kept {
    fn new(bytes_max: usize) -> Self {
        let tail_max = bytes_max / 2;
        Self { head: Vec::new(), head_max: bytes_max - tail_max, tail: VecDeque::new(), tail_max, dropped: 0 }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, rest) = bytes.split_at(bytes.len().min(self.head_max - self.head.len()));
        self.head.extend_from_slice(head);
        let over = (self.tail.len() + rest.len()).saturating_sub(self.tail_max);
        let old = over.min(self.tail.len());
        self.tail.drain(..old);
        self.tail.extend(&rest[over - old..]);
        self.dropped += over as u64;
    }

    pub(crate) fn finish(&mut self) -> Capture {
        Capture {
            head: std::mem::take(&mut self.head),
            dropped_bytes: self.dropped,
            tail: std::mem::take(&mut self.tail).into(),
        }
    }
}
