//! Cuts a stream of bytes into lines.

use fluid_core::Redactor;

/// The longest line in bytes; what is longer comes as several lines.
pub(super) const MAX_LINE: usize = 64 * 1024;

/// Bytes that came and are not given as lines yet.
pub(super) struct Lines {
    bytes: Vec<u8>,
    start: usize,
    /// Up to here there is no line end.
    searched: usize,
    redactor: Redactor,
    /// How far a piece of an over-long line must be looked at beyond its end.
    foresight: usize,
}

impl Lines {
    pub(super) fn new(redactor: Redactor) -> Self {
        let foresight = redactor.longest().max(1);
        Self {
            bytes: Vec::new(),
            start: 0,
            searched: 0,
            redactor,
            foresight,
        }
    }

    /// Where to append what was read, with room for `more` bytes.
    pub(super) fn room(&mut self, more: usize) -> &mut Vec<u8> {
        if self.start > 0 {
            self.bytes.drain(..self.start);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.reserve(more);
        &mut self.bytes
    }

    /// The next line without its end, or the next piece of an over-long one. With `all`, also the rest of the
    /// input, which has no line end.
    pub(super) fn next(&mut self, all: bool) -> Option<String> {
        let end = self.bytes[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n')
            .map(|place| self.searched + place);
        self.searched = end.unwrap_or(self.bytes.len());
        let line = &self.bytes[self.start..self.searched];
        let text = match (end, line) {
            (Some(_), [text @ .., b'\r']) => text,
            _ => line,
        };
        let complete = end.is_some() || all;
        if text.len() > MAX_LINE && (complete || text.len() >= MAX_LINE + self.foresight) {
            let cut = self.redactor.cut(text, character_start(text, MAX_LINE));
            let piece = lossy(&text[..cut]);
            self.start += cut;
            return Some(piece);
        }
        if end.is_none() && (!all || text.is_empty()) {
            return None;
        }
        let line = lossy(text);
        self.start = self.bytes.len().min(self.searched + 1);
        self.searched = self.start;
        Some(line)
    }
}

/// The start of the character that the byte at `at` belongs to, if it is one.
fn character_start(text: &[u8], at: usize) -> usize {
    let is_start = |place: &usize| text.get(*place).is_none_or(|byte| byte & 0xc0 != 0x80);
    (at.saturating_sub(3)..=at)
        .rev()
        .find(is_start)
        .unwrap_or(at)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use fluid_core::{JsonText, ParamsSchema, Secret};

    use super::*;

    fn cut(input: &[u8], step: usize, redactor: &Redactor) -> Vec<String> {
        let mut lines = Lines::new(redactor.clone());
        let mut given = Vec::new();
        for part in input.chunks(step) {
            lines.room(part.len()).extend_from_slice(part);
            given.extend(std::iter::from_fn(|| lines.next(false)));
        }
        given.extend(std::iter::from_fn(|| lines.next(true)));
        given
    }

    #[test]
    fn lines_are_the_same_however_they_come() {
        let input = "one\r\n\ntwo \u{fffd}\r\r\nlast\r".as_bytes();
        for step in 1..=input.len() {
            assert_eq!(
                cut(input, step, &Redactor::default()),
                ["one", "", "two \u{fffd}\r", "last\r"],
                "{step}"
            );
        }
        assert_eq!(cut(b"", 1, &Redactor::default()), Vec::<String>::new());
        assert_eq!(cut(b"\n", 1, &Redactor::default()), [""]);
        assert_eq!(
            cut(b"a\xff\xc3(", 1, &Redactor::default()),
            ["a\u{fffd}\u{fffd}("]
        );
    }

    #[test]
    fn a_huge_line_comes_in_pieces_and_whole() {
        let text = "ä€😀x".repeat(30_000);
        for step in [1000, 4096, text.len()] {
            let pieces = cut(text.as_bytes(), step, &Redactor::default());
            assert_eq!(pieces.concat(), text, "{step}");
            assert!(pieces.len() == text.len().div_ceil(MAX_LINE));
            assert!(pieces.iter().all(|piece| piece.len() <= MAX_LINE));
        }
        let exact = format!("{}\r\nb\n", "a".repeat(MAX_LINE));
        for step in [7, exact.len()] {
            let pieces = cut(exact.as_bytes(), step, &Redactor::default());
            assert_eq!(pieces, [&exact[..MAX_LINE], "b"], "{step}");
        }
    }

    #[test]
    fn no_piece_ends_inside_a_secret() {
        let params = ParamsSchema::of::<Secret<String>>()
            .check(JsonText::parse("\"hunter2hunter2\"").unwrap())
            .unwrap();
        let redactor = params.redactor();
        for before in MAX_LINE - 20..MAX_LINE + 5 {
            let text = format!("{}hunter2hunter2{}", "-".repeat(before), "-".repeat(100));
            for step in [1009, text.len()] {
                let pieces = cut(text.as_bytes(), step, &redactor);
                assert_eq!(pieces.concat(), text);
                let shown: String = pieces
                    .into_iter()
                    .map(|piece| redactor.redact(piece))
                    .collect();
                assert!(!shown.contains("hunter2"), "{before}");
            }
        }
    }
}
