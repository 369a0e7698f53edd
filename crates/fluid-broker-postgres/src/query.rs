//! Questions about runs, and the statements that find those to be done once more or deleted.

use std::collections::BTreeMap;

use fluid_core::{Attempt, AttemptOutcome, Page, RunFilter, RunState, Stats, TaskName, TaskRun};
use jiff::Timestamp;
use tokio_postgres::Row;
use tokio_postgres::types::Type;

use crate::error::Outcome;
use crate::filter::Filter;
use crate::instant::timestamp;
use crate::link::{Param, Repeat, Statement};
use crate::record::{
    FINISHED, UNFINISHED, coded, consumer, count, queue, read, run_error, task, text,
};

/// One run.
pub(crate) fn get<'a>(schema: &str, id: &'a uuid::Uuid) -> Statement<'a> {
    Statement {
        sql: format!(
            "SELECT {UNFINISHED} FROM {schema}.runs WHERE id = $1 \
             UNION ALL SELECT {FINISHED} FROM {schema}.finished WHERE id = $1"
        ),
        params: vec![(id, Type::UUID)],
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_all(rows: &[Row]) -> Outcome<Vec<TaskRun>> {
    rows.iter().map(read).collect()
}

/// The newest runs that pass, one more than `limit`.
pub(crate) fn list<'a>(
    schema: &str,
    filter: &'a Filter,
    before: Option<&'a uuid::Uuid>,
    limit: &'a i64,
) -> Statement<'a> {
    let mut params: Vec<Param<'a>> = vec![(limit, Type::INT8)];
    let older = match before {
        None => "",
        Some(before) => {
            params.push((before, Type::UUID));
            " AND id < $2"
        }
    };
    let mut parts = Vec::new();
    for (wanted, table, columns, finished) in [
        (filter.wants_unfinished(), "runs", UNFINISHED, false),
        (filter.wants_finished(), "finished", FINISHED, true),
    ] {
        if wanted {
            let conditions = filter.conditions(finished, &mut params);
            parts.push(format!(
                "(SELECT {columns} FROM {schema}.{table} WHERE {conditions}{older} ORDER BY id DESC LIMIT $1)"
            ));
        }
    }
    if parts.is_empty() {
        parts.push(format!(
            "(SELECT {UNFINISHED} FROM {schema}.runs WHERE false LIMIT $1)"
        ));
    }
    Statement {
        sql: format!(
            "SELECT * FROM ({}) AS runs ORDER BY id DESC LIMIT $1",
            parts.join(" UNION ALL ")
        ),
        params,
        repeat: Repeat::Harmless,
    }
}

/// A page of at most `limit` of these rows.
pub(crate) fn page(rows: &[Row], limit: usize) -> Outcome<Page> {
    let mut runs = read_all(rows)?;
    let more = runs.len() > limit;
    runs.truncate(limit);
    let next = runs.last().map(|run| run.id).filter(|_| more);
    Ok(Page { runs, next })
}

