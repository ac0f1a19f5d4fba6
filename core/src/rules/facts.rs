//! The values that rule sets fold from events: one register a fact.
//!
//! Registers are shared until written, so a copy per step costs two counters. Every register is bounded
//! ([`ENTRIES_MAX`]); one that overflows is unknown until a clause resets it (RULE-12). Collections are sorted,
//! so equal facts have equal bytes (RULE-14).

use super::eval::Value;
use super::judge::Rules;
use super::types::FactType;
use crate::cbor::{CborError, Decoder, Encoder, Problem};
use crate::schema::Scalar;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cmp::Ordering;
use core::fmt;

/// Most entries of a set, list or keyed fact.
pub const ENTRIES_MAX: usize = 4096;

/// Most characters of a printed register.
const PRINTED_MAX: usize = 400;

/// A scalar that outlives its event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Datum {
    Int(i64),
    Bool(bool),
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
}

impl Datum {
    pub(crate) fn borrow(&self) -> Value<'_> {
        match self {
            Datum::Int(value) => Value::Int(*value),
            Datum::Bool(value) => Value::Bool(*value),
            Datum::Text(value) => Value::Text(value),
            Datum::Bytes(value) => Value::Bytes(value),
        }
    }

    fn encode(&self, encoder: &mut Encoder) {
        match self {
            Datum::Int(value) => encode_int(*value, encoder),
            Datum::Bool(value) => encoder.bool(*value),
            Datum::Text(value) => encoder.text(value),
            Datum::Bytes(value) => encoder.bytes(value),
        }
    }

    fn decode(scalar: Scalar, decoder: &mut Decoder<'_>) -> Result<Datum, CborError> {
        match scalar {
            Scalar::Int => decode_int(decoder).map(Datum::Int),
            Scalar::Bool => decoder.bool().map(Datum::Bool),
            Scalar::Text => Ok(Datum::Text(Arc::from(decoder.text()?))),
            Scalar::Bytes => Ok(Datum::Bytes(Arc::from(decoder.bytes()?))),
        }
    }
}

/// Writes a signed integer as an unsigned one whose lowest bit is the sign.
fn encode_int(value: i64, encoder: &mut Encoder) {
    encoder.uint(((value << 1) ^ (value >> 63)) as u64);
}

fn decode_int(decoder: &mut Decoder<'_>) -> Result<i64, CborError> {
    let value = decoder.uint()?;
    Ok((value >> 1) as i64 ^ -((value & 1) as i64))
}

/// A keyed fact's entries, keys ascending.
pub(crate) type Entries = Vec<(Datum, Datum)>;

/// The state of one fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Register {
    /// Why it is not known.
    Unknown(Arc<str>),
    Int(i64),
    Flag(bool),
    Last(Option<Datum>),
    List(Option<Arc<Vec<Datum>>>),
    /// Ascending.
    Set(Arc<Vec<Datum>>),
    Keyed(Arc<Entries>),
}

/// What a clause found to be changed. Made while the registers are read, applied when they are not.
#[derive(Debug)]
pub(crate) enum Update {
    Reset,
    Unknown(Arc<str>),
    Int(i64),
    Flag(bool),
    Last(Datum),
    List(Vec<Datum>),
    Insert(Vec<Datum>),
    Remove(Vec<Datum>),
    Put(Datum, Datum),
    Drop(Datum),
}

impl Register {
    pub(crate) fn unset(ty: FactType) -> Register {
        match ty {
            FactType::Counter | FactType::Sum => Register::Int(0),
            FactType::Flag => Register::Flag(false),
            FactType::Set(_) => Register::Set(Arc::default()),
            FactType::Last(_) => Register::Last(None),
            FactType::LastList(_) => Register::List(None),
            FactType::CounterBy(_) | FactType::SumBy(_) | FactType::LastBy(..) => Register::Keyed(Arc::default()),
        }
    }

    fn overflow(&mut self) {
        *self = Register::Unknown(Arc::from(format!("more than {ENTRIES_MAX} entries")));
    }

