//! The command line: what can be said and what it means.
#![expect(
    clippy::doc_markdown,
    reason = "clap shows these comments to people as they are"
)]

mod command;
mod flag;
mod http;
mod params;
mod property;
mod task_call;
mod transfer;

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use fluid_core::{ExecutorKind, QueueName, RunState, TaskName, duration};
use jiff::Timestamp;

use crate::config::Limit;
use crate::output::{Format, Output};

pub(crate) use command::{EnqueueArgs, ExecArgs, command_for};
pub(crate) use http::HttpArgs;
pub(crate) use params::{ParamsArgs, read as read_params, read_all, read_one};
pub(crate) use task_call::TaskCall;
pub(crate) use transfer::MoveArgs;

/// Tasks on a queue, carried out where they belong.
#[derive(Debug, Parser)]
#[command(disable_help_subcommand = true, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Action,
}

/// What every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct GlobalArgs {
    /// The file with settings and tasks [default: ./fluid.toml]
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "FLUID_CONFIG",
        hide_env_values = true
    )]
    pub(crate) config: Option<PathBuf>,
    /// Where runs are kept: sqlite://FILE, redis://HOST, postgres://HOST/DATABASE, or memory: for one process [default: sqlite://fluid.db]
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "FLUID_BROKER_URL",
        hide_env_values = true
    )]
    pub(crate) broker: Option<String>,
    /// Where cpu_bound tasks run: inline, subprocess or k8s [default: chosen by what is there]
    #[arg(
        long,
        global = true,
        value_name = "KIND",
        env = "FLUID_EXECUTOR",
        hide_env_values = true
    )]
    pub(crate) executor: Option<ExecutorKind>,
    /// How to print results: for people, or one JSON value for programs
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) output: Format,
    /// What to log to standard error: error, warn, info, debug, trace, or a filter such as
    /// fluid_scheduler=debug [default: warn, and info for serve without a terminal]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        env = "FLUID_LOG",
        hide_env_values = true
    )]
    pub(crate) log: Option<String>,
    /// How to log: text or json
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        env = "FLUID_LOG_FORMAT",
        hide_env_values = true,
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub(crate) log_format: LogFormat,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Action {
    /// Run tasks: consumer, scheduler and dashboard in one process
    Serve(ServeArgs),
    /// Serve the dashboard and the API alone, without taking runs or firing schedules
    Dashboard(DashboardArgs),
    /// Run one task here and now, without the queue
    Exec(TaskCall),
    /// Ask for a run of a task
    Enqueue(TaskCall),
    /// List the tasks
    Ls(LsArgs),
    /// Let a task run again
    Enable(SwitchArgs),
    /// Stop a task from running, now and after restarts
    Disable(SwitchArgs),
    /// Stop taking runs from a queue
    Pause(QueueArgs),
    /// Take runs from a queue again
    Resume(QueueArgs),
    /// Look at runs and change them
    #[command(subcommand)]
    Runs(RunsAction),
    /// Show the broker, the executor, the queues and the consumers
    Status,
    /// Bring what the broker keeps to this version
    Migrate,
    /// Take all runs, their output and the schedules' state to another broker
    Move(MoveArgs),
    /// Check and prepare a Kubernetes cluster
    #[command(subcommand)]
    K8s(K8sAction),
    /// Write a commented fluid.toml that works at once
    Init(InitArgs),
    /// Print a completion script for a shell
    Completion(CompletionArgs),
}

