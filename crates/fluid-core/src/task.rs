//! A declared unit of work and its policy.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::context::{RawContext, TaskContext};
use crate::duration;
use crate::error::{ErrorKind, RunError, TaskError};
use crate::id::{NameError, QueueName, TaskName};
use crate::json::JsonText;
use crate::k8s::K8sConfig;
use crate::params::ParamsSchema;
use crate::policy::{RateLimit, RetryPolicy};
use crate::priority::Priority;
use crate::schedule::{MissedTicks, Schedule, ScheduleError};

/// How long an attempt may take unless its task says otherwise.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// How an attempt is carried out.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum ExecutorKind {
    /// A future on the consumer's runtime.
    Inline,
    /// A child process on the same machine.
    Subprocess,
    /// A Kubernetes Job.
    K8s,
}

impl ExecutorKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Inline, Self::Subprocess, Self::K8s];

    /// The word used in commands, files and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Subprocess => "subprocess",
            Self::K8s => "k8s",
        }
    }
}

impl fmt::Display for ExecutorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ExecutorKind {
    type Err = String;
    fn from_str(word: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == word)
            .ok_or_else(|| format!("{word:?} is no executor: use inline, subprocess or k8s"))
    }
}

/// The function behind a task: it reads its parameters from the context and writes its result as JSON.
pub type TaskFn =
    Arc<dyn Fn(RawContext) -> BoxFuture<'static, Result<JsonText, RunError>> + Send + Sync>;

/// What a task does.
#[derive(Clone)]
pub enum TaskBody {
    /// Calls a function of this binary.
    Function(TaskFn),
    /// Starts a program. It reads its parameters as JSON on standard input.
    Command(Command),
}

impl fmt::Debug for TaskBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Function(_) => f.write_str("Function"),
            Self::Command(command) => command.fmt(f),
        }
    }
}

/// A program that a task starts.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Command {
    /// The program and its arguments; never parameters, which any user of the machine could read there.
    pub argv: Vec<String>,
    /// The directory it starts in; the consumer's own when `None`.
    pub directory: Option<PathBuf>,
}

impl Command {
    /// A program and its arguments.
    pub fn new<S: Into<String>>(argv: impl IntoIterator<Item = S>) -> Self {
        Self {
            argv: argv.into_iter().map(Into::into).collect(),
            directory: None,
        }
    }

    /// The same program started in another directory.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.directory = Some(directory.into());
        self
    }
}

/// When two requests for a task are the same run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct UniquePolicy {
    /// The parameters that are compared; all of them when empty.
    pub by: Vec<String>,
    /// For how long after a run was enqueued another request is its duplicate even though it finished.
    #[serde(with = "duration::optional")]
    pub window: Option<Duration>,
}

/// A named, declared unit of work: what it does and the policy it runs under.
///
/// Built by the [`task`](macro@crate::task) attribute, or from a function or command:
///
/// ```
/// use fluid_core::{Command, RetryPolicy, Task, TaskContext, TaskError};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let greet = Task::function("greet", |ctx: TaskContext<()>| async move {
///     Ok::<_, TaskError>(format!("hello from attempt {}", ctx.run().attempt))
/// })?
/// .retry(RetryPolicy::attempts(3))
/// .timeout(Duration::from_secs(5));
///
/// let archive = Task::command("archive", Command::new(["tar", "czf", "out.tgz", "in"]))?
///     .cpu_bound(true);
/// assert_eq!(greet.name.as_str(), "greet");
/// assert!(archive.cpu_bound);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Task {
    /// Unique in the application.
    pub name: TaskName,
    /// What it does, for people.
    pub description: String,
    /// Words to find it by.
    pub tags: BTreeSet<String>,
    /// The queue its runs wait in unless the request names another.
    pub queue: QueueName,
    /// The priority of its runs unless the request names another.
    pub priority: Priority,
    /// Must run outside the consumer.
    pub cpu_bound: bool,
    /// The executor, named outright.
    pub executor: Option<ExecutorKind>,
    /// The schema of its parameters.
    pub params: ParamsSchema,
    /// When it runs by itself.
    pub schedule: Option<Schedule>,
    /// The parameters of scheduled runs; `{}` by default.
    pub schedule_params: JsonText,
    /// What to do about ticks that no scheduler saw.
    pub missed: MissedTicks,
    /// How many of its runs may be running at once, across all consumers; 0 means no limit.
    pub max_concurrency: u32,
    /// The parameter whose values `max_concurrency` counts apart.
    pub concurrency_key: Option<String>,
    /// How often its runs may start, across all consumers.
    pub rate_limit: Option<RateLimit>,
    /// How long an attempt may take; `None` means no limit.
    pub timeout: Option<Duration>,
    /// When a failed attempt is followed by another.
    pub retry: RetryPolicy,
    /// When two requests are the same run.
    pub unique: Option<UniquePolicy>,
    /// More environment variables for a child process or Job.
    pub env: BTreeMap<String, String>,
    /// How it runs as a Kubernetes Job.
    pub k8s_config: Option<K8sConfig>,
    /// What it does.
    pub body: TaskBody,
    /// Why the schedule that the [`task`](macro@crate::task) attribute declares can't be kept here: a time zone
    /// that this machine doesn't know. Whoever registers tasks refuses one with a fault.
    pub fault: Option<ScheduleError>,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty = $value:expr;)*) => {
        $($(#[$doc])* #[must_use] pub fn $field(mut self, $field: $type) -> Self {
            self.$field = $value;
            self
        })*
    };
}

