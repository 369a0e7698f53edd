//! The pod template of a Deployment as the template of a Job.

use fluid_core::K8sTarget;
use serde_json::{Map, Value};

/// The word in the consumer's command from which on it is replaced.
const SERVE: &str = "serve";

/// A Deployment that no Job can be made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// There is no such container.
    #[error(
        "deployment \"{deployment}\" has no container {container:?}: it has {}; \
         set container in the task's k8s config or FLUID_TASK_CONSUMER_K8S_CONTAINER", list(.found)
    )]
    NoContainer {
        /// Namespace and name of the Deployment.
        deployment: String,
        /// The container that was asked for.
        container: String,
        /// The containers that it has.
        found: Vec<String>,
    },
    /// The container's command is not `… serve …`.
    #[error(
        "container {container:?} of deployment \"{deployment}\" {}; write its command out with serve in it, \
         such as command: [\"fluid-cli\", \"serve\"], or name another container with \
         FLUID_TASK_CONSUMER_K8S_CONTAINER", runs(.found)
    )]
    NoServe {
        /// Namespace and name of the Deployment.
        deployment: String,
        /// The container.
        container: String,
        /// Its command and arguments.
        found: Vec<String>,
    },
}

fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("{name:?}")).collect();
    quoted.join(", ")
}

fn runs(command: &[String]) -> String {
    if command.is_empty() {
        "has no command of its own, so its image decides what runs".to_owned()
    } else {
        format!("runs {command:?}, which has no \"serve\"")
    }
}

/// What a Job takes over from a Deployment.
#[derive(Debug, Clone)]
pub(crate) struct Template {
    /// Labels of the pod that are not those by which the Deployment finds its pods.
    pub(crate) labels: Map<String, Value>,
    pub(crate) annotations: Map<String, Value>,
    /// The pod's spec without its containers.
    pub(crate) spec: Map<String, Value>,
    /// The container without its command.
    pub(crate) container: Map<String, Value>,
    /// Which of `command` and `args` held `serve`.
    serve_in: &'static str,
    /// What stood in it before `serve`.
    before_serve: Vec<Value>,
}

impl Template {
    /// Reads a Deployment.
    pub(crate) fn of(deployment: &Value, target: &K8sTarget) -> Result<Self, TemplateError> {
        let name = || format!("{}/{}", target.namespace, target.deployment);
        let template = |path: &str| {
            let found = deployment.pointer(&format!("/spec/template/{path}"));
            found
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default()
        };
        let mut spec = template("spec");
        let containers = match spec.remove("containers") {
            Some(Value::Array(containers)) => containers,
            _ => Vec::new(),
        };
        let name_of = |container: &Value| {
            let name = container.get("name").and_then(Value::as_str);
            name.unwrap_or_default().to_owned()
        };
        let found = containers.iter().map(name_of).collect();
        let Some(Value::Object(mut container)) = containers
            .into_iter()
            .find(|container| name_of(container) == target.container)
        else {
            return Err(TemplateError::NoContainer {
                deployment: name(),
                container: target.container.clone(),
                found,
            });
        };
        let (serve_in, before_serve) =
            before_serve(&mut container).map_err(|found| TemplateError::NoServe {
                deployment: name(),
                container: target.container.clone(),
                found,
            })?;
        for of_a_server in [
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
            "lifecycle",
            "ports",
            "restartPolicy",
            "stdin",
            "stdinOnce",
            "tty",
        ] {
            container.remove(of_a_server);
        }
        for of_a_deployment in [
            "restartPolicy",
            "activeDeadlineSeconds",
            "readinessGates",
            "terminationGracePeriodSeconds",
        ] {
            spec.remove(of_a_deployment);
        }
        let mut labels = template("metadata/labels");
        for selected in selected_labels(deployment) {
            labels.remove(&selected);
        }
        let mut annotations = template("metadata/annotations");
        annotations.remove("kubectl.kubernetes.io/restartedAt");
        Ok(Self {
            labels,
            annotations,
            spec,
            container,
            serve_in,
            before_serve,
        })
    }

    /// Makes the container carry out one run instead of serving.
    pub(crate) fn set_command(&self, container: &mut Map<String, Value>, task: &str, run: &str) {
        let exec = ["exec", task, "--run-id", run].map(Value::from);
        let command = self.before_serve.iter().cloned().chain(exec).collect();
        container.insert(self.serve_in.to_owned(), Value::Array(command));
    }
}

/// The labels by which the Deployment, and as a rule its Services, find pods: with them a Job's pod would be sent
/// requests.
fn selected_labels(deployment: &Value) -> Vec<String> {
    let selector = |path| deployment.pointer(&format!("/spec/selector/{path}"));
    let labels = selector("matchLabels").and_then(Value::as_object);
    let expressions = selector("matchExpressions").and_then(Value::as_array);
    let keys = expressions.into_iter().flatten();
    let keys = keys.filter_map(|one| Some(one.get("key")?.as_str()?.to_owned()));
    let labels = labels.into_iter().flatten().map(|(key, _)| key.clone());
    labels
        .chain(keys)
        .chain(["pod-template-hash".to_owned()])
        .collect()
}

