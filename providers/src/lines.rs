//! Puts the lines of a stream together again, whatever pieces it comes in.

/// Longest line that is put together, in bytes; a longer one is passed over.
const LINE_BYTES_MAX: usize = 1024 * 1024;

/// The line that is under way. Lines end with LF only.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    line: Vec<u8>,
    /// Whether the line is too long already.
    over: bool,
}

impl Lines {
    /// Takes a piece and hands over each line that it ends, without its LF.
    pub(crate) fn push(&mut self, piece: &[u8], mut whole: impl FnMut(&[u8])) {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            self.add(&rest[..end]);
            if !self.over {
                whole(&self.line);
            }
            self.line.clear();
            self.over = false;
            rest = &rest[end + 1..];
        }
        self.add(rest);
    }

    fn add(&mut self, part: &[u8]) {
        self.over |= self.line.len() + part.len() > LINE_BYTES_MAX;
        if self.over {
            self.line.clear();
        } else {
            self.line.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines_of<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
        let (mut lines, mut found) = (Lines::default(), Vec::new());
        pieces.into_iter().for_each(|piece| lines.push(piece, |line| found.push(line.to_vec())));
        found
    }

    #[test]
    fn a_line_without_end_is_passed_over_and_the_next_is_read() {
        let long = vec![b'x'; LINE_BYTES_MAX];
        assert_eq!(lines_of([&long[..], b"y\nshort\n"]), [b"short".to_vec()]);
        assert_eq!(lines_of([&long[..], b"\nshort\n"]), [long, b"short".to_vec()]);
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(text in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), size in 1..20_usize) {
            let whole: Vec<Vec<u8>> = match text.iter().rposition(|byte| *byte == b'\n') {
                Some(end) => text[..end].split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect(),
                None => Vec::new(),
            };
            prop_assert_eq!(lines_of(text.chunks(size)), whole);
        }
    }
}
