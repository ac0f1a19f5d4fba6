//! The shape of event bodies as data: what the codec enforces and what rules are typed against.
//!
//! A body is a flat map from small integer keys to scalars and lists of scalars. Text fields with a closed
//! vocabulary list their words. An empty list is written by omitting its key (SCHEMA-1); an absent optional
//! field is omitted (SCHEMA-2).

use crate::cbor::{CborError, Decoder, Encoder, Problem};
use crate::id::Digest;
use alloc::string::String;
use alloc::vec::Vec;

/// Whether an event was given to the kernel or derived by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A request or an observation: the first event of a commit.
    Input,
    /// A fact that follows from the input.
    Record,
    /// What the kernel decided; rules judge it before it stands.
    Decision,
}

impl Class {
    /// Returns the word that documents and output use.
    pub fn word(self) -> &'static str {
        match self {
            Class::Input => "input",
            Class::Record => "record",
            Class::Decision => "decision",
        }
    }
}

/// The type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    /// An integer; fields hold 0 to 2^64-1, expressions compute in 64-bit signed range.
    Int,
    /// A boolean.
    Bool,
    /// UTF-8 text.
    Text,
    /// Bytes: digests, paths, tree names.
    Bytes,
}

/// The type of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// One value.
    One(Scalar),
    /// A list; empty when its key is absent.
    List(Scalar),
}

/// One field of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Key in the body, below [`KEYS_MAX`].
    pub key: u64,
    /// Name in rules, JSON and documents.
    pub name: &'static str,
    /// Type of the value.
    pub ty: Type,
    /// Whether the field may be absent (then `has()` tells).
    pub optional: bool,
    /// Most bytes of one scalar (text, bytes).
    pub bytes_max: usize,
    /// Exact number of bytes of one scalar, where the type fixes it (digests).
    pub size: Option<usize>,
    /// Most items of a list.
    pub items_max: usize,
    /// The closed vocabulary, if the text has one.
    pub words: Option<&'static [&'static str]>,
    /// Version of the kind that first recorded the field.
    pub since: u64,
}

impl Field {
    /// Whether the key must be there.
    pub fn is_required(&self) -> bool {
        !self.optional && matches!(self.ty, Type::One(_))
    }

    /// Reads past a value and checks it: type, length, vocabulary.
    pub fn check(&self, decoder: &mut Decoder<'_>) -> Result<(), CborError> {
        let scalar = match self.ty {
            Type::One(scalar) => return self.check_scalar(scalar, decoder),
            Type::List(scalar) => scalar,
        };
        let count = decoder.array()?;
        if count == 0 {
            return Err(decoder.error(Problem::Expected("list with items (SCHEMA-1)")));
        }
        if count > self.items_max as u64 {
            return Err(decoder.error(Problem::Range(self.key)));
        }
        (0..count).try_for_each(|_| self.check_scalar(scalar, decoder))
    }

    #[inline]
    fn check_scalar(&self, scalar: Scalar, decoder: &mut Decoder<'_>) -> Result<(), CborError> {
        let length = match scalar {
            Scalar::Int => return decoder.uint().map(drop),
            Scalar::Bool => return decoder.bool().map(drop),
            Scalar::Bytes => {
                let length = decoder.bytes()?.len();
                if self.size.is_some_and(|size| size != length) {
                    return Err(decoder.error(Problem::Expected("byte string of the declared length")));
                }
                length
            }
            Scalar::Text => {
                let text = decoder.checked_text()?;
                if self.words.is_some_and(|words| !words.iter().any(|word| word.as_bytes() == text)) {
                    return Err(decoder.error(Problem::Expected("word of the vocabulary")));
                }
                text.len()
            }
        };
        // A fixed size and a vocabulary are bounds of their own.
        let is_bounded = self.size.is_none() && self.words.is_none();
        if is_bounded && length > self.bytes_max {
            return Err(decoder.error(Problem::Range(self.key)));
        }
        Ok(())
    }
}

/// One kind of event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindSchema {
    /// Number in the envelope; never reused.
    pub code: u64,
    /// Name in rules, JSON and documents.
    pub name: &'static str,
    /// Input, record or decision.
    pub class: Class,
    /// Newest version of the kind that this Loom writes.
    pub version: u64,
    /// Fields with ascending keys.
    pub fields: &'static [Field],
}

impl KindSchema {
    /// Returns the field of that name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// Body keys are below this number.
pub const KEYS_MAX: usize = 24;
/// Default bound of a text or byte string, in bytes.
pub const BYTES_MAX: usize = 4096;
/// Default bound of a list, in items.
pub const ITEMS_MAX: usize = 256;

/// A Rust type that can be a field of an event body.
pub trait FieldValue: Sized {
    /// Type of the field.
    const TYPE: Type;
    /// Whether absence is a value.
    const OPTIONAL: bool = false;
    /// The closed vocabulary, if any.
    const WORDS: Option<&'static [&'static str]> = None;
    /// Exact number of bytes of one scalar, where the type fixes it.
    const SIZE: Option<usize> = None;
    /// Whether the key is written.
    fn is_present(&self) -> bool {
        true
    }
    /// Writes the value.
    fn put(&self, encoder: &mut Encoder);
    /// Reads the value.
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError>;
    /// Returns the value of an absent key, if absence is allowed.
    fn absent() -> Option<Self> {
        None
    }
    /// Whether the value is within its bounds.
    fn fits(&self, bytes_max: usize, items_max: usize) -> bool;
}

