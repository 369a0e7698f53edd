//! A namespace with a consumer in it, and what a scenario does there.

use std::time::Duration;

use anyhow::{Context, bail};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::manifests::{self, apply};
use crate::pod_exec::{Said, exec};
use crate::wait::{Deadline, until};
use crate::world::TEST_IMAGE;

/// The label of every namespace that the e2e made and may delete.
const OURS: &str = "fluid.invalid/e2e";

/// The longest that anything here should take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// A change of the Deployment.
type Edit = Box<dyn FnOnce(&mut Value)>;

/// How a place differs from deploy/.
#[derive(Default)]
pub(crate) struct Setup {
    program: Option<&'static str>,
    tasks: Option<String>,
    rbac: Rbac,
    edits: Vec<Edit>,
    extra: Vec<Value>,
}

/// What the consumer may do.
#[derive(Clone, Debug, Default)]
pub(crate) enum Rbac {
    /// deploy/rbac.yaml
    #[default]
    Seed,
    /// These objects instead of its Role.
    Role(Value),
    /// Nothing at all.
    Nothing,
}

impl Setup {
    /// The stock binary with these tasks, in TOML.
    pub(crate) fn stock(tasks: &str) -> Self {
        Self {
            tasks: Some(tasks.to_owned()),
            ..Self::default()
        }
    }

    /// The tests' own Rust program.
    pub(crate) fn application() -> Self {
        Self {
            program: Some("application"),
            tasks: Some(String::new()),
            ..Self::default()
        }
    }

    /// deploy/ as it is.
    pub(crate) fn as_deployed() -> Self {
        Self::default()
    }

    pub(crate) fn rbac(mut self, rbac: Rbac) -> Self {
        self.rbac = rbac;
        self
    }

    /// Changes the Deployment.
    pub(crate) fn deployment(mut self, edit: impl FnOnce(&mut Value) + 'static) -> Self {
        self.edits.push(Box::new(edit));
        self
    }

    /// One more object; it is put into the place's namespace.
    pub(crate) fn object(mut self, object: Value) -> Self {
        self.extra.push(object);
        self
    }
}

/// The place.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    program: &'static str,
}

/// A run, as `runs show --output json` prints it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) state: String,
    pub(crate) attempt: u32,
    pub(crate) execution: Option<String>,
    pub(crate) waiting: Option<Value>,
    pub(crate) result: Option<Value>,
    pub(crate) error: Option<RunError>,
}

/// Why a run failed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct RunError {
    pub(crate) kind: String,
    pub(crate) message: String,
    pub(crate) exit_code: Option<i32>,
}

impl Run {
    pub(crate) fn finished(&self) -> bool {
        !["scheduled", "queued", "running"].contains(&self.state.as_str())
    }
}

impl Place {
    pub(crate) fn new(client: &Client, namespace: &str, setup: &Setup) -> Self {
        Self {
            namespace: namespace.to_owned(),
            client: client.clone(),
            program: setup.program.unwrap_or("fluid-cli"),
        }
    }

    /// Makes the namespace with all that is in it, anew.
    pub(crate) async fn furnish(&self, setup: Setup) -> anyhow::Result<()> {
        self.remove().await?;
        let mut objects = manifests::read("namespace.yaml")?;
        for object in &mut objects {
            object["metadata"]["labels"][OURS] = json!("yes");
        }
        let (role, mut rbac): (Vec<_>, Vec<_>) = manifests::read("rbac.yaml")?
            .into_iter()
            .partition(|object| object["kind"] == "Role");
        match setup.rbac {
            Rbac::Seed => objects.extend(role),
            Rbac::Role(mut role) => {
                role["metadata"]["name"] = json!("execute-jobs-role");
                objects.push(role);
            }
            Rbac::Nothing => rbac.retain(|object| object["kind"] == "ServiceAccount"),
        }
        objects.extend(rbac);
        let mut tasks = manifests::read("tasks.yaml")?;
        if let Some(text) = setup.tasks {
            tasks[0]["data"]["fluid.toml"] = json!(text);
        }
        objects.extend(tasks);
        objects.extend(setup.extra);
        let mut deployment = manifests::read("deployment.yaml")?.remove(0);
        if let Some(program) = setup.program {
            let container = container(&mut deployment);
            container["image"] = json!(TEST_IMAGE);
            container["command"] = json!([program]);
        }
        for edit in setup.edits {
            edit(&mut deployment);
        }
        objects.push(deployment);
        for object in &mut objects {
            self.adopt(object);
            apply(&self.client, object).await?;
        }
        Ok(())
    }

    /// Puts an object of deploy/ into this namespace.
    fn adopt(&self, object: &mut Value) {
        if object["kind"] == "Namespace" {
            object["metadata"]["name"] = json!(self.namespace);
        } else {
            object["metadata"]["namespace"] = json!(self.namespace);
        }
    }

