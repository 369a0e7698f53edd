//! Claims: leases that ran out, runs that came due, and who goes next.

use std::collections::HashMap;
use std::sync::Arc;

use fluid_core::{ClaimRequest, Claimed, TaskLimits};
use rusqlite::OptionalExtension;

use crate::admission::{Admission, Admissions, Slot};
use crate::attempt;
use crate::current::Current;
use crate::error::Outcome;
use crate::heads::{Front, Heads, Source};
use crate::instant::timestamp;
use crate::place::Kind;
use crate::sql;
use crate::starts::{Leased, Starts};
use crate::state::Stored;
use crate::store::Writing;

/// Runs that come due in one claim; more wait for the next one.
const DUE_AT_ONCE: i64 = 1000;
/// Runs that one claim ends because of their rate limit; more wait for the next one.
const REJECTED_AT_ONCE: usize = 1000;

/// Leases what may start now. The answer, which says when to ask again, has no runs yet.
pub(crate) fn claim(on: &mut Writing, request: &ClaimRequest) -> Outcome<(Leased, Claimed)> {
    let expired = attempt::expire(on)?;
    let promoted = promote_due(on)?;
    on.counts.write(&on.base.connection)?;

    let limits = limits_of(on, request)?;
    let mut front = front(on, request, &limits)?;
    let mut admissions = Admissions::default();
    let mut starts = Starts::default();
    let mut rejected = 0;
    while starts.len() < request.limit
        && rejected < REJECTED_AT_ONCE
        && let Some((head, heads)) = front.pop()
    {
        if starts.contains(head.seq) {
            front.add(on, heads)?;
            continue;
        }
        let limits = heads.limits;
        let adoption = heads.source == Source::Every(Kind::Adoptable);
        let admission = if adoption {
            Admission::Start
        } else {
            let slot: Slot = (heads.task, Arc::clone(&head.key));
            admissions.admit(on, &slot, limits)?
        };
        match admission {
            Admission::Start => {
                starts.add(head, &heads);
                if starts.len() < request.limit {
                    front.add(on, heads)?;
                }
            }
            Admission::Reject => {
                reject(on, head.seq)?;
                rejected += 1;
                front.add(on, heads)?;
            }
            Admission::HeldUp => front.pass_over(on, heads)?,
        }
    }
    let leased = starts.lease(on, request)?;
    let next = if expired || promoted || rejected == REJECTED_AT_ONCE {
        Some(on.now)
    } else {
        let due = first(on, sql::NEXT_DUE)?;
        let lease = first(on, sql::NEXT_EXPIRY)?;
        [due, lease, admissions.next()].into_iter().flatten().min()
    };
    let claimed = Claimed {
        runs: Vec::new(),
        next: next.map(timestamp).transpose()?,
        now: timestamp(on.now)?,
    };
    Ok((leased, claimed))
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
    let share = request.limit / waiting.len().max(1);
    for (state, task, queue) in waiting {
        let Some(limits) = limits.get(&task).filter(|_| queues.contains(&queue)) else {
            continue;
        };
        let kinds: &[Kind] = if state == Stored::Adoptable.code() {
            &[Kind::Adoptable]
        } else {
            &[Kind::Plain, Kind::Keyed]
        };
        for kind in kinds {
            let source = Source::Every(*kind);
            let heads = Heads::new(source, task, queue, limits, share);
            front.add(on, heads)?;
        }
    }
    Ok(front)
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
        on.counts
            .move_over(Stored::Scheduled, Stored::Queued, *task, *queue);
    }
    Ok(i64::try_from(due.len()).is_ok_and(|count| count == DUE_AT_ONCE))
}

fn first(on: &Writing, sql: &str) -> Outcome<Option<i64>> {
    let mut first = on.base.connection.prepare_cached(sql)?;
    Ok(first.query_row([on.now], |row| row.get(0)).optional()?)
}
