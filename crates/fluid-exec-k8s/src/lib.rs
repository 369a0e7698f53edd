//! The executor of fluid for Kubernetes: each attempt a Job.
//!
//! ```no_run
//! use fluid_core::{Executor, K8sConfig, Task, TaskContext, TaskError};
//! use fluid_exec_k8s::K8sExecutor;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! // In a pod: the cluster around it. Elsewhere: the current context of the kubeconfig.
//! let executor = K8sExecutor::connect().await?.owner("redis://queue/0").build();
//! assert!(executor.survives_consumer());
//!
//! let resize = Task::function("resize", |_: TaskContext<()>| async { Ok::<_, TaskError>(()) })?
//!     .cpu_bound(true)
//!     .k8s_config(K8sConfig::default().namespace("workers").image("pictures:2"));
//! # let _ = resize;
//! # Ok(())
//! # }
//! ```
//!
//! The page *Kubernetes Jobs* of the documentation says what an operator sees. This one says how it comes about.
//!
//! # One attempt
//! 1. The Deployment's pod template, read at most once in two seconds for all Jobs, becomes that of a Job with a
//!    name that is the attempt's alone. Creating it is one request; that there is one already means to adopt it, after
//!    its label was found to name this run. So starting twice can't be observed.
//! 2. Two watches for each namespace, of Jobs and of pods, see every Job of fluid's; what attempts wait for is told to
//!    them. A third one, of events, runs only while some Job gets no pod.
//! 3. A pod that has begun has its log followed, with instants, so that reading goes on after a break. The end of its
//!    process is in its termination message, with the number of its lines: when all have come, no more is asked.
//! 4. The Job's verdict, or a pod that succeeded, ends it. What the pod says tells why.
//!
//! Whatever time will mend (no answer, 429, 5xx, a quota) is waited for. What it will not mend is an error of kind
//! [`Start`](fluid_core::ErrorKind::Start). A refusal is believed after three seconds, because a server that has just
//! started refuses everything.
//!
//! # The other side
//! In the container `exec <task> --run-id <id>` runs `fluid_exec_local::container`. What passes between the two is
//! [`fluid_core::relay`].
//!
//! # Versions
//! The API is that of Kubernetes 1.35, the oldest version that upstream supports at the time of this release. Objects
//! are passed on as JSON, so that fields of newer versions in a Deployment are not lost.

mod begin;
mod check;
mod cluster;
mod execution;
mod executor;
mod fault;
mod follow;
mod identity;
mod insist;
mod job;
mod lines;
mod measure;
mod namespace;
mod output;
mod pace;
mod patch;
pub mod rbac;
mod sight;
mod store;
mod sweep;
mod template;
mod templates;
mod verdict;
mod view;

pub use check::{Finding, FindingVerdict, targets};
pub use executor::{K8sExecutor, K8sExecutorBuilder};
pub use identity::{ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL, TASK_LABEL};
pub use kube;
pub use template::TemplateError;
