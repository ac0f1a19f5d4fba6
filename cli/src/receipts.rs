//! What `loom verify` says of a receipt.

use crate::error::CliError;
use crate::output::{BAD, FAINT, GOOD, Output, WARN};
use crate::text::clean;
use crate::vouching::Vouching;
use loom_core::id::hex;
use loom_replay::evidence::{BYTES_MAX, Checked, Finding, Level, Receipt, verify};
use serde::Serialize;
use std::io::{Read, Write};
use std::path::Path;

/// What may be concluded, and what the next level needs.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct LevelJson {
    number: u8,
    name: &'static str,
    missing: Option<String>,
}

impl From<&Level> for LevelJson {
    fn from(level: &Level) -> Self {
        LevelJson { number: level.number, name: level.name(), missing: level.missing.clone() }
    }
}

/// What a receipt proves.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct ReceiptJson {
    about: &'static str,
    origin: String,
    stream: String,
    sequence: u64,
    size: u64,
    root: String,
    signer: String,
    pinned: bool,
    judged: Vec<JudgedJson>,
    /// The signed statement.
    statement: serde_json::Value,
}

#[derive(Serialize, schemars::JsonSchema)]
struct JudgedJson {
    rule: String,
    result: &'static str,
    sequence: Option<u64>,
}

/// Checks a receipt, which `path` names.
pub(crate) fn check(input: impl Read, path: &Path, vouching: &Vouching) -> Result<Checked, CliError> {
    let failed = |source| CliError::File { doing: "read", path: path.to_path_buf(), source };
    let mut bytes = Vec::new();
    input.take(BYTES_MAX as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    let receipt = Receipt::read(&bytes)?;
    Ok(verify(&receipt, &vouching.pins(&receipt.origin)?)?)
}

/// Returns it for a document.
pub(crate) fn json(checked: &Checked) -> ReceiptJson {
    let judged = checked.judged.iter().map(|judged| JudgedJson {
        rule: judged.rule.clone(),
        result: judged.finding.word(),
        sequence: judged.finding.sequence(),
    });
    ReceiptJson {
        about: checked.about.word(),
        origin: hex(&checked.origin),
        stream: hex(&checked.stream.0),
        sequence: checked.subject,
        size: checked.size,
        root: hex(&checked.root),
        signer: hex(&checked.signer),
        pinned: checked.is_pinned,
        judged: judged.collect(),
        statement: serde_json::from_str(&checked.statement).unwrap_or_default(),
    }
}

/// Prints it.
pub(crate) fn print(what: &str, checked: &Checked, output: &mut Output) -> Result<(), CliError> {
    let out = &mut output.out;
    writeln!(out, "{GOOD}{} holds{GOOD:#}", clean(what))?;
    let (about, stream, subject) = (checked.about.word(), hex(&checked.stream.0), checked.subject);
    writeln!(out, "{about} {stream}#{subject}, {} events of it", checked.events)?;
    writeln!(out, "in the store {}, of {} events", hex(&checked.origin), checked.size)?;
    let signer = hex(&checked.signer);
    match checked.is_pinned {
        true => writeln!(out, "signed by {signer}, which you vouch for")?,
        false => writeln!(out, "{WARN}signed by a key that nobody vouched for{WARN:#}: {signer}")?,
    }
    for judged in &checked.judged {
        let style = match judged.finding {
            Finding::Holds => GOOD,
            Finding::Violated(_) => BAD,
            Finding::Unknowable(_) => WARN,
        };
        let at = judged.finding.sequence().map(|sequence| format!(" at #{sequence}")).unwrap_or_default();
        writeln!(out, "{} {style}{}{style:#}{at}", clean(&judged.rule), judged.finding.word())?;
    }
    level(&checked.level, output)
}

/// Prints a level and what is missing for the next.
pub(crate) fn level(level: &Level, output: &mut Output) -> Result<(), CliError> {
    let next = level.missing.as_ref().map(|missing| format!("; for the next: {}", clean(missing))).unwrap_or_default();
    writeln!(output.out, "{FAINT}level {} of 5, {}{next}{FAINT:#}", level.number, level.name())?;
    Ok(())
}
