//! The executors of fluid that need no cluster: [`InlineExecutor`] and [`SubprocessExecutor`].
//!
//! ```
//! use std::sync::Arc;
//! use fluid_core::Executor;
//! use fluid_exec_local::{InlineExecutor, SubprocessExecutor};
//!
//! // Light functions run on the consumer's own runtime, everything else in child processes that can reach the
//! // same broker.
//! let executors: [Arc<dyn Executor>; 2] = [
//!     Arc::new(InlineExecutor),
//!     Arc::new(
//!         SubprocessExecutor::builder()
//!             .env(fluid_core::child::BROKER_VARIABLE, "sqlite://fluid.db")
//!             .build(),
//!     ),
//! ];
//! assert!(executors.iter().all(|executor| !executor.survives_consumer()));
//! ```
//!
//! # Inline
//! The function's future is polled by whoever awaits the execution's outcome, so it costs no more than the call,
//! and once the outcome is there the function is really gone. A panic is caught. A function that blocks its
//! thread can't be stopped: declare it `cpu_bound` and it gets a process of its own.
//!
//! # Subprocess
//! One child process for each attempt: for a function this same binary with `exec <task> --run-id <id>` (its
//! side of the conversation is [`child`]), for a command the command's own arguments. Parameters go to its
//! standard input as JSON; its output becomes lines of the run's log; its result comes back through a file.
//!
//! *It ends as a whole.* The process leads a process group. Cancelling sends SIGTERM to the group and SIGKILL
//! after the grace. When the leader has ended, what is left of the group is killed: at once if nobody holds the
//! output open any more, else after a second of silence. A program that wants to leave something running has to
//! start it in a session of its own (`setsid`).
//!
//! *It dies with its consumer*, however that dies. There is one guard for each executor: a shell that sleeps until
//! the consumer's end of a socket closes, and then kills every group that it was told of, and on Linux also a
//! child that was just being started. A guard that is killed is replaced when the next child starts or ends. On a
//! machine without `/bin/sh` there is no guard, which is logged once; there the Linux kernel kills the child, but
//! nothing that it started, when the thread that started it ends (`PR_SET_PDEATHSIG`).
//!
//! *A signal never hits a stranger.* A process id may be given to another process once its owner was waited
//! for. Here a leader is only waited for after the last signal to its group was sent.
//!
//! # In a container
//! [`container`] is the same inside a Kubernetes Job: the container's process carries its attempt out as a
//! subprocess, so that both bodies of a task behave there as they do here, and no secret reaches the container's log.
//!
//! ## Why neither tokio-process-stream nor `tokio::process::Child`
//! The stream of tokio-process-stream 0.4 reads with `lines()`, which fails on bytes that are not UTF-8, and
//! unwraps that failure: such output panics the reader. Its lines have no limit of length, so a program that
//! prints no line end takes all memory. It reports the end of the process only after both pipes are closed, so a
//! grandchild that holds one keeps the run open for ever, and it has no notion of a process group: its kill is
//! the child's alone. `tokio::process::Child` waits for a process as soon as it ends, which frees the id while
//! its group may still be signalled. So the pipes are tokio's, the process is `std::process::Child`, and signals
//! and the look at its state are rustix's: all of them were in the tree before.

pub mod child;
pub mod container;
mod function;
mod inline;
mod subprocess;
mod told;

pub use inline::InlineExecutor;
pub use subprocess::{SubprocessExecutor, SubprocessExecutorBuilder};
