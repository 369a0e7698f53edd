//! A row of either table of runs as a [`TaskRun`].

use std::sync::Arc;

use fluid_core::{
    ConsumerId, JsonText, Params, Priority, Progress, QueueName, RunError, RunId, RunState,
    TaskName, TaskRun, Trigger,
};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::code::Coded;
use crate::error::{Fault, Outcome};
use crate::instant::timestamp;
use crate::text::from_kept;

/// The columns of the runs that are not finished, in the order of [`read`].
pub(crate) const UNFINISHED: &str = "id, task, queue, state, priority, trigger, attempt, failures, interruptions, \
     max_interruptions, cancel_requested, created_at, due_at, started_at, NULL::bigint AS ended_at, consumer, \
     execution, waiting, progress, progress_message, ckey, parent, root, retry_of, params, secrets, \
     NULL::text AS result, error";

/// The same of those that are.
pub(crate) const FINISHED: &str = "id, task, queue, state, priority, trigger, attempt, failures, interruptions, \
     max_interruptions, false AS cancel_requested, created_at, due_at, started_at, ended_at, consumer, execution, \
     NULL::text AS waiting, NULL::float8 AS progress, NULL::text AS progress_message, ckey, parent, root, retry_of, \
     params, secrets, result, error";

pub(crate) fn run_id(id: Uuid) -> RunId {
    RunId::from_bytes(*id.as_bytes())
}

pub(crate) fn uuid(id: RunId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

pub(crate) fn coded<T: Coded>(code: i16, what: &str) -> Outcome<T> {
    T::from_code(code).ok_or_else(|| Fault::Corrupt(format!("a row has the unknown {what} {code}")))
}

pub(crate) fn task(name: &str) -> Outcome<TaskName> {
    TaskName::parse(name).map_err(|error| Fault::Corrupt(error.to_string()))
}

pub(crate) fn queue(name: &str) -> Outcome<QueueName> {
    QueueName::parse(name).map_err(|error| Fault::Corrupt(error.to_string()))
}

pub(crate) fn consumer(name: &str) -> Outcome<ConsumerId> {
    ConsumerId::parse(name).map_err(|error| Fault::Corrupt(error.to_string()))
}

/// A number that is never negative.
pub(crate) fn count<T, F>(number: F) -> Outcome<T>
where
    T: TryFrom<F>,
    F: Copy + std::fmt::Display,
{
    T::try_from(number).map_err(|_| Fault::Corrupt(format!("{number} is no number of anything")))
}

pub(crate) fn run_error(json: Option<&str>) -> Outcome<Option<RunError>> {
    json.map(|json| {
        serde_json::from_str(json)
            .map_err(|error| Fault::Corrupt(format!("an error is unreadable: {error}")))
    })
    .transpose()
}

pub(crate) fn json(text: &str) -> JsonText {
    JsonText::trusted(from_kept(text).as_ref())
}

pub(crate) fn params(json_text: &str, secrets: Option<&str>) -> Outcome<Params> {
    let secrets: Vec<String> = match secrets {
        None => Vec::new(),
        Some(secrets) => serde_json::from_str(secrets)
            .map_err(|error| Fault::Corrupt(format!("a run's secrets are unreadable: {error}")))?,
    };
    Ok(Params::stored(json(json_text), secrets))
}

pub(crate) fn text(kept: Option<&str>) -> Option<String> {
    kept.map(|kept| from_kept(kept).into_owned())
}

pub(crate) fn key(kept: &str) -> Arc<str> {
    if kept.is_empty() {
        return Arc::default();
    }
    from_kept(kept).as_ref().into()
}

/// Reads a row of the columns above.
pub(crate) fn read(row: &Row) -> Outcome<TaskRun> {
    let state: RunState = coded(row.try_get(3)?, "state")?;
    let mut run = TaskRun::new(
        run_id(row.try_get(0)?),
        task(row.try_get(1)?)?,
        queue(row.try_get(2)?)?,
        params(row.try_get(24)?, row.try_get(25)?)?,
        timestamp(row.try_get(11)?)?,
    );
    run.state = state;
    run.priority = coded::<Priority>(row.try_get(4)?, "priority")?;
    run.trigger = coded::<Trigger>(row.try_get(5)?, "trigger")?;
    run.attempt = count(row.try_get::<_, i32>(6)?)?;
    run.failures = count(row.try_get::<_, i32>(7)?)?;
    run.interruptions = count(row.try_get::<_, i32>(8)?)?;
    run.max_interruptions = count(row.try_get::<_, i64>(9)?)?;
    run.cancel_requested = row.try_get(10)?;
    run.due_at = timestamp(row.try_get(12)?)?;
    run.started_at = row
        .try_get::<_, Option<i64>>(13)?
        .map(timestamp)
        .transpose()?;
    run.ended_at = row
        .try_get::<_, Option<i64>>(14)?
        .map(timestamp)
        .transpose()?;
    run.consumer = row
        .try_get::<_, Option<&str>>(15)?
        .map(consumer)
        .transpose()?;
    run.execution = text(row.try_get(16)?);
    run.waiting = text(row.try_get(17)?);
    run.progress = match row.try_get::<_, Option<f64>>(18)? {
        None => None,
        Some(fraction) => Some(Progress {
            fraction,
            message: text(row.try_get(19)?).unwrap_or_default(),
        }),
    };
    run.concurrency_key = key(row.try_get(20)?);
    run.parent = row.try_get::<_, Option<Uuid>>(21)?.map(run_id);
    run.root = row.try_get::<_, Option<Uuid>>(22)?.map(run_id);
    run.retry_of = row.try_get::<_, Option<Uuid>>(23)?.map(run_id);
    if state == RunState::Success {
        // `null`, which most tasks return, is not kept.
        run.result = Some(
            row.try_get::<_, Option<&str>>(26)?
                .map_or_else(JsonText::null, json),
        );
    }
    run.error = run_error(row.try_get(27)?)?;
    Ok(run)
}
