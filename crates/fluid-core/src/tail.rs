//! The last lines of output, to quote in an error.

use std::collections::VecDeque;

const LINES: usize = 10;
const BYTES: usize = 2048;

/// The last lines of an attempt's output that are not blank: at most 10 of them and 2 KiB. Executors quote them in
/// the error of an attempt whose program failed.
#[derive(Debug, Default)]
pub struct Tail(VecDeque<String>);

impl Tail {
    /// Takes the next line.
    pub fn push(&mut self, line: &str) {
        let line = line.trim_end();
        if line.is_empty() {
            return;
        }
        if self.0.len() == LINES {
            self.0.pop_front();
        }
        self.0.push_back(last(line).to_owned());
    }

    /// What to quote, without a line end.
    pub fn text(&self) -> String {
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
