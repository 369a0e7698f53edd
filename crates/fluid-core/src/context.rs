//! What a running task function sees of the world.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::error::{ErrorKind, RunError, TaskError};
use crate::executor::AttemptIo;
use crate::id::{QueueName, RunId, TaskName};
use crate::json::JsonText;
use crate::priority::Priority;
use crate::run::{Due, Progress, TaskRun};
use crate::task::TaskDefinition;

/// Values shared by all tasks of an application, found by their type.
#[derive(Clone, Default)]
pub struct SharedState {
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl SharedState {
    /// Adds a value; a second one of the same type replaces the first.
    pub fn insert<T: Send + Sync + 'static>(&mut self, value: T) {
        self.values.insert(TypeId::of::<T>(), Arc::new(value));
    }

    /// The value of this type.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.values.get(&TypeId::of::<T>())?.clone().downcast().ok()
    }
}

impl fmt::Debug for SharedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedState({} values)", self.values.len())
    }
}

/// A request for a run; what is `None` comes from the task's declaration.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct QueueRequest {
    /// The task to run.
    pub task: TaskName,
    /// Its parameters, checked when the request is taken.
    pub params: JsonText,
    /// The queue to wait in.
    pub queue: Option<QueueName>,
    /// The urgency within the queue.
    pub priority: Option<Priority>,
    /// When the run is due.
    pub due: Due,
    /// Makes it the same as an earlier request with this key.
    pub unique_key: Option<String>,
    /// The run that asks.
    pub parent: Option<RunId>,
    /// The first of the chain of parents.
    pub root: Option<RunId>,
}

impl QueueRequest {
    /// A request with everything left to the task's declaration.
    pub fn new(task: TaskName, params: JsonText) -> Self {
        Self {
            task,
            params,
            queue: None,
            priority: None,
            due: Due::Now,
            unique_key: None,
            parent: None,
            root: None,
        }
    }

    /// A request for a task that the compiler knows.
    ///
    /// # Errors
    /// When the parameters have no JSON form.
    pub fn of<D: TaskDefinition>(task: &D, params: &D::Params) -> Result<Self, serde_json::Error> {
        let json = JsonText::of(params)?;
        let json = if json.as_str() == "null" {
            JsonText::empty_object()
        } else {
            json
        };
        Ok(Self::new(task.name(), json))
    }

    /// The same request with another urgency.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// The same request due at another time.
    #[must_use]
    pub fn due(mut self, due: Due) -> Self {
        self.due = due;
        self
    }

    /// The same request in another queue.
    #[must_use]
    pub fn queue(mut self, queue: QueueName) -> Self {
        self.queue = Some(queue);
        self
    }

    /// The same request, made one with an earlier request of the same key.
    #[must_use]
    pub fn unique_key(mut self, key: impl Into<String>) -> Self {
        self.unique_key = Some(key.into());
        self
    }
}

/// What a context asks of whoever runs the task.
#[async_trait]
pub trait ChildQueue: Send + Sync {
    /// Enqueues a run.
    async fn queue(&self, request: QueueRequest) -> Result<RunId, TaskError>;
}

/// A context whose parameters are not read yet; what executors pass around.
#[derive(Clone)]
pub struct RawContext {
    run: Arc<TaskRun>,
    io: AttemptIo,
    cancelled: CancellationToken,
    state: Arc<SharedState>,
    children: Arc<dyn ChildQueue>,
}

impl RawContext {
    /// A context for one attempt.
    pub fn new(
        run: Arc<TaskRun>,
        io: AttemptIo,
        cancelled: CancellationToken,
        state: Arc<SharedState>,
        children: Arc<dyn ChildQueue>,
    ) -> Self {
        Self {
            run,
            io,
            cancelled,
            state,
            children,
        }
    }

    /// The run's record at the time the attempt was claimed.
    pub fn run(&self) -> &Arc<TaskRun> {
        &self.run
    }

    /// Where output, progress and the place of execution go.
    pub fn io(&self) -> &AttemptIo {
        &self.io
    }

    /// Cancelled when the attempt should stop.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.cancelled
    }
}

impl fmt::Debug for RawContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawContext")
            .field("run", &self.run.id)
            .finish_non_exhaustive()
    }
}

/// What a task function is called with.
pub struct TaskContext<P = ()> {
    /// The run's parameters.
    pub params: P,
    raw: RawContext,
}

impl<P: DeserializeOwned> TaskContext<P> {
    /// Reads the parameters as a `P`.
    pub(crate) fn typed(raw: RawContext) -> Result<Self, RunError> {
        let json = raw.run.params.expose();
        // `()` is `null` to serde, and no parameters are `{}` to us. Only a type of no size can be one.
        let may_be_unit = size_of::<P>() == 0 && json.as_str() == "{}";
        let unit = may_be_unit
            .then(|| serde_json::from_str("null").ok())
            .flatten();
        let params = unit.map_or_else(|| json.to(), Ok).map_err(|error| {
            // The parser's message may quote a value, and that value may be a secret.
            let place = format!("line {} column {}", error.line(), error.column());
            RunError::new(
                ErrorKind::Parameters,
                format!("the stored parameters don't fit this version of the task ({place})"),
            )
        })?;
        Ok(Self { params, raw })
    }
}

impl<P> TaskContext<P> {
    /// The run's record at the time the attempt was claimed.
    pub fn run(&self) -> &TaskRun {
        &self.raw.run
    }

    /// Cancelled when the run is cancelled, its time is up or its lease was lost. A function that never looks
    /// is dropped at its next `.await` after the grace.
    pub fn cancelled(&self) -> &CancellationToken {
        &self.raw.cancelled
    }

    /// Says how far the run is: a fraction from 0 to 1 and what is being done. Only a hint: when many come at
    /// once the later ones win.
    pub fn progress(&self, fraction: f64, message: impl Into<String>) {
        self.raw.io.progress(Progress::new(fraction, message));
    }

    /// The shared value of this type.
    ///
    /// # Errors
    /// A fatal error when the application shares none.
    pub fn state<T: Send + Sync + 'static>(&self) -> Result<Arc<T>, TaskError> {
        self.raw.state.get().ok_or_else(|| {
            TaskError::fatal(format!(
                "no shared state of type {}: add it with `state(...)`",
                type_name::<T>()
            ))
        })
    }

    /// Enqueues a child run: its parent is this run, its root this run's root.
    ///
    /// # Errors
    /// When the parameters don't fit the task or the broker can't take the run.
    pub async fn queue<D: TaskDefinition>(
        &self,
        task: &D,
        params: D::Params,
    ) -> Result<RunId, TaskError> {
        self.queue_request(QueueRequest::of(task, &params)?).await
    }

    /// Enqueues a child run of a task that only its name is known of.
    ///
    /// # Errors
    /// When there is no such task, the parameters don't fit it, or the broker can't take the run.
    pub async fn queue_named<T: Serialize + Sync>(
        &self,
        task: &str,
        params: &T,
    ) -> Result<RunId, TaskError> {
        self.queue_request(QueueRequest::new(
            TaskName::parse(task)?,
            JsonText::of(params)?,
        ))
        .await
    }

    /// Enqueues a child run by a full request.
    ///
    /// # Errors
    /// When there is no such task, the parameters don't fit it, or the broker can't take the run.
    pub async fn queue_request(&self, mut request: QueueRequest) -> Result<RunId, TaskError> {
        request.parent = Some(self.run().id);
        request.root = Some(self.run().root.unwrap_or(self.run().id));
        self.raw.children.queue(request).await
    }
}

impl<P> fmt::Debug for TaskContext<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.raw.fmt(f)
    }
}
