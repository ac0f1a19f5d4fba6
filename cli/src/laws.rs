//! The laws, as they stand in the specifications that this Loom was built with.
//!
//! A law begins where a line opens with its id, in any of the forms of the documents, and ends at the next one, at an
//! empty line or at a heading.

/// A law of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Law {
    /// Its id: a word in capitals and a number.
    pub(crate) id: String,
    /// The document, by its name in `specs`.
    pub(crate) document: &'static str,
    /// What it says, as it is written.
    pub(crate) text: String,
}

const DOCUMENTS: &[(&str, &str)] = &[
    ("agents.md", include_str!("../../specs/agents.md")),
    ("bundle.md", include_str!("../../specs/bundle.md")),
    ("cli.md", include_str!("../../specs/cli.md")),
    ("events.md", include_str!("../../specs/events.md")),
    ("host.md", include_str!("../../specs/host.md")),
    ("process.md", include_str!("../../specs/process.md")),
    ("replay.md", include_str!("../../specs/replay.md")),
    ("receipts.md", include_str!("../../specs/receipts.md")),
    ("rules.md", include_str!("../../specs/rules.md")),
    ("server.md", include_str!("../../specs/server.md")),
    ("store.md", include_str!("../../specs/store.md")),
    ("trace.md", include_str!("../../specs/trace.md")),
];

/// Returns every law, by document and place.
pub(crate) fn laws() -> Vec<Law> {
    let mut found: Vec<Law> = Vec::new();
    for (document, text) in DOCUMENTS {
        let mut is_open = false;
        for line in text.lines() {
            match opening(line) {
                Some(id) if !found.iter().any(|law| law.id == id) => {
                    found.push(Law { id: id.to_string(), document, text: line.to_string() });
                    is_open = !line.starts_with('|');
                }
                _ if line.is_empty() || line.starts_with('#') => is_open = false,
                _ => {
                    if let (true, Some(law)) = (is_open, found.last_mut()) {
                        law.text.push('\n');
                        law.text.push_str(line);
                    }
                }
            }
        }
    }
    found
}

/// Returns the id of the law that a line opens with.
fn opening(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("- **").or_else(|| line.strip_prefix("**"));
    let rest = rest.or_else(|| line.strip_prefix("- ")).or_else(|| line.strip_prefix("| "))?;
    let end = rest.find(|c: char| !c.is_ascii_uppercase() && !c.is_ascii_digit() && c != '-').unwrap_or(rest.len());
    let id = &rest[..end];
    let (word, number) = id.split_once('-')?;
    let is_id = word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase());
    (is_id && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laws_are_read_in_every_form_they_are_written_in() {
        let laws = laws();
        assert!(laws.len() > 100, "only {} laws were found", laws.len());
        let text = |id: &str| laws.iter().find(|law| law.id == id).map(|law| law.text.as_str());
        assert!(text("CLI-3").is_some_and(|text| text.contains("control character") && text.lines().count() == 2));
        assert!(text("STORE-2").is_some_and(|text| text.lines().count() == 1));
        assert!(text("COMMIT-5").is_some_and(|text| text.contains("wedge")));
        assert!(text("BUNDLE-1").is_some_and(|text| text.contains("flaw")));
        assert_eq!(["UTF-8 is", "- SHA-256", "| `x` |"].map(opening), [None, Some("SHA-256"), None]);
    }
}
