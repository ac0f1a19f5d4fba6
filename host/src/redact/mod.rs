//! Finds secrets in what is about to be recorded and puts `[redacted: NAME]` in their place (REDACT-1).
//!
//! What is looked for: every secret that Loom was told of, in the forms that programs give it (REDACT-2), and what looks
//! like one by the formats of those who issue them or by what stands beside it (REDACT-3). Equal bytes give equal
//! redactions. It never touches a file or a tree (REDACT-4).

mod forms;
mod record;
mod rules;

use crate::secrets::Secret;
use aho_corasick::{AhoCorasick, MatchKind};
use rules::RULES;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// Secrets shorter than this, in bytes, are not looked for: they would be found everywhere.
const SECRET_BYTES_MIN: usize = crate::secrets::VALUE_BYTES_MIN;

/// Knows what to look for. By default only what looks like a secret.
#[derive(Default)]
pub struct Redactor {
    /// All forms of all secrets.
    known: Option<AhoCorasick>,
    /// The name of each form's secret, and whether the form is a part of a text in base64.
    names: Vec<(String, bool)>,
}

impl fmt::Debug for Redactor {
    /// Says how many forms it knows and shows none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("forms", &self.names.len()).finish()
    }
}

impl Redactor {
    /// Returns a redactor that also knows these secrets, each with the name that stands in its place.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let mut names = Vec::new();
        let mut all = Vec::new();
        for (name, secret) in secrets.into_iter().filter(|(_, secret)| secret.expose().len() >= SECRET_BYTES_MIN) {
            for (form, is_part) in forms::forms(secret.expose()) {
                names.push((name.to_string(), is_part));
                all.push(form);
            }
        }
        let known = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&all);
        let known = known.expect("the forms of secrets are far fewer than an automaton holds");
        Redactor { known: (!all.is_empty()).then_some(known), names }
    }

    /// Returns the bytes without the secrets in them; the same bytes where there are none.
    pub fn bytes<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        let spans = self.spans(text);
        if spans.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut clean = Vec::with_capacity(text.len());
        let mut done = 0;
        for (span, name) in spans {
            clean.extend_from_slice(&text[done..span.start]);
            clean.extend_from_slice(format!("[redacted: {name}]").as_bytes());
            done = span.end;
        }
        clean.extend_from_slice(&text[done..]);
        Cow::Owned(clean)
    }

    /// Returns the text without the secrets in it.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        match self.bytes(text.as_bytes()) {
            Cow::Borrowed(_) => Cow::Borrowed(text),
            Cow::Owned(clean) => Cow::Owned(String::from_utf8_lossy(&clean).into_owned()),
        }
    }

    /// Returns the name of a secret that a text has, if it has one.
    pub fn first(&self, text: &str) -> Option<String> {
        self.spans(text.as_bytes()).into_iter().next().map(|(_, name)| name)
    }

    /// Returns what is to be cut out, in order and apart, each with what it is called.
    fn spans(&self, text: &[u8]) -> Vec<(Range<usize>, String)> {
        let mut found: Vec<Hit<'_>> = Vec::new();
        for place in self.known.iter().flat_map(|known| known.find_overlapping_iter(text)) {
            let (name, is_part) = &self.names[place.pattern().as_usize()];
            let span = place.start()..place.end();
            found.push(Hit { span: if *is_part { around(text, span) } else { span }, rank: 0, name });
        }
        RULES.find(text, &mut found);
        found.sort_by_key(|hit| (hit.span.start, hit.rank));
        let mut apart: Vec<Hit<'_>> = Vec::new();
        for hit in found {
            match apart.last_mut() {
                Some(last) if hit.span.start < last.span.end => {
                    last.span.end = last.span.end.max(hit.span.end);
                    if hit.rank < last.rank {
                        (last.rank, last.name) = (hit.rank, hit.name);
                    }
                }
                _ => apart.push(hit),
            }
        }
        apart.into_iter().map(|hit| (hit.span, hit.name.to_string())).collect()
    }
}

/// Something that was found.
struct Hit<'a> {
    span: Range<usize>,
    /// Of what overlaps, the lowest gives its name: a secret that is known, then the rules in their order.
    rank: usize,
    name: &'a str,
}

/// Returns a place with up to four letters of base64 on each side: at its ends, a letter holds bits of two bytes.
fn around(text: &[u8], span: Range<usize>) -> Range<usize> {
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    let before = text[..span.start].iter().rev().take(4).take_while(is_letter).count();
    let behind = text[span.end..].iter().take(4).take_while(is_letter).count();
    span.start - before..span.end + behind
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        assert!(RULES.names().count() > 30);
    }
}