/// Cuts the command at `serve`: the field that held it, and what stood before it. Otherwise the whole command.
fn before_serve(
    container: &mut Map<String, Value>,
) -> Result<(&'static str, Vec<Value>), Vec<String>> {
    let words = |container: &Map<String, Value>, field| {
        let words = container.get(field).and_then(Value::as_array);
        words.cloned().unwrap_or_default()
    };
    for field in ["command", "args"] {
        let mut line = words(container, field);
        if let Some(place) = line.iter().position(|word| word == SERVE) {
            line.truncate(place);
            container.remove("args");
            return Ok((field, line));
        }
    }
    let all = words(container, "command")
        .into_iter()
        .chain(words(container, "args"));
    Err(all
        .map(|word| word.as_str().unwrap_or_default().to_owned())
        .collect())
}

#[cfg(test)]
mod tests {
    use fluid_core::K8sConfig;
    use serde_json::json;

    use super::*;

    fn read(command: &Value) -> Result<Template, TemplateError> {
        let mut main = json!({
            "name": "main", "image": "a", "ports": [{"containerPort": 80}],
            "livenessProbe": {}, "readinessProbe": {}, "startupProbe": {}, "lifecycle": {},
            "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            "securityContext": {"runAsNonRoot": true},
        });
        let fields = main.as_object_mut().unwrap();
        fields.extend(command.as_object().unwrap().clone());
        let deployment = json!({"spec": {
            "selector": {"matchLabels": {"app": "x"}, "matchExpressions": [{"key": "tier", "operator": "Exists"}]},
            "template": {
                "metadata": {
                    "labels": {"app": "x", "tier": "y", "team": "z", "pod-template-hash": "1"},
                    "annotations": {"kubectl.kubernetes.io/restartedAt": "now", "keep": "me"},
                },
                "spec": {
                    "containers": [{"name": "proxy"}, main],
                    "initContainers": [{"name": "init"}, {"name": "sidecar", "restartPolicy": "Always"}],
                    "volumes": [{"name": "data", "emptyDir": {}}],
                    "restartPolicy": "Always", "terminationGracePeriodSeconds": 600, "newField": 1,
                },
            },
        }});
        let target = K8sConfig::default().namespace("workers");
        Template::of(&deployment, &target.resolve(|_| None).unwrap())
    }

    fn command(given: &Value) -> Value {
        let template = read(given).unwrap();
        let mut container = template.container.clone();
        template.set_command(&mut container, "resize", "id");
        json!({"command": container.get("command"), "args": container.get("args")})
    }

    #[test]
    fn serve_and_what_follows_becomes_exec() {
        let exec = ["exec", "resize", "--run-id", "id"];
        let with = |before: &[&str]| -> Value {
            before
                .iter()
                .chain(&exec)
                .copied()
                .map(Value::from)
                .collect()
        };
        assert_eq!(
            command(
                &json!({"command": ["fluid-cli", "--config", "/c", "serve", "--no-http"], "args": ["--x"]})
            ),
            json!({"command": with(&["fluid-cli", "--config", "/c"]), "args": null})
        );
        assert_eq!(
            command(&json!({"command": ["tini", "--"], "args": ["app", "serve", "-q"]})),
            json!({"command": ["tini", "--"], "args": with(&["app"])})
        );
        assert_eq!(
            command(&json!({"args": ["serve"]})),
            json!({"command": null, "args": with(&[])})
        );
    }

    #[test]
    fn a_command_without_serve_is_shown() {
        let error = read(&json!({"command": ["sh", "-c"], "args": ["fluid-cli serve"]}));
        let text = error.unwrap_err().to_string();
        assert!(
            text.contains(r#"["sh", "-c", "fluid-cli serve"]"#),
            "{text}"
        );
        assert!(text.contains("workers/fluid-task"), "{text}");
        let text = read(&json!({})).unwrap_err().to_string();
        assert!(text.contains("its image decides"), "{text}");
    }

    #[test]
    fn a_container_that_is_not_there_is_named_with_those_that_are() {
        let target = K8sConfig::default().container("worker");
        let target = target.resolve(|_| None).unwrap();
        let deployment = json!({"spec": {"template": {"spec": {
            "containers": [{"name": "main"}, {"name": "proxy"}],
        }}}});
        let text = Template::of(&deployment, &target).unwrap_err().to_string();
        assert!(
            text.contains(r#"no container "worker": it has "main", "proxy""#),
            "{text}"
        );
    }

    #[test]
    fn what_only_a_server_needs_goes_and_the_rest_stays() {
        let template = read(&json!({"command": ["a", "serve"]})).unwrap();
        let mut kept: Vec<_> = template.container.keys().map(String::as_str).collect();
        kept.sort_unstable();
        assert_eq!(
            kept,
            [
                "command",
                "image",
                "name",
                "securityContext",
                "volumeMounts"
            ]
        );
        let mut kept: Vec<_> = template.spec.keys().map(String::as_str).collect();
        kept.sort_unstable();
        assert_eq!(kept, ["initContainers", "newField", "volumes"]);
        assert_eq!(Value::Object(template.labels), json!({"team": "z"}));
        assert_eq!(Value::Object(template.annotations), json!({"keep": "me"}));
    }
}