/// The attempts of these runs, each before the id of its run.
pub(crate) fn attempts<'a>(schema: &str, ids: &'a Vec<uuid::Uuid>) -> Statement<'a> {
    Statement {
        sql: format!(
            "SELECT number, consumer, execution, started_at, ended_at, outcome, error, run FROM {schema}.attempts \
             WHERE run = ANY ($1) \
             UNION ALL SELECT attempt, consumer, execution, started_at, NULL, 0::smallint, NULL, id \
             FROM {schema}.runs WHERE id = ANY ($1) AND state IN (2, 3) \
             UNION ALL SELECT attempt, consumer, execution, started_at, ended_at, (state - 3)::smallint, error, id \
             FROM {schema}.finished WHERE id = ANY ($1) AND by_attempt ORDER BY 8, 1"
        ),
        params: vec![(ids, Type::UUID_ARRAY)],
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_attempt(row: &Row) -> Outcome<Attempt> {
    let mut attempt = Attempt::running(
        count(row.try_get::<_, i32>(0)?)?,
        consumer(row.try_get(1)?)?,
        timestamp(row.try_get(3)?)?,
    );
    attempt.execution = text(row.try_get(2)?);
    attempt.ended_at = row
        .try_get::<_, Option<i64>>(4)?
        .map(timestamp)
        .transpose()?;
    attempt.outcome = coded::<AttemptOutcome>(row.try_get(5)?, "outcome")?;
    attempt.error = run_error(row.try_get(6)?)?;
    Ok(attempt)
}

/// How many runs ended in a time, by state; their rows lie in the order in which they ended, nearly.
pub(crate) fn ended<'a>(schema: &str, from: &'a i64, before: &'a i64) -> Statement<'a> {
    Statement {
        sql: format!(
            "SELECT state, count(*) FROM {schema}.finished WHERE ended_at >= $1 AND ended_at < $2 GROUP BY state"
        ),
        params: vec![(from, Type::INT8), (before, Type::INT8)],
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_ended(rows: &[Row]) -> Outcome<BTreeMap<RunState, u64>> {
    let one = |row: &Row| {
        let state = coded::<RunState>(row.try_get(0)?, "state")?;
        Ok((state, count(row.try_get::<_, i64>(1)?)?))
    };
    rows.iter().map(one).collect()
}

/// How many runs there are: the counts, and in the first row who waits longest.
pub(crate) fn stats(schema: &str) -> Statement<'static> {
    Statement {
        sql: format!(
            "SELECT NULL AS task, NULL AS queue, {schema}.oldest_queued() AS oldest, 0::bigint, 0::bigint, 0::bigint, \
             0::bigint, 0::bigint, 0::bigint, 0::bigint, 0::bigint \
             UNION ALL (SELECT task, queue, NULL, sum(scheduled)::bigint, sum(queued)::bigint, sum(running)::bigint, \
             sum(success)::bigint, sum(failure)::bigint, sum(aborted)::bigint, sum(interrupted)::bigint, \
             sum(rate_limited)::bigint FROM {schema}.counts GROUP BY task, queue)"
        ),
        params: Vec::new(),
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_stats(rows: &[Row]) -> Outcome<Stats> {
    let mut stats = Stats::default();
    for row in rows {
        let (Some(task_name), Some(queue_name)) = (
            row.try_get::<_, Option<&str>>(0)?,
            row.try_get::<_, Option<&str>>(1)?,
        ) else {
            let oldest: Option<i64> = row.try_get(2)?;
            stats.oldest_queued = oldest.map(timestamp).transpose()?;
            continue;
        };
        for (place, state) in RunState::ALL.into_iter().enumerate() {
            let number: u64 = count(row.try_get::<_, i64>(3 + place)?)?;
            if number == 0 {
                continue;
            }
            let states = stats.tasks.entry(task(task_name)?).or_default();
            *states.entry(state).or_default() += number;
            if !state.is_terminal() {
                let states = stats.queues.entry(queue(queue_name)?).or_default();
                *states.entry(state).or_default() += number;
            }
        }
    }
    Ok(stats)
}

/// The latest tick of each task, by a jump from task to task.
pub(crate) fn last_ticks(schema: &str) -> Statement<'static> {
    Statement {
        sql: format!(
            "WITH RECURSIVE last AS ( \
               (SELECT task, instant FROM {schema}.ticks ORDER BY task DESC, instant DESC LIMIT 1) \
               UNION ALL SELECT t.task, t.instant FROM last CROSS JOIN LATERAL ( \
                 SELECT task, instant FROM {schema}.ticks WHERE task < last.task \
                 ORDER BY task DESC, instant DESC LIMIT 1) t) \
             SELECT task, instant FROM last"
        ),
        params: Vec::new(),
        repeat: Repeat::Harmless,
    }
}

pub(crate) fn read_ticks(rows: &[Row]) -> Outcome<BTreeMap<TaskName, Timestamp>> {
    let mut ticks = BTreeMap::new();
    for row in rows {
        ticks.insert(task(row.try_get(0)?)?, timestamp(row.try_get(1)?)?);
    }
    Ok(ticks)
}

/// The finished runs that pass, as a list of ids in a statement: the newest or the oldest of them.
pub(crate) fn finished_ids<'a>(
    schema: &str,
    filter: &'a Filter,
    limit: i64,
    newest: bool,
    params: &mut Vec<Param<'a>>,
) -> String {
    if !filter.wants_finished() {
        return "'{}'::uuid[]".to_owned();
    }
    let conditions = filter.conditions(true, params);
    let (order, lock) = if newest {
        ("DESC", "")
    } else {
        ("ASC", " FOR UPDATE SKIP LOCKED")
    };
    format!(
        "ARRAY(SELECT id FROM {schema}.finished WHERE {conditions} ORDER BY id {order} LIMIT {limit}{lock})"
    )
}

/// A number of rows as the server takes it.
pub(crate) fn limit(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// The filter of a question.
pub(crate) fn filter(filter: &RunFilter) -> Filter {
    Filter::of(filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Coded as _;

    #[test]
    fn outcomes_of_finished_runs_are_three_less_than_their_states() {
        for (state, outcome) in [
            (RunState::Success, AttemptOutcome::Success),
            (RunState::Failure, AttemptOutcome::Failure),
            (RunState::Aborted, AttemptOutcome::Aborted),
            (RunState::Interrupted, AttemptOutcome::Interrupted),
        ] {
            assert_eq!(state.code() - 3, outcome.code());
        }
    }
}
