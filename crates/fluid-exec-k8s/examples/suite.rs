//! The program in the image that the tests' Jobs run: the tasks of the conformance suite for executors.

use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use fluid_core::child::TASK_VARIABLE;
use fluid_core::{ChildQueue, QueueRequest, RunId, SharedState, TaskError};
use fluid_exec_local::{SubprocessExecutor, child, container};
use fluid_testing::executor::tasks;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let name = std::env::var(TASK_VARIABLE).unwrap_or_default();
    let Some(task) = tasks::find(&name).map(Arc::new) else {
        eprintln!("the suite has no task {name:?}");
        return ExitCode::from(2);
    };
    if container::is_meant() {
        let executor = SubprocessExecutor::new();
        return container::run(task, &executor, Arc::new(NoQueue))
            .await
            .into();
    }
    let state = Arc::new(SharedState::default());
    let exit = child::run(task, state, Arc::new(NoQueue)).await;
    // A task that never returns must not hold up the end.
    std::process::exit(exit.code().into());
}

struct NoQueue;

#[async_trait]
impl ChildQueue for NoQueue {
    async fn queue(&self, _request: QueueRequest) -> Result<RunId, TaskError> {
        Err(TaskError::fatal("there is no queue here"))
    }
}
