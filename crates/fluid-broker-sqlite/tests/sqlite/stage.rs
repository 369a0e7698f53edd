//! A file in a folder of its own, and short words for what is done to it.

use std::path::PathBuf;

use fluid_broker_sqlite::{SqliteBroker, SqliteOptions};
use fluid_core::{
    Broker, BrokerResult, ClaimRequest, ConsumerId, DEFAULT_LEASE, Enqueued, LeaseRef, LeaseToken,
    NewRun, Params, QueueName, RunId, TaskLimits, TaskName, TaskRun,
};
use tempfile::TempDir;

/// A folder that is gone in the end.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_owned()
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.0.path().join("fluid.db")
    }

    pub(crate) fn options(&self) -> SqliteOptions {
        SqliteOptions::new(self.file())
    }

    pub(crate) async fn open(&self) -> SqliteBroker {
        SqliteBroker::open(self.options()).await.unwrap()
    }
}

pub(crate) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}

pub(crate) fn new_run(name: &str) -> NewRun {
    NewRun::new(task(name), Params::default())
}

pub(crate) fn new_runs(name: &str, count: usize) -> Vec<NewRun> {
    (0..count).map(|_| new_run(name)).collect()
}

/// A claim of these tasks from the default queue.
pub(crate) fn wish(limits: Vec<TaskLimits>, limit: usize) -> ClaimRequest {
    ClaimRequest {
        consumer: ConsumerId::parse("worker-1").unwrap(),
        queues: vec![QueueName::default()].into(),
        tasks: limits.into(),
        limit,
        lease: DEFAULT_LEASE,
    }
}

/// A claim of this task without limits.
pub(crate) fn wish_for(name: &str, limit: usize) -> ClaimRequest {
    wish(vec![TaskLimits::none(task(name))], limit)
}

pub(crate) async fn enqueue(broker: &SqliteBroker, runs: Vec<NewRun>) -> BrokerResult<Vec<RunId>> {
    let enqueued = broker.enqueue(runs).await?;
    Ok(enqueued.into_iter().map(Enqueued::run).collect())
}

pub(crate) fn ids(claimed: &[(TaskRun, LeaseToken)]) -> Vec<RunId> {
    claimed.iter().map(|(run, _)| run.id).collect()
}

pub(crate) fn lease((run, token): &(TaskRun, LeaseToken)) -> LeaseRef {
    LeaseRef {
        run: run.id,
        token: *token,
    }
}
