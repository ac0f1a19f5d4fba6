//! Asks at the terminal while the run is driven on, so that a gate can be answered here and elsewhere.
//!
//! A thread reads lines; each wakes whoever asks: the drive loop, or who follows the run of another process. When the one
//! takes over from the other, what was asked and typed stays. Whoever answers first has answered.

use crate::error::CliError;
use crate::told::Tale;
use loom_core::word::Answer;
use std::io::{BufRead, IsTerminal};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};

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

/// Wakes who asks.
type Wake = Box<dyn Fn() + Send>;

/// The lines that are typed.
pub(crate) struct Terminal {
    lines: Receiver<Option<String>>,
    /// What was typed and not taken yet.
    next: Option<Typed>,
    /// The gate that was asked about last.
    asked: Option<u64>,
    /// Whether the question no longer stands in the last line.
    is_past: bool,
    wake: Arc<Mutex<Wake>>,
}

impl Terminal {
    /// Begins to read lines; nothing where nobody sits there, or is not to be asked.
    pub(crate) fn open(no_input: bool) -> Option<Self> {
        if !is_there(no_input) {
            return None;
        }
        let (typed, lines) = channel();
        let wake: Arc<Mutex<Wake>> = Arc::new(Mutex::new(Box::new(|| {})));
        let woken = wake.clone();
        std::thread::spawn(move || {
            loop {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line);
                let line = read.is_ok_and(|bytes| bytes > 0).then_some(line);
                let is_end = line.is_none();
                // The run has ended: nobody waits for what is typed.
                if typed.send(line).is_err() {
                    return;
                }
                woken.lock().unwrap_or_else(PoisonError::into_inner)();
                if is_end {
                    return;
                }
            }
        });
        Some(Terminal { lines, next: None, asked: None, is_past: false, wake })
    }

    /// Has somebody else woken by each line from now on.
    pub(crate) fn wakes(&self, wake: impl Fn() + Send + 'static) {
        *self.wake.lock().unwrap_or_else(PoisonError::into_inner) = Box::new(wake);
    }

    /// Whether nothing was asked about a gate yet.
    pub(crate) fn is_new(&self, gate: u64) -> bool {
        self.asked != Some(gate)
    }

    /// Asks about a gate, once.
    pub(crate) fn ask(&mut self, gate: u64, role: &str, tale: &Tale) -> Result<(), CliError> {
        if self.asked.replace(gate) == Some(gate) {
            return match std::mem::take(&mut self.is_past) && !self.has_typed() {
                true => self.again(role, tale),
                false => Ok(()),
            };
        }
        self.is_past = false;
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

    /// Gives back what was taken, for whoever asks next.
    pub(crate) fn give_back(&mut self, typed: Typed) {
        self.next = Some(typed);
    }

    /// Has the question asked again, unless something is typed already: others have written after it.
    pub(crate) fn is_interrupted(&mut self) {
        self.is_past = true;
    }
}

/// Whether somebody sits at the terminal who is to be asked.
pub(crate) fn is_there(no_input: bool) -> bool {
    !no_input && std::io::stdin().is_terminal()
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
