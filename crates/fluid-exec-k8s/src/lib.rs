//! The executor of fluid for Kubernetes: each attempt a Job.
//!
//! (being written)

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
mod sight;
mod store;
mod sweep;
mod tail;
mod template;
mod templates;
mod verdict;
mod view;

pub use executor::{K8sExecutor, K8sExecutorBuilder};
pub use identity::{ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL, TASK_LABEL};
pub use kube;
pub use template::TemplateError;
