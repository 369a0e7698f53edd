//! This test binary as the program of task functions.

use std::fs::File;
use std::sync::Arc;

use async_trait::async_trait;
use fluid_core::child::{RUN_VARIABLE, TASK_VARIABLE};
use fluid_core::{ChildQueue, QueueRequest, RunId, SharedState, TaskError};
use fluid_exec_local::{SubprocessExecutor, child};
use fluid_testing::executor::tasks;

/// Calls the one test below, with what the executor adds as filters that fit no other. What the test harness
/// says of itself is no output of the task, so the task's goes another way.
const CALL: &str = r#"exec "$0" --exact --nocapture children::child -- "$@" 3>&1 >/dev/null"#;

/// A subprocess executor whose functions are those of the suite.
pub(crate) fn executor() -> SubprocessExecutor {
    let binary = std::env::current_exe().unwrap();
    SubprocessExecutor::builder()
        .program("/bin/sh")
        .arg("-c")
        .arg(CALL)
        .arg(binary)
        .build()
}

/// Does nothing unless it was called as the child of an executor.
#[test]
fn child() {
    if std::env::var_os(RUN_VARIABLE).is_none() {
        return;
    }
    let output = File::options().write(true).open("/dev/fd/3").unwrap();
    rustix::stdio::dup2_stdout(&output).unwrap();
    let name = std::env::var(TASK_VARIABLE).unwrap();
    let task = Arc::new(tasks::find(&name).unwrap());
    let state = Arc::new(SharedState::default());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let exit = runtime.block_on(child::run(task, state, Arc::new(NoQueue)));
    std::process::exit(exit.code().into());
}

pub(crate) struct NoQueue;

#[async_trait]
impl ChildQueue for NoQueue {
    async fn queue(&self, _request: QueueRequest) -> Result<RunId, TaskError> {
        Err(TaskError::fatal("there is no queue here"))
    }
}
