//! Where results and talk go: stdout is the result, stderr is talk (CLI-1).
//!
//! Colour follows NO_COLOR, CLICOLOR_FORCE and the terminal. A closed pipe is an error value like any other and
//! becomes exit 0.

use crate::code::{Code, pages};
use crate::error::CliError;
use crate::status;
use crate::text::{clean, clean_json};
use anstyle::{AnsiColor, Style};
use serde::Serialize;
use std::error::Error;
use std::io::{self, BufWriter, Write};

/// What a command answers on.
pub(crate) struct Output {
    /// Results.
    pub(crate) out: BufWriter<anstream::AutoStream<io::Stdout>>,
    /// Whether one JSON document is wanted instead of text.
    pub(crate) json: bool,
    /// Whether the one document is written.
    answered: bool,
}

/// An error, in place of the document that the command could not make.
#[derive(Serialize, schemars::JsonSchema)]
pub(crate) struct ErrorDocument {
    loom: &'static str,
    /// `LOOM-Ennn`; `loom explain` has a page for each.
    code: String,
    message: String,
    /// What it was caused by, the nearest first.
    causes: Vec<String>,
    /// What to do about it.
    repair: String,
}

/// What people should see first.
pub(crate) const STRONG: Style = Style::new().bold();
/// What they may skip.
pub(crate) const FAINT: Style = Style::new().dimmed();
/// Ids.
pub(crate) const ID: Style = AnsiColor::Yellow.on_default();
/// Good news.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
/// Bad news.
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
/// What needs a look.
pub(crate) const WARN: Style = AnsiColor::Magenta.on_default();

impl Output {
    /// Returns the process' own output.
    pub(crate) fn new(json: bool) -> Self {
        Output { out: BufWriter::with_capacity(64 * 1024, anstream::stdout()), json, answered: false }
    }

    /// Writes the one JSON document of a command.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), CliError> {
        let json = serde_json::to_string_pretty(document)?;
        writeln!(self.out, "{}", clean_json(&json))?;
        self.answered = true;
        Ok(())
    }

    /// Writes a document as one line of many.
    pub(crate) fn line(&mut self, document: &impl Serialize) -> Result<(), CliError> {
        let json = serde_json::to_string(document)?;
        Ok(writeln!(self.out, "{}", clean_json(&json))?)
    }

    /// Writes an error as the one document, where JSON is wanted and none is written yet.
    pub(crate) fn error(&mut self, error: &CliError) -> Result<(), CliError> {
        if !self.json || self.answered {
            return Ok(());
        }
        let code = Code::of(error).to_string();
        let causes = causes(error).collect();
        let repair = error.hint().unwrap_or_else(|| repair(&code));
        self.document(&ErrorDocument { loom: "error/1", code, message: error.to_string(), causes, repair })
    }

    /// Writes as the one document what is wrong with the command line.
    pub(crate) fn usage(&mut self, message: String) -> Result<(), CliError> {
        let code = Code::USAGE.to_string();
        let repair = repair(&code);
        self.document(&ErrorDocument { loom: "error/1", code, message, causes: Vec::new(), repair })
    }

    /// Whether people read the results at a terminal, or on a way to one.
    pub(crate) fn is_read(&self) -> bool {
        self.out.get_ref().is_terminal() || self.out.get_ref().current_choice() != anstream::ColorChoice::Never
    }

    /// Writes bytes exactly as they are.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> Result<(), CliError> {
        self.out.flush()?;
        let mut out = io::stdout().lock();
        out.write_all(bytes)?;
        Ok(out.flush()?)
    }

    /// Warns of something on stderr; `--quiet` does not silence it.
    pub(crate) fn warn(&self, words: &str) {
        warn(words);
    }
}

/// Warns of something on stderr, without an output at hand.
pub(crate) fn warn(words: &str) {
    let _cleared = status::clear();
    let _deaf = writeln!(anstream::stderr(), "{WARN}warning:{WARN:#} {}", clean(words));
}

/// Says on stderr what may be worth doing.
pub(crate) fn note(words: &str) {
    let _cleared = status::clear();
    let _deaf = writeln!(anstream::stderr(), "{GOOD}note:{GOOD:#} {}", clean(words));
}

/// Tells of an error, its causes and what to do about it.
pub(crate) fn tell(error: &CliError) {
    let mut err = anstream::stderr();
    let mut text = format!("{BAD}error:{BAD:#} {}\n", clean(&error.to_string()));
    for cause in causes(error) {
        text.push_str(&format!("{FAINT}caused by:{FAINT:#} {}\n", clean(&cause)));
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("{GOOD}hint:{GOOD:#} {}\n", clean(&hint)));
    }
    text.push_str(&format!("{FAINT}more: loom explain {}{FAINT:#}\n", Code::of(error)));
    let _deaf = err.write_all(text.as_bytes());
}

/// Returns what an error was caused by, the nearest first.
fn causes(error: &CliError) -> impl Iterator<Item = String> + '_ {
    std::iter::successors(error.source(), |error: &&dyn Error| (*error).source()).map(ToString::to_string)
}

/// Returns what the page of a code says is to be done.
fn repair(code: &str) -> String {
    let page = pages().find(|page| page.code == code);
    let told = page.and_then(|page| page.text.split_once("\nDo: "));
    let lines = told.map(|(_, rest)| rest.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" "));
    lines.unwrap_or_default()
}
