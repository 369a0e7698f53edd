//! How runs come in: by request, by tick, once more.

use std::collections::BTreeSet;

use fluid_core::{Due, Enqueued, NewRun, RunFilter, RunId, TaskRun, Tick, Ticked};
use jiff::Timestamp;

use super::entry::{Entry, Hold};
use super::later;
use super::log::RunLog;
use super::store::Store;

impl Store {
    pub(super) fn enqueue(&mut self, runs: &[NewRun], now: Timestamp) -> Vec<Enqueued> {
        let enqueued: Vec<Enqueued> = runs.iter().map(|new| self.insert(new, now)).collect();
        let mut told = BTreeSet::new();
        for (new, enqueued) in runs.iter().zip(&enqueued) {
            if matches!(enqueued, Enqueued::Inserted(_)) && told.insert(&new.task) {
                self.tell_claimable(new.id);
            }
        }
        enqueued
    }

    fn insert(&mut self, new: &NewRun, now: Timestamp) -> Enqueued {
        if self.entries.contains_key(&new.id) {
            return Enqueued::Duplicate(new.id);
        }
        if let Some(unique) = &new.unique {
            let slot = (new.task.clone(), unique.key.clone());
            if let Some(holder) = self.unique.get(&slot)
                && self.holds_key(*holder, now)
            {
                return Enqueued::Duplicate(*holder);
            }
            self.unique.insert(slot, new.id);
        }
        let due_at = match new.due {
            Due::Now => now,
            Due::After(delay) => later(now, delay),
            Due::At(instant) => instant,
        };
        self.arrivals += 1;
        let entry = Entry {
            run: TaskRun::enqueued(new, now, due_at),
            arrival: self.arrivals,
            hold: Hold::None,
            history: Vec::new(),
            unique: new.unique.as_ref().map(|unique| {
                let until = unique.window.map(|window| later(now, window));
                (unique.key.clone(), until)
            }),
            log: RunLog::default(),
        };
        self.index.add(&entry);
        self.entries.insert(new.id, entry);
        Enqueued::Inserted(new.id)
    }

    /// Whether a run still holds its unique key.
    pub(super) fn holds_key(&self, run: RunId, now: Timestamp) -> bool {
        self.entries.get(&run).is_some_and(|entry| {
            let until = entry.unique.as_ref().and_then(|(_, until)| *until);
            !entry.run.state.is_terminal() || until.is_some_and(|until| now < until)
        })
    }

    pub(super) fn tick(&mut self, tick: &Tick, now: Timestamp) -> Ticked {
        if !self.ticks.see(&tick.task, tick.instant, now) {
            return Ticked::AlreadyFired;
        }
        if self.disabled.contains(&tick.task) {
            return Ticked::Disabled;
        }
        let enqueued = self.insert(&tick.run, now);
        if let Enqueued::Inserted(run) = enqueued {
            self.tell_claimable(run);
        }
        Ticked::Fired(enqueued.run())
    }

    pub(super) fn retry(&mut self, filter: &RunFilter, limit: usize, now: Timestamp) -> Vec<RunId> {
        let again: Vec<NewRun> = self
            .entries
            .values()
            .rev()
            .map(|entry| &entry.run)
            .filter(|run| run.state.is_terminal() && filter.matches(run))
            .take(limit)
            .map(NewRun::once_more)
            .collect();
        self.enqueue(&again, now);
        again.iter().map(|new| new.id).collect()
    }
}
