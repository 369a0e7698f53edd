//! The application's tasks, its broker, and what one can ask of them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{
    Broker, BrokerError, Cancelled, ChildQueue, Due, Enqueued, Event, JsonText, NewRun, Params,
    ParamsError, QueueRequest, RunId, SharedState, Task, TaskDefinition, TaskError, TaskName,
    TaskRun, Trigger, Unique,
};
use serde_json::Value;
use tokio::sync::broadcast;
use tokio::time::Instant;

use crate::meters::{self, MeasuredBroker};
use crate::outage::Outage;
use crate::vitals::Vitals;

/// How often a wait looks at a run although no event said that it changed.
const WAIT_POLL: Duration = Duration::from_secs(1);

/// Tasks that can't be managed together.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManagerError {
    /// No broker was given.
    #[error("a task manager needs a broker")]
    NoBroker,
    /// Two tasks have one name.
    #[error("two tasks are named {0:?}: give one of them another name")]
    DuplicateTask(TaskName),
    /// Scheduled runs of a task could not be enqueued.
    #[error("the scheduled runs of task {task:?} have parameters it does not take")]
    ScheduleParams {
        /// The task.
        task: TaskName,
        /// What is wrong with them.
        #[source]
        source: ParamsError,
    },
}

/// Why a request for a run was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// There is no such task.
    #[error("there is no task {task:?}{}", nearest(.known))]
    UnknownTask {
        /// The name asked for.
        task: String,
        /// Names of tasks that there are and that look like it.
        known: Vec<TaskName>,
    },
    /// The parameters don't fit.
    #[error("task {task:?}: {source}")]
    Params {
        /// The task.
        task: TaskName,
        /// What is wrong with them.
        source: ParamsError,
    },
    /// The parameters have no JSON form.
    #[error("the parameters of task {task:?} have no JSON form: {source}")]
    NotJson {
        /// The task.
        task: TaskName,
        /// What is wrong with them.
        source: serde_json::Error,
    },
    /// The broker could not take it.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

fn nearest(known: &[TaskName]) -> String {
    if known.is_empty() {
        return String::new();
    }
    let names: Vec<_> = known.iter().map(TaskName::as_str).collect();
    format!("; did you mean {}?", names.join(" or "))
}

/// Why a wait ended without a finished run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WaitError {
    /// It did not finish in time; it goes on.
    #[error("run {run} is still {state} after {}", fluid_core::duration::format(*.waited))]
    TimedOut {
        /// The run.
        run: RunId,
        /// The state it was last seen in.
        state: fluid_core::RunState,
        /// How long was waited.
        waited: Duration,
    },
    /// There is no such run (any more).
    #[error("there is no run {0}")]
    NotFound(RunId),
    /// The broker can't answer.
    #[error(transparent)]
    Broker(#[from] BrokerError),
}

/// Collects what a [`TaskManager`] needs.
#[derive(Debug, Default)]
pub struct TaskManagerBuilder {
    broker: Option<Arc<dyn Broker>>,
    tasks: Vec<Task>,
    state: SharedState,
}

impl TaskManagerBuilder {
    /// Sets the broker.
    #[must_use]
    pub fn broker(mut self, broker: Arc<dyn Broker>) -> Self {
        self.broker = Some(broker);
        self
    }

    /// Registers a task.
    #[must_use]
    pub fn task(mut self, task: impl Into<Task>) -> Self {
        self.tasks.push(task.into());
        self
    }

    /// Registers tasks.
    #[must_use]
    pub fn tasks(mut self, tasks: impl IntoIterator<Item = Task>) -> Self {
        self.tasks.extend(tasks);
        self
    }

    /// Shares a value with all task functions, which find it by its type.
    #[must_use]
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.state.insert(value);
        self
    }

    /// Shares values that were collected before.
    #[must_use]
    pub fn shared_state(mut self, state: SharedState) -> Self {
        self.state = state;
        self
    }

    /// The manager.
    ///
    /// # Errors
    /// [`ManagerError`] when no broker was given, two tasks have one name, or a schedule's parameters don't
    /// fit its task.
    pub fn build(self) -> Result<TaskManager, ManagerError> {
        let broker = self.broker.ok_or(ManagerError::NoBroker)?;
        let mut tasks = BTreeMap::new();
        for task in self.tasks {
            if task.schedule.is_some() {
                task.params
                    .check(task.schedule_params.clone())
                    .map_err(|source| ManagerError::ScheduleParams {
                        task: task.name.clone(),
                        source,
                    })?;
            }
            let name = task.name.clone();
            if tasks.insert(name.clone(), Arc::new(task)).is_some() {
                return Err(ManagerError::DuplicateTask(name));
            }
        }
        meters::describe();
        Ok(TaskManager(Arc::new(Inner {
            broker: Arc::new(MeasuredBroker::new(broker)),
            tasks,
            state: Arc::new(self.state),
            outage: Arc::default(),
            vitals: Arc::default(),
        })))
    }
}

