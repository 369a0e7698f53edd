//! The attempts of a run.

use fluid_core::{Attempt, AttemptOutcome, RunId};

use crate::error::Outcome;
use crate::instant::{optional, timestamp};
use crate::query;
use crate::record::{Record, consumer, corrupt, run_error};
use crate::sql;
use crate::state::{Coded, Stored};
use crate::store::Reading;

pub(crate) fn attempts(on: &mut Reading, run: RunId) -> Outcome<Vec<Attempt>> {
    let record = query::one(
        &on.connection,
        &mut on.names,
        sql::RUN_BY_ID,
        run.as_bytes(),
    )?;
    record.map_or_else(|| Ok(Vec::new()), |record| of(on, record))
}

/// The attempts of a run that was read.
pub(crate) fn of(on: &Reading, record: Record) -> Outcome<Vec<Attempt>> {
    let mut get = on.connection.prepare_cached(sql::ATTEMPTS)?;
    let mut rows = get.query([record.seq])?;
    let mut attempts = Vec::new();
    while let Some(row) = rows.next()? {
        let by = consumer(row.get(1)?)?.ok_or_else(|| corrupt("consumer"))?;
        let mut attempt = Attempt::running(row.get(0)?, by, timestamp(row.get(3)?)?);
        attempt.execution = row.get(2)?;
        attempt.ended_at = optional(row.get(4)?)?;
        attempt.outcome =
            AttemptOutcome::from_code(row.get(5)?).ok_or_else(|| corrupt("outcome"))?;
        attempt.error = run_error(row.get(6)?)?;
        attempts.push(attempt);
    }
    if attempts
        .last()
        .is_none_or(|last| last.number < record.run.attempt)
    {
        attempts.extend(last_attempt(record));
    }
    Ok(attempts)
}

/// The last attempt, as the run itself tells it.
fn last_attempt(record: Record) -> Option<Attempt> {
    let run = record.run;
    let mut attempt = Attempt::running(run.attempt, run.consumer?, run.started_at?);
    attempt.execution = run.execution;
    attempt.outcome = match record.state {
        Stored::Running | Stored::Adoptable => return Some(attempt),
        Stored::Success => AttemptOutcome::Success,
        Stored::Failure => AttemptOutcome::Failure,
        Stored::Aborted => AttemptOutcome::Aborted,
        Stored::Interrupted => AttemptOutcome::Interrupted,
        // No attempt ends like that: all of them are in the history.
        Stored::Scheduled | Stored::Queued | Stored::RateLimited => return None,
    };
    attempt.ended_at = run.ended_at;
    attempt.error = run.error;
    Some(attempt)
}
