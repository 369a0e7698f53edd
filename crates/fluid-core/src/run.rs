//! A run and its history.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::error::RunError;
use crate::id::{ConsumerId, QueueName, RunId, TaskName};
use crate::json::JsonText;
use crate::params::Params;
use crate::priority::Priority;
use crate::state::RunState;

/// What asked for a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Trigger {
    /// A person or a program.
    #[default]
    Request,
    /// A tick of the task's schedule.
    Schedule,
    /// Another run, from inside a task.
    Parent,
    /// Somebody asked for a finished run once more.
    Retry,
}

impl Trigger {
    /// The word used in files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Schedule => "schedule",
            Self::Parent => "parent",
            Self::Retry => "retry",
        }
    }
}

/// When a new run is due. A delay counts from the broker's clock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Due {
    /// At once.
    #[default]
    Now,
    /// After this long.
    After(Duration),
    /// At this instant.
    At(Timestamp),
}

/// Makes two requests the same run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// What is compared, within the task.
    pub key: Arc<str>,
    /// `None`: later requests are duplicates while this run is not finished. Otherwise also until this long
    /// after this run was enqueued, finished or not. The window of the run that holds the key decides, not that
    /// of a later request.
    pub window: Option<Duration>,
}

/// How many attempts may be lost with their consumer unless somebody says otherwise.
const MAX_INTERRUPTIONS: u32 = 3;

/// A request to execute a task, as given to a broker.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct NewRun {
    /// The run's id.
    pub id: RunId,
    /// The task to execute.
    pub task: TaskName,
    /// The queue it waits in.
    pub queue: QueueName,
    /// Its urgency within the queue.
    pub priority: Priority,
    /// Its checked parameters.
    pub params: Params,
    /// When it is due.
    pub due: Due,
    /// What asked for it.
    pub trigger: Trigger,
    /// The run that asked for it.
    pub parent: Option<RunId>,
    /// The first of the chain of parents.
    pub root: Option<RunId>,
    /// The finished run that this one does once more.
    pub retry_of: Option<RunId>,
    /// Makes it the same as an earlier request.
    pub unique: Option<Unique>,
    /// The lane within the task that `max_concurrency` counts; empty for one lane.
    pub concurrency_key: Arc<str>,
    /// How many attempts may be lost with their consumer before the run is interrupted.
    pub max_interruptions: u32,
}

impl NewRun {
    /// A run of this task, due now, with everything else at its default.
    pub fn new(task: TaskName, params: Params) -> Self {
        Self {
            id: RunId::new(),
            task,
            queue: QueueName::default(),
            priority: Priority::default(),
            params,
            due: Due::Now,
            trigger: Trigger::Request,
            parent: None,
            root: None,
            retry_of: None,
            unique: None,
            concurrency_key: Arc::default(),
            max_interruptions: MAX_INTERRUPTIONS,
        }
    }

    /// A finished run once more, as [`Broker::retry`](crate::Broker::retry) enqueues it: due now, under an id of its own
    /// and without a unique key.
    pub fn once_more(old: &TaskRun) -> Self {
        Self {
            queue: old.queue.clone(),
            priority: old.priority,
            trigger: Trigger::Retry,
            parent: old.parent,
            root: old.root,
            retry_of: Some(old.id),
            concurrency_key: old.concurrency_key.clone(),
            max_interruptions: old.max_interruptions,
            ..Self::new(old.task.clone(), old.params.clone())
        }
    }
}

/// How far a running attempt is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Progress {
    /// From 0 to 1.
    pub fraction: f64,
    /// What it does now; may be empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
}

impl Progress {
    /// A fraction, brought into 0 to 1, and what is being done.
    pub fn new(fraction: f64, message: impl Into<String>) -> Self {
        let fraction = if fraction.is_finite() {
            fraction.clamp(0.0, 1.0)
        } else {
            0.0
        };
        Self {
            fraction,
            message: message.into(),
        }
    }
}

