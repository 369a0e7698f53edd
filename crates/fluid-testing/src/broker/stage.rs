//! What the cases have in common: a broker, its clock, and short words for what is done to it.

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    Attempt, AttemptOutcome, Broker, Cancelled, ClaimRequest, Claimed, ConsumerId, DEFAULT_LEASE,
    Enqueued, ErrorKind, Finish, Finished, JsonText, LeaseRef, LeaseStatus, LeaseToken, NewRun,
    Params, QueueName, RateLimit, RunError, RunFilter, RunId, RunState, TaskLimits, TaskName,
    TaskRun,
};

use jiff::{SignedDuration, Timestamp};

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

    pub(super) fn now(&self) -> Timestamp {
        self.harness.now()
    }

    /// The instant so many seconds from now.
    pub(super) fn in_seconds(&self, seconds: i64) -> Timestamp {
        self.now() + SignedDuration::from_secs(seconds)
    }

    /// Enqueues a run of this task, due now, with everything else at its default.
    pub(super) async fn enqueue_one(&self, task: &str) -> RunId {
        self.enqueue(new_run(task)).await
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

    pub(super) async fn extend(&self, taken: &Taken) -> LeaseStatus {
        let answers = self.broker.extend(vec![taken.lease()], DEFAULT_LEASE).await;
        let answers = answers.unwrap();
        assert_eq!(answers.len(), 1);
        answers[0]
    }

    pub(super) async fn cancel(&self, run: RunId) -> Cancelled {
        self.broker.cancel(run).await.unwrap()
    }

    pub(super) async fn attempts(&self, run: RunId) -> Vec<Attempt> {
        self.broker.attempts(run).await.unwrap()
    }

    /// The numbers and outcomes of a run's attempts.
    pub(super) async fn outcomes(&self, run: RunId) -> Vec<(u32, AttemptOutcome)> {
        let attempts = self.attempts(run).await;
        attempts.iter().map(|a| (a.number, a.outcome)).collect()
    }

    /// Ends a run of this task as a success; its id.
    pub(super) async fn succeed_one(&self, task: &str) -> RunId {
        let run = self.enqueue_one(task).await;
        let taken = self.claim_one(task).await;
        assert_eq!(taken.run.id, run, "another run of the task was waiting");
        assert_eq!(
            self.finish(&taken, success()).await,
            Finished::Written(RunState::Success)
        );
        run
    }

    /// The ids of all runs that pass a filter, newest first.
    pub(super) async fn listed(&self, filter: RunFilter) -> Vec<RunId> {
        let page = self.broker.list(filter, None, 1000).await.unwrap();
        assert_eq!(page.next, None, "more than a page of runs");
        page.runs.iter().map(|run| run.id).collect()
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

/// The same claim by another consumer.
pub(super) fn by(name: &str, mut request: ClaimRequest) -> ClaimRequest {
    request.consumer = consumer(name);
    request
}

/// The same claim of at most so many runs.
pub(super) fn at_most(limit: usize, mut request: ClaimRequest) -> ClaimRequest {
    request.limit = limit;
    request
}

/// The same claim from these queues.
pub(super) fn from(queues: &[&str], mut request: ClaimRequest) -> ClaimRequest {
    request.queues = queues.iter().map(|name| queue(name)).collect();
    request
}

/// A task of which so many runs may be running.
pub(super) fn limited(name: &str, max_concurrency: u32) -> TaskLimits {
    let mut limits = TaskLimits::none(task(name));
    limits.max_concurrency = max_concurrency;
    limits
}

/// A task that may start so often.
pub(super) fn rated(name: &str, rate: RateLimit) -> TaskLimits {
    let mut limits = TaskLimits::none(task(name));
    limits.rate_limit = Some(rate);
    limits
}

/// A task whose executions survive their consumer.
pub(super) fn surviving(name: &str) -> TaskLimits {
    let mut limits = TaskLimits::none(task(name));
    limits.survives_consumer = true;
    limits
}

pub(super) fn success() -> Finish {
    Finish::Success(JsonText::null())
}

pub(super) fn failed(message: &str) -> RunError {
    RunError::new(ErrorKind::Error, message)
}

/// The attempt failed and the run is due again after so many seconds.
pub(super) fn retry_in(seconds: u64, message: &str) -> Finish {
    Finish::Retry {
        after: Duration::from_secs(seconds),
        error: failed(message),
    }
}

/// What an error is about.
pub(super) fn kind(error: Option<&RunError>) -> Option<ErrorKind> {
    error.map(|error| error.kind)
}
