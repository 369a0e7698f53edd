//! Runs that go to another broker, and runs that come from one.

use std::collections::{BTreeMap, HashMap};

use fluid_core::{
    Attempt, BrokerResult, ConsumerId, Event, ExportedRun, HeldKey, JsonText, RunId, TaskName,
};
use jiff::Timestamp;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::broker::PostgresBroker;
use crate::code::{ADOPTABLE, Coded};
use crate::enqueue::secret_paths;
use crate::error::{Fault, Outcome};
use crate::finish::error_text;
use crate::instant::timestamp;
use crate::link::{Param, Repeat, Statement};
use crate::query::{self, read_attempt};
use crate::record::{FINISHED, UNFINISHED, count, key, read, run_id, uuid};
use crate::text::to_kept;

/// The place of the key behind the columns of a run.
const KEY: usize = 29;

impl PostgresBroker {
    pub(crate) async fn give(
        &self,
        after: Option<RunId>,
        limit: usize,
    ) -> BrokerResult<Vec<ExportedRun>> {
        let schema = &self.link().schema;
        let slice = Slice {
            after: after.map_or_else(Uuid::nil, uuid),
            limit: query::limit(limit),
            now: self.time(),
        };
        let runs = self.link().ask(&export(schema, &slice)).await?;
        let ids = self.told(ids(&runs.rows))?;
        let attempts = self.link().ask(&query::attempts(schema, &ids)).await?;
        self.told(read_exported(&runs.rows, &attempts.rows))
    }

    pub(crate) async fn take_over(
        &self,
        runs: &[ExportedRun],
        ticks: &BTreeMap<TaskName, Timestamp>,
    ) -> BrokerResult<usize> {
        ExportedRun::check_none_runs(runs, &self.link().url)?;
        let taken = self.told(taken(runs))?;
        let tasks: Vec<&str> = ticks.keys().map(TaskName::as_str).collect();
        let instants: Vec<i64> = ticks.values().copied().map(micros).collect();
        let now = self.time();
        let params: Vec<Param<'_>> = vec![
            (&now, Type::INT8),
            (&self.teller.origin, Type::TEXT),
            (&taken, Type::TEXT),
            (&tasks, Type::TEXT_ARRAY),
            (&instants, Type::INT8_ARRAY),
        ];
        let answer = self.function("take_over", params, Repeat::Harmless).await?;
        let new = self
            .only(&answer)?
            .try_get::<_, i64>(0)
            .map_err(Fault::from);
        let new = self.told(new.and_then(count))?;
        if new > 0 {
            self.tell(vec![Event::Changed], true);
        }
        Ok(new)
    }
}

/// Which runs are asked for, and the time where it does not come from the server.
struct Slice {
    after: Uuid,
    limit: i64,
    now: Option<i64>,
}

/// Runs by ascending id with the keys that they hold.
fn export<'a>(schema: &str, slice: &'a Slice) -> Statement<'a> {
    let part = |columns: &str, table: &str| {
        format!(
            "(SELECT {columns}, unique_key FROM {schema}.{table} WHERE id > $1 ORDER BY id LIMIT $2)"
        )
    };
    Statement {
        sql: format!(
            "SELECT r.*, u.key, u.until FROM ({} UNION ALL {}) AS r LEFT JOIN {schema}.uniques u \
             ON u.task = r.task AND u.key = r.unique_key AND u.run = r.id \
             AND (NOT u.finished OR u.until > coalesce($3, {schema}.clock_us())) ORDER BY r.id LIMIT $2",
            part(UNFINISHED, "runs"),
            part(FINISHED, "finished"),
        ),
        params: vec![
            (&slice.after, Type::UUID),
            (&slice.limit, Type::INT8),
            (&slice.now, Type::INT8),
        ],
        repeat: Repeat::Harmless,
    }
}

fn ids(rows: &[Row]) -> Outcome<Vec<Uuid>> {
    rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
}

