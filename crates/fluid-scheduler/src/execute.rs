//! Runs a task here and now, without the queue.

use std::sync::Arc;

use fluid_core::{
    AttemptEvent, AttemptIo, Executor, Finish, LeaseRef, LeaseToken, QueueRequest, RawContext,
    RunState, TaskRun,
};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::attempt::{Plan, StopReason, StopSignal, carry_out};
use crate::consumer::ConsumerConfig;
use crate::manager::{QueueError, TaskManager};

impl TaskManager {
    /// Runs a task here, once, without the queue: no retry, no limits, nothing stored. Its output and progress
    /// go to `news`; flushes must be answered. Cancel `stop` to end it early.
    ///
    /// The record of the run comes back in a terminal state. Not cancellation safe: dropping it ends the
    /// execution.
    ///
    /// # Errors
    /// [`QueueError`] when there is no such task or the parameters don't fit.
    pub async fn execute(
        &self,
        request: QueueRequest,
        executor: Arc<dyn Executor>,
        news: mpsc::Sender<AttemptEvent>,
        stop: &CancellationToken,
    ) -> Result<TaskRun, QueueError> {
        let new = self.new_run(request)?;
        let Some(task) = self.task(&new.task).cloned() else {
            return Err(QueueError::UnknownTask {
                task: new.task.to_string(),
                known: Vec::new(),
            });
        };
        let now = Timestamp::now();
        let mut record = TaskRun::enqueued(&new, now, now);
        record.state = RunState::Running;
        record.attempt = 1;
        record.started_at = Some(now);
        let lease = LeaseRef {
            run: record.id,
            token: LeaseToken::random(),
        };
        let io = AttemptIo::new(lease, 1, record.params.redactor(), news);
        let plan = Plan {
            time_left: task.timeout,
            context: RawContext::new(
                Arc::new(record.clone()),
                io,
                CancellationToken::new(),
                self.state().clone(),
                Arc::new(self.clone()),
            ),
            task,
            executor,
            grace: ConsumerConfig::default().grace,
        };
        let signal = StopSignal::default();
        let attempt = carry_out(plan, &signal);
        tokio::pin!(attempt);
        let finish = tokio::select! {
            biased;
            finish = &mut attempt => finish,
            () = stop.cancelled() => {
                signal.stop(StopReason::Cancelled);
                attempt.await
            }
        };
        record.ended_at = Some(Timestamp::now());
        match finish {
            Some(Finish::Success(result)) => {
                record.state = RunState::Success;
                record.result = Some(result);
            }
            Some(Finish::Failure(error) | Finish::Retry { error, .. }) => {
                record.state = RunState::Failure;
                record.error = Some(error);
            }
            Some(Finish::Aborted(error)) => {
                record.state = RunState::Aborted;
                record.error = Some(error);
            }
            _ => record.state = RunState::Aborted,
        }
        Ok(record)
    }
}
