//! What a process that carries out an attempt is told of it, and where it reports to.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use fluid_core::child::{ChildRun, RESULT_VARIABLE, RUN_VARIABLE};
use fluid_core::{ErrorKind, JsonText, RunError, Task, TaskRun};

/// The run as the environment has it.
pub(crate) fn record() -> Result<ChildRun, RunError> {
    let record = std::env::var(RUN_VARIABLE)
        .map_err(|error| start_error(format!("{RUN_VARIABLE} is unusable: {error}")))?;
    serde_json::from_str(&record).map_err(|error| {
        let place = format!("line {} column {}", error.line(), error.column());
        start_error(format!("{RUN_VARIABLE} holds no run: {place}"))
    })
}

/// The run with its parameters, once they are checked.
pub(crate) fn run(record: ChildRun, task: &Task, params: JsonText) -> Result<TaskRun, RunError> {
    let params = task
        .params
        .check(params)
        .map_err(|error| RunError::new(ErrorKind::Parameters, error.to_string()))?;
    Ok(record.into_run(params))
}

/// Has the report written where the environment says.
pub(crate) fn report<E: Display>(write: impl FnOnce(&Path) -> Result<(), E>) -> Result<(), String> {
    let path = std::env::var_os(RESULT_VARIABLE)
        .map(PathBuf::from)
        .ok_or_else(|| format!("{RESULT_VARIABLE} is not set: there is nowhere to report to"))?;
    write(&path).map_err(|error| format!("can't write the report to {path:?}: {error}"))
}

pub(crate) fn start_error(message: impl Into<String>) -> RunError {
    RunError::new(ErrorKind::Start, message)
}
