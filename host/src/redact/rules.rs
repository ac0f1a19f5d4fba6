//! The rules: keywords find the places, patterns and chance decide.
//!
//! Cost: one pass over the text for all keywords, and one anchored match of bounded length for each place.

use super::Hit;
use aho_corasick::{AhoCorasick, MatchKind};
use regex::bytes::Regex;
use serde::Deserialize;
use std::ops::Range;
use std::sync::{LazyLock, OnceLock};

/// The rules as written.
const TEXT: &str = include_str!("rules.toml");
/// How far a pattern looks where its rule does not say otherwise, in bytes.
const WINDOW: usize = 1024;

/// Longest stretch from a keyword to the value that it names, where nothing but letters stands between, in bytes.
const NAME_BYTES_MAX: usize = 64;
/// How much of a value is looked at, in bytes.
const VALUE_BYTES_MAX: usize = 256;

/// The rules, read once. Patterns are compiled when they are first needed.
pub(super) static RULES: LazyLock<Rules> = LazyLock::new(Rules::read);

pub(super) struct Rules {
    rules: Vec<Rule>,
    keywords: AhoCorasick,
    /// The rule of each keyword.
    owners: Vec<usize>,
}

#[derive(Deserialize)]
struct Document {
    rule: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    name: String,
    keywords: Vec<String>,
    pattern: String,
    #[serde(default)]
    bounded: bool,
    #[serde(default)]
    random: bool,
    value: Option<usize>,
    window: Option<usize>,
    #[serde(skip)]
    compiled: OnceLock<Regex>,
}

impl Rules {
    fn read() -> Self {
        let document: Document = toml::from_str(TEXT).expect("the rules are compiled in and tested");
        let rules = document.rule;
        let owners = rules.iter().enumerate().flat_map(|(index, rule)| rule.keywords.iter().map(move |_| index));
        let keywords = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(rules.iter().flat_map(|rule| &rule.keywords))
            .expect("the keywords are compiled in and tested");
        Rules { owners: owners.collect(), keywords, rules }
    }

    /// Finds what the rules know, each with its rule's name.
    pub(super) fn find<'a>(&'a self, text: &[u8], found: &mut Vec<Hit<'a>>) {
        // Up to here no digit stands, so nothing in it looks like chance.
        let mut dull = 0;
        for place in self.keywords.find_overlapping_iter(text) {
            let index = self.owners[place.pattern().as_usize()];
            let rule = &self.rules[index];
            if rule.bounded && !is_bounded(text, place.start()) {
                continue;
            }
            if rule.value.is_some() && rule.random && place.start() + NAME_BYTES_MAX < dull {
                continue;
            }
            if let Some(span) = rule.find(text, place.start(), &mut dull) {
                found.push(Hit { span, rank: index + 1, name: &rule.name });
            }
        }
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(|rule| {
            rule.compiled();
            rule.name.as_str()
        })
    }
}

impl Rule {
    fn compiled(&self) -> &Regex {
        self.compiled.get_or_init(|| {
            let pattern = format!(r"\A(?:{})", self.pattern);
            // Everything that is looked for is ASCII, so what is cut out of a text leaves a text.
            let built = regex::bytes::RegexBuilder::new(&pattern).unicode(false).build();
            built.expect("the patterns are compiled in and tested")
        })
    }

    fn find(&self, text: &[u8], at: usize, dull: &mut usize) -> Option<Range<usize>> {
        let end = text.len().min(at + self.window.unwrap_or(WINDOW));
        let pattern = self.compiled();
        // Most places are none, and to find that out is cheaper than to find groups.
        let whole = pattern.find(&text[at..end])?;
        let mut span = match self.value {
            Some(least) => {
                let from = at + whole.end();
                let rest = &text[from..text.len().min(from + VALUE_BYTES_MAX)];
                let length = rest.iter().take_while(|byte| is_value(**byte)).count();
                if !rest[..length].iter().any(u8::is_ascii_digit) {
                    *dull = from + length;
                }
                (length >= least).then_some(from..from + length)?
            }
            None => {
                let captures = pattern.captures(&text[at..end])?;
                let found = captures.get(1).or(captures.get(0))?;
                at + found.start()..at + found.end()
            }
        };
        if self.random && !is_random(&text[span.clone()]) {
            return None;
        }
        if span.end == end || self.value.is_some() {
            // It goes on behind what was looked at.
            span.end += text[span.end..].iter().take_while(|byte| is_token(**byte)).count();
        }
        Some(span)
    }
}

/// Whether a byte may stand in a value that has no form of its own: what is printed, but for quotes and brackets.
fn is_value(byte: u8) -> bool {
    byte.is_ascii_graphic()
        && !matches!(
            byte,
            b'"' | b'\'' | b'\\' | b',' | b';' | b'<' | b'>' | b'(' | b')' | b'{' | b'}' | b'[' | b']' | b'$' | b'`'
        )
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/=_-.~%".contains(&byte)
}

/// Whether no letter or digit stands before a place, but for one that an escape ends with: `\n`, `%20`, a colour.
fn is_bounded(text: &[u8], at: usize) -> bool {
    let before = &text[at.saturating_sub(12)..at];
    let Some(last) = before.last() else { return true };
    if !last.is_ascii_alphanumeric() && *last != b'_' && *last != b'-' {
        return true;
    }
    let escaped = |digits: usize, mark: &[u8]| {
        let (head, tail) = before.split_at(before.len().saturating_sub(digits));
        tail.len() == digits && tail.iter().all(u8::is_ascii_hexdigit) && head.ends_with(mark)
    };
    let letter = before.len() >= 2 && before[before.len() - 2] == b'\\' && b"nrtbfv0e".contains(last);
    let colour = *last == b'm'
        && before.iter().rposition(|byte| *byte == b'[').is_some_and(|from| {
            before[from + 1..before.len() - 1].iter().all(|byte| byte.is_ascii_digit() || *byte == b';')
        });
    letter || colour || escaped(2, b"%") || escaped(2, b"\\x") || escaped(4, b"\\u")
}

/// Whether a text looks like chance rather than like words: letters and digits in turn, and few of them alike.
fn is_random(text: &[u8]) -> bool {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 0,
        b'a'..=b'z' => 1,
        b'A'..=b'Z' => 2,
        _ => 3,
    };
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = text.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    // A capital that begins a word is no turn.
    let turns =
        text.windows(2).filter(|pair| matches!((class(pair[0]), class(pair[1])), (0, 1 | 2) | (1 | 2, 0))).count();
    let marks = text.iter().filter(|byte| b"!@#%^&*?~".contains(byte)).count();
    // A path or an address names a place.
    let is_place = [b"/".as_slice(), b"./", b"~/"].iter().any(|start| text.starts_with(start))
        || text.windows(3).any(|found| found == b"://");
    let mixed = !is_place && digits >= 1 && letters >= 2 && turns + marks >= 2;
    let enough = if text.len() >= 20 { 3.2 } else { 2.75 };
    mixed && entropy(text) >= enough
}

/// Returns the entropy of a text in bits a byte, as its own bytes are distributed.
fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    text.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let all = text.len() as f64;
    let part = |count: u32| f64::from(count) / all;
    counts.iter().filter(|count| **count > 0).map(|count| -part(*count) * part(*count).log2()).sum()
}
