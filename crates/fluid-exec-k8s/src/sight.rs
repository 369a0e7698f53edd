//! What is known of one attempt's Job and its pods.

use fluid_core::relay::RelayReport;
use jiff::Timestamp;
use kube::ResourceExt;

use crate::identity::{ATTEMPT_LABEL, OWNER_LABEL, RUN_LABEL};
use crate::view::{ContainerStatus, Job, Pod, holds};

/// A Job and its pods as last seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sight {
    pub(crate) job: Option<JobSight>,
    /// The Job was there and is no more.
    pub(crate) gone: bool,
    /// In the order in which they were first seen.
    pub(crate) pods: Vec<PodSight>,
    /// Why no pod could be made, with the Job's uid.
    pub(crate) no_pod: Option<(String, String)>,
}

#[derive(Debug, Clone)]
pub(crate) struct JobSight {
    pub(crate) uid: String,
    pub(crate) run: String,
    pub(crate) attempt: String,
    pub(crate) owner: Option<String>,
    pub(crate) created: Option<Timestamp>,
    pub(crate) suspended: bool,
    /// One pod that succeeds is all that it takes.
    pub(crate) single: bool,
    pub(crate) deleting: bool,
    pub(crate) end: Option<JobEnd>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JobEnd {
    Complete,
    Failed { reason: String, message: String },
}

#[derive(Debug, Clone)]
pub(crate) struct PodSight {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) phase: Phase,
    pub(crate) main: Main,
    /// Why the cluster took it away.
    pub(crate) disrupted: Option<String>,
    /// Somebody deletes it.
    pub(crate) deleting: bool,
    /// It was there and is no more.
    pub(crate) gone: bool,
    /// Why it does not run.
    pub(crate) waiting: Option<String>,
    /// Why all of it failed, in the kubelet's words.
    pub(crate) failure: Option<String>,
    pub(crate) memory_limit: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

/// The container that carries out the attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Main {
    Waits,
    Runs,
    Ended(Ended),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Ended {
    pub(crate) exit_code: i32,
    pub(crate) reason: String,
    pub(crate) message: String,
}

impl Sight {
    /// Whether the attempt runs or ran in some pod.
    pub(crate) fn has_run(&self) -> bool {
        self.pods.iter().any(|pod| pod.main != Main::Waits)
    }
}

impl JobSight {
    pub(crate) fn of(job: &Job) -> Self {
        let label = |name: &str| job.metadata.labels.as_ref()?.get(name).cloned();
        let conditions = job
            .status
            .as_ref()
            .map_or(&[][..], |status| &status.conditions);
        let end = if let Some(failed) = holds(conditions, "Failed") {
            Some(JobEnd::Failed {
                reason: failed.reason.clone(),
                message: failed.message.clone(),
            })
        } else {
            holds(conditions, "Complete").map(|_| JobEnd::Complete)
        };
        Self {
            uid: job.uid().unwrap_or_default(),
            run: label(RUN_LABEL).unwrap_or_default(),
            attempt: label(ATTEMPT_LABEL).unwrap_or_default(),
            owner: label(OWNER_LABEL),
            created: job.metadata.creation_timestamp.as_ref().map(|time| time.0),
            suspended: job.spec.suspend,
            single: job.spec.completions == Some(1),
            deleting: job.metadata.deletion_timestamp.is_some(),
            end,
        }
    }
}

impl PodSight {
    pub(crate) fn of(pod: &Pod) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let named = pod
            .annotations()
            .get("kubectl.kubernetes.io/default-container");
        let container = pod
            .spec
            .containers
            .iter()
            .find(|one| Some(&one.name) == named)
            .or(pod.spec.containers.first());
        let main = container.and_then(|container| {
            let mut statuses = status.container_statuses.iter();
            statuses.find(|status| status.name == container.name)
        });
        let phase = match status.phase.as_str() {
            "Running" => Phase::Running,
            "Succeeded" => Phase::Succeeded,
            "Failed" => Phase::Failed,
            _ => Phase::Pending,
        };
        Self {
            uid: pod.uid().unwrap_or_default(),
            name: pod.name_any(),
            phase,
            main: main.map_or(Main::Waits, main_state),
            disrupted: holds(&status.conditions, "DisruptionTarget")
                .map(|condition| told(&condition.reason, &condition.message)),
            deleting: pod.metadata.deletion_timestamp.is_some(),
            gone: false,
            waiting: waiting(&status),
            failure: failure(&status),
            memory_limit: container.and_then(|one| one.resources.limits.memory.clone()),
        }
    }

