//! The output of runs.

use fluid_core::{Event, LogBatch, LogLine, LogStream, RunId, StoredLine};
use rusqlite::OptionalExtension;

use crate::error::{Fault, Outcome};
use crate::instant::timestamp;
use crate::sql;
use crate::state::Coded;
use crate::store::{Reading, Writing};

/// What a run's log holds so far.
#[derive(Debug, Default)]
struct Head {
    lines: u64,
    bytes: u64,
    cut: bool,
}

pub(crate) fn append(on: &mut Writing, batches: &[LogBatch]) -> Outcome<()> {
    for batch in batches {
        if append_one(on, batch)? {
            on.tell(Event::Log { run: batch.run });
        }
    }
    Ok(())
}

/// Appends what the cap allows; says whether anything was.
fn append_one(on: &Writing, batch: &LogBatch) -> Outcome<bool> {
    let connection = &on.base.connection;
    let mut find = connection.prepare_cached(sql::RUN_SEQ)?;
    let run: Option<i64> = find
        .query_row([batch.run.as_bytes()], |row| row.get(0))
        .optional()?;
    let Some(run) = run else {
        return Ok(false);
    };
    let mut get = connection.prepare_cached(sql::LOG_HEAD)?;
    let mut head = get
        .query_row([run], |row| {
            Ok(Head {
                lines: row.get(0)?,
                bytes: row.get(1)?,
                cut: row.get(2)?,
            })
        })
        .optional()?
        .unwrap_or_default();
    let before = head.lines;
    let cap = on.log_cap;
    let mut add = connection.prepare_cached(sql::LOG_ADD)?;
    for line in &batch.lines {
        if head.cut {
            break;
        }
        let bytes = head.bytes.saturating_add(line.text.len() as u64);
        let (at, stream, text) = if head.lines >= cap.lines || bytes > cap.bytes {
            head.cut = true;
            (on.now, LogStream::System, &cap.notice())
        } else {
            head.bytes = bytes;
            (line.at.as_microsecond(), line.stream, &line.text)
        };
        head.lines += 1;
        add.execute((run, head.lines, batch.attempt, at, stream.code(), text))?;
    }
    if head.lines == before {
        return Ok(false);
    }
    let mut put = connection.prepare_cached(sql::LOG_HEAD_PUT)?;
    put.execute((run, head.lines, head.bytes, head.cut))?;
    Ok(true)
}

pub(crate) fn read(
    on: &mut Reading,
    run: RunId,
    after: u64,
    limit: usize,
) -> Outcome<Vec<StoredLine>> {
    let mut find = on.connection.prepare_cached(sql::RUN_SEQ)?;
    let run: Option<i64> = find
        .query_row([run.as_bytes()], |row| row.get(0))
        .optional()?;
    let (Some(run), Ok(after)) = (run, i64::try_from(after)) else {
        return Ok(Vec::new());
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut get = on.connection.prepare_cached(sql::LOG_READ)?;
    let mut rows = get.query((run, after, limit))?;
    let mut lines = Vec::new();
    while let Some(row) = rows.next()? {
        let stream = LogStream::from_code(row.get(3)?)
            .ok_or_else(|| Fault::Corrupt("a line of a log has an unknown stream".to_owned()))?;
        lines.push(StoredLine {
            position: row.get(0)?,
            attempt: row.get(1)?,
            line: LogLine {
                at: timestamp(row.get(2)?)?,
                stream,
                text: row.get(4)?,
            },
        });
    }
    Ok(lines)
}
