//! `loom doctor`: what keeps Loom from working here, and the command that mends each of it. Reads only.

use crate::app::Global;
use crate::doctor::{Finding, Severity, examine};
use crate::error::CliError;
use crate::exit::Exit;
use crate::output::{BAD, FAINT, GOOD, Output, STRONG, WARN};
use crate::text::clean;
use serde::Serialize;
use std::io::Write;

/// Looks at this machine and this project, and says what is wrong and how it is mended. Changes nothing.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {}

#[derive(Serialize, schemars::JsonSchema)]
pub(super) struct Document {
    loom: &'static str,
    errors: usize,
    warnings: usize,
    findings: Vec<Finding>,
}

/// Answers `loom doctor`.
pub(crate) fn run(_: &Arguments, global: &Global, output: &mut Output) -> Result<Exit, CliError> {
    let findings = examine(global.dir.as_deref());
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let exit = if errors == 0 { Exit::Ok } else { Exit::Unavailable };
    if output.json {
        output.document(&Document { loom: "doctor/1", errors, warnings, findings })?;
        return Ok(exit);
    }
    let out = &mut output.out;
    for finding in &findings {
        let (style, word) = match finding.severity {
            Severity::Error => (BAD, "error"),
            Severity::Warning => (WARN, "warning"),
            Severity::Note => (GOOD, "note"),
        };
        writeln!(out, "{style}{word:<7}{style:#} {STRONG}{:<18}{STRONG:#} {}", finding.id, clean(&finding.says))?;
        if let Some(repair) = &finding.repair {
            writeln!(out, "        {FAINT}repair:{FAINT:#} {}", clean(repair))?;
        }
    }
    writeln!(out, "{errors} errors, {warnings} warnings")?;
    Ok(exit)
}
