//! What a value may be: read from TOML or from a text, shown as it would be written.

use crate::secrets::is_name;
use loom_providers::Price;
use std::fmt::Write;

/// A value as it is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number: a count, milliseconds, bytes or micro-units, by the key's kind.
    Number(u64),
    /// A flag.
    Flag(bool),
    /// A list of texts.
    List(Vec<String>),
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raw {
    /// A text of TOML.
    Text(String),
    /// A number of TOML, as its digits stand.
    Number(String),
    /// A flag of TOML.
    Flag(bool),
    /// A list of texts of TOML.
    List(Vec<String>),
    /// What is none of these.
    Other,
    /// A text from a variable or a command line, which has no types; lists are parted by commas.
    Typed(String),
}

/// What a key takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// One line of text, not empty.
    Text,
    /// One of these words; where a project may choose, the strictest stands first.
    Word(&'static [&'static str]),
    /// A whole number.
    Count,
    /// A whole number that is not 0: with none of it nothing could be done.
    CountFromOne,
    /// True or false; false is the stricter.
    Flag,
    /// A span of time; milliseconds.
    Span,
    /// A size; bytes.
    Size,
    /// An amount of money in dollars; micro-units.
    Money,
    /// Names, at least one.
    Names,
    /// Folders or files: absolute, or below the home folder as `~/…`.
    Paths,
    /// The address of an endpoint, without a credential in it.
    Url,
    /// Prices of models, as `NAME READ/WRITTEN` in dollars for a million tokens.
    Prices,
    /// Where a credential lies: `secret:NAME` or `env:VARIABLE`.
    Credential,
}

impl Kind {
    /// Returns what to write, as the second half of an error's sentence.
    pub fn wanted(self) -> String {
        match self {
            Kind::Text => "write one line of text in quotes".to_string(),
            Kind::Word(words) => format!("write one of {}", quoted(words)),
            Kind::Count => "write a whole number, 0 or more".to_string(),
            Kind::CountFromOne => "write a whole number, 1 or more".to_string(),
            Kind::Flag => "write true or false".to_string(),
            Kind::Span => "write a span like \"90m\" or \"2h\"".to_string(),
            Kind::Size => "write a size like \"512MiB\" or \"2GiB\", or a number of bytes".to_string(),
            Kind::Money => "write an amount of dollars like 2.50".to_string(),
            Kind::Names => "write a list of names like [\"one\", \"two\"]".to_string(),
            Kind::Prices => "write a list of models with prices like [\"model-1 3/15\"]".to_string(),
            Kind::Paths => "write a list of absolute paths, or such as \"~/.cache\"".to_string(),
            Kind::Url => "write an address like \"https://models.example\", without a credential in it".to_string(),
            Kind::Credential => "write \"secret:NAME\" (`loom secrets set NAME`) or \"env:VARIABLE\"".to_string(),
        }
    }

    /// Returns the kind in a few words, for people.
    pub fn word(self) -> String {
        match self {
            Kind::Text => "text".to_string(),
            Kind::Word(words) => quoted(words),
            Kind::Count => "number".to_string(),
            Kind::CountFromOne => "number from 1".to_string(),
            Kind::Flag => "flag".to_string(),
            Kind::Span => "span".to_string(),
            Kind::Size => "size".to_string(),
            Kind::Money => "dollars".to_string(),
            Kind::Names => "names".to_string(),
            Kind::Prices => "prices".to_string(),
            Kind::Paths => "paths".to_string(),
            Kind::Url => "address".to_string(),
            Kind::Credential => "`secret:NAME` or `env:VARIABLE`".to_string(),
        }
    }

