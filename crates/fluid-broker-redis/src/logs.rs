//! The output of runs.

use std::hash::{DefaultHasher, Hash, Hasher};

use fluid_core::{BrokerResult, LeaseToken, LogBatch, LogLine, LogStream, RunId, StoredLine};
use jiff::Timestamp;

use crate::answer;
use crate::broker::RedisBroker;
use crate::fault::Outcome;
use crate::link::Lasts;
use crate::record::{corrupt, utf8};
use crate::script;

/// How many lines and bytes one script takes.
const LINES_AT_ONCE: usize = 5000;
const BYTES_AT_ONCE: usize = 4 << 20;
/// How many lines are read at once.
const READ_AT_ONCE: usize = 10_000;

fn letter(stream: LogStream) -> char {
    match stream {
        LogStream::Stdout => 'o',
        LogStream::Stderr => 'e',
        LogStream::System => 'y',
    }
}

fn line_text(line: &LogLine) -> String {
    format!(
        "{}{}\t{}",
        letter(line.stream),
        line.at.as_nanosecond(),
        line.text
    )
}

/// Lines of one batch that go in at once.
struct Piece<'a> {
    run: RunId,
    attempt: u32,
    lines: &'a [LogLine],
}

/// What pieces are recognized by when they are told again.
fn key_of(pieces: &[Piece<'_>]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for piece in pieces {
        (piece.run, piece.attempt, piece.lines.len()).hash(&mut hasher);
        for line in piece.lines {
            (line.at, line.stream, &line.text).hash(&mut hasher);
        }
    }
    hasher.finish()
}

/// Where a piece ends that begins with the first of these lines.
fn fitting(lines: &[LogLine], room: (usize, usize)) -> usize {
    let mut bytes = 0;
    let mut count = 0;
    for line in lines.iter().take(room.0) {
        bytes += line.text.len();
        if count > 0 && bytes > room.1 {
            break;
        }
        count += 1;
    }
    count
}

impl RedisBroker {
    pub(crate) async fn append(&self, batches: &[LogBatch]) -> BrokerResult<()> {
        let mut pieces: Vec<Piece<'_>> = Vec::new();
        let (mut lines, mut bytes) = (0, 0);
        for batch in batches {
            let mut first = 0;
            while first < batch.lines.len() {
                let rest = &batch.lines[first..];
                let room = (LINES_AT_ONCE - lines, BYTES_AT_ONCE.saturating_sub(bytes));
                let count = if bytes >= BYTES_AT_ONCE {
                    0
                } else {
                    fitting(rest, room)
                };
                if count == 0 {
                    self.append_some(&std::mem::take(&mut pieces)).await?;
                    (lines, bytes) = (0, 0);
                    continue;
                }
                let some = &rest[..count];
                lines += count;
                bytes += some.iter().map(|line| line.text.len()).sum::<usize>();
                pieces.push(Piece {
                    run: batch.run,
                    attempt: batch.attempt,
                    lines: some,
                });
                first += count;
            }
        }
        if pieces.is_empty() {
            return Ok(());
        }
        self.append_some(&pieces).await
    }

    async fn append_some(&self, pieces: &[Piece<'_>]) -> BrokerResult<()> {
        // By its number the server knows whether it has this already.
        let key = key_of(pieces);
        let number = self
            .logs
            .of(&key)
            .unwrap_or_else(|| LeaseToken::random().as_i64());
        let asked = self.logs.ask(vec![(key, number)]);
        let notice = self.log_cap.notice();
        let answer = self
            .link
            .run(&script::LOGS, Lasts::No, |command| {
                command
                    .arg(self.log_cap.lines)
                    .arg(self.log_cap.bytes)
                    .arg(&notice)
                    .arg(number)
                    .arg(pieces.len());
                for piece in pieces {
                    command
                        .arg(piece.run.to_string())
                        .arg(piece.attempt)
                        .arg(piece.lines.len());
                    for line in piece.lines {
                        command.arg(line_text(line));
                    }
                }
            })
            .await?;
        let said = self.read(|| answer::text(answer))?;
        asked.answered();
        self.tell(&said);
        Ok(())
    }

    pub(crate) async fn read_lines(
        &self,
        run: RunId,
        after: u64,
        limit: usize,
    ) -> BrokerResult<Vec<StoredLine>> {
        let mut lines = Vec::new();
        while lines.len() < limit {
            let first = after.saturating_add(lines.len() as u64);
            let count = (limit - lines.len()).min(READ_AT_ONCE);
            let Ok(from) = i64::try_from(first) else {
                break;
            };
            let to = from.saturating_add(i64::try_from(count).unwrap_or(i64::MAX)) - 1;
            let answer = self
                .link
                .run(&script::LINES, Lasts::No, |command| {
                    command.arg(run.to_string()).arg(from).arg(to);
                })
                .await?;
            let some = self.read(|| {
                let lines = answer::list(answer)?.into_iter().zip(first + 1..);
                lines
                    .map(|(line, position)| stored(&answer::bytes(line)?, position))
                    .collect::<Outcome<Vec<_>>>()
            })?;
            let enough = some.len() < count;
            lines.extend(some);
            if enough {
                break;
            }
        }
        Ok(lines)
    }
}

fn stored(bytes: &[u8], position: u64) -> Outcome<StoredLine> {
    let fault = || corrupt("a line", bytes);
    let mut fields = utf8(bytes)?.splitn(3, '\t');
    let mut next = || fields.next().ok_or_else(fault);
    let attempt = next()?.parse().map_err(|_| fault())?;
    let (stream, at) = next()?.split_at_checked(1).ok_or_else(fault)?;
    let stream = match stream {
        "o" => LogStream::Stdout,
        "e" => LogStream::Stderr,
        "y" => LogStream::System,
        _ => return Err(fault()),
    };
    let at = at.parse().map_err(|_| fault())?;
    let line = LogLine {
        at: Timestamp::from_nanosecond(at).map_err(|_| fault())?,
        stream,
        text: next()?.to_owned(),
    };
    Ok(StoredLine {
        position,
        attempt,
        line,
    })
}
