//! Claims: leases that ran out, runs that came due, and who goes next.

use std::collections::HashMap;
use std::sync::Arc;

use fluid_core::{ClaimRequest, Claimed, ConsumerId, Event, LeaseToken, TaskLimits, TaskRun};
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use crate::admission::{Admission, Admissions, Slot};
use crate::attempt;
use crate::current::Current;
use crate::error::{Fault, Outcome};
use crate::heads::{Front, Heads, Source};
use crate::instant::{later, timestamp};
use crate::record::Record;
use crate::sql;
use crate::state::Stored;
use crate::store::Writing;

/// Runs that come due in one claim; more wait for the next one.
const DUE_AT_ONCE: i64 = 1000;
/// Runs that one claim ends because of their rate limit; more wait for the next one.
const REJECTED_AT_ONCE: usize = 1000;

pub(crate) fn claim(on: &mut Writing, request: &ClaimRequest) -> Outcome<Claimed> {
    let expired = attempt::expire(on)?;
    let promoted = promote_due(on)?;
    on.counts.write(&on.base.connection)?;

    let limits = limits_of(on, request)?;
    let mut front = front(on, request, &limits)?;
    let mut admissions = Admissions::default();
    let mut runs = Vec::new();
    let mut rejected = 0;
    while runs.len() < request.limit
        && rejected < REJECTED_AT_ONCE
        && let Some((head, heads)) = front.pop()
    {
        let limits = heads.limits;
        let admission = if heads.source == Source::Adoptable {
            // An adoption is no start.
            Admission::Start
        } else {
            let slot: Slot = (heads.task, Arc::clone(&head.key));
            admissions.admit(on, &slot, limits)?
        };
        match admission {
            Admission::Start => {
                runs.push(start(on, head.seq, request, limits.survives_consumer)?);
                front.add(on, heads)?;
            }
            Admission::Reject => {
                reject(on, head.seq)?;
                rejected += 1;
                front.add(on, heads)?;
            }
            Admission::HeldUp => front.pass_over(on, heads)?,
        }
    }
    let next = if expired || promoted || rejected == REJECTED_AT_ONCE {
        Some(on.now)
    } else {
        let due = first(on, sql::NEXT_DUE)?;
        let lease = first(on, sql::NEXT_EXPIRY)?;
        [due, lease, admissions.next()].into_iter().flatten().min()
    };
    Ok(Claimed {
        runs,
        next: next.map(timestamp).transpose()?,
        now: timestamp(on.now)?,
    })
}

/// The limits of the request, by the numbers of the tasks that the file knows.
fn limits_of<'a>(
    on: &mut Writing,
    request: &'a ClaimRequest,
) -> Outcome<HashMap<i64, &'a TaskLimits>> {
    let base = &mut on.base;
    let mut limits = HashMap::with_capacity(request.tasks.len());
    for task in request.tasks.iter() {
        if let Some(number) = base.names.tasks.find(&base.connection, &task.task)? {
            limits.insert(number, task);
        }
    }
    Ok(limits)
}

/// The first run of everything that the request may claim from.
fn front<'a>(
    on: &mut Writing,
    request: &ClaimRequest,
    limits: &HashMap<i64, &'a TaskLimits>,
) -> Outcome<Front<'a>> {
    let base = &mut on.base;
    let mut queues = Vec::with_capacity(request.queues.len());
    for queue in request.queues.iter() {
        queues.extend(base.names.queues.find(&base.connection, queue)?);
    }
    let waiting: Vec<(i64, i64, i64)> = base
        .connection
        .prepare_cached(sql::LANES_WAITING)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut front = Front::default();
    for (state, task, queue) in waiting {
        let Some(limits) = limits.get(&task).filter(|_| queues.contains(&queue)) else {
            continue;
        };
        let sources: &[Source] = if state == Stored::Adoptable.code() {
            &[Source::Adoptable]
        } else {
            &[Source::Plain, Source::Keyed]
        };
        for source in sources {
            let heads = Heads::new(source.clone(), task, queue, limits, request.limit);
            front.add(on, heads)?;
        }
    }
    Ok(front)
}

/// Leases a run to the consumer: its next attempt, or the one that waits to be adopted.
fn start(
    on: &mut Writing,
    seq: i64,
    request: &ClaimRequest,
    survives: bool,
) -> Outcome<(TaskRun, LeaseToken)> {
    let Record {
        state,
        task,
        queue,
        mut run,
        ..
    } = {
        let base = &mut on.base;
        let mut get = base.connection.prepare_cached(sql::RUN_BY_SEQ)?;
        let record = get
            .query_row([seq], |row| {
                Ok(Record::read(row, &base.connection, &mut base.names))
            })
            .optional()?;
        record.ok_or_else(|| {
            Fault::Corrupt(format!("an index knows run {seq}, its table does not"))
        })??
    };
    if state != Stored::Adoptable {
        run.attempt += 1;
        run.started_at = Some(timestamp(on.now)?);
        run.execution = None;
    }
    if run.max_interruptions == 0 && !survives {
        // It may not start a second time.
        on.must_last();
    }
    let token = LeaseToken::random();
    on.base
        .connection
        .prepare_cached(sql::SET_RUNNING)?
        .execute((
            seq,
            run.attempt,
            survives,
            run.started_at.map(Timestamp::as_microsecond),
            later(on.now, request.lease),
            token.as_i64(),
            request.consumer.as_str(),
            &run.execution,
        ))?;
    run.state = Stored::Running.public();
    run.consumer = Some(ConsumerId::clone(&request.consumer));
    on.counts.leave(state, task, queue);
    on.counts.enter(Stored::Running, task, queue);
    on.tell(Event::Started {
        run: run.id,
        task: run.task.clone(),
        attempt: run.attempt,
    });
    Ok((run, token))
}

fn reject(on: &mut Writing, seq: i64) -> Outcome<()> {
    let current = Current::by_seq(on, seq)?;
    // There is no attempt that could have failed; the last failure stays told.
    let error: Option<String> = on
        .base
        .connection
        .prepare_cached(sql::RUN_ERROR)?
        .query_row([seq], |row| row.get(0))?;
    current.end_with(on, Stored::RateLimited, None, error.as_deref())?;
    Ok(())
}

/// Queues the runs whose time came; whether there may be more.
fn promote_due(on: &mut Writing) -> Outcome<bool> {
    let due: Vec<(i64, i64, i64)> = on
        .base
        .connection
        .prepare_cached(sql::DUE)?
        .query_map((on.now, DUE_AT_ONCE), |row| {
            Ok((row.get(0)?, row.get(2)?, row.get(3)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut set = on.base.connection.prepare_cached(sql::SET_QUEUED)?;
    for (seq, task, queue) in &due {
        set.execute([seq])?;
        on.counts.leave(Stored::Scheduled, *task, *queue);
        on.counts.enter(Stored::Queued, *task, *queue);
    }
    Ok(i64::try_from(due.len()).is_ok_and(|count| count == DUE_AT_ONCE))
}

fn first(on: &Writing, sql: &str) -> Outcome<Option<i64>> {
    let mut first = on.base.connection.prepare_cached(sql)?;
    Ok(first.query_row([on.now], |row| row.get(0)).optional()?)
}
