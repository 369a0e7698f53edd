//! How attempts end: by their consumer's word, or because their lease ran out.

use fluid_core::{AttemptOutcome, ErrorKind, Finish, Finished, LeaseRef, RunError, RunState};

use crate::current::Current;
use crate::error::Outcome;
use crate::own_leases::OwnLease;
use crate::record::result_text;
use crate::sql;
use crate::state::Stored;
use crate::store::Writing;

/// Leases that one claim deals with; more wait for the next one.
const EXPIRED_AT_ONCE: i64 = 1000;

pub(crate) fn finish(on: &mut Writing, batch: &[(LeaseRef, Finish)]) -> Outcome<Vec<Finished>> {
    let succeeded = succeed(on, batch)?;
    let mut finished = Vec::with_capacity(batch.len());
    for ((lease, finish), succeeded) in batch.iter().zip(succeeded) {
        if let Some(own) = succeeded {
            on.counts
                .move_over(Stored::Running, Stored::Success, own.task, own.queue);
            on.tell_finished(lease.run, own.task, Stored::Success)?;
            finished.push(Finished::Written(RunState::Success));
            continue;
        }
        finished.push(match Current::by_id(on, lease.run)? {
            Some(current) if current.is_held_by(lease.token) => {
                Finished::Written(finish_one(on, current, finish)?)
            }
            _ => Finished::Lost,
        });
    }
    Ok(finished)
}

/// Writes the most frequent ends without a question first; `None` for those that need a closer look.
fn succeed(on: &mut Writing, batch: &[(LeaseRef, Finish)]) -> Outcome<Vec<Option<OwnLease>>> {
    let mut succeeded: Vec<Option<OwnLease>> = Vec::new();
    succeeded.resize_with(batch.len(), || None);
    let mut without_result = Vec::new();
    for (index, (lease, finish)) in batch.iter().enumerate() {
        if let Finish::Success(result) = finish
            && let Some(own) = on.own_leases.take(*lease)
        {
            match result_text(result) {
                None => without_result.push((index, own)),
                result => succeeded[index] = succeed_with(on, own, result)?,
            }
        }
    }
    without_result.sort_unstable_by_key(|(_, own)| (own.tokens(), own.seq));
    let together = |(_, one): &(usize, OwnLease), (_, next): &(usize, OwnLease)| {
        one.tokens() == next.tokens() && one.seq + 1 == next.seq
    };
    for some in without_result.chunk_by(together) {
        let all = succeed_together(on, some)?;
        for &(index, own) in some {
            let held = all
                || Current::by_id(on, batch[index].0.run)?
                    .is_some_and(|current| current.succeeded_under(own.token));
            succeeded[index] = held.then_some(own);
        }
    }
    Ok(succeeded)
}

fn succeed_with(on: &Writing, own: OwnLease, result: Option<&str>) -> Outcome<Option<OwnLease>> {
    let mut set = on.base.connection.prepare_cached(sql::SET_SUCCESS)?;
    let held = set.execute((own.seq, own.token.as_i64(), on.now, result))? > 0;
    Ok(held.then_some(own))
}

/// Ends runs that returned nothing, of one claim and with numbers that follow each other; whether all of them were held.
fn succeed_together(on: &Writing, some: &[(usize, OwnLease)]) -> Outcome<bool> {
    let [(_, first), ..] = some else {
        return Ok(true);
    };
    let last = some.last().map_or(first.seq, |(_, last)| last.seq);
    let mut set = on.base.connection.prepare_cached(sql::SET_SUCCESSES)?;
    let changed = set.execute((first.seq, last, on.now, first.tokens()))?;
    Ok(changed == some.len())
}

fn finish_one(on: &mut Writing, mut current: Current, finish: &Finish) -> Outcome<RunState> {
    match finish {
        Finish::Success(result) => current.end(on, Stored::Success, Some(result), None),
        Finish::Failure(error) => {
            current.failures += 1;
            current.end(on, Stored::Failure, None, Some(error))
        }
        Finish::Aborted(error) => current.end(on, Stored::Aborted, None, Some(error)),
        Finish::Retry { error, .. } if current.cancel_requested => {
            current.abort(on, format!("cancelled; the attempt had failed: {error}"))
        }
        Finish::Retry { after, error } => {
            current.failures += 1;
            current.wait_for_next(on, AttemptOutcome::Failure, Some(error), Some(*after))
        }
        Finish::Released if current.survives => current.wait_for_adoption(on),
        Finish::Released if current.cancel_requested => {
            current.abort(on, "cancelled; its consumer stopped")
        }
        Finish::Released => current.wait_for_next(on, AttemptOutcome::Released, None, None),
        // `Finish` may grow: what this broker does not know yet ends the attempt as a failure.
        unknown => {
            let why = format!("the SQLite broker does not know the end {unknown:?}");
            let error = RunError::new(ErrorKind::Error, why);
            current.end(on, Stored::Failure, None, Some(&error))
        }
    }
}

/// Deals with the leases that ran out; whether there may be more.
pub(crate) fn expire(on: &mut Writing) -> Outcome<bool> {
    let expired: Vec<i64> = on
        .base
        .connection
        .prepare_cached(sql::EXPIRED)?
        .query_map((on.now, EXPIRED_AT_ONCE), |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let more = i64::try_from(expired.len()).is_ok_and(|count| count == EXPIRED_AT_ONCE);
    for seq in expired {
        let current = Current::by_seq(on, seq)?;
        expire_one(on, current)?;
    }
    Ok(more)
}

fn expire_one(on: &mut Writing, mut current: Current) -> Outcome<()> {
    if current.survives {
        current.wait_for_adoption(on)?;
        return Ok(());
    }
    let consumer = current.consumer(on)?;
    let consumer = consumer.as_str();
    if current.cancel_requested {
        let why = format!("cancelled; consumer {consumer:?} vanished before it ended the attempt");
        current.abort(on, why)?;
        return Ok(());
    }
    let why = format!("consumer {consumer:?} vanished: it did not extend its lease in time");
    let error = RunError::new(ErrorKind::Lost, why);
    current.interruptions += 1;
    if current.interruptions > current.max_interruptions {
        current.end(on, Stored::Interrupted, None, Some(&error))?;
    } else {
        current.wait_for_next(on, AttemptOutcome::Interrupted, Some(&error), None)?;
    }
    Ok(())
}
