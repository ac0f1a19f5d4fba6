//! What a host hands over with an outcome: the typed answer of an agent and the witnessed delta of a workspace,
//! both as canonical bytes in blobs. And what the kernel hands out: the recipe of a prompt.
//!
//! An answer says what an agent claims. Severities and words arrive as the agent wrote them; what they count as
//! is decided here, and whatever is not understood fails closed (VERDICT-1, FINDING-2).

use crate::cbor::{CborError, Decoder, Encoder, MapReader, Problem};
use crate::id::{ARTIFACT_CONTEXT, Digest, FINGERPRINT_CONTEXT, digest};
use crate::schema::Bytes;
use crate::word::Severity;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// Most findings that are taken from one answer; an answer with more is unusable.
pub const FINDINGS_MAX: usize = 200;

/// An agent's answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Claim {
    /// The flow that a classifier chose.
    pub flow: Option<String>,
    /// A reviewer's verdict word.
    pub verdict: Option<String>,
    /// What it found.
    pub findings: Vec<Found>,
    /// Its text for people and later prompts.
    pub summary: String,
}

/// One finding as an agent wrote it. There is no status: that is the kernel's (FINDING-1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Severity word.
    pub severity: String,
    /// Category.
    pub category: String,
    /// File.
    pub path: Option<Bytes>,
    /// Line.
    pub line: Option<u64>,
    /// One sentence.
    pub summary: String,
    /// What it was seen in.
    pub evidence: Option<String>,
}

impl Found {
    /// Returns what the severity word counts as; a word that is not known blocks (FINDING-2).
    pub fn severity(&self) -> Severity {
        match self.severity.to_ascii_lowercase().as_str() {
            "warn" | "warning" | "major" | "medium" => Severity::Warn,
            "info" | "low" | "minor" | "nit" | "note" => Severity::Info,
            _ => Severity::Blocking,
        }
    }
}

/// Returns the fingerprint of a finding: agent, category and place (ID-6).
pub fn fingerprint(agent: &str, category: &str, path: Option<&[u8]>, line: Option<u64>) -> [u8; 16] {
    let line = line.map_or(0, |line| line.saturating_add(1)).to_be_bytes();
    let path = path.unwrap_or(b"");
    let lengths = [agent.len() as u64, category.len() as u64, path.len() as u64];
    let mut head = Vec::with_capacity(24);
    lengths.iter().for_each(|length| head.extend_from_slice(&length.to_be_bytes()));
    let whole = digest(FINGERPRINT_CONTEXT, &[&head, agent.as_bytes(), category.as_bytes(), path, &line]);
    let mut short = [0; 16];
    short.copy_from_slice(&whole.0[..16]);
    short
}

