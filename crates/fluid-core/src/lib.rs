//! Tasks, runs, schedules and the two seams of fluid: [`Broker`] and [`Executor`].
//!
//! A [`Task`] is declared once, by the [`task`](macro@task) attribute or from a command. Each request to
//! execute it is a run, kept by a [`Broker`] as a [`TaskRun`] and carried out by an [`Executor`], attempt by
//! attempt. This crate holds the words and rules that all the others share, and no I/O.
//!
//! ```
//! use fluid_core::{RawContext, TaskContext, TaskDefinition, TaskError, task};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Resize {
//!     path: String,
//!     width: u32,
//! }
//!
//! /// Makes a picture smaller.
//! #[task(cpu_bound, timeout = "5m", retry(attempts = 3, delay = "2s"), tags("images"))]
//! async fn resize(ctx: TaskContext<Resize>) -> Result<u64, TaskError> {
//!     ctx.progress(0.5, "halfway");
//!     Ok(u64::from(ctx.params.width))
//! }
//!
//! let task = resize.task();
//! assert_eq!(task.description, "Makes a picture smaller.");
//! assert!(task.cpu_bound);
//! ```

#[doc(hidden)]
pub mod __private;
mod broker;
pub mod child;
mod clock;
mod context;
pub mod doubts;
pub mod duration;
mod error;
mod executor;
mod id;
mod json;
mod k8s;
mod params;
mod policy;
mod priority;
pub mod relay;
mod run;
mod schedule;
mod state;
mod tail;
mod task;

pub use broker::{
    Broker, BrokerError, BrokerResult, Cancelled, ClaimRequest, Claimed, ConsumerInfo,
    ConsumerTask, DEFAULT_LEASE, Enqueued, Event, ExportedRun, Finish, Finished, HeldKey,
    LeaseStatus, LogBatch, LogCap, Page, Report, RunFilter, Settings, Stats, StoredLine,
    TaskLimits, Tick, Ticked,
};
pub use clock::{Clock, SystemClock};
pub use context::{ChildQueue, QueueRequest, RawContext, SharedState, TaskContext};
pub use error::{ErrorKind, RetryHint, RunError, TaskError};
pub use executor::{
    AttemptEvent, AttemptIo, AttemptNews, Execution, Executor, LeaseRef, Outcome, StoredOutput,
};
#[doc(inline)]
pub use fluid_macros::task;
pub use id::{ConsumerId, LeaseToken, MAX_NAME, NameError, QueueName, RunId, RunIdError, TaskName};
pub use json::JsonText;
pub use k8s::{K8S_ENV_PREFIX, K8sConfig, K8sConfigError, K8sTarget};
pub use params::{Params, ParamsError, ParamsSchema, REDACTED, Redactor, Secret};
pub use policy::{AfterFailure, RateExceeded, RateLimit, RetryPolicy};
pub use priority::{Priority, PriorityError};
pub use run::{
    Attempt, AttemptOutcome, Due, LogLine, LogStream, NewRun, Progress, TaskRun, Trigger, Unique,
};
pub use schedule::{Cron, Every, MissedTicks, Schedule, ScheduleError};
pub use state::{RunState, RunStateError, Transition};
pub use tail::Tail;
pub use task::{
    Command, DEFAULT_TIMEOUT, ExecutorKind, Task, TaskBody, TaskDefinition, TaskFn, UniquePolicy,
};
