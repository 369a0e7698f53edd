//! A namespace with a consumer in it, and what a scenario does there.

use std::time::Duration;

use anyhow::{Context, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::api::{DeleteParams, ListParams, LogParams};
use kube::{Api, Client};

use serde_json::Value;

use crate::manifests::apply;
use crate::pod_exec::{Said, exec};
use crate::run::Run;
use crate::setup::Setup;
use crate::wait::{Deadline, until};

/// The label of every namespace that the e2e made and may delete.
pub(crate) const OURS: &str = "fluid.invalid/e2e";

/// The label by which the Kubernetes executor finds what it made.
pub(crate) const RUN_LABEL: &str = "fluid-rs.github.io/run";

/// The longest that a namespace with thousands of pods takes to go.
const CLEARING: Duration = Duration::from_secs(180);

/// The longest that anything here should take that has no limit of its own.
const PATIENCE: Duration = Duration::from_secs(60);

/// The place.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) namespace: String,
    pub(crate) client: Client,
    program: &'static str,
}

impl Place {
    pub(crate) fn new(client: &Client, namespace: &str, setup: &Setup) -> Self {
        Self {
            namespace: namespace.to_owned(),
            client: client.clone(),
            program: setup.program(),
        }
    }

    /// Makes the namespace with all that is in it, anew.
    pub(crate) async fn furnish(&self, setup: Setup) -> anyhow::Result<()> {
        self.remove().await?;
        for object in setup.objects(&self.namespace).await? {
            apply(&self.client, &object).await?;
        }
        Ok(())
    }

    /// Begins to delete the namespace, if it is one of ours. True if there is none.
    pub(crate) async fn dismiss(&self) -> anyhow::Result<bool> {
        let namespaces: Api<Namespace> = Api::all(self.client.clone());
        let Some(found) = namespaces.get_opt(&self.namespace).await? else {
            return Ok(true);
        };
        let labels = found.metadata.labels.unwrap_or_default();
        ensure!(
            labels.contains_key(OURS),
            "namespace {:?} is not of the e2e",
            self.namespace
        );
        if found.metadata.deletion_timestamp.is_none() {
            namespaces
                .delete(&self.namespace, &DeleteParams::default())
                .await?;
        }
        Ok(false)
    }

    /// Deletes the namespace that an earlier run left, and waits until it is gone.
    async fn remove(&self) -> anyhow::Result<()> {
        let what = format!("namespace {:?} to be gone", self.namespace);
        until(Deadline::after(CLEARING), what, async || {
            Ok(self.dismiss().await?.then_some(()))
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
        Ok(said["run"]
            .as_str()
            .with_context(|| format!("no id in {said}"))?
            .to_owned())
    }

    /// Asks for a run that is due later; its id.
    pub(crate) async fn enqueue_in(&self, task: &str, delay: &str) -> anyhow::Result<String> {
        let said = self
            .cli(&["enqueue", task, "--delay", delay], b"")
            .await?
            .well()?;
        let said: Value = serde_json::from_str(&said)?;
        Ok(said["run"]
            .as_str()
            .with_context(|| format!("no id in {said}"))?
            .to_owned())
    }

    /// What the consumer logged.
    pub(crate) async fn consumer_log(&self) -> anyhow::Result<String> {
        let pod = self.consumer().await?;
        Ok(self.api::<Pod>().logs(&pod, &LogParams::default()).await?)
    }

    /// What is known of a run.
    pub(crate) async fn show(&self, run: &str) -> anyhow::Result<Run> {
        let said = self.cli(&["runs", "show", run], b"").await?.well()?;
        serde_json::from_str(&said).with_context(|| said)
    }

    /// The run when its state is final.
    pub(crate) async fn finished(&self, run: &str) -> anyhow::Result<Run> {
        self.finished_within(PATIENCE, run).await
    }

    /// The same for a run that may take longer than others.
    pub(crate) async fn finished_within(
        &self,
        patience: Duration,
        run: &str,
    ) -> anyhow::Result<Run> {
        let what = format!("the end of run {run} in {}", self.namespace);
        until(Deadline::after(patience), what, async || {
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

    /// What was made for a run, of one kind.
    pub(crate) async fn of_run<K>(&self, run: &str) -> anyhow::Result<Vec<K>>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K: Clone + std::fmt::Debug + serde::de::DeserializeOwned,
        K::DynamicType: Default,
    {
        let labelled = ListParams::default().labels(&format!("{RUN_LABEL}={run}"));
        Ok(self.api::<K>().list(&labelled).await?.items)
    }

    /// The only Job of a run.
    pub(crate) async fn job(&self, run: &str) -> anyhow::Result<Job> {
        let mut jobs = self.of_run::<Job>(run).await?;
        ensure!(
            jobs.len() == 1,
            "{} Jobs of run {run}: {jobs:?}",
            jobs.len()
        );
        Ok(jobs.remove(0))
    }

    /// Waits until no Job and no pod of a run is left.
    pub(crate) async fn nothing_left(&self, run: &str) -> anyhow::Result<()> {
        self.until(&format!("Jobs and pods of {run} to be gone"), async || {
            let jobs = self.of_run::<Job>(run).await?;
            let pods = self.of_run::<Pod>(run).await?;
            Ok((jobs.is_empty() && pods.is_empty()).then_some(()))
        })
        .await
    }

    /// The name of a run's pod, once its container runs.
    pub(crate) async fn running_pod(&self, run: &str) -> anyhow::Result<String> {
        self.until(&format!("the pod of run {run} to run"), async || {
            let pods = self.of_run::<Pod>(run).await?;
            Ok(pods.into_iter().find_map(|pod| {
                let runs =
                    pod.status?.phase? == "Running" && pod.metadata.deletion_timestamp.is_none();
                pod.metadata.name.filter(|_| runs)
            }))
        })
        .await
    }

    /// The run once it says why it is not running yet.
    pub(crate) async fn waiting(&self, run: &str) -> anyhow::Result<String> {
        self.until(&format!("a reason why run {run} waits"), async || {
            let run = self.show(run).await?;
            ensure!(!run.finished(), "{run:?}");
            Ok(run.waiting)
        })
        .await
    }
}
