//! The executor of fluid for Kubernetes: each attempt a Job.
//!
//! (being written)

mod check;
mod cluster;
mod execution;
mod executor;
mod fault;
mod identity;
mod job;
mod lines;
mod namespace;
mod output;
mod pace;
mod patch;
pub mod rbac;
mod sight;
mod store;
mod sweep;
mod tail;
mod template;
mod templates;
mod verdict;
mod view;

pub use check::{Finding, FindingVerdict, targets};
pub use executor::{K8sExecutor, K8sExecutorBuilder};
pub use identity::{ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL, TASK_LABEL};
pub use kube;
pub use template::TemplateError;
