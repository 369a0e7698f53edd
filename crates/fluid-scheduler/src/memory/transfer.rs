//! Runs that go to another broker, and runs that come from one.

use std::collections::BTreeMap;
use std::ops::Bound;

use fluid_core::{AttemptOutcome, BrokerResult, ExportedRun, HeldKey, RunId, TaskName};
use jiff::Timestamp;

use super::NAME;
use super::entry::{Entry, Hold};
use super::log::RunLog;
use super::store::Store;

impl Store {
    pub(super) fn export(
        &self,
        after: Option<RunId>,
        limit: usize,
        now: Timestamp,
    ) -> Vec<ExportedRun> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let entries = self.entries.range((from, Bound::Unbounded));
        let export = |(id, entry): (&RunId, &Entry)| {
            let key = entry.unique.as_ref().filter(|(key, _)| {
                let slot = (entry.run.task.clone(), key.clone());
                self.unique.get(&slot) == Some(id) && self.holds_key(*id, now)
            });
            let key = key.map(|(key, until)| HeldKey {
                key: key.clone(),
                until: *until,
            });
            ExportedRun::new(entry.run.clone(), key, self.attempts(*id))
        };
        entries.take(limit).map(export).collect()
    }

    pub(super) fn import(
        &mut self,
        runs: Vec<ExportedRun>,
        ticks: BTreeMap<TaskName, Timestamp>,
        now: Timestamp,
    ) -> BrokerResult<usize> {
        ExportedRun::check_none_runs(&runs, NAME)?;
        for (task, instant) in ticks {
            self.ticks.see(&task, instant, now);
        }
        let before = self.entries.len();
        for run in runs {
            self.take_over(run, now);
        }
        Ok(self.entries.len() - before)
    }

    fn take_over(&mut self, exported: ExportedRun, now: Timestamp) {
        let id = exported.run.id;
        if self.entries.contains_key(&id) {
            return;
        }
        let hold = if exported.is_adoptable() {
            Hold::Orphaned
        } else {
            Hold::None
        };
        let unique = exported.unique.filter(|held| {
            let slot = (exported.run.task.clone(), held.key.clone());
            let owner = self.unique.get(&slot);
            let is_free = owner.is_none_or(|owner| !self.holds_key(*owner, now));
            if is_free {
                self.unique.insert(slot, id);
            }
            is_free
        });
        let mut history = exported.attempts;
        history.retain(|attempt| attempt.outcome != AttemptOutcome::Running);
        self.arrivals += 1;
        let entry = Entry {
            run: exported.run,
            arrival: self.arrivals,
            hold,
            history,
            unique: unique.map(|held| (held.key, held.until)),
            log: RunLog::default(),
        };
        self.index.add(&entry);
        let waits = !entry.run.state.is_terminal();
        self.entries.insert(id, entry);
        if waits {
            self.tell_claimable(id);
        }
    }
}
