//! The output of one run.

use fluid_core::{LogCap, LogLine, LogStream, StoredLine};
use jiff::Timestamp;

/// Lines in the order they came, up to a cap.
#[derive(Debug, Default)]
pub(super) struct RunLog {
    /// The line at index `i` has position `i + 1`.
    lines: Vec<StoredLine>,
    bytes: u64,
    cut: bool,
}

impl RunLog {
    /// Appends what the cap allows; says whether anything was.
    pub(super) fn append(
        &mut self,
        attempt: u32,
        lines: Vec<LogLine>,
        cap: LogCap,
        now: Timestamp,
    ) -> bool {
        let before = self.lines.len();
        for line in lines {
            if self.cut {
                break;
            }
            let bytes = self.bytes.saturating_add(line.text.len() as u64);
            if self.lines.len() as u64 >= cap.lines || bytes > cap.bytes {
                self.cut = true;
                self.push(
                    attempt,
                    LogLine {
                        at: now,
                        stream: LogStream::System,
                        text: cap.notice(),
                    },
                );
            } else {
                self.bytes = bytes;
                self.push(attempt, line);
            }
        }
        self.lines.len() > before
    }

    fn push(&mut self, attempt: u32, line: LogLine) {
        self.lines.push(StoredLine {
            position: self.lines.len() as u64 + 1,
            attempt,
            line,
        });
    }

    pub(super) fn read(&self, after: u64, limit: usize) -> Vec<StoredLine> {
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        self.lines.iter().skip(skip).take(limit).cloned().collect()
    }
}