/// A scalar that lists may hold.
pub trait ListItem: Sized {
    /// Type of the item.
    const SCALAR: Scalar;
    /// Exact number of bytes of an item, where the type fixes it.
    const SIZE: Option<usize> = None;
    /// Writes the item.
    fn put_item(&self, encoder: &mut Encoder);
    /// Reads an item.
    fn get_item(decoder: &mut Decoder<'_>) -> Result<Self, CborError>;
    /// Length in bytes that bounds apply to; 0 for integers.
    fn length(&self) -> usize;
}

impl FieldValue for u64 {
    const TYPE: Type = Type::One(Scalar::Int);
    fn put(&self, encoder: &mut Encoder) {
        encoder.uint(*self);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.uint()
    }
    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }
}

impl FieldValue for bool {
    const TYPE: Type = Type::One(Scalar::Bool);
    fn put(&self, encoder: &mut Encoder) {
        encoder.bool(*self);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.bool()
    }
    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }
}

impl FieldValue for String {
    const TYPE: Type = Type::One(Scalar::Text);
    fn put(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        Ok(String::from(decoder.text()?))
    }
    fn fits(&self, bytes_max: usize, _: usize) -> bool {
        self.len() <= bytes_max
    }
}

/// A byte string of any length: a path, a git object name, a request id.
pub type Bytes = Vec<u8>;

impl FieldValue for Bytes {
    const TYPE: Type = Type::One(Scalar::Bytes);
    fn put(&self, encoder: &mut Encoder) {
        encoder.bytes(self);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        Ok(Vec::from(decoder.bytes()?))
    }
    fn fits(&self, bytes_max: usize, _: usize) -> bool {
        self.len() <= bytes_max
    }
}

impl FieldValue for Digest {
    const TYPE: Type = Type::One(Scalar::Bytes);
    const SIZE: Option<usize> = Some(32);
    fn put(&self, encoder: &mut Encoder) {
        encoder.bytes(&self.0);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.array_of().map(Digest)
    }
    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }
}

impl<const N: usize> FieldValue for [u8; N] {
    const TYPE: Type = Type::One(Scalar::Bytes);
    const SIZE: Option<usize> = Some(N);
    fn put(&self, encoder: &mut Encoder) {
        encoder.bytes(self);
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.array_of()
    }
    fn fits(&self, _: usize, _: usize) -> bool {
        true
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: Type = T::TYPE;
    const OPTIONAL: bool = true;
    const WORDS: Option<&'static [&'static str]> = T::WORDS;
    const SIZE: Option<usize> = T::SIZE;
    fn is_present(&self) -> bool {
        self.is_some()
    }
    fn put(&self, encoder: &mut Encoder) {
        if let Some(value) = self {
            value.put(encoder);
        }
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        T::get(decoder).map(Some)
    }
    fn absent() -> Option<Self> {
        Some(None)
    }
    fn fits(&self, bytes_max: usize, items_max: usize) -> bool {
        self.as_ref().is_none_or(|value| value.fits(bytes_max, items_max))
    }
}

impl ListItem for u64 {
    const SCALAR: Scalar = Scalar::Int;
    fn put_item(&self, encoder: &mut Encoder) {
        encoder.uint(*self);
    }
    fn get_item(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.uint()
    }
    fn length(&self) -> usize {
        0
    }
}

impl ListItem for String {
    const SCALAR: Scalar = Scalar::Text;
    fn put_item(&self, encoder: &mut Encoder) {
        encoder.text(self);
    }
    fn get_item(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        Ok(String::from(decoder.text()?))
    }
    fn length(&self) -> usize {
        self.len()
    }
}

impl ListItem for Bytes {
    const SCALAR: Scalar = Scalar::Bytes;
    fn put_item(&self, encoder: &mut Encoder) {
        encoder.bytes(self);
    }
    fn get_item(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        Ok(Vec::from(decoder.bytes()?))
    }
    fn length(&self) -> usize {
        self.len()
    }
}

impl ListItem for Digest {
    const SCALAR: Scalar = Scalar::Bytes;
    const SIZE: Option<usize> = Some(32);
    fn put_item(&self, encoder: &mut Encoder) {
        encoder.bytes(&self.0);
    }
    fn get_item(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        decoder.array_of().map(Digest)
    }
    fn length(&self) -> usize {
        32
    }
}

/// A list field; an empty one is written by omitting its key (SCHEMA-1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct List<T>(pub Vec<T>);

impl<T> core::ops::Deref for List<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(items: Vec<T>) -> Self {
        List(items)
    }
}

impl<T> FromIterator<T> for List<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        List(items.into_iter().collect())
    }
}

impl<T: ListItem> FieldValue for List<T> {
    const TYPE: Type = Type::List(T::SCALAR);
    const SIZE: Option<usize> = T::SIZE;
    fn is_present(&self) -> bool {
        !self.0.is_empty()
    }
    fn put(&self, encoder: &mut Encoder) {
        encoder.array(self.0.len());
        self.0.iter().for_each(|item| item.put_item(encoder));
    }
    fn get(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        let count = decoder.array()?;
        if count == 0 {
            return Err(decoder.error(Problem::Expected("list with items (SCHEMA-1)")));
        }
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(T::get_item(decoder)?);
        }
        Ok(List(items))
    }
    fn absent() -> Option<Self> {
        Some(List(Vec::new()))
    }
    fn fits(&self, bytes_max: usize, items_max: usize) -> bool {
        self.0.len() <= items_max && self.0.iter().all(|item| item.length() <= bytes_max)
    }
}