/// The tasks of an application and the broker that keeps their runs. Cloning is cheap.
///
/// ```
/// use fluid_core::{RunState, Task, TaskContext, TaskError};
/// use fluid_scheduler::{MemoryBroker, TaskManager};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let hello = Task::function("hello", |_: TaskContext| async { Ok::<_, TaskError>("hi") })?;
/// let manager = TaskManager::builder().broker(Arc::new(MemoryBroker::new())).task(hello).build()?;
///
/// let run = manager.queue_named("hello", &serde_json::json!({})).await?.run();
/// let record = manager.broker().get(run).await?.ok_or("no such run")?;
/// assert_eq!(record.state, RunState::Queued);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TaskManager(Arc<Inner>);

struct Inner {
    broker: Arc<dyn Broker>,
    tasks: BTreeMap<TaskName, Arc<Task>>,
    state: Arc<SharedState>,
    outage: Arc<Outage>,
    vitals: Arc<Vitals>,
}

impl fmt::Debug for TaskManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.tasks.keys().collect();
        f.debug_struct("TaskManager")
            .field("broker", &self.0.broker)
            .field("tasks", &names)
            .finish()
    }
}

impl TaskManager {
    /// Begins to collect what a manager needs.
    pub fn builder() -> TaskManagerBuilder {
        TaskManagerBuilder::default()
    }

    /// The broker, whose calls are [measured](MeasuredBroker).
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.0.broker
    }

    pub(crate) fn loops(&self) -> &Arc<Vitals> {
        &self.0.vitals
    }

    /// The registered tasks, by name.
    pub fn tasks(&self) -> impl ExactSizeIterator<Item = &Arc<Task>> {
        self.0.tasks.values()
    }

    /// A registered task.
    pub fn task(&self, name: &TaskName) -> Option<&Arc<Task>> {
        self.0.tasks.get(name)
    }

    /// The values shared with task functions.
    pub fn state(&self) -> &Arc<SharedState> {
        &self.0.state
    }

    /// What those who work on the broker know of its failures.
    pub(crate) fn outage(&self) -> &Arc<Outage> {
        &self.0.outage
    }

    /// Events of the broker from now on. They are hints: any may be lost.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.broker.subscribe()
    }

    /// Enqueues a run of a task that the compiler knows.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn queue<D: TaskDefinition>(
        &self,
        task: &D,
        params: D::Params,
    ) -> Result<Enqueued, QueueError> {
        let request = QueueRequest::of(task, &params).map_err(|source| QueueError::NotJson {
            task: task.name(),
            source,
        })?;
        self.queue_request(request).await
    }

    /// Enqueues a run of a task that only its name is known of.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn queue_named<P: serde::Serialize + Sync + ?Sized>(
        &self,
        task: &str,
        params: &P,
    ) -> Result<Enqueued, QueueError> {
        let name = self.named(task)?;
        let params = JsonText::of(params).map_err(|source| QueueError::NotJson {
            task: name.clone(),
            source,
        })?;
        self.queue_request(QueueRequest::new(name, params)).await
    }

    /// Enqueues a run by a full request.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn queue_request(&self, request: QueueRequest) -> Result<Enqueued, QueueError> {
        let run = self.new_run(request)?;
        let id = run.id;
        let answers = self.0.broker.enqueue(vec![run]).await?;
        Ok(answers.into_iter().next().unwrap_or(Enqueued::Inserted(id)))
    }

    /// Enqueues many runs in one call of the broker: all of them or, on an error, none. The answers come in the
    /// order of the requests.
    ///
    /// # Errors
    /// [`QueueError`] of the first request that can't be taken.
    pub async fn queue_many(
        &self,
        requests: impl IntoIterator<Item = QueueRequest>,
    ) -> Result<Vec<Enqueued>, QueueError> {
        let runs = requests
            .into_iter()
            .map(|r| self.new_run(r))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(self.0.broker.enqueue(runs).await?)
    }

    /// Enqueues a run and waits until it is finished. Cancellation safe: when dropped, the run goes on.
    ///
    /// # Errors
    /// [`QueueError`] when it was not taken; otherwise see [`wait`](Self::wait).
    pub async fn queue_and_wait(
        &self,
        request: QueueRequest,
        limit: Option<Duration>,
    ) -> Result<Result<TaskRun, WaitError>, QueueError> {
        let events = self.0.broker.subscribe();
        let run = match self.queue_request(request).await? {
            // It can't be finished yet, and its end will be told: nothing is asked before.
            Enqueued::Inserted(run) => return Ok(self.wait_with(events, run, limit, false).await),
            Enqueued::Duplicate(run) => run,
        };
        Ok(self.wait_with(events, run, limit, true).await)
    }

    /// Waits until a run is finished, at most `limit`. Cancellation safe.
    ///
    /// # Errors
    /// [`WaitError::TimedOut`] when the limit passes first, [`WaitError::NotFound`], or the broker's error.
    pub async fn wait(&self, run: RunId, limit: Option<Duration>) -> Result<TaskRun, WaitError> {
        self.wait_with(self.0.broker.subscribe(), run, limit, true)
            .await
    }

    /// Waits with events that were subscribed to before; `look` first, or only after one of them.
    async fn wait_with(
        &self,
        mut events: broadcast::Receiver<Event>,
        run: RunId,
        limit: Option<Duration>,
        look: bool,
    ) -> Result<TaskRun, WaitError> {
        let begin = Instant::now();
        if !look {
            let pause = limit.unwrap_or(WAIT_POLL).min(WAIT_POLL);
            let _ = tokio::time::timeout(pause, next_news_of(&mut events, run)).await;
        }
        loop {
            let record = self
                .0
                .broker
                .get(run)
                .await?
                .ok_or(WaitError::NotFound(run))?;
            if record.state.is_terminal() {
                return Ok(record);
            }
            let pause = match limit.map(|limit| limit.saturating_sub(begin.elapsed())) {
                Some(Duration::ZERO) => {
                    let waited = begin.elapsed();
                    return Err(WaitError::TimedOut {
                        run,
                        state: record.state,
                        waited,
                    });
                }
                Some(left) => left.min(WAIT_POLL),
                None => WAIT_POLL,
            };
            // Out of time or events: either way the broker has the truth.
            let _ = tokio::time::timeout(pause, next_news_of(&mut events, run)).await;
        }
    }

    /// Cancels a run: one that waits is aborted at once, one that runs is asked to stop.
    ///
    /// # Errors
    /// The broker's.
    pub async fn cancel(&self, run: RunId) -> Result<Cancelled, BrokerError> {
        self.0.broker.cancel(run).await
    }

    fn named(&self, task: &str) -> Result<TaskName, QueueError> {
        let known = self
            .0
            .tasks
            .get_key_value(task)
            .map(|(name, _)| name.clone());
        known.ok_or_else(|| self.unknown(task))
    }

    fn unknown(&self, task: &str) -> QueueError {
        let prefix: String = task.chars().take(3).collect();
        let known = self
            .0
            .tasks
            .keys()
            .filter(|name| name.as_str().contains(&prefix))
            .cloned()
            .collect();
        QueueError::UnknownTask {
            task: task.to_owned(),
            known,
        }
    }

    /// Checks a request against its task and fills in what it leaves open.
    ///
    /// # Errors
    /// [`QueueError::UnknownTask`] or [`QueueError::Params`].
    pub fn new_run(&self, request: QueueRequest) -> Result<NewRun, QueueError> {
        let Some(task) = self.0.tasks.get(&request.task) else {
            return Err(self.unknown(request.task.as_str()));
        };
        let params = task
            .params
            .check(request.params)
            .map_err(|source| QueueError::Params {
                task: task.name.clone(),
                source,
            })?;
        let mut run = new_run_of(task, params, request.due);
        if let Some(queue) = request.queue {
            run.queue = queue;
        }
        if let Some(priority) = request.priority {
            run.priority = priority;
        }
        if let Some(key) = request.unique_key {
            let window = task.unique.as_ref().and_then(|policy| policy.window);
            run.unique = Some(Unique {
                key: key.into(),
                window,
            });
        }
        if request.parent.is_some() {
            run.trigger = Trigger::Parent;
        }
        run.parent = request.parent;
        run.root = request.root.or(request.parent);
        Ok(run)
    }
}

