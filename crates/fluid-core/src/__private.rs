//! What the expansion of `#[task]` calls, on values that the macro has checked. No promise is made about it.

use std::future::Future;
use std::time::Duration;

use crate::context::TaskContext;
use crate::error::TaskError;
use crate::id::{QueueName, TaskName};
use crate::schedule::{Schedule, ScheduleError};
use crate::task::{Task, TaskDefinition};

/// What a task function may return.
#[diagnostic::on_unimplemented(
    message = "a task can't return `{Self}`",
    label = "expected nothing, or `Result<T, E>` with an `E` that converts into `TaskError`",
    note = "every `std::error::Error` converts into `TaskError`"
)]
pub trait TaskReturn {
    /// The result of the run.
    type Output;

    /// The value as a result.
    ///
    /// # Errors
    /// The one it holds.
    fn into_result(self) -> Result<Self::Output, TaskError>;
}

impl TaskReturn for () {
    type Output = ();

    fn into_result(self) -> Result<(), TaskError> {
        Ok(())
    }
}

impl<T, E: Into<TaskError>> TaskReturn for Result<T, E> {
    type Output = T;

    fn into_result(self) -> Result<T, TaskError> {
        self.map_err(Into::into)
    }
}

pub fn task_name(name: &'static str) -> TaskName {
    TaskName::known(name)
}

pub fn queue_name(name: &'static str) -> QueueName {
    QueueName::known(name)
}

pub fn function<D, F, Fut>(name: &'static str, description: &str, function: F) -> Task
where
    D: TaskDefinition,
    F: Fn(TaskContext<D::Params>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<D::Output, TaskError>> + Send + 'static,
{
    Task::of_function(TaskName::known(name), function).description(description)
}

pub fn every(
    delta: Duration,
    delay: Duration,
    jitter: Duration,
) -> Result<Schedule, ScheduleError> {
    Schedule::every(delta)?
        .with_delay(delay)
        .with_jitter(jitter)
}

pub fn cron(expression: &str, zone: &str, jitter: Duration) -> Result<Schedule, ScheduleError> {
    Schedule::cron(expression, zone)?.with_jitter(jitter)
}

pub fn schedule(task: &mut Task, schedule: Result<Schedule, ScheduleError>) {
    match schedule {
        Ok(schedule) => task.schedule = Some(schedule),
        Err(fault) => task.fault = Some(fault),
    }
}
