//! Canonical CBOR: RFC 8949 section 4.2.1, narrowed to what an event may hold.
//!
//! The data model is unsigned integers, byte strings, text strings, booleans, arrays and maps with ascending
//! unsigned integer keys. Floats, tags, null, negative integers and indefinite lengths do not exist (CBOR-1).
//! The reader refuses every encoding the writer would not have produced (CBOR-2); a declared length never
//! causes an allocation by itself (CBOR-3).

use alloc::string::String;
use alloc::vec::Vec;

/// What is wrong with bytes that should be canonical, and where (byte offset from the start of the input).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct CborError {
    /// Offset of the first byte of the item that is wrong.
    pub offset: usize,
    /// What is wrong with it.
    pub problem: Problem,
}

/// The ways in which bytes can fail to be canonical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The input ends inside an item.
    #[error("the bytes end inside an item (CBOR-2)")]
    Truncated,
    /// An integer or length is not in its shortest form.
    #[error("a length or integer is not in its shortest form (CBOR-2)")]
    NotShortest,
    /// A float, tag, null, negative integer or indefinite length.
    #[error("the item is of a type that does not occur in events (CBOR-1)")]
    Foreign,
    /// Another type was expected here (SCHEMA-4).
    #[error("the item is not a {0}")]
    Expected(&'static str),
    /// Text that is not UTF-8.
    #[error("the text is not UTF-8 (CBOR-2)")]
    Utf8,
    /// Map keys that do not ascend.
    #[error("map keys do not ascend (CBOR-2)")]
    KeyOrder,
    /// A key that the schema does not have (SCHEMA-3).
    #[error("key {0} is not in the schema")]
    UnknownKey(u64),
    /// A key that the schema requires (SCHEMA-3).
    #[error("key {0} is missing")]
    MissingKey(u64),
    /// A value outside of its declared range or vocabulary (SCHEMA-4).
    #[error("the value of key {0} is outside of its range or vocabulary")]
    Range(u64),
    /// Bytes after the end of the item.
    #[error("bytes follow the item (CBOR-2)")]
    Trailing,
    /// Nesting deeper than [`DEPTH_MAX`].
    #[error("nesting is too deep (CBOR-3)")]
    Depth,
}

/// Deepest nesting a reader follows.
pub const DEPTH_MAX: usize = 16;

const UINT: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const SIMPLE: u8 = 7;
const FALSE: u8 = 20;
const TRUE: u8 = 21;
/// Major types that do not occur: negative integers and tags (CBOR-1).
const FOREIGN: [u8; 2] = [1, 6];

/// Writes canonical items one after the other.
#[derive(Debug, Default)]
pub struct Encoder {
    out: Vec<u8>,
}

