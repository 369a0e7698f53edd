//! Builds the Job for an attempt, and the Secret with its parameters where they need one.

use std::collections::BTreeMap;
use std::time::Duration;

use fluid_core::child::{
    ATTEMPT_VARIABLE, ChildRun, RESULT_VARIABLE, ROOT_ID_VARIABLE, RUN_ID_VARIABLE, RUN_VARIABLE,
    TASK_VARIABLE,
};
use fluid_core::relay::{LIMIT_VARIABLE, PARAMS_PATH_VARIABLE, PARAMS_VARIABLE};
use fluid_core::{K8sConfig, K8sTarget, Params, Task, TaskRun};
use serde_json::{Map, Value, json};

use crate::identity::{RUN_LABEL, TASK_LABEL};
use crate::patch;
use crate::template::Template;

/// Parameters up to this many bytes stand in the pod template: every watcher of the Job gets them.
const SMALL_PARAMS: usize = 8 * 1024;
/// Parameters up to this many bytes fit into one variable: the kernel takes 128 KiB for name and value.
const MOST_IN_VARIABLE: usize = 120 * 1024;
/// What a Secret holds, in bytes.
pub(crate) const MAX_SECRET: usize = 1024 * 1024;

const PARAMS_VOLUME: &str = "fluid-params";
const PARAMS_DIRECTORY: &str = "/var/run/fluid";
const PARAMS_FILE: &str = "params.json";

/// The kubelet keeps this many bytes of a container's message, and this many of all of a pod's.
const MAX_MESSAGE: usize = 4096;
const MAX_MESSAGES: usize = 12 * 1024;
const DEFAULT_MESSAGE_PATH: &str = "/dev/termination-log";

/// How an attempt's parameters travel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carrier {
    /// In a variable of the container.
    Variable,
    /// In a Secret that the Job owns.
    Secret,
}

impl Carrier {
    /// The right one for these parameters, where a Secret may be made.
    pub(crate) fn of(params: &Params) -> Self {
        if params.secret_paths().is_empty() && params.expose().as_str().len() <= SMALL_PARAMS {
            Self::Variable
        } else {
            Self::Secret
        }
    }

    /// Whether these parameters can do without a Secret, where none may be made.
    pub(crate) fn variable_will_do(params: &Params) -> bool {
        params.secret_paths().is_empty() && params.expose().as_str().len() <= MOST_IN_VARIABLE
    }
}

/// All that a Job is made of.
#[derive(Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) name: &'a str,
    pub(crate) task: &'a Task,
    pub(crate) run: &'a TaskRun,
    pub(crate) config: &'a K8sConfig,
    pub(crate) target: &'a K8sTarget,
    pub(crate) labels: &'a BTreeMap<String, String>,
    /// The executor's variables for every container.
    pub(crate) env: &'a [(String, String)],
    /// How long a container may take to stop.
    pub(crate) grace: Duration,
    pub(crate) carrier: Carrier,
}

