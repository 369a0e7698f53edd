//! The end of finished runs that nobody asks about any more.

use std::sync::Arc;

use fluid_core::{Event, RunFilter};
use rusqlite::Connection;

use crate::error::Outcome;
use crate::filter::Filter;
use crate::record::state;
use crate::sql;
use crate::state::Stored;
use crate::store::Writing;

struct Gone {
    seq: i64,
    id: [u8; 16],
    task: i64,
    queue: i64,
    state: Stored,
    unique_key: Option<Arc<str>>,
    ended_at: i64,
}

pub(crate) fn purge(on: &mut Writing, filter: &RunFilter, limit: usize) -> Outcome<usize> {
    on.counts.write(&on.base.connection)?;
    let Some(filter) = Filter::of(&mut on.base, filter)?.and_then(Filter::finished) else {
        return Ok(0);
    };
    let gone = oldest(on, &filter, limit)?;
    for run in &gone {
        drop_run(&on.base.connection, run)?;
        on.counts.leave(run.state, run.task, run.queue);
    }
    if !gone.is_empty() {
        on.tell(Event::Changed);
    }
    Ok(gone.len())
}

fn oldest(on: &Writing, filter: &Filter, limit: usize) -> Outcome<Vec<Gone>> {
    let ways = filter.oldest(&on.base)?;
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut gone = Vec::new();
    for way in &ways {
        let mut find = on.base.connection.prepare_cached(way.sql)?;
        let mut rows = find.query(filter.bind(way, &i64::MAX, count))?;
        while let Some(row) = rows.next()? {
            gone.push(Gone {
                seq: row.get(0)?,
                id: row.get(1)?,
                task: row.get(2)?,
                queue: row.get(3)?,
                state: state(row.get(4)?)?,
                unique_key: row.get(5)?,
                ended_at: row.get(6)?,
            });
        }
    }
    if ways.len() > 1 {
        gone.sort_unstable_by_key(|run| (run.ended_at, run.seq));
        gone.truncate(limit);
    }
    Ok(gone)
}

fn drop_run(connection: &Connection, run: &Gone) -> Outcome<()> {
    for sql in [
        sql::LOG_DROP,
        sql::LOG_HEAD_DROP,
        sql::ATTEMPTS_DROP,
        sql::RUN_DROP,
    ] {
        connection.prepare_cached(sql)?.execute([run.seq])?;
    }
    if let Some(key) = &run.unique_key {
        let mut free = connection.prepare_cached(sql::UNIQUE_DROP)?;
        free.execute((run.task, key, &run.id))?;
    }
    Ok(())
}
