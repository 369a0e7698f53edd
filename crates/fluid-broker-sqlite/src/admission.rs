//! Whether a run may start: `max_concurrency` and rate limits.

use std::collections::HashMap;
use std::sync::Arc;

use fluid_core::{RateExceeded, RateLimit, TaskLimits};
use rusqlite::OptionalExtension;

use crate::error::Outcome;
use crate::sql;
use crate::store::Writing;

/// Rates that are as good as new and that one start clears away.
const RATES_AT_ONCE: i64 = 4;

/// What limits count: a task and a concurrency key.
pub(crate) type Slot = (i64, Arc<str>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Admission {
    /// It starts, and is counted.
    Start,
    /// It waits until somebody finishes or the rate allows it, and so does everything else in its slot.
    HeldUp,
    /// Its task's rate limit wants it ended.
    Reject,
}

/// What one claim has learnt of the slots that it met.
#[derive(Debug, Default)]
pub(crate) struct Admissions {
    busy: HashMap<Slot, i64>,
    /// Slots whose rate is used up, and until when.
    waits: HashMap<Slot, i64>,
}

impl Admissions {
    pub(crate) fn admit(
        &mut self,
        on: &mut Writing,
        slot: &Slot,
        limits: &TaskLimits,
    ) -> Outcome<Admission> {
        let most = i64::from(limits.max_concurrency);
        if self.waits.contains_key(slot) || (most > 0 && self.busy(on, slot)? >= most) {
            return Ok(Admission::HeldUp);
        }
        if let Some(rate) = limits.rate_limit
            && let Err(until) = admit_rate(on, slot, rate)?
        {
            return Ok(match rate.exceeded {
                RateExceeded::Wait => {
                    self.waits.insert(slot.clone(), until);
                    Admission::HeldUp
                }
                RateExceeded::Reject => Admission::Reject,
            });
        }
        if let Some(busy) = self.busy.get_mut(slot) {
            *busy += 1;
        }
        Ok(Admission::Start)
    }

    /// When the first of the rates that held somebody up allows a start.
    pub(crate) fn next(&self) -> Option<i64> {
        self.waits.values().copied().min()
    }

    fn busy(&mut self, on: &mut Writing, slot: &Slot) -> Outcome<i64> {
        if let Some(count) = self.busy.get(slot) {
            return Ok(*count);
        }
        let count = count_busy(on, slot)?;
        self.busy.insert(slot.clone(), count);
        Ok(count)
    }
}

/// How many attempts go on that a slot counts, adoptions that wait included.
fn count_busy(on: &mut Writing, (task, key): &Slot) -> Outcome<i64> {
    let connection = &on.base.connection;
    if key.is_empty() {
        let of_task = |sql: &str| -> Outcome<i64> {
            let mut count = connection.prepare_cached(sql)?;
            Ok(count.query_row([task], |row| row.get(0))?)
        };
        return Ok(of_task(sql::COUNT_BUSY)? - of_task(sql::BUSY_KEYED)?);
    }
    let mut count = connection.prepare_cached(sql::BUSY_KEY)?;
    Ok(count.query_row((task, &**key), |row| row.get(0))?)
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
