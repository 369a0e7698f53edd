//! Functions on the consumer's own runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    ErrorKind, Execution, Executor, ExecutorKind, Outcome, RawContext, RunError, Task, TaskBody,
};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::function;

/// Runs task functions as futures in the consumer's own process.
///
/// The future is polled by [`Execution::outcome`] and [`Execution::cancel`], not by a task of its own: dropping
/// the execution drops the future. [`cancel`](Execution::cancel) can only act while the future is at an
/// `.await`.
#[derive(Debug, Clone, Copy, Default)]
pub struct InlineExecutor;

#[async_trait]
impl Executor for InlineExecutor {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Inline
    }

    async fn start(
        &self,
        task: Arc<Task>,
        context: RawContext,
    ) -> Result<Box<dyn Execution>, RunError> {
        let TaskBody::Function(function) = &task.body else {
            return Err(RunError::new(
                ErrorKind::Start,
                format!(
                    "task {:?} is a command, which the inline executor can't run: use subprocess or k8s",
                    task.name.as_str()
                ),
            ));
        };
        let cancelled = context.cancelled().clone();
        let work = function::call(function.clone(), context, ExecutorKind::Inline).boxed();
        Ok(Box::new(InlineExecution {
            state: State::Running(work),
            cancelled,
        }))
    }
}

struct InlineExecution {
    state: State,
    cancelled: CancellationToken,
}

enum State {
    Running(BoxFuture<'static, Outcome>),
    Ended(Outcome),
}

#[async_trait]
impl Execution for InlineExecution {
    async fn outcome(&mut self) -> Outcome {
        if let State::Running(work) = &mut self.state {
            self.state = State::Ended(work.await);
        }
        match &self.state {
            State::Ended(outcome) => outcome.clone(),
            State::Running(_) => Outcome::Cancelled,
        }
    }

    async fn cancel(&mut self, grace: Duration) {
        let State::Running(work) = &mut self.state else {
            return;
        };
        self.cancelled.cancel();
        let outcome = match tokio::time::timeout(grace, work).await {
            Ok(Outcome::Success(result)) => Outcome::Success(result),
            Ok(_) | Err(_) => Outcome::Cancelled,
        };
        let work = std::mem::replace(&mut self.state, State::Ended(outcome));
        // The function is gone either way; a panic in a destructor of its own must not end the consumer.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(work)));
    }
}
