//! What is switched at run time.

use fluid_core::{Event, QueueName, Settings, TaskName};

use crate::error::{Fault, Outcome};
use crate::sql;
use crate::store::{Reading, Writing};

pub(crate) fn set_task_enabled(on: &mut Writing, task: &TaskName, enabled: bool) -> Outcome<()> {
    let base = &mut on.base;
    let task = base.names.tasks.number(&base.connection, task)?;
    let mut set = base.connection.prepare_cached(sql::TASK_SET)?;
    let changed = set.execute((task, !enabled))?;
    drop(set);
    tell(on, changed);
    Ok(())
}

pub(crate) fn set_queue_paused(on: &mut Writing, queue: &QueueName, paused: bool) -> Outcome<()> {
    let base = &mut on.base;
    let queue = base.names.queues.number(&base.connection, queue)?;
    let mut set = base.connection.prepare_cached(sql::QUEUE_SET)?;
    let changed = set.execute((queue, paused))?;
    drop(set);
    tell(on, changed);
    Ok(())
}

fn tell(on: &mut Writing, changed: usize) {
    if changed > 0 {
        on.tell(Event::Changed);
    }
}

/// Whether a task is disabled.
pub(crate) fn is_disabled(on: &Writing, task: i64) -> Outcome<bool> {
    let mut get = on.base.connection.prepare_cached(sql::TASK_DISABLED)?;
    Ok(get.query_row([task], |row| row.get(0))?)
}

pub(crate) fn settings(on: &mut Reading) -> Outcome<Settings> {
    fn names<N>(on: &Reading, sql: &str) -> Outcome<Vec<N>>
    where
        N: TryFrom<String, Error = fluid_core::NameError> + Ord,
    {
        let mut get = on.connection.prepare_cached(sql)?;
        let texts = get.query_map([], |row| row.get::<_, String>(0))?;
        let mut names = texts
            .map(|text| N::try_from(text?).map_err(|error| Fault::Corrupt(error.to_string())))
            .collect::<Outcome<Vec<N>>>()?;
        names.sort();
        Ok(names)
    }
    Ok(Settings {
        disabled_tasks: names(on, sql::TASKS_DISABLED)?,
        paused_queues: names(on, sql::QUEUES_PAUSED)?,
    })
}