fn read_exported(rows: &[Row], attempts: &[Row]) -> Outcome<Vec<ExportedRun>> {
    let mut of: HashMap<RunId, Vec<Attempt>> = HashMap::new();
    for row in attempts {
        let run = run_id(row.try_get(7)?);
        of.entry(run).or_default().push(read_attempt(row)?);
    }
    let exported = rows.iter().map(|row| {
        let run = read(row)?;
        let held = match row.try_get::<_, Option<&str>>(KEY)? {
            None => None,
            Some(kept) => {
                let until: Option<i64> = row.try_get(KEY + 1)?;
                Some(HeldKey {
                    key: key(kept),
                    until: until.map(timestamp).transpose()?,
                })
            }
        };
        let attempts = of.remove(&run.id).unwrap_or_default();
        Ok(ExportedRun::new(run, held, attempts))
    });
    exported.collect()
}

/// A run as the function `take_over` reads it, named like the columns.
#[derive(Serialize)]
struct Taken<'a> {
    id: Uuid,
    task: &'a str,
    queue: &'a str,
    state: i16,
    priority: i16,
    trigger: i16,
    attempt: u32,
    failures: u32,
    interruptions: u32,
    max_interruptions: u32,
    cancel_requested: bool,
    created_at: i64,
    due_at: i64,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    by_attempt: bool,
    consumer: Option<&'a str>,
    execution: Option<String>,
    ckey: String,
    parent: Option<Uuid>,
    root: Option<Uuid>,
    retry_of: Option<Uuid>,
    params: String,
    secrets: Option<String>,
    result: Option<String>,
    error: Option<String>,
    unique_key: Option<String>,
    unique_until: Option<i64>,
    attempts: Vec<Past<'a>>,
}

/// An attempt that ended before its run did.
#[derive(Serialize)]
struct Past<'a> {
    number: u32,
    outcome: i16,
    started_at: i64,
    ended_at: i64,
    consumer: &'a str,
    execution: Option<String>,
    error: Option<String>,
}

fn kept(text: &str) -> String {
    to_kept(text).into_owned()
}

fn micros(at: Timestamp) -> i64 {
    at.as_microsecond()
}

impl<'a> Taken<'a> {
    fn of(exported: &'a ExportedRun) -> Outcome<Self> {
        let run = &exported.run;
        let (past, told) = exported.past();
        let result = run.result.as_ref().map(JsonText::as_str);
        Ok(Self {
            id: uuid(run.id),
            task: run.task.as_str(),
            queue: run.queue.as_str(),
            state: if exported.is_adoptable() {
                ADOPTABLE
            } else {
                run.state.code()
            },
            priority: run.priority.code(),
            trigger: run.trigger.code(),
            attempt: run.attempt,
            failures: run.failures,
            interruptions: run.interruptions,
            max_interruptions: run.max_interruptions,
            cancel_requested: run.cancel_requested,
            created_at: micros(run.created_at),
            due_at: micros(run.due_at),
            started_at: run.started_at.map(micros),
            ended_at: run.ended_at.map(micros),
            by_attempt: told && run.state.is_terminal(),
            consumer: run.consumer.as_ref().map(ConsumerId::as_str),
            execution: run.execution.as_deref().map(kept),
            ckey: kept(&run.concurrency_key),
            parent: run.parent.map(uuid),
            root: run.root.map(uuid),
            retry_of: run.retry_of.map(uuid),
            params: kept(run.params.expose().as_str()),
            secrets: secret_paths(&run.params)?,
            result: result.filter(|text| *text != "null").map(kept),
            error: run.error.as_ref().map(error_text).transpose()?,
            unique_key: exported.unique.as_ref().map(|held| kept(&held.key)),
            unique_until: exported
                .unique
                .as_ref()
                .and_then(|held| held.until)
                .map(micros),
            attempts: past.iter().map(Past::of).collect::<Outcome<_>>()?,
        })
    }
}

impl<'a> Past<'a> {
    fn of(attempt: &'a Attempt) -> Outcome<Self> {
        Ok(Self {
            number: attempt.number,
            outcome: attempt.outcome.code(),
            started_at: micros(attempt.started_at),
            ended_at: micros(attempt.ended_at.unwrap_or(attempt.started_at)),
            consumer: attempt.consumer.as_str(),
            execution: attempt.execution.as_deref().map(kept),
            error: attempt.error.as_ref().map(error_text).transpose()?,
        })
    }
}

/// Runs as the function `take_over` takes them.
fn taken(runs: &[ExportedRun]) -> Outcome<String> {
    let taken = runs.iter().map(Taken::of).collect::<Outcome<Vec<_>>>()?;
    serde_json::to_string(&taken)
        .map_err(|error| Fault::Unfit(format!("runs can't be written: {error}")))
}
