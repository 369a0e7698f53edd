//! What one call of the command line works with: settings in their order of precedence, tasks, and the broker.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fluid_core::{Broker, ExecutorKind, SharedState, Task, TaskName, child};
use fluid_exec_local::{InlineExecutor, SubprocessExecutor};
use fluid_scheduler::{Executors, MemoryBroker, TaskManager};
use tokio::sync::OnceCell;

use crate::config::{HttpSettings, Settings, nearest};
use crate::detector::{self, BrokerChoice, BrokerUrl, ExecutorChoice, Origin};
use crate::failure::Failure;
use crate::output::Output;

/// Names the `fluid.toml` in use to child processes.
pub(crate) const CONFIG_VARIABLE: &str = "FLUID_CONFIG";
/// Names this binary to child processes.
pub(crate) const CLI_VARIABLE: &str = "FLUID_CLI";

/// The broker where nothing else names one.
pub(crate) const REDIS_VARIABLE: &str = "REDIS_DEFAULT_URL";

/// One call of the command line.
#[derive(Debug)]
pub(crate) struct Session {
    /// The application's name, as it is called.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) output: Output,
    /// What `fluid.toml` says, or nothing.
    pub(crate) settings: Settings,
    /// What it says of HTTP, or nothing.
    pub(crate) http: HttpSettings,
    /// `fluid.toml`, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The application has no tasks but those of the file.
    pub(crate) needs_file: bool,
    pub(crate) tasks: Vec<Task>,
    pub(crate) state: SharedState,
    /// `--broker` or its variable.
    pub(crate) broker_wanted: Option<(String, Origin)>,
    /// What [`REDIS_VARIABLE`] says.
    pub(crate) redis_default: Option<String>,
    /// `--executor` or its variable.
    pub(crate) executor_wanted: Option<(fluid_core::ExecutorKind, Origin)>,
    /// Where the address for HTTP comes from if one is named in this call.
    pub(crate) http_origin: Origin,
    pub(crate) manager: OnceCell<TaskManager>,
}

impl Session {
    /// Fails when everything would have to come from a `fluid.toml` that is not there.
    pub(crate) fn require_file(&self) -> Result<(), Failure> {
        if self.needs_file && self.file.is_none() {
            return Err(Failure::usage("there is no fluid.toml in this directory")
                .because("it says which tasks there are and where their runs are kept")
                .help(format!(
                    "write one with `{} init`, or name one with --config or FLUID_CONFIG",
                    self.name
                )));
        }
        Ok(())
    }

    /// Which broker, and why.
    pub(crate) fn broker_choice(&self) -> Result<BrokerChoice, Failure> {
        let file = self
            .settings
            .broker
            .as_deref()
            .map(|url| (url, Origin::File));
        let wanted = self
            .broker_wanted
            .as_ref()
            .map(|(url, origin)| (url.as_str(), *origin));
        // As aio-fluid names it; who uses it for something else says more.
        let legacy = self.redis_default.as_deref();
        let legacy = legacy.map(|url| (url, Origin::Variable(REDIS_VARIABLE)));
        if wanted.is_none() && legacy.is_none() {
            self.require_file()?;
        }
        self.choose(wanted.or(file).or(legacy))
    }

    /// The broker that is named for itself.
    pub(crate) fn broker_named(&self, url: &str, origin: Origin) -> Result<BrokerChoice, Failure> {
        self.choose(Some((url, origin)))
    }

    fn choose(&self, wanted: Option<(&str, Origin)>) -> Result<BrokerChoice, Failure> {
        let current = std::env::current_dir()
            .map_err(|error| Failure::usage("the current directory is gone").caused_by(&error))?;
        let directory = self.file.as_deref().and_then(|file| file.parent());
        detector::broker(wanted, &current, directory)
    }

    /// Which executor for `cpu_bound` tasks, and why.
    pub(crate) fn executor_choice(&self) -> Result<ExecutorChoice, Failure> {
        let file = self.settings.executor.map(|kind| (kind, Origin::File));
        let in_cluster = std::env::var_os("KUBERNETES_SERVICE_HOST").is_some();
        detector::executor(self.executor_wanted.or(file), in_cluster)
    }

    /// The executors of this process; `grace` is what a Job gets to stop.
    pub(crate) async fn executors(
        &self,
        choice: &ExecutorChoice,
        grace: Option<Duration>,
    ) -> Result<Executors, Failure> {
        let executors = Executors::new(choice.kind)
            .with(Arc::new(InlineExecutor))
            .with(Arc::new(self.subprocess_executor()?));
        let wanted = self
            .tasks
            .iter()
            .any(|task| task.executor_with(choice.kind) == ExecutorKind::K8s);
        if wanted {
            self.with_k8s(executors, grace).await
        } else {
            Ok(executors)
        }
    }

