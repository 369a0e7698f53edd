//! Questions about runs, and the end of those nobody asks about any more.

use std::collections::BTreeMap;
use std::ops::Bound;

use fluid_core::{Attempt, Event, Page, RunFilter, RunId, RunState, Stats, TaskRun};
use jiff::Timestamp;

use super::store::Store;

impl Store {
    pub(super) fn get(&self, run: RunId) -> Option<TaskRun> {
        self.entries.get(&run).map(|entry| entry.run.clone())
    }

    pub(super) fn attempts(&self, run: RunId) -> Vec<Attempt> {
        let Some(entry) = self.entries.get(&run) else {
            return Vec::new();
        };
        let mut attempts = entry.history.clone();
        attempts.extend(entry.current());
        attempts
    }

    pub(super) fn list(&self, filter: &RunFilter, before: Option<RunId>, limit: usize) -> Page {
        let end = before.map_or(Bound::Unbounded, Bound::Excluded);
        let mut matching = self
            .entries
            .range((Bound::Unbounded, end))
            .rev()
            .map(|(_, entry)| &entry.run)
            .filter(|run| filter.matches(run));
        let runs: Vec<TaskRun> = matching.by_ref().take(limit).cloned().collect();
        let next = runs
            .last()
            .map(|run| run.id)
            .filter(|_| matching.next().is_some());
        Page { runs, next }
    }

    pub(super) fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        for run in self.entries.values().map(|entry| &entry.run) {
            let counts = stats.tasks.entry(run.task.clone()).or_default();
            *counts.entry(run.state).or_default() += 1;
            if !run.state.is_terminal() {
                let counts = stats.queues.entry(run.queue.clone()).or_default();
                *counts.entry(run.state).or_default() += 1;
            }
            if run.state == RunState::Queued {
                let oldest = stats.oldest_queued.unwrap_or(run.due_at);
                stats.oldest_queued = Some(oldest.min(run.due_at));
            }
        }
        stats
    }

    pub(super) fn ended(&self, from: Timestamp, before: Timestamp) -> BTreeMap<RunState, u64> {
        let mut counts = BTreeMap::new();
        for run in self.entries.values().map(|entry| &entry.run) {
            if run.ended_at.is_some_and(|at| from <= at && at < before) {
                *counts.entry(run.state).or_default() += 1;
            }
        }
        counts
    }

    pub(super) fn purge(&mut self, filter: &RunFilter, limit: usize) -> usize {
        let gone: Vec<RunId> = self
            .entries
            .values()
            .map(|entry| &entry.run)
            .filter(|run| run.state.is_terminal() && filter.matches(run))
            .take(limit)
            .map(|run| run.id)
            .collect();
        for run in &gone {
            let Some(entry) = self.entries.remove(run) else {
                continue;
            };
            if let Some((key, _)) = entry.unique {
                let slot = (entry.run.task, key);
                if self.unique.get(&slot) == Some(run) {
                    self.unique.remove(&slot);
                }
            }
        }
        if !gone.is_empty() {
            self.events.push(Event::Changed);
        }
        gone.len()
    }
}
