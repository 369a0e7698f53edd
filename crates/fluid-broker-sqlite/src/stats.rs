//! How many runs there are.

use std::collections::BTreeMap;

use fluid_core::{Priority, RunState, Stats};
use jiff::Timestamp;
use rusqlite::OptionalExtension;

use crate::error::Outcome;
use crate::filter::counts;
use crate::instant::optional;
use crate::place::{Kind, Lane, state_place};
use crate::sql;
use crate::state::{Coded, Stored};
use crate::store::Reading;

/// How many runs ended in a time, by state.
pub(crate) fn ended(
    on: &mut Reading,
    from: Timestamp,
    before: Timestamp,
) -> Outcome<BTreeMap<RunState, u64>> {
    let mut ended = BTreeMap::new();
    let mut count = on.connection.prepare_cached(sql::ENDED)?;
    for state in Stored::FINISHED {
        let times = (from.as_microsecond(), before.as_microsecond());
        let n: u64 = count.query_row((state_place(state), times.0, times.1), |row| row.get(0))?;
        if n > 0 {
            ended.insert(state.public(), n);
        }
    }
    Ok(ended)
}

pub(crate) fn stats(on: &mut Reading) -> Outcome<Stats> {
    let mut stats = Stats::default();
    let mut oldest: Option<i64> = None;
    for (stored, task, queue, n) in counts(on)? {
        let state = stored.public();
        let n = u64::try_from(n).unwrap_or(0);
        let name = on.names.tasks.name(&on.connection, task)?;
        *stats
            .tasks
            .entry(name)
            .or_default()
            .entry(state)
            .or_default() += n;
        if state.is_terminal() {
            continue;
        }
        let name = on.names.queues.name(&on.connection, queue)?;
        *stats
            .queues
            .entry(name)
            .or_default()
            .entry(state)
            .or_default() += n;
        let waiting: &[Kind] = match stored {
            Stored::Queued => &[Kind::Plain, Kind::Keyed],
            Stored::Adoptable => &[Kind::Adoptable],
            _ => &[],
        };
        let mut first = on.connection.prepare_cached(sql::FIRST_IN_PLACE)?;
        for kind in waiting {
            let lane = Lane::new(*kind, task, queue);
            for priority in Priority::ALL {
                let due: Option<i64> = first
                    .query_row([lane.first + priority.code()], |row| row.get(0))
                    .optional()?;
                oldest = [oldest, due].into_iter().flatten().min();
            }
        }
    }
    stats.oldest_queued = optional(oldest)?;
    Ok(stats)
}
