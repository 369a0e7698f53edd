//! A row of the table of runs as a [`TaskRun`].

use std::sync::Arc;

use fluid_core::{
    ConsumerId, JsonText, Params, Priority, Progress, RunError, RunId, TaskRun, Trigger,
};
use rusqlite::{Connection, Row};

use crate::error::{Fault, Outcome};
use crate::instant::timestamp;
use crate::names::Names;
use crate::state::{Coded, Stored};

/// A run and what only the broker knows of it.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) seq: i64,
    pub(crate) state: Stored,
    pub(crate) run: TaskRun,
}

pub(crate) fn corrupt(what: &str) -> Fault {
    Fault::Corrupt(format!("a run has an unknown {what}"))
}

pub(crate) fn run_id(row: &Row<'_>, index: usize) -> Outcome<RunId> {
    Ok(RunId::from_bytes(row.get(index)?))
}

pub(crate) fn optional_run_id(row: &Row<'_>, index: usize) -> Outcome<Option<RunId>> {
    Ok(row
        .get::<_, Option<[u8; 16]>>(index)?
        .map(RunId::from_bytes))
}

pub(crate) fn state(code: i64) -> Outcome<Stored> {
    Stored::from_code(code).ok_or_else(|| corrupt("state"))
}

pub(crate) fn priority(code: i64) -> Outcome<Priority> {
    Priority::from_code(code).ok_or_else(|| corrupt("priority"))
}

pub(crate) fn trigger(code: i64) -> Outcome<Trigger> {
    Trigger::from_code(code).ok_or_else(|| corrupt("trigger"))
}

pub(crate) fn consumer(name: Option<String>) -> Outcome<Option<ConsumerId>> {
    name.map(|name| ConsumerId::parse(name).map_err(|error| Fault::Corrupt(error.to_string())))
        .transpose()
}

pub(crate) fn run_error(json: Option<String>) -> Outcome<Option<RunError>> {
    json.map(|json| {
        serde_json::from_str(&json)
            .map_err(|error| Fault::Corrupt(format!("a run's error is unreadable: {error}")))
    })
    .transpose()
}

/// An error as text for the file.
pub(crate) fn error_text(error: Option<&RunError>) -> Outcome<Option<String>> {
    error
        .map(|error| {
            serde_json::to_string(error)
                .map_err(|cause| Fault::Corrupt(format!("an error can't be written: {cause}")))
        })
        .transpose()
}

/// A result as text for the file, which has nothing in place of `null`: that is what most tasks return.
pub(crate) fn result_text(result: &JsonText) -> Option<&str> {
    Some(result.as_str()).filter(|text| *text != "null")
}

/// The parameters and the places of their secrets, from two columns.
pub(crate) fn params(row: &Row<'_>, json: usize, secrets: usize) -> Outcome<Params> {
    let json = row.get_ref(json)?.as_str().map_err(rusqlite::Error::from)?;
    let secrets: Vec<String> = match row.get::<_, Option<String>>(secrets)? {
        None => Vec::new(),
        Some(secrets) => serde_json::from_str(&secrets)
            .map_err(|error| Fault::Corrupt(format!("a run's secrets are unreadable: {error}")))?,
    };
    Ok(Params::stored(JsonText::trusted(json), secrets))
}

impl Record {
    /// Reads a row of the columns that [`RUN_BY_ID`](crate::sql::RUN_BY_ID) and its like have.
    pub(crate) fn read(row: &Row<'_>, connection: &Connection, names: &mut Names) -> Outcome<Self> {
        let stored = state(row.get(4)?)?;
        let params = params(row, 26, 27)?;
        let created_at = timestamp(row.get(13)?)?;
        let task = names.tasks.name(connection, row.get(2)?)?;
        let queue = names.queues.name(connection, row.get(3)?)?;
        let mut run = TaskRun::new(run_id(row, 1)?, task, queue, params, created_at);
        run.priority = priority(row.get(5)?)?;
        run.trigger = trigger(row.get(12)?)?;
        run.parent = optional_run_id(row, 23)?;
        run.root = optional_run_id(row, 24)?;
        run.retry_of = optional_run_id(row, 25)?;
        run.concurrency_key = row.get::<_, Option<Arc<str>>>(22)?.unwrap_or_default();
        run.max_interruptions = row.get(9)?;
        run.due_at = timestamp(row.get(14)?)?;
        run.state = stored.public();
        run.attempt = row.get(6)?;
        run.failures = row.get(7)?;
        run.interruptions = row.get(8)?;
        run.cancel_requested = row.get(10)?;
        if run.attempt > 0 {
            run.started_at = Some(timestamp(row.get(15)?)?);
            run.consumer = Some(names.consumers.name(connection, row.get(17)?)?);
        }
        if stored.public().is_terminal() {
            run.ended_at = Some(timestamp(row.get(16)?)?);
        }
        run.execution = row.get(18)?;
        run.waiting = row.get(19)?;
        run.progress = match row.get::<_, Option<f64>>(20)? {
            None => None,
            Some(fraction) => Some(Progress {
                fraction,
                message: row.get::<_, Option<String>>(21)?.unwrap_or_default(),
            }),
        };
        if stored == Stored::Success {
            let result: Option<Arc<str>> = row.get(28)?;
            run.result = Some(result.map_or_else(JsonText::null, JsonText::trusted));
        }
        run.error = run_error(row.get(29)?)?;
        Ok(Self {
            seq: row.get(0)?,
            state: stored,
            run,
        })
    }
}
