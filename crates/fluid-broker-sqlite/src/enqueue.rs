//! How runs come in.

use std::collections::HashSet;
use std::iter;

use fluid_core::{Due, Enqueued, NewRun, Params, RunFilter, RunId, Unique};
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{OptionalExtension, params_from_iter};

use crate::error::{Fault, Outcome};
use crate::instant::later;
use crate::place::{Kind, Lane, state_place};
use crate::query;
use crate::record::run_id;
use crate::sql::{self, RUNS_TOGETHER};
use crate::state::{Coded, Stored};
use crate::store::{Reading, Writing};

/// Keys whose time is over that one call clears away.
const OVER_AT_ONCE: i64 = 16;

pub(crate) fn enqueue(on: &mut Writing, runs: &[NewRun]) -> Outcome<Vec<Enqueued>> {
    let mut inserted = Vec::with_capacity(runs.len());
    for like in runs.chunk_by(|one, next| one.unique.is_none() && next.unique.is_none()) {
        insert_all(on, like, &mut inserted)?;
    }
    let mut told = HashSet::new();
    let mut enqueued = Vec::with_capacity(runs.len());
    for (task, answer) in inserted {
        if let Enqueued::Inserted(run) = answer
            && told.insert(task)
        {
            on.tell_claimable(run, task)?;
        }
        enqueued.push(answer);
    }
    Ok(enqueued)
}

/// Inserts runs without a unique key, many in one statement, or a single run with one.
fn insert_all(
    on: &mut Writing,
    mut runs: &[NewRun],
    inserted: &mut Vec<(i64, Enqueued)>,
) -> Outcome<()> {
    while let Some((together, rest)) = runs.split_at_checked(RUNS_TOGETHER) {
        insert_together(on, together, inserted)?;
        runs = rest;
    }
    for run in runs {
        inserted.push(insert(on, run)?);
    }
    Ok(())
}

fn insert_together(
    on: &mut Writing,
    runs: &[NewRun],
    inserted: &mut Vec<(i64, Enqueued)>,
) -> Outcome<()> {
    let rows: Vec<NewRow<'_>> = runs
        .iter()
        .map(|run| NewRow::new(on, run))
        .collect::<Outcome<_>>()?;
    let mut add = on.base.connection.prepare_cached(sql::RUNS_ADD)?;
    let values = rows.iter().flat_map(NewRow::values);
    let added = add.execute(params_from_iter(iter::once(number(on.now)).chain(values)))?;
    drop(add);
    // New rows have the highest numbers.
    let last_before = on.base.connection.last_insert_rowid() - i64::try_from(added).unwrap_or(0);
    let mut seen = HashSet::new();
    for row in rows {
        let id = row.run.id;
        let is_new = added == runs.len() || {
            let mut find = on.base.connection.prepare_cached(sql::RUN_SEQ)?;
            let seq: i64 = find.query_row([id.as_bytes()], |row| row.get(0))?;
            seq > last_before && seen.insert(id)
        };
        inserted.push((row.task, row.answer(on, is_new)));
    }
    Ok(())
}

/// Inserts a run unless it is a duplicate; the number of its task.
pub(crate) fn insert(on: &mut Writing, run: &NewRun) -> Outcome<(i64, Enqueued)> {
    let row = NewRow::new(on, run)?;
    if let Some(unique) = &run.unique
        && let Some(holder) = holder(on, row.task, &unique.key)?
    {
        return Ok((row.task, Enqueued::Duplicate(holder)));
    }
    let mut add = on.base.connection.prepare_cached(sql::RUN_ADD)?;
    let values = iter::once(number(on.now)).chain(row.values());
    let added = add.execute(params_from_iter(values))? > 0;
    drop(add);
    if added && let Some(unique) = &run.unique {
        keep_key(on, row.task, unique, run.id)?;
    }
    Ok((row.task, row.answer(on, added)))
}

/// A run and what the file has in its place.
struct NewRow<'a> {
    run: &'a NewRun,
    task: i64,
    queue: i64,
    state: Stored,
    place: i64,
    due_at: i64,
    secrets: Option<String>,
}