    /// Deletes the namespace, if it is one of ours, and waits until it is gone.
    pub(crate) async fn remove(&self) -> anyhow::Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let Some(found) = namespaces.get_opt(&self.namespace).await? else {
            return Ok(());
        };
        if !found
            .metadata
            .labels
            .is_some_and(|labels| labels.contains_key(OURS))
        {
            bail!("namespace {:?} is there and not of the e2e", self.namespace);
        }
        namespaces
            .delete(&self.namespace, &DeleteParams::default())
            .await?;
        self.until("the namespace to be gone", async || {
            Ok(namespaces
                .get_opt(&self.namespace)
                .await?
                .is_none()
                .then_some(()))
        })
        .await
    }

    /// Waits until the Deployment has all of its pods.
    pub(crate) async fn served(&self) -> anyhow::Result<()> {
        let deployments: Api<Deployment> = self.api();
        self.until("the consumer to serve", async || {
            let status = deployments
                .get("fluid-task")
                .await?
                .status
                .unwrap_or_default();
            Ok(
                (status.available_replicas.is_some() && status.unavailable_replicas.is_none())
                    .then_some(()),
            )
        })
        .await
    }

    /// The objects of one kind in this namespace.
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Looks until there is something to see, for as long as anything should take.
    pub(crate) async fn until<T>(
        &self,
        what: &str,
        look: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        until(
            Deadline::after(PATIENCE),
            format!("{what} in {}", self.namespace),
            look,
        )
        .await
    }

    /// The name of a consumer's pod that runs.
    pub(crate) async fn consumer(&self) -> anyhow::Result<String> {
        let pods: Api<Pod> = self.api();
        let ours = ListParams::default().labels("app=fluid-task");
        self.until("a consumer", async || {
            let pods = pods.list(&ours).await?;
            let runs = |pod: &Pod| {
                let status = pod.status.as_ref();
                pod.metadata.deletion_timestamp.is_none()
                    && pod
                        .metadata
                        .owner_references
                        .iter()
                        .flatten()
                        .any(|owner| owner.kind == "ReplicaSet")
                    && status.is_some_and(|status| status.phase.as_deref() == Some("Running"))
            };
            Ok(pods
                .items
                .into_iter()
                .find(runs)
                .and_then(|pod| pod.metadata.name))
        })
        .await
    }

    /// Says something to the program, in the consumer's pod.
    pub(crate) async fn cli(&self, arguments: &[&str], input: &[u8]) -> anyhow::Result<Said> {
        let pod = self.consumer().await?;
        let argv = [&[self.program, "--output", "json"], arguments].concat();
        exec(&self.api(), &pod, "main", &argv, input).await
    }

    /// Asks for a run; its id.
    pub(crate) async fn enqueue(&self, task: &str, parameters: &Value) -> anyhow::Result<String> {
        let input = parameters.to_string();
        let said = self
            .cli(&["enqueue", task, "--params-file", "-"], input.as_bytes())
            .await?
            .well()
            .with_context(|| format!("could not enqueue {task}"))?;
        let said: Value = serde_json::from_str(&said)?;
        let id = said["run"].as_str().or_else(|| said.as_str());
        Ok(id.with_context(|| format!("no id in {said}"))?.to_owned())
    }

    /// What is known of a run.
    pub(crate) async fn show(&self, run: &str) -> anyhow::Result<Run> {
        let said = self.cli(&["runs", "show", run], b"").await?.well()?;
        serde_json::from_str(&said).with_context(|| said)
    }

    /// The run when its state is final.
    pub(crate) async fn finished(&self, run: &str) -> anyhow::Result<Run> {
        self.until(&format!("the end of run {run}"), async || {
            let run = self.show(run).await?;
            Ok(run.finished().then_some(run))
        })
        .await
    }

    /// The lines of a run's output.
    pub(crate) async fn output(&self, run: &str) -> anyhow::Result<Vec<String>> {
        let said = self.cli(&["runs", "logs", run], b"").await?.well()?;
        said.lines()
            .map(|line| {
                let line: Value = serde_json::from_str(line)?;
                Ok(line["text"].as_str().unwrap_or_default().to_owned())
            })
            .collect()
    }

    /// The Jobs in this namespace.
    pub(crate) async fn jobs(&self) -> anyhow::Result<Vec<Job>> {
        Ok(self.api::<Job>().list(&ListParams::default()).await?.items)
    }
}

/// The consumer's container in its Deployment.
pub(crate) fn container(deployment: &mut Value) -> &mut Value {
    &mut deployment["spec"]["template"]["spec"]["containers"][0]
}