/// Returns the digest of what a gate approves (ID-5); `advice` is by agent.
pub fn artifact<'a>(
    base_commit: &[u8],
    tree: &[u8],
    rules: &[Digest],
    advice: impl Iterator<Item = (&'a str, &'a Digest)>,
) -> Digest {
    let mut parts: Vec<Bytes> = Vec::new();
    let mut part = |bytes: &[u8]| {
        parts.push((bytes.len() as u64).to_be_bytes().to_vec());
        parts.push(bytes.to_vec());
    };
    part(base_commit);
    part(tree);
    rules.iter().for_each(|rules| part(&rules.0));
    for (agent, answer) in advice {
        part(agent.as_bytes());
        part(&answer.0);
    }
    digest(ARTIFACT_CONTEXT, &parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
}

/// Refuses a map that lacks one of these keys; `seen` has a bit for each key that was there (BLOB-2).
fn required(decoder: &Decoder<'_>, seen: u64, keys: &[u64]) -> Result<(), CborError> {
    match keys.iter().find(|key| seen >> **key & 1 == 0) {
        None => Ok(()),
        Some(key) => Err(decoder.error(Problem::MissingKey(*key))),
    }
}

/// Returns the longest prefix of `text` of at most `max` bytes that is whole characters.
pub fn clip(text: &str, max: usize) -> String {
    let mut end = text.len().min(max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_string()
}

impl Claim {
    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.map(2 + usize::from(self.flow.is_some()) + usize::from(self.verdict.is_some()));
        if let Some(flow) = &self.flow {
            e.uint(0);
            e.text(flow);
        }
        if let Some(verdict) = &self.verdict {
            e.uint(1);
            e.text(verdict);
        }
        e.uint(2);
        e.array(self.findings.len());
        for found in &self.findings {
            e.map(
                3 + usize::from(found.path.is_some())
                    + usize::from(found.line.is_some())
                    + usize::from(found.evidence.is_some()),
            );
            e.uint(0);
            e.text(&found.severity);
            e.uint(1);
            e.text(&found.category);
            if let Some(path) = &found.path {
                e.uint(2);
                e.bytes(path);
            }
            if let Some(line) = found.line {
                e.uint(3);
                e.uint(line);
            }
            e.uint(4);
            e.text(&found.summary);
            if let Some(evidence) = &found.evidence {
                e.uint(5);
                e.text(evidence);
            }
        }
        e.uint(3);
        e.text(&self.summary);
        e.finish()
    }

    /// Reads canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut decoder = Decoder::new(bytes);
        let mut claim = Claim::default();
        let mut seen = 0u64;
        let mut map = MapReader::new(&mut decoder)?;
        while let Some(key) = map.key()? {
            let d = map.value();
            seen |= 1 << (key & 63);
            match key {
                0 => claim.flow = Some(d.text()?.to_string()),
                1 => claim.verdict = Some(d.text()?.to_string()),
                2 => {
                    let count = d.array()?;
                    if count > FINDINGS_MAX as u64 {
                        return Err(d.error(Problem::Range(2)));
                    }
                    for _ in 0..count {
                        claim.findings.push(Found::decode(d)?);
                    }
                }
                3 => claim.summary = d.text()?.to_string(),
                unknown => return Err(d.error(Problem::UnknownKey(unknown))),
            }
        }
        required(&decoder, seen, &[2, 3])?;
        decoder.finish()?;
        Ok(claim)
    }
}

impl Found {
    fn decode(decoder: &mut Decoder<'_>) -> Result<Self, CborError> {
        let mut found = Found::default();
        let mut seen = 0u64;
        let mut map = MapReader::new(decoder)?;
        while let Some(key) = map.key()? {
            let d = map.value();
            seen |= 1 << (key & 63);
            match key {
                0 => found.severity = d.text()?.to_string(),
                1 => found.category = d.text()?.to_string(),
                2 => found.path = Some(d.bytes()?.to_vec()),
                3 => found.line = Some(d.uint()?),
                4 => found.summary = d.text()?.to_string(),
                5 => found.evidence = Some(d.text()?.to_string()),
                unknown => return Err(d.error(Problem::UnknownKey(unknown))),
            }
        }
        required(decoder, seen, &[0, 1, 4])?;
        Ok(found)
    }
}

/// What happened to a path between two trees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path from the root of the repository.
    pub path: Bytes,
    /// `added`, `modified`, `deleted` or `type-changed`.
    pub how: String,
}

/// Writes a witnessed delta as canonical bytes: an array of `[path, how]`.
pub fn encode_delta(changes: &[Change]) -> Vec<u8> {
    let mut e = Encoder::default();
    e.array(changes.len());
    for change in changes {
        e.array(2);
        e.bytes(&change.path);
        e.text(&change.how);
    }
    e.finish()
}

/// Reads a witnessed delta.
pub fn decode_delta(bytes: &[u8]) -> Result<Vec<Change>, CborError> {
    let mut d = Decoder::new(bytes);
    let mut changes = Vec::new();
    for _ in 0..d.array()? {
        if d.array()? != 2 {
            return Err(d.error(Problem::Expected("pair of path and change")));
        }
        changes.push(Change { path: d.bytes()?.to_vec(), how: d.text()?.to_string() });
    }
    d.finish()?;
    Ok(changes)
}

/// A check's command as it was found in the base commit or declared there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckCommand {
    /// Name of the check.
    pub check: String,
    /// Program and arguments; no shell reads them.
    pub argv: Vec<String>,
}

