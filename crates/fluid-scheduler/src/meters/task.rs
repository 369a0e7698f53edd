//! What is measured of each task's attempts. Handles are resolved once for each task, not for each run.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{ErrorKind, Finish, RunError, Task, TaskName, TaskRun};
use jiff::Timestamp;
use metrics::{Counter, Histogram, counter, histogram};

use super::{ATTEMPT, ATTEMPTS, LEASES_LOST, RECOVERED, WAIT};
use crate::executors::Executors;

/// What is measured of one task.
pub(crate) struct TaskMeters {
    task: TaskName,
    wait: Histogram,
    attempt: Histogram,
    succeeded: Counter,
    recovered: Counter,
    leases_lost: Counter,
}

impl TaskMeters {
    fn new(task: &TaskName, executor: &'static str) -> Self {
        let name = || task.to_string();
        Self {
            wait: histogram!(WAIT, "task" => name(), "executor" => executor),
            attempt: histogram!(ATTEMPT, "task" => name(), "executor" => executor),
            succeeded: ended(task, "success", None),
            recovered: counter!(RECOVERED, "task" => name()),
            leases_lost: counter!(LEASES_LOST, "task" => name()),
            task: task.clone(),
        }
    }

    /// A run was claimed for an attempt that begins.
    pub(crate) fn claimed(&self, run: &TaskRun, now: Timestamp) {
        let waited = Duration::try_from(now.duration_since(run.due_at));
        self.wait.record(waited.unwrap_or_default());
        if run
            .error
            .as_ref()
            .is_some_and(|error| error.kind == ErrorKind::Lost)
        {
            self.recovered.increment(1);
        }
    }

    /// An attempt took this long; of one that goes on under another consumer, nothing is known yet.
    pub(crate) fn took(&self, time: Duration, finish: Option<&Finish>) {
        if finish.is_some_and(|finish| *finish != Finish::Released) {
            self.attempt.record(time);
        }
    }

    /// The end of an attempt was written.
    pub(crate) fn written(&self, finish: &Finish) {
        match finish {
            Finish::Success(_) => self.succeeded.increment(1),
            Finish::Retry { error, .. } | Finish::Failure(error) => {
                ended(&self.task, "failure", Some(error)).increment(1);
            }
            Finish::Aborted(error) => ended(&self.task, "aborted", Some(error)).increment(1),
            _ => ended(&self.task, "released", None).increment(1),
        }
    }

    /// The lease of an attempt was lost.
    pub(crate) fn lease_lost(&self) {
        self.leases_lost.increment(1);
    }
}

impl std::fmt::Debug for TaskMeters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TaskMeters({})", self.task)
    }
}

fn ended(task: &TaskName, outcome: &'static str, error: Option<&RunError>) -> Counter {
    let reason = error.map_or("none", |error| error.kind.as_str());
    counter!(ATTEMPTS, "task" => task.to_string(), "outcome" => outcome, "reason" => reason)
}

/// The meters of a consumer's tasks.
#[derive(Debug)]
pub(crate) struct Meters(HashMap<TaskName, Arc<TaskMeters>>);

impl Meters {
    pub(crate) fn of<'a>(
        tasks: impl Iterator<Item = &'a Arc<Task>>,
        executors: &Executors,
    ) -> Self {
        let meters = |task: &Arc<Task>| {
            let executor = executors.of(task).ok()?.kind().as_str();
            let meters = TaskMeters::new(&task.name, executor);
            Some((task.name.clone(), Arc::new(meters)))
        };
        Self(tasks.filter_map(meters).collect())
    }

    pub(crate) fn get(&self, task: &TaskName) -> Option<&Arc<TaskMeters>> {
        self.0.get(task)
    }
}
