//! Where results and talk go: stdout is the result, stderr is talk (CLI-1).
//!
//! Colour follows NO_COLOR, CLICOLOR_FORCE and the terminal. A closed pipe is an error value like any other and
//! becomes exit 0.

use crate::error::CliError;
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
        Output { out: BufWriter::with_capacity(64 * 1024, anstream::stdout()), json }
    }

    /// Writes the one JSON document of a command.
    pub(crate) fn document(&mut self, document: &impl Serialize) -> Result<(), CliError> {
        let json = serde_json::to_string_pretty(document)?;
        Ok(writeln!(self.out, "{}", clean_json(&json))?)
    }

    /// Writes a document as one line of many.
    pub(crate) fn line(&mut self, document: &impl Serialize) -> Result<(), CliError> {
        let json = serde_json::to_string(document)?;
        Ok(writeln!(self.out, "{}", clean_json(&json))?)
    }

    /// Warns of something on stderr; `--quiet` does not silence it.
    pub(crate) fn warn(&self, words: &str) {
        warn(words);
    }
}

/// Warns of something on stderr, without an output at hand.
pub(crate) fn warn(words: &str) {
    let _deaf = writeln!(anstream::stderr(), "{WARN}warning:{WARN:#} {}", clean(words));
}

/// Says on stderr what may be worth doing.
pub(crate) fn note(words: &str) {
    let _deaf = writeln!(anstream::stderr(), "{GOOD}note:{GOOD:#} {}", clean(words));
}

/// Tells of an error, its causes and what to do about it.
pub(crate) fn tell(error: &CliError) {
    let mut err = anstream::stderr();
    let mut text = format!("{BAD}error:{BAD:#} {}\n", clean(&error.to_string()));
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!("{FAINT}caused by:{FAINT:#} {}\n", clean(&error.to_string())));
        cause = error.source();
    }
    if let Some(hint) = error.hint() {
        text.push_str(&format!("{GOOD}hint:{GOOD:#} {}\n", clean(&hint)));
    }
    let _deaf = err.write_all(text.as_bytes());
}
