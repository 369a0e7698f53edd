//! Claims.

use std::collections::{BTreeMap, BTreeSet};

use fluid_core::{
    ClaimRequest, Claimed, ConsumerId, Event, LeaseToken, Priority, QueueName, RateExceeded,
    RunState, TaskLimits, TaskRun, Trigger,
};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use crate::error::{Fault, Outcome};
use crate::instant::{micros, timestamp};
use crate::link::Param;
use crate::record::{coded, count, key, params, queue, run_error, run_id, task, text};

/// A claim as the function takes it.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    token: i64,
    consumer: &'a str,
    limit: i32,
    lease: i64,
    queues: Vec<&'a str>,
    tasks: Vec<&'a str>,
    surviving: Option<Vec<&'a str>>,
    most: Option<Vec<i64>>,
    intervals: Option<Vec<Option<i64>>>,
    tolerances: Option<Vec<Option<i64>>>,
    rejects: Option<Vec<bool>>,
}

impl<'a> Wish<'a> {
    pub(crate) fn of(request: &'a ClaimRequest) -> Self {
        let queues: BTreeSet<&str> = request.queues.iter().map(QueueName::as_str).collect();
        // What is named twice counts as it was named last.
        let limits: BTreeMap<&str, &TaskLimits> = request
            .tasks
            .iter()
            .map(|limits| (limits.task.as_str(), limits))
            .collect();
        let all = || limits.values();
        let surviving: Vec<&str> = all()
            .filter(|limits| limits.survives_consumer)
            .map(|limits| limits.task.as_str())
            .collect();
        let limited = all().any(|limits| limits.max_concurrency > 0 || limits.rate_limit.is_some());
        let interval = |limits: &&TaskLimits| limits.rate_limit.map(|rate| micros(rate.interval()));
        let tolerance = |limits: &&TaskLimits| {
            let rate = limits.rate_limit?;
            let others = i64::from(rate.limit.max(1)) - 1;
            // So that it can be added to any instant.
            Some(micros(rate.interval()).saturating_mul(others).min(1 << 60))
        };
        let rejects = |limits: &&TaskLimits| {
            let rate = limits.rate_limit;
            rate.is_some_and(|rate| rate.exceeded == RateExceeded::Reject)
        };
        Self {
            // Each run's token is this and its number, which is less than the two bits that are left.
            token: LeaseToken::random().as_i64(),
            consumer: request.consumer.as_str(),
            limit: i32::try_from(request.limit).unwrap_or(i32::MAX / 4),
            lease: micros(request.lease),
            queues: queues.into_iter().collect(),
            tasks: limits.keys().copied().collect(),
            surviving: (!surviving.is_empty()).then_some(surviving),
            most: limited.then(|| {
                all()
                    .map(|limits| i64::from(limits.max_concurrency))
                    .collect()
            }),
            intervals: limited.then(|| all().map(interval).collect()),
            tolerances: limited.then(|| all().map(tolerance).collect()),
            rejects: limited.then(|| all().map(rejects).collect()),
        }
    }

    /// The parameters behind the time; the second is the one that says that this is a repetition.
    pub(crate) fn params(&self) -> [Param<'_>; 12] {
        [
            (&self.token, Type::INT8),
            (&false, Type::BOOL),
            (&self.consumer, Type::TEXT),
            (&self.limit, Type::INT4),
            (&self.lease, Type::INT8),
            (&self.queues, Type::TEXT_ARRAY),
            (&self.tasks, Type::TEXT_ARRAY),
            (&self.surviving, Type::TEXT_ARRAY),
            (&self.most, Type::INT8_ARRAY),
            (&self.intervals, Type::INT8_ARRAY),
            (&self.tolerances, Type::INT8_ARRAY),
            (&self.rejects, Type::BOOL_ARRAY),
        ]
    }

    /// What the claim brought, and what there is to tell of others.
    pub(crate) fn read(
        &self,
        rows: &[Row],
        consumer: &ConsumerId,
    ) -> Outcome<(Claimed, Vec<Event>)> {
        let Some((head, rows)) = rows.split_first() else {
            return Err(Fault::Corrupt(
                "a claim was answered with nothing".to_owned(),
            ));
        };
        let now = timestamp(head.try_get(2)?)?;
        let next = head
            .try_get::<_, Option<i64>>(3)?
            .map(timestamp)
            .transpose()?;
        let events = crate::events::read(head.try_get::<_, Option<&str>>(15)?.unwrap_or_default());
        let mut runs = Vec::with_capacity(rows.len());
        for row in rows {
            let seq: i64 = row.try_get(1)?;
            runs.push((seq, read(row, consumer)?));
        }
        runs.sort_by_key(|(seq, run)| (run.priority, run.due_at, *seq));
        let runs = runs
            .into_iter()
            .map(|(seq, run)| (run, LeaseToken::from_i64(self.token + seq)))
            .collect();
        Ok((Claimed { runs, next, now }, events))
    }
}

fn read(row: &Row, consumer: &ConsumerId) -> Outcome<TaskRun> {
    let mut run = TaskRun::new(
        run_id(row.try_get(0)?),
        task(row.try_get(12)?)?,
        queue(row.try_get(13)?)?,
        params(row.try_get(15)?, row.try_get(16)?)?,
        timestamp(row.try_get(2)?)?,
    );
    run.state = RunState::Running;
    run.consumer = Some(consumer.clone());
    run.due_at = timestamp(row.try_get(3)?)?;
    run.started_at = Some(timestamp(row.try_get(4)?)?);
    run.max_interruptions = count(row.try_get::<_, i64>(5)?)?;
    run.attempt = count(row.try_get::<_, i32>(6)?)?;
    run.failures = count(row.try_get::<_, i32>(7)?)?;
    run.interruptions = count(row.try_get::<_, i32>(8)?)?;
    run.priority = coded::<Priority>(row.try_get(9)?, "priority")?;
    run.trigger = coded::<Trigger>(row.try_get(10)?, "trigger")?;
    run.cancel_requested = row.try_get(11)?;
    run.concurrency_key = key(row.try_get(14)?);
    run.parent = row.try_get::<_, Option<Uuid>>(17)?.map(run_id);
    run.root = row.try_get::<_, Option<Uuid>>(18)?.map(run_id);
    run.retry_of = row.try_get::<_, Option<Uuid>>(19)?.map(run_id);
    run.execution = text(row.try_get(20)?);
    run.error = run_error(row.try_get(21)?)?;
    Ok(run)
}

/// What is told of a claim.
pub(crate) fn started(claimed: &Claimed) -> impl Iterator<Item = Event> + '_ {
    claimed.runs.iter().map(|(run, _)| Event::Started {
        run: run.id,
        task: run.task.clone(),
        attempt: run.attempt,
    })
}
