//! Cuts a stream of bytes into lines, as people to screen come: one JSON object a line.
//!
//! Holds at most one line of the length that is allowed; a longer one is thrown away and said to be so, and the
//! lines after it are read on.

/// Cuts a stream into lines.
#[derive(Debug)]
pub struct Lines {
    most: usize,
    held: Vec<u8>,
    /// The line at hand is too long: what is left of it is thrown away.
    too_long: bool,
}

/// A line, or that it was too long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// The line without its end.
    Whole(Vec<u8>),
    /// It was longer than allowed.
    TooLong,
}

impl Lines {
    /// Nothing read yet; a line has at most `most` bytes.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, held: Vec::new(), too_long: false }
    }

    /// Takes the next bytes; the lines that end in them go to `out`. Lines of white space alone are left out.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<Line>) {
        let mut pieces = bytes.split(|byte| *byte == b'\n').peekable();
        while let Some(piece) = pieces.next() {
            if self.held.len() + piece.len() > self.most {
                self.too_long = true;
                self.held.clear();
            } else if !self.too_long {
                self.held.extend_from_slice(piece);
            }
            if pieces.peek().is_some() {
                self.end(out);
            }
        }
    }

    /// The line at hand has ended, as at the end of the stream.
    pub fn end(&mut self, out: &mut Vec<Line>) {
        let line = std::mem::take(&mut self.held);
        if std::mem::take(&mut self.too_long) {
            out.push(Line::TooLong);
        } else if !line.iter().all(u8::is_ascii_whitespace) {
            out.push(Line::Whole(line));
        }
    }

    /// Bytes held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MOST: usize = 12;

    /// What the lines of a text are, said in another way.
    fn expected(text: &[u8]) -> Vec<Line> {
        text.split(|byte| *byte == b'\n')
            .filter(|line| line.len() > MOST || !line.iter().all(u8::is_ascii_whitespace))
            .map(|line| if line.len() > MOST { Line::TooLong } else { Line::Whole(line.to_vec()) })
            .collect()
    }

    #[test]
    fn a_line_that_is_too_long_is_thrown_away_alone() {
        let mut lines = Lines::new(MOST);
        let mut out = Vec::new();
        lines.push(b"{\"a\":1}\n", &mut out);
        for _ in 0..3 {
            lines.push(&[b'x'; MOST], &mut out);
            assert!(lines.held() <= MOST);
        }
        lines.push(b"x\n  \n{}", &mut out);
        lines.end(&mut out);
        assert_eq!(out, [Line::Whole(b"{\"a\":1}".to_vec()), Line::TooLong, Line::Whole(b"{}".to_vec())]);
    }

    proptest! {
        #[test]
        fn however_a_stream_is_cut_the_lines_are_those_of_the_text(
            text in proptest::collection::vec(proptest::sample::select(vec![b'a', b'\n', b' ', b'{', 0xff]), 0..200),
            cuts in proptest::collection::vec(0..200_usize, 0..6),
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(text.len())).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut lines = Lines::new(MOST);
            let mut found = Vec::new();
            for pair in cuts.windows(2) {
                lines.push(&text[pair[0]..pair[1]], &mut found);
                prop_assert!(lines.held() <= MOST);
            }
            lines.end(&mut found);
            prop_assert_eq!(found, expected(&text));
        }
    }
}
