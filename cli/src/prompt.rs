//! Asks for a value at the terminal without showing it.
//!
//! The terminal is put back as it was, also when the value is not given: keys that would end the process are read here.

use crate::error::CliError;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{Error, Read, Stdin, Write, stdin};

/// Longest value, in bytes.
const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Puts a terminal back as it was.
struct Quiet<'a> {
    stdin: &'a Stdin,
    before: Termios,
}

impl Drop for Quiet<'_> {
    fn drop(&mut self) {
        // A terminal that has gone needs nothing.
        let _gone = tcsetattr(self.stdin, OptionalActions::Flush, &self.before);
        let _deaf = writeln!(std::io::stderr());
    }
}

/// Asks for a line; an end of the input or an interrupt gives none.
pub(crate) fn hidden(question: &str) -> Result<String, CliError> {
    let stdin = stdin();
    let before = tcgetattr(&stdin).map_err(Error::from)?;
    let mut silent = before.clone();
    silent.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
    let quiet = Quiet { stdin: &stdin, before };
    // What was typed before was shown, so it counts for nothing.
    tcsetattr(&stdin, OptionalActions::Flush, &silent).map_err(Error::from)?;
    write!(std::io::stderr(), "{question}: ")?;
    let mut value = Vec::new();
    let given = loop {
        let mut byte = [0];
        if stdin.lock().read(&mut byte)? == 0 {
            break !value.is_empty();
        }
        match byte[0] {
            b'\n' | b'\r' => break true,
            // Interrupt, quit, suspend, end.
            0x03 | 0x1c | 0x1a | 0x04 => break false,
            0x7f | 0x08 => drop(value.pop()),
            0x15 => value.clear(),
            byte if value.len() < VALUE_BYTES_MAX => value.push(byte),
            _ => {}
        }
    };
    drop(quiet);
    let text = String::from_utf8(value).ok().filter(|_| given);
    text.ok_or(CliError::NoValue)
}
