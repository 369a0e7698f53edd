//! How runs come in.

use std::collections::HashSet;

use fluid_core::{Due, Enqueued, NewRun, RunFilter, RunId, Trigger, Unique};
use rusqlite::OptionalExtension;

use crate::error::{Fault, Outcome};
use crate::instant::later;
use crate::place::{Kind, Lane};
use crate::query;
use crate::record::{Record, run_id};
use crate::sql;
use crate::state::{Coded, Stored};
use crate::store::Writing;

/// Keys whose time is over that one call clears away.
const OVER_AT_ONCE: i64 = 16;

pub(crate) fn enqueue(on: &mut Writing, runs: &[NewRun]) -> Outcome<Vec<Enqueued>> {
    let mut enqueued = Vec::with_capacity(runs.len());
    let mut told = HashSet::new();
    for run in runs {
        let (task, answer) = insert(on, run)?;
        if matches!(answer, Enqueued::Inserted(_)) && told.insert(task) {
            on.tell_claimable(run.id, task)?;
        }
        enqueued.push(answer);
    }
    Ok(enqueued)
}

/// Inserts a run unless it is a duplicate; the number of its task.
pub(crate) fn insert(on: &mut Writing, new: &NewRun) -> Outcome<(i64, Enqueued)> {
    let task = on.base.names.tasks.number(&on.base.connection, &new.task)?;
    let queue = on
        .base
        .names
        .queues
        .number(&on.base.connection, &new.queue)?;
    if let Some(unique) = &new.unique
        && let Some(holder) = holder(on, task, &unique.key)?
    {
        return Ok((task, Enqueued::Duplicate(holder)));
    }
    let due_at = match new.due {
        Due::Now => on.now,
        Due::After(delay) => later(on.now, delay),
        Due::At(instant) => instant.as_microsecond(),
    };
    let state = if due_at > on.now {
        Stored::Scheduled
    } else {
        Stored::Queued
    };
    let secrets = match new.params.secret_paths() {
        [] => None,
        paths => Some(serde_json::to_string(paths).map_err(|error| {
            Fault::Corrupt(format!("the places of secrets can't be written: {error}"))
        })?),
    };
    let keyed = !new.concurrency_key.is_empty();
    let place = match state {
        Stored::Queued => {
            let kind = if keyed { Kind::Keyed } else { Kind::Plain };
            Lane::new(kind, task, queue).first + new.priority.code()
        }
        scheduled => scheduled.code(),
    };
    let mut add = on.base.connection.prepare_cached(sql::RUN_ADD)?;
    let added = add.execute(rusqlite::params![
        new.id.as_bytes(),
        place,
        due_at,
        state.code(),
        task,
        queue,
        new.priority.code(),
        keyed.then_some(&new.concurrency_key),
        new.max_interruptions,
        new.trigger.code(),
        on.now,
        new.unique.as_ref().map(|unique| &*unique.key),
        new.parent.as_ref().map(RunId::as_bytes),
        new.root.as_ref().map(RunId::as_bytes),
        new.retry_of.as_ref().map(RunId::as_bytes),
        new.params.expose().as_str(),
        secrets,
    ])?;
    drop(add);
    if added == 0 {
        return Ok((task, Enqueued::Duplicate(new.id)));
    }
    on.counts.enter(state, task, queue);
    if let Some(unique) = &new.unique {
        keep_key(on, task, unique, new.id)?;
    }
    Ok((task, Enqueued::Inserted(new.id)))
}

/// The run that a unique key belongs to now.
fn holder(on: &Writing, task: i64, key: &str) -> Outcome<Option<RunId>> {
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
    let again: Vec<NewRun> = old.iter().map(once_more).collect();
    enqueue(on, &again)?;
    Ok(again.iter().map(|run| run.id).collect())
}

fn once_more(old: &Record) -> NewRun {
    let old = &old.run;
    let mut new = NewRun::new(old.task.clone(), old.params.clone());
    new.queue = old.queue.clone();
    new.priority = old.priority;
    new.trigger = Trigger::Retry;
    new.parent = old.parent;
    new.root = old.root;
    new.retry_of = Some(old.id);
    new.concurrency_key = old.concurrency_key.clone();
    new.max_interruptions = old.max_interruptions;
    new
}
