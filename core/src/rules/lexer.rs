//! Cuts a rule file into tokens. Literals are those of CEL; comments run from `#` to the end of the line.
//!
//! Relies on nothing. Never allocates more than the text's own length, never recurses.

use super::error::{Place, RuleError};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Longest rule file, in bytes.
pub const TEXT_MAX: usize = 1 << 20;

/// What a token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Tok<'t> {
    Word(&'t str),
    /// Magnitude; a sign before it is an operator of its own.
    Int(u64),
    Text(String),
    Bytes(Vec<u8>),
    /// One of [`MARKS`].
    Mark(&'static str),
    End,
}

/// A token, its place, and the bytes of the text it covers.
#[derive(Debug, Clone)]
pub(crate) struct Token<'t> {
    pub(crate) tok: Tok<'t>,
    pub(crate) place: Place,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

/// Operators and punctuation, longer ones before their prefixes.
const MARKS: [&str; 23] = [
    "&&", "||", "==", "!=", "<=", ">=", "!", "<", ">", "?", ":", "+", "-", "*", "/", "%", "(", ")", "[", "]", ",", ".",
    "=",
];

struct Lexer<'t> {
    text: &'t str,
    at: usize,
    place: Place,
}

/// Returns the tokens of `text`, the last of which is [`Tok::End`].
pub(crate) fn tokens(text: &str) -> Result<Vec<Token<'_>>, RuleError> {
    let mut lexer = Lexer { text, at: 0, place: Place { line: 1, column: 1 } };
    if text.len() > TEXT_MAX {
        return Err(lexer.error(format!("the text has {} bytes; at most {TEXT_MAX} are read", text.len())));
    }
    let mut tokens = Vec::new();
    loop {
        lexer.blank();
        let (place, start) = (lexer.place, lexer.at);
        let tok = lexer.token()?;
        let done = tok == Tok::End;
        tokens.push(Token { tok, place, start, end: lexer.at });
        if done {
            return Ok(tokens);
        }
    }
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.place = Place { line: self.place.line + 1, column: 1 };
        } else {
            self.place.column += 1;
        }
        Some(next)
    }

    fn skip(&mut self, characters: usize) {
        (0..characters).for_each(|_| {
            self.next();
        });
    }

    fn error(&self, message: impl Into<String>) -> RuleError {
        RuleError::new(self.place, message)
    }

    fn blank(&mut self) {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' | '\r' | '\n' => {
                    self.next();
                }
                '#' => while self.peek().is_some_and(|next| next != '\n') && self.next().is_some() {},
                _ => return,
            }
        }
    }

    fn token(&mut self) -> Result<Tok<'t>, RuleError> {
        let Some(first) = self.peek() else {
            return Ok(Tok::End);
        };
        if let Some(literal) = self.quoted()? {
            return Ok(literal);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            return Ok(Tok::Word(self.run(|next| next.is_ascii_alphanumeric() || next == '_')));
        }
        if first.is_ascii_digit() {
            return self.number();
        }
        match MARKS.into_iter().find(|mark| self.rest().starts_with(mark)) {
            Some("=") => Err(self.error("`=` is not an operator").hint("equality is `==`")),
            Some(mark) => {
                self.skip(mark.len());
                Ok(Tok::Mark(mark))
            }
            None => match first {
                '&' | '|' => Err(self.error(format!("`{first}` is not an operator")).hint("write `&&` or `||`")),
                _ => Err(self.error(format!("{first:?} does not belong here"))),
            },
        }
    }

    fn run(&mut self, belongs: impl Fn(char) -> bool) -> &'t str {
        let start = self.at;
        while self.peek().is_some_and(&belongs) {
            self.next();
        }
        &self.text[start..self.at]
    }

    fn number(&mut self) -> Result<Tok<'t>, RuleError> {
        let (place, text) = (self.place, self.run(|next| next.is_ascii_alphanumeric()));
        let parsed = match text.strip_prefix("0x").or(text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None => text.parse(),
        };
        if self.peek() == Some('.') && self.rest()[1..].starts_with(|next: char| next.is_ascii_digit()) {
            return Err(RuleError::new(place, "there are no floats in rules").hint("count in a smaller unit"));
        }
        parsed.map(Tok::Int).map_err(|_| {
            RuleError::new(place, format!("`{text}` is not an integer of 64 bits"))
                .hint("integers are decimal or 0x hex")
        })
    }

    /// Reads a string or bytes literal, if one begins here.
    fn quoted(&mut self) -> Result<Option<Tok<'t>>, RuleError> {
        // At most two letters stand before a quote; looking further would make lexing quadratic.
        let quote_at = self.rest().bytes().take(3).position(|byte| matches!(byte, b'"' | b'\''));
        let Some(prefix) = quote_at.map(|at| &self.rest()[..at]) else {
            return Ok(None);
        };
        let (bytes, raw) = match prefix {
            "" => (false, false),
            "r" | "R" => (false, true),
            "b" | "B" => (true, false),
            "br" | "bR" | "Br" | "BR" => (true, true),
            _ => return Ok(None),
        };
        let Some(quote) = self.rest()[prefix.len()..].chars().next() else {
            return Ok(None);
        };
        let opened = self.place;
        self.skip(prefix.len() + 1);
        let triple = self.rest().starts_with([quote]) && self.rest()[1..].starts_with([quote]);
        if triple {
            self.skip(2);
        }
        let mut out = Vec::new();
        loop {
            if triple && self.rest().chars().take(3).filter(|next| *next == quote).count() == 3 {
                self.skip(3);
                break;
            }
            let place = self.place;
            match self.next() {
                Some(next) if next == quote && !triple => break,
                Some('\\') if !raw => self.escape(place, bytes, &mut out)?,
                Some(next) if triple || next != '\n' => {
                    out.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
                }
                Some(_) | None => {
                    return Err(
                        RuleError::new(opened, "the string is not closed").hint("end it with the quote it began with")
                    );
                }
            }
        }
        if bytes {
            return Ok(Some(Tok::Bytes(out)));
        }
        String::from_utf8(out)
            .map(|text| Some(Tok::Text(text)))
            .map_err(|_| RuleError::new(opened, "the string is not UTF-8"))
    }

    /// Reads an escape after its backslash (CEL: one code point in text, one octet for \x and octal in bytes).
    fn escape(&mut self, place: Place, bytes: bool, out: &mut Vec<u8>) -> Result<(), RuleError> {
        let wrong = || RuleError::new(place, "the escape is not one of CEL's").hint(r#"write a backslash as `\\`"#);
        let next = self.next().ok_or_else(wrong)?;
        let mut put = |byte| {
            out.push(byte);
            Ok(())
        };
        let (digits, radix) = match next {
            'a' => return put(7),
            'b' => return put(8),
            'f' => return put(12),
            'n' => return put(10),
            'r' => return put(13),
            't' => return put(9),
            'v' => return put(11),
            '\\' | '?' | '"' | '\'' | '`' => return put(next as u8),
            'x' | 'X' => (2, 16),
            'u' if !bytes => (4, 16),
            'U' if !bytes => (8, 16),
            '0'..='3' => (2, 8),
            _ => return Err(wrong()),
        };
        let mut code = if radix == 8 { next.to_digit(8).ok_or_else(wrong)? } else { 0 };
        for _ in 0..digits {
            let digit = self.next().and_then(|next| next.to_digit(radix)).ok_or_else(wrong)?;
            code = code.checked_mul(radix).and_then(|code| code.checked_add(digit)).ok_or_else(wrong)?;
        }
        if bytes {
            out.push(u8::try_from(code).map_err(|_| wrong())?);
        } else {
            let character = char::from_u32(code).ok_or_else(wrong)?;
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        Ok(())
    }
}
