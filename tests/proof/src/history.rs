//! The broker's own word for all that happened.

use std::collections::BTreeMap;

use fluid_core::{
    Attempt, Broker, BrokerResult, RunFilter, RunId, Schedule, Task, TaskName, TaskRun,
};

use crate::entry::Entry;

const PAGE: usize = 500;

/// Whose clock the times in a history are from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// One, the server's.
    Server,
    /// That of the process which wrote.
    Processes,
}

/// A run and its attempts.
#[derive(Debug, Clone)]
pub struct RunHistory {
    /// The run.
    pub run: TaskRun,
    /// Its attempts, oldest first.
    pub attempts: Vec<Attempt>,
}

/// All that a checker needs to know.
#[derive(Debug, Clone)]
pub struct History {
    /// Every run that the broker has.
    pub runs: BTreeMap<RunId, RunHistory>,
    /// What all processes noted, oldest first.
    pub ledger: Vec<Entry>,
    /// Whose clock the times of `runs` are from.
    pub clocks: Clocks,
    /// The schedules.
    pub schedules: BTreeMap<TaskName, Schedule>,
    /// How many runs of a task may be running in one lane, where that is limited.
    pub limits: BTreeMap<TaskName, usize>,
}

impl History {
    /// Reads all runs of a broker that nobody works on any more.
    ///
    /// # Errors
    /// The broker's.
    pub async fn read(
        broker: &dyn Broker,
        mut ledger: Vec<Entry>,
        clocks: Clocks,
        tasks: &[Task],
    ) -> BrokerResult<Self> {
        let mut runs = BTreeMap::new();
        let mut before = None;
        loop {
            let page = broker.list(RunFilter::default(), before, PAGE).await?;
            for run in page.runs {
                let attempts = broker.attempts(run.id).await?;
                runs.insert(run.id, RunHistory { run, attempts });
            }
            before = page.next;
            if before.is_none() {
                break;
            }
        }
        ledger.sort_by_key(|entry| entry.at);
        let schedules = tasks
            .iter()
            .filter_map(|task| Some((task.name.clone(), task.schedule.clone()?)));
        let limits = tasks
            .iter()
            .filter(|task| task.max_concurrency > 0)
            .map(|task| {
                let most = usize::try_from(task.max_concurrency).unwrap_or(usize::MAX);
                (task.name.clone(), most)
            });
        Ok(Self {
            runs,
            ledger,
            clocks,
            schedules: schedules.collect(),
            limits: limits.collect(),
        })
    }
}
