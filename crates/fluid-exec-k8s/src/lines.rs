//! A container's log as the API server gives it: lines, each with the instant at which it was printed.

use std::io;

use futures_util::AsyncBufReadExt;
use futures_util::io::AsyncBufRead;
use jiff::Timestamp;

/// A line that is longer comes in pieces.
const LONGEST: usize = 256 * 1024;

/// A line and when it was printed, in whole microseconds, which is what brokers keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) at: Timestamp,
    pub(crate) text: String,
}

/// Cuts a log into lines.
pub(crate) struct Lines<R> {
    log: R,
    begun: Vec<u8>,
    last: Timestamp,
}

impl<R: AsyncBufRead + Unpin> Lines<R> {
    pub(crate) fn new(log: R) -> Self {
        Self {
            log,
            begun: Vec::new(),
            last: Timestamp::UNIX_EPOCH,
        }
    }

    /// The next line; `None` at the end of the log, where there may be an [unfinished](Self::unfinished) one.
    /// Cancellation safe.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        loop {
            let read = self.log.fill_buf().await?;
            if read.is_empty() {
                return Ok(None);
            }
            let end = read.iter().position(|byte| *byte == b'\n');
            let length = end.unwrap_or(read.len());
            self.begun.extend_from_slice(&read[..length]);
            self.log.consume_unpin(length + usize::from(end.is_some()));
            if end.is_some() || self.begun.len() > LONGEST {
                return Ok(Some(self.take()));
            }
        }
    }

    /// A line that the log ended in the midst of: the kubelet gives what was written of it up to then.
    pub(crate) fn unfinished(&mut self) -> Option<Line> {
        (!self.begun.is_empty()).then(|| self.take())
    }

    fn take(&mut self) -> Line {
        let text = String::from_utf8_lossy(&self.begun);
        let stamped = text.split_once(' ').unwrap_or((&text, ""));
        let line = match stamped.0.parse::<Timestamp>() {
            Ok(at) => {
                let micros = Timestamp::from_microsecond(at.as_microsecond());
                self.last = micros.unwrap_or(at);
                Line {
                    at: self.last,
                    text: stamped.1.to_owned(),
                }
            }
            // What follows the first piece of a line has no instant of its own.
            Err(_) => Line {
                at: self.last,
                text: text.into_owned(),
            },
        };
        self.begun.clear();
        line
    }
}

/// How far a log was passed on, so that a second reading goes on where the first one ended.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Position {
    last: Option<(Timestamp, usize)>,
}

impl Position {
    /// After this many lines of this instant.
    pub(crate) fn after(at: Timestamp, lines: usize) -> Self {
        Self {
            last: Some((at, lines)),
        }
    }

    /// Where to begin reading; the API takes whole seconds, and this many lines come again.
    pub(crate) fn since(&self) -> Option<Timestamp> {
        let (at, _) = self.last?;
        Timestamp::from_second(at.as_second()).ok()
    }

    pub(crate) fn passed(&mut self, line: &Line) {
        self.last = Some(match self.last {
            Some((at, lines)) if at == line.at => (at, lines + 1),
            _ => (line.at, 1),
        });
    }
}

/// Tells the lines of a second reading that were passed on already.
#[derive(Debug)]
pub(crate) struct Again {
    until: Option<(Timestamp, usize)>,
}

impl Again {
    pub(crate) fn new(position: Position) -> Self {
        Self {
            until: position.last,
        }
    }

    pub(crate) fn is_known(&mut self, line: &Line) -> bool {
        let Some((at, lines)) = &mut self.until else {
            return false;
        };
        let is_known = line.at <= *at;
        if line.at == *at {
            *lines = lines.saturating_sub(1);
        }
        if !is_known || *lines == 0 {
            // From here on all is new, even if a clock was set back.
            self.until = None;
        }
        is_known
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(log: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(log);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        assert_eq!(lines.unfinished(), None);
        all
    }

    #[tokio::test]
    async fn a_line_has_its_instant_and_its_text() {
        let lines = read(b"2026-11-25T13:00:00.123456789Z a b \n2026-11-25T13:00:01Z \nno instant\n2026-11-25T13:00:02Z last\n").await;
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["a b ", "", "no instant", "last"]);
        assert_eq!(lines[0].at.to_string(), "2026-11-25T13:00:00.123456Z");
        assert_eq!(lines[1].at, lines[2].at);
    }

    #[tokio::test]
    async fn a_line_that_is_being_written_is_none_yet() {
        let log = b"2026-11-25T13:00:00Z 96320\n2026-11-25T13:00:00Z 96";
        let mut lines = Lines::new(&log[..]);
        assert_eq!(lines.next().await.unwrap().unwrap().text, "96320");
        assert_eq!(lines.next().await.unwrap(), None);
        assert_eq!(lines.unfinished().unwrap().text, "96");
        assert_eq!(lines.unfinished(), None);
    }

    #[tokio::test]
    async fn a_second_reading_goes_on_where_the_first_one_ended() {
        let log = b"2026-11-25T13:00:00.9Z a\n2026-11-25T13:00:01.5Z b\n2026-11-25T13:00:01.5Z c\n2026-11-25T13:00:01.5Z d\n2026-11-25T13:00:01.4Z e\n";
        let lines = read(log).await;
        for broken_after in 1..lines.len() {
            let mut position = Position::default();
            for line in &lines[..broken_after] {
                position.passed(line);
            }
            let since = position.since().unwrap();
            assert!(since <= lines[broken_after - 1].at);
            let mut again = Again::new(position);
            let second = lines.iter().filter(|line| line.at >= since);
            let new: Vec<_> = second.filter(|line| !again.is_known(line)).collect();
            assert_eq!(new, lines[broken_after..].iter().collect::<Vec<_>>());
        }
    }
}
