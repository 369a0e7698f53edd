//! What passes between fluid and a child process or Job, whichever executor started it.
//!
//! Parameters travel on standard input as JSON, never in the arguments. The variables below say which run it is
//! and where the result goes. A line on standard output that begins with [`PROGRESS_PREFIX`] is not output but
//! progress: `::progress 0.5 halfway`.

use std::io;
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::id::{QueueName, RunId, TaskName};
use crate::json::JsonText;
use crate::params::Params;
use crate::priority::Priority;
use crate::run::{Due, NewRun, Progress, TaskRun, Trigger};

/// Holds the run's id.
pub const RUN_ID_VARIABLE: &str = "FLUID_RUN_ID";
/// Holds the task's name.
pub const TASK_VARIABLE: &str = "FLUID_TASK";
/// Holds the attempt's number, from 1.
pub const ATTEMPT_VARIABLE: &str = "FLUID_ATTEMPT";
/// Holds the id of the first of the chain of parents.
pub const ROOT_ID_VARIABLE: &str = "FLUID_ROOT_ID";
/// Holds the path of the file for the result. A program writes any JSON there; a task function's process
/// writes a [`ChildReport`].
pub const RESULT_VARIABLE: &str = "FLUID_RESULT_PATH";
/// Holds a [`ChildRun`] as JSON; only set for a task function's process.
pub const RUN_VARIABLE: &str = "FLUID_RUN";
/// Holds the URL of the broker, so that a child can enqueue runs.
pub const BROKER_VARIABLE: &str = "FLUID_BROKER_URL";

/// Begins a line of standard output that tells progress.
pub const PROGRESS_PREFIX: &str = "::progress ";

/// Reads a line that tells progress: the prefix, a number from 0 to 1, and a message that may be empty.
pub fn parse_progress(line: &str) -> Option<Progress> {
    let rest = line.strip_prefix(PROGRESS_PREFIX)?.trim_start();
    let (fraction, message) = rest.split_once(' ').unwrap_or((rest, ""));
    let fraction: f64 = fraction.parse().ok()?;
    fraction
        .is_finite()
        .then(|| Progress::new(fraction, message.trim()))
}

/// Writes the line that [`parse_progress`] reads.
pub fn progress_line(progress: &Progress) -> String {
    let message = progress.message.replace(['\n', '\r'], " ");
    format!("{PROGRESS_PREFIX}{} {message}", progress.fraction)
}

/// What the process of a task function writes when it ends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChildReport {
    /// What the function returned.
    Result(JsonText),
    /// Why it failed.
    Error(RunError),
}

impl ChildReport {
    /// Writes the report so that a reader sees all of it or nothing.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        let text = serde_json::to_vec(self)?;
        let partial = path.with_extension("partial");
        std::fs::write(&partial, text)?;
        std::fs::rename(partial, path)
    }

    /// Reads a report.
    ///
    /// # Errors
    /// When it is no report.
    pub fn read(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }
}

/// What the process of a task function is told of its run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildRun {
    id: RunId,
    task: TaskName,
    queue: QueueName,
    priority: Priority,
    trigger: Trigger,
    parent: Option<RunId>,
    root: Option<RunId>,
    retry_of: Option<RunId>,
    attempt: u32,
    failures: u32,
    interruptions: u32,
    created_at: Timestamp,
    due_at: Timestamp,
    started_at: Option<Timestamp>,
}

impl From<&TaskRun> for ChildRun {
    fn from(run: &TaskRun) -> Self {
        Self {
            id: run.id,
            task: run.task.clone(),
            queue: run.queue.clone(),
            priority: run.priority,
            trigger: run.trigger,
            parent: run.parent,
            root: run.root,
            retry_of: run.retry_of,
            attempt: run.attempt,
            failures: run.failures,
            interruptions: run.interruptions,
            created_at: run.created_at,
            due_at: run.due_at,
            started_at: run.started_at,
        }
    }
}

impl ChildRun {
    /// The record of the run, with the parameters that came on standard input.
    pub fn into_run(self, params: Params) -> TaskRun {
        let new = NewRun {
            id: self.id,
            queue: self.queue,
            priority: self.priority,
            trigger: self.trigger,
            parent: self.parent,
            root: self.root,
            retry_of: self.retry_of,
            due: Due::At(self.due_at),
            ..NewRun::new(self.task, params)
        };
        let mut run = TaskRun::enqueued(&new, self.created_at, self.due_at);
        run.state = crate::state::RunState::Running;
        run.attempt = self.attempt;
        run.failures = self.failures;
        run.interruptions = self.interruptions;
        run.started_at = self.started_at;
        run
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_survives_its_line() {
        let progress = Progress::new(0.25, "a\nb");
        assert_eq!(
            parse_progress(&progress_line(&progress)),
            Some(Progress::new(0.25, "a b"))
        );
        assert_eq!(parse_progress("::progress 1"), Some(Progress::new(1.0, "")));
        for other in ["progress 1", "::progress x", "::progress NaN", "::progress"] {
            assert_eq!(parse_progress(other), None, "{other}");
        }
    }

    #[test]
    fn a_run_survives_the_way_to_its_child() {
        let new = NewRun::new(TaskName::parse("t").unwrap(), Params::default());
        let now = Timestamp::now();
        let mut run = TaskRun::enqueued(&new, now, now);
        run.attempt = 2;
        run.state = crate::state::RunState::Running;
        let text = serde_json::to_string(&ChildRun::from(&run)).unwrap();
        let back: ChildRun = serde_json::from_str(&text).unwrap();
        assert_eq!(back.into_run(Params::default()), run);
    }
}