/// Writes check commands as canonical bytes: an array of `[check, [argument …]]`.
pub fn encode_checks(checks: &[CheckCommand]) -> Vec<u8> {
    let mut e = Encoder::default();
    e.array(checks.len());
    for command in checks {
        e.array(2);
        e.text(&command.check);
        e.array(command.argv.len());
        command.argv.iter().for_each(|argument| e.text(argument));
    }
    e.finish()
}

/// Reads check commands.
pub fn decode_checks(bytes: &[u8]) -> Result<Vec<CheckCommand>, CborError> {
    let mut d = Decoder::new(bytes);
    let mut checks = Vec::new();
    for _ in 0..d.array()? {
        if d.array()? != 2 {
            return Err(d.error(Problem::Expected("pair of check and command")));
        }
        let check = d.text()?.to_string();
        let argv = (0..d.array()?).map(|_| d.text().map(String::from)).collect::<Result<_, _>>()?;
        checks.push(CheckCommand { check, argv });
    }
    d.finish()?;
    Ok(checks)
}

/// What a prompt is made of: the template, and its parts by digest or sequence (RECIPE-1).
///
/// The host renders exactly this; the outcome names the rendered bytes, so that a prompt can be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recipe {
    /// The agent's template (blob).
    pub template: Digest,
    /// The task (blob).
    pub task: Digest,
    /// Notes of people that stand (blobs), oldest first.
    pub notes: Vec<Digest>,
    /// Answers of advisers (blobs) with the agent that gave them.
    pub advice: Vec<(String, Digest)>,
    /// Findings to mend, by sequence of their `finding.raised`.
    pub findings: Vec<u64>,
    /// The tree the run started from; a diff to the present tree is part of a reviewer's prompt.
    pub base_tree: Bytes,
    /// The present tree.
    pub tree: Bytes,
    /// The output (blob) of the try before, when it could not be used.
    pub repair: Option<Digest>,
}

impl Recipe {
    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::default();
        e.map(7 + usize::from(self.repair.is_some()));
        e.uint(0);
        e.bytes(&self.template.0);
        e.uint(1);
        e.bytes(&self.task.0);
        e.uint(2);
        e.array(self.notes.len());
        self.notes.iter().for_each(|note| e.bytes(&note.0));
        e.uint(3);
        e.array(self.advice.len());
        for (agent, advice) in &self.advice {
            e.array(2);
            e.text(agent);
            e.bytes(&advice.0);
        }
        e.uint(4);
        e.array(self.findings.len());
        self.findings.iter().for_each(|finding| e.uint(*finding));
        e.uint(5);
        e.bytes(&self.base_tree);
        e.uint(6);
        e.bytes(&self.tree);
        if let Some(repair) = &self.repair {
            e.uint(7);
            e.bytes(&repair.0);
        }
        e.finish()
    }

    /// Reads canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        let mut decoder = Decoder::new(bytes);
        let mut recipe = Recipe::default();
        let mut seen = 0u64;
        let mut map = MapReader::new(&mut decoder)?;
        while let Some(key) = map.key()? {
            let d = map.value();
            seen |= 1 << (key & 63);
            match key {
                0 => recipe.template = Digest(d.array_of()?),
                1 => recipe.task = Digest(d.array_of()?),
                2 => {
                    for _ in 0..d.array()? {
                        recipe.notes.push(Digest(d.array_of()?));
                    }
                }
                3 => {
                    for _ in 0..d.array()? {
                        if d.array()? != 2 {
                            return Err(d.error(Problem::Expected("pair of agent and answer")));
                        }
                        recipe.advice.push((d.text()?.to_string(), Digest(d.array_of()?)));
                    }
                }
                4 => {
                    for _ in 0..d.array()? {
                        recipe.findings.push(d.uint()?);
                    }
                }
                5 => recipe.base_tree = d.bytes()?.to_vec(),
                6 => recipe.tree = d.bytes()?.to_vec(),
                7 => recipe.repair = Some(Digest(d.array_of()?)),
                unknown => return Err(d.error(Problem::UnknownKey(unknown))),
            }
        }
        required(&decoder, seen, &[0, 1, 2, 3, 4, 5, 6])?;
        decoder.finish()?;
        Ok(recipe)
    }
}
