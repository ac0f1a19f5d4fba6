//! The writer of a page. Markup is text of this program alone, by type: [`Page::raw`] takes what was compiled in, and
//! whatever else there is goes through [`Page::text`] or is a number. So no element and no attribute comes from data.
//!
//! Characters that cannot be seen, or that make text read otherwise than it is stored, stand as a mark with their number
//! (`<i class=x>U+202E</i>`), which no text can feign.

use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use std::fmt::Write;
use std::path::Path;

const STYLE: &str = include_str!("style.css");
/// Most characters of one value.
const VALUE_MAX: usize = 400;

/// A page that is being written.
pub(super) struct Page(String);

impl Page {
    /// Begins a page, up to and with its heading. `title` is what the page answers.
    pub(super) fn new(command: &'static str, title: &str) -> Self {
        let mut page = Page(String::with_capacity(1 << 16));
        // Nothing is loaded and no script runs, whatever a reader's browser or a fault in here would allow (REPORT-1).
        page.raw("<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta http-equiv=Content-Security-Policy content=\"default-src 'none'; style-src 'sha256-");
        page.0.push_str(&BASE64.encode(&Sha256::digest(STYLE.as_bytes())));
        page.raw("'; base-uri 'none'; form-action 'none'\">\n");
        page.raw("<meta name=viewport content=\"width=device-width,initial-scale=1\">\n<meta name=referrer content=no-referrer>\n<title>");
        page.text(title).raw("</title>\n<style>").raw(STYLE).raw("</style>\n</head>\n<body>\n");
        page.raw("<a class=skip href=\"#main\">Skip to the report</a>\n<header>\n<p class=by>loom-replay ");
        page.raw(env!("CARGO_PKG_VERSION"))
            .raw(" ")
            .raw(command)
            .raw("</p>\n<h1>")
            .text(title)
            .raw("</h1>\n</header>\n");
        page
    }

    /// Ends the page.
    pub(super) fn end(mut self) -> String {
        self.raw("</main>\n<footer>\n<p>Times are UTC. This page loads nothing and runs nothing; the same answer gives the same bytes. ");
        self.raw("<code>--json</code> gives it to programs.</p>\n<p>Printed, findings stand whole; a timeline prints if it is open.</p>\n</footer>\n</body>\n</html>\n");
        self.0
    }

    /// Writes markup, or words of this program.
    pub(super) fn raw(&mut self, html: &'static str) -> &mut Self {
        self.0.push_str(html);
        self
    }

    /// Writes a number, as it stands in text and in names of places.
    pub(super) fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        let _infallible = write!(self.0, "{}", number.into());
        self
    }

    /// Writes text of whatever origin.
    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            match c {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                c if is_unseen(c) => {
                    let _infallible = write!(self.0, "<i class=x>U+{:04X}</i>", u32::from(c));
                }
                c => self.0.push(c),
            }
        }
        self
    }

    /// Writes a value that may be long: its beginning, and how much is left out.
    pub(super) fn value(&mut self, text: &str) -> &mut Self {
        match text.char_indices().nth(VALUE_MAX) {
            None => self.text(text),
            Some((end, _)) => {
                let left = text[end..].chars().count() as u64;
                self.text(&text[..end]).raw("<i class=x>and ").number(left).raw(" more characters</i>")
            }
        }
    }

    /// Writes a path; bytes that are no text stand as their numbers.
    pub(super) fn path(&mut self, path: &Path) -> &mut Self {
        for chunk in path.as_os_str().as_encoded_bytes().utf8_chunks() {
            self.text(chunk.valid());
            for byte in chunk.invalid() {
                let _infallible = write!(self.0, "<i class=x>byte {byte:02X}</i>");
            }
        }
        self
    }

    /// Writes a number and a word, in the plural where it needs one.
    pub(super) fn count(&mut self, number: u64, word: &'static str) -> &mut Self {
        self.number(number).raw(" ").raw(word).raw(if number == 1 { "" } else { "s" })
    }

    /// Writes a number in a list of figures, with what it counts.
    pub(super) fn figure(&mut self, number: u64, what: &'static str) -> &mut Self {
        self.raw("<div><dt>").raw(what).raw("</dt><dd>").number(number).raw("</dd></div>\n")
    }
}

/// Whether a character shows nothing by itself or turns the text around it.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Page) -> &mut Page) -> String {
        let mut page = Page(String::new());
        write(&mut page);
        page.0
    }

    #[test]
    fn text_is_no_markup_and_hides_nothing() {
        let told = written(|page| page.text("</i><a href='x'>\"&\u{1b}[2J\u{202e}\u{200b}\n\0é日"));
        let mark = |code: &str| format!("<i class=x>U+{code}</i>");
        let [escape, turn, none, line, zero] = ["001B", "202E", "200B", "000A", "0000"].map(mark);
        assert_eq!(
            told,
            format!("&lt;/i&gt;&lt;a href=&#39;x&#39;&gt;&quot;&amp;{escape}[2J{turn}{none}{line}{zero}é日")
        );
    }

    #[test]
    fn bytes_of_a_path_that_are_no_text_are_told() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"a<\xff\xc3"));
        assert_eq!(written(|page| page.path(path)), "a&lt;<i class=x>byte FF</i><i class=x>byte C3</i>");
    }

    #[test]
    fn a_long_value_says_how_much_is_left_out() {
        let told = written(|page| page.value(&"é".repeat(VALUE_MAX + 7)));
        assert_eq!(told, format!("{}<i class=x>and 7 more characters</i>", "é".repeat(VALUE_MAX)));
        assert_eq!(written(|page| page.value("é")), "é");
    }
}
