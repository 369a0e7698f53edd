//! Questions about runs.

use fluid_core::{Page, RunFilter, RunId, TaskRun};
use rusqlite::Connection;

use crate::error::Outcome;
use crate::filter::Filter;
use crate::names::Names;
use crate::record::Record;
use crate::sql;
use crate::store::Reading;

/// Larger than every id.
const PAST_ALL_IDS: [u8; 17] = [0xFF; 17];

pub(crate) fn get(on: &mut Reading, run: RunId) -> Outcome<Option<TaskRun>> {
    let record = one(
        &on.connection,
        &mut on.names,
        sql::RUN_BY_ID,
        run.as_bytes(),
    )?;
    Ok(record.map(|record| record.run))
}

/// The run with this key, which is its id or its number, as the statement says.
pub(crate) fn one(
    connection: &Connection,
    names: &mut Names,
    sql: &'static str,
    key: impl rusqlite::ToSql,
) -> Outcome<Option<Record>> {
    let mut get = connection.prepare_cached(sql)?;
    let mut rows = get.query([key])?;
    match rows.next()? {
        None => Ok(None),
        Some(row) => Record::read(row, connection, names).map(Some),
    }
}

pub(crate) fn list(
    on: &mut Reading,
    filter: &RunFilter,
    before: Option<RunId>,
    limit: usize,
) -> Outcome<Page> {
    let Some(filter) = Filter::of(on, filter)? else {
        return Ok(Page::default());
    };
    // One more shows whether there is another page.
    let mut records = newest(on, &filter, before, limit.saturating_add(1))?;
    let more = records.len() > limit;
    records.truncate(limit);
    let runs: Vec<TaskRun> = records.into_iter().map(|record| record.run).collect();
    let next = runs.last().map(|run| run.id).filter(|_| more);
    Ok(Page { runs, next })
}

/// The newest finished runs that pass.
pub(crate) fn finished(on: &mut Reading, filter: &RunFilter, limit: usize) -> Outcome<Vec<Record>> {
    match Filter::of(on, filter)?.and_then(Filter::finished) {
        None => Ok(Vec::new()),
        Some(filter) => newest(on, &filter, None, limit),
    }
}

fn newest(
    on: &mut Reading,
    filter: &Filter,
    before: Option<RunId>,
    limit: usize,
) -> Outcome<Vec<Record>> {
    let before: &[u8] = match &before {
        Some(before) => before.as_bytes(),
        None => &PAST_ALL_IDS,
    };
    let ways = filter.newest(on)?;
    let count = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut records = Vec::new();
    for way in &ways {
        let mut find = on.connection.prepare_cached(way.sql)?;
        let mut rows = find.query(filter.bind(way, &before, count))?;
        while let Some(row) = rows.next()? {
            records.push(Record::read(row, &on.connection, &mut on.names)?);
        }
    }
    if ways.len() > 1 {
        records.sort_unstable_by_key(|record| std::cmp::Reverse(record.run.id));
        records.truncate(limit);
    }
    Ok(records)
}
