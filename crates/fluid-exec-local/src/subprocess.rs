//! Attempts as child processes.

mod execution;
mod group;
mod guard;
mod launch;
mod lines;
mod output;
mod pipes;
mod result;
mod spawner;
mod tether;

use std::ffi::OsString;
use std::fmt;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fluid_core::{Execution, Executor, ExecutorKind, RawContext, RunError, Task};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};

use execution::{Job, SubprocessExecution};
use launch::{FunctionProgram, Launch, start_error};
use pipes::Ends;
use result::ResultFile;
use spawner::Spawner;

/// How long the output may be silent after the process ended before those who hold it open are killed.
const DEFAULT_SILENCE: Duration = Duration::from_secs(1);

/// Runs each attempt as a child process. See the [crate's page](crate#subprocess) for what becomes of the child.
///
/// A task function runs in this same binary, called with `exec <task> --run-id <id>`; a command runs as
/// declared. Both find their parameters as JSON on standard input and the variables of [`fluid_core::child`] in
/// their environment, besides the consumer's own, the executor's and the task's.
///
/// ```
/// use fluid_exec_local::SubprocessExecutor;
/// use std::time::Duration;
///
/// let executor = SubprocessExecutor::builder()
///     .program("/usr/local/bin/worker")
///     .arg("--quiet")
///     .env("FLUID_BROKER_URL", "sqlite:///var/lib/worker/fluid.db")
///     .silence(Duration::from_millis(200))
///     .build();
/// // The values of variables may be secret, so they don't show.
/// assert!(!format!("{executor:?}").contains("sqlite"));
/// ```
pub struct SubprocessExecutor {
    function: FunctionProgram,
    env: Vec<(String, String)>,
    silence: Duration,
    started: Mutex<Option<Arc<Started>>>,
}

/// What the first child needs and the others share.
struct Started {
    spawner: Spawner,
    /// Only this user may read it. Removed when the executor and its executions are gone.
    results: TempDir,
    attempts: AtomicU64,
}

impl Started {
    /// A name in the directory of results for one more attempt. Short, because the guard reads it byte by byte.
    fn result_name(&self) -> String {
        format!("{}.json", self.attempts.fetch_add(1, Ordering::Relaxed))
    }
}

impl SubprocessExecutor {
    /// An executor that starts this same binary for task functions.
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An executor with other settings.
    pub fn builder() -> SubprocessExecutorBuilder {
        SubprocessExecutorBuilder {
            function: FunctionProgram::default(),
            env: Vec::new(),
            silence: DEFAULT_SILENCE,
        }
    }

    fn started(&self) -> io::Result<Arc<Started>> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(started) = &*started {
            return Ok(started.clone());
        }
        let results = results_directory()?;
        let spawner = Spawner::start(results.path().to_owned())?;
        Ok(started
            .insert(Arc::new(Started {
                spawner,
                results,
                attempts: AtomicU64::new(0),
            }))
            .clone())
    }
}

/// A directory for result files: where temporary files belong, or in memory where that is read-only, as in many
/// containers.
fn results_directory() -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder
        .prefix("fluid-results-")
        .permissions(Permissions::from_mode(0o700));
    builder
        .tempdir()
        .or_else(|error| builder.tempdir_in("/dev/shm").map_err(|_| error))
}

impl Default for SubprocessExecutor {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SubprocessExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("SubprocessExecutor")
            .field("function", &self.function)
            .field("env", &names)
            .field("silence", &self.silence)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Executor for SubprocessExecutor {
    fn kind(&self) -> ExecutorKind {
        ExecutorKind::Subprocess
    }

    async fn start(
        &self,
        task: Arc<Task>,
        context: RawContext,
    ) -> Result<Box<dyn Execution>, RunError> {
        let started = self
            .started()
            .map_err(|error| start_error(format!("can't prepare child processes: {error}")))?;
        let run = context.run();
        let name = started.result_name();
        let result = ResultFile::at(started.results.path().join(&name));
        let launch = Launch::of(&task, run, &self.function, &self.env, result.path())?;
        let (mut command, explain) = launch.into_parts();
        // Listening begins before the child does, so that no end of it is missed.
        let child_signals = signal(SignalKind::child())
            .map_err(|error| start_error(format!("can't watch child processes: {error}")))?;
        let ends = Ends::of(&mut command).map_err(|error| {
            start_error(format!("can't make pipes to a child process: {error}"))
        })?;
        let spawning = started.spawner.spawn(command, name);
        // While the child starts.
        let pipes = ends.into_pipes(run.params.expose()).map_err(|error| {
            start_error(format!("can't use the pipes to a child process: {error}"))
        })?;
        let leader = spawning.await.map_err(|error| explain(&error))?;
        let place = format!("pid {}", leader.group().id());
        context.io().execution(place).await;
        let job = Job {
            io: context.io().clone(),
            task,
            pipes,
            result,
            child_signals,
            started,
        };
        let cancelled = context.cancelled().clone();
        Ok(Box::new(SubprocessExecution::new(
            job,
            leader,
            cancelled,
            self.silence,
        )))
    }
}

/// The settings of a [`SubprocessExecutor`]; from [`SubprocessExecutor::builder`].
#[must_use]
pub struct SubprocessExecutorBuilder {
    function: FunctionProgram,
    env: Vec<(String, String)>,
    silence: Duration,
}

impl SubprocessExecutorBuilder {
    /// The program for task functions; this process's own binary by default.
    pub fn program(mut self, program: impl Into<PathBuf>) -> Self {
        self.function.program = Some(program.into());
        self
    }

    /// One more argument before `exec`; none by default.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.function.args.push(arg.into());
        self
    }

    /// One more environment variable for every child; a task's own of the same name goes before it.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// How long the output may be silent after the process ended before other processes that hold it open are
    /// killed; 1 s by default. Such processes are killed after five times as long even if they keep printing.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// The executor. Nothing is started before the first attempt.
    #[must_use]
    pub fn build(self) -> SubprocessExecutor {
        SubprocessExecutor {
            function: self.function,
            env: self.env,
            silence: self.silence,
            started: Mutex::new(None),
        }
    }
}
