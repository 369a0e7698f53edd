//! The runtime of fluid: `TaskManager`, `TaskConsumer`, `TaskScheduler` and the in-memory broker.
//!
//! A [`TaskManager`] knows the application's tasks and its broker: it takes requests for runs and answers
//! questions about them. A [`TaskConsumer`] claims runs and carries them out with its [`Executors`]. A
//! [`TaskScheduler`] fires the ticks of schedules. Any number of each work on one broker, in one process or
//! many. The `MemoryBroker` keeps everything in memory, for tests and for work that need not outlive the
//! process.

mod attempt;
mod backoff;
mod bulk;
mod consumer;
mod details;
mod execute;
mod executors;
mod manager;
mod memory;
mod meters;
mod outage;
mod output;
mod reporter;
mod scheduler;
mod vitals;
mod why;

pub use bulk::{CancelledMany, Matching};
pub use consumer::{ConsumerConfig, TaskConsumer};
pub use details::RunDetails;
pub use executors::Executors;
pub use manager::{ManagerError, QueueError, TaskManager, TaskManagerBuilder, WaitError};
pub use memory::MemoryBroker;
pub use meters::{MeasuredBroker, describe as describe_metrics};
pub use scheduler::{TaskScheduler, missed_ticks};
pub use vitals::{Part, Vital};
