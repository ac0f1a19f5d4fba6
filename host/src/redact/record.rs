//! Where a redactor is put to work: everything in a request or a report that becomes an event's text or a blob.
//!
//! Not among it: trees, paths, the texts of rule sets and bundles, and the commands of checks, which are executed as the
//! record has them. A command that holds a secret is refused instead (REDACT-5).

use super::Redactor;
use crate::order::Report;
use crate::request::{Ask, Opening};
use loom_core::answer::{Claim, Found};

/// A detail of more bytes than this may have been cut by whoever reported it.
const WHOLE_BYTES_MAX: usize = 990;

/// Cuts a text that may have been cut already back to whole words: half of a secret would not be known for one.
fn whole_words(text: &mut String) {
    if text.len() > WHOLE_BYTES_MAX {
        text.truncate(text.rfind(char::is_whitespace).unwrap_or(0));
    }
}

impl Redactor {
    /// Cleans a request.
    pub(crate) fn ask(&self, ask: &mut Ask) {
        match ask {
            Ask::Answer { note, .. } => self.maybe(note),
            Ask::Steer { note } => self.own(note),
            Ask::AcceptRisk { reason, .. } => self.own(reason),
            Ask::Cancel { reason } => self.maybe(reason),
            Ask::Recover { .. } | Ask::AddRules { .. } | Ask::Pause | Ask::Resume => {}
        }
    }

    /// Cleans a request to open a run. Returns the check whose command holds a secret, if one does, and the secret's name.
    pub(crate) fn opening(&self, opening: &mut Opening) -> Option<(String, String)> {
        self.own(&mut opening.task);
        let mut words = opening.checks.iter().flat_map(|check| check.argv.iter().map(move |word| (check, word)));
        words.find_map(|(check, word)| Some((check.check.clone(), self.first(word)?)))
    }

    /// Cleans a report.
    pub(crate) fn report(&self, report: &mut Report) {
        match report {
            Report::Spawn(report) => {
                self.own_bytes(&mut report.prompt);
                self.own_bytes(&mut report.output);
                self.own_bytes(&mut report.transcript);
                if let Some(detail) = &mut report.detail {
                    whole_words(detail);
                }
                self.maybe(&mut report.detail);
                self.maybe(&mut report.model);
                self.maybe(&mut report.session);
                self.maybe(&mut report.provider);
                self.maybe(&mut report.chosen);
                if let Some(claim) = &mut report.claim {
                    self.claim(claim);
                }
            }
            Report::Check { output, .. } => self.own_bytes(output),
            Report::Merge { detail, .. } => self.maybe(detail),
        }
    }

    fn claim(&self, claim: &mut Claim) {
        let Claim { flow, verdict, findings, summary } = claim;
        self.maybe(flow);
        self.maybe(verdict);
        self.own(summary);
        for Found { severity, category, path, line: _, summary, evidence } in findings {
            self.own(severity);
            self.own(category);
            // The model's words: what was changed is told by the tree.
            path.iter_mut().for_each(|path| self.own_bytes(path));
            self.own(summary);
            self.maybe(evidence);
        }
    }

    fn maybe(&self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.own(text);
        }
    }

    fn own(&self, text: &mut String) {
        if let std::borrow::Cow::Owned(clean) = self.text(text) {
            *text = clean;
        }
    }

    fn own_bytes(&self, text: &mut Vec<u8>) {
        if let std::borrow::Cow::Owned(clean) = self.bytes(text) {
            *text = clean;
        }
    }
}
