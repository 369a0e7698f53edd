//! What became of a seed.

use std::collections::HashMap;
use std::fmt::Write;

use fluid_proof::{History, Verdict};

/// The length of a run id as text.
const ID: usize = 36;

/// What became of a seed.
#[derive(Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What the checker found.
    pub verdict: Verdict,
    /// All that happened.
    pub history: History,
}

impl Outcome {
    /// Everything that happened, line by line: what each process noted and each call of the broker, then each run and
    /// its attempts. Ids of runs are replaced by numbers in the order in which they appear: what is random in them
    /// chooses nothing.
    pub fn trace(&self) -> String {
        let mut trace = String::new();
        for entry in &self.history.ledger {
            let _ = writeln!(trace, "{:>12} {:<14} {:?}", entry.at, entry.by, entry.what);
        }
        for history in self.history.runs.values() {
            let _ = writeln!(trace, "{:?}", history.run);
            for attempt in &history.attempts {
                let _ = writeln!(trace, "  {attempt:?}");
            }
        }
        numbered(&trace)
    }
}

fn numbered(trace: &str) -> String {
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    let mut text = String::with_capacity(trace.len());
    let mut rest = trace;
    while let Some(dash) = rest.find('-') {
        let begin = dash.saturating_sub(8);
        let id = rest.get(begin..begin + ID).filter(|id| is_id(id));
        if let Some(id) = id {
            let next = numbers.len() + 1;
            let number = *numbers.entry(id).or_insert(next);
            text.push_str(&rest[..begin]);
            let _ = write!(text, "run#{number}");
            rest = &rest[begin + ID..];
        } else {
            text.push_str(&rest[..=dash]);
            rest = &rest[dash + 1..];
        }
    }
    text.push_str(rest);
    text
}

fn is_id(text: &str) -> bool {
    text.char_indices().all(|(place, c)| match place {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    })
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn ids_become_numbers_and_nothing_else_does() {
        let (a, b) = (
            "0192f0c1-7d9a-7c3e-8a51-2f6f0e1b9d42",
            "0192f0c1-7d9a-7c3e-8a51-2f6f0e1b9d43",
        );
        let text = format!("x-{a} then {b}, {a}; a-b and 2026-01-05");
        assert_eq!(
            numbered(&text),
            "x-run#1 then run#2, run#1; a-b and 2026-01-05"
        );
    }
}
