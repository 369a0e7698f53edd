//! aio-fluid's models, with its names.

use fluid_core::{Priority, RunId, RunState, Task, TaskRun};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// `TaskInfo`.
#[derive(Debug, Serialize)]
pub(super) struct TaskInfo {
    name: String,
    description: String,
    module: &'static str,
    priority: Priority,
    schedule: Option<String>,
    tags: Vec<String>,
    enabled: bool,
    last_run_end: Option<Timestamp>,
    /// ISO 8601, such as `PT1.5S`.
    last_run_duration: Option<String>,
    last_run_state: Option<&'static str>,
}

impl TaskInfo {
    pub(super) fn of(task: &Task, enabled: bool, last: Option<&TaskRun>) -> Self {
        let took = last.and_then(|run| Some(run.ended_at?.duration_since(run.started_at?)));
        Self {
            name: task.name.to_string(),
            description: task.description.clone(),
            module: "",
            priority: task.priority,
            schedule: task.schedule.as_ref().map(ToString::to_string),
            tags: task.tags.iter().cloned().collect(),
            enabled,
            last_run_end: last.and_then(|run| run.ended_at),
            last_run_duration: took.map(|took| took.to_string()),
            last_run_state: last.map(|run| state(run.state)),
        }
    }
}

/// `TaskRun`.
#[derive(Debug, Serialize)]
pub(super) struct QueuedRun {
    id: String,
    task: String,
    priority: Priority,
    params: Value,
    state: &'static str,
    queued: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    execute_after: Option<Timestamp>,
    rate_limit_attempt: u32,
    retry_attempt: u32,
    from_run_id: String,
    root_run_id: String,
}

impl From<TaskRun> for QueuedRun {
    fn from(run: TaskRun) -> Self {
        Self {
            id: hex(run.id),
            task: run.task.to_string(),
            priority: run.priority,
            params: run.params.redacted(),
            state: state(run.state),
            queued: run.created_at,
            start: run.started_at,
            end: run.ended_at,
            execute_after: (run.state == RunState::Scheduled).then_some(run.due_at),
            rate_limit_attempt: 0,
            retry_attempt: run.failures,
            from_run_id: run.parent.map(hex).unwrap_or_default(),
            root_run_id: run.root.map(hex).unwrap_or_default(),
        }
    }
}

/// `TaskRunHistory`.
#[derive(Debug, Serialize)]
pub(super) struct PastRun {
    id: String,
    task: String,
    priority: Priority,
    state: &'static str,
    queued: Timestamp,
    start: Option<Timestamp>,
    end: Option<Timestamp>,
    params: Value,
}

impl From<TaskRun> for PastRun {
    fn from(run: TaskRun) -> Self {
        Self {
            id: hex(run.id),
            task: run.task.to_string(),
            priority: run.priority,
            state: state(run.state),
            queued: run.created_at,
            start: run.started_at,
            end: run.ended_at,
            params: run.params.redacted(),
        }
    }
}

impl PastRun {
    /// Its parameters; secrets don't show.
    pub(super) fn params(&self) -> &Value {
        &self.params
    }
}

fn hex(run: RunId) -> String {
    run.to_string().replace('-', "")
}

/// What is not due yet is in aio-fluid's queue as well.
fn state(state: RunState) -> &'static str {
    match state {
        RunState::Scheduled => "queued",
        other => other.as_str(),
    }
}
