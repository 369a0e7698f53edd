//! The command line of fluid: a library for your own binary, and the stock binary.
//!
//! Give [`App`] your tasks, and your binary has everything: a consumer and scheduler (`serve`), one-off runs
//! (`exec`, `enqueue`), and commands to look at runs and change them. The parameters' type makes the flags.
//!
//! ```
//! use fluid_cli::core::{TaskContext, TaskError, task};
//! use fluid_cli::{App, Exit};
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Greeting {
//!     /// Who is greeted
//!     name: String,
//!     #[serde(default)]
//!     loud: bool,
//! }
//!
//! /// Greets somebody.
//! #[task(crate = fluid_cli::core, retry(attempts = 3))]
//! async fn greet(ctx: TaskContext<Greeting>) -> Result<String, TaskError> {
//!     let Greeting { name, loud } = ctx.params;
//!     Ok(if loud { format!("HELLO {name}!") } else { format!("hello {name}") })
//! }
//!
//! /// Greets the world, every minute.
//! #[task(crate = fluid_cli::core, schedule(every = "1m"))]
//! async fn remember(ctx: TaskContext) -> Result<(), TaskError> {
//!     ctx.queue(&greet, Greeting { name: "world".into(), loud: true }).await?;
//!     Ok(())
//! }
//!
//! fn greeter() -> App {
//!     App::new("greeter").about("Greets people").task(greet).task(remember)
//! }
//!
//! # #[tokio::main]
//! # async fn main() {
//! // In a binary: fn main() -> std::process::ExitCode { greeter().main() }
//! // And in a test, or wherever the arguments come from, on a runtime that is there already:
//! let args = ["greeter", "exec", "greet", "--name", "Ada", "--broker", "memory:"];
//! let exit = greeter().run(args.map(Into::into)).await;
//! assert_eq!(exit, Exit::Done);
//! # }
//! ```
//!
//! `greeter serve` then runs `remember` by its schedule and whatever is asked for; `greeter enqueue greet --name Ada
//! --wait` asks and waits; `greeter --help` tells the rest.
//!
//! Without writing any Rust, the stock binary `fluid-cli` runs programs in any language: [`Config`] is the file
//! `fluid.toml` that it reads. A binary of your own reads that file too when there is one, for settings and for
//! more tasks.
//!
//! # What wins
//! A flag goes before its environment variable, that before `fluid.toml`, that before the default. A variable that
//! is set to nothing counts as not set.
//!
//! # More
//! In the repository, `docs/cli.md` has the commands, the exit codes ([`Exit`]), the environment variables that are
//! read and those that programs find, and the shapes of `--output json`; `docs/fluid-toml.md` has every key of the
//! file. Tests hold both to what the binary does.

mod app;
mod args;
mod commands;
mod config;
mod detector;
mod exit;
mod failure;
mod http;
#[cfg(feature = "k8s")]
mod k8s;
mod logging;
mod output;
mod progress;
mod run_ref;
mod session;
mod signals;

pub use app::App;
pub use config::{
    Config, ConfigError, FILE_NAME, Fault, HttpAccess, HttpAddress, HttpSettings, Limit, Settings,
};
pub use exit::Exit;
pub use fluid_core as core;
pub use fluid_scheduler as scheduler;
