//! Claims runs and carries them out.

mod active;
mod drain;
mod finishing;
mod presence;
mod renewal;
mod stored;
mod sweep;
mod work;

use std::sync::Arc;
use std::time::Duration;

use fluid_core::{
    BrokerResult, ConsumerId, ConsumerInfo, ConsumerTask, DEFAULT_LEASE, QueueName, Task,
    TaskLimits,
};
use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::executors::Executors;
use crate::manager::TaskManager;
use crate::reporter;

/// How many pieces of news from attempts may wait to be stored before whoever prints has to wait.
const NEWS: usize = 4096;

/// How a consumer works.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConsumerConfig {
    /// Who it is; fresh for each process by default.
    pub id: ConsumerId,
    /// The queues it claims from; `default` by default.
    pub queues: Vec<QueueName>,
    /// How many runs it executes at once; 10 by default.
    pub max_concurrent_tasks: usize,
    /// How long a lease lasts; 30 s by default. Leases are renewed three times as often.
    pub lease: Duration,
    /// How long an execution may take to stop when asked; 5 s by default.
    pub grace: Duration,
    /// How long a consumer that stops waits for its runs before it gives them back; 20 s by default.
    pub drain_timeout: Duration,
    /// How often it looks for runs although nothing said there are any; 5 s by default.
    pub poll: Duration,
    /// Where this process serves HTTP, to be told to others; nowhere by default.
    pub http: Option<String>,
}

impl Default for ConsumerConfig {
    fn default() -> Self {
        Self {
            id: ConsumerId::generate(&host()),
            queues: vec![QueueName::default()],
            max_concurrent_tasks: 10,
            lease: DEFAULT_LEASE,
            grace: Duration::from_secs(5),
            drain_timeout: Duration::from_secs(20),
            poll: Duration::from_secs(5),
            http: None,
        }
    }
}

/// The name of this host, for people.
pub(crate) fn host() -> String {
    let read = |path| {
        std::fs::read_to_string(path)
            .ok()
            .map(|name| name.trim().to_owned())
    };
    std::env::var("HOSTNAME")
        .ok()
        .or_else(|| read("/etc/hostname"))
        .unwrap_or_default()
}

/// Claims runs and carries them out, `max_concurrent_tasks` at once.
///
/// It asks for runs when an event says that there are some, when the broker said that some will be due, and
/// otherwise every [`poll`](ConsumerConfig::poll). Results are written in batches while it claims and executes others.
/// While the broker can't be reached it waits, keeps what it has to write, and goes on.
#[derive(Debug)]
pub struct TaskConsumer {
    manager: TaskManager,
    executors: Executors,
    config: ConsumerConfig,
    limits: Arc<[TaskLimits]>,
    queues: Arc<[QueueName]>,
    force: CancellationToken,
    started_at: Timestamp,
}

impl TaskConsumer {
    /// A consumer of the manager's tasks. It leaves alone the tasks for which it has no executor.
    pub fn new(manager: TaskManager, executors: Executors, config: ConsumerConfig) -> Self {
        let limits = manager
            .tasks()
            .filter_map(|task| limits_of(task, &executors))
            .collect();
        let queues = config.queues.clone().into();
        Self {
            manager,
            executors,
            config,
            limits,
            queues,
            force: CancellationToken::new(),
            started_at: Timestamp::now(),
        }
    }

    /// Who it is.
    pub fn id(&self) -> &ConsumerId {
        &self.config.id
    }

    /// Cancel this token to cut short the draining of a consumer that was told to stop: its runs are given back
    /// at once.
    pub fn force(&self) -> CancellationToken {
        self.force.clone()
    }

    /// Works until `stop` is cancelled; then it claims no more, waits for its runs at most
    /// [`drain_timeout`](ConsumerConfig::drain_timeout), gives back what is left, and returns.
    ///
    /// Not cancellation safe: when the future is dropped its executions end, and other consumers take the runs
    /// when the leases run out.
    ///
    /// # Errors
    /// Only what waiting can't mend: a damaged broker, one of a newer version, or one that is closed.
    pub async fn run(&self, stop: CancellationToken) -> BrokerResult<()> {
        let (news, received) = mpsc::channel(NEWS);
        let active = active::ActiveRuns::default();
        let last = reporter::LastReports::default();
        let draining = stop.clone();
        let over = CancellationToken::new();
        let work = async {
            let result = self.work(&stop, &active, &last, news).await;
            over.cancel();
            result
        };
        let (result, (), (), (), ()) = tokio::join!(
            work,
            reporter::report(&**self.manager.broker(), received, &last),
            self.renew(&active, &over),
            self.be_present(&active, &draining, &over),
            self.sweep(&over),
        );
        result
    }

    fn info(&self, running: usize, draining: bool) -> ConsumerInfo {
        let tasks = self
            .manager
            .tasks()
            .filter(|task| self.executors.of(task).is_ok());
        ConsumerInfo {
            id: self.config.id.clone(),
            queues: self.config.queues.clone(),
            tasks: tasks
                .map(|task| consumer_task(task, &self.executors))
                .collect(),
            max_concurrent_tasks: self.config.max_concurrent_tasks,
            running,
            draining,
            host: host(),
            pid: std::process::id(),
            http: self.config.http.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: self.started_at,
            seen_at: self.started_at,
        }
    }
}

fn limits_of(task: &Arc<Task>, executors: &Executors) -> Option<TaskLimits> {
    match executors.of(task) {
        Ok(executor) => {
            let mut limits = TaskLimits::none(task.name.clone());
            limits.max_concurrency = task.max_concurrency;
            limits.rate_limit = task.rate_limit;
            limits.survives_consumer = executor.survives_consumer();
            Some(limits)
        }
        Err(kind) => {
            tracing::warn!(task = %task.name, executor = %kind, "this consumer has no such executor and leaves the task alone");
            None
        }
    }
}

fn consumer_task(task: &Task, executors: &Executors) -> ConsumerTask {
    ConsumerTask {
        name: task.name.clone(),
        executor: task.executor_with(executors.heavy()),
        max_concurrency: task.max_concurrency,
        schedule: task.schedule.as_ref().map(ToString::to_string),
    }
}
