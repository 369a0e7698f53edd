//! Carries out one attempt: start, wait for its end, its time limit or a wish to stop, and what follows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use fluid_core::{
    AfterFailure, ErrorKind, Executor, Finish, Outcome, RawContext, RunError, Task, TaskRun,
    duration,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Why an attempt is told to stop before it ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum StopReason {
    /// Somebody cancelled the run.
    Cancelled = 1,
    /// The lease is gone: the run is somebody else's.
    LeaseLost = 2,
    /// The consumer stops and gives the run back.
    HandOver = 3,
}

impl StopReason {
    /// The reason, if an execution of this executor is left to go on for it.
    fn detaches(self, executor: &dyn Executor) -> Option<Self> {
        (self != Self::Cancelled && executor.survives_consumer()).then_some(self)
    }
}

/// Tells an attempt to stop; the first reason counts.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopSignal {
    token: CancellationToken,
    reason: Arc<AtomicU8>,
}

impl StopSignal {
    pub(crate) fn stop(&self, reason: StopReason) {
        let first =
            self.reason
                .compare_exchange(0, reason as u8, Ordering::AcqRel, Ordering::Acquire);
        if first.is_ok() {
            self.token.cancel();
        }
    }

    /// Waits for a wish to stop after which an execution of this executor goes on by itself.
    async fn detached(&self, executor: &dyn Executor) -> StopReason {
        match self.stopped().await.detaches(executor) {
            Some(reason) => reason,
            None => std::future::pending().await,
        }
    }

    async fn stopped(&self) -> StopReason {
        self.token.cancelled().await;
        match self.reason.load(Ordering::Acquire) {
            1 => StopReason::Cancelled,
            2 => StopReason::LeaseLost,
            _ => StopReason::HandOver,
        }
    }
}

/// How one attempt is to be carried out.
pub(crate) struct Plan {
    pub(crate) task: Arc<Task>,
    pub(crate) executor: Arc<dyn Executor>,
    pub(crate) context: RawContext,
    /// What is left of the task's time limit.
    pub(crate) time_left: Option<Duration>,
    /// How long an execution may take to stop when asked.
    pub(crate) grace: Duration,
}

/// Carries out an attempt and says what to write; `None` when there is nothing to write because the lease is
/// gone. Not cancellation safe: dropping it ends the execution.
pub(crate) async fn carry_out(plan: Plan, stop: &StopSignal) -> Option<Finish> {
    let Plan {
        task,
        executor,
        context,
        time_left,
        grace,
    } = plan;
    let run = context.run().clone();
    let io = context.io().clone();
    let started = tokio::select! {
        biased;
        started = executor.start(task.clone(), context) => started,
        // The next consumer's start for this attempt settles what became of this one.
        reason = stop.detached(&*executor) => return released(reason),
    };
    let mut execution = match started {
        Ok(execution) => execution,
        Err(error) => {
            io.flush().await;
            return Some(after_failure(&task, &run, error));
        }
    };
    let finish = tokio::select! {
        biased;
        outcome = execution.outcome() => of_outcome(&task, &run, outcome),
        reason = stop.stopped() => {
            if let Some(reason) = reason.detaches(&*executor) {
                io.flush().await;
                return released(reason);
            }
            execution.cancel(grace).await;
            match (execution.outcome().await, reason) {
                (_, StopReason::LeaseLost) => return None,
                (Outcome::Success(result), _) => Finish::Success(result),
                (_, StopReason::HandOver) => Finish::Released,
                (_, StopReason::Cancelled) => of_outcome(&task, &run, Outcome::Cancelled),
            }
        },
        () = expire(time_left) => {
            execution.cancel(grace).await;
            let _ = execution.outcome().await;
            after_failure(&task, &run, timed_out(&task, io.why_waiting()))
        }
    };
    io.flush().await;
    Some(finish)
}

/// What to write of an attempt that goes on without this consumer.
fn released(reason: StopReason) -> Option<Finish> {
    (reason == StopReason::HandOver).then_some(Finish::Released)
}

fn of_outcome(task: &Task, run: &TaskRun, outcome: Outcome) -> Finish {
    match outcome {
        Outcome::Success(result) => Finish::Success(result),
        Outcome::Cancelled => Finish::Aborted(RunError::new(ErrorKind::Aborted, "cancelled")),
        Outcome::Failure(error) => after_failure(task, run, error),
    }
}

/// The time that an attempt spent waiting counts, so that may be all there is to say.
fn timed_out(task: &Task, waiting: Option<String>) -> RunError {
    let limit = duration::format(task.timeout.unwrap_or_default());
    let message = match waiting {
        Some(why) => format!("timed out after {limit} without having run: {why}"),
        None => format!("timed out after {limit}"),
    };
    RunError::new(ErrorKind::Timeout, message)
}

async fn expire(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// What follows a failed attempt by the task's policy.
fn after_failure(task: &Task, run: &TaskRun, error: RunError) -> Finish {
    match task.retry.after(run.failures + 1, &error, random()) {
        AfterFailure::Retry(after) => Finish::Retry { after, error },
        AfterFailure::Fail => Finish::Failure(error),
        AfterFailure::Abort => Finish::Aborted(error),
    }
}

/// A number from 0 to 1 that spreads retries.
fn random() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}
