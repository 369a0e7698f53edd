//! All that the broker keeps.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fluid_core::{Event, LogBatch, LogCap, QueueName, RunId, Settings, StoredLine, TaskName};
use jiff::Timestamp;

use super::entry::Entry;
use super::index::{Index, Slot};
use super::presence::Presence;
use super::rates::Rates;
use super::ticks::Ticks;

/// Everything, under the one lock.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) entries: BTreeMap<RunId, Entry>,
    pub(super) index: Index,
    /// How many runs arrived so far.
    pub(super) arrivals: u64,
    /// The last run with a task's unique key; whether it still holds the key is asked when it matters.
    pub(super) unique: HashMap<Slot, RunId>,
    pub(super) rates: Rates,
    pub(super) ticks: Ticks,
    pub(super) disabled: BTreeSet<TaskName>,
    pub(super) paused: BTreeSet<QueueName>,
    pub(super) presence: Presence,
    pub(super) log_cap: LogCap,
    /// What happened under the lock, to be told after it.
    pub(super) events: Vec<Event>,
}

impl Store {
    /// Changes a run and keeps the index right.
    pub(super) fn change<T>(
        &mut self,
        run: RunId,
        change: impl FnOnce(&mut Entry) -> T,
    ) -> Option<T> {
        let entry = self.entries.get_mut(&run)?;
        self.index.remove(entry);
        let answer = change(entry);
        self.index.add(entry);
        Some(answer)
    }

    /// Says that a run can be claimed, now or later.
    pub(super) fn tell_claimable(&mut self, run: RunId) {
        if let Some(entry) = self.entries.get(&run) {
            let task = entry.run.task.clone();
            self.events.push(Event::Enqueued { run, task });
        }
    }

    /// Says that an attempt ended, or a run that waited.
    pub(super) fn tell_finished(&mut self, run: RunId) {
        if let Some(entry) = self.entries.get(&run) {
            self.events.push(Event::Finished {
                run,
                task: entry.run.task.clone(),
                state: entry.run.state,
            });
        }
    }

    pub(super) fn append_log(&mut self, batch: LogBatch, now: Timestamp) {
        let Some(entry) = self.entries.get_mut(&batch.run) else {
            return;
        };
        let grew = entry
            .log
            .append(batch.attempt, batch.lines, self.log_cap, now);
        if grew {
            self.events.push(Event::Log { run: batch.run });
        }
    }

    pub(super) fn read_log(&self, run: RunId, after: u64, limit: usize) -> Vec<StoredLine> {
        let entry = self.entries.get(&run);
        entry.map_or_else(Vec::new, |entry| entry.log.read(after, limit))
    }

    pub(super) fn set_task_enabled(&mut self, task: TaskName, enabled: bool) {
        let changed = if enabled {
            self.disabled.remove(&task)
        } else {
            self.disabled.insert(task)
        };
        self.tell_changed(changed);
    }

    pub(super) fn set_queue_paused(&mut self, queue: QueueName, paused: bool) {
        let changed = if paused {
            self.paused.insert(queue)
        } else {
            self.paused.remove(&queue)
        };
        self.tell_changed(changed);
    }

    fn tell_changed(&mut self, changed: bool) {
        if changed {
            self.events.push(Event::Changed);
        }
    }

    pub(super) fn settings(&self) -> Settings {
        Settings {
            disabled_tasks: self.disabled.iter().cloned().collect(),
            paused_queues: self.paused.iter().cloned().collect(),
        }
    }
}
