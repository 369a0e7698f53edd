//! Where and how a task runs as a Kubernetes Job.
//!
//! The field names, environment variables and defaults of the first five are those of aio-fluid.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::duration;

/// The prefix of the environment variables that fill what a [`K8sConfig`] leaves open.
pub const K8S_ENV_PREFIX: &str = "FLUID_TASK_CONSUMER_K8S_";

/// How a `cpu_bound` task runs as a Kubernetes Job. What is `None` comes from the environment, then from the
/// default.
///
/// ```
/// use fluid_core::K8sConfig;
/// use std::time::Duration;
///
/// let config = K8sConfig::default()
///     .namespace("workers")
///     .job_ttl(Duration::from_secs(600))
///     .label("team", "pictures");
///
/// let target = config.resolve(|_| None).unwrap();
/// assert_eq!(target.namespace, "workers");
/// assert_eq!(target.deployment, "fluid-task");
/// assert_eq!(target.job_ttl, Duration::from_secs(600));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct K8sConfig {
    /// The namespace in which the Job is created; `FLUID_TASK_CONSUMER_K8S_NAMESPACE`, `default`.
    pub namespace: Option<String>,
    /// The Deployment whose pod template is copied; `FLUID_TASK_CONSUMER_K8S_DEPLOYMENT`, `fluid-task`.
    pub deployment: Option<String>,
    /// The container of that Deployment; `FLUID_TASK_CONSUMER_K8S_CONTAINER`, `main`.
    pub container: Option<String>,
    /// How long a finished Job is kept; `FLUID_TASK_CONSUMER_K8S_JOB_TTL` in seconds, 300 s.
    #[serde(with = "duration::optional")]
    pub job_ttl: Option<Duration>,
    /// How stale the state of a Job may be where it can't be watched; 2 s.
    #[serde(with = "duration::optional")]
    pub sleep: Option<Duration>,
    /// Requests and limits of the container, as in a pod: `{ limits = { memory = "1Gi" } }`.
    pub resources: Option<Value>,
    /// Labels a node must have.
    pub node_selector: BTreeMap<String, String>,
    /// Taints the pod tolerates, as in a pod.
    pub tolerations: Vec<Value>,
    /// The service account of the pod instead of the Deployment's.
    pub service_account: Option<String>,
    /// The priority class of the pod.
    pub priority_class: Option<String>,
    /// The image instead of the Deployment's.
    pub image: Option<String>,
    /// More environment variables for the container.
    pub env: BTreeMap<String, String>,
    /// More labels for the Job and its pod.
    pub labels: BTreeMap<String, String>,
    /// More annotations for the Job and its pod.
    pub annotations: BTreeMap<String, String>,
    /// How long the pod may wait to run before the attempt fails; no limit but the task's timeout.
    #[serde(with = "duration::optional")]
    pub pending_timeout: Option<Duration>,
    /// The Kueue queue that admits the Job.
    pub queue_name: Option<String>,
    /// A strategic-merge patch for what has no field here, applied to the Job last.
    pub patch: Option<Value>,
}

/// A [`K8sConfig`] in which the seed's five settings are settled.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct K8sTarget {
    /// The namespace in which the Job is created.
    pub namespace: String,
    /// The Deployment whose pod template is copied.
    pub deployment: String,
    /// The container of that Deployment.
    pub container: String,
    /// How long a finished Job is kept.
    pub job_ttl: Duration,
    /// How stale the state of a Job may be where it can't be watched.
    pub sleep: Duration,
}

/// An environment variable with a value that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}={value:?}: {reason}")]
pub struct K8sConfigError {
    variable: String,
    value: String,
    reason: String,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $field:ident: $type:ty;)*) => {
        $($(#[$doc])* #[must_use] pub fn $field(mut self, $field: $type) -> Self {
            self.$field = Some($field.into());
            self
        })*
    };
}