/// A new run of a task with checked parameters, by the task's own policy.
pub(crate) fn new_run_of(task: &Task, params: Params, due: Due) -> NewRun {
    let mut run = NewRun::new(task.name.clone(), params);
    run.queue = task.queue.clone();
    run.priority = task.priority;
    run.due = due;
    run.max_interruptions = task.retry.interruptions;
    if task.concurrency_key.is_some() || task.unique.is_some() {
        let mut values = run.params.expose().to_value();
        // Keys are the same in a build whose serde_json keeps the order of members.
        values.sort_all_objects();
        if let Some(name) = &task.concurrency_key {
            run.concurrency_key = values.get(name).map(as_key).unwrap_or_default().into();
        }
        if let Some(policy) = &task.unique {
            let compared = if policy.by.is_empty() {
                values
            } else {
                policy
                    .by
                    .iter()
                    .map(|name| values.get(name).cloned().unwrap_or_default())
                    .collect()
            };
            run.unique = Some(Unique {
                key: as_key(&compared).into(),
                window: policy.window,
            });
        }
    }
    run
}

fn as_key(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

async fn next_news_of(events: &mut broadcast::Receiver<Event>, wanted: RunId) {
    loop {
        match events.recv().await {
            Ok(Event::Finished { run, .. }) if run == wanted => return,
            Ok(Event::Changed) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(_) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

#[async_trait]
impl ChildQueue for TaskManager {
    async fn queue(&self, request: QueueRequest) -> Result<RunId, TaskError> {
        match self.queue_request(request).await {
            Ok(enqueued) => Ok(enqueued.run()),
            Err(QueueError::Broker(error)) => Err(error.into()),
            Err(error) => Err(TaskError::fatal(error.to_string())),
        }
    }
}
