//! What the cases have in common: a broker, its clock, and short words for what is done to it.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    Broker, ClaimRequest, Claimed, ConsumerId, DEFAULT_LEASE, Enqueued, ErrorKind, Finish,
    Finished, JsonText, LeaseRef, LeaseToken, NewRun, Params, QueueName, RunError, RunId,
    TaskLimits, TaskName, TaskRun,
};

use super::BrokerHarness;

/// One case's broker and harness.
pub(super) struct Stage<'h> {
    pub(super) harness: &'h dyn BrokerHarness,
    pub(super) broker: Arc<dyn Broker>,
}

impl<'h> Stage<'h> {
    pub(super) async fn new(harness: &'h dyn BrokerHarness) -> Self {
        Self {
            harness,
            broker: harness.open().await,
        }
    }

    pub(super) fn advance(&self, by: Duration) {
        self.harness.advance(by);
    }

    /// Enqueues a run that must not be a duplicate.
    pub(super) async fn enqueue(&self, run: NewRun) -> RunId {
        let id = run.id;
        let enqueued = self.broker.enqueue(vec![run]).await.unwrap();
        assert_eq!(enqueued, [Enqueued::Inserted(id)]);
        id
    }

    pub(super) async fn claim(&self, request: ClaimRequest) -> Claimed {
        self.broker.claim(request).await.unwrap()
    }

    /// The ids that a claim brings, in its order.
    pub(super) async fn claim_ids(&self, request: ClaimRequest) -> Vec<RunId> {
        let claimed = self.claim(request).await;
        claimed.runs.iter().map(|(run, _)| run.id).collect()
    }

    /// Claims the one run that a task has to give now.
    pub(super) async fn claim_one(&self, task: &str) -> Taken {
        self.claim_exactly_one(wish(&[task])).await
    }

    pub(super) async fn claim_exactly_one(&self, request: ClaimRequest) -> Taken {
        let mut claimed = self.claim(request).await;
        assert_eq!(
            claimed.runs.len(),
            1,
            "one run was to be claimed: {claimed:?}"
        );
        let (run, token) = claimed.runs.remove(0);
        Taken { run, token }
    }

    pub(super) async fn finish(&self, taken: &Taken, finish: Finish) -> Finished {
        let finished = self.broker.finish(vec![(taken.lease(), finish)]).await;
        let finished = finished.unwrap();
        assert_eq!(finished.len(), 1);
        finished[0]
    }

    pub(super) async fn get(&self, run: RunId) -> TaskRun {
        let found = self.broker.get(run).await.unwrap();
        found.unwrap_or_else(|| panic!("run {run} is gone"))
    }
}

/// A claimed run and its token.
#[derive(Debug, Clone)]
pub(super) struct Taken {
    pub(super) run: TaskRun,
    pub(super) token: LeaseToken,
}

impl Taken {
    pub(super) fn lease(&self) -> LeaseRef {
        LeaseRef {
            run: self.run.id,
            token: self.token,
        }
    }
}

pub(super) fn task(name: &str) -> TaskName {
    TaskName::parse(name).unwrap()
}

pub(super) fn queue(name: &str) -> QueueName {
    QueueName::parse(name).unwrap()
}

pub(super) fn consumer(name: &str) -> ConsumerId {
    ConsumerId::parse(name).unwrap()
}

/// A run of this task, due now, with everything else at its default.
pub(super) fn new_run(name: &str) -> NewRun {
    NewRun::new(task(name), Params::default())
}

/// A claim of up to 100 runs of these tasks without limits, from the default queue.
pub(super) fn wish(tasks: &[&str]) -> ClaimRequest {
    let limits = tasks.iter().map(|name| TaskLimits::none(task(name)));
    wish_with(limits.collect())
}

/// The same with limits.
pub(super) fn wish_with(limits: Vec<TaskLimits>) -> ClaimRequest {
    ClaimRequest {
        consumer: consumer("worker-1"),
        queues: vec![QueueName::default()].into(),
        tasks: limits.into(),
        limit: 100,
        lease: DEFAULT_LEASE,
    }
}

pub(super) fn success() -> Finish {
    Finish::Success(JsonText::null())
}

pub(super) fn failed(message: &str) -> RunError {
    RunError::new(ErrorKind::Error, message)
}
