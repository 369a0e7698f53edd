//! What of a Job, a pod and an event is looked at. Everything else is dropped as it is read.

use kube::core::{ApiResource, Object};

use serde::{Deserialize, Serialize};

/// A Job.
pub(crate) type Job = Object<JobSpec, JobStatus>;
/// A pod.
pub(crate) type Pod = Object<PodSpec, PodStatus>;

pub(crate) fn jobs() -> ApiResource {
    resource("batch", "Job", "jobs")
}

pub(crate) fn pods() -> ApiResource {
    resource("", "Pod", "pods")
}

pub(crate) fn resource(group: &str, kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: group.to_owned(),
        version: "v1".to_owned(),
        api_version: if group.is_empty() {
            "v1".to_owned()
        } else {
            format!("{group}/v1")
        },
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

macro_rules! views {
    ($($(#[$doc:meta])* $name:ident { $($field:ident: $type:ty,)* })*) => {
        $($(#[$doc])*
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub(crate) struct $name { $(pub(crate) $field: $type,)* })*
    };
}

views! {
    JobSpec { suspend: bool, completions: Option<u32>, }
    JobStatus { conditions: Vec<Condition>, }
    Condition { r#type: String, status: String, reason: String, message: String, }
    PodSpec { containers: Vec<Container>, }
    Container { name: String, image: String, resources: Resources, }
    Resources { limits: Limits, }
    Limits { memory: Option<String>, }
    PodStatus {
        phase: String,
        reason: String,
        message: String,
        conditions: Vec<Condition>,
        container_statuses: Vec<ContainerStatus>,
        init_container_statuses: Vec<ContainerStatus>,
    }
    ContainerStatus { name: String, image: String, state: ContainerState, }
    /// At most one of them is there.
    ContainerState {
        waiting: Option<Waiting>,
        running: Option<Running>,
        terminated: Option<Terminated>,
    }
    Waiting { reason: String, message: String, }
    Running { started_at: String, }
    Terminated { exit_code: i32, signal: i32, reason: String, message: String, }
}

impl Condition {
    pub(crate) fn is_true(&self) -> bool {
        self.status == "True"
    }
}

/// The condition of this type, if it holds.
pub(crate) fn holds<'a>(conditions: &'a [Condition], of: &str) -> Option<&'a Condition> {
    conditions
        .iter()
        .find(|condition| condition.r#type == of && condition.is_true())
}
