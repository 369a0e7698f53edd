//! The command line of fluid: a library for your own binary, and the stock binary.
//!
//! Give [`App`] your tasks, and your binary has everything: a consumer and scheduler (`serve`), one-off runs
//! (`exec`, `enqueue`), and commands to look at runs and change them.
//!
//! ```no_run
//! use fluid_cli::App;
//! use fluid_cli::core::{TaskContext, TaskError, task};
//!
//! /// Says hello, every minute.
//! #[task(crate = fluid_cli::core, schedule(every = "1m"))]
//! async fn hello(_ctx: TaskContext) -> Result<&'static str, TaskError> {
//!     Ok("hello")
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     App::new("hello-app").task(hello).main()
//! }
//! ```
//!
//! Without writing any Rust, the stock binary `fluid-cli` runs programs in any language: [`Config`] is the file
//! `fluid.toml` that it reads. A binary of your own reads that file too when there is one, for settings and for
//! more tasks.
//!
//! # Precedence
//! A flag goes before its environment variable, that before `fluid.toml`, that before the default.
//!
//! # What a task's child process finds in its environment
//! Besides what [`core::child`] lists: `FLUID_CONFIG`, the `fluid.toml` in use, and `FLUID_CLI`, the path of this
//! binary, so that any program can ask for more runs: `"$FLUID_CLI" enqueue next-step`. The new run is a child of
//! the run that asked.
//!
//! # Shapes of `--output json`
//! Every command prints one JSON value on one line, `serve` and `runs logs` one for each event or line. Instants
//! are RFC 3339, what is unknown is `null`, secrets are `"[redacted]"`, and fields may be added. Failures go to
//! standard error as `{"error": {"message", "exit_code", "why", "help", "file", "faults"}}`.
//!
//! | command | value |
//! |---|---|
//! | `ls` | `[{"name", "description", "executor", "cpu_bound", "schedule", "next", "queue", "priority", "tags", "enabled", "params"}]` |
//! | `runs list` | `{"runs": [run], "next": id for --before}` |
//! | `runs show` | a run with `attempts`, `children`, `why_waiting` |
//! | `runs logs` | lines of `{"position", "attempt", "at", "stream", "text"}` |
//! | `runs cancel` | `{"run", "outcome": "aborted" \| "requested" \| "already_finished", "state"}` |
//! | `runs retry` | `{"runs": [id]}` |
//! | `runs purge` | `{"deleted"}` |
//! | `enqueue` | `{"run", "duplicate"}`; with `--wait` a run; with `--many` `{"enqueued", "duplicates", "runs"}` |
//! | `exec` | a run |
//! | `status` | `{"broker", "executor", "states", "queues", "oldest_queued", "consumers", "next", "disabled_tasks", "paused_queues"}` |
//! | `enable`, `disable` | `{"task", "enabled"}` |
//! | `pause`, `resume` | `{"queue", "paused"}` |
//! | `k8s check` | `{"findings": [{"namespace", "subject", "verdict": "good" \| "lacking" \| "bad" \| "unknown", "detail"}]}` |
//! | `init` | `{"written"}` |
//! | `serve` | lines of `{"event": "serving" \| "started" \| "output" \| "finished" \| "stopping" \| "stopped", …}` |
//!
//! A run is `{"id", "task", "queue", "priority", "state", "params", "trigger", "parent", "root", "attempt",
//! "created_at", "due_at", "started_at", "ended_at", "consumer", "execution", "progress", "result", "error", …}`.

mod app;
mod args;
mod commands;
mod config;
mod detector;
mod exit;
mod failure;
#[cfg(feature = "k8s")]
mod k8s;
mod logging;
mod output;
mod progress;
mod run_ref;
mod session;
mod signals;

pub use app::App;
pub use config::{Config, ConfigError, FILE_NAME, Fault, Limit, Settings};
pub use exit::Exit;
pub use fluid_core as core;
pub use fluid_scheduler as scheduler;
