//! The last lines of output, to quote in an error.

use std::collections::VecDeque;

const LINES: usize = 10;
const BYTES: usize = 2048;

/// The last lines that are not blank.
#[derive(Debug, Default)]
pub(crate) struct Tail(VecDeque<String>);

impl Tail {
    pub(crate) fn push(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(last(line).to_owned());
    }

    pub(crate) fn text(&self) -> String {
        let lines: Vec<_> = self.0.iter().map(String::as_str).collect();
        last(&lines.join("\n")).to_owned()
    }
}

fn last(text: &str) -> &str {
    let from = text.len().saturating_sub(BYTES);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at));
    from.map_or("", |from| &text[from..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_not_too_much_of_them() {
        let mut tail = Tail::default();
        for number in 0..20 {
            tail.push(&format!("line {number}\r"));
            tail.push(" ");
        }
        let text = tail.text();
        assert!(
            text.starts_with("line 10\n") && text.ends_with("\nline 19"),
            "{text}"
        );
        tail.push(&"ä".repeat(5000));
        assert_eq!(tail.text(), "ä".repeat(BYTES / 2));
    }
}
