//! The output of runs.

use std::collections::BTreeMap;

use fluid_core::{
    BrokerResult, Event, LeaseToken, LogBatch, LogLine, LogStream, RunId, StoredLine,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::broker::PostgresBroker;
use crate::code::Coded;
use crate::error::{Fault, Outcome};
use crate::instant::timestamp;
use crate::link::{Param, Repeat, Statement};
use crate::record::{coded, count, run_id, uuid};
use crate::text::{from_kept, to_kept};

/// Lines as the function takes them: run after run, in the order of ids.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    runs: Vec<Uuid>,
    counts: Vec<i32>,
    attempts: Vec<i64>,
    ats: Vec<i64>,
    streams: Vec<i16>,
    sizes: Vec<i64>,
    texts: Vec<String>,
}

impl Lines {
    pub(crate) fn of(batches: &[LogBatch]) -> Self {
        let mut by_run: BTreeMap<RunId, Vec<&LogBatch>> = BTreeMap::new();
        for batch in batches {
            by_run.entry(batch.run).or_default().push(batch);
        }
        let mut lines = Self::default();
        for (run, batches) in by_run {
            let before = lines.ats.len();
            for batch in batches {
                for line in &batch.lines {
                    lines.add(batch.attempt, line);
                }
            }
            let added = lines.ats.len() - before;
            if added > 0 {
                lines.runs.push(uuid(run));
                lines.counts.push(i32::try_from(added).unwrap_or(i32::MAX));
            }
        }
        lines
    }

    fn add(&mut self, attempt: u32, line: &LogLine) {
        self.attempts.push(i64::from(attempt));
        self.ats.push(line.at.as_microsecond());
        self.streams.push(line.stream.code());
        self.sizes
            .push(i64::try_from(line.text.len()).unwrap_or(i64::MAX >> 8));
        self.texts.push(to_kept(&line.text).into_owned());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn params(&self) -> [Param<'_>; 7] {
        [
            (&self.runs, Type::UUID_ARRAY),
            (&self.counts, Type::INT4_ARRAY),
            (&self.attempts, Type::INT8_ARRAY),
            (&self.ats, Type::INT8_ARRAY),
            (&self.streams, Type::INT2_ARRAY),
            (&self.sizes, Type::INT8_ARRAY),
            (&self.texts, Type::TEXT_ARRAY),
        ]
    }
}

impl PostgresBroker {
    /// Appends lines to logs.
    pub(crate) async fn append(&self, batches: &[LogBatch]) -> BrokerResult<()> {
        let lines = Lines::of(batches);
        if lines.is_empty() {
            return Ok(());
        }
        let now = self.time();
        // Tells this request from others that write to the same log.
        let request = LeaseToken::random().as_i64();
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let (most_lines, most_bytes) = (number(self.log_cap.lines), number(self.log_cap.bytes));
        let notice = self.log_cap.notice();
        let mut params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&request, Type::INT8),
            (&false, Type::BOOL),
            (&most_lines, Type::INT8),
            (&most_bytes, Type::INT8),
            (&notice, Type::TEXT),
        ];
        params.extend(lines.params());
        let answer = self
            .function("append_logs", params, Repeat::Flagged(2))
            .await?;
        let mut events = Vec::with_capacity(answer.rows.len());
        for row in &answer.rows {
            let run = self.told(row.try_get(0).map_err(Fault::from))?;
            events.push(Event::Log { run: run_id(run) });
        }
        self.tell(events, false);
        Ok(())
    }
}

/// Lines of a log from a position on.
pub(crate) fn read<'a>(
    schema: &str,
    run: &'a Uuid,
    after: &'a i64,
    limit: &'a i64,
) -> Statement<'a> {
    Statement {
        sql: format!(
            "SELECT position, attempt, at, stream, line FROM {schema}.logs WHERE run = $1 AND position > $2 \
             ORDER BY position LIMIT $3"
        ),
        params: vec![(run, Type::UUID), (after, Type::INT8), (limit, Type::INT8)],
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_line(row: &Row) -> Outcome<StoredLine> {
    Ok(StoredLine {
        position: count(row.try_get::<_, i64>(0)?)?,
        attempt: count(row.try_get::<_, i64>(1)?)?,
        line: LogLine {
            at: timestamp(row.try_get(2)?)?,
            stream: coded::<LogStream>(row.try_get(3)?, "stream")?,
            text: from_kept(row.try_get(4)?).into_owned(),
        },
    })
}