/// `serve`.
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// The queues to take runs from, by comma [default: all that the tasks name]
    #[arg(
        long,
        value_name = "QUEUES",
        env = "FLUID_QUEUES",
        hide_env_values = true,
        value_delimiter = ','
    )]
    pub(crate) queues: Option<Vec<QueueName>>,
    /// How many runs to execute at once [default: 10]
    #[arg(
        long,
        value_name = "N",
        env = "FLUID_CONCURRENCY",
        hide_env_values = true
    )]
    pub(crate) concurrency: Option<NonZeroUsize>,
    /// How long finished runs are kept, or `forever` [default: 7d]
    #[arg(
        long,
        value_name = "TIME",
        env = "FLUID_RETENTION",
        hide_env_values = true
    )]
    pub(crate) retention: Option<Limit>,
    /// How long a lease lasts unless it is renewed [default: 30s]
    #[arg(long, value_name = "TIME", env = "FLUID_LEASE", hide_env_values = true, value_parser = duration::parse)]
    pub(crate) lease: Option<Duration>,
    /// How long a run may take to stop when asked [default: 5s]
    #[arg(long, value_name = "TIME", env = "FLUID_GRACE", hide_env_values = true, value_parser = duration::parse)]
    pub(crate) grace: Option<Duration>,
    /// How long to wait for runs at the end [default: 20s]
    #[arg(long, value_name = "TIME", env = "FLUID_DRAIN_TIMEOUT", hide_env_values = true, value_parser = duration::parse)]
    pub(crate) drain_timeout: Option<Duration>,
    /// Don't fire schedules and don't delete old runs
    #[arg(long)]
    pub(crate) no_scheduler: bool,
    /// Don't tell of every run and don't show output; the log goes on
    #[arg(long, short)]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) http: HttpArgs,
    /// Don't serve HTTP, as --http none
    #[arg(long, help_heading = "HTTP")]
    pub(crate) no_http: bool,
}

impl ServeArgs {
    /// Whether people see on their terminal what the log would say once more.
    pub(crate) fn tells_on_terminal(&self, output: Output) -> bool {
        !self.quiet && !output.is_json() && output.stdout_is_terminal && output.stderr_is_terminal
    }
}

/// `dashboard`.
#[derive(Debug, Args)]
pub(crate) struct DashboardArgs {
    #[command(flatten)]
    pub(crate) http: HttpArgs,
}

/// `ls`.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// Only tasks with this tag; again for more tags, all of which they must have
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
}

/// `enable` and `disable`.
#[derive(Debug, Args)]
pub(crate) struct SwitchArgs {
    /// The task
    #[arg(value_name = "TASK")]
    pub(crate) task: TaskName,
    /// Also when there is no such task here, as when another program declares it
    #[arg(long)]
    pub(crate) force: bool,
}

/// `pause` and `resume`.
#[derive(Debug, Args)]
pub(crate) struct QueueArgs {
    /// The queue
    #[arg(value_name = "QUEUE")]
    pub(crate) queue: QueueName,
    /// Also when no task uses it here
    #[arg(long)]
    pub(crate) force: bool,
}

/// `runs …`.
#[derive(Debug, Subcommand)]
pub(crate) enum RunsAction {
    /// List runs, newest first
    List(ListArgs),
    /// Show all that is known of a run
    Show {
        #[command(flatten)]
        run: RunArg,
    },
    /// Print the output of a run
    Logs(LogsArgs),
    /// Cancel a run: one that waits never starts, one that runs is told to stop
    Cancel {
        #[command(flatten)]
        run: RunArg,
    },
    /// Enqueue finished runs once more, each as a new run
    Retry(RetryArgs),
    /// Delete finished runs with their output
    Purge(PurgeArgs),
}

/// One run.
#[derive(Debug, Args)]
pub(crate) struct RunArg {
    /// The run's id, or the last 6 or more characters of it
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

/// Which runs.
#[derive(Debug, Clone, Args)]
pub(crate) struct FilterArgs {
    /// Only runs of this task; again for more tasks
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Vec<TaskName>,
    /// Only runs in this state; again for more: scheduled, queued, running, success, failure, aborted, interrupted or rate_limited
    #[arg(long, value_name = "STATE")]
    pub(crate) state: Vec<RunState>,
    /// Only runs in this queue; again for more queues
    #[arg(long, value_name = "QUEUE")]
    pub(crate) queue: Vec<QueueName>,
    /// Only runs enqueued since: an instant such as 2026-01-31T12:00:00Z, or how long ago, such as 1h
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub(crate) since: Option<Timestamp>,
}

impl FilterArgs {
    /// Whether every run passes.
    pub(crate) fn is_empty(&self) -> bool {
        let Self {
            task,
            state,
            queue,
            since,
        } = self;
        task.is_empty() && state.is_empty() && queue.is_empty() && since.is_none()
    }
}

/// `runs list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    /// Only runs older than this one: the next page
    #[arg(long, value_name = "RUN")]
    pub(crate) before: Option<String>,
}