    /// Makes the change.
    pub(crate) fn apply(&mut self, ty: FactType, update: Update) {
        match (update, &mut *self) {
            (Update::Reset, _) => *self = Register::unset(ty),
            (_, Register::Unknown(_)) => {}
            (Update::Unknown(why), _) => *self = Register::Unknown(why),
            (Update::Int(value), _) => *self = Register::Int(value),
            (Update::Flag(value), _) => *self = Register::Flag(value),
            (Update::Last(value), _) => *self = Register::Last(Some(value)),
            (Update::List(items), _) if items.len() > ENTRIES_MAX => self.overflow(),
            (Update::List(items), _) => *self = Register::List(Some(Arc::new(items))),
            (Update::Insert(items), Register::Set(set)) => {
                let set = Arc::make_mut(set);
                for item in items {
                    if let Err(at) = set.binary_search(&item) {
                        set.insert(at, item);
                    }
                }
                if set.len() > ENTRIES_MAX {
                    self.overflow();
                }
            }
            (Update::Remove(items), Register::Set(set)) => {
                let set = Arc::make_mut(set);
                for item in items {
                    if let Ok(at) = set.binary_search(&item) {
                        set.remove(at);
                    }
                }
            }
            (Update::Put(key, value), Register::Keyed(entries)) => {
                let entries = Arc::make_mut(entries);
                match entries.binary_search_by(|entry| entry.0.cmp(&key)) {
                    Ok(at) => entries[at].1 = value,
                    Err(at) => entries.insert(at, (key, value)),
                }
                if entries.len() > ENTRIES_MAX {
                    self.overflow();
                }
            }
            (Update::Drop(key), Register::Keyed(entries)) => {
                let entries = Arc::make_mut(entries);
                if let Ok(at) = entries.binary_search_by(|entry| entry.0.cmp(&key)) {
                    entries.remove(at);
                }
            }
            (Update::Insert(_) | Update::Remove(_) | Update::Put(..) | Update::Drop(_), _) => {
                debug_assert!(false, "a clause and its register have the type of the fact");
            }
        }
    }

    fn encode(&self, encoder: &mut Encoder) {
        encoder.array(2);
        match self {
            Register::Unknown(why) => {
                encoder.bool(false);
                encoder.text(why);
            }
            known => {
                encoder.bool(true);
                match known {
                    Register::Unknown(_) => {}
                    Register::Int(value) => encode_int(*value, encoder),
                    Register::Flag(value) => encoder.bool(*value),
                    Register::Last(value) => {
                        encoder.array(usize::from(value.is_some()));
                        value.iter().for_each(|value| value.encode(encoder));
                    }
                    Register::List(items) => {
                        encoder.array(usize::from(items.is_some()));
                        if let Some(items) = items {
                            encoder.array(items.len());
                            items.iter().for_each(|item| item.encode(encoder));
                        }
                    }
                    Register::Set(items) => {
                        encoder.array(items.len());
                        items.iter().for_each(|item| item.encode(encoder));
                    }
                    Register::Keyed(entries) => {
                        encoder.array(entries.len() * 2);
                        for (key, value) in entries.iter() {
                            key.encode(encoder);
                            value.encode(encoder);
                        }
                    }
                }
            }
        }
    }

    fn decode(ty: FactType, decoder: &mut Decoder<'_>) -> Result<Register, CborError> {
        length(decoder, 2..=2)?;
        if !decoder.bool()? {
            return Ok(Register::Unknown(Arc::from(decoder.text()?)));
        }
        Ok(match ty {
            FactType::Counter | FactType::Sum => Register::Int(decode_int(decoder)?),
            FactType::Flag => Register::Flag(decoder.bool()?),
            FactType::Last(scalar) => match length(decoder, 0..=1)? {
                0 => Register::Last(None),
                _ => Register::Last(Some(Datum::decode(scalar, decoder)?)),
            },
            FactType::LastList(scalar) => match length(decoder, 0..=1)? {
                0 => Register::List(None),
                _ => Register::List(Some(Arc::new(items(scalar, decoder)?))),
            },
            FactType::Set(scalar) => {
                let items = items(scalar, decoder)?;
                ascending(decoder, items.iter())?;
                Register::Set(Arc::new(items))
            }
            FactType::CounterBy(key) | FactType::SumBy(key) => entries(key, Scalar::Int, decoder)?,
            FactType::LastBy(value, key) => entries(key, value, decoder)?,
        })
    }
}

fn length(decoder: &mut Decoder<'_>, allowed: core::ops::RangeInclusive<usize>) -> Result<usize, CborError> {
    let offset = decoder.offset();
    let length = usize::try_from(decoder.array()?).unwrap_or(usize::MAX);
    if allowed.contains(&length) {
        Ok(length)
    } else {
        Err(CborError { offset, problem: Problem::Expected("array of the fact's length (RULE-14)") })
    }
}

fn items(scalar: Scalar, decoder: &mut Decoder<'_>) -> Result<Vec<Datum>, CborError> {
    let length = length(decoder, 0..=ENTRIES_MAX)?;
    (0..length).map(|_| Datum::decode(scalar, decoder)).collect()
}