macro_rules! adders {
    ($($(#[$doc:meta])* $one:ident in $field:ident;)*) => {
        $($(#[$doc])* #[must_use]
        pub fn $one(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
            self.$field.insert(name.into(), value.into());
            self
        })*
    };
}

impl K8sConfig {
    setters! {
        /// Sets the namespace in which the Job is created.
        namespace: impl Into<String>;
        /// Sets the Deployment whose pod template is copied.
        deployment: impl Into<String>;
        /// Sets the container of that Deployment.
        container: impl Into<String>;
        /// Sets how long a finished Job is kept.
        job_ttl: Duration;
        /// Sets how stale the state of a Job may be where it can't be watched.
        sleep: Duration;
        /// Sets requests and limits of the container, as in a pod.
        resources: Value;
        /// Sets the service account of the pod.
        service_account: impl Into<String>;
        /// Sets the priority class of the pod.
        priority_class: impl Into<String>;
        /// Sets the image.
        image: impl Into<String>;
        /// Sets how long the pod may wait to run.
        pending_timeout: Duration;
        /// Sets the Kueue queue that admits the Job.
        queue_name: impl Into<String>;
        /// Sets a strategic-merge patch, applied to the Job last.
        patch: Value;
    }

    adders! {
        /// Adds a label that a node must have.
        node_label in node_selector;
        /// Adds an environment variable for the container.
        env in env;
        /// Adds a label for the Job and its pod.
        label in labels;
        /// Adds an annotation for the Job and its pod.
        annotation in annotations;
    }

    /// Adds a taint that the pod tolerates, as in a pod.
    #[must_use]
    pub fn toleration(mut self, toleration: Value) -> Self {
        self.tolerations.push(toleration);
        self
    }

    /// Fills what is open from `environment` (given a variable's name, its value), then from the defaults.
    ///
    /// # Errors
    /// When a variable is set to something that can't be used.
    pub fn resolve(
        &self,
        environment: impl Fn(&str) -> Option<String>,
    ) -> Result<K8sTarget, K8sConfigError> {
        let from = |suffix: &str| {
            environment(&format!("{K8S_ENV_PREFIX}{suffix}")).filter(|v| !v.is_empty())
        };
        let text = |set: &Option<String>, suffix, default: &str| {
            set.clone()
                .or_else(|| from(suffix))
                .unwrap_or_else(|| default.to_owned())
        };
        let job_ttl = match (self.job_ttl, from("JOB_TTL")) {
            (Some(ttl), _) => ttl,
            (None, None) => Duration::from_secs(300),
            (None, Some(value)) => duration::parse(&value).map_err(|reason| K8sConfigError {
                variable: format!("{K8S_ENV_PREFIX}JOB_TTL"),
                value,
                reason,
            })?,
        };
        Ok(K8sTarget {
            namespace: text(&self.namespace, "NAMESPACE", "default"),
            deployment: text(&self.deployment, "DEPLOYMENT", "fluid-task"),
            container: text(&self.container, "CONTAINER", "main"),
            job_ttl,
            sleep: self.sleep.unwrap_or(Duration::from_secs(2)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_fills_what_is_open_and_the_defaults_the_rest() {
        let target = K8sConfig::default().resolve(|_| None).unwrap();
        assert_eq!(
            (
                target.namespace.as_str(),
                target.deployment.as_str(),
                target.container.as_str()
            ),
            ("default", "fluid-task", "main")
        );
        assert_eq!(
            (target.job_ttl, target.sleep),
            (Duration::from_secs(300), Duration::from_secs(2))
        );

        let env = |name: &str| match name {
            "FLUID_TASK_CONSUMER_K8S_NAMESPACE" => Some("workers".to_owned()),
            "FLUID_TASK_CONSUMER_K8S_JOB_TTL" => Some("600".to_owned()),
            _ => None,
        };
        let config = K8sConfig {
            namespace: Some("mine".into()),
            ..K8sConfig::default()
        };
        let target = config.resolve(env).unwrap();
        assert_eq!(
            (target.namespace.as_str(), target.job_ttl),
            ("mine", Duration::from_secs(600))
        );
    }

    #[test]
    fn a_bad_variable_is_named_with_its_value() {
        let error = K8sConfig::default()
            .resolve(|name| name.ends_with("JOB_TTL").then(|| "soon".to_owned()))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("FLUID_TASK_CONSUMER_K8S_JOB_TTL=\"soon\""),
            "{error}"
        );
    }

    #[test]
    fn the_seed_page_s_example_is_read() {
        let config: K8sConfig = serde_json::from_value(serde_json::json!({
            "namespace": "workers", "deployment": "fluid-task", "container": "main",
            "job_ttl": 600, "sleep": 2.0,
        }))
        .unwrap();
        assert_eq!(config.job_ttl, Some(Duration::from_secs(600)));
        assert!(serde_json::from_value::<K8sConfig>(serde_json::json!({"namspace": "x"})).is_err());
    }
}
