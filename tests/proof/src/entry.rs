//! One line of the ledger: what a process knows to have happened.

use std::sync::Arc;

use fluid_core::{ConsumerId, QueueName, RunId, RunState, TaskName};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that happened, who saw it, and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// The process that noted it.
    pub by: Arc<str>,
    /// When, in microseconds on one clock for all processes, which no skew touches.
    pub at: u64,
    /// What.
    #[serde(flatten)]
    pub what: What,
}

/// What an attempt wanted to be written of its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// It gave a result.
    Success,
    /// It failed and wants another attempt.
    Retry,
    /// It failed for good.
    Failure,
    /// It was aborted.
    Aborted,
    /// Its consumer gives the run back.
    Released,
}

/// What can happen.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum What {
    /// A consumer began to work, with a clock that is off by so many microseconds.
    Began {
        /// Who it is.
        consumer: ConsumerId,
        /// How far its clock is ahead.
        ahead: i64,
    },
    /// A task's function was entered.
    Entered {
        /// Its run.
        run: RunId,
        /// Its attempt.
        attempt: u32,
    },
    /// A task's function is about to return its result.
    Done {
        /// Its run.
        run: RunId,
        /// Its attempt.
        attempt: u32,
    },
    /// A request for a run was acknowledged: this is the run that stands for it.
    Enqueued {
        /// The run.
        run: RunId,
        /// Its task.
        task: TaskName,
        /// Whether it was inserted by this very call.
        inserted: bool,
        /// The unique key of the request.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Arc<str>>,
    },
    /// A claim brought an attempt.
    Claimed {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// The run's task.
        task: TaskName,
        /// Its lane within the task.
        lane: Arc<str>,
        /// Who claimed it.
        consumer: ConsumerId,
        /// When that was asked for.
        asked: u64,
    },
    /// A lease was extended.
    Held {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// When that was asked for.
        asked: u64,
    },
    /// A lease that was to be extended is gone.
    LeaseLost {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
    },
    /// An attempt's end is about to be written.
    Ending {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// What is to be written.
        tried: Tried,
    },
    /// An attempt's end was written.
    Ended {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// What was to be written.
        tried: Tried,
        /// The state of the run after it.
        state: RunState,
        /// When that was asked for.
        asked: u64,
    },
    /// An attempt's end was refused, because its lease was lost.
    Refused {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
        /// What was to be written.
        tried: Tried,
    },
    /// Nobody knows whether an attempt's end was written: the call failed.
    Unanswered {
        /// The run.
        run: RunId,
        /// The attempt.
        attempt: u32,
    },
    /// A tick fired a run.
    Fired {
        /// The task whose schedule ticked.
        task: TaskName,
        /// The tick.
        instant: Timestamp,
        /// The run.
        run: RunId,
    },
    /// A waiting run was cancelled for good.
    Cancelled {
        /// The run.
        run: RunId,
    },
    /// A call of the broker failed.
    Failed {
        /// Which.
        call: Arc<str>,
        /// The error's text.
        error: String,
    },
    /// A process was stopped where it was, and went on now.
    Paused {
        /// Which.
        process: Arc<str>,
        /// From when on it was stopped.
        from: u64,
    },
    /// A queue was paused, or a task disabled, and no longer is from now on.
    Off {
        /// The queue.
        queue: Option<QueueName>,
        /// The task.
        task: Option<TaskName>,
        /// From when on it was.
        from: u64,
    },
    /// Something that only makes a trace complete.
    Trace {
        /// What happened.
        text: String,
    },
}
