//! Finds secrets that are known, in all their forms.

use super::{Hit, forms};
use crate::secrets::{Secret, VALUE_BYTES_MIN};
use aho_corasick::{AhoCorasick, MatchKind};
use std::ops::Range;

/// Secrets that are looked for.
#[derive(Default)]
pub(super) struct Known {
    /// All forms of all secrets.
    forms: Option<AhoCorasick>,
    /// The name of each form's secret, and whether the form is a part of a text in base64.
    names: Vec<(String, bool)>,
}

impl Known {
    /// Takes secrets with their names. Those that are too short are not looked for: they would be found everywhere.
    pub(super) fn new(secrets: &[(String, Secret)]) -> Self {
        let mut names = Vec::new();
        let mut all = Vec::new();
        for (name, secret) in secrets.iter().filter(|(_, secret)| secret.expose().len() >= VALUE_BYTES_MIN) {
            for (form, is_part) in forms::forms(secret.expose()) {
                names.push((name.clone(), is_part));
                all.push(form);
            }
        }
        let forms = AhoCorasick::builder().match_kind(MatchKind::Standard).build(&all);
        let forms = forms.expect("the forms of secrets are far fewer than an automaton holds");
        Known { forms: (!all.is_empty()).then_some(forms), names }
    }

    /// Finds them in a text, each with its name.
    pub(super) fn find<'a>(&'a self, text: &[u8], found: &mut Vec<Hit<'a>>) {
        for place in self.forms.iter().flat_map(|forms| forms.find_overlapping_iter(text)) {
            let (name, is_part) = &self.names[place.pattern().as_usize()];
            let span = place.start()..place.end();
            found.push(Hit { span: if *is_part { around(text, span) } else { span }, rank: 0, name });
        }
    }
}

/// Returns a place with up to four letters of base64 on each side: at its ends, a letter holds bits of two bytes.
fn around(text: &[u8], span: Range<usize>) -> Range<usize> {
    let is_letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/_-".contains(byte);
    let before = text[..span.start].iter().rev().take(4).take_while(is_letter).count();
    let behind = text[span.end..].iter().take(4).take_while(is_letter).count();
    span.start - before..span.end + behind
}
