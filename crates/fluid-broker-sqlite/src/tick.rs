//! Ticks, each of which fires once whoever asks and however often.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_core::{Enqueued, TaskName, Tick, Ticked};
use jiff::Timestamp;

use crate::enqueue;
use crate::error::{Fault, Outcome};
use crate::instant::timestamp;
use crate::settings;
use crate::sql;
use crate::store::{Reading, Writing};

/// How long a tick is remembered after it was fired or seen.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Old ticks that one call clears away.
const OLD_AT_ONCE: i64 = 32;

pub(crate) fn tick(on: &mut Writing, ticks: &[Tick]) -> Outcome<Vec<Ticked>> {
    let ticked = ticks
        .iter()
        .map(|tick| tick_one(on, tick))
        .collect::<Outcome<_>>()?;
    forget_old(on)?;
    Ok(ticked)
}

fn tick_one(on: &mut Writing, tick: &Tick) -> Outcome<Ticked> {
    let base = &mut on.base;
    let task = base.names.tasks.number(&base.connection, &tick.task)?;
    let mut add = base.connection.prepare_cached(sql::TICK_ADD)?;
    let added = add.execute((task, tick.instant.as_microsecond(), on.now))?;
    drop(add);
    if added == 0 {
        return Ok(Ticked::AlreadyFired);
    }
    if settings::is_disabled(on, task)? {
        return Ok(Ticked::Disabled);
    }
    let (task, enqueued) = enqueue::insert(on, &tick.run)?;
    if let Enqueued::Inserted(run) = enqueued {
        on.tell_claimable(run, task)?;
    }
    Ok(Ticked::Fired(enqueued.run()))
}

fn forget_old(on: &Writing) -> Outcome<()> {
    let connection = &on.base.connection;
    let memory = i64::try_from(MEMORY.as_micros()).unwrap_or(i64::MAX);
    let old: Vec<(i64, i64)> = connection
        .prepare_cached(sql::TICKS_OLD)?
        .query_map((on.now.saturating_sub(memory), OLD_AT_ONCE), |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?
        .collect::<Result<_, _>>()?;
    for tick in old {
        if connection.prepare_cached(sql::TICK_DROP)?.execute(tick)? == 0 {
            connection.prepare_cached(sql::TICK_KEEP)?.execute(tick)?;
        }
    }
    Ok(())
}

/// The latest tick of each task.
pub(crate) fn last(on: &mut Reading) -> Outcome<BTreeMap<TaskName, Timestamp>> {
    let mut get = on.connection.prepare_cached(sql::TICKS_LAST)?;
    let mut rows = get.query([])?;
    let mut last = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let Some(instant) = row.get::<_, Option<i64>>(1)? else {
            continue;
        };
        let task = TaskName::try_from(row.get::<_, String>(0)?)
            .map_err(|error| Fault::Corrupt(error.to_string()))?;
        last.insert(task, timestamp(instant)?);
    }
    Ok(last)
}
