//! Where the runs that are not finished stand, so that nothing is searched for.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use fluid_core::{Priority, QueueName, RunId, RunState, TaskName};
use jiff::Timestamp;

use super::entry::{Entry, Hold};

/// The order of claiming: priority, due time, arrival.
pub(super) type Rank = (Priority, Timestamp, u64);

/// What `max_concurrency` and rate limits count: a task and a concurrency key.
pub(super) type Slot = (TaskName, Arc<str>);

/// Runs that one thing holds up or lets through together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Lane {
    pub(super) task: TaskName,
    pub(super) queue: QueueName,
    /// The concurrency key, or `None` for runs that wait to be adopted.
    pub(super) key: Option<Arc<str>>,
}

/// The runs that are not finished, by what they wait for.
#[derive(Debug, Default)]
pub(super) struct Index {
    lanes: BTreeMap<Lane, BTreeMap<Rank, RunId>>,
    scheduled: BTreeSet<(Timestamp, RunId)>,
    leases: BTreeSet<(Timestamp, RunId)>,
    running: HashMap<Slot, u32>,
}

impl Index {
    pub(super) fn add(&mut self, entry: &Entry) {
        let run = &entry.run;
        match (run.state, entry.hold) {
            (RunState::Scheduled, _) => {
                self.scheduled.insert((run.due_at, run.id));
            }
            (RunState::Queued, _) => {
                let lane = self.lanes.entry(lane(entry)).or_default();
                lane.insert(rank(entry), run.id);
            }
            (_, Hold::Leased { until, .. }) => {
                self.leases.insert((until, run.id));
            }
            _ => {}
        }
        if entry.hold != Hold::None {
            *self.running.entry(slot(entry)).or_default() += 1;
        }
    }

    /// Takes out what [`add`](Self::add) put in; the entry must not have changed since.
    pub(super) fn remove(&mut self, entry: &Entry) {
        let run = &entry.run;
        match (run.state, entry.hold) {
            (RunState::Scheduled, _) => {
                self.scheduled.remove(&(run.due_at, run.id));
            }
            (RunState::Queued, _) => {
                let name = lane(entry);
                if let Some(lane) = self.lanes.get_mut(&name) {
                    lane.remove(&rank(entry));
                    if lane.is_empty() {
                        self.lanes.remove(&name);
                    }
                }
            }
            (_, Hold::Leased { until, .. }) => {
                self.leases.remove(&(until, run.id));
            }
            _ => {}
        }
        if entry.hold != Hold::None {
            let slot = slot(entry);
            if let Some(count) = self.running.get_mut(&slot) {
                *count -= 1;
                if *count == 0 {
                    self.running.remove(&slot);
                }
            }
        }
    }

    /// The lanes of a task in a queue, that of adoptions first.
    pub(super) fn lanes<'a>(
        &'a self,
        task: &'a TaskName,
        queue: &'a QueueName,
    ) -> impl Iterator<Item = &'a Lane> {
        let first = Lane {
            task: task.clone(),
            queue: queue.clone(),
            key: None,
        };
        self.lanes
            .range(first..)
            .map(|(lane, _)| lane)
            .take_while(move |lane| lane.task == *task && lane.queue == *queue)
    }

    /// The first run of a lane.
    pub(super) fn head(&self, lane: &Lane) -> Option<(Rank, RunId)> {
        let (rank, run) = self.lanes.get(lane)?.first_key_value()?;
        Some((*rank, *run))
    }

    /// How many attempts go on that this lane's limit counts.
    pub(super) fn running(&self, task: &TaskName, key: &Arc<str>) -> u32 {
        let slot = (task.clone(), Arc::clone(key));
        self.running.get(&slot).copied().unwrap_or(0)
    }

    /// The run that is due first, and when.
    pub(super) fn first_due(&self) -> Option<(Timestamp, RunId)> {
        self.scheduled.first().copied()
    }

    /// The run whose lease ends first, and when.
    pub(super) fn first_lease(&self) -> Option<(Timestamp, RunId)> {
        self.leases.first().copied()
    }
}

fn lane(entry: &Entry) -> Lane {
    let orphaned = entry.hold == Hold::Orphaned;
    Lane {
        task: entry.run.task.clone(),
        queue: entry.run.queue.clone(),
        key: (!orphaned).then(|| Arc::clone(&entry.run.concurrency_key)),
    }
}

fn rank(entry: &Entry) -> Rank {
    (entry.run.priority, entry.run.due_at, entry.arrival)
}

fn slot(entry: &Entry) -> Slot {
    let key = Arc::clone(&entry.run.concurrency_key);
    (entry.run.task.clone(), key)
}