impl Plan<'_> {
    /// The Job, ready to be created.
    ///
    /// # Errors
    /// When the run's record has no JSON form.
    pub(crate) fn job(&self, template: &Template) -> Result<Value, serde_json::Error> {
        let spec = self.pod_spec(template)?;
        let mut pod_labels = template.labels.clone();
        let mut pod_annotations = template.annotations.clone();
        extend(&mut pod_labels, &self.config.labels);
        extend(&mut pod_annotations, &self.config.annotations);
        pod_annotations.insert(
            "kubectl.kubernetes.io/default-container".to_owned(),
            self.target.container.clone().into(),
        );
        let mut job_labels = Map::new();
        extend(&mut job_labels, &self.config.labels);
        let mut job_annotations = Map::new();
        extend(&mut job_annotations, &self.config.annotations);
        for annotations in [&mut pod_annotations, &mut job_annotations] {
            annotations.insert(TASK_LABEL.to_owned(), self.task.name.as_str().into());
            annotations.insert(RUN_LABEL.to_owned(), self.run.id.to_string().into());
        }
        let mut job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"labels": job_labels, "annotations": job_annotations},
            "spec": {
                "completions": 1,
                "parallelism": 1,
                "backoffLimit": 0,
                "ttlSecondsAfterFinished": seconds(self.target.job_ttl),
                "podReplacementPolicy": "Failed",
                "podFailurePolicy": {"rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                    // Says the exit code in the Job's own condition, for those who may not read pods.
                    {
                        "action": "FailJob",
                        "onExitCodes": {
                            "containerName": self.target.container, "operator": "NotIn", "values": [0],
                        },
                    },
                ]},
                "template": {
                    "metadata": {"labels": pod_labels, "annotations": pod_annotations},
                    "spec": spec,
                },
            },
        });
        let Value::Object(fields) = &mut job else {
            return Ok(job);
        };
        if let Some(Value::Object(spec)) = fields.get_mut("spec") {
            if let Some(timeout) = self.task.timeout {
                spec.insert(
                    "activeDeadlineSeconds".to_owned(),
                    seconds(timeout).max(1).into(),
                );
            }
            if self.config.queue_name.is_some() {
                spec.insert("suspend".to_owned(), true.into());
            }
        }
        if let Some(Value::Object(change)) = &self.config.patch {
            patch::apply(fields, change);
        }
        self.settle(&mut job);
        Ok(job)
    }

    /// What no patch may change: by it the Job is found again.
    fn settle(&self, job: &mut Value) {
        job["metadata"]["name"] = self.name.into();
        job["metadata"]["namespace"] = self.target.namespace.as_str().into();
        if let Some(queue) = &self.config.queue_name {
            job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] = queue.as_str().into();
        }
        for (label, value) in self.labels {
            job["metadata"]["labels"][label] = value.as_str().into();
            job["spec"]["template"]["metadata"]["labels"][label] = value.as_str().into();
        }
    }

    fn pod_spec(&self, template: &Template) -> Result<Value, serde_json::Error> {
        let mut spec = template.spec.clone();
        let mut container = template.container.clone();
        let (task, run) = (self.task.name.as_str(), self.run.id.to_string());
        template.set_command(&mut container, task, &run);
        if let Some(image) = &self.config.image {
            container.insert("image".to_owned(), image.as_str().into());
        }
        if let Some(resources) = &self.config.resources {
            container.insert("resources".to_owned(), resources.clone());
        }
        let others = spec.get("initContainers").and_then(Value::as_array);
        let containers = 1 + others.map_or(0, Vec::len);
        let path = container
            .entry("terminationMessagePath")
            .or_insert_with(|| DEFAULT_MESSAGE_PATH.into())
            .clone();
        container.insert("terminationMessagePolicy".to_owned(), "File".into());
        let path = path.as_str().unwrap_or(DEFAULT_MESSAGE_PATH).to_owned();
        let env = self.env(
            &container,
            &path,
            MAX_MESSAGE.min(MAX_MESSAGES / containers),
        )?;
        container.insert("env".to_owned(), env);
        if self.carrier == Carrier::Secret {
            let volume = json!({
                "name": PARAMS_VOLUME,
                "secret": {"secretName": self.name, "defaultMode": 0o444},
            });
            let mount =
                json!({"name": PARAMS_VOLUME, "mountPath": PARAMS_DIRECTORY, "readOnly": true});
            push(&mut spec, "volumes", volume);
            push(&mut container, "volumeMounts", mount);
        }
        spec.insert("containers".to_owned(), json!([container]));
        spec.insert("restartPolicy".to_owned(), "Never".into());
        spec.insert(
            "terminationGracePeriodSeconds".to_owned(),
            seconds(self.grace).into(),
        );
        if let Some(account) = &self.config.service_account {
            spec.insert("serviceAccountName".to_owned(), account.as_str().into());
            spec.remove("serviceAccount");
        }
        if let Some(class) = &self.config.priority_class {
            spec.insert("priorityClassName".to_owned(), class.as_str().into());
            spec.remove("priority");
        }
        let selector = spec
            .entry("nodeSelector")
            .or_insert_with(|| Map::new().into());
        if let Value::Object(selector) = selector {
            extend(selector, &self.config.node_selector);
        }
        for toleration in &self.config.tolerations {
            push(&mut spec, "tolerations", toleration.clone());
        }
        Ok(spec.into())
    }

    /// The container's variables: the Deployment's, then the executor's, the task's, its k8s config's and at last
    /// those that tell of the run.
    fn env(
        &self,
        container: &Map<String, Value>,
        path: &str,
        limit: usize,
    ) -> Result<Value, serde_json::Error> {
        let run = self.run;
        let literal = |value: &str| value.replace('$', "$$");
        let mut ours: Vec<(String, String)> = self
            .env
            .iter()
            .map(|(name, value)| (name, value))
            .chain(&self.task.env)
            .map(|(name, value)| (name.clone(), literal(value)))
            .collect();
        // These are written for Kubernetes, so `$(NAME)` in them means what it means there.
        ours.extend(self.config.env.clone());
        let told = [
            (RUN_ID_VARIABLE, run.id.to_string()),
            (TASK_VARIABLE, run.task.to_string()),
            (ATTEMPT_VARIABLE, run.attempt.to_string()),
            (ROOT_ID_VARIABLE, run.root.unwrap_or(run.id).to_string()),
            (RUN_VARIABLE, serde_json::to_string(&ChildRun::from(run))?),
            (RESULT_VARIABLE, path.to_owned()),
            (LIMIT_VARIABLE, limit.to_string()),
            match self.carrier {
                Carrier::Variable => (PARAMS_VARIABLE, run.params.expose().to_string()),
                Carrier::Secret => (
                    PARAMS_PATH_VARIABLE,
                    format!("{PARAMS_DIRECTORY}/{PARAMS_FILE}"),
                ),
            },
        ];
        ours.extend(told.map(|(name, value)| (name.to_owned(), literal(&value))));
        let template = container.get("env").and_then(Value::as_array);
        let mut env = template.cloned().unwrap_or_default();
        for (name, value) in ours {
            env.retain(|one| one.get("name").and_then(Value::as_str) != Some(&name));
            env.push(json!({"name": name, "value": value}));
        }
        Ok(env.into())
    }

    /// The Secret with the parameters, owned by the Job.
    pub(crate) fn secret(&self, job_uid: &str) -> Value {
        json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.name,
                "namespace": self.target.namespace,
                "labels": self.labels,
                "ownerReferences": [{
                    "apiVersion": "batch/v1", "kind": "Job", "name": self.name, "uid": job_uid,
                    "controller": true, "blockOwnerDeletion": false,
                }],
            },
            "immutable": true,
            "stringData": {PARAMS_FILE: self.run.params.expose().as_str()},
        })
    }
}

