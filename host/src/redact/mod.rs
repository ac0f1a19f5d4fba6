//! Finds secrets in what is about to be recorded and puts `[redacted: NAME]` in their place (REDACT-1).
//!
//! What is looked for: every secret that Loom was told of, in the forms that programs give it (REDACT-2), and what looks
//! like one by the formats of those who issue them or by what stands beside it (REDACT-3). Equal bytes give equal
//! redactions. It never touches a file or a tree (REDACT-4).
//!
//! Secrets that the user sets while a driver runs are looked for from then on: each use looks at the vault's mark first
//! (REDACT-7).

mod forms;
mod known;
mod record;
mod rules;

use crate::secrets::{Mark, Secret, SecretsError, Vault};
use known::Known;
use rules::RULES;
use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

/// Knows what to look for. By default only what looks like a secret.
#[derive(Default)]
pub struct Redactor {
    /// Where more secrets may come to lie.
    vault: Option<Vault>,
    held: Mutex<Held>,
}

/// What is known by now.
#[derive(Default)]
struct Held {
    /// The vault's mark when it was read last.
    mark: Option<Mark>,
    /// Every secret so far, with its name: one that was replaced may still be in the hands of an agent.
    secrets: Vec<(String, Secret)>,
    known: Arc<Known>,
}

impl fmt::Debug for Redactor {
    /// Says how many secrets it knows and shows none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("Redactor").field("secrets", &held.secrets.len()).finish()
    }
}

impl Redactor {
    /// Returns a redactor that also knows these secrets, each with the name that stands in its place.
    pub fn new<'a>(secrets: impl IntoIterator<Item = (&'a str, &'a Secret)>) -> Self {
        let secrets = secrets.into_iter().map(|(name, secret)| (name.to_string(), secret.clone())).collect();
        Redactor { vault: None, held: Mutex::new(Held::of(None, secrets)) }
    }

    /// Returns a redactor that also knows what the vault holds, now and later, and these secrets.
    ///
    /// # Errors
    /// Secrets that cannot be read cannot be kept from the record (SECRETS-3).
    pub fn watching(vault: Vault, more: Vec<(String, Secret)>) -> Result<Self, SecretsError> {
        let mark = vault.mark();
        let secrets = vault.all()?.into_iter().chain(more).collect();
        Ok(Redactor { vault: Some(vault), held: Mutex::new(Held::of(mark, secrets)) })
    }

    /// Returns what is to be looked for now.
    fn known(&self) -> Arc<Known> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(vault) = &self.vault {
            let mark = vault.mark();
            // Nothing can be set in a vault that cannot be read: then all that was set is known, and it is read again.
            if mark != held.mark
                && let Ok(found) = vault.all()
            {
                let mut secrets = std::mem::take(&mut held.secrets);
                for secret in found {
                    if !secrets.contains(&secret) {
                        secrets.push(secret);
                    }
                }
                *held = Held::of(mark, secrets);
            }
        }
        held.known.clone()
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
        let known = self.known();
        let mut found: Vec<Hit<'_>> = Vec::new();
        known.find(text, &mut found);
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

impl Held {
    fn of(mark: Option<Mark>, secrets: Vec<(String, Secret)>) -> Self {
        Held { mark, known: Arc::new(Known::new(&secrets)), secrets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_compiles() {
        assert!(RULES.names().count() > 30);
    }
}