fn entries(key: Scalar, value: Scalar, decoder: &mut Decoder<'_>) -> Result<Register, CborError> {
    let length = length(decoder, 0..=ENTRIES_MAX * 2)?;
    if length % 2 != 0 {
        return Err(decoder.error(Problem::Expected("key and value for each entry (RULE-14)")));
    }
    let entries: Entries = (0..length / 2)
        .map(|_| Ok((Datum::decode(key, decoder)?, Datum::decode(value, decoder)?)))
        .collect::<Result<_, CborError>>()?;
    ascending(decoder, entries.iter().map(|entry| &entry.0))?;
    Ok(Register::Keyed(Arc::new(entries)))
}

fn ascending<'d>(decoder: &Decoder<'_>, items: impl Iterator<Item = &'d Datum>) -> Result<(), CborError> {
    if items.is_sorted_by(|left, right| left.cmp(right) == Ordering::Less) {
        Ok(())
    } else {
        Err(decoder.error(Problem::Expected("collection in ascending order (RULE-14)")))
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Register::Unknown(why) => write!(f, "unknown: {why}"),
            Register::Int(value) => write!(f, "{value}"),
            Register::Flag(value) => write!(f, "{value}"),
            Register::Last(None) | Register::List(None) => f.write_str("absent"),
            Register::Last(Some(value)) => write!(f, "{}", value.borrow()),
            Register::List(Some(items)) => printed(f, "[", "]", items.iter().map(|item| item.borrow().to_string())),
            Register::Set(items) => printed(f, "{", "}", items.iter().map(|item| item.borrow().to_string())),
            Register::Keyed(entries) => {
                let shown = entries.iter().map(|(key, value)| format!("{}: {}", key.borrow(), value.borrow()));
                printed(f, "{", "}", shown)
            }
        }
    }
}

/// Prints items up to a bound, and how many were left out.
pub(crate) fn printed(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    close: &str,
    items: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    f.write_str(open)?;
    let (total, mut length) = (items.len(), 0);
    for (index, item) in items.enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        length += item.len() + 2;
        if length > PRINTED_MAX {
            write!(f, "… {} more", total - index)?;
            break;
        }
        f.write_str(&item)?;
    }
    f.write_str(close)
}

/// The name and type of one register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    /// `set/fact`
    pub(crate) name: String,
    pub(crate) ty: FactType,
}

/// All facts of a stream under its rules. Cheap to clone; equal when every register is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub(crate) slots: Arc<[Slot]>,
    pub(crate) registers: Arc<Vec<Register>>,
}

impl Facts {
    pub(crate) fn unset(slots: Arc<[Slot]>) -> Facts {
        let registers = Arc::new(slots.iter().map(|slot| Register::unset(slot.ty)).collect());
        Facts { slots, registers }
    }

    /// Returns these facts with those of the sets that `rules` has beyond them, unset.
    ///
    /// `rules` must be what [`Rules::extended`] made of the rules these facts belong to.
    pub fn extended(&self, rules: &Rules) -> Facts {
        let mut all = rules.facts();
        let registers = Arc::make_mut(&mut all.registers);
        for (register, kept) in registers.iter_mut().zip(self.registers.iter()) {
            *register = kept.clone();
        }
        all
    }

    /// Returns a fact as people read it; by `set/fact`, or by name alone from the first set that declares it.
    pub fn get(&self, name: &str) -> Option<String> {
        let named = |slot: &Slot| slot.name == name || slot.name.split_once('/').is_some_and(|(_, fact)| fact == name);
        let at = self.slots.iter().position(named)?;
        self.registers.get(at).map(|register| register.to_string())
    }

    /// Returns the names (`set/fact`) and values of all facts, in order of declaration.
    pub fn all(&self) -> impl Iterator<Item = (&str, String)> {
        self.slots.iter().zip(self.registers.iter()).map(|(slot, register)| (slot.name.as_str(), register.to_string()))
    }

    /// Writes the registers as one canonical item (RULE-14).
    pub fn encode(&self, encoder: &mut Encoder) {
        encoder.array(self.registers.len());
        self.registers.iter().for_each(|register| register.encode(encoder));
    }

    /// Reads the registers of `rules`; anything that could not have been written is refused.
    pub fn decode(rules: &Rules, decoder: &mut Decoder<'_>) -> Result<Facts, CborError> {
        let mut facts = rules.facts();
        length(decoder, facts.slots.len()..=facts.slots.len())?;
        let registers =
            facts.slots.iter().map(|slot| Register::decode(slot.ty, decoder)).collect::<Result<Vec<_>, _>>()?;
        facts.registers = Arc::new(registers);
        Ok(facts)
    }
}
