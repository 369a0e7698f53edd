//! Claims: leases that ran out, runs that came due, and who goes next.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use fluid_core::{
    ClaimRequest, Claimed, ConsumerId, Event, LeaseToken, RateExceeded, RateLimit, TaskLimits,
    TaskRun,
};
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use crate::attempt;
use crate::current::Current;
use crate::error::{Fault, Outcome};
use crate::heads::{Head, Heads, Source};
use crate::instant::{later, timestamp};
use crate::record::Record;
use crate::sql;
use crate::state::Stored;
use crate::store::Writing;

/// Runs that come due in one claim; more wait for the next one.
const DUE_AT_ONCE: i64 = 1000;
/// Rates that are as good as new and that one start clears away.
const RATES_AT_ONCE: i64 = 4;

/// What `max_concurrency` and rate limits count: a task and a concurrency key.
type Slot = (i64, Arc<str>);

/// Whether a run may start.
enum Admission {
    Start,
    /// Its slot is full until somebody finishes.
    Full,
    /// The rate of its slot is used up until then.
    Wait(i64),
    Reject,
}

pub(crate) fn claim(on: &mut Writing, request: &ClaimRequest) -> Outcome<Claimed> {
    let expired = attempt::expire(on)?;
    let promoted = promote_due(on)?;
    on.counts.write(&on.base.connection)?;

    let limits = limits_of(on, request)?;
    let mut busy = HashMap::new();
    let mut waits: HashMap<Slot, i64> = HashMap::new();
    let mut runs = Vec::new();
    let mut queue = first_heads(on, request, &limits)?;
    while runs.len() < request.limit
        && let Some(Reverse((head, mut heads))) = queue.pop()
    {
        let Some(task_limits) = limits.get(&heads.task) else {
            continue;
        };
        let slot: Slot = (heads.task, Arc::clone(&head.key));
        let admission = if waits.contains_key(&slot) {
            Admission::Full
        } else if heads.source == Source::Adoptable {
            // An adoption is no start.
            Admission::Start
        } else {
            admit(on, &slot, task_limits, &mut busy)?
        };
        let more = match admission {
            Admission::Start => {
                if heads.source != Source::Adoptable
                    && let Some(count) = busy.get_mut(&slot)
                {
                    *count += 1;
                }
                runs.push(start(on, head.seq, request, task_limits.survives_consumer)?);
                true
            }
            Admission::Reject => {
                reject(on, head.seq)?;
                true
            }
            Admission::Full => heads.pass_over(),
            Admission::Wait(until) => {
                waits.insert(slot, until);
                heads.pass_over()
            }
        };
        if !more && heads.source == Source::Keyed {
            // Many runs wait behind keys that are full: from here on each key is asked for its first run.
            for mut lane in heads.lanes(on)? {
                if let Some(head) = lane.next(on)? {
                    queue.push(Reverse((head, lane)));
                }
            }
        } else if more && let Some(head) = heads.next(on)? {
            queue.push(Reverse((head, heads)));
        }
    }
    let next = if expired || promoted {
        Some(on.now)
    } else {
        let due = first(on, sql::NEXT_DUE)?;
        let lease = first(on, sql::NEXT_EXPIRY)?;
        let wait = waits.values().copied().min();
        [due, lease, wait].into_iter().flatten().min()
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

type Queue = BinaryHeap<Reverse<(Head, Heads)>>;

/// The first run of everything that may be claimed from.
fn first_heads(
    on: &mut Writing,
    request: &ClaimRequest,
    limits: &HashMap<i64, &TaskLimits>,
) -> Outcome<Queue> {
    let mut queues = Vec::with_capacity(request.queues.len());
    for queue in request.queues.iter() {
        let base = &mut on.base;
        queues.extend(base.names.queues.find(&base.connection, queue)?);
    }
    let waiting: Vec<(i64, i64, i64)> = on
        .base
        .connection
        .prepare_cached(sql::LANES_WAITING)?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut heap = Queue::new();
    for (state, task, queue) in waiting {
        if !queues.contains(&queue) || !limits.contains_key(&task) {
            continue;
        }
        let sources: &[Source] = if state == Stored::Adoptable.code() {
            &[Source::Adoptable]
        } else {
            &[Source::Plain, Source::Keyed]
        };
        for source in sources {
            let mut heads = Heads::new(source.clone(), task, queue, request.limit);
            if let Some(head) = heads.next(on)? {
                heap.push(Reverse((head, heads)));
            }
        }
    }
    Ok(heap)
}

fn admit(
    on: &mut Writing,
    slot: &Slot,
    limits: &TaskLimits,
    busy: &mut HashMap<Slot, i64>,
) -> Outcome<Admission> {
    let most = i64::from(limits.max_concurrency);
    if most > 0 {
        let count = match busy.get(slot) {
            Some(count) => *count,
            None => *busy.entry(slot.clone()).or_insert(count_busy(on, slot)?),
        };
        if count >= most {
            return Ok(Admission::Full);
        }
    }
    let Some(rate) = limits.rate_limit else {
        return Ok(Admission::Start);
    };
    Ok(match (admit_rate(on, slot, rate)?, rate.exceeded) {
        (Ok(()), _) => Admission::Start,
        (Err(until), RateExceeded::Wait) => Admission::Wait(until),
        (Err(_), RateExceeded::Reject) => Admission::Reject,
    })
}

/// How many attempts go on that a slot counts, adoptions that wait included.
fn count_busy(on: &mut Writing, (task, key): &Slot) -> Outcome<i64> {
    // What this claim has started so far must stand in the table too.
    on.counts.write(&on.base.connection)?;
    let connection = &on.base.connection;
    let one = |sql: &str| -> Outcome<i64> {
        Ok(connection
            .prepare_cached(sql)?
            .query_row([task], |row| row.get(0))?)
    };
    if key.is_empty() {
        return Ok(one(sql::COUNT_BUSY)? - one(sql::BUSY_KEYED)?);
    }
    let mut lane = connection.prepare_cached(sql::BUSY_LANE)?;
    Ok(lane.query_row((task, &**key), |row| row.get(0))?)
}

/// Counts a start, or says from when on it is allowed.
fn admit_rate(on: &Writing, (task, key): &Slot, rate: RateLimit) -> Outcome<Result<(), i64>> {
    let connection = &on.base.connection;
    let mut get = connection.prepare_cached(sql::RATE_GET)?;
    let arrival = get
        .query_row((task, &**key), |row| row.get(0))
        .optional()?
        .unwrap_or(0);
    let next = match rate.admit(arrival, on.now) {
        Ok(next) => next,
        Err(from) => return Ok(Err(from)),
    };
    let over: Vec<(i64, String)> = connection
        .prepare_cached(sql::RATES_OVER)?
        .query_map((on.now, RATES_AT_ONCE), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    let mut drop = connection.prepare_cached(sql::RATE_DROP)?;
    for slot in over {
        drop.execute(slot)?;
    }
    let mut put = connection.prepare_cached(sql::RATE_PUT)?;
    put.execute((task, &**key, next))?;
    Ok(Ok(()))
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
