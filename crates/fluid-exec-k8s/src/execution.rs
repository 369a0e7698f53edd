//! One attempt from the request for its Job to its outcome.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    AttemptIo, ErrorKind, Execution, K8sConfig, K8sTarget, Outcome, RunError, Tail, Task, TaskRun,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::begin::NoJob;
use crate::executor::Shared;
use crate::follow::Ending;
use crate::namespace::Namespace;
use crate::output::Output;

/// How much longer than its grace a Job may take to be gone.
pub(crate) const LEAVE: Duration = Duration::from_secs(10);

/// All that carrying an attempt out takes.
pub(crate) struct Attempt {
    pub(crate) shared: Arc<Shared>,
    pub(crate) namespace: Arc<Namespace>,
    pub(crate) task: Arc<Task>,
    pub(crate) run: Arc<TaskRun>,
    pub(crate) io: AttemptIo,
    pub(crate) config: K8sConfig,
    pub(crate) target: K8sTarget,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// A Job that carries out an attempt, or is about to.
pub(crate) struct K8sExecution {
    state: State,
    stop: CancellationToken,
    grace: Duration,
}

enum State {
    Going(BoxFuture<'static, Outcome>),
    Ended(Outcome),
}

impl K8sExecution {
    pub(crate) fn new(attempt: Attempt) -> Self {
        let stop = CancellationToken::new();
        let grace = attempt.shared.grace;
        Self {
            state: State::Going(carry_out(attempt, stop.clone()).boxed()),
            stop,
            grace,
        }
    }
}

#[async_trait]
impl Execution for K8sExecution {
    async fn outcome(&mut self) -> Outcome {
        if let State::Going(work) = &mut self.state {
            self.state = State::Ended(work.await);
        }
        match &self.state {
            State::Ended(outcome) => outcome.clone(),
            State::Going(_) => Outcome::Cancelled,
        }
    }

    /// The grace is the executor's own, which the pod was made with.
    async fn cancel(&mut self, _grace: Duration) {
        let State::Going(work) = &mut self.state else {
            return;
        };
        self.stop.cancel();
        if let Ok(outcome) = timeout(self.grace + LEAVE, work).await {
            self.state = State::Ended(outcome);
        }
    }
}

async fn carry_out(attempt: Attempt, stop: CancellationToken) -> Outcome {
    let mut sights = attempt.namespace.subscribe(&attempt.name);
    // Thousands of these are under way at once: what is over gives its room back.
    let uid = match Box::pin(attempt.begin(&stop)).await {
        Ok(uid) => uid,
        Err(NoJob::Stopped) => return Outcome::Cancelled,
        Err(NoJob::Failed(error)) => return Outcome::Failure(error),
    };
    let place = format!("job {}/{}", attempt.target.namespace, attempt.name);
    attempt.io.execution(place).await;
    let tail = Mutex::new(Tail::default());
    let over = CancellationToken::new();
    let output = Output {
        cluster: &attempt.shared.cluster,
        logs: &attempt.shared.logs,
        namespace: &attempt.target.namespace,
        container: &attempt.target.container,
        io: &attempt.io,
        tail: &tail,
    };
    let output = Box::pin(output.pass_on(sights.again(), &over));
    let ending = Box::pin(async {
        let ending = attempt.ending(&mut sights, &uid, &stop).await;
        over.cancel();
        ending
    });
    let (ending, ()) = tokio::join!(ending, output);
    let tail = tail.lock().unwrap_or_else(PoisonError::into_inner).text();
    let outcome = match ending {
        Ending::Itself(verdict) => verdict.outcome(&tail, attempt.task.timeout),
        Ending::Stopped(None) => Outcome::Cancelled,
        Ending::Stopped(Some(result)) => Outcome::Success(result),
        Ending::NeverRan(error) => Outcome::Failure(error),
    };
    redacted(outcome, &attempt.io)
}

fn redacted(outcome: Outcome, io: &AttemptIo) -> Outcome {
    match outcome {
        Outcome::Success(result) => Outcome::Success(io.redactor().redact_json(result)),
        Outcome::Failure(mut error) => {
            error.message = io.redactor().redact(error.message);
            Outcome::Failure(error)
        }
        Outcome::Cancelled => Outcome::Cancelled,
    }
}

pub(crate) fn start_error(message: impl Into<String>) -> RunError {
    RunError::new(ErrorKind::Start, message)
}
