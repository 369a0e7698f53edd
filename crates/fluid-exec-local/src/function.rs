//! Calls a task function, whichever process it runs in.

use std::any::Any;
use std::panic::AssertUnwindSafe;

use fluid_core::{ErrorKind, ExecutorKind, Outcome, RawContext, RunError, TaskFn};
use futures_util::FutureExt;
use tracing::Instrument;

/// Calls the function inside a span, catches its panic, and takes the run's secrets out of what it gives.
pub(crate) async fn call(function: TaskFn, context: RawContext, executor: ExecutorKind) -> Outcome {
    let run = context.run();
    let span = tracing::info_span!(
        "attempt",
        run_id = %run.id,
        task = %run.task,
        attempt = run.attempt,
        executor = executor.as_str(),
    );
    let redactor = context.io().redactor().clone();
    let called = AssertUnwindSafe(async move { function(context).await });
    match called.catch_unwind().instrument(span).await {
        Ok(Ok(result)) => Outcome::Success(redactor.redact_json(result)),
        Ok(Err(mut error)) => {
            error.message = redactor.redact(error.message);
            Outcome::Failure(error)
        }
        Err(panic) => {
            let message = redactor.redact(panic_message(panic.as_ref()));
            Outcome::Failure(RunError::new(ErrorKind::Panic, message))
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    match text {
        Some(text) => format!("the task panicked: {text}"),
        None => "the task panicked".to_owned(),
    }
}