/// One request to execute a task and all that is known of it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct TaskRun {
    /// The run's id.
    pub id: RunId,
    /// The task it executes.
    pub task: TaskName,
    /// The queue it waits or waited in.
    pub queue: QueueName,
    /// Its urgency within the queue.
    pub priority: Priority,
    /// Where it is in its life.
    pub state: RunState,
    /// Its parameters; secrets don't show.
    pub params: Params,
    /// What asked for it.
    pub trigger: Trigger,
    /// The run that asked for it.
    pub parent: Option<RunId>,
    /// The first of the chain of parents.
    pub root: Option<RunId>,
    /// The finished run that this one does once more.
    pub retry_of: Option<RunId>,
    /// The lane within the task that `max_concurrency` counts.
    pub concurrency_key: Arc<str>,
    /// The number of the current or last attempt, from 1; 0 before the first.
    pub attempt: u32,
    /// How many attempts failed.
    pub failures: u32,
    /// How many attempts were lost with their consumer.
    pub interruptions: u32,
    /// How many may be lost before the run is interrupted.
    pub max_interruptions: u32,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it is or was due.
    pub due_at: Timestamp,
    /// When the current or last attempt started; an adoption does not change it.
    pub started_at: Option<Timestamp>,
    /// When it reached a terminal state.
    pub ended_at: Option<Timestamp>,
    /// The consumer of the current or last attempt.
    pub consumer: Option<ConsumerId>,
    /// Where the current or last attempt runs: `pid 4711`, `job workers/fluid-resize-3f9a`.
    pub execution: Option<String>,
    /// Why the current attempt's execution does not run yet, in the executor's words.
    pub waiting: Option<String>,
    /// How far the current attempt is, as long as a consumer holds it.
    pub progress: Option<Progress>,
    /// What the task returned.
    pub result: Option<JsonText>,
    /// Why the run ended without a result, or why its last attempt failed or was lost.
    pub error: Option<RunError>,
    /// Somebody asked to cancel the running attempt; false again once the run ended.
    pub cancel_requested: bool,
}

impl TaskRun {
    /// A run that waits, due since it was enqueued, with everything else at its default: brokers fill in the rest.
    pub fn new(
        id: RunId,
        task: TaskName,
        queue: QueueName,
        params: Params,
        created_at: Timestamp,
    ) -> Self {
        Self {
            id,
            task,
            queue,
            priority: Priority::default(),
            state: RunState::Queued,
            params,
            trigger: Trigger::default(),
            parent: None,
            root: None,
            retry_of: None,
            concurrency_key: Arc::default(),
            attempt: 0,
            failures: 0,
            interruptions: 0,
            max_interruptions: MAX_INTERRUPTIONS,
            created_at,
            due_at: created_at,
            started_at: None,
            ended_at: None,
            consumer: None,
            execution: None,
            waiting: None,
            progress: None,
            result: None,
            error: None,
            cancel_requested: false,
        }
    }

    /// The record of a run that was just enqueued.
    pub fn enqueued(new: &NewRun, created_at: Timestamp, due_at: Timestamp) -> Self {
        let (task, queue) = (new.task.clone(), new.queue.clone());
        Self {
            priority: new.priority,
            state: if due_at > created_at {
                RunState::Scheduled
            } else {
                RunState::Queued
            },
            trigger: new.trigger,
            parent: new.parent,
            root: new.root,
            retry_of: new.retry_of,
            concurrency_key: new.concurrency_key.clone(),
            max_interruptions: new.max_interruptions,
            due_at,
            ..Self::new(new.id, task, queue, new.params.clone(), created_at)
        }
    }
}

/// How one attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttemptOutcome {
    /// It goes on.
    Running,
    /// It gave a result.
    Success,
    /// It failed.
    Failure,
    /// It was cancelled or asked to abort.
    Aborted,
    /// Its consumer vanished.
    Interrupted,
    /// Its consumer stopped and gave the run back.
    Released,
}

impl AttemptOutcome {
    /// Every outcome.
    pub const ALL: [Self; 6] = [
        Self::Running,
        Self::Success,
        Self::Failure,
        Self::Aborted,
        Self::Interrupted,
        Self::Released,
    ];

    /// The word used in files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
            Self::Released => "released",
        }
    }
}

/// One execution of a run, as kept in its history.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[non_exhaustive]
pub struct Attempt {
    /// From 1.
    pub number: u32,
    /// Who carried it out.
    pub consumer: ConsumerId,
    /// Where it ran, in the executor's words.
    pub execution: Option<String>,
    /// When it was claimed.
    pub started_at: Timestamp,
    /// When it ended, for a lost attempt when that was noticed.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// Why it failed.
    pub error: Option<RunError>,
}

impl Attempt {
    /// An attempt that this consumer claimed at this instant.
    pub fn running(number: u32, consumer: ConsumerId, started_at: Timestamp) -> Self {
        Self {
            number,
            consumer,
            execution: None,
            started_at,
            ended_at: None,
            outcome: AttemptOutcome::Running,
            error: None,
        }
    }
}

/// Which of a process's streams a line came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// What fluid itself has to say about the attempt.
    System,
}

impl LogStream {
    /// The word used in files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::System => "system",
        }
    }
}

/// One line of a run's output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogLine {
    /// When fluid read it.
    pub at: Timestamp,
    /// Where it came from.
    pub stream: LogStream,
    /// The text without its line end; what was no UTF-8 is replaced by U+FFFD.
    pub text: String,
}