    /// What the container's process reported at its end.
    pub(crate) fn report(&self) -> Option<RelayReport> {
        match &self.main {
            Main::Ended(ended) => RelayReport::read(&ended.message),
            Main::Waits | Main::Runs => None,
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.gone || matches!(self.phase, Phase::Succeeded | Phase::Failed)
    }
}

fn main_state(status: &ContainerStatus) -> Main {
    if let Some(ended) = &status.state.terminated {
        let exit_code = if ended.exit_code == 0 && ended.signal > 0 {
            128 + ended.signal
        } else {
            ended.exit_code
        };
        return Main::Ended(Ended {
            exit_code,
            reason: ended.reason.clone(),
            message: ended.message.clone(),
        });
    }
    if status.state.running.is_some() {
        Main::Runs
    } else {
        Main::Waits
    }
}

/// Why a pod does not run, as far as it is out of the ordinary.
fn waiting(status: &crate::view::PodStatus) -> Option<String> {
    if status.phase != "Pending" && !status.phase.is_empty() {
        return None;
    }
    let scheduled = status
        .conditions
        .iter()
        .find(|condition| condition.r#type == "PodScheduled" && condition.status == "False");
    if let Some(condition) = scheduled {
        return Some(match condition.reason.as_str() {
            "Unschedulable" => format!("unschedulable: {}", condition.message),
            reason => told(reason, &condition.message),
        });
    }
    let mut all = status
        .init_container_statuses
        .iter()
        .chain(&status.container_statuses);
    all.find_map(|container| {
        let waiting = container.state.waiting.as_ref()?;
        let reason = waiting.reason.as_str();
        if matches!(reason, "" | "ContainerCreating" | "PodInitializing") {
            return None;
        }
        let why = told(reason, &waiting.message);
        Some(if reason.contains("Image") {
            format!("image {:?} can't be pulled: {why}", container.image)
        } else {
            format!("container {:?} can't start: {why}", container.name)
        })
    })
}

/// Why a pod failed as a whole, or in a container that is not the attempt's.
fn failure(status: &crate::view::PodStatus) -> Option<String> {
    if status.phase != "Failed" {
        return None;
    }
    if !status.reason.is_empty() {
        return Some(told(&status.reason, &status.message));
    }
    status.init_container_statuses.iter().find_map(|container| {
        let ended = container.state.terminated.as_ref()?;
        (ended.exit_code != 0).then(|| {
            let how = if ended.reason == "OOMKilled" {
                "was OOMKilled".to_owned()
            } else {
                format!("ended with exit code {}", ended.exit_code)
            };
            format!("init container {:?} {how}", container.name)
        })
    })
}

/// A reason of the API and its words.
pub(crate) fn told(reason: &str, message: &str) -> String {
    let message = message.trim();
    match (reason.is_empty(), message.is_empty()) {
        (_, true) => reason.to_owned(),
        (true, false) => message.to_owned(),
        (false, false) => format!("{reason}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(status: &Value) -> PodSight {
        let pod: Pod = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "uid": "u"},
            "spec": {"nodeName": "n", "containers": [
                {"name": "main", "image": "img:1", "resources": {"limits": {"memory": "32Mi"}}},
            ]},
            "status": status,
        }))
        .unwrap();
        PodSight::of(&pod)
    }

    #[test]
    fn a_pod_says_why_it_waits() {
        let unscheduled = json!({"phase": "Pending", "conditions": [
            {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes are available"},
        ]});
        let expected = "unschedulable: 0/1 nodes are available";
        assert_eq!(pod(&unscheduled).waiting.as_deref(), Some(expected));
        let waiting = |reason: &str, message: &str| {
            let status = json!({"phase": "Pending", "containerStatuses": [
                {"name": "main", "image": "img:1", "state": {"waiting": {"reason": reason, "message": message}}},
            ]});
            pod(&status).waiting
        };
        let expected = "image \"img:1\" can't be pulled: ImagePullBackOff: Back-off";
        assert_eq!(
            waiting("ImagePullBackOff", "Back-off").as_deref(),
            Some(expected)
        );
        let expected = "container \"main\" can't start: CreateContainerConfigError: no secret";
        assert_eq!(
            waiting("CreateContainerConfigError", "no secret").as_deref(),
            Some(expected)
        );
        assert_eq!(waiting("ContainerCreating", ""), None);
        assert_eq!(pod(&json!({"phase": "Running"})).waiting, None);
    }

    #[test]
    fn the_end_of_the_container_and_of_the_pod_are_seen() {
        let ended = pod(
            &json!({"phase": "Failed", "containerStatuses": [{"name": "main", "state": {
                "terminated": {"exitCode": 137, "reason": "OOMKilled", "message": "m"},
            }}]}),
        );
        let expected = Ended {
            exit_code: 137,
            reason: "OOMKilled".to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(
            (&ended.main, ended.phase),
            (&Main::Ended(expected), Phase::Failed)
        );
        assert_eq!(ended.memory_limit.as_deref(), Some("32Mi"));
        let evicted = pod(&json!({
            "phase": "Failed", "reason": "Evicted", "message": "low on memory",
            "conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "TerminationByKubelet"}],
        }));
        assert_eq!(evicted.failure.as_deref(), Some("Evicted: low on memory"));
        assert_eq!(evicted.disrupted.as_deref(), Some("TerminationByKubelet"));
        let init = pod(&json!({"phase": "Failed", "initContainerStatuses": [
            {"name": "setup", "state": {"terminated": {"exitCode": 2}}},
        ]}));
        let expected = "init container \"setup\" ended with exit code 2";
        assert_eq!(init.failure.as_deref(), Some(expected));
    }

    #[test]
    fn the_verdict_of_a_job_is_in_its_conditions() {
        let job = |conditions: Value| {
            let job: Job = serde_json::from_value(json!({
                "metadata": {"name": "j", "uid": "u", "labels": {RUN_LABEL: "r", ATTEMPT_LABEL: "1"}},
                "spec": {"completions": 1}, "status": {"conditions": conditions},
            }))
            .unwrap();
            JobSight::of(&job)
        };
        assert_eq!(job(json!([])).end, None);
        assert!(job(json!([])).single);
        let not_yet =
            json!([{"type": "Failed", "status": "False"}, {"type": "Suspended", "status": "True"}]);
        assert_eq!(job(not_yet).end, None);
        let complete = json!([{"type": "Complete", "status": "True"}]);
        assert_eq!(job(complete).end, Some(JobEnd::Complete));
        let failed = json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "m"}]);
        let expected = JobEnd::Failed {
            reason: "DeadlineExceeded".to_owned(),
            message: "m".to_owned(),
        };
        assert_eq!(job(failed).end, Some(expected));
    }
}
