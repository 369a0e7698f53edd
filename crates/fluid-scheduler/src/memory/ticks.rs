//! Which ticks were fired or seen.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_core::TaskName;
use jiff::Timestamp;

use super::later;

/// How long a tick is remembered after it was fired or seen.
const MEMORY: Duration = Duration::from_secs(7 * 24 * 3600);

/// The ticks of each task, and when each was seen first.
#[derive(Debug, Default)]
pub(super) struct Ticks {
    seen: BTreeMap<TaskName, Seen>,
}

#[derive(Debug)]
struct Seen {
    ticks: BTreeMap<Timestamp, Timestamp>,
    /// Nothing is old enough to be forgotten before this.
    sweep_at: Timestamp,
}

impl Ticks {
    /// Takes note of a tick; false when it was known.
    pub(super) fn see(&mut self, task: &TaskName, instant: Timestamp, now: Timestamp) -> bool {
        let seen = self.seen.entry(task.clone()).or_insert_with(|| Seen {
            ticks: BTreeMap::new(),
            sweep_at: later(now, MEMORY),
        });
        if seen.ticks.contains_key(&instant) {
            return false;
        }
        seen.ticks.insert(instant, now);
        seen.sweep(now);
        true
    }

    /// The latest tick of each task.
    pub(super) fn last(&self) -> BTreeMap<TaskName, Timestamp> {
        self.seen
            .iter()
            .filter_map(|(task, seen)| Some((task.clone(), *seen.ticks.last_key_value()?.0)))
            .collect()
    }
}

impl Seen {
    fn sweep(&mut self, now: Timestamp) {
        if now < self.sweep_at {
            return;
        }
        let latest = self.ticks.last_key_value().map(|(instant, _)| *instant);
        self.ticks
            .retain(|instant, seen| later(*seen, MEMORY) > now || Some(*instant) == latest);
        self.sweep_at = later(now, MEMORY / 7);
    }
}