    #[cfg(feature = "k8s")]
    async fn with_k8s(
        &self,
        executors: Executors,
        grace: Option<Duration>,
    ) -> Result<Executors, Failure> {
        Ok(executors.with(Arc::new(crate::k8s::executor(self, grace).await?)))
    }

    #[cfg(not(feature = "k8s"))]
    #[expect(clippy::unused_async, reason = "as with the feature")]
    async fn with_k8s(
        &self,
        executors: Executors,
        _grace: Option<Duration>,
    ) -> Result<Executors, Failure> {
        Ok(executors)
    }

    /// The executor of child processes. They find the broker, the file and this binary in their environment.
    pub(crate) fn subprocess_executor(&self) -> Result<SubprocessExecutor, Failure> {
        let mut subprocess = SubprocessExecutor::builder();
        if let Some(url) = self.broker_choice()?.url.exposed() {
            subprocess = subprocess.env(child::BROKER_VARIABLE, url);
        }
        if let Some(file) = &self.file {
            subprocess = subprocess.env(CONFIG_VARIABLE, file.to_string_lossy());
        }
        if let Ok(binary) = std::env::current_exe() {
            subprocess = subprocess.env(CLI_VARIABLE, binary.to_string_lossy());
        }
        Ok(subprocess.build())
    }

    /// The tasks and their broker, opened at the first call.
    pub(crate) async fn manager(&self) -> Result<&TaskManager, Failure> {
        self.manager
            .get_or_try_init(async || {
                let broker = open(&self.broker_choice()?).await?;
                self.manager_with(broker)
            })
            .await
    }

    /// The tasks and a broker.
    pub(crate) fn manager_with(&self, broker: Arc<dyn Broker>) -> Result<TaskManager, Failure> {
        let builder = TaskManager::builder()
            .broker(broker)
            .tasks(self.tasks.iter().cloned())
            .shared_state(self.state.clone());
        Ok(builder.build()?)
    }

    /// The manager of a broker that other processes can see too.
    pub(crate) async fn shared_manager(&self) -> Result<&TaskManager, Failure> {
        if self.broker_choice()?.url == BrokerUrl::Memory {
            return Err(
                Failure::usage("broker memory: is only there inside one process")
                    .because("this command would look at a new, empty one")
                    .help("use it with serve or exec, and another broker for everything else"),
            );
        }
        self.manager().await
    }

    /// A declared task.
    pub(crate) fn task(&self, name: &str) -> Result<&Task, Failure> {
        let found = self.tasks.iter().find(|task| task.name.as_str() == name);
        found.ok_or_else(|| self.no_task(name))
    }

    /// What to say of a task that is not there.
    pub(crate) fn no_task(&self, name: &str) -> Failure {
        if let Err(failure) = self.require_file() {
            return failure;
        }
        let failure = Failure::not_found(format!("there is no task {name:?}"));
        let names = self.tasks.iter().map(|task| task.name.as_str());
        match nearest(name, names) {
            _ if self.tasks.is_empty() => failure.because("no tasks are declared here"),
            Some(meant) => failure.help(format!(
                "did you mean {meant}? `{} ls` shows which there are",
                self.name
            )),
            None => failure.help(format!("`{} ls` shows which there are", self.name)),
        }
    }

    /// Whether a task is declared here.
    pub(crate) fn declares(&self, name: &TaskName) -> bool {
        self.tasks.iter().any(|task| task.name == *name)
    }
}

/// Opens a broker.
pub(crate) async fn open(choice: &BrokerChoice) -> Result<Arc<dyn Broker>, Failure> {
    match &choice.url {
        BrokerUrl::Memory => Ok(Arc::new(MemoryBroker::new())),
        #[cfg(feature = "sqlite")]
        BrokerUrl::Sqlite(path) => {
            let options = fluid_broker_sqlite::SqliteOptions::new(path);
            let broker = fluid_broker_sqlite::SqliteBroker::open(options).await?;
            Ok(Arc::new(broker))
        }
        #[cfg(feature = "redis")]
        BrokerUrl::Redis(url) => {
            let options = fluid_broker_redis::RedisOptions::from_url(url.expose())?;
            let broker = fluid_broker_redis::RedisBroker::open(options).await?;
            Ok(Arc::new(broker))
        }
        #[cfg(feature = "postgres")]
        BrokerUrl::Postgres(url) => {
            let options = fluid_broker_postgres::PostgresOptions::from_url(url.expose())?;
            let broker = fluid_broker_postgres::PostgresBroker::open(options).await?;
            Ok(Arc::new(broker))
        }
        #[cfg(not(all(feature = "sqlite", feature = "redis", feature = "postgres")))]
        other => Err(Failure::usage(format!(
            "broker {other} is not in this build"
        ))),
    }
}