impl Task {
    /// A task that calls an async function with typed parameters.
    ///
    /// # Errors
    /// When `name` is no [`TaskName`].
    pub fn function<P, T, F, Fut>(name: &str, function: F) -> Result<Self, NameError>
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize,
        F: Fn(TaskContext<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
    {
        Ok(Self::of_function(TaskName::parse(name)?, function))
    }

    pub(crate) fn of_function<P, T, F, Fut>(name: TaskName, function: F) -> Self
    where
        P: DeserializeOwned + JsonSchema + Send + 'static,
        T: Serialize,
        F: Fn(TaskContext<P>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<T, TaskError>> + Send + 'static,
    {
        let body = TaskBody::Function(Arc::new(move |raw: RawContext| {
            let future = match TaskContext::typed(raw) {
                Ok(context) => function(context),
                Err(error) => return Box::pin(std::future::ready(Err(error))),
            };
            Box::pin(async move {
                let result = future.await?;
                JsonText::of(&result).map_err(|error| {
                    RunError::new(
                        ErrorKind::Error,
                        format!("the result has no JSON form: {error}"),
                    )
                })
            })
        }));
        Self::new(name, ParamsSchema::of::<P>(), body)
    }

    /// A task that starts a program. Any JSON object will do for its parameters until
    /// [`params`](Self::params) says otherwise.
    ///
    /// # Errors
    /// When `name` is no [`TaskName`].
    pub fn command(name: &str, command: Command) -> Result<Self, NameError> {
        Ok(Self::new(
            TaskName::parse(name)?,
            ParamsSchema::any(),
            TaskBody::Command(command),
        ))
    }

    fn new(name: TaskName, params: ParamsSchema, body: TaskBody) -> Self {
        Self {
            name,
            description: String::new(),
            tags: BTreeSet::new(),
            queue: QueueName::default(),
            priority: Priority::default(),
            cpu_bound: false,
            executor: None,
            params,
            schedule: None,
            schedule_params: JsonText::empty_object(),
            missed: MissedTicks::default(),
            max_concurrency: 0,
            concurrency_key: None,
            rate_limit: None,
            timeout: Some(DEFAULT_TIMEOUT),
            retry: RetryPolicy::default(),
            unique: None,
            env: BTreeMap::new(),
            k8s_config: None,
            body,
            fault: None,
        }
    }

    setters! {
        /// Says what the task does.
        description: impl Into<String> = description.into();
        /// Sets the queue its runs wait in.
        queue: QueueName = queue;
        /// Sets the priority of its runs.
        priority: Priority = priority;
        /// Keeps it out of the consumer's own process.
        cpu_bound: bool = cpu_bound;
        /// Names the executor outright.
        executor: ExecutorKind = Some(executor);
        /// Sets the schema of its parameters.
        params: ParamsSchema = params;
        /// Makes it run by itself.
        schedule: Schedule = Some(schedule);
        /// Sets the parameters of scheduled runs.
        schedule_params: JsonText = schedule_params;
        /// Says what to do about ticks that no scheduler saw.
        missed: MissedTicks = missed;
        /// Limits how many of its runs may be running at once; 0 means no limit.
        max_concurrency: u32 = max_concurrency;
        /// Counts `max_concurrency` apart for each value of this parameter.
        concurrency_key: impl Into<String> = Some(concurrency_key.into());
        /// Limits how often its runs may start.
        rate_limit: RateLimit = Some(rate_limit);
        /// Limits how long an attempt may take.
        timeout: Duration = Some(timeout);
        /// Sets what follows a failed attempt.
        retry: RetryPolicy = retry;
        /// Says when two requests are the same run.
        unique: UniquePolicy = Some(unique);
        /// Sets how it runs as a Kubernetes Job.
        k8s_config: K8sConfig = Some(k8s_config);
    }

    /// Adds a word to find it by.
    #[must_use]
    pub fn tag(mut self, tag: impl Into<String>) -> Self {
        self.tags.insert(tag.into());
        self
    }

    /// Adds an environment variable for its child process or Job.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }

    /// Which executor carries it out, where `cpu_bound` tasks go to `heavy`.
    pub fn executor_with(&self, heavy: ExecutorKind) -> ExecutorKind {
        match (self.executor, &self.body) {
            (Some(kind), _) => kind,
            (None, _) if self.cpu_bound => heavy,
            (None, TaskBody::Command(_)) => ExecutorKind::Subprocess,
            (None, TaskBody::Function(_)) => ExecutorKind::Inline,
        }
    }
}

/// A task whose parameter and result types are known to the compiler; the
/// [`task`](macro@crate::task) attribute makes one.
pub trait TaskDefinition: Send + Sync {
    /// What the task is given.
    type Params: Serialize + DeserializeOwned + JsonSchema + Send + 'static;
    /// What it returns.
    type Output: Serialize + Send + 'static;

    /// The task's name.
    fn name(&self) -> TaskName;

    /// The declared task.
    fn task(&self) -> Task;
}
