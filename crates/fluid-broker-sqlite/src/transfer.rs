//! Runs that go to another broker, and runs that come from one.

use std::collections::BTreeMap;

use fluid_core::{Attempt, ExportedRun, HeldKey, RunId, RunState, TaskName};
use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use crate::enqueue;
use crate::error::Outcome;
use crate::history;
use crate::instant::optional;
use crate::place::{Kind, Lane, state_place};
use crate::record::{Record, error_text, result_text};
use crate::sql;
use crate::state::{Coded, Stored};
use crate::store::{Reading, Writing};

/// What is before every id.
const BEFORE_ALL_IDS: &[u8] = &[];

pub(crate) fn export(
    on: &mut Reading,
    after: Option<RunId>,
    limit: usize,
    now: i64,
) -> Outcome<Vec<ExportedRun>> {
    let after = after
        .as_ref()
        .map_or(BEFORE_ALL_IDS, |id| id.as_bytes().as_slice());
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut records = Vec::new();
    {
        let Reading { connection, names } = &mut *on;
        let mut get = connection.prepare_cached(sql::OLDEST_AFTER)?;
        let mut rows = get.query((after, limit))?;
        while let Some(row) = rows.next()? {
            records.push(Record::read(row, connection, names)?);
        }
    }
    let mut exported = Vec::with_capacity(records.len());
    for record in records {
        let key = held_key(on, &record, now)?;
        let run = record.run.clone();
        let attempts = history::of(on, record)?;
        exported.push(ExportedRun::new(run, key, attempts));
    }
    Ok(exported)
}

fn held_key(on: &Reading, record: &Record, now: i64) -> Outcome<Option<HeldKey>> {
    let mut get = on.connection.prepare_cached(sql::UNIQUE_OF)?;
    let held: Option<(String, Option<i64>)> = get
        .query_row((record.seq, now), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let held = held.map(|(key, until)| {
        Ok(HeldKey {
            key: key.into(),
            until: optional(until)?,
        })
    });
    held.transpose()
}

pub(crate) fn import(
    on: &mut Writing,
    runs: &[ExportedRun],
    ticks: &BTreeMap<TaskName, Timestamp>,
) -> Outcome<usize> {
    for (task, instant) in ticks {
        let base = &mut on.base;
        let task = base.names.tasks.number(&base.connection, task)?;
        let mut add = base.connection.prepare_cached(sql::TICK_ADD)?;
        add.execute((task, instant.as_microsecond(), on.now))?;
    }
    let mut new = 0;
    for run in runs {
        new += usize::from(take_over(on, run)?);
    }
    Ok(new)
}

/// Whether the run was new.
fn take_over(on: &mut Writing, exported: &ExportedRun) -> Outcome<bool> {
    let run = &exported.run;
    let base = &mut on.base;
    let task = base.names.tasks.number(&base.connection, &run.task)?;
    let queue = base.names.queues.number(&base.connection, &run.queue)?;
    let consumer = match &run.consumer {
        Some(consumer) => Some(base.names.consumers.number(&base.connection, consumer)?),
        None => None,
    };
    let stored = stored(exported);
    let lane = |kind| Lane::new(kind, task, queue).first + run.priority.code();
    let key = Some(&*run.concurrency_key).filter(|key| !key.is_empty());
    let place = match stored {
        Stored::Adoptable => lane(Kind::Adoptable),
        Stored::Queued if key.is_some() => lane(Kind::Keyed),
        Stored::Queued => lane(Kind::Plain),
        other => state_place(other),
    };
    let unique = match &exported.unique {
        Some(held) if enqueue::holder(on, task, &held.key)?.is_none() => Some(held),
        _ => None,
    };
    let secrets = enqueue::secrets_text(&run.params)?;
    let connection = &on.base.connection;
    let mut add = connection.prepare_cached(sql::RUN_TAKE_OVER)?;
    let added = add.execute(params![
        run.id.as_bytes(),
        place,
        run.ended_at.unwrap_or(run.due_at).as_microsecond(),
        stored.code(),
        task,
        queue,
        run.priority.code(),
        key,
        run.due_at.as_microsecond(),
        run.attempt,
        run.failures,
        run.interruptions,
        run.max_interruptions,
        run.cancel_requested,
        run.trigger.code(),
        run.created_at.as_microsecond(),
        run.started_at.unwrap_or(run.created_at).as_microsecond(),
        consumer,
        run.execution,
        unique.map(|held| &*held.key),
        run.parent.as_ref().map(RunId::as_bytes),
        run.root.as_ref().map(RunId::as_bytes),
        run.retry_of.as_ref().map(RunId::as_bytes),
        run.params.expose().as_str(),
        secrets,
        run.result.as_ref().and_then(result_text),
        error_text(run.error.as_ref())?,
    ])?;
    if added == 0 {
        return Ok(false);
    }
    drop(add);
    let seq = connection.last_insert_rowid();
    for attempt in &exported.attempts {
        keep_attempt(on, seq, attempt)?;
    }
    if let Some(held) = unique {
        let connection = &on.base.connection;
        let until = held.until.map(Timestamp::as_microsecond);
        let key = (task, &*held.key, run.id.as_bytes(), until);
        connection.prepare_cached(sql::UNIQUE_PUT)?.execute(key)?;
        if run.state.is_terminal() {
            let key = (task, &*held.key, run.id.as_bytes());
            let mut finished = connection.prepare_cached(sql::UNIQUE_FINISHED)?;
            finished.execute(key)?;
        }
    }
    on.counts.enter(stored, task, queue);
    if !run.state.is_terminal() {
        on.tell_claimable(run.id, task)?;
    }
    Ok(true)
}

/// Keeps an attempt that ended; one that goes on is told by its run.
fn keep_attempt(on: &Writing, seq: i64, attempt: &Attempt) -> Outcome<()> {
    let Some(ended_at) = attempt.ended_at else {
        return Ok(());
    };
    let mut add = on.base.connection.prepare_cached(sql::ATTEMPT_ADD)?;
    add.execute((
        seq,
        attempt.number,
        attempt.consumer.as_str(),
        &attempt.execution,
        attempt.started_at.as_microsecond(),
        ended_at.as_microsecond(),
        attempt.outcome.code(),
        error_text(attempt.error.as_ref())?,
    ))?;
    Ok(())
}

fn stored(exported: &ExportedRun) -> Stored {
    if exported.is_adoptable() {
        return Stored::Adoptable;
    }
    match exported.run.state {
        RunState::Scheduled => Stored::Scheduled,
        RunState::Queued => Stored::Queued,
        RunState::Running => Stored::Running,
        RunState::Success => Stored::Success,
        RunState::Failure => Stored::Failure,
        RunState::Aborted => Stored::Aborted,
        RunState::Interrupted => Stored::Interrupted,
        RunState::RateLimited => Stored::RateLimited,
    }
}