/// `runs logs`.
#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    #[command(flatten)]
    pub(crate) run: RunArg,
    /// Go on until the run is finished
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only the last so many lines of what there is
    #[arg(long, value_name = "N")]
    pub(crate) tail: Option<usize>,
    /// Only this attempt
    #[arg(long, value_name = "N")]
    pub(crate) attempt: Option<u32>,
    /// Begin each line with the instant it was read
    #[arg(long, short)]
    pub(crate) timestamps: bool,
}

/// `runs retry`.
#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// The run's id, or the last 6 or more characters of it
    #[arg(value_name = "RUN", conflicts_with_all = ["task", "state", "queue", "since"])]
    pub(crate) run: Option<String>,
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// At most so many, newest first
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) limit: usize,
}

/// `runs purge`.
#[derive(Debug, Args)]
pub(crate) struct PurgeArgs {
    #[command(flatten)]
    pub(crate) filter: FilterArgs,
    /// Only runs that finished longer ago than this, such as 7d
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    pub(crate) older_than: Option<Duration>,
    /// All finished runs that pass the other filters
    #[arg(long, conflicts_with = "older_than")]
    pub(crate) all: bool,
}

/// `k8s …`.
#[derive(Debug, Subcommand)]
pub(crate) enum K8sAction {
    /// Ask the cluster what would fail
    Check,
    /// Print the smallest Role that serve needs, and its binding
    Rbac {
        /// The service account that serve runs as; without its namespace it is in that of the Jobs
        #[arg(
            long,
            value_name = "[NAMESPACE/]NAME",
            default_value = "tasks-consumer-sa"
        )]
        service_account: String,
    },
}

/// `init`.
#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The directory to write fluid.toml to, made if it is not there
    #[arg(value_name = "DIRECTORY", default_value = ".")]
    pub(crate) directory: PathBuf,
}

/// `completion`.
#[derive(Debug, Args)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}

/// An instant, or how long ago.
pub(crate) fn since(text: &str) -> Result<Timestamp, String> {
    if let Ok(instant) = text.parse() {
        return Ok(instant);
    }
    let ago = duration::parse(text).map_err(|_| {
        format!(
            "{text:?} is neither an instant such as 2026-01-31T12:00:00Z nor a time ago such as 1h"
        )
    })?;
    Timestamp::now()
        .checked_sub(ago)
        .map_err(|_| format!("{text:?} is too long ago"))
}

/// The value of `--config` before anything else is known: which flags there are depends on that file.
pub(crate) fn config_flag(args: &[OsString]) -> Option<PathBuf> {
    let mut args = args.iter().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--" {
            return None;
        }
        if arg == "--config" {
            return args.next().map(PathBuf::from);
        }
        if let Some(path) = arg.to_str().and_then(|arg| arg.strip_prefix("--config=")) {
            return Some(path.into());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_is_found_before_the_rest_is_understood() {
        let find =
            |args: &[&str]| config_flag(&args.iter().map(OsString::from).collect::<Vec<_>>());
        assert_eq!(
            find(&["f", "ls", "--config", "a.toml"]),
            Some("a.toml".into())
        );
        assert_eq!(
            find(&["f", "--config=b.toml", "exec", "x", "--y"]),
            Some("b.toml".into())
        );
        assert_eq!(find(&["f", "exec", "x", "--", "--config", "a"]), None);
    }

    #[test]
    fn since_takes_an_instant_or_a_time_ago() {
        assert_eq!(
            since("2026-01-31T12:00:00Z").unwrap().to_string(),
            "2026-01-31T12:00:00Z"
        );
        let hour = Timestamp::now().duration_since(since("1h").unwrap());
        assert!((3599..=3601).contains(&hour.as_secs()), "{hour:?}");
        assert!(since("yesterday").is_err());
    }
}