    /// Reads a value; `None` where it is not of this kind.
    pub fn read(self, raw: &Raw) -> Option<Value> {
        let text = match raw {
            Raw::Text(text) | Raw::Typed(text) => Some(text.as_str()),
            Raw::Number(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other => None,
        };
        let digits = match raw {
            Raw::Number(text) | Raw::Typed(text) => Some(text.as_str()),
            Raw::Text(_) | Raw::Flag(_) | Raw::List(_) | Raw::Other => None,
        };
        let list = || match raw {
            Raw::List(list) => Some(list.clone()),
            Raw::Text(text) => Some(vec![text.clone()]),
            Raw::Typed(text) => {
                Some(text.split(',').map(|part| part.trim().to_string()).filter(|part| !part.is_empty()).collect())
            }
            Raw::Number(_) | Raw::Flag(_) | Raw::Other => None,
        };
        match self {
            Kind::Text => text.filter(|text| is_line(text)).map(|text| Value::Text(text.to_string())),
            Kind::Word(words) => text.filter(|text| words.contains(text)).map(|text| Value::Text(text.to_string())),
            Kind::Count => digits.and_then(count).map(Value::Number),
            Kind::CountFromOne => digits.and_then(count).filter(|number| *number > 0).map(Value::Number),
            Kind::Flag => match (raw, text) {
                (Raw::Flag(flag), _) => Some(Value::Flag(*flag)),
                (Raw::Typed(_), Some("true")) => Some(Value::Flag(true)),
                (Raw::Typed(_), Some("false")) => Some(Value::Flag(false)),
                _ => None,
            },
            Kind::Span => text.and_then(|text| span_ms(text).ok()).map(Value::Number),
            Kind::Size => text.and_then(size).or_else(|| digits.and_then(count)).map(Value::Number),
            Kind::Money => text.or(digits).and_then(|text| amount_micro(text).ok()).map(Value::Number),
            Kind::Names => {
                list().filter(|list| !list.is_empty() && list.iter().all(|name| is_name(name))).map(Value::List)
            }
            Kind::Paths => list().filter(|list| list.iter().all(|path| is_path(path))).map(Value::List),
            Kind::Prices => list().filter(|list| list.iter().all(|one| price(one).is_some())).map(Value::List),
            Kind::Url => text.filter(|text| is_url(text)).map(|text| Value::Text(text.to_string())),
            Kind::Credential => text.filter(|text| is_credential(text)).map(|text| Value::Text(text.to_string())),
        }
    }

    /// Returns a value as it would be written on a command line.
    pub fn show(self, value: &Value) -> String {
        match (self, value) {
            (Kind::Span, Value::Number(ms)) => {
                in_units(*ms, &[("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)])
            }
            (Kind::Size, Value::Number(bytes)) => in_units(*bytes, SIZES),
            (Kind::Money, Value::Number(micro)) => {
                let part = format!("{:06}", micro % 1_000_000);
                let part = part.trim_end_matches('0');
                format!("{}.{part:0<2}", micro / 1_000_000)
            }
            (_, Value::Text(text)) => text.clone(),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Flag(flag)) => flag.to_string(),
            (_, Value::List(list)) => list.join(","),
        }
    }

    /// Returns how much a value asks for: of two, the lower is the stricter.
    pub fn rank(self, value: &Value) -> Option<u64> {
        match (self, value) {
            (Kind::Word(words), Value::Text(text)) => {
                words.iter().position(|word| word == text).and_then(|place| u64::try_from(place).ok())
            }
            (_, Value::Number(number)) => Some(*number),
            (_, Value::Flag(flag)) => Some(u64::from(*flag)),
            (_, Value::Text(_) | Value::List(_)) => None,
        }
    }
}

/// Units of sizes, the largest first.
const SIZES: &[(&str, u64)] = &[("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("", 1)];

fn quoted(words: &[&str]) -> String {
    let mut text = String::new();
    for word in words {
        let separator = if text.is_empty() { "" } else { ", " };
        // Writing to a text cannot fail.
        let _ = write!(text, "{separator}`{word}`");
    }
    text
}

fn in_units(number: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, unit)| number.is_multiple_of(*unit) && number >= *unit);
    let (name, unit) = whole.or(units.last()).copied().unwrap_or(("", 1));
    format!("{}{name}", number / unit)
}

fn count(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| *c != '_').collect();
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

fn size(text: &str) -> Option<u64> {
    let (name, unit) = SIZES.iter().find(|(name, _)| text.ends_with(name))?;
    count(text.strip_suffix(name)?.trim_end())
        .filter(|_| text.starts_with(|c: char| c.is_ascii_digit()))?
        .checked_mul(*unit)
}

fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.chars().any(char::is_control)
}

fn is_path(text: &str) -> bool {
    is_line(text) && (text.starts_with('/') || text.starts_with("~/"))
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next()).unwrap_or_default();
    is_line(text) && !text.contains(char::is_whitespace) && !host.is_empty() && !host.contains('@')
}

fn is_credential(text: &str) -> bool {
    let is_variable = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    text.strip_prefix("secret:").is_some_and(is_name) || text.strip_prefix("env:").is_some_and(is_variable)
}

/// Reads the price of a model, as in `model-1 3/15`: dollars for a million tokens read, and for a million written.
pub(super) fn price(text: &str) -> Option<(String, Price)> {
    let (model, price) = text.trim().rsplit_once(' ')?;
    let (read, written) = price.split_once('/')?;
    let micro = |amount: &str| amount_micro(amount).ok();
    let price = Price { read_micro: micro(read)?, written_micro: micro(written)? };
    Some((model.trim().to_string(), price)).filter(|(model, _)| is_line(model))
}

/// Reads a span like `90m` or `2h`; milliseconds.
pub fn span_ms(text: &str) -> Result<u64, String> {
    let span: jiff::SignedDuration = text.parse().map_err(|_| "it is no span like 90m or 2h".to_string())?;
    let ms = u64::try_from(span.as_millis()).ok().filter(|ms| *ms > 0);
    ms.ok_or_else(|| "it is no span ahead".to_string())
}

/// Reads an amount of money like `2.50`; micro-units.
pub fn amount_micro(text: &str) -> Result<u64, String> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = !whole.is_empty() && digits(whole) && digits(part) && part.len() <= 6;
    let number = is_number.then(|| format!("{whole}{part:0<6}").parse().ok()).flatten();
    number.ok_or_else(|| "it is no amount like 2.50".to_string())
}
