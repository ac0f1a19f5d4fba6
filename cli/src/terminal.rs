//! Asks at the terminal while the run is driven on, so that a gate can be answered here and elsewhere.
//!
//! A thread reads lines; each wakes the drive loop. Whoever answers first has answered.

use crate::error::CliError;
use crate::told::Tale;
use loom_core::word::Answer;
use loom_host::order::{Message, Outbox};
use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

/// What was typed at a gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Typed {
    /// An answer, and what was said with it.
    Answer(Answer, Option<String>),
    /// The work is to be shown.
    Diff,
    /// Nothing that is understood.
    Unclear(String),
    /// The input has ended.
    End,
}

/// The lines that are typed.
pub(crate) struct Terminal {
    lines: Receiver<Option<String>>,
    /// What was typed and not taken yet.
    next: Option<Typed>,
    /// The gate that was asked about last.
    asked: Option<u64>,
}

impl Terminal {
    /// Begins to read lines; nothing where nobody sits there, or is not to be asked.
    pub(crate) fn open(no_input: bool, outbox: Outbox) -> Option<Self> {
        if !is_there(no_input) {
            return None;
        }
        let (typed, lines) = channel();
        std::thread::spawn(move || {
            loop {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line);
                let line = read.is_ok_and(|bytes| bytes > 0).then_some(line);
                let is_end = line.is_none();
                // The run has ended: nobody waits for what is typed.
                if typed.send(line).is_err() || outbox.send(Message::Look).is_err() || is_end {
                    return;
                }
            }
        });
        Some(Terminal { lines, next: None, asked: None })
    }

    /// Whether nothing was asked about a gate yet.
    pub(crate) fn is_new(&self, gate: u64) -> bool {
        self.asked != Some(gate)
    }

    /// Asks about a gate, once.
    pub(crate) fn ask(&mut self, gate: u64, role: &str, tale: &Tale) -> Result<(), CliError> {
        if self.asked.replace(gate) == Some(gate) {
            return Ok(());
        }
        // What was typed before the question is no answer to it.
        while self.has_typed() && self.next != Some(Typed::End) {
            self.next = None;
        }
        self.again(role, tale)
    }

    /// Asks the same question again.
    pub(crate) fn again(&self, role: &str, tale: &Tale) -> Result<(), CliError> {
        tale.ask(&format!("gate `{role}`: accept, revise NOTE, reject, abandon, or diff? "))
    }

    /// Whether something was typed that is not taken yet.
    pub(crate) fn has_typed(&mut self) -> bool {
        if self.next.is_none() {
            self.next = match self.lines.try_recv() {
                Ok(Some(line)) => Some(parse(&line)),
                Ok(None) | Err(TryRecvError::Disconnected) => Some(Typed::End),
                Err(TryRecvError::Empty) => None,
            };
        }
        self.next.is_some()
    }

    /// Takes what was typed, if anything was.
    pub(crate) fn take(&mut self) -> Option<Typed> {
        self.has_typed();
        self.next.take()
    }
}

/// Whether somebody sits at the terminal who is to be asked.
pub(crate) fn is_there(no_input: bool) -> bool {
    !no_input && std::io::stdin().is_terminal()
}

/// Reads what is typed next, and waits for it.
pub(crate) fn read_line() -> Typed {
    let mut line = String::new();
    match std::io::stdin().lock().read_line(&mut line) {
        Ok(bytes) if bytes > 0 => parse(&line),
        _ => Typed::End,
    }
}

fn parse(line: &str) -> Typed {
    let line = line.trim();
    let (word, note) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match (Answer::of(word), word) {
        (Some(answer), _) => Typed::Answer(answer, Some(note.trim().to_string()).filter(|note| !note.is_empty())),
        (None, "diff") => Typed::Diff,
        (None, _) => Typed::Unclear(word.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_answer_with_a_note_or_is_told_to_be_unclear() {
        assert_eq!(parse("accept\n"), Typed::Answer(Answer::Accept, None));
        assert_eq!(parse(" revise  mind the names \n"), Typed::Answer(Answer::Revise, Some("mind the names".into())));
        assert_eq!(parse("diff"), Typed::Diff);
        assert_eq!(parse(""), Typed::Unclear(String::new()));
        assert_eq!(parse("yes"), Typed::Unclear("yes".into()));
    }
}