fn extend(to: &mut Map<String, Value>, from: &BTreeMap<String, String>) {
    let values = from
        .iter()
        .map(|(key, value)| (key.clone(), value.as_str().into()));
    to.extend(values);
}

fn push(to: &mut Map<String, Value>, list: &str, value: Value) {
    match to.get_mut(list) {
        Some(Value::Array(list)) => list.push(value),
        _ => {
            to.insert(list.to_owned(), json!([value]));
        }
    }
}

/// Whole seconds, rounded up, as the API counts.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use fluid_core::{Command, JsonText, NewRun, ParamsSchema};
    use jiff::Timestamp;

    use super::*;
    use crate::identity;

    fn deployment() -> Value {
        json!({"spec": {"selector": {"matchLabels": {"app": "x"}}, "template": {
            "metadata": {"labels": {"app": "x", "team": "z"}},
            "spec": {
                "containers": [{
                    "name": "main", "image": "a", "command": ["fluid-cli", "serve"],
                    "env": [{"name": "FLUID_RUN_ID", "value": "wrong"}, {"name": "KEEP", "value": "1"}],
                    "resources": {"limits": {"cpu": "1"}},
                }],
                "initContainers": [{"name": "a"}, {"name": "b"}, {"name": "c"}],
                "tolerations": [{"key": "t"}],
                "nodeSelector": {"disk": "ssd"},
            },
        }}})
    }

    struct Built {
        job: Value,
        secret: Value,
        run: TaskRun,
    }

    fn build(task: &Task, params: &Value) -> Built {
        let params = task.params.check(JsonText::from(params.clone())).unwrap();
        let new = NewRun::new(task.name.clone(), params);
        let mut run = TaskRun::enqueued(&new, Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        run.attempt = 2;
        let config = task.k8s_config.clone().unwrap_or_default();
        let target = config.resolve(|_| None).unwrap();
        let name = identity::job_name(&run);
        let labels = identity::labels(&run, Some("owner"));
        let plan = Plan {
            name: &name,
            task,
            run: &run,
            config: &config,
            target: &target,
            labels: &labels,
            env: &[("EXECUTOR".to_owned(), "e".to_owned())],
            grace: Duration::from_secs(5),
            carrier: Carrier::of(&run.params),
        };
        let template = Template::of(&deployment(), &target).unwrap();
        Built {
            job: plan.job(&template).unwrap(),
            secret: plan.secret("uid"),
            run,
        }
    }

    fn task() -> Task {
        Task::command("resize", Command::new(["x"])).unwrap()
    }

    fn env(job: &Value) -> BTreeMap<String, String> {
        let env = job.pointer("/spec/template/spec/containers/0/env").unwrap();
        let pair = |one: &Value| {
            let text = |key| one[key].as_str().unwrap().to_owned();
            (text("name"), text("value"))
        };
        env.as_array().unwrap().iter().map(pair).collect()
    }

    #[test]
    fn a_job_is_one_attempt() {
        let built = build(
            &task().timeout(Duration::from_millis(1500)),
            &json!({"a": "$(HOME) $x"}),
        );
        let spec = &built.job["spec"];
        assert_eq!(
            (&spec["backoffLimit"], &spec["completions"]),
            (&json!(0), &json!(1))
        );
        assert_eq!(spec["activeDeadlineSeconds"], 2);
        assert_eq!(spec["ttlSecondsAfterFinished"], 300);
        assert_eq!(spec["podFailurePolicy"]["rules"][0]["action"], "Ignore");
        let pod = &spec["template"]["spec"];
        assert_eq!(pod["restartPolicy"], "Never");
        assert_eq!(pod["terminationGracePeriodSeconds"], 5);
        assert_eq!(pod["initContainers"].as_array().unwrap().len(), 3);
        let container = &pod["containers"][0];
        let id = built.run.id.to_string();
        assert_eq!(
            container["command"],
            json!(["fluid-cli", "exec", "resize", "--run-id", id])
        );
        let env = env(&built.job);
        assert_eq!(
            (env["FLUID_RUN_ID"].as_str(), env["KEEP"].as_str()),
            (id.as_str(), "1")
        );
        assert_eq!(env["EXECUTOR"], "e");
        assert_eq!(env["FLUID_PARAMS"], r#"{"a":"$$(HOME) $$x"}"#);
        // Four containers share what the kubelet keeps of their messages.
        assert_eq!(env["FLUID_RESULT_LIMIT"], "3072");
        for labels in [
            &built.job["metadata"]["labels"],
            &spec["template"]["metadata"]["labels"],
        ] {
            assert_eq!(labels[RUN_LABEL], id.as_str());
            assert_eq!(labels.get("app"), None);
        }
        assert_eq!(spec["template"]["metadata"]["labels"]["team"], "z");
    }

    #[test]
    fn large_and_secret_parameters_travel_in_a_secret_alone() {
        let schema = json!({"type": "object", "properties": {"token": {"type": "string", "writeOnly": true}}});
        let secret = task().params(ParamsSchema::from_value(schema).unwrap());
        for (task, params, trace) in [
            (secret, json!({"token": "hunter2"}), "hunter2"),
            (task(), json!({"text": "x".repeat(SMALL_PARAMS)}), "xxxx"),
        ] {
            let built = build(&task, &params);
            assert!(!built.job.to_string().contains(trace), "{}", built.job);
            assert_eq!(
                env(&built.job)["FLUID_PARAMS_PATH"],
                "/var/run/fluid/params.json"
            );
            let held = built.secret["stringData"]["params.json"].as_str().unwrap();
            assert_eq!(serde_json::from_str::<Value>(held).unwrap(), params);
            assert_eq!(built.secret["metadata"]["ownerReferences"][0]["uid"], "uid");
            let mounts = built
                .job
                .pointer("/spec/template/spec/containers/0/volumeMounts/0/name");
            assert_eq!(mounts, Some(&json!("fluid-params")));
        }
    }

    #[test]
    fn what_the_config_asks_for_arrives() {
        let config: K8sConfig = serde_json::from_value(json!({
            "image": "b", "resources": {"limits": {"memory": "1Gi"}}, "node_selector": {"gpu": "yes"},
            "tolerations": [{"key": "u"}], "service_account": "sa", "priority_class": "high",
            "env": {"MINE": "$(KEEP)"}, "labels": {"l": "1"}, "annotations": {"n": "2"},
            "queue_name": "gpus",
            "patch": {"metadata": {"labels": {RUN_LABEL: "stolen"}}, "spec": {"template": {"spec": {
                "hostAliases": [{"ip": "10.0.0.1"}],
                "containers": [{"name": "main", "workingDir": "/w"}],
            }}}},
        }))
        .unwrap();
        let built = build(&task().k8s_config(config), &json!({}));
        let (job, id) = (&built.job, built.run.id.to_string());
        assert_eq!(job["spec"]["suspend"], true);
        assert_eq!(
            job["metadata"]["labels"]["kueue.x-k8s.io/queue-name"],
            "gpus"
        );
        assert_eq!(job["metadata"]["labels"][RUN_LABEL], id.as_str());
        assert_eq!(job["metadata"]["annotations"]["n"], "2");
        assert_eq!(job["spec"]["template"]["metadata"]["labels"]["l"], "1");
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(pod["nodeSelector"], json!({"disk": "ssd", "gpu": "yes"}));
        assert_eq!(pod["tolerations"], json!([{"key": "t"}, {"key": "u"}]));
        assert_eq!(
            (&pod["serviceAccountName"], &pod["priorityClassName"]),
            (&json!("sa"), &json!("high"))
        );
        assert_eq!(pod["hostAliases"][0]["ip"], "10.0.0.1");
        let container = &pod["containers"][0];
        assert_eq!(
            (&container["image"], &container["workingDir"]),
            (&json!("b"), &json!("/w"))
        );
        assert_eq!(container["resources"], json!({"limits": {"memory": "1Gi"}}));
        assert_eq!(env(job)["MINE"], "$(KEEP)");
    }
}