impl Encoder {
    /// Returns an encoder with room for `capacity` bytes.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { out: Vec::with_capacity(capacity) }
    }

    /// Returns what was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        match value {
            0..=23 => self.out.push(major | value as u8),
            24..=0xff => self.out.extend_from_slice(&[major | 24, value as u8]),
            0x100..=0xffff => {
                self.out.push(major | 25);
                self.out.extend_from_slice(&(value as u16).to_be_bytes());
            }
            0x1_0000..=0xffff_ffff => {
                self.out.push(major | 26);
                self.out.extend_from_slice(&(value as u32).to_be_bytes());
            }
            _ => {
                self.out.push(major | 27);
                self.out.extend_from_slice(&value.to_be_bytes());
            }
        }
    }

    /// Writes an unsigned integer.
    pub fn uint(&mut self, value: u64) {
        self.head(UINT, value);
    }

    /// Writes a byte string.
    pub fn bytes(&mut self, value: &[u8]) {
        self.head(BYTES, value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// Writes a text string.
    pub fn text(&mut self, value: &str) {
        self.head(TEXT, value.len() as u64);
        self.out.extend_from_slice(value.as_bytes());
    }

    /// Writes a boolean.
    pub fn bool(&mut self, value: bool) {
        self.out.push((SIMPLE << 5) | if value { TRUE } else { FALSE });
    }

    /// Opens an array of `items` items; the caller writes exactly so many.
    pub fn array(&mut self, items: usize) {
        self.head(ARRAY, items as u64);
    }

    /// Opens a map of `entries` entries; the caller writes keys in ascending order.
    pub fn map(&mut self, entries: usize) {
        self.head(MAP, entries as u64);
    }

    /// Appends an item that is canonical already.
    pub fn raw(&mut self, item: &[u8]) {
        self.out.extend_from_slice(item);
    }
}

/// Reads canonical items one after the other and refuses all others.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    input: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Returns a decoder at the first byte of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, at: 0 }
    }

    /// Returns the offset of the next unread byte.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// Returns an error of this place.
    pub fn error(&self, problem: Problem) -> CborError {
        CborError { offset: self.at, problem }
    }

    /// Ends the reading; bytes left over are an error.
    pub fn finish(&self) -> Result<(), CborError> {
        if self.at == self.input.len() { Ok(()) } else { Err(self.error(Problem::Trailing)) }
    }

    #[inline(always)]
    fn head(&mut self) -> Result<(u8, u64), CborError> {
        let start = self.at;
        let fail = |problem| CborError { offset: start, problem };
        let first = *self.input.get(start).ok_or(fail(Problem::Truncated))?;
        let (major, small) = (first >> 5, first & 0x1f);
        if FOREIGN.contains(&major) || (major == SIMPLE && small != FALSE && small != TRUE) {
            return Err(fail(Problem::Foreign));
        }
        let (value, width, floor) = match small {
            0..=23 => (Some(u64::from(small)), 0, 0),
            24 => (self.big_endian(start + 1).map(|[byte]| u64::from(byte)), 1, 24),
            25 => (self.big_endian(start + 1).map(|bytes| u64::from(u16::from_be_bytes(bytes))), 2, 0x100),
            26 => (self.big_endian(start + 1).map(|bytes| u64::from(u32::from_be_bytes(bytes))), 4, 0x1_0000),
            27 => (self.big_endian(start + 1).map(u64::from_be_bytes), 8, 0x1_0000_0000),
            _ => return Err(fail(Problem::Foreign)),
        };
        let value = value.ok_or(fail(Problem::Truncated))?;
        if value < floor {
            return Err(fail(Problem::NotShortest));
        }
        self.at = start + 1 + width;
        Ok((major, value))
    }

    #[inline(always)]
    fn big_endian<const N: usize>(&self, start: usize) -> Option<[u8; N]> {
        self.input.get(start..)?.first_chunk().copied()
    }

    #[inline(always)]
    fn expect(&mut self, major: u8, name: &'static str) -> Result<u64, CborError> {
        let start = self.at;
        let (found, value) = self.head()?;
        if found == major { Ok(value) } else { Err(CborError { offset: start, problem: Problem::Expected(name) }) }
    }

    #[inline(always)]
    fn take(&mut self, length: u64) -> Result<&'a [u8], CborError> {
        let length = usize::try_from(length).map_err(|_| self.error(Problem::Truncated))?;
        let end = self.at.checked_add(length).ok_or(self.error(Problem::Truncated))?;
        let slice = self.input.get(self.at..end).ok_or(self.error(Problem::Truncated))?;
        self.at = end;
        Ok(slice)
    }

    /// Reads past an integer below 24 if it is the next item; says whether it was.
    #[inline(always)]
    pub(crate) fn passes(&mut self, small: u64) -> bool {
        let is_next = small < 24 && self.input.get(self.at).is_some_and(|byte| u64::from(*byte) == small);
        self.at += usize::from(is_next);
        is_next
    }

    /// Reads an unsigned integer.
    #[inline]
    pub fn uint(&mut self) -> Result<u64, CborError> {
        match self.input.get(self.at) {
            // Most keys and many numbers are their own head.
            Some(small) if *small < 24 => {
                self.at += 1;
                Ok(u64::from(*small))
            }
            _ => self.expect(UINT, "unsigned integer"),
        }
    }

    /// Reads a byte string.
    #[inline]
    pub fn bytes(&mut self) -> Result<&'a [u8], CborError> {
        let length = self.expect(BYTES, "byte string")?;
        self.take(length)
    }

    /// Reads a byte string of exactly `N` bytes.
    #[inline]
    pub fn array_of<const N: usize>(&mut self) -> Result<[u8; N], CborError> {
        let start = self.at;
        self.bytes()?
            .try_into()
            .map_err(|_| CborError { offset: start, problem: Problem::Expected("byte string of the declared length") })
    }

    /// Reads a text string.
    #[inline]
    pub fn text(&mut self) -> Result<&'a str, CborError> {
        let length = self.expect(TEXT, "text string")?;
        let start = self.at;
        core::str::from_utf8(self.take(length)?).map_err(|_| CborError { offset: start, problem: Problem::Utf8 })
    }

    /// Reads a text string that is only checked, as its bytes.
    #[inline]
    pub(crate) fn checked_text(&mut self) -> Result<&'a [u8], CborError> {
        let length = self.expect(TEXT, "text string")?;
        let start = self.at;
        let text = self.take(length)?;
        if text.is_ascii() || core::str::from_utf8(text).is_ok() {
            Ok(text)
        } else {
            Err(CborError { offset: start, problem: Problem::Utf8 })
        }
    }

    /// Reads a boolean.
    pub fn bool(&mut self) -> Result<bool, CborError> {
        self.expect(SIMPLE, "boolean").map(|value| value == u64::from(TRUE))
    }

    /// Reads an array's head and returns the number of items that follow.
    #[inline]
    pub fn array(&mut self) -> Result<u64, CborError> {
        self.expect(ARRAY, "array")
    }

    /// Reads a map's head and returns the number of entries that follow.
    pub fn map(&mut self) -> Result<u64, CborError> {
        self.expect(MAP, "map")
    }

    /// Skips one item of any allowed type, checking it, and returns its bytes.
    #[inline]
    pub fn skip(&mut self) -> Result<&'a [u8], CborError> {
        let start = self.at;
        self.skip_item(0)?;
        Ok(&self.input[start..self.at])
    }

    fn skip_item(&mut self, depth: usize) -> Result<(), CborError> {
        if depth > DEPTH_MAX {
            return Err(self.error(Problem::Depth));
        }
        let start = self.at;
        let (major, value) = self.head()?;
        match major {
            UINT => Ok(()),
            BYTES => self.take(value).map(drop),
            TEXT => core::str::from_utf8(self.take(value)?)
                .map(drop)
                .map_err(|_| CborError { offset: start, problem: Problem::Utf8 }),
            ARRAY => (0..value).try_for_each(|_| self.skip_item(depth + 1)),
            MAP => {
                let mut last = None;
                for _ in 0..value {
                    let key_at = self.at;
                    let key = self.uint()?;
                    if last.is_some_and(|last| key <= last) {
                        return Err(CborError { offset: key_at, problem: Problem::KeyOrder });
                    }
                    last = Some(key);
                    self.skip_item(depth + 1)?;
                }
                Ok(())
            }
            SIMPLE => Ok(()),
            _ => Err(CborError { offset: start, problem: Problem::Foreign }),
        }
    }
}

/// Reads the entries of a map whose keys ascend, for types with a handful of known keys.
pub struct MapReader<'a, 'd> {
    decoder: &'d mut Decoder<'a>,
    left: u64,
    last: Option<u64>,
}

impl<'a, 'd> MapReader<'a, 'd> {
    /// Reads the head of the map.
    pub fn new(decoder: &'d mut Decoder<'a>) -> Result<Self, CborError> {
        let left = decoder.map()?;
        Ok(Self { decoder, left, last: None })
    }

    /// Reads the next key, or `None` after the last entry.
    #[inline(always)]
    pub fn key(&mut self) -> Result<Option<u64>, CborError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let offset = self.decoder.offset();
        let key = self.decoder.uint()?;
        if self.last.is_some_and(|last| key <= last) {
            return Err(CborError { offset, problem: Problem::KeyOrder });
        }
        self.last = Some(key);
        Ok(Some(key))
    }

    /// Returns the decoder, at the value of the key read last.
    pub fn value(&mut self) -> &mut Decoder<'a> {
        self.decoder
    }
}

/// Returns an owned copy of `text`, for decoders of owned types.
pub fn owned(text: &str) -> String {
    String::from(text)
}