impl<'a> NewRow<'a> {
    fn new(on: &mut Writing, run: &'a NewRun) -> Outcome<Self> {
        let Reading { connection, names } = &mut on.base;
        let task = names.tasks.number(connection, &run.task)?;
        let queue = names.queues.number(connection, &run.queue)?;
        let due_at = match run.due {
            Due::Now => on.now,
            Due::After(delay) => later(on.now, delay),
            Due::At(instant) => instant.as_microsecond(),
        };
        let (state, place) = if due_at > on.now {
            (Stored::Scheduled, state_place(Stored::Scheduled))
        } else {
            let kind = if run.concurrency_key.is_empty() {
                Kind::Plain
            } else {
                Kind::Keyed
            };
            let lane = Lane::new(kind, task, queue);
            (Stored::Queued, lane.first + run.priority.code())
        };
        let secrets = secrets_text(&run.params)?;
        Ok(Self {
            run,
            task,
            queue,
            state,
            place,
            due_at,
            secrets,
        })
    }

    /// The values of [`RUN_ADD`](sql::RUN_ADD) behind the first, in its order.
    fn values(&self) -> [ToSqlOutput<'_>; 17] {
        let run = self.run;
        let key = Some(&*run.concurrency_key).filter(|key| !key.is_empty());
        [
            id(Some(&run.id)),
            number(self.place),
            number(self.due_at),
            number(self.state.code()),
            number(self.task),
            number(self.queue),
            number(run.priority.code()),
            text(key),
            number(self.due_at),
            number(run.max_interruptions.into()),
            number(run.trigger.code()),
            text(run.unique.as_ref().map(|unique| &*unique.key)),
            id(run.parent.as_ref()),
            id(run.root.as_ref()),
            id(run.retry_of.as_ref()),
            text(Some(run.params.expose().as_str())),
            text(self.secrets.as_deref()),
        ]
    }

    /// What is said of the run now that it is in the file, or was there before.
    fn answer(&self, on: &mut Writing, is_new: bool) -> Enqueued {
        if !is_new {
            return Enqueued::Duplicate(self.run.id);
        }
        on.counts.enter(self.state, self.task, self.queue);
        Enqueued::Inserted(self.run.id)
    }
}

/// The places of secrets, as the file has them.
pub(crate) fn secrets_text(params: &Params) -> Outcome<Option<String>> {
    match params.secret_paths() {
        [] => Ok(None),
        paths => serde_json::to_string(paths).map(Some).map_err(|error| {
            Fault::Corrupt(format!("the places of secrets can't be written: {error}"))
        }),
    }
}

fn number(number: i64) -> ToSqlOutput<'static> {
    ToSqlOutput::Borrowed(ValueRef::Integer(number))
}

fn text(text: Option<&str>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(text.map_or(ValueRef::Null, |text| ValueRef::Text(text.as_bytes())))
}

fn id(run: Option<&RunId>) -> ToSqlOutput<'_> {
    ToSqlOutput::Borrowed(run.map_or(ValueRef::Null, |run| ValueRef::Blob(run.as_bytes())))
}

/// The run that a unique key belongs to now.
pub(crate) fn holder(on: &Writing, task: i64, key: &str) -> Outcome<Option<RunId>> {
    let mut get = on.base.connection.prepare_cached(sql::UNIQUE_GET)?;
    let found = get
        .query_row((task, key), |row| {
            let frees_at: Option<i64> = row.get(1)?;
            let finished: bool = row.get(2)?;
            Ok((run_id(row, 0), frees_at, finished))
        })
        .optional()?;
    let Some((run, frees_at, finished)) = found else {
        return Ok(None);
    };
    let held = !finished || frees_at.is_some_and(|frees_at| frees_at > on.now);
    Ok(held.then_some(run?))
}

fn keep_key(on: &Writing, task: i64, unique: &Unique, run: RunId) -> Outcome<()> {
    let connection = &on.base.connection;
    let frees_at = unique.window.map(|window| later(on.now, window));
    let mut put = connection.prepare_cached(sql::UNIQUE_PUT)?;
    put.execute((task, &*unique.key, run.as_bytes(), frees_at))?;

    let over: Vec<(i64, String, [u8; 16])> = connection
        .prepare_cached(sql::UNIQUES_OVER)?
        .query_map((on.now, OVER_AT_ONCE), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut free = connection.prepare_cached(sql::UNIQUE_DROP)?;
    for key in over {
        free.execute(key)?;
    }
    Ok(())
}

/// Enqueues finished runs once more.
pub(crate) fn retry(on: &mut Writing, filter: &RunFilter, limit: usize) -> Outcome<Vec<RunId>> {
    on.counts.write(&on.base.connection)?;
    let old = query::finished(&mut on.base, filter, limit)?;
    let again: Vec<NewRun> = old.iter().map(|old| NewRun::once_more(&old.run)).collect();
    enqueue(on, &again)?;
    Ok(again.iter().map(|run| run.id).collect())
}
